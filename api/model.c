/* model.c — the life of a model, and the ways to make a whole one by a single call.
 *
 * Building layer by layer is in layers.c. Tested by tests/api/test_model.c. */
#include "api/model.h"

#include "base/assert.h"

#include <inttypes.h>
#include <string.h>

/* Weights, gradients and AdamW's two moments, fp32. */
#define STATE_BYTES_PER_PARAMETER 16

/* ---- life ---- */

enum spw_status spw_model_create(struct spw_context *context, const char *function,
                                 const char *name, const struct spw_data *data,
                                 struct spw_model **out)
{
    SPW_TRY(spw_check_name(context, function, "model", name));
    if (data == NULL) {
        return SPW_REFUSE(
            context,
            "%s: model %s: data is NULL; a model's shapes come from its data, so open "
            "that first",
            function, name);
    }
    if (data->context != context) {
        return SPW_REFUSE(context, "%s: model %s: its data belongs to another context", function,
                          name);
    }
    struct spw_model *model;
    SPW_TRY(spw_allocate(context->world, 1, sizeof(*model), "a model", &context->error, &model));
    const enum spw_status status =
        spw_copy_text(context->world, name, &context->error, &model->name);
    if (status != SPW_OK) {
        spw_release(context->world, model);
        return status;
    }
    model->context = context;
    model->data = (struct spw_data *)data; /* only its users are counted */
    model->data->users++;
    context->parts++;
    *out = model;
    return SPW_OK;
}

void spw_model_destroy(struct spw_model *model)
{
    if (model == NULL) {
        return;
    }
    /* Trials train it: destroy their session first. */
    SPW_ASSERT(model->users == 0);
    const struct spw_world *world = model->context->world;
    model->context->parts--;
    model->data->users--;
    spw_graph_destroy(model->graph);
    spw_builder_destroy(model->builder);
    spw_release(world, model->tensors);
    spw_release(world, model->name);
    spw_release(world, model);
}

/* ---- what it is made for ---- */

struct spw_shape spw_data_shape(const struct spw_data *data)
{
    const struct spw_data_info *info = spw_dataset_info(data->set);
    _Static_assert(SPW_DATA_RANK_MAX <= SPW_RANK_MAX, "every item has a shape");
    struct spw_shape shape = {.rank = info->rank};
    memcpy(shape.dim, info->dim, (size_t)info->rank * sizeof(shape.dim[0]));
    return shape;
}

enum spw_status spw_model_check_kind(const struct spw_model *model, const char *function,
                                     bool tokens)
{
    if (spw_dataset_info(model->data->set)->is_tokens == tokens) {
        return SPW_OK;
    }
    return SPW_REFUSE(model->context,
                      tokens ? "%s: model %s: its data has no tokens; open data of the format "
                               "tokens or text"
                             : "%s: model %s: its data are tokens, which these layers can't read; "
                               "use spw_model_gpt2() or spw_model_open()",
                      function, model->name);
}

/* ---- whole models ---- */

/* Hands a model out whose graph was made with `status`. */
static enum spw_status deliver(struct spw_model *model, enum spw_status status,
                               struct spw_model **out)
{
    if (status != SPW_OK) {
        spw_model_destroy(model);
        return status;
    }
    *out = model;
    return SPW_OK;
}

static enum spw_status fill_mlp(struct spw_model *model, const int64_t *hidden,
                                int64_t hidden_count, int64_t classes, uint64_t seed)
{
    static const char function[] = "spw_model_mlp";
    SPW_TRY(spw_model_check_kind(model, function, false));
    if (hidden_count < 0 || hidden_count > SPW_ARCH_LIST_MAX) {
        return SPW_REFUSE(model->context,
                          "%s: model %s: hidden_count is %" PRId64 "; it must be from 0 to %d",
                          function, model->name, hidden_count, SPW_ARCH_LIST_MAX);
    }
    if (hidden_count > 0 && hidden == NULL) {
        return SPW_REFUSE(model->context,
                          "%s: model %s: hidden is NULL; give the %" PRId64
                          " sizes, or 0 as hidden_count",
                          function, model->name, hidden_count);
    }
    struct spw_mlp_config config = {.hidden_count = hidden_count, .activation = SPW_ACT_RELU};
    for (int64_t i = 0; i < hidden_count; i++) {
        config.hidden[i] = hidden[i];
    }
    return spw_arch_mlp(model->context->world, model->name, &config, spw_data_shape(model->data),
                        classes, seed, &model->context->error, &model->graph);
}

