/* safetensors_parse.c — checks a safetensors header.
 *
 * The format: an 8-byte little-endian length, a JSON object of that length, the data. The rules are
 * those of the format's specification, and stricter where it leaves room: no unknown keys, no
 * control characters in names, at most 8 dimensions. Nothing here is allocated for a size that the
 * file only claims. Tested by tests/models/test_safetensors.c and tests/fuzz/fuzz_safetensors.c. */
#include "base/checked.h"
#include "base/status.h"
#include "models/json.h"
#include "models/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_BYTES 8
#define NAME_BYTES_MAX 1024

/* What a file that breaks the format's rules is good for. */
#define CURE "get the file again from its source, or write it anew"

static const struct {
    const char *name;
    uint32_t bits;
} dtypes[] = {
    {"F32", 32},    {"F16", 16},    {"BF16", 16},       {"F64", 64},        {"BOOL", 8},
    {"U8", 8},      {"I8", 8},      {"U16", 16},        {"I16", 16},        {"U32", 32},
    {"I32", 32},    {"U64", 64},    {"I64", 64},        {"C64", 64},        {"F8_E5M2", 8},
    {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E5M2FNUZ", 8}, {"F8_E4M3FNUZ", 8}, {"F6_E2M3", 6},
    {"F6_E3M2", 6}, {"F4", 4},
};

/* What messages need, and where results go. */
struct parse {
    const char *path;
    struct spw_error *error;
    const char *name; /* of the tensor at hand */
    uint64_t data_bytes;
    uint64_t data_offset; /* where the data begins in the file */
};

#define REFUSE(parse, format, ...)                                                                 \
    SPW_FAIL((parse)->error, SPW_ERR_USAGE, "%s: tensor \"%.200s\": " format "; " CURE,            \
             (parse)->path, (parse)->name, __VA_ARGS__)

/* Nothing but printable text; jansson has seen to UTF-8. */
static enum spw_status check_tensor_name(const struct parse *parse, const char *name)
{
    const uint64_t bytes = strlen(name);
    if (bytes == 0) {
        return SPW_FAIL(parse->error, SPW_ERR_USAGE, "%s: a tensor with an empty name; " CURE,
                        parse->path);
    }
    if (bytes > NAME_BYTES_MAX) {
        return SPW_FAIL(parse->error, SPW_ERR_USAGE,
                        "%s: a tensor name of %" PRIu64 " bytes, \"%.40s...\"; at most %d are "
                        "allowed; " CURE,
                        parse->path, bytes, name, NAME_BYTES_MAX);
    }
    for (uint64_t i = 0; i < bytes; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) {
            return SPW_FAIL(parse->error, SPW_ERR_USAGE,
                            "%s: a tensor name with a control character after \"%.*s\"; " CURE,
                            parse->path, (int)i, name);
        }
    }
    return SPW_OK;
}

static enum spw_status take_dtype(const struct parse *parse, const struct spw_json *value,
                                  struct spw_tensor_entry *entry, uint32_t *bits)
{
    if (value == NULL || spw_json_kind(value) != SPW_JSON_STRING) {
        return REFUSE(parse, "its dtype must be %s", "a string such as \"F32\"");
    }
    const char *dtype = spw_json_string(value);
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        if (strcmp(dtype, dtypes[i].name) == 0) {
            entry->dtype = dtypes[i].name;
            *bits = dtypes[i].bits;
            return SPW_OK;
        }
    }
    char text[SPW_JSON_PRINT_BYTES];
    return REFUSE(parse, "\"%s\" is no dtype; F32, F16 and BF16 can be read",
                  spw_json_printable(dtype, text));
}

/* A size: an integer that is not negative. `what` is "shape" or "data_offsets". */
static enum spw_status take_size(const struct parse *parse, const struct spw_json *value,
                                 const char *what, uint64_t *out)
{
    const enum spw_json_kind kind = spw_json_kind(value);
    if (kind != SPW_JSON_INTEGER) {
        return REFUSE(parse, "%s holds %s; it must hold whole numbers from 0", what,
                      spw_json_kind_name(kind));
    }
    const int64_t number = spw_json_integer(value);
    if (number < 0) {
        return REFUSE(parse, "%s holds %" PRId64 "; it must hold whole numbers from 0", what,
                      number);
    }
    *out = (uint64_t)number;
    return SPW_OK;
}

