/* build.c — graphs and job configurations of trials. Tested by tests/selection/test_build.c. */
#include "selection/build.h"

#include "base/assert.h"
#include "base/status.h"
#include "models/arch.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct build {
    const struct spw_world *world;
    const struct spw_spec *spec;
    const struct spw_trial_spec *trial;
    const struct spw_dataset *train;
    const struct spw_dataset *valid;
    struct spw_error *error;
};

/* Passes a failure of another box on, with the place in the spec before it. */
static enum spw_status refuse_at(const struct build *build, const struct spw_yaml_node *node,
                                 const struct spw_error *inner)
{
    char place[320];
    if (inner->status != SPW_ERR_USAGE && inner->status != SPW_ERR_NOT_FOUND) {
        return SPW_FAIL_NATIVE(build->error, inner->status, inner->native, "%s", inner->what);
    }
    return SPW_FAIL(build->error, inner->status, "%s: models.%s: %s", spw_yaml_place(node, place),
                    build->trial->model.id, inner->what);
}

static enum spw_status refuse_why(const struct build *build, const char *why)
{
    struct spw_error inner = {.status = SPW_ERR_USAGE};
    (void)snprintf(inner.what, sizeof(inner.what), "%s", why);
    return refuse_at(build, build->trial->model.node, &inner);
}

static struct spw_shape item_shape(const struct spw_data_info *info)
{
    struct spw_shape shape = {.rank = info->rank};
    for (int64_t i = 0; i < info->rank; i++) {
        shape.dim[i] = info->dim[i];
    }
    return shape;
}

/* As many as the data has, in either set. */
static int64_t data_classes(const struct build *build)
{
    int64_t classes = spw_dataset_info(build->train)->classes;
    if (build->valid != NULL && spw_dataset_info(build->valid)->classes > classes) {
        classes = spw_dataset_info(build->valid)->classes;
    }
    return classes;
}

static int64_t wanted_classes(const struct build *build)
{
    const uint64_t classes = build->trial->model.classes;
    return classes != 0 ? (int64_t)classes : data_classes(build);
}

/* ---- layers ---- */

static enum spw_status add_layers(const struct build *build, struct spw_builder *builder,
                                  struct spw_graph **out)
{
    const struct spw_model_spec *model = &build->trial->model;
    struct spw_built at = spw_builder_input(builder);
    const struct spw_yaml_node *place = model->node;
    for (uint32_t i = 0; i < model->layer_count; i++) {
        char name[16];
        struct spw_error inner = {0};
        (void)snprintf(name, sizeof(name), "%u", i);
        place = model->layers[i].node;
        if (spw_builder_add(builder, name, &model->layers[i].desc, at, NULL, &inner, &at) !=
            SPW_OK) {
            return refuse_at(build, place, &inner);
        }
    }
    /* The last layer says how many classes there are; a spec's `classes` must agree with it. */
    struct spw_error inner = {0};
    int64_t classes = at.shape.rank > 0 ? at.shape.dim[at.shape.rank - 1] : 1;
    if (model->classes != 0) {
        classes = (int64_t)model->classes;
    }
    if (spw_builder_finish(builder, at, classes, &inner, out) != SPW_OK) {
        return refuse_at(build, place, &inner);
    }
    return SPW_OK;
}

static enum spw_status build_layers(const struct build *build, struct spw_graph **out)
{
    const struct spw_data_info *info = spw_dataset_info(build->train);
    struct spw_builder *builder = NULL;
    SPW_TRY(spw_builder_create(build->world, build->trial->model.id,
                               info->is_tokens ? SPW_I32 : SPW_F32, item_shape(info),
                               build->trial->seed, build->error, &builder));
    const enum spw_status status = add_layers(build, builder, out);
    spw_builder_destroy(builder);
    return status;
}

/* ---- architectures ---- */

/* The schema's limits keep these within range. */
static void copy_sizes(const struct spw_sizes *from, int64_t to[SPW_ARCH_LIST_MAX], int64_t *count)
{
    _Static_assert(SPW_SIZES_MAX <= SPW_ARCH_LIST_MAX, "every list of the spec fits");
    for (uint32_t i = 0; i < from->count; i++) {
        to[i] = from->values[i];
    }
    *count = from->count;
}

