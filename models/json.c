/* json.c — JSON through jansson, with limits that jansson doesn't have.
 *
 * The only file that names jansson. Its depth limit (2048) is a matter of its build, so the depth
 * is checked before it sees the text. Tested by tests/models/test_json.c and the fuzz targets. */
#include "models/json.h"

#include "base/assert.h"
#include "base/status.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const json_t *native_of(const struct spw_json *value)
{
    return (const json_t *)(const void *)value;
}

static struct spw_json *wrap(json_t *native)
{
    return (struct spw_json *)(void *)native;
}

/* Brackets outside strings; whether they match is jansson's business. */
static enum spw_status check_depth(const char *path, uint64_t first_byte, const char *bytes,
                                   uint64_t count, struct spw_error *error)
{
    uint32_t depth = 0;
    bool in_string = false;
    for (uint64_t i = 0; i < count; i++) {
        const char byte = bytes[i];
        if (in_string) {
            if (byte == '\\') {
                i++;
            } else if (byte == '"') {
                in_string = false;
            }
        } else if (byte == '"') {
            in_string = true;
        } else if (byte == '[' || byte == '{') {
            depth++;
            if (depth > SPW_JSON_DEPTH_MAX) {
                return SPW_FAIL(error, SPW_ERR_USAGE,
                                "%s: byte %" PRIu64 ": nested deeper than %d levels; no model file "
                                "needs that, get the file again from its source",
                                path, first_byte + i, SPW_JSON_DEPTH_MAX);
            }
        } else if ((byte == ']' || byte == '}') && depth > 0) {
            depth--;
        }
    }
    return SPW_OK;
}

enum spw_status spw_json_parse(const char *path, uint64_t first_byte, const char *bytes,
                               uint64_t count, struct spw_error *error, struct spw_json **out)
{
    SPW_TRY(check_depth(path, first_byte, bytes, count, error));
    json_error_t trouble;
    json_t *document = json_loadb(bytes, (size_t)count, JSON_REJECT_DUPLICATES, &trouble);
    if (document != NULL) {
        *out = wrap(document);
        return SPW_OK;
    }
    if (json_error_code(&trouble) == json_error_out_of_memory) {
        return SPW_FAIL(error, SPW_ERR_NO_MEMORY, "%s: no memory to read %" PRIu64 " bytes of JSON",
                        path, count);
    }
    char text[SPW_JSON_PRINT_BYTES];
    const uint64_t place = trouble.position > 0 ? (uint64_t)trouble.position : 0;
    return SPW_FAIL(error, SPW_ERR_USAGE,
                    "%s: byte %" PRIu64 " (line %d, column %d): not the JSON it should be: %s; "
                    "mend it there or get the file again from its source",
                    path, first_byte + place, trouble.line, trouble.column,
                    spw_json_printable(trouble.text, text));
}

void spw_json_destroy(struct spw_json *document)
{
    json_decref((json_t *)(void *)document);
}

enum spw_json_kind spw_json_kind(const struct spw_json *value)
{
    switch (json_typeof(native_of(value))) {
    case JSON_OBJECT:
        return SPW_JSON_OBJECT;
    case JSON_ARRAY:
        return SPW_JSON_ARRAY;
    case JSON_STRING:
        return SPW_JSON_STRING;
    case JSON_INTEGER:
        return SPW_JSON_INTEGER;
    case JSON_REAL:
        return SPW_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return SPW_JSON_BOOL;
    case JSON_NULL:
        return SPW_JSON_NULL;
    }
    SPW_NEVER("a kind of JSON value");
}

const char *spw_json_kind_name(enum spw_json_kind kind)
{
    static const char *const names[] = {
        [SPW_JSON_NULL] = "null",          [SPW_JSON_BOOL] = "true or false",
        [SPW_JSON_INTEGER] = "an integer", [SPW_JSON_REAL] = "a fraction",
        [SPW_JSON_STRING] = "a string",    [SPW_JSON_ARRAY] = "a list",
        [SPW_JSON_OBJECT] = "an object",
    };
    return names[kind];
}

bool spw_json_bool(const struct spw_json *value)
{
    SPW_ASSERT(json_is_boolean(native_of(value)));
    return json_is_true(native_of(value));
}

int64_t spw_json_integer(const struct spw_json *value)
{
    SPW_ASSERT(json_is_integer(native_of(value)));
    return json_integer_value(native_of(value));
}

double spw_json_number(const struct spw_json *value)
{
    SPW_ASSERT(json_is_number(native_of(value)));
    return json_number_value(native_of(value));
}

const char *spw_json_string(const struct spw_json *value)
{
    SPW_ASSERT(json_is_string(native_of(value)));
    return json_string_value(native_of(value));
}

uint64_t spw_json_count(const struct spw_json *value)
{
    const json_t *native = native_of(value);
    SPW_ASSERT(json_is_array(native) || json_is_object(native));
    return json_is_array(native) ? json_array_size(native) : json_object_size(native);
}

const struct spw_json *spw_json_at(const struct spw_json *array, uint64_t index)
{
    SPW_ASSERT(index < spw_json_count(array));
    return wrap(json_array_get(native_of(array), (size_t)index));
}

const struct spw_json *spw_json_member(const struct spw_json *object, const char *key)
{
    SPW_ASSERT(json_is_object(native_of(object)));
    return wrap(json_object_get(native_of(object), key));
}

bool spw_json_next(const struct spw_json *object, struct spw_json_cursor *cursor)
{
    /* jansson's walk takes a non-const object, though it changes nothing. */
    json_t *native = (json_t *)(uintptr_t)object;
    cursor->place = cursor->place == NULL ? json_object_iter(native)
                                          : json_object_iter_next(native, cursor->place);
    if (cursor->place == NULL) {
        return false;
    }
    cursor->key = json_object_iter_key(cursor->place);
    cursor->value = wrap(json_object_iter_value(cursor->place));
    return true;
}

const char *spw_json_printable(const char *text, char out[SPW_JSON_PRINT_BYTES])
{
    const int needed = snprintf(out, SPW_JSON_PRINT_BYTES, "%s", text);
    if (needed >= SPW_JSON_PRINT_BYTES) {
        memcpy(out + SPW_JSON_PRINT_BYTES - 4, "...", 4);
    }
    for (char *at = out; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            *at = '?';
        }
    }
    return out;
}

void spw_json_add_string(struct spw_text *text, const char *string)
{
    spw_text_add(text, "\"");
    for (const char *at = string; *at != '\0'; at++) {
        const unsigned char byte = (unsigned char)*at;
        if (byte == '"' || byte == '\\') {
            spw_text_add(text, "\\%c", byte);
        } else if (byte < 0x20) {
            spw_text_add(text, "\\u%04x", byte);
        } else {
            spw_text_add_bytes(text, at, 1);
        }
    }
    spw_text_add(text, "\"");
}
