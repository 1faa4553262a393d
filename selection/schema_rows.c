/* schema_rows.c — the tables as rows of the reference, docs/spec.md.
 * Tested by tests/cli/test_docs.py. */
#include "selection/schema.h"

#include <stdio.h>
#include <string.h>

static void print_row(struct spw_text *out, const char *prefix, const struct spw_key *key)
{
    char type[256];
    const char *fallback = key->default_text;
    if (fallback == NULL) {
        fallback = (key->flags & SPW_KEY_REQUIRED) != 0 ? "required" : NULL;
    }
    spw_text_add(out, "| `%s%s%s` | %s | ", prefix, prefix[0] != '\0' ? "." : "", key->name,
                 key->type == SPW_KEY_CUSTOM ? "" : spw_key_type_text(key, type));
    if (key->default_text != NULL) {
        spw_text_add(out, "`%s`", fallback);
    } else if (fallback != NULL) {
        spw_text_add(out, "%s", fallback);
    }
    spw_text_add(out, " | %s |\n", key->doc);
}

static void print_rows(struct spw_text *out, const char *prefix, const struct spw_key *table)
{
    for (const struct spw_key *key = table; key->name != NULL; key++) {
        print_row(out, prefix, key);
        char full[128];
        (void)snprintf(full, sizeof(full), "%s%s%s", prefix, prefix[0] != '\0' ? "." : "",
                       key->name);
        if (key->type == SPW_KEY_MAP) {
            print_rows(out, full, key->children);
        } else if (key->type == SPW_KEY_CUSTOM && strcmp(full, "models") == 0) {
            print_rows(out, "models[]", spw_model_keys);
        } else if (key->type == SPW_KEY_CUSTOM && strcmp(full, "search") == 0) {
            print_rows(out, "search", spw_search_keys);
        }
    }
}

void spw_schema_print_rows(struct spw_text *out)
{
    spw_text_add(out, "| key | value | default | meaning |\n|---|---|---|---|\n");
    print_rows(out, "", spw_spec_keys);
    spw_text_add(out, "\n| layer | setting | value | default | meaning |\n|---|---|---|---|---|\n");
    for (const struct spw_layer_kind *kind = spw_layer_kinds; kind->name != NULL; kind++) {
        spw_text_add(out, "| `%s` | | | | %s |\n", kind->name, kind->doc);
        for (const struct spw_key *key = kind->keys; key->name != NULL; key++) {
            spw_text_add(out, "| ");
            print_row(out, "", key);
        }
    }
}