static enum spw_status build_arch(const struct build *build, struct spw_error *inner,
                                  struct spw_graph **out)
{
    const struct spw_model_spec *model = &build->trial->model;
    const struct spw_shape input = item_shape(spw_dataset_info(build->train));
    const int64_t classes = wanted_classes(build);
    const uint64_t seed = build->trial->seed;
    /* The schema's choices are in the order of this enum. */
    const enum spw_activation activation = (enum spw_activation)model->activation;
    if (model->source == SPW_MODEL_MLP) {
        struct spw_mlp_config config = {.activation = activation, .dropout = model->dropout};
        copy_sizes(&model->hidden, config.hidden, &config.hidden_count);
        return spw_arch_mlp(build->world, model->id, &config, input, classes, seed, inner, out);
    }
    if (model->source == SPW_MODEL_CNN) {
        struct spw_cnn_config config = {.activation = activation, .dropout = model->dropout};
        copy_sizes(&model->channels, config.channels, &config.channels_count);
        copy_sizes(&model->hidden, config.hidden, &config.hidden_count);
        return spw_arch_cnn(build->world, model->id, &config, input, classes, seed, inner, out);
    }
    SPW_ASSERT(model->source == SPW_MODEL_RESNET);
    struct spw_resnet_config config = {.width = (int64_t)model->width};
    copy_sizes(&model->blocks, config.blocks, &config.stages);
    return spw_arch_resnet(build->world, model->id, &config, input, classes, seed, inner, out);
}

static enum spw_status build_gpt2(const struct build *build, struct spw_error *inner,
                                  struct spw_graph **out)
{
    static const enum spw_activation activations[] = {SPW_ACT_RELU, SPW_ACT_GELU, SPW_ACT_GELU_TANH,
                                                      SPW_ACT_SILU};
    const struct spw_gpt2_spec *spec = &build->trial->model.config;
    const struct spw_gpt2_config config = {
        .vocab_size = (int64_t)spec->vocab_size,
        .n_positions = (int64_t)spec->n_positions,
        .n_embd = (int64_t)spec->n_embd,
        .n_layer = (int64_t)spec->n_layer,
        .n_head = (int64_t)spec->n_head,
        .n_inner = (int64_t)spec->n_inner,
        .layer_norm_epsilon = spec->layer_norm_epsilon,
        .embd_pdrop = spec->embd_pdrop,
        .attn_pdrop = spec->attn_pdrop,
        .resid_pdrop = spec->resid_pdrop,
        .activation = activations[spec->activation_function],
    };
    return spw_arch_gpt2(build->world, build->trial->model.id, &config,
                         (int64_t)build->spec->data.seq_len, build->trial->seed, inner, out);
}

static enum spw_status build_any(const struct build *build, struct spw_graph **out)
{
    const struct spw_model_spec *model = &build->trial->model;
    struct spw_error inner = {0};
    enum spw_status status = SPW_OK;
    switch (model->source) {
    case SPW_MODEL_LAYERS:
        return build_layers(build, out);
    case SPW_MODEL_MLP:
    case SPW_MODEL_CNN:
    case SPW_MODEL_RESNET:
        status = build_arch(build, &inner, out);
        break;
    case SPW_MODEL_GPT2:
        status = build_gpt2(build, &inner, out);
        break;
    case SPW_MODEL_FROM:
        status = spw_import_gpt2(build->world, model->id, model->from,
                                 (int64_t)build->spec->data.seq_len, build->trial->seed, &inner,
                                 out);
        break;
    }
    if (status != SPW_OK) {
        (void)refuse_at(build, model->node, &inner);
        return status;
    }
    return SPW_OK;
}

/* ---- what model and data say of each other ---- */

static enum spw_status check_kind(const struct build *build)
{
    const bool is_tokens = spw_dataset_info(build->train)->is_tokens;
    switch (build->trial->model.source) {
    case SPW_MODEL_MLP:
    case SPW_MODEL_CNN:
    case SPW_MODEL_RESNET:
        if (is_tokens) {
            return refuse_why(build, "this architecture takes images or arrays, the data is "
                                     "tokens; use arch: gpt2, or layers that begin with embedding");
        }
        return SPW_OK;
    case SPW_MODEL_GPT2:
    case SPW_MODEL_FROM:
        if (!is_tokens) {
            return refuse_why(build, "a GPT-2 takes tokens, the data is images or arrays; use "
                                     "format: tokens or text");
        }
        return SPW_OK;
    case SPW_MODEL_LAYERS:
        return SPW_OK;
    }
    return SPW_OK;
}

