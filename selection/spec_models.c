/* spec_models.c — the `models` of a spec, with their own train keys.
 * Tested by tests/selection/test_spec.c. */
#include "selection/spec_read.h"

#include "base/assert.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define MODELS_MAX 4096
#define OVERRIDES_MAX 32 /* more than train has keys */

/* Collects the leaves of a model's `train` map. */
struct collection {
    const struct spw_key_context *context;
    struct spw_model_spec *model;
    const struct spw_assign_target *target; /* scratch, to type the values in */
};

static enum spw_status collect_leaf(const struct collection *collection, const char *path,
                                    const struct spw_yaml_entry *entry)
{
    struct spw_model_spec *model = collection->model;
    const struct spw_key_context *context = collection->context;
    SPW_ASSERT(model->override_count < OVERRIDES_MAX); /* keys are unique and fewer */
    struct spw_assignment *assignment = &model->overrides[model->override_count];
    SPW_TRY(spw_arena_text(context->arena, context->error, &assignment->path, "%s", path));
    assignment->value = entry->value;
    SPW_TRY(spw_assign(context, assignment->path, entry->key, entry->value, collection->target));
    model->override_count++;
    return SPW_OK;
}

static enum spw_status collect(const struct collection *collection, const struct spw_key *table,
                               const char *path, const struct spw_yaml_node *map)
{
    if (map->kind != SPW_YAML_MAP) {
        return SPW_KEY_REFUSE(collection->context, map, path, "must be a map of keys of train");
    }
    for (const struct spw_yaml_entry *entry = map->entries; entry != NULL; entry = entry->next) {
        const struct spw_key *key = spw_key_find(table, entry->key->text, strlen(entry->key->text));
        if (key == NULL) {
            return spw_key_refuse_unknown(collection->context, table, path, entry->key);
        }
        char full[200];
        const bool is_short = (key->flags & SPW_KEY_SHORT) != 0 &&
                              entry->value->kind == SPW_YAML_SCALAR;
        (void)snprintf(full, sizeof(full), "%s.%s%s", path, key->name, is_short ? ".name" : "");
        if (key->type == SPW_KEY_MAP && !is_short) {
            SPW_TRY(collect(collection, key->children, full, entry->value));
        } else {
            SPW_TRY(collect_leaf(collection, full, entry));
        }
    }
    return SPW_OK;
}

static enum spw_status read_train(const struct spw_key_context *context,
                                  const struct spw_spec *spec, struct spw_model_spec *model)
{
    if (model->train_node == NULL) {
        return SPW_OK;
    }
    struct spw_train_spec train = spec->train;
    const struct spw_assign_target target = {.train = &train};
    const struct collection collection = {context, model, &target};
    SPW_TRY(spw_arena_take(context->arena, OVERRIDES_MAX, sizeof(*model->overrides), context->error,
                           &model->overrides));
    SPW_TRY(collect(&collection, spw_train_keys, "train", model->train_node));
    if (model->train_node->kind == SPW_YAML_MAP &&
        spw_yaml_member(model->train_node, "max_steps") != NULL &&
        spw_yaml_member(model->train_node, "epochs") != NULL) {
        return SPW_KEY_REFUSE(context, model->train_node, "train",
                              "both max_steps and epochs are given; keep one");
    }
    return SPW_OK;
}

/* Which of layers, arch and from a model has. */
static enum spw_status find_source(const struct spw_key_context *context, const char *path,
                                   const struct spw_yaml_node *node, enum spw_model_source *out)
{
    const bool layers = spw_yaml_member(node, "layers") != NULL;
    const bool arch = spw_yaml_member(node, "arch") != NULL;
    const bool from = spw_yaml_member(node, "from") != NULL;
    if (layers + arch + from != 1) {
        return SPW_KEY_REFUSE(context, node, path, "%s of layers, arch and from; give exactly one",
                              layers + arch + from == 0 ? "has none" : "has more than one");
    }
    *out = layers ? SPW_MODEL_LAYERS : from ? SPW_MODEL_FROM : SPW_MODEL_MLP;
    if (arch) {
        const struct spw_key *key = spw_key_find(spw_model_keys, "arch", 4);
        struct spw_model_spec scratch = {.arch = 0};
        char full[160];
        (void)snprintf(full, sizeof(full), "%.120s.arch", path);
        SPW_TRY(spw_key_set(context, key, full, spw_yaml_member(node, "arch"), &scratch));
        *out = (enum spw_model_source)scratch.arch;
    }
    return SPW_OK;
}

