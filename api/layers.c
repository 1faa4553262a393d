/* layers.c — building a model layer by layer.
 *
 * The functions between begin and end return nothing, so that a model reads like a list of layers.
 * The first failure is kept in the model, turns all later layers into nothing, and comes out of
 * end. Tested by tests/api/test_layers.c. */
#include "api/model.h"

#include <inttypes.h>
#include <stdio.h>

/* PyTorch's default. */
#define LAYERNORM_EPS 1e-5

/* Notes the model's own failure in the context too, unless that holds an earlier one. */
static enum spw_status stick(const struct spw_model *model)
{
    struct spw_context *context = model->context;
    if (context->error.status == SPW_OK) {
        context->error = model->error;
    }
    return model->error.status;
}

static enum spw_status start(struct spw_model *model, uint64_t seed)
{
    SPW_TRY(spw_model_check_kind(model, "spw_model_begin", false));
    SPW_TRY(spw_builder_create(model->context->world, model->name, SPW_F32,
                               spw_data_shape(model->data), seed, &model->context->error,
                               &model->builder));
    model->at = spw_builder_input(model->builder);
    return SPW_OK;
}

enum spw_status spw_model_begin(struct spw_context *context, const char *name,
                                const struct spw_data *data, uint64_t seed, struct spw_model **out)
{
    if (context == NULL) {
        return SPW_ERR_ARGUMENT;
    }
    if (out == NULL) {
        return SPW_REFUSE(context, "spw_model_begin: out is NULL");
    }
    struct spw_model *model;
    SPW_TRY(spw_model_create(context, "spw_model_begin", name, data, &model));
    const enum spw_status status = start(model, seed);
    if (status != SPW_OK) {
        spw_model_destroy(model);
        return status;
    }
    *out = model;
    return SPW_OK;
}

/* Whether a layer may be added: a model there, under construction, and no failure so far. */
static bool is_open(struct spw_model *model, const char *function)
{
    if (model == NULL || model->error.status != SPW_OK) {
        return false;
    }
    if (model->builder == NULL) {
        /* The model itself is whole; only this call is wrong. */
        (void)SPW_REFUSE(model->context,
                         "%s: model %s is finished; add layers between spw_model_begin() and "
                         "spw_model_end()",
                         function, model->name);
        return false;
    }
    return true;
}

/* Tensors are known by their node's index, so that a residual connection can find them. */
static enum spw_status remember(struct spw_model *model)
{
    if (model->at.node < 0 || (uint64_t)model->at.node < model->tensor_count) {
        return SPW_OK; /* dropout of nothing makes no tensor */
    }
    const uint64_t count = (uint64_t)model->at.node + 1;
    SPW_TRY(spw_grow(model->context->world, &model->tensors, &model->tensor_capacity, count,
                     sizeof(*model->tensors), "the tensors of a model", &model->error));
    model->tensors[model->at.node] = model->at;
    model->tensor_count = count;
    return SPW_OK;
}

static enum spw_status push(struct spw_model *model, const struct spw_op_desc *desc,
                            const struct spw_built *second)
{
    char name[16];
    (void)snprintf(name, sizeof(name), "%" PRIu32, model->position);
    SPW_TRY(
        spw_builder_add(model->builder, name, desc, model->at, second, &model->error, &model->at));
    model->position++;
    return remember(model);
}

static void add_layer(struct spw_model *model, const char *function, struct spw_op_desc desc)
{
    if (is_open(model, function) && push(model, &desc, NULL) != SPW_OK) {
        (void)stick(model);
    }
}

void spw_model_linear(struct spw_model *model, int64_t out, bool bias)
{
    add_layer(model, "spw_model_linear",
              (struct spw_op_desc){.op = SPW_OP_LINEAR, .attr.linear = {.out = out, .bias = bias}});
}

void spw_model_conv2d(struct spw_model *model, int64_t out, int64_t kernel, int64_t stride,
                      int64_t padding, bool bias)
{
    add_layer(
        model, "spw_model_conv2d",
        (struct spw_op_desc){
            .op = SPW_OP_CONV2D,
            .attr.conv2d = {
                .out = out, .kernel = kernel, .stride = stride, .padding = padding, .bias = bias}});
}

