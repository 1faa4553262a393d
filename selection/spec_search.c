/* spec_search.c — search blocks, and giving single keys a value. Tested by
 * tests/selection/test_spec.c and tests/selection/test_trials.c. */
#include "selection/spec_read.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define PARAMETERS_MAX 32
#define VALUES_MAX 4096

static const char how_to_search[] =
    "seed, train.* and keys of the model such as hidden or config.n_layer can be searched";

static enum spw_status read_parameter(const struct spw_key_context *context, const char *path,
                                      const struct spw_yaml_entry *entry,
                                      struct spw_search_parameter *out)
{
    const struct spw_yaml_node *values = entry->value;
    if (values->kind == SPW_YAML_MAP) {
        return SPW_KEY_REFUSE(
            context, values, path,
            "ranges and conditions (min, max, log, when) are not served yet; list "
            "the values: [1e-3, 3e-4]");
    }
    if (values->kind != SPW_YAML_LIST || values->count == 0) {
        return SPW_KEY_REFUSE(context, values, path,
                              "must be a list of one value or more: [1e-3, 3e-4]");
    }
    if (values->count > VALUES_MAX) {
        return SPW_KEY_REFUSE(context, values, path, "more than %d values", VALUES_MAX);
    }
    *out = (struct spw_search_parameter){
        .path = entry->key->text, .place = entry->key, .values = values};
    return SPW_OK;
}

enum spw_status spw_search_read(const struct spw_key_context *context, const char *path,
                                const struct spw_yaml_node *node, struct spw_search_spec *search)
{
    SPW_TRY(spw_table_defaults(context, spw_search_keys, search));
    if (node->kind == SPW_YAML_MAP && node->count > 0 &&
        strchr(node->entries->key->text, '.') != NULL) {
        return SPW_KEY_REFUSE(context, node->entries->key, path,
                              "put %.60s under parameters: {method: grid, parameters: {...}}",
                              node->entries->key->text);
    }
    SPW_TRY(spw_table_read(context, spw_search_keys, path, node, 0, search));
    const struct spw_yaml_node *parameters = spw_yaml_member(node, "parameters");
    char full[200];
    (void)snprintf(full, sizeof(full), "%.120s.parameters", path);
    if (parameters->kind != SPW_YAML_MAP || parameters->count == 0) {
        return SPW_KEY_REFUSE(context, parameters, full,
                              "must be a map of lists, such as {train.lr: [1e-3, 3e-4]}");
    }
    if (parameters->count > PARAMETERS_MAX) {
        return SPW_KEY_REFUSE(context, parameters, full, "more than %d parameters", PARAMETERS_MAX);
    }
    SPW_TRY(spw_arena_take(context->arena, parameters->count, sizeof(*search->parameters),
                           context->error, &search->parameters));
    search->node = node;
    for (const struct spw_yaml_entry *entry = parameters->entries; entry != NULL;
         entry = entry->next) {
        (void)snprintf(full, sizeof(full), "%.100s.parameters.%.80s", path, entry->key->text);
        SPW_TRY(read_parameter(context, full, entry, &search->parameters[search->count]));
        search->count++;
    }
    return SPW_OK;
}

static enum spw_status assign_train(const struct spw_key_context *context, const char *path,
                                    const struct spw_yaml_node *place,
                                    const struct spw_yaml_node *value, struct spw_train_spec *train)
{
    size_t offset = 0;
    const struct spw_key *key = spw_key_walk(spw_train_keys, path + strlen("train."), &offset);
    if (key == NULL) {
        return SPW_KEY_REFUSE(context, place, path, "train has no such single key; %s",
                              how_to_search);
    }
    SPW_TRY(spw_key_set(context, key, path, value, (char *)train + offset - key->offset));
    if (offset == offsetof(struct spw_train_spec, max_steps)) {
        train->epochs = 0;
    } else if (offset == offsetof(struct spw_train_spec, epochs)) {
        train->max_steps = 0;
    }
    return SPW_OK;
}

/* Keys that make a model another one rather than vary it. */
static bool is_fixed(const char *path)
{
    static const char *const fixed[] = {"id", "arch", "from", "init", "classes", NULL};
    for (const char *const *name = fixed; *name != NULL; name++) {
        if (strcmp(*name, path) == 0) {
            return true;
        }
    }
    return false;
}

static enum spw_status assign_model(const struct spw_key_context *context, const char *path,
                                    const struct spw_yaml_node *place,
                                    const struct spw_yaml_node *value, struct spw_model_spec *model)
{
    size_t offset = 0;
    const struct spw_key *key = spw_key_walk(spw_model_keys, path, &offset);
    if (key == NULL || is_fixed(path)) {
        return SPW_KEY_REFUSE(context, place, path, "can't be searched; %s", how_to_search);
    }
    const struct spw_key *top = spw_key_find(spw_model_keys, path, strcspn(path, "."));
    if (top->scope != 0 && (top->scope & (1u << model->source)) == 0) {
        return SPW_KEY_REFUSE(context, place, path,
                              "model %s has no such key; put it into the search of the models that "
                              "have it",
                              model->id);
    }
    return spw_key_set(context, key, path, value, (char *)model + offset - key->offset);
}

enum spw_status spw_assign(const struct spw_key_context *context, const char *path,
                           const struct spw_yaml_node *place, const struct spw_yaml_node *value,
                           const struct spw_assign_target *target)
{
    if (strcmp(path, "seed") == 0) {
        struct spw_spec scratch = {.seed = 0};
        SPW_TRY(
            spw_key_set(context, spw_key_find(spw_spec_keys, "seed", 4), path, value, &scratch));
        *target->seed = scratch.seed;
        return SPW_OK;
    }
    if (strncmp(path, "train.", 6) == 0) {
        return assign_train(context, path, place, value, target->train);
    }
    return assign_model(context, path, place, value, target->model);
}

enum spw_status spw_search_check(const struct spw_key_context *context,
                                 const struct spw_search_spec *search, const struct spw_spec *spec,
                                 const struct spw_model_spec *model)
{
    struct spw_train_spec train = spec->train;
    struct spw_model_spec copy = *model;
    uint64_t seed = 0;
    const struct spw_assign_target target = {&train, &copy, &seed};
    for (uint32_t i = 0; i < search->count; i++) {
        const struct spw_search_parameter *parameter = &search->parameters[i];
        for (const struct spw_yaml_entry *entry = parameter->values->entries; entry != NULL;
             entry = entry->next) {
            SPW_TRY(spw_assign(context, parameter->path, parameter->place, entry->value, &target));
        }
    }
    return SPW_OK;
}
