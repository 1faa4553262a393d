/* builder_finish.c — the last step of building: the loss, the dropout streams, the sealed graph.
 * Tested by tests/models/test_builder.c. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/philox.h"
#include "models/builder_state.h"

#include <inttypes.h>
#include <string.h>

/* A bias-free head with fewer classes than this keeps its logits: storing them is cheap. */
#define FUSED_CLASSES_MIN 4096

/* 16 Ti: byte totals, at 16 bytes each and more, stay far from 64 bits. */
#define PARAMETERS_MAX (INT64_C(1) << 44)

static enum spw_status check_readers(const struct spw_builder *builder, int32_t logits,
                                     struct spw_error *error)
{
    for (int32_t i = 0; i < builder->node_count; i++) {
        if (i != logits && builder->sides[i].readers == 0) {
            char label[SPW_LABEL_BYTES];
            return SPW_FAIL(
                error, SPW_ERR_USAGE,
                "layer %s of model %s: nobody reads its output; connect or remove it",
                spw_builder_label(builder->nodes[i].name, builder->nodes[i].desc.op, label),
                builder->graph->name);
        }
    }
    return SPW_OK;
}

/* The loss needs one row of `classes` numbers per target. */
static enum spw_status check_logits(const struct spw_builder *builder,
                                    const struct spw_built *logits, int64_t classes,
                                    struct spw_error *error)
{
    const struct spw_graph *graph = builder->graph;
    char label[SPW_SOURCE_BYTES];
    char shape[96];
    const char *last = spw_builder_source(builder, logits->node, label);
    (void)spw_shape_text(&logits->shape, shape);
    const int64_t width = logits->shape.rank > 0 ? logits->shape.dim[logits->shape.rank - 1] : 0;
    if (width != classes) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "model %s: its last layer (%s) gives %s, but the data has %" PRId64
                        " classes; set its out to %" PRId64,
                        graph->name, last, shape, classes, classes);
    }
    const bool tokens = graph->input_dtype == SPW_I32;
    const int64_t targets = tokens ? spw_shape_elements(&graph->input) : 1;
    if (spw_shape_rows(&logits->shape) != targets) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "model %s: its last layer (%s) gives %s, but an item has %" PRId64
                        " target%s; %s",
                        graph->name, last, shape, targets, targets == 1 ? "" : "s",
                        tokens ? "keep one row per token" : "put flatten before it");
    }
    return SPW_OK;
}

static bool can_fuse(const struct spw_builder *builder, int32_t logits)
{
    const struct spw_op_desc *desc = &builder->nodes[logits].desc;
    return desc->op == SPW_OP_LINEAR && !desc->attr.linear.bias && !desc->attr.linear.conv1d &&
           desc->attr.linear.out >= FUSED_CLASSES_MIN && builder->sides[logits].readers == 0;
}

static enum spw_status add_loss(struct spw_builder *builder, const struct spw_built *logits,
                                struct spw_error *error)
{
    if (can_fuse(builder, logits->node)) {
        /* Nobody else reads the logits and every other tensor is read, so this node is the last. */
        SPW_ASSERT(logits->node == builder->node_count - 1);
        struct spw_node *head = &builder->nodes[logits->node];
        head->desc.op = SPW_OP_LINEAR_XENT;
        return spw_builder_infer(builder, head->name, &head->desc, head->input[0], error);
    }
    struct spw_op_desc loss = {.op = SPW_OP_SOFTMAX_XENT, .in = logits->shape};
    SPW_TRY(spw_builder_infer(builder, "loss", &loss, logits->node, error));
    return spw_builder_push(builder, "loss", spw_hash_text("loss", 0), &loss, logits->node,
                            SPW_GRAPH_NONE, error);
}

/* Dropout streams are known by the op's name, so that they don't depend on what is around it. */
static enum spw_status make_keys(struct spw_builder *builder, struct spw_error *error)
{
    for (int32_t i = 0; i < builder->node_count; i++) {
        struct spw_node *node = &builder->nodes[i];
        uint64_t *key = NULL;
        if (node->desc.op == SPW_OP_DROPOUT) {
            key = &node->desc.attr.dropout.key;
        } else if (node->desc.op == SPW_OP_ATTENTION && node->desc.attr.attention.dropout > 0.0) {
            key = &node->desc.attr.attention.key;
        }
        if (key != NULL) {
            const char *stream;
            SPW_TRY(
                spw_arena_text(&builder->graph->arena, error, &stream, "dropout/%s", node->name));
            *key = spw_stream_key(builder->graph->seed, stream);
        }
    }
    return SPW_OK;
}

static enum spw_status count_parameters(const struct spw_builder *builder, int64_t *count,
                                        struct spw_error *error)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < builder->param_count; i++) {
        /* One parameter has at most 2^40 elements (the op table) and there are at most 2^17, so
         * this sum can't overflow. */
        sum += builder->params[i].elements;
    }
    if (sum > PARAMETERS_MAX) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "model %s: %" PRId64 " parameters are more than the %" PRId64
                        " that are allowed; make its layers smaller",
                        builder->graph->name, sum, PARAMETERS_MAX);
    }
    *count = sum;
    return SPW_OK;
}

/* Copies the lists into the graph's arena. */
static enum spw_status seal(struct spw_builder *builder, struct spw_error *error)
{
    struct spw_graph *graph = builder->graph;
    const uint64_t nodes = (uint64_t)builder->node_count;
    const uint64_t params = (uint64_t)builder->param_count;
    SPW_TRY(spw_arena_take(&graph->arena, nodes, sizeof(*graph->nodes), error, &graph->nodes));
    SPW_TRY(spw_arena_take(&graph->arena, params, sizeof(*graph->params), error, &graph->params));
    memcpy(graph->nodes, builder->nodes, nodes * sizeof(*graph->nodes));
    memcpy(graph->params, builder->params, params * sizeof(*graph->params));
    graph->node_count = builder->node_count;
    graph->param_count = builder->param_count;
    return SPW_OK;
}

enum spw_status spw_builder_finish(struct spw_builder *builder, struct spw_built logits,
                                   int64_t classes, struct spw_error *error, struct spw_graph **out)
{
    SPW_ASSERT(builder->graph != NULL);
    struct spw_graph *graph = builder->graph;
    SPW_ASSERT(logits.node >= SPW_GRAPH_DATA);
    SPW_ASSERT(logits.node < builder->node_count);
    if (logits.node == SPW_GRAPH_DATA) {
        return SPW_FAIL(error, SPW_ERR_USAGE, "model %s has no layers; it needs at least a linear",
                        graph->name);
    }
    if (builder->param_count == 0) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "model %s has no parameters, so there is nothing to train; add a linear",
                        graph->name);
    }
    SPW_TRY(check_readers(builder, logits.node, error));
    SPW_TRY(check_logits(builder, &logits, classes, error));
    SPW_TRY(count_parameters(builder, &graph->parameter_count, error));
    SPW_TRY(add_loss(builder, &logits, error));
    SPW_TRY(make_keys(builder, error));
    graph->classes = classes;
    graph->targets_per_item = spw_shape_rows(&logits.shape);
    SPW_TRY(seal(builder, error));
    *out = graph;
    builder->graph = NULL;
    return SPW_OK;
}