static struct spw_op_desc pool_layer(enum spw_op op, int64_t kernel, int64_t stride)
{
    return (struct spw_op_desc){
        .op = op, .attr.pool = {.kernel = kernel, .stride = stride != 0 ? stride : kernel}};
}

void spw_model_maxpool2d(struct spw_model *model, int64_t kernel, int64_t stride)
{
    add_layer(model, "spw_model_maxpool2d", pool_layer(SPW_OP_MAXPOOL2D, kernel, stride));
}

void spw_model_avgpool2d(struct spw_model *model, int64_t kernel, int64_t stride)
{
    add_layer(model, "spw_model_avgpool2d", pool_layer(SPW_OP_AVGPOOL2D, kernel, stride));
}

void spw_model_flatten(struct spw_model *model)
{
    add_layer(model, "spw_model_flatten", (struct spw_op_desc){.op = SPW_OP_FLATTEN});
}

void spw_model_relu(struct spw_model *model)
{
    add_layer(model, "spw_model_relu", (struct spw_op_desc){.op = SPW_OP_RELU});
}

void spw_model_gelu(struct spw_model *model)
{
    add_layer(model, "spw_model_gelu", (struct spw_op_desc){.op = SPW_OP_GELU});
}

void spw_model_silu(struct spw_model *model)
{
    add_layer(model, "spw_model_silu", (struct spw_op_desc){.op = SPW_OP_SILU});
}

void spw_model_layernorm(struct spw_model *model)
{
    add_layer(
        model, "spw_model_layernorm",
        (struct spw_op_desc){.op = SPW_OP_LAYERNORM, .attr.layernorm = {.eps = LAYERNORM_EPS}});
}

void spw_model_dropout(struct spw_model *model, double p)
{
    add_layer(model, "spw_model_dropout",
              (struct spw_op_desc){.op = SPW_OP_DROPOUT, .attr.dropout = {.p = p}});
}

/* ---- residual connections ---- */

int32_t spw_model_here(const struct spw_model *model)
{
    return model != NULL ? model->at.node : SPW_GRAPH_DATA;
}

static enum spw_status add_tensor(struct spw_model *model, int32_t tensor, double alpha)
{
    const int32_t last = (int32_t)model->tensor_count - 1;
    if (tensor < SPW_GRAPH_DATA || tensor > last) {
        return SPW_FAIL(&model->error, SPW_ERR_ARGUMENT,
                        "spw_model_add: layer %" PRIu32 " of model %s: there is no tensor %" PRId32
                        "; give what spw_model_here() returned for this model",
                        model->position, model->name, tensor);
    }
    const struct spw_built second = tensor == SPW_GRAPH_DATA ? spw_builder_input(model->builder)
                                                             : model->tensors[tensor];
    const struct spw_op_desc desc = {.op = SPW_OP_ADD, .attr.add = {.alpha = (float)alpha}};
    return push(model, &desc, &second);
}

void spw_model_add(struct spw_model *model, int32_t tensor, double alpha)
{
    if (is_open(model, "spw_model_add") && add_tensor(model, tensor, alpha) != SPW_OK) {
        (void)stick(model);
    }
}

/* ---- the end ---- */

enum spw_status spw_model_end(struct spw_model *model, int64_t classes)
{
    if (model == NULL) {
        return SPW_ERR_ARGUMENT;
    }
    if (model->error.status != SPW_OK) {
        return stick(model);
    }
    if (model->builder == NULL) {
        return SPW_REFUSE(model->context, "spw_model_end: model %s is finished already",
                          model->name);
    }
    if (classes < 1) {
        (void)SPW_FAIL(&model->error, SPW_ERR_ARGUMENT,
                       "spw_model_end: model %s: %" PRId64
                       " classes; give 1 or more, for instance spw_data_classes() of its data",
                       model->name, classes);
        return stick(model);
    }
    if (spw_builder_finish(model->builder, model->at, classes, &model->error, &model->graph) !=
        SPW_OK) {
        return stick(model);
    }
    spw_builder_destroy(model->builder);
    model->builder = NULL;
    return SPW_OK;
}
