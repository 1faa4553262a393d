/* fuzz_idx.c — libFuzzer target of IDX files, plain and gzip: the input as items and as labels. */
#include "base/assert.h"
#include "fuzz_data.h"

#include <string.h>

#define LABELS_MAX 4096

/* An IDX file of `count` labels. */
static struct fuzz_file make_labels(uint64_t count, uint8_t bytes[8 + LABELS_MAX])
{
    const uint8_t header[8] = {0, 0, 8, 1, 0, 0, (uint8_t)(count >> 8), (uint8_t)count};
    memset(bytes, 0, 8 + LABELS_MAX);
    memcpy(bytes, header, sizeof(header));
    return (struct fuzz_file){bytes, 8 + (size_t)count};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t items[] = {0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6};
    uint8_t bytes[8 + LABELS_MAX];
    const struct fuzz_file input = {data, size};
    uint64_t rank, dims[4], offset;
    uint64_t count = 3;
    struct spw_error error = {0};
    if (spw_idx_parse("path", data, size, &error, &rank, dims, &offset) == SPW_OK) {
        uint64_t values = size - offset;
        for (uint64_t axis = rank; axis-- > 0;) {
            SPW_ASSERT(dims[axis] > 0 && values % dims[axis] == 0);
            values /= dims[axis];
        }
        SPW_ASSERT(values == 1);
        count = dims[0] <= LABELS_MAX ? dims[0] : 3;
    } else {
        SPW_ASSERT(error.status == SPW_ERR_USAGE && strncmp(error.what, "path: byte ", 11) == 0);
    }
    fuzz_open(SPW_DATA_IDX, input, make_labels(count, bytes), 0);
    fuzz_open(SPW_DATA_IDX, (struct fuzz_file){items, sizeof(items)}, input, 0);
    return 0;
}
