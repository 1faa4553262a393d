/* files.h — data files built in memory, for the tests of data/. */
#ifndef SPW_TESTS_DATA_FILES_H
#define SPW_TESTS_DATA_FILES_H

#include "data/data.h"
#include "tests/support/memory_world.h"

#define FILE_BYTES_MAX 16384

struct file {
    uint8_t data[FILE_BYTES_MAX];
    uint64_t bytes;
};

void file_add(struct file *file, const void *data, uint64_t bytes);
void file_add_text(struct file *file, const char *text);

/* An IDX header of unsigned bytes, and as many values as it says: value i is i % 251. */
void file_idx(struct file *file, uint32_t rank, const uint32_t *dims);

/* An npy file of version `major`.0 with this dictionary, padded as NumPy does, and these values. */
void file_npy(struct file *file, int major, const char *dictionary, const void *values,
              uint64_t bytes);

/* A token file of `count` tokens: token i is `first` + i. */
void file_tokens(struct file *file, bool wide, uint32_t count, uint32_t first);

/* Appends a gzip member of stored blocks that holds `content`. */
void file_add_gzip(struct file *file, const struct file *content);

/* Opens "path" and, if there is one, "labels" from memory; names end in .gz if `compressed`. The
 * caller closes *out and keeps `memory` and the files till then. */
struct request {
    enum spw_data_format format;
    const struct file *path;
    const struct file *labels; /* NULL: none */
    int64_t seq_len;
    bool compressed;
};
enum spw_status request_open(const struct request *request, struct spw_memory_world *memory,
                             struct spw_memory_file files[2], struct spw_error *error,
                             struct spw_dataset **out);

/* Opens, gathers every item once if it opens, closes, and asserts that nothing is left over and
 * that a refusal is a usage error with a text. Returns the status. */
enum spw_status request_try(const struct request *request, struct spw_error *error);

/* Asserts that the request is refused as a usage error whose text contains `words`. */
void request_refused(const struct request *request, const char *words);

#endif
