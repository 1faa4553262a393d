/* json.h — strict reading of JSON texts, and quoting for those who write them.
 *
 * Hides the JSON library, which is named in json.c only. Duplicate keys, bad UTF-8, NUL in strings,
 * integers beyond 64 bits, text after the end and nesting deeper than SPW_JSON_DEPTH_MAX are
 * refused. The library allocates for itself, in proportion to the text; it does not know the world.
 * Tested by tests/models/test_json.c. */
#ifndef SPW_MODELS_JSON_H
#define SPW_MODELS_JSON_H

#include "base/text.h"

#define SPW_JSON_DEPTH_MAX 32

struct spw_json; /* one value; borrowed from its document, which is the outermost value */

enum spw_json_kind {
    SPW_JSON_NULL,
    SPW_JSON_BOOL,
    SPW_JSON_INTEGER,
    SPW_JSON_REAL,
    SPW_JSON_STRING,
    SPW_JSON_ARRAY,
    SPW_JSON_OBJECT,
};

/* Parses `count` bytes, which need no NUL at their end. `path` and `first_byte`, the place of
 * bytes[0] in that file, are for messages. SPW_ERR_USAGE with file and place, or SPW_ERR_NO_MEMORY.
 * The caller destroys *out. */
enum spw_status spw_json_parse(const char *path, uint64_t first_byte, const char *bytes,
                               uint64_t count, struct spw_error *error, struct spw_json **out);
void spw_json_destroy(struct spw_json *document);

enum spw_json_kind spw_json_kind(const struct spw_json *value);
const char *spw_json_kind_name(enum spw_json_kind kind); /* "a string", "an object", ... */

/* Each asserts that the value is of the kind. Texts live as long as the document. */
bool spw_json_bool(const struct spw_json *value);
int64_t spw_json_integer(const struct spw_json *value);
double spw_json_number(const struct spw_json *value); /* of an integer or a real */
const char *spw_json_string(const struct spw_json *value);
uint64_t spw_json_count(const struct spw_json *value); /* of an array or an object */
const struct spw_json *spw_json_at(const struct spw_json *array, uint64_t index);

/* The member called `key`, or NULL. */
const struct spw_json *spw_json_member(const struct spw_json *object, const char *key);

/* Walks over an object's members in the order of the text; starts from a zeroed cursor. */
struct spw_json_cursor {
    const char *key;
    const struct spw_json *value;
    void *place;
};
bool spw_json_next(const struct spw_json *object, struct spw_json_cursor *cursor);

/* `text` fit for a message: cut, and with '?' for control characters, which a hostile file could
 * send to a terminal. `out` is the return value. */
#define SPW_JSON_PRINT_BYTES 160
const char *spw_json_printable(const char *text, char out[SPW_JSON_PRINT_BYTES]);

/* Appends `string` in quotes, escaped. */
void spw_json_add_string(struct spw_text *text, const char *string);

#endif