static enum spw_status check_source_path(const struct spw_key_context *context, const char *path,
                                         const struct spw_yaml_node *node)
{
    const struct spw_yaml_node *from = spw_yaml_member(node, "from");
    if (from == NULL || from->kind != SPW_YAML_SCALAR) {
        return SPW_OK;
    }
    if (strncmp(from->text, "hf:", 3) == 0 || strncmp(from->text, "config:", 7) == 0) {
        return SPW_KEY_REFUSE(context, from, path,
                              "from: %.*s... is not served yet; give the path of a folder with "
                              "config.json and *.safetensors",
                              (int)strcspn(from->text, ":") + 1, from->text);
    }
    return SPW_OK;
}

static enum spw_status read_model(const struct spw_key_context *context, struct spw_spec *spec,
                                  uint32_t index, const struct spw_yaml_node *node)
{
    struct spw_model_spec *model = &spec->models[index];
    char path[100];
    (void)snprintf(path, sizeof(path), "models.%u", index);
    if (node->kind != SPW_YAML_MAP) {
        return SPW_KEY_REFUSE(context, node, path,
                              "must be a map such as {id: a, arch: mlp, hidden: [64]}");
    }
    const struct spw_yaml_node *id = spw_yaml_member(node, "id");
    if (id != NULL && id->kind == SPW_YAML_SCALAR) {
        (void)snprintf(path, sizeof(path), "models.%.64s", id->text);
    }
    model->node = node;
    SPW_TRY(find_source(context, path, node, &model->source));
    SPW_TRY(check_source_path(context, path, node));
    SPW_TRY(spw_table_defaults(context, spw_model_keys, model));
    SPW_TRY(spw_table_read(context, spw_model_keys, path, node, 1u << model->source, model));
    if (model->source == SPW_MODEL_LAYERS) {
        SPW_TRY(spw_layers_read(context, spw_yaml_member(node, "layers"), model));
    }
    model->train_node = spw_yaml_member(node, "train");
    SPW_TRY(read_train(context, spec, model));

    const struct spw_yaml_node *search = spw_yaml_member(node, "search");
    if (search != NULL) {
        char full[160];
        (void)snprintf(full, sizeof(full), "%s.search", path);
        SPW_TRY(spw_search_read(context, full, search, &model->search));
    }
    return SPW_OK;
}

enum spw_status spw_models_read(const struct spw_key_context *context, struct spw_spec *spec,
                                const struct spw_yaml_node *models)
{
    if (models->kind != SPW_YAML_LIST || models->count == 0) {
        return SPW_KEY_REFUSE(context, models, "models",
                              "must be a list with at least one model; begin each with -");
    }
    if (models->count > MODELS_MAX) {
        return SPW_KEY_REFUSE(context, models, "models", "more than %d models; split the file",
                              MODELS_MAX);
    }
    SPW_TRY(spw_arena_take(context->arena, models->count, sizeof(*spec->models), context->error,
                           &spec->models));
    spec->model_count = models->count;
    uint32_t index = 0;
    for (const struct spw_yaml_entry *entry = models->entries; entry != NULL;
         entry = entry->next, index++) {
        SPW_TRY(read_model(context, spec, index, entry->value));
        for (uint32_t other = 0; other < index; other++) {
            if (strcmp(spec->models[other].id, spec->models[index].id) == 0) {
                return SPW_KEY_REFUSE(context, spw_yaml_member(entry->value, "id"), "models",
                                      "two models are called %s; give each its own id",
                                      spec->models[index].id);
            }
        }
    }
    return SPW_OK;
}
