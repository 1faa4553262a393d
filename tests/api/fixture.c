/* fixture.c — see the header. */
#include "fixture.h"

#include <string.h>

#define SIDE 8

static uint8_t *put_be32(uint8_t *at, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        *at++ = (uint8_t)(value >> shift);
    }
    return at;
}

static void write_images(const struct spw_temporary *folder)
{
    static uint8_t images[16 + API_ITEMS * SIDE * SIDE];
    uint8_t labels[8 + API_ITEMS];
    uint8_t *image = put_be32(put_be32(put_be32(put_be32(images, 0x803), API_ITEMS), SIDE), SIDE);
    uint8_t *label = put_be32(put_be32(labels, 0x801), API_ITEMS);
    for (int item = 0; item < API_ITEMS; item++) {
        const int kind = item % API_CLASSES;
        *label++ = (uint8_t)kind;
        for (int pixel = 0; pixel < SIDE * SIDE; pixel++) {
            const int noise = (item * 31 + pixel * 17) % 64;
            *image++ = (uint8_t)(noise + (pixel * API_CLASSES / (SIDE * SIDE) == kind ? 180 : 0));
        }
    }
    spw_temporary_write(folder, "images", images, sizeof(images));
    spw_temporary_write(folder, "labels", labels, sizeof(labels));
}

void api_fixture_init_files(struct api_fixture *fixture)
{
    static const char text[] = "the rain in spain stays mainly in the plain; so the song says, "
                               "and so it may be, though no one has measured the rain in spain.";
    memset(fixture, 0, sizeof(*fixture));
    spw_temporary_init(&fixture->folder);
    write_images(&fixture->folder);
    spw_temporary_write(&fixture->folder, "text", text, sizeof(text) - 1);
    spw_fault_world_init(&fixture->fault, spw_world_system());
}

enum spw_status api_open_images(const struct api_fixture *fixture, struct spw_context *context,
                                struct spw_data **out)
{
    char images[512];
    char labels[512];
    const struct spw_data_options options = {
        .format = "idx",
        .path = spw_temporary_path(&fixture->folder, "images", images),
        .labels = spw_temporary_path(&fixture->folder, "labels", labels),
    };
    return spw_data_open(context, &options, out);
}

enum spw_status api_open_text(const struct api_fixture *fixture, struct spw_context *context,
                              struct spw_data **out)
{
    char path[512];
    const struct spw_data_options options = {
        .format = "text",
        .path = spw_temporary_path(&fixture->folder, "text", path),
        .seq_len = API_SEQ_LEN,
    };
    return spw_data_open(context, &options, out);
}

void api_fixture_init(struct api_fixture *fixture)
{
    api_fixture_init_files(fixture);
    cr_assert(spw_context_create_in(&fixture->fault.world, &fixture->context) == SPW_OK);
    api_ok(fixture->context, api_open_images(fixture, fixture->context, &fixture->images));
    api_ok(fixture->context, api_open_text(fixture, fixture->context, &fixture->text));
}

void api_fixture_deinit(struct api_fixture *fixture)
{
    spw_data_close(fixture->text);
    spw_data_close(fixture->images);
    spw_context_destroy(fixture->context);
    cr_assert(spw_fault_world_clean(&fixture->fault), "%lld allocations, %lld files left",
              (long long)fixture->fault.live_allocations, (long long)fixture->fault.open_files);
    spw_temporary_deinit(&fixture->folder);
}

struct spw_model *api_small_model(const struct api_fixture *fixture, const char *name)
{
    const int64_t hidden[] = {24};
    struct spw_model *model = NULL;
    api_ok(fixture->context, spw_model_mlp(fixture->context, name, fixture->images, hidden, 1,
                                           API_CLASSES, 1, &model));
    return model;
}

struct spw_train api_short_train(void)
{
    struct spw_train train = SPW_TRAIN_DEFAULTS;
    train.batch = 8;
    train.micro_batch = 4;
    train.steps = 6;
    train.lr = 1e-2;
    return train;
}

void api_expect(struct spw_context *context, enum spw_status status, enum spw_status wanted,
                const char *part)
{
    const struct spw_error *error = spw_context_error(context);
    cr_assert(status == wanted, "%s instead of %s: %s", spw_status_name(status),
              spw_status_name(wanted), error->what);
    cr_assert(error->status == wanted, "the context says %s", spw_status_name(error->status));
    cr_assert(strstr(error->what, part) != NULL, "no \"%s\" in \"%s\"", part, error->what);
    spw_context_clear(context);
}

void api_ok(const struct spw_context *context, enum spw_status status)
{
    cr_assert(status == SPW_OK, "%s: %s", spw_status_name(status),
              spw_context_error(context)->what);
}
