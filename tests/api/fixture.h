/* fixture.h — a context in a watched world, with small data sets to train on, and expectations. */
#ifndef SPW_TESTS_API_FIXTURE_H
#define SPW_TESTS_API_FIXTURE_H

#include "api/context.h"
#include "tests/support/fault_world.h"
#include "tests/support/temporary.h"

#include <criterion/criterion.h>

/* The images are 8 x 8 and of three classes, told apart by where they are bright. */
#define API_ITEMS 48
#define API_CLASSES 3
#define API_SEQ_LEN 8

struct api_fixture {
    struct spw_temporary folder;
    struct spw_fault_world fault; /* its rules are off */
    struct spw_context *context;
    struct spw_data *images;
    struct spw_data *text; /* sequences of API_SEQ_LEN */
};

void api_fixture_init(struct api_fixture *fixture);
/* The same without context and data, for those who make them. Destroyed in the same way. */
void api_fixture_init_files(struct api_fixture *fixture);
/* Asserts that nothing is left over. */
void api_fixture_deinit(struct api_fixture *fixture);

/* Into *out; NULL if that failed. */
enum spw_status api_open_images(const struct api_fixture *fixture, struct spw_context *context,
                                struct spw_data **out);
enum spw_status api_open_text(const struct api_fixture *fixture, struct spw_context *context,
                              struct spw_data **out);

/* A two-layer network on the images. */
struct spw_model *api_small_model(const struct api_fixture *fixture, const char *name);
/* A few steps that take milliseconds. */
struct spw_train api_short_train(void);

/* Asserts that a call returned `wanted` and that the context says so, in words that contain `part`;
 * then clears the record. */
void api_expect(struct spw_context *context, enum spw_status status, enum spw_status wanted,
                const char *part);
/* Asserts success. */
void api_ok(const struct spw_context *context, enum spw_status status);

#endif
