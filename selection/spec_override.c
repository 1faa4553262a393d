/* spec_override.c — key=value words of the command line, applied to the file's tree before it is
 * typed, so that they obey the same rules. Tested by tests/selection/test_spec.c. */
#include "selection/spec_read.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define KEY_BYTES_MAX 200

struct edit {
    const struct spw_key_context *context;
    const struct spw_yaml_node *at; /* carries the word's place */
    struct spw_yaml_node *value;
};

static enum spw_status copy_node(const struct edit *edit, const struct spw_yaml_node *node,
                                 struct spw_yaml_node **out)
{
    struct spw_arena *arena = edit->context->arena;
    struct spw_error *error = edit->context->error;
    struct spw_yaml_node *copy = NULL;
    SPW_TRY(spw_arena_take(arena, 1, sizeof(*copy), error, &copy));
    *copy = *node;
    copy->entries = copy->last_entry = NULL;
    copy->count = 0;
    for (const struct spw_yaml_entry *entry = node->entries; entry != NULL; entry = entry->next) {
        SPW_TRY(spw_yaml_append(arena, copy, entry->key, entry->value, error));
    }
    *out = copy;
    return SPW_OK;
}

/* `policy: fifo` becomes `policy: {name: fifo}` when one of its other keys is set. */
static bool has_short_form(const char *name)
{
    return strcmp(name, "policy") == 0 || strcmp(name, "optimizer") == 0 ||
           strcmp(name, "schedule") == 0;
}

static enum spw_status open_short(const struct edit *edit, const char *name,
                                  struct spw_yaml_node **node)
{
    if ((*node)->kind != SPW_YAML_SCALAR) {
        return SPW_OK;
    }
    struct spw_arena *arena = edit->context->arena;
    struct spw_error *error = edit->context->error;
    if (!has_short_form(name)) {
        return SPW_KEY_REFUSE(edit->context, edit->at, name, "is a value and has no keys");
    }
    struct spw_yaml_node *map = NULL, *key = NULL;
    SPW_TRY(spw_yaml_make(arena, *node, SPW_YAML_MAP, NULL, error, &map));
    SPW_TRY(spw_yaml_make(arena, *node, SPW_YAML_SCALAR, "name", error, &key));
    SPW_TRY(spw_yaml_append(arena, map, key, *node, error));
    *node = map;
    return SPW_OK;
}

/* The entry of a list that a path names: by position, or by `id`. */
static enum spw_status find_item(const struct edit *edit, struct spw_yaml_node *list,
                                 const char *name, struct spw_yaml_entry **out)
{
    uint64_t index = UINT64_MAX;
    const bool by_position = spw_parse_unsigned(name, UINT32_MAX, &index);
    uint64_t position = 0;
    for (struct spw_yaml_entry *entry = list->entries; entry != NULL;
         entry = entry->next, position++) {
        const struct spw_yaml_node *id =
            entry->value->kind == SPW_YAML_MAP ? spw_yaml_member(entry->value, "id") : NULL;
        const bool same_id = id != NULL && id->kind == SPW_YAML_SCALAR &&
                             strcmp(id->text, name) == 0;
        if (same_id || (by_position && position == index)) {
            *out = entry;
            return SPW_OK;
        }
    }
    return SPW_KEY_REFUSE(edit->context, edit->at, name,
                          "no entry has this id; give an id of the file or a position from 0");
}

/* The entry `name` of a map, made if it is missing. */
static enum spw_status find_member(const struct edit *edit, struct spw_yaml_node *map,
                                   const char *name, struct spw_yaml_entry **out)
{
    struct spw_arena *arena = edit->context->arena;
    struct spw_error *error = edit->context->error;
    for (struct spw_yaml_entry *entry = map->entries; entry != NULL; entry = entry->next) {
        if (strcmp(entry->key->text, name) == 0) {
            *out = entry;
            return SPW_OK;
        }
    }
    struct spw_yaml_node *key = NULL, *value = NULL;
    const char *text = NULL;
    SPW_TRY(spw_arena_text(arena, error, &text, "%s", name));
    SPW_TRY(spw_yaml_make(arena, edit->at, SPW_YAML_SCALAR, text, error, &key));
    SPW_TRY(spw_yaml_make(arena, edit->at, SPW_YAML_MAP, NULL, error, &value));
    SPW_TRY(spw_yaml_append(arena, map, key, value, error));
    *out = map->last_entry;
    return SPW_OK;
}

static enum spw_status set_at(const struct edit *edit, const char *path, const char *parent,
                              struct spw_yaml_node **node)
{
    /* One level per step of the path, and paths have at most KEY_BYTES_MAX characters. */
    SPW_TRY(open_short(edit, parent, node));
    SPW_TRY(copy_node(edit, *node, node));

    /* Under search.parameters a whole path is one key. */
    const bool whole = strcmp(parent, "parameters") == 0;
    const size_t length = whole ? strlen(path) : strcspn(path, ".");
    char name[KEY_BYTES_MAX + 1];
    (void)snprintf(name, sizeof(name), "%.*s", (int)length, path);
    if (length == 0) {
        return SPW_KEY_REFUSE(edit->context, edit->at, "key", "an empty step in its path");
    }
    struct spw_yaml_entry *entry = NULL;
    if ((*node)->kind == SPW_YAML_LIST) {
        SPW_TRY(find_item(edit, *node, name, &entry));
    } else {
        SPW_TRY(find_member(edit, *node, name, &entry));
    }
    if (path[length] == '\0') {
        entry->value = edit->value;
        if (entry->key != NULL) {
            /* Copied, so that messages about the key point at the command line. */
            SPW_TRY(spw_yaml_make(edit->context->arena, edit->at, SPW_YAML_SCALAR, entry->key->text,
                                  edit->context->error, &entry->key));
        }
        return SPW_OK;
    }
    return set_at(edit, path + length + 1, name, &entry->value);
}

enum spw_status spw_override_apply(const struct spw_key_context *context,
                                   const struct spw_yaml_source *source, const char *word,
                                   struct spw_yaml_node **root)
{
    const struct spw_yaml_node at = {.source = source, .line = 1, .column = 1};
    const char *equals = strchr(word, '=');
    if (equals == NULL || equals == word || equals - word > KEY_BYTES_MAX) {
        return SPW_KEY_REFUSE(context, &at, "override",
                              "write key=value, such as train.lr=1e-4; the key has up to 200 "
                              "characters");
    }
    if (equals[1] == '\0') {
        return SPW_KEY_REFUSE(context, &at, "override", "nothing stands after =; give a value");
    }
    char path[KEY_BYTES_MAX + 1];
    (void)snprintf(path, sizeof(path), "%.*s", (int)(equals - word), word);
    struct edit edit = {.context = context, .at = &at};
    SPW_TRY(spw_yaml_parse(context->arena, source, equals + 1, strlen(equals + 1), context->error,
                           &edit.value));
    return set_at(&edit, path, "", root);
}
