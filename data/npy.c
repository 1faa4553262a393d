/* npy.c — npy files: little-endian arrays in C order, of items or of labels.
 *
 * Items: f4 as they are, f8 rounded to f4, u1 scaled by 1/255 when gathered, as IDX pixels are.
 * Labels: u1, i4, i8. Numbers that are not finite and labels that are negative or over 2^31 - 1 are
 * refused with their place. Tested by tests/data/test_npy.c and tests/fuzz/fuzz_npy.c. */
#include "data/npy_header.h"

#include "base/assert.h"
#include "base/status.h"
#include "data/source.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Values are read through this much memory when they must be converted. */
#define CHUNK_BYTES 8192

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "npy and token files are read as little-endian memory"
#endif

_Static_assert(SPW_NPY_HEADER_MAX <= SPW_SOURCE_PEEK_MAX, "the longest header can be peeked at");

static enum spw_status refuse_value(const char *path, const struct spw_array *array, uint64_t index,
                                    const char *why, struct spw_error *error)
{
    const uint64_t per_item = array->count / array->dim[0];
    return SPW_FAIL(error, SPW_ERR_USAGE,
                    "%s: byte %" PRIu64 " (item %" PRIu64 ", element %" PRIu64
                    "): %s; mend the data",
                    path, array->file_offset + index * array->file_element_bytes, index / per_item,
                    index % per_item, why);
}

static enum spw_status convert_i64(const char *path, struct spw_array *array, uint64_t first,
                                   const uint8_t *from, uint64_t count, struct spw_error *error)
{
    int32_t *into = (int32_t *)array->values + first;
    for (uint64_t index = 0; index < count; index++) {
        int64_t value;
        memcpy(&value, from + 8 * index, sizeof(value));
        if (value < 0 || value > INT32_MAX) {
            return refuse_value(path, array, first + index,
                                value < 0 ? "a negative label" : "a label over 2147483647", error);
        }
        into[index] = (int32_t)value;
    }
    return SPW_OK;
}

static enum spw_status convert_f64(const char *path, struct spw_array *array, uint64_t first,
                                   const uint8_t *from, uint64_t count, struct spw_error *error)
{
    float *into = (float *)array->values + first;
    for (uint64_t index = 0; index < count; index++) {
        double value;
        memcpy(&value, from + 8 * index, sizeof(value));
        /* Rounding to nearest overflows from the midpoint past the largest float. */
        if (!isfinite(value) || fabs(value) >= 0x1.ffffffp127) {
            return refuse_value(path, array, first + index,
                                isfinite(value) ? "a number too large for fp32"
                                                : "a number that isn't finite",
                                error);
        }
        into[index] = (float)value;
    }
    return SPW_OK;
}

/* Reads 64-bit values chunk by chunk and keeps their 32-bit form. */
static enum spw_status read_converted(struct spw_source *source, enum spw_npy_type type,
                                      struct spw_error *error, struct spw_array *array)
{
    uint8_t chunk[CHUNK_BYTES];
    for (uint64_t first = 0; first < array->count;) {
        uint64_t count = array->count - first;
        if (count > CHUNK_BYTES / 8) {
            count = CHUNK_BYTES / 8;
        }
        SPW_TRY(spw_source_read_all(source, chunk, count * 8, error));
        SPW_TRY(type == SPW_NPY_I64 ? convert_i64(source->path, array, first, chunk, count, error)
                                    : convert_f64(source->path, array, first, chunk, count, error));
        first += count;
    }
    return SPW_OK;
}

static enum spw_status check_i32(const char *path, const struct spw_array *array,
                                 struct spw_error *error)
{
    const int32_t *values = array->values;
    for (uint64_t index = 0; index < array->count; index++) {
        if (values[index] < 0) {
            return refuse_value(path, array, index, "a negative label", error);
        }
    }
    return SPW_OK;
}

static enum spw_status check_f32(const char *path, const struct spw_array *array,
                                 struct spw_error *error)
{
    const float *values = array->values;
    for (uint64_t index = 0; index < array->count; index++) {
        if (!isfinite(values[index])) {
            return refuse_value(path, array, index, "a number that isn't finite", error);
        }
    }
    return SPW_OK;
}

static enum spw_status read_values(struct spw_source *source, enum spw_npy_type type,
                                   struct spw_error *error, struct spw_array *array)
{
    if (type == SPW_NPY_I64 || type == SPW_NPY_F64) {
        return read_converted(source, type, error, array);
    }
    SPW_TRY(spw_source_read_all(source, array->values, array->count * array->file_element_bytes,
                                error));
    if (type == SPW_NPY_I32) {
        return check_i32(source->path, array, error);
    }
    return type == SPW_NPY_F32 ? check_f32(source->path, array, error) : SPW_OK;
}

/* What the values are held as; a type that the role can't have is refused. */
static enum spw_status find_element(const char *path, const struct spw_npy_header *header,
                                    enum spw_array_role role, struct spw_error *error,
                                    enum spw_element *out)
{
    const bool is_float = header->type == SPW_NPY_F32 || header->type == SPW_NPY_F64;
    if (header->type == SPW_NPY_U8) {
        *out = SPW_ELEMENT_U8;
    } else if (is_float && role == SPW_ROLE_ITEMS) {
        *out = SPW_ELEMENT_F32;
    } else if (!is_float && role == SPW_ROLE_LABELS) {
        *out = SPW_ELEMENT_I32;
    } else {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": %s; items may be f4, f8 or u1, labels i4, i8 or u1",
                        path, header->type_place,
                        is_float ? "labels can't be floating-point numbers"
                                 : "items can't be 32- or 64-bit integers");
    }
    return SPW_OK;
}

static enum spw_status load_from(struct spw_source *source, enum spw_array_role role,
                                 struct spw_error *error, struct spw_array *array)
{
    const uint8_t *head;
    uint64_t head_bytes;
    struct spw_npy_header header;
    enum spw_element element = SPW_ELEMENT_U8;
    const char *path = source->path;
    SPW_TRY(spw_source_peek(source, SPW_NPY_HEADER_MAX, error, &head, &head_bytes));
    SPW_TRY(spw_npy_parse_header(path, head, head_bytes, error, &header));
    SPW_TRY(find_element(path, &header, role, error, &element));
    SPW_TRY(spw_array_check_shape(path, role, header.shape_place, header.rank, header.dims, error));
    SPW_TRY(spw_source_declare(source, header.total_bytes, error));

    *array = (struct spw_array){
        .world = source->world,
        .element = element,
        .count = header.count,
        .rank = header.rank,
        .file_offset = header.data_offset,
        .file_element_bytes = header.element_bytes,
    };
    memcpy(array->dim, header.dims, sizeof(array->dim));
    SPW_TRY(spw_source_allocate(source, array->count, spw_element_bytes(element), error,
                                &array->values));
    SPW_TRY(spw_source_skip(source, header.data_offset, error));
    SPW_TRY(read_values(source, header.type, error, array));
    return spw_source_finish(source, error);
}

enum spw_status spw_npy_load(const struct spw_world *world, const char *path,
                             enum spw_array_role role, struct spw_error *error,
                             struct spw_array *array)
{
    return spw_array_load(world, path, role, load_from, error, array);
}
