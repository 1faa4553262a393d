/* schema.h — what keys a spec file has: one table of types, ranges, defaults and descriptions.
 *
 * The table drives everything that knows about keys: reading and typing values, defaults, messages,
 * `spillway schema`, the reference in docs/spec.md, and writing the resolved file. A key's value is
 * stored at an offset of the struct that its table belongs to, so adding a plain key takes one row
 * here and one member in spec.h. Tested by tests/selection/test_schema.c. */
#ifndef SPW_SELECTION_SCHEMA_H
#define SPW_SELECTION_SCHEMA_H

#include "base/text.h"
#include "selection/yaml.h"

enum spw_key_type {
    SPW_KEY_WHOLE,  /* uint64_t in [min, max] */
    SPW_KEY_NUMBER, /* double in [min, max] */
    SPW_KEY_BOOL,   /* bool: true or false, nothing else */
    SPW_KEY_CHOICE, /* int32_t: index into choices */
    SPW_KEY_TEXT,   /* const char * */
    SPW_KEY_NAME,   /* const char *: letters, digits, - and _ */
    SPW_KEY_PATH, /* const char *: relative to the spec's folder in the file, joined with it here */
    SPW_KEY_BYTES,  /* uint64_t: 8MiB */
    SPW_KEY_RATE,   /* uint64_t, bytes per second: 12GB/s */
    SPW_KEY_TIME,   /* uint64_t, nanoseconds: 5us */
    SPW_KEY_SIZES,  /* struct spw_sizes: a list of whole numbers in [min, max] */
    SPW_KEY_PAIR,   /* double[2], each in [min, max] */
    SPW_KEY_MAP,    /* a struct with its own table */
    SPW_KEY_CUSTOM, /* read by hand (models, layers, search); here for messages and the schema */
};

enum spw_key_flags {
    SPW_KEY_REQUIRED = 1,
    SPW_KEY_ABOVE_MIN = 2, /* min itself is not allowed */
    SPW_KEY_BELOW_MAX = 4, /* max itself is not allowed */
    SPW_KEY_OPTIONAL = 8,  /* may be unset: 0, NULL or NaN, and is then not written out */
    SPW_KEY_SHORT = 16,    /* MAP: a bare word means {name: word} */
};

/* A word that the larger design has for a value, with what to do instead. Ends in {NULL, NULL}. */
struct spw_unserved {
    const char *word;
    const char *cure;
};

#define SPW_SIZES_MAX 256
struct spw_sizes {
    int64_t *values;
    uint32_t count;
};

struct spw_key {
    const char *name; /* NULL ends a table */
    enum spw_key_type type;
    uint32_t flags;
    size_t offset;              /* of the value within the table's struct */
    const char *default_text;   /* NULL: none */
    double min, max;            /* inclusive but for the flags; max 0: none */
    const char *const *choices; /* CHOICE; ends in NULL */
    const char *word;           /* a word that stands for 0: "all", "none" */
    const struct spw_unserved *unserved;
    const struct spw_key *children; /* MAP */
    uint32_t scope;                 /* model keys: mask of 1 << enum spw_model_source, 0: all */
    const char *doc;                /* one sentence, without a full stop */
};

extern const struct spw_key spw_spec_keys[];    /* struct spw_spec */
extern const struct spw_key spw_model_keys[];   /* struct spw_model_spec; an entry of models */
extern const struct spw_key spw_train_keys[];   /* struct spw_train_spec */
extern const struct spw_key spw_search_keys[];  /* struct spw_search_spec */
extern const struct spw_key spw_machine_keys[]; /* struct spw_machine_file; a file of its own */

/* A kind of layer under models.layers. */
struct spw_layer_kind {
    const char *name;           /* NULL ends the table */
    const struct spw_key *keys; /* of struct spw_layer_spec; without rows: no settings */
    const char *doc;
};
extern const struct spw_layer_kind spw_layer_kinds[];

/* What reading needs besides the value. */
struct spw_key_context {
    struct spw_arena *arena;
    struct spw_error *error;
    const char *folder; /* of the spec, as the user wrote it; "" for the current one */
};

/* The row called `name` of a table, or NULL. `name` may end at a dot. */
const struct spw_key *spw_key_find(const struct spw_key *table, const char *name, size_t length);
/* Walks "optimizer.weight_decay" from `table`; *offset is within the table's struct. NULL if there
 * is no such key or it is a MAP or CUSTOM one. */
const struct spw_key *spw_key_walk(const struct spw_key *table, const char *path, size_t *offset);
/* "train.lr", or "lr" at the top, where `path` is "". */
void spw_key_join(const char *path, const char *name, char out[256]);

/* Types one value and stores it in `base` (the table's struct). `path` ("train.lr") is for
 * messages. SPW_ERR_USAGE with the place, the reason and the cure. Not for CUSTOM keys; a MAP reads
 * its table. */
enum spw_status spw_key_set(const struct spw_key_context *context, const struct spw_key *key,
                            const char *path, const struct spw_yaml_node *node, void *base);
/* Stores the defaults of a whole table in `base`. */
enum spw_status spw_table_defaults(const struct spw_key_context *context,
                                   const struct spw_key *table, void *base);
/* Reads the keys of `map` into `base`, whose defaults are set already; CUSTOM ones are left to the
 * caller. Unknown, unserved and missing keys are refused. `scope`: 0, or this model's bit. */
enum spw_status spw_table_read(const struct spw_key_context *context, const struct spw_key *table,
                               const char *path, const struct spw_yaml_node *map, uint32_t scope,
                               void *base);
/* The refusal of `key` (a node of the map at `path`) that `table` does not have: not served yet,
 * known elsewhere under another name, or unknown, with the nearest name. */
enum spw_status spw_key_refuse_unknown(const struct spw_key_context *context,
                                       const struct spw_key *table, const char *path,
                                       const struct spw_yaml_node *key);

/* Records "FILE:LINE:COLUMN: PATH: WHY" at `node`. */
void spw_key_refusal(const struct spw_key_context *context, const struct spw_yaml_node *node,
                     const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same as a status, SPW_ERR_USAGE. */
#define SPW_KEY_REFUSE(context, ...) (spw_key_refusal((context), __VA_ARGS__), SPW_ERR_USAGE)

/* Appends the value as the file has it; paths get `directory` before them unless they are absolute.
 */
void spw_key_print(struct spw_text *out, const struct spw_key *key, const void *base,
                   const char *directory);
/* Whether an optional value is unset. */
bool spw_key_unset(const struct spw_key *key, const void *base);

/* The JSON Schema of a spec file. */
void spw_schema_print(struct spw_text *out);
/* The reference of docs/spec.md: a row "| `train.lr` | number > 0 | `1e-3` | doc |" per key. */
void spw_schema_print_rows(struct spw_text *out);
/* "a number above 0", for messages and the reference; `out` is the return value. */
const char *spw_key_type_text(const struct spw_key *key, char out[256]);

#endif
