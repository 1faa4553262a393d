/* schema_read.c — reads the keys of one map into a table's struct, and the defaults before them.
 * Tested by tests/selection/test_schema.c. */
#include "selection/schema.h"

#include "base/assert.h"
#include "base/status.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Defaults are texts of the table, so that the schema prints what the program does. */
static enum spw_status set_default(const struct spw_key_context *context, const struct spw_key *key,
                                   void *base)
{
    char *at = (char *)base + key->offset;
    if (key->type == SPW_KEY_MAP) {
        return spw_table_defaults(context, key->children, at);
    }
    if (key->type == SPW_KEY_NUMBER && (key->flags & SPW_KEY_OPTIONAL) != 0) {
        *(double *)(void *)at = NAN;
    }
    if (key->default_text == NULL) {
        return SPW_OK; /* zero */
    }
    if (key->type == SPW_KEY_PAIR) {
        double pair[2];
        SPW_ASSERT(sscanf(key->default_text, "[%lf, %lf]", &pair[0], &pair[1]) == 2);
        memcpy(at, pair, sizeof(pair));
        return SPW_OK;
    }
    const struct spw_yaml_source source = {.override_text = "the default"};
    const struct spw_yaml_node node = {
        .kind = SPW_YAML_SCALAR, .source = &source, .text = key->default_text};
    return spw_key_set(context, key, key->name, &node, base);
}

enum spw_status spw_table_defaults(const struct spw_key_context *context,
                                   const struct spw_key *table, void *base)
{
    for (const struct spw_key *key = table; key->name != NULL; key++) {
        SPW_TRY(set_default(context, key, base));
    }
    return SPW_OK;
}

/* Which of the model's sources a key belongs to, for its refusal. */
static enum spw_status refuse_scope(const struct spw_key_context *context,
                                    const struct spw_key *key, const char *path,
                                    const struct spw_yaml_node *node)
{
    static const char *const sources[] = {"arch: mlp",  "arch: cnn", "arch: resnet",
                                          "arch: gpt2", "layers",    "from"};
    char place[320], list[160] = "";
    for (uint32_t i = 0; i < 6; i++) {
        if ((key->scope & (1u << i)) != 0) {
            const size_t used = strlen(list);
            (void)snprintf(list + used, sizeof(list) - used, "%s%s", used == 0 ? "" : ", ",
                           sources[i]);
        }
    }
    return SPW_FAIL(context->error, SPW_ERR_USAGE,
                    "%s: %s: %s belongs to models with %s; leave it out",
                    spw_yaml_place(node, place), path, key->name, list);
}

static enum spw_status check_required(const struct spw_key_context *context,
                                      const struct spw_key *table, const char *path,
                                      const struct spw_yaml_node *map)
{
    char place[320], type[256], full[256];
    for (const struct spw_key *key = table; key->name != NULL; key++) {
        if ((key->flags & SPW_KEY_REQUIRED) != 0 && spw_yaml_member(map, key->name) == NULL) {
            spw_key_join(path, key->name, full);
            return SPW_FAIL(context->error, SPW_ERR_USAGE, "%s: %s is missing; give %s (%s)",
                            spw_yaml_place(map, place), full, spw_key_type_text(key, type),
                            key->doc);
        }
    }
    return SPW_OK;
}

/* `policy: fifo` is short for `policy: {name: fifo}`. */
static enum spw_status read_short(const struct spw_key_context *context, const struct spw_key *key,
                                  const char *path, const struct spw_yaml_node *node, void *base)
{
    const struct spw_key *name = spw_key_find(key->children, "name", 4);
    SPW_ASSERT(name != NULL);
    return spw_key_set(context, name, path, node, (char *)base + key->offset);
}

enum spw_status spw_table_read(const struct spw_key_context *context, const struct spw_key *table,
                               const char *path, const struct spw_yaml_node *map, uint32_t scope,
                               void *base)
{
    if (map->kind != SPW_YAML_MAP) {
        char place[320], node[96];
        return SPW_FAIL(context->error, SPW_ERR_USAGE, "%s: %s is %s; it must be a map of keys",
                        spw_yaml_place(map, place), path[0] != '\0' ? path : "the file",
                        spw_yaml_describe(map, node));
    }
    for (const struct spw_yaml_entry *entry = map->entries; entry != NULL; entry = entry->next) {
        const struct spw_key *key = spw_key_find(table, entry->key->text, strlen(entry->key->text));
        if (key == NULL) {
            return spw_key_refuse_unknown(context, table, path, entry->key);
        }
        char full[256];
        spw_key_join(path, key->name, full);
        if (scope != 0 && key->scope != 0 && (key->scope & scope) == 0) {
            return refuse_scope(context, key, path, entry->key);
        }
        if (key->type == SPW_KEY_CUSTOM) {
            continue;
        }
        if ((key->flags & SPW_KEY_SHORT) != 0 && entry->value->kind == SPW_YAML_SCALAR) {
            SPW_TRY(read_short(context, key, full, entry->value, base));
            continue;
        }
        SPW_TRY(spw_key_set(context, key, full, entry->value, base));
    }
    return check_required(context, table, path, map);
}
