/* yaml.h — reads one YAML document into a small tree that keeps places and quotes.
 *
 * Hides the YAML library, which is named in yaml.c only. It gives scalars as raw text: what "1e-4"
 * or "yes" means is for the schema to say (selection/schema.h). Deliberately less than YAML: one
 * document of UTF-8, no tags, no merge keys, no duplicate keys, limits below. The library allocates
 * for itself, in proportion to the text. Tested by tests/selection/test_yaml.c and
 * tests/fuzz/fuzz_spec.c. */
#ifndef SPW_SELECTION_YAML_H
#define SPW_SELECTION_YAML_H

#include "base/arena.h"

#define SPW_YAML_BYTES_MAX (1u << 20)
#define SPW_YAML_DEPTH_MAX 32
#define SPW_YAML_NODES_MAX 10000 /* aliases count as often as they are used */

enum spw_yaml_kind { SPW_YAML_SCALAR, SPW_YAML_LIST, SPW_YAML_MAP };

/* Where a text came from, for messages: a file, or one word of the command line. */
struct spw_yaml_source {
    const char *path;          /* as the user wrote it; NULL: an override */
    uint32_t override_index;   /* from 1; 0: a flag of its own */
    const char *override_text; /* "train.lr=abc" */
};

struct spw_yaml_node;

/* A pair of a map, or an item of a list (key NULL). In the order of the text. */
struct spw_yaml_entry {
    struct spw_yaml_node *key; /* a scalar */
    struct spw_yaml_node *value;
    struct spw_yaml_entry *next;
};

struct spw_yaml_node {
    enum spw_yaml_kind kind;
    bool quoted; /* a scalar in quotes or a block scalar */
    const struct spw_yaml_source *source;
    uint32_t line, column; /* from 1 */
    const char *text;      /* SCALAR, NUL-terminated, without NUL inside */
    struct spw_yaml_entry *entries;
    struct spw_yaml_entry *last_entry;
    uint32_t count; /* of entries */
    uint32_t nodes; /* in this subtree, itself included */
};

/* Parses `count` bytes; everything is allocated from `arena`, `source` is borrowed. SPW_ERR_USAGE
 * with place, reason and cure. An empty document is an error. */
enum spw_status spw_yaml_parse(struct spw_arena *arena, const struct spw_yaml_source *source,
                               const char *bytes, uint64_t count, struct spw_error *error,
                               struct spw_yaml_node **out);

/* The value of `key`, or NULL; for maps. */
struct spw_yaml_node *spw_yaml_member(const struct spw_yaml_node *map, const char *key);
/* Item `index` of a list. */
struct spw_yaml_node *spw_yaml_item(const struct spw_yaml_node *list, uint32_t index);

/* A node without children at the place of `like`: what overrides and defaults are made of. */
enum spw_status spw_yaml_make(struct spw_arena *arena, const struct spw_yaml_node *like,
                              enum spw_yaml_kind kind, const char *text, struct spw_error *error,
                              struct spw_yaml_node **out);
/* Appends an entry; `key` NULL for lists. */
enum spw_status spw_yaml_append(struct spw_arena *arena, struct spw_yaml_node *parent,
                                struct spw_yaml_node *key, struct spw_yaml_node *value,
                                struct spw_error *error);

/* "a list", "a map", "the text \"x\"": what a node is, for messages; `out` is the return value. */
const char *spw_yaml_describe(const struct spw_yaml_node *node, char out[96]);
/* "file.yaml:3:14" or "override 2: train.lr=abc"; `out` is the return value. */
const char *spw_yaml_place(const struct spw_yaml_node *node, char out[320]);

/* Appends a scalar that reads back as `text`: plain where that is safe, else in double quotes. */
struct spw_text;
void spw_yaml_add_text(struct spw_text *out, const char *text);

/* The library's name and version, for reports. */
const char *spw_yaml_library(void);

#endif
