/* idx.c — IDX files of unsigned bytes, the format of the MNIST family.
 *
 * Layout (big-endian): two zero bytes, the type, the number of dimensions, each dimension as 32
 * bits, then the values, the last dimension fastest. Only type 0x08, unsigned bytes, is read.
 * Described at yann.lecun.com/exdb/mnist. Tested by tests/data/test_idx.c and
 * tests/fuzz/fuzz_idx.c. */
#include "data/array.h"

#include "base/checked.h"
#include "base/status.h"
#include "data/source.h"

#include <inttypes.h>
#include <string.h>

#define MAGIC_BYTES 4
#define TYPE_U8 0x08

/* magic and four dimensions */
#define HEADER_BYTES_MAX (MAGIC_BYTES + 4 * SPW_ARRAY_RANK_MAX)

struct header {
    uint64_t rank;
    uint64_t dims[SPW_ARRAY_RANK_MAX];
    uint64_t data_offset;
    uint64_t total_bytes; /* header and values */
};

static uint64_t read_big_endian(const uint8_t *bytes)
{
    return (uint64_t)bytes[0] << 24 | (uint64_t)bytes[1] << 16 | (uint64_t)bytes[2] << 8 | bytes[3];
}

static enum spw_status check_magic(const char *path, const uint8_t *bytes, uint64_t count,
                                   struct spw_error *error)
{
    if (count >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte 0: these are gzip data; a file that is compressed, once, needs a "
                        "name that ends in .gz",
                        path);
    }
    if (count < MAGIC_BYTES) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": the file ends inside the 4 bytes that begin an IDX "
                        "file; get the file again",
                        path, count);
    }
    if (bytes[0] != 0 || bytes[1] != 0) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte 0: not an IDX file: it begins with %02x %02x instead of 00 00; "
                        "check `format:` and `path:`",
                        path, bytes[0], bytes[1]);
    }
    if (bytes[2] != TYPE_U8) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte 2: values of IDX type 0x%02x, but only unsigned bytes (0x08) are "
                        "served; convert the file, to npy for example",
                        path, bytes[2]);
    }
    if (bytes[3] == 0 || bytes[3] > SPW_ARRAY_RANK_MAX) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte 3: %d dimensions, but only 1 to %d are served; reshape the data",
                        path, bytes[3], SPW_ARRAY_RANK_MAX);
    }
    return SPW_OK;
}

/* `count` may be less than the header takes: then the file ends there. */
static enum spw_status parse_header(const char *path, const uint8_t *bytes, uint64_t count,
                                    struct spw_error *error, struct header *out)
{
    SPW_TRY(check_magic(path, bytes, count, error));
    struct header header = {.rank = bytes[3], .data_offset = MAGIC_BYTES + 4 * (uint64_t)bytes[3]};
    if (count < header.data_offset) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": the file ends inside its %" PRIu64
                        "-byte header; get the file again",
                        path, count, header.data_offset);
    }
    uint64_t values = 1;
    for (uint64_t axis = 0; axis < header.rank; axis++) {
        const uint64_t place = MAGIC_BYTES + 4 * axis;
        const uint64_t dim = read_big_endian(bytes + place);
        if (dim == 0) {
            return SPW_FAIL(error, SPW_ERR_USAGE,
                            "%s: byte %" PRIu64 ": dimension %" PRIu64
                            " is 0, so there are no values; get the file again",
                            path, place, axis);
        }
        if (!spw_checked_multiply(values, dim, &values)) {
            return SPW_FAIL(error, SPW_ERR_USAGE,
                            "%s: byte %" PRIu64 ": with dimension %" PRIu64 " = %" PRIu64
                            " the size overflows 64 bits; get the file again",
                            path, place, axis, dim);
        }
        header.dims[axis] = dim;
    }
    if (!spw_checked_add(values, header.data_offset, &header.total_bytes)) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %d: the size overflows 64 bits; get the file again", path,
                        MAGIC_BYTES);
    }
    *out = header;
    return SPW_OK;
}

enum spw_status spw_idx_parse(const char *path, const uint8_t *bytes, uint64_t count,
                              struct spw_error *error, uint64_t *rank, uint64_t dims[4],
                              uint64_t *data_offset)
{
    struct header header;
    SPW_TRY(parse_header(path, bytes, count, error, &header));
    if (header.total_bytes != count) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": %" PRIu64 " bytes, but the header declares %" PRIu64
                        "; get the file again",
                        path, count < header.total_bytes ? count : header.total_bytes, count,
                        header.total_bytes);
    }
    *rank = header.rank;
    memcpy(dims, header.dims, sizeof(header.dims));
    *data_offset = header.data_offset;
    return SPW_OK;
}

static enum spw_status load_from(struct spw_source *source, enum spw_array_role role,
                                 struct spw_error *error, struct spw_array *array)
{
    const uint8_t *head;
    uint64_t head_bytes;
    struct header header;
    SPW_TRY(spw_source_peek(source, HEADER_BYTES_MAX, error, &head, &head_bytes));
    SPW_TRY(parse_header(source->path, head, head_bytes, error, &header));
    SPW_TRY(spw_array_check_shape(source->path, role, 3, header.rank, header.dims, error));
    SPW_TRY(spw_source_declare(source, header.total_bytes, error));

    *array = (struct spw_array){
        .world = source->world,
        .element = SPW_ELEMENT_U8,
        .count = header.total_bytes - header.data_offset,
        .rank = header.rank,
        .file_offset = header.data_offset,
        .file_element_bytes = 1,
    };
    memcpy(array->dim, header.dims, sizeof(array->dim));
    SPW_TRY(spw_source_allocate(source, array->count, 1, error, &array->values));
    SPW_TRY(spw_source_skip(source, header.data_offset, error));
    SPW_TRY(spw_source_read_all(source, array->values, array->count, error));
    return spw_source_finish(source, error);
}

enum spw_status spw_idx_load(const struct spw_world *world, const char *path,
                             enum spw_array_role role, struct spw_error *error,
                             struct spw_array *array)
{
    return spw_array_load(world, path, role, load_from, error, array);
}
