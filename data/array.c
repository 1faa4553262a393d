/* array.c — what the loaders of all formats share. Tested through tests/data/test_idx.c,
 * test_npy.c and test_tokens.c. */
#include "data/array.h"

#include "base/assert.h"
#include "base/status.h"
#include "data/convert.h"
#include "data/source.h"

#include <inttypes.h>

uint64_t spw_element_bytes(enum spw_element element)
{
    switch (element) {
    case SPW_ELEMENT_U8:
        return 1;
    case SPW_ELEMENT_U16:
        return 2;
    case SPW_ELEMENT_U32:
    case SPW_ELEMENT_I32:
    case SPW_ELEMENT_F32:
        return 4;
    }
    SPW_ASSERT(false && "an element type");
    return 0;
}

void spw_array_deinit(struct spw_array *array)
{
    if (array->values != NULL) {
        spw_release(array->world, array->values);
        array->values = NULL;
    }
}

uint32_t spw_array_integer(const struct spw_array *array, uint64_t index)
{
    SPW_ASSERT(index < array->count);
    switch (array->element) {
    case SPW_ELEMENT_U8:
        return ((const uint8_t *)array->values)[index];
    case SPW_ELEMENT_U16:
        return ((const uint16_t *)array->values)[index];
    case SPW_ELEMENT_U32:
    case SPW_ELEMENT_I32: /* never negative: the loaders refuse it */
        return ((const uint32_t *)array->values)[index];
    case SPW_ELEMENT_F32:
        break;
    }
    SPW_ASSERT(false && "an integer element type");
    return 0;
}

uint32_t spw_array_largest(const struct spw_array *array)
{
    switch (array->element) {
    case SPW_ELEMENT_U8:
        return spw_largest_u8(array->values, array->count);
    case SPW_ELEMENT_U16:
        return spw_largest_u16(array->values, array->count);
    case SPW_ELEMENT_U32:
    case SPW_ELEMENT_I32:
        return spw_largest_u32(array->values, array->count);
    case SPW_ELEMENT_F32:
        break;
    }
    SPW_ASSERT(false && "an integer element type");
    return 0;
}

enum spw_status spw_array_load(
    const struct spw_world *world, const char *path, enum spw_array_role role,
    enum spw_status (*read)(struct spw_source *source, enum spw_array_role role,
                            struct spw_error *error, struct spw_array *array),
    struct spw_error *error, struct spw_array *array)
{
    struct spw_source source;
    struct spw_array loaded = {0};
    SPW_TRY(spw_source_open(world, path, error, &source));
    const enum spw_status status = read(&source, role, error, &loaded);
    spw_source_close(&source);
    if (status != SPW_OK) {
        spw_array_deinit(&loaded);
        return status;
    }
    *array = loaded;
    return SPW_OK;
}

enum spw_status spw_array_check_shape(const char *path, enum spw_array_role role, uint64_t place,
                                      uint64_t rank, const uint64_t *dims, struct spw_error *error)
{
    if (role == SPW_ROLE_LABELS && rank != 1) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": labels have one dimension, but these have %" PRIu64
                        "; are `path` and `labels` swapped?",
                        path, place, rank);
    }
    if (role == SPW_ROLE_ITEMS && rank < 2) {
        return SPW_FAIL(
            error, SPW_ERR_USAGE,
            "%s: byte %" PRIu64 ": items have 2 to 4 dimensions (items, then features, "
            "or height and width, or channels, height and width), but these have %" PRIu64
            "; are `path` and `labels` swapped?",
            path, place, rank);
    }
    if (dims[0] > UINT32_MAX) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": %" PRIu64 " items, but at most %" PRIu32
                        " are served; split the file",
                        path, place, dims[0], UINT32_MAX);
    }
    return SPW_OK;
}
