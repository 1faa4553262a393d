/* data.h — data sets in memory, the order in which a job sees them, and gathering micro-batches.
 *
 * A data set is read once, checked wholly, and then never changes; all jobs share it. A cursor is
 * one job's view: which items make up step k is a pure function of (seed, epoch), so a resumed or
 * moved job sees the same batches. Tested by tests/data/. */
#ifndef SPW_DATA_DATA_H
#define SPW_DATA_DATA_H

#include "base/world.h"

#define SPW_DATA_RANK_MAX 4

enum spw_data_format { SPW_DATA_IDX, SPW_DATA_NPY, SPW_DATA_TOKENS, SPW_DATA_TEXT };

struct spw_data_info {
    bool is_tokens; /* items are int32 token sequences, else fp32 tensors */
    int64_t rank;   /* of one item: images 3 ([C,H,W]), tokens 1 ([seq_len]) */
    int64_t dim[SPW_DATA_RANK_MAX];
    int64_t targets_per_item; /* 1, or seq_len */
    int64_t items;
    int64_t classes;         /* largest label or token + 1; text: 256 */
    uint64_t resident_bytes; /* host memory that the set holds */
};

struct spw_dataset;

/* `labels_path` for idx and npy, else NULL; `seq_len` for tokens and text, else 0. ".gz" files are
 * read through zlib. Bad files are SPW_ERR_USAGE with file, place, why, cure. The caller closes. */
enum spw_status spw_dataset_open(const struct spw_world *world, enum spw_data_format format,
                                 const char *path, const char *labels_path, int64_t seq_len,
                                 struct spw_error *error, struct spw_dataset **out);
/* A set that has the shape of `info` and no items: for simulations, which read none. The caller
 * closes. SPW_ERR_ARGUMENT if a count is not above 0. */
enum spw_status spw_dataset_imagine(const struct spw_world *world, const struct spw_data_info *info,
                                    struct spw_error *error, struct spw_dataset **out);
void spw_dataset_close(struct spw_dataset *set);
const struct spw_data_info *spw_dataset_info(const struct spw_dataset *set);
/* SPW_ERR_USAGE naming file and first offending item if a label or token is >= classes. */
enum spw_status spw_dataset_check_classes(const struct spw_dataset *set, int64_t classes,
                                          struct spw_error *error);

struct spw_cursor;

struct spw_cursor_config {
    uint64_t seed;
    bool shuffle;  /* else file order */
    int64_t batch; /* items per step */
    bool by_epoch; /* each epoch ends in a short batch if need be; else batches wrap round */
};

/* `set` is borrowed. One thread uses a cursor at a time. */
enum spw_status spw_cursor_create(const struct spw_world *world, const struct spw_dataset *set,
                                  const struct spw_cursor_config *config, struct spw_error *error,
                                  struct spw_cursor **out);
void spw_cursor_destroy(struct spw_cursor *cursor);
/* What tells one cursor's data from another's: its set's shape, seed, order and batch. */
uint64_t spw_cursor_key(const struct spw_cursor *cursor);
/* Bytes of one item, and of its targets, as gathered. */
uint64_t spw_cursor_x_bytes(const struct spw_cursor *cursor);
uint64_t spw_cursor_targets_bytes(const struct spw_cursor *cursor);
uint64_t spw_cursor_steps_per_epoch(const struct spw_cursor *cursor);     /* rounded up */
int64_t spw_cursor_items(const struct spw_cursor *cursor, uint64_t step); /* steps count from 1 */
/* Items [first, first + count) of step `step`: x is [count, item] fp32 or int32, targets
 * [count * targets_per_item]. Allocates nothing. */
void spw_cursor_gather(struct spw_cursor *cursor, uint64_t step, int64_t first, int64_t count,
                       void *x, int32_t *targets);

/* The parser of a whole IDX file in memory. `path` is for messages. (The other formats' are in the
 * box's own headers.) */
enum spw_status spw_idx_parse(const char *path, const uint8_t *bytes, uint64_t count,
                              struct spw_error *error, uint64_t *rank, uint64_t dims[4],
                              uint64_t *data_offset);

#endif