enum spw_status spw_model_mlp(struct spw_context *context, const char *name,
                              const struct spw_data *data, const int64_t *hidden,
                              int64_t hidden_count, int64_t classes, uint64_t seed,
                              struct spw_model **out)
{
    if (context == NULL) {
        return SPW_ERR_ARGUMENT;
    }
    if (out == NULL) {
        return SPW_REFUSE(context, "spw_model_mlp: out is NULL");
    }
    struct spw_model *model;
    SPW_TRY(spw_model_create(context, "spw_model_mlp", name, data, &model));
    return deliver(model, fill_mlp(model, hidden, hidden_count, classes, seed), out);
}

static enum spw_status fill_gpt2(struct spw_model *model, const struct spw_gpt2_options *options,
                                 uint64_t seed)
{
    static const char function[] = "spw_model_gpt2";
    SPW_TRY(spw_model_check_kind(model, function, true));
    if (options == NULL) {
        return SPW_REFUSE(model->context, "%s: model %s: options is NULL; give its sizes", function,
                          model->name);
    }
    const struct spw_gpt2_config config = {
        .vocab_size = options->vocab_size,
        .n_positions = options->n_positions,
        .n_embd = options->n_embd,
        .n_layer = options->n_layer,
        .n_head = options->n_head,
        .layer_norm_epsilon = 1e-5,
        .embd_pdrop = options->dropout,
        .attn_pdrop = options->dropout,
        .resid_pdrop = options->dropout,
        .activation = SPW_ACT_GELU_TANH,
    };
    return spw_arch_gpt2(model->context->world, model->name, &config,
                         spw_data_shape(model->data).dim[0], seed, &model->context->error,
                         &model->graph);
}

enum spw_status spw_model_gpt2(struct spw_context *context, const char *name,
                               const struct spw_data *data, const struct spw_gpt2_options *options,
                               uint64_t seed, struct spw_model **out)
{
    if (context == NULL) {
        return SPW_ERR_ARGUMENT;
    }
    if (out == NULL) {
        return SPW_REFUSE(context, "spw_model_gpt2: out is NULL");
    }
    struct spw_model *model;
    SPW_TRY(spw_model_create(context, "spw_model_gpt2", name, data, &model));
    return deliver(model, fill_gpt2(model, options, seed), out);
}

static enum spw_status fill_from_folder(struct spw_model *model, const char *folder, uint64_t seed)
{
    static const char function[] = "spw_model_open";
    SPW_TRY(spw_model_check_kind(model, function, true));
    if (folder == NULL || folder[0] == '\0') {
        return SPW_REFUSE(model->context,
                          "%s: model %s: folder is %s; name the folder that holds config.json",
                          function, model->name, folder == NULL ? "NULL" : "empty");
    }
    return spw_import_gpt2(model->context->world, model->name, folder,
                           spw_data_shape(model->data).dim[0], seed, &model->context->error,
                           &model->graph);
}

enum spw_status spw_model_open(struct spw_context *context, const char *name,
                               const struct spw_data *data, const char *folder, uint64_t seed,
                               struct spw_model **out)
{
    if (context == NULL) {
        return SPW_ERR_ARGUMENT;
    }
    if (out == NULL) {
        return SPW_REFUSE(context, "spw_model_open: out is NULL");
    }
    struct spw_model *model;
    SPW_TRY(spw_model_create(context, "spw_model_open", name, data, &model));
    return deliver(model, fill_from_folder(model, folder, seed), out);
}

/* ---- weights from a file, and questions ---- */

enum spw_status spw_model_init_from(struct spw_model *model, const char *path)
{
    static const char function[] = "spw_model_init_from";
    if (model == NULL) {
        return SPW_ERR_ARGUMENT;
    }
    struct spw_context *context = model->context;
    if (model->graph == NULL) {
        return SPW_REFUSE(context, "%s: model %s is not finished; call spw_model_end() first",
                          function, model->name);
    }
    if (path == NULL || path[0] == '\0') {
        return SPW_REFUSE(context, "%s: model %s: path is %s; name a safetensors file", function,
                          model->name, path == NULL ? "NULL" : "empty");
    }
    if (model->users > 0) {
        return SPW_REFUSE(context,
                          "%s: model %s is in a session already; set its weights before "
                          "spw_session_add()",
                          function, model->name);
    }
    return spw_graph_init_from(model->graph, path, &context->error);
}

int64_t spw_model_parameters(const struct spw_model *model)
{
    return model != NULL && model->graph != NULL ? model->graph->parameter_count : 0;
}

uint64_t spw_model_state_bytes(const struct spw_model *model)
{
    /* A graph has at most 2^44 parameters, so this can't overflow. */
    return (uint64_t)spw_model_parameters(model) * STATE_BYTES_PER_PARAMETER;
}
