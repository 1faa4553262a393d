/* array.h — one file's values in memory, and the loaders of the formats. Internal to the data box.
 *
 * Every loader checks the whole file: sizes, labels that are negative, numbers that are not finite.
 * What a label may be at most depends on the model: spw_dataset_check_classes() checks it. */
#ifndef SPW_DATA_ARRAY_H
#define SPW_DATA_ARRAY_H

#include "data/data.h"

#define SPW_ARRAY_RANK_MAX 4

/* How values are held: as narrow as the file has them, since pixels and tokens are most of it. */
enum spw_element {
    SPW_ELEMENT_U8,
    SPW_ELEMENT_U16,
    SPW_ELEMENT_U32,
    SPW_ELEMENT_I32,
    SPW_ELEMENT_F32
};

uint64_t spw_element_bytes(enum spw_element element);

/* What a file is read for; messages and limits differ. */
enum spw_array_role { SPW_ROLE_ITEMS, SPW_ROLE_LABELS };

struct spw_array {
    const struct spw_world *world;
    void *values; /* [count], owned */
    enum spw_element element;
    uint64_t count;
    uint64_t rank;
    uint64_t dim[SPW_ARRAY_RANK_MAX]; /* dim[0] is the number of items */
    uint64_t file_offset;             /* of the first value, decompressed */
    uint64_t file_element_bytes;      /* of one value, decompressed */
};

/* Zeroed arrays are allowed. */
void spw_array_deinit(struct spw_array *array);

/* Element `index` as a number; not for SPW_ELEMENT_F32. */
uint32_t spw_array_integer(const struct spw_array *array, uint64_t index);

/* The largest element; not for SPW_ELEMENT_F32. */
uint32_t spw_array_largest(const struct spw_array *array);

/* Each fills *array, which the caller deinits. On failure nothing is left to release. */
enum spw_status spw_idx_load(const struct spw_world *world, const char *path,
                             enum spw_array_role role, struct spw_error *error,
                             struct spw_array *array);
enum spw_status spw_npy_load(const struct spw_world *world, const char *path,
                             enum spw_array_role role, struct spw_error *error,
                             struct spw_array *array);
/* Rank 1: the stream of tokens. No token is over 2^31 - 1. */
enum spw_status spw_tokens_load(const struct spw_world *world, const char *path,
                                struct spw_error *error, struct spw_array *array);
enum spw_status spw_text_load(const struct spw_world *world, const char *path,
                              struct spw_error *error, struct spw_array *array);

/* What the loaders above are made of: opens `path`, lets `read` fill an array from it, and cleans
 * up if that fails. */
struct spw_source;
enum spw_status spw_array_load(
    const struct spw_world *world, const char *path, enum spw_array_role role,
    enum spw_status (*read)(struct spw_source *source, enum spw_array_role role,
                            struct spw_error *error, struct spw_array *array),
    struct spw_error *error, struct spw_array *array);

/* Refuses a number of dimensions that the role can't have, and more items than there are 32-bit
 * numbers, the type that orders are made of. `place` is the byte that says so. */
enum spw_status spw_array_check_shape(const char *path, enum spw_array_role role, uint64_t place,
                                      uint64_t rank, const uint64_t *dims, struct spw_error *error);

#endif
