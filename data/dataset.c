/* dataset.c — one data set: its values, its labels, and what an item of it is.
 *
 * It is read once and then constant. How files are read is in idx.c, npy.c, tokens.c and text.c.
 * Tested by tests/data/test_dataset.c and test_fashion.c. */
#include "data/dataset.h"

#include "base/assert.h"
#include "base/status.h"
#include "data/array.h"
#include "data/convert.h"

#include <inttypes.h>
#include <string.h>

struct spw_dataset {
    const struct spw_world *world;
    struct spw_data_info info;
    enum spw_data_format format;
    char *path;
    char *labels_path;       /* NULL for tokens and text */
    struct spw_array values; /* pixels, features or tokens */
    struct spw_array labels; /* unused for tokens and text */
    uint64_t item_elements;  /* of x; tokens: seq_len */
};

static bool format_is_tokens(enum spw_data_format format)
{
    switch (format) {
    case SPW_DATA_IDX:
    case SPW_DATA_NPY:
        return false;
    case SPW_DATA_TOKENS:
    case SPW_DATA_TEXT:
        return true;
    }
    SPW_ASSERT(false && "a data format");
    return false;
}

static enum spw_status check_request(enum spw_data_format format, const char *path,
                                     const char *labels_path, int64_t seq_len,
                                     struct spw_error *error)
{
    const bool is_tokens = format_is_tokens(format);
    if (is_tokens && labels_path != NULL) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: tokens and text are their own targets; remove `labels: %s`", path,
                        labels_path);
    }
    if (!is_tokens && labels_path == NULL) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: the labels of these items are missing; add `labels:` beside `path:`",
                        path);
    }
    if (is_tokens && seq_len < 1) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: seq_len is %" PRId64 ", but a sequence has 1 token or more; set "
                        "`data.seq_len`",
                        path, seq_len);
    }
    if (!is_tokens && seq_len != 0) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: seq_len is for tokens and text; remove `data.seq_len`", path);
    }
    return SPW_OK;
}

static enum spw_status describe_items(struct spw_dataset *set, struct spw_error *error)
{
    const struct spw_array *values = &set->values;
    const struct spw_array *labels = &set->labels;
    const uint64_t items = values->dim[0];
    if (labels->count != items) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": %" PRIu64 " labels for the %" PRIu64
                        " items of %s; give the labels that belong to it",
                        set->labels_path, labels->file_offset, labels->count, items, set->path);
    }
    struct spw_data_info *info = &set->info;
    info->is_tokens = false;
    info->rank = 0;
    if (values->rank == 3) {
        info->dim[info->rank++] = 1; /* [H,W] is one channel */
    }
    for (uint64_t axis = 1; axis < values->rank; axis++) {
        info->dim[info->rank++] = (int64_t)values->dim[axis];
    }
    info->targets_per_item = 1;
    info->items = (int64_t)items;
    info->classes = (int64_t)spw_array_largest(labels) + 1;
    set->item_elements = values->count / items;
    return SPW_OK;
}

static enum spw_status describe_tokens(struct spw_dataset *set, int64_t seq_len,
                                       struct spw_error *error)
{
    const struct spw_array *values = &set->values;
    const uint64_t length = (uint64_t)seq_len;
    const uint64_t items = (values->count - 1) / length;
    if (items == 0) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": %" PRIu64 " tokens make no sequence of %" PRIu64
                        " and one more; set `data.seq_len` to less than the number of tokens",
                        set->path, values->file_offset, values->count, length);
    }
    if (items > UINT32_MAX) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": %" PRIu64 " sequences, but at most %" PRIu32
                        " are served; make `data.seq_len` larger",
                        set->path, values->file_offset, items, UINT32_MAX);
    }
    struct spw_data_info *info = &set->info;
    info->is_tokens = true;
    info->rank = 1;
    info->dim[0] = seq_len;
    info->targets_per_item = seq_len;
    info->items = (int64_t)items;
    info->classes = set->format == SPW_DATA_TEXT ? 256 : (int64_t)spw_array_largest(values) + 1;
    set->item_elements = length;
    return SPW_OK;
}

static enum spw_status load(struct spw_dataset *set, struct spw_error *error)
{
    const struct spw_world *world = set->world;
    switch (set->format) {
    case SPW_DATA_IDX:
        SPW_TRY(spw_idx_load(world, set->path, SPW_ROLE_ITEMS, error, &set->values));
        return spw_idx_load(world, set->labels_path, SPW_ROLE_LABELS, error, &set->labels);
    case SPW_DATA_NPY:
        SPW_TRY(spw_npy_load(world, set->path, SPW_ROLE_ITEMS, error, &set->values));
        return spw_npy_load(world, set->labels_path, SPW_ROLE_LABELS, error, &set->labels);
    case SPW_DATA_TOKENS:
        return spw_tokens_load(world, set->path, error, &set->values);
    case SPW_DATA_TEXT:
        return spw_text_load(world, set->path, error, &set->values);
    }
    SPW_ASSERT(false && "a data format");
    return SPW_ERR_INTERNAL;
}

enum spw_status spw_dataset_open(const struct spw_world *world, enum spw_data_format format,
                                 const char *path, const char *labels_path, int64_t seq_len,
                                 struct spw_error *error, struct spw_dataset **out)
{
    SPW_TRY(check_request(format, path, labels_path, seq_len, error));
    struct spw_dataset *set;
    SPW_TRY(spw_allocate(world, 1, sizeof(*set), "a data set", error, &set));
    set->world = world;
    set->format = format;

