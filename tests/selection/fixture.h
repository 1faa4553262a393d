/* fixture.h — a small good spec and ways to read it; data files are those of tests/bad/data. */
#ifndef SPW_TESTS_SELECTION_FIXTURE_H
#define SPW_TESTS_SELECTION_FIXTURE_H

#include "selection/spec.h"
#include "selection/sweep.h"

#define BAD_DATA SPW_SOURCE_DIR "/tests/bad/data/"

/* Three images of 2 x 2 with labels 0, 1 and 9. */
#define DATA_TEXT                                                                                  \
    "data:\n"                                                                                      \
    "  train: {path: " BAD_DATA "ok_images.idx, labels: " BAD_DATA "ok_labels.idx, format: idx}\n"
#define HEAD_TEXT "version: 1\nmachine: host*1 mem=1MiB\n"
#define MODELS_TEXT "models:\n  - {id: small, arch: mlp, hidden: [8]}\n"
#define TRAIN_TEXT "train:\n  batch: 2\n  max_steps: 3\n"
#define SPEC_TEXT HEAD_TEXT MODELS_TEXT DATA_TEXT TRAIN_TEXT

/* Parses a text as the file "dir/spec.yaml"; asserts that it is good. */
struct spw_spec *spec_of(const char *text);
struct spw_spec *spec_with(const char *text, const char *const *overrides, uint32_t count);
/* Parses a text that must be refused; returns the message, which lives until the next call. */
const char *refusal_of(const char *text);
const char *refusal_with(const char *text, const char *override);
/* Opens what the spec names; asserts that it is good. */
struct spw_sweep *sweep_of(const struct spw_spec *spec);
/* The resolved text; the caller releases it. */
char *printed(const struct spw_spec *spec, const char *directory);

#endif
