/* spec_print.c — the resolved spec as a file: every key with its value, every path absolute.
 * Tested by tests/selection/test_spec.c: reading it back gives an equal spec. */
#include "selection/spec.h"

#include "base/status.h"

#include <string.h>

struct printer {
    struct spw_text *out;
    const char *directory;
    const char *machine; /* instead of the spec's, or NULL */
    uint32_t scope;      /* of a model, else 0 */
};

/* As it was written, in one line. */
static void print_node(struct spw_text *out, const struct spw_yaml_node *node)
{
    if (node->kind == SPW_YAML_SCALAR) {
        if (node->quoted) {
            spw_yaml_add_text(out, node->text);
        } else {
            spw_text_add(out, "%s", node->text);
        }
        return;
    }
    const bool is_map = node->kind == SPW_YAML_MAP;
    spw_text_add(out, "%s", is_map ? "{" : "[");
    for (const struct spw_yaml_entry *entry = node->entries; entry != NULL; entry = entry->next) {
        if (is_map) {
            spw_yaml_add_text(out, entry->key->text);
            spw_text_add(out, ": ");
        }
        /* At most SPW_YAML_DEPTH_MAX levels deep. */
        print_node(out, entry->value);
        spw_text_add(out, "%s", entry->next != NULL ? ", " : "");
    }
    spw_text_add(out, "%s", is_map ? "}" : "]");
}

static void print_table(const struct printer *printer, const struct spw_key *table,
                        const void *base, int indent)
{
    for (const struct spw_key *key = table; key->name != NULL; key++) {
        const bool foreign = printer->scope != 0 && key->scope != 0 &&
                             (key->scope & printer->scope) == 0;
        if (key->type == SPW_KEY_CUSTOM || foreign || spw_key_unset(key, base)) {
            continue;
        }
        spw_text_add(printer->out, "%*s%s:", indent, "", key->name);
        if (key->type == SPW_KEY_MAP) {
            spw_text_add(printer->out, "\n");
            print_table(printer, key->children, (const char *)base + key->offset, indent + 2);
            continue;
        }
        spw_text_add(printer->out, " ");
        if (table == spw_spec_keys && strcmp(key->name, "machine") == 0 &&
            printer->machine != NULL) {
            spw_yaml_add_text(printer->out, printer->machine);
        } else {
            spw_key_print(printer->out, key, base, printer->directory);
        }
        spw_text_add(printer->out, "\n");
    }
}

static void print_named_node(struct spw_text *out, int indent, const char *name,
                             const struct spw_yaml_node *node)
{
    if (node == NULL) {
        return;
    }
    spw_text_add(out, "%*s%s: ", indent, "", name);
    print_node(out, node);
    spw_text_add(out, "\n");
}

static void print_model(const struct printer *printer, const struct spw_model_spec *model)
{
    struct printer inner = *printer;
    inner.scope = 1u << model->source;
    spw_text_add(printer->out, "  -\n");
    print_table(&inner, spw_model_keys, model, 4);
    if (model->source == SPW_MODEL_LAYERS) {
        spw_text_add(printer->out, "    layers:\n");
        for (uint32_t i = 0; i < model->layer_count; i++) {
            spw_text_add(printer->out, "      - ");
            print_node(printer->out, model->layers[i].node);
            spw_text_add(printer->out, "\n");
        }
    }
    print_named_node(printer->out, 4, "train", model->train_node);
    print_named_node(printer->out, 4, "search", model->search.node);
}

void spw_spec_print(const struct spw_spec *spec, const char *directory, const char *machine,
                    struct spw_text *out)
{
    const struct printer printer = {.out = out, .directory = directory, .machine = machine};
    spw_text_add(out,
                 "# The resolved spec of a run of Spillway %s: `spillway run` of this file "
                 "reproduces it.\n",
                 SPW_VERSION);
    print_table(&printer, spw_spec_keys, spec, 0);
    print_named_node(out, 0, "search", spec->search.node);
    spw_text_add(out, "models:\n");
    for (uint32_t i = 0; i < spec->model_count; i++) {
        print_model(&printer, &spec->models[i]);
    }
}