    enum spw_status status;
    SPW_TRY_GOTO(spw_copy_text(world, path, error, &set->path), fail);
    if (labels_path != NULL) {
        SPW_TRY_GOTO(spw_copy_text(world, labels_path, error, &set->labels_path), fail);
    }
    SPW_TRY_GOTO(load(set, error), fail);
    SPW_TRY_GOTO(format_is_tokens(format) ? describe_tokens(set, seq_len, error)
                                          : describe_items(set, error),
                 fail);
    set->info.resident_bytes = set->values.count * spw_element_bytes(set->values.element) +
                               set->labels.count * spw_element_bytes(set->labels.element);
    *out = set;
    return SPW_OK;

fail:
    spw_dataset_close(set);
    return status;
}

enum spw_status spw_dataset_imagine(const struct spw_world *world, const struct spw_data_info *info,
                                    struct spw_error *error, struct spw_dataset **out)
{
    bool is_whole = info->rank >= 1 && info->rank <= SPW_DATA_RANK_MAX && info->items >= 1 &&
                    info->targets_per_item >= 1;
    for (int64_t axis = 0; is_whole && axis < info->rank; axis++) {
        is_whole = info->dim[axis] >= 1;
    }
    if (!is_whole) {
        return SPW_FAIL(error, SPW_ERR_ARGUMENT,
                        "a data set without items, targets, or a dimension of its items");
    }
    struct spw_dataset *set;
    SPW_TRY(spw_allocate(world, 1, sizeof(*set), "a data set", error, &set));
    set->world = world;
    set->info = *info;
    set->info.resident_bytes = 0;
    *out = set;
    return SPW_OK;
}

void spw_dataset_close(struct spw_dataset *set)
{
    if (set != NULL) {
        spw_array_deinit(&set->labels);
        spw_array_deinit(&set->values);
        spw_release(set->world, set->labels_path);
        spw_release(set->world, set->path);
        spw_release(set->world, set);
    }
}

const struct spw_data_info *spw_dataset_info(const struct spw_dataset *set)
{
    return &set->info;
}

static enum spw_status refuse_class(const struct spw_dataset *set, uint64_t index, uint32_t value,
                                    int64_t classes, struct spw_error *error)
{
    const struct spw_array *array = set->info.is_tokens ? &set->values : &set->labels;
    const uint64_t place = array->file_offset + index * array->file_element_bytes;
    if (set->info.is_tokens) {
        return SPW_FAIL(
            error, SPW_ERR_USAGE,
            "%s: byte %" PRIu64 " (sequence %" PRIu64 ", token %" PRIu64
            " of the file): token number %" PRIu32 ", but the model's vocabulary has %" PRId64
            "; set its vocab_size to %" PRId64 " or more",
            set->path, place, index / set->item_elements, index, value, classes, set->info.classes);
    }
    return SPW_FAIL(error, SPW_ERR_USAGE,
                    "%s: byte %" PRIu64 " (item %" PRIu64 "): label %" PRIu32
                    ", but the model has %" PRId64 " classes, 0 to %" PRId64
                    "; mend the labels or give the model's last layer %" PRId64 " outputs",
                    set->labels_path, place, index, value, classes, classes - 1, set->info.classes);
}

enum spw_status spw_dataset_check_classes(const struct spw_dataset *set, int64_t classes,
                                          struct spw_error *error)
{
    SPW_ASSERT(classes > 0);
    if (set->info.classes <= classes) {
        return SPW_OK;
    }
    if (set->path == NULL) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "a data set of %" PRId64 " classes for a model of %" PRId64,
                        set->info.classes, classes);
    }
    const struct spw_array *array = set->info.is_tokens ? &set->values : &set->labels;
    for (uint64_t index = 0; index < array->count; index++) {
        const uint32_t value = spw_array_integer(array, index);
        if (value >= classes) {
            return refuse_class(set, index, value, classes, error);
        }
    }
    return SPW_OK;
}

/* `count` integers from `first` on. */
static void widen(const struct spw_array *array, uint64_t first, uint64_t count, int32_t *into)
{
    SPW_ASSERT(first + count <= array->count);
    switch (array->element) {
    case SPW_ELEMENT_U8:
        spw_widen_u8((const uint8_t *)array->values + first, count, into);
        return;
    case SPW_ELEMENT_U16:
        spw_widen_u16((const uint16_t *)array->values + first, count, into);
        return;
    case SPW_ELEMENT_U32: /* at most 2^31 - 1: the loaders refuse more */
    case SPW_ELEMENT_I32:
        memcpy(into, (const int32_t *)array->values + first, (size_t)count * sizeof(*into));
        return;
    case SPW_ELEMENT_F32:
        break;
    }
    SPW_ASSERT(false && "an integer element type");
}

void spw_dataset_item(const struct spw_dataset *set, uint64_t item, void *x, int32_t *targets)
{
    SPW_ASSERT(item < (uint64_t)set->info.items);
    SPW_ASSERT(set->path != NULL); /* one that was imagined has no items */
    const uint64_t elements = set->item_elements;
    const uint64_t first = item * elements;
    if (set->info.is_tokens) {
        widen(&set->values, first, elements, x);
        widen(&set->values, first + 1, elements, targets);
        return;
    }
    if (set->values.element == SPW_ELEMENT_U8) {
        spw_scale_u8((const uint8_t *)set->values.values + first, elements, x);
    } else {
        memcpy(x, (const float *)set->values.values + first, (size_t)elements * sizeof(float));
    }
    widen(&set->labels, item, 1, targets);
}