static enum spw_status take_shape(const struct parse *parse, const struct spw_json *value,
                                  struct spw_tensor_entry *entry)
{
    if (value == NULL || spw_json_kind(value) != SPW_JSON_ARRAY) {
        return REFUSE(parse, "its shape must be %s", "a list of sizes");
    }
    entry->rank = spw_json_count(value);
    if (entry->rank > SPW_TENSOR_RANK_MAX) {
        return REFUSE(parse, "%" PRIu64 " dimensions; at most %d are allowed", entry->rank,
                      SPW_TENSOR_RANK_MAX);
    }
    for (uint64_t i = 0; i < entry->rank; i++) {
        SPW_TRY(take_size(parse, spw_json_at(value, i), "its shape", &entry->dim[i]));
    }
    return SPW_OK;
}

/* Sets the entry's place; offsets in the header count from the data's beginning. */
static enum spw_status take_offsets(const struct parse *parse, const struct spw_json *value,
                                    struct spw_tensor_entry *entry)
{
    if (value == NULL || spw_json_kind(value) != SPW_JSON_ARRAY || spw_json_count(value) != 2) {
        return REFUSE(parse, "its data_offsets must be %s", "a list of two numbers");
    }
    uint64_t begin;
    uint64_t end;
    SPW_TRY(take_size(parse, spw_json_at(value, 0), "its data_offsets", &begin));
    SPW_TRY(take_size(parse, spw_json_at(value, 1), "its data_offsets", &end));
    if (begin > end || end > parse->data_bytes) {
        return REFUSE(parse,
                      "data_offsets [%" PRIu64 ", %" PRIu64 "] don't lie in order within the "
                      "%" PRIu64 " bytes of data; the file may have been cut short",
                      begin, end, parse->data_bytes);
    }
    entry->offset_bytes = parse->data_offset + begin;
    entry->bytes = end - begin;
    return SPW_OK;
}

static enum spw_status check_bytes(const struct parse *parse, const struct spw_tensor_entry *entry,
                                   uint32_t bits)
{
    uint64_t total = bits;
    bool zero = false;
    for (uint64_t i = 0; i < entry->rank; i++) {
        zero = zero || entry->dim[i] == 0;
    }
    for (uint64_t i = 0; i < entry->rank && !zero; i++) {
        if (!spw_checked_multiply(total, entry->dim[i], &total)) {
            return REFUSE(parse, "its shape times %u bits is more than 64 bits can count", bits);
        }
    }
    total = zero ? 0 : total;
    if (total % 8 != 0) {
        return REFUSE(parse, "%" PRIu64 " bits are not whole bytes", total);
    }
    if (total / 8 != entry->bytes) {
        return REFUSE(parse,
                      "its shape needs %" PRIu64 " bytes of %s, but data_offsets give %" PRIu64,
                      total / 8, entry->dtype, entry->bytes);
    }
    return SPW_OK;
}

static enum spw_status take_tensor(const struct parse *parse, const struct spw_json *value,
                                   struct spw_tensor_entry *entry)
{
    const enum spw_json_kind kind = spw_json_kind(value);
    if (kind != SPW_JSON_OBJECT) {
        return REFUSE(parse, "described by %s instead of an object", spw_json_kind_name(kind));
    }
    uint32_t bits = 0;
    SPW_TRY(take_dtype(parse, spw_json_member(value, "dtype"), entry, &bits));
    SPW_TRY(take_shape(parse, spw_json_member(value, "shape"), entry));
    SPW_TRY(take_offsets(parse, spw_json_member(value, "data_offsets"), entry));
    /* All three are there and keys are unique, so a fourth is one that nobody knows. */
    if (spw_json_count(value) != 3) {
        return REFUSE(parse, "%" PRIu64 " keys instead of dtype, shape and data_offsets",
                      spw_json_count(value));
    }
    return check_bytes(parse, entry, bits);
}

static enum spw_status check_metadata(const struct parse *parse, const struct spw_json *value)
{
    if (spw_json_kind(value) != SPW_JSON_OBJECT) {
        return SPW_FAIL(parse->error, SPW_ERR_USAGE,
                        "%s: __metadata__ is %s instead of an object; " CURE, parse->path,
                        spw_json_kind_name(spw_json_kind(value)));
    }
    struct spw_json_cursor cursor = {0};
    while (spw_json_next(value, &cursor)) {
        if (spw_json_kind(cursor.value) != SPW_JSON_STRING) {
            return SPW_FAIL(parse->error, SPW_ERR_USAGE,
                            "%s: __metadata__ holds %s, but its values must be strings; " CURE,
                            parse->path, spw_json_kind_name(spw_json_kind(cursor.value)));
        }
    }
    return SPW_OK;
}