static enum spw_status check_classes(const struct build *build, const struct spw_graph *graph)
{
    const struct spw_dataset *sets[] = {build->train, build->valid};
    const struct spw_model_spec *model = &build->trial->model;
    const struct spw_yaml_node *place = model->source == SPW_MODEL_LAYERS
                                            ? model->layers[model->layer_count - 1].node
                                            : model->node;
    for (uint32_t i = 0; i < 2; i++) {
        struct spw_error inner = {0};
        if (sets[i] != NULL &&
            spw_dataset_check_classes(sets[i], graph->classes, &inner) != SPW_OK) {
            return refuse_at(build, place, &inner);
        }
    }
    return SPW_OK;
}

static enum spw_status check_steps(const struct build *build)
{
    const struct spw_job_config job =
        spw_build_job(build->spec, build->trial, NULL, build->train, build->valid);
    const uint64_t steps = spw_build_steps(&job);
    if (job.schedule.warmup_steps <= steps) {
        return SPW_OK;
    }
    char why[160];
    (void)snprintf(why, sizeof(why),
                   "warmup_steps %" PRIu64 " is more than the %" PRIu64 " steps of the whole "
                   "training; lower it",
                   job.schedule.warmup_steps, steps);
    struct spw_error inner = {.status = SPW_ERR_USAGE};
    (void)snprintf(inner.what, sizeof(inner.what), "%s", why);
    return refuse_at(
        build, spw_spec_find_for(build->spec, &build->trial->model, "train.schedule.warmup_steps"),
        &inner);
}

enum spw_status spw_build_graph(const struct spw_world *world, const struct spw_spec *spec,
                                const struct spw_trial_spec *trial, const struct spw_dataset *train,
                                const struct spw_dataset *valid, struct spw_error *error,
                                struct spw_graph **out)
{
    const struct build build = {world, spec, trial, train, valid, error};
    struct spw_graph *graph = NULL;
    SPW_TRY(check_kind(&build));
    SPW_TRY(check_steps(&build));
    SPW_TRY(build_any(&build, &graph));
    SPW_ASSERT(graph != NULL);
    enum spw_status status = check_classes(&build, graph);
    if (status == SPW_OK && trial->model.init != NULL) {
        struct spw_error inner = {0};
        if (spw_graph_init_from(graph, trial->model.init, &inner) != SPW_OK) {
            const struct spw_yaml_node *init = spw_yaml_member(trial->model.node, "init");
            status = refuse_at(&build, init != NULL ? init : trial->model.node, &inner);
        }
    }
    if (status != SPW_OK) {
        spw_graph_destroy(graph);
        return status;
    }
    *out = graph;
    return SPW_OK;
}

struct spw_job_config spw_build_job(const struct spw_spec *spec, const struct spw_trial_spec *trial,
                                    const struct spw_graph *graph, const struct spw_dataset *train,
                                    const struct spw_dataset *valid)
{
    const struct spw_train_spec *settings = &trial->train;
    const struct spw_optimizer_spec *optimizer = &settings->optimizer;
    const bool is_sgd = optimizer->name == SPW_CHOICE_SGD;
    const double decay = isnan(optimizer->weight_decay) ? (is_sgd ? 0 : 0.01)
                                                        : optimizer->weight_decay;
    return (struct spw_job_config){
        .id = trial->id,
        .graph = graph,
        .train = train,
        .valid = valid,
        .optimizer = {.name = is_sgd ? SPW_SGD : SPW_ADAMW,
                      .beta1 = optimizer->betas[0],
                      .beta2 = optimizer->betas[1],
                      .eps = optimizer->eps,
                      .momentum = is_sgd ? optimizer->momentum : 0,
                      .weight_decay = decay,
                      .decay_matrices_only = optimizer->decay == 1,
                      .grad_clip = optimizer->grad_clip},
        .schedule = {.name = (enum spw_lr_schedule)settings->schedule.name,
                     .warmup_steps = settings->schedule.warmup_steps,
                     .decay_steps = settings->schedule.decay_steps,
                     .final = settings->schedule.final},
        .lr = settings->lr,
        .seed = trial->seed,
        .shuffle = spec->data.shuffle,
        .batch = (int64_t)settings->batch,
        .micro_batch = (int64_t)settings->micro_batch,
        .grad_groups = (int64_t)settings->grad_groups,
        .max_steps = settings->max_steps,
        .epochs = settings->epochs,
        .eval_every = spec->eval.every,
        .eval_batches = spec->eval.batches,
    };
}

uint64_t spw_build_steps(const struct spw_job_config *job)
{
    if (job->max_steps != 0) {
        return job->max_steps;
    }
    const uint64_t items = (uint64_t)spw_dataset_info(job->train)->items;
    const uint64_t batch = (uint64_t)job->batch;
    return job->epochs * ((items + batch - 1) / batch);
}
