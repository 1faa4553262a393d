/* fuzz_data.h — what the fuzz targets of the data formats share: an input is a file, which is
 * opened from memory and, if it is taken, gathered from. */
#ifndef SPW_TESTS_FUZZ_FUZZ_DATA_H
#define SPW_TESTS_FUZZ_FUZZ_DATA_H

#include "data/data.h"

#include <stddef.h>

struct fuzz_file {
    const uint8_t *data;
    size_t bytes;
};

/* The input begins as gzip data do, so it is given a name that ends in .gz. */
bool fuzz_is_compressed(struct fuzz_file file);

/* Opens the files, gathers some batches if that works, closes, and asserts that refusals are usage
 * errors which name the file, that nothing is left over and that no lie costs memory. `labels.data`
 * is NULL for tokens and text. */
void fuzz_open(enum spw_data_format format, struct fuzz_file path, struct fuzz_file labels,
               int64_t seq_len);

#endif