/* By place in the file; tensors without data come before the one that starts where they lie. */
static int compare_entries(const void *left, const void *right)
{
    const struct spw_tensor_entry *a = left;
    const struct spw_tensor_entry *b = right;
    if (a->offset_bytes != b->offset_bytes) {
        return a->offset_bytes < b->offset_bytes ? -1 : 1;
    }
    if (a->bytes != b->bytes) {
        return a->bytes < b->bytes ? -1 : 1;
    }
    return strcmp(a->name, b->name);
}

/* A hole could hide another file, an overlap makes a small file unfold into a huge one. */
static enum spw_status check_tiling(struct parse *parse, const struct spw_safetensors *file)
{
    uint64_t next = parse->data_offset;
    for (uint64_t i = 0; i < file->count; i++) {
        const struct spw_tensor_entry *entry = &file->entries[i];
        parse->name = entry->name;
        if (entry->offset_bytes != next) {
            return REFUSE(parse,
                          "its data begins at file byte %" PRIu64 ", but the tensor before it ends "
                          "at %" PRIu64 ": %s are not allowed",
                          entry->offset_bytes, next,
                          entry->offset_bytes > next ? "holes" : "overlaps");
        }
        next += entry->bytes;
    }
    const uint64_t end = parse->data_offset + parse->data_bytes;
    if (next != end) {
        return SPW_FAIL(parse->error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": %" PRIu64 " bytes follow the last tensor; " CURE,
                        parse->path, next, end - next);
    }
    return SPW_OK;
}

static enum spw_status take_entries(struct parse *parse, const struct spw_json *header,
                                    struct spw_safetensors *out)
{
    const uint64_t members = spw_json_count(header);
    SPW_TRY(
        spw_arena_take(&out->arena, members, sizeof(*out->entries), parse->error, &out->entries));
    struct spw_json_cursor cursor = {0};
    while (spw_json_next(header, &cursor)) {
        if (strcmp(cursor.key, "__metadata__") == 0) {
            SPW_TRY(check_metadata(parse, cursor.value));
            continue;
        }
        SPW_TRY(check_tensor_name(parse, cursor.key));
        parse->name = cursor.key;
        struct spw_tensor_entry *entry = &out->entries[out->count];
        SPW_TRY(take_tensor(parse, cursor.value, entry));
        SPW_TRY(spw_arena_text(&out->arena, parse->error, &entry->name, "%s", cursor.key));
        out->count++;
    }
    qsort(out->entries, (size_t)out->count, sizeof(*out->entries), compare_entries);
    return check_tiling(parse, out);
}

/* The JSON object begins at once and only spaces may follow it. */
static enum spw_status trim(const struct parse *parse, const char *bytes, uint64_t *count)
{
    if (*count == 0 || bytes[0] != '{') {
        return SPW_FAIL(
            parse->error, SPW_ERR_USAGE,
            "%s: byte %d: the header must begin with '{'; is this a safetensors file? " CURE,
            parse->path, LENGTH_BYTES);
    }
    while (bytes[*count - 1] == ' ') {
        (*count)--;
    }
    if (bytes[*count - 1] != '}') {
        return SPW_FAIL(parse->error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": the header must end with '}' and spaces; " CURE,
                        parse->path, LENGTH_BYTES + *count - 1);
    }
    return SPW_OK;
}

enum spw_status spw_safetensors_parse(const struct spw_world *world, const char *path,
                                      const char *bytes, uint64_t header_bytes, uint64_t file_bytes,
                                      struct spw_error *error, struct spw_safetensors *out)
{
    struct parse parse = {.path = path, .error = error, .name = ""};
    if (!spw_checked_add(header_bytes, LENGTH_BYTES, &parse.data_offset) ||
        parse.data_offset > file_bytes) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte 0: a header of %" PRIu64 " bytes is announced, but the file has "
                        "%" PRIu64 "; " CURE,
                        path, header_bytes, file_bytes);
    }
    parse.data_bytes = file_bytes - parse.data_offset;
    uint64_t text_bytes = header_bytes;
    SPW_TRY(trim(&parse, bytes, &text_bytes));

    struct spw_json *header;
    SPW_TRY(spw_json_parse(path, LENGTH_BYTES, bytes, text_bytes, error, &header));
    struct spw_safetensors file = {.world = world};
    spw_arena_init(&file.arena, world);
    enum spw_status status;
    SPW_TRY_GOTO(spw_arena_text(&file.arena, error, &file.path, "%s", path), out);
    status = take_entries(&parse, header, &file);

out:
    spw_json_destroy(header);
    if (status != SPW_OK) {
        spw_arena_deinit(&file.arena);
        return status;
    }
    *out = file;
    return SPW_OK;
}
