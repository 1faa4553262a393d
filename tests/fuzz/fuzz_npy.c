/* fuzz_npy.c — libFuzzer target of npy files, plain and gzip: the input as items and as labels. */
#include "base/assert.h"
#include "data/npy_header.h"
#include "fuzz_data.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT_MAX 4096
#define HEADER_BYTES 128

/* An npy file of `count` bytes 0, in the shape "(count" + rest. */
static struct fuzz_file make_bytes(uint64_t count, const char *rest,
                                   uint8_t bytes[HEADER_BYTES + COUNT_MAX])
{
    static const uint8_t prefix[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, HEADER_BYTES - 10, 0};
    char text[HEADER_BYTES - sizeof(prefix)];
    const int length = snprintf(text, sizeof(text),
                                "{'descr': '|u1', 'fortran_order': False, 'shape': (%" PRIu64 "%s}",
                                count, rest);
    memset(bytes, 0, HEADER_BYTES + COUNT_MAX);
    memcpy(bytes, prefix, sizeof(prefix));
    memset(bytes + sizeof(prefix), ' ', HEADER_BYTES - sizeof(prefix) - 1);
    for (int index = 0; index < length; index++) {
        bytes[sizeof(prefix) + (size_t)index] = (uint8_t)text[index];
    }
    bytes[HEADER_BYTES - 1] = '\n';
    return (struct fuzz_file){bytes, HEADER_BYTES + (size_t)count};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[HEADER_BYTES + COUNT_MAX];
    const struct fuzz_file input = {data, size};
    uint64_t count = 3;
    struct spw_error error = {0};
    struct spw_npy_header header;
    if (spw_npy_parse_header("path", data, size, &error, &header) == SPW_OK) {
        SPW_ASSERT(header.data_offset <= size && header.rank <= SPW_ARRAY_RANK_MAX);
        SPW_ASSERT(header.total_bytes == header.data_offset + header.count * header.element_bytes);
        count = header.rank > 0 && header.dims[0] <= COUNT_MAX ? header.dims[0] : 3;
    }
    fuzz_open(SPW_DATA_NPY, input, make_bytes(count, ",)", bytes), 0);
    fuzz_open(SPW_DATA_NPY, make_bytes(3, ",1)", bytes), input, 0);
    return 0;
}
