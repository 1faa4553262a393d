/* flow.c — one pass forwards for sizes and uses, one backwards for gradients.
 *
 * It knows nothing of shards. Tested by tests/partitioner/test_flow.c. */
#include "partitioner/flow.h"

#include "base/assert.h"
#include "base/checked.h"
#include "partitioner/same_work.h"

#include <inttypes.h>

/* No unit comes near this, and sums of a few hundred such sizes can't wrap. */
#define BYTES_MAX (UINT64_C(1) << 50)
#define RING_SLOTS_MAX 64
#define ITEMS_ASKED INT64_C(2048)

bool spw_flow_gives_gradient(enum spw_op op)
{
    return op != SPW_OP_EMBEDDING;
}

static enum spw_status check_options(const struct spw_plan_options *options,
                                     struct spw_error *error)
{
    if (options->micro_batch < 1 || options->micro_batches < 1 || options->batch < 1 ||
        (options->batch - 1) / options->micro_batch + 1 != options->micro_batches) {
        return SPW_FAIL(error, SPW_ERR_ARGUMENT,
                        "a batch of %" PRId64 " items is not %" PRId64 " micro-batches of %" PRId64,
                        options->batch, options->micro_batches, options->micro_batch);
    }
    if (options->grad_groups < 1 || options->grad_groups > options->micro_batches) {
        return SPW_FAIL(error, SPW_ERR_ARGUMENT,
                        "grad_groups is %" PRId64 ", but must be in 1 .. %" PRId64
                        ", the number of micro-batches",
                        options->grad_groups, options->micro_batches);
    }
    if (options->ring_slots < 2 || options->ring_slots > RING_SLOTS_MAX || options->threads < 1 ||
        options->moments > 2) {
        return SPW_FAIL(error, SPW_ERR_ARGUMENT,
                        "%" PRIu32 " ring slots (2 .. %d), %" PRIu32
                        " threads (at least 1) or %" PRIu32 " moments (at most 2)",
                        options->ring_slots, RING_SLOTS_MAX, options->threads, options->moments);
    }
    return SPW_OK;
}

/* Nodes in order, one loss at the end: what every loop in this box relies on. */
static enum spw_status check_graph(const struct spw_graph *graph, struct spw_error *error)
{
    for (int32_t node = 0; node < graph->node_count; node++) {
        const enum spw_op op = graph->nodes[node].desc.op;
        const bool last = node + 1 == graph->node_count;
        if (spw_op_is_loss(op) != last || op == SPW_OP_COPY) {
            return SPW_FAIL(error, SPW_ERR_USAGE,
                            "model %s: %s, an op %s, can't be node %" PRId32 " of %" PRId32,
                            graph->name, graph->nodes[node].name, spw_op_name(op), node,
                            graph->node_count);
        }
        for (int slot = 0; slot < spw_op_inputs(op); slot++) {
            const int32_t input = graph->nodes[node].input[slot];
            SPW_ASSERT(input >= SPW_GRAPH_DATA && input < node);
        }
    }
    return graph->node_count > 0
               ? SPW_OK
               : SPW_FAIL(error, SPW_ERR_USAGE, "model %s has no layers", graph->name);
}

static enum spw_status too_large(const struct spw_graph *graph, const char *what,
                                 struct spw_error *error)
{
    return SPW_FAIL(error, SPW_ERR_USAGE,
                    "model %s: one micro-batch of %s is larger than any memory; set a smaller "
                    "micro_batch",
                    graph->name, what);
}

static bool tensor_bytes(const struct spw_shape *shape, int64_t items, uint64_t *out)
{
    uint64_t bytes;
    if (!spw_checked_multiply((uint64_t)spw_shape_elements(shape), (uint64_t)items, &bytes) ||
        bytes > BYTES_MAX / 4) {
        return false;
    }
    *out = bytes * 4;
    return true;
}

static enum spw_status size_tensors(struct spw_flow *flow, struct spw_error *error)
{
    const struct spw_graph *graph = flow->graph;
    uint64_t total = 0;
    for (int32_t tensor = SPW_GRAPH_DATA; tensor < flow->node_count; tensor++) {
        const bool data = tensor == SPW_GRAPH_DATA;
        const struct spw_shape *shape = data ? &graph->input : &graph->nodes[tensor].desc.out;
        struct spw_tensor_flow *at = &flow->tensors[tensor + 1];
        if (!tensor_bytes(shape, flow->items, &at->bytes)) {
            return too_large(graph, data ? "the data" : graph->nodes[tensor].name, error);
        }
        at->last_use = tensor;
        at->last_giver = -1;
        at->first_need = SPW_FLOW_NEVER;
        at->copy = (struct spw_op_desc){.op = SPW_OP_COPY, .in = *shape, .out = *shape};
        total += at->bytes;
        if (total > BYTES_MAX) {
            return too_large(graph, "all layers", error);
        }
    }
    const struct spw_shape targets = {.rank = 1, .dim = {graph->targets_per_item}};
    return tensor_bytes(&targets, flow->items, &flow->targets_bytes)
               ? SPW_OK
               : too_large(graph, "the targets", error);
}

/* Scratch memory of one pass. A short micro-batch runs the same program: a full batch has one at
 * its end, the last batch of an epoch or of an evaluation another. Ops choose their algorithm by
 * the number of items, and fewer items may need more, so every number is asked about; of huge
 * micro-batches, which would take long, those near either end. */
static enum spw_status workspace_of(const struct spw_flow *flow, const struct spw_op_desc *desc,
                                    enum spw_pass pass, struct spw_error *error, uint64_t *out)
{
    uint64_t most = 0;
    for (int64_t items = 1; items <= flow->items; items++) {
        if (items == ITEMS_ASKED && flow->items > 2 * ITEMS_ASKED) {
            items = flow->items - ITEMS_ASKED;
        }
        uint64_t bytes;
        SPW_TRY(spw_op_workspace_bytes(desc, items, pass, flow->options->threads, error, &bytes));
        most = bytes > most ? bytes : most;
    }
    *out = most;
    return most <= BYTES_MAX ? SPW_OK : too_large(flow->graph, "a workspace", error);
}

/* An earlier node with an op that works alike, or the node itself. */
static int32_t first_alike(const struct spw_graph *graph, int32_t node)
{
    int32_t i = 0;
    while (i < node && !spw_same_work(&graph->nodes[i].desc, &graph->nodes[node].desc)) {
        i++;
    }
    return i;
}

static enum spw_status size_nodes(struct spw_flow *flow, struct spw_error *error)
{
    for (int32_t node = 0; node < flow->node_count; node++) {
        const struct spw_op_desc *desc = &flow->graph->nodes[node].desc;
        struct spw_node_flow *at = &flow->nodes[node];
        at->saved_bytes = spw_op_saved_bytes(desc, flow->items);
        if (at->saved_bytes > BYTES_MAX) {
            return too_large(flow->graph, flow->graph->nodes[node].name, error);
        }
        const int32_t alike = first_alike(flow->graph, node);
        if (alike == node) {
            SPW_TRY(workspace_of(flow, desc, SPW_FORWARD, error, &at->forward_workspace));
            SPW_TRY(workspace_of(flow, desc, SPW_BACKWARD, error, &at->backward_workspace));
        }
        at->forward_workspace = flow->nodes[alike].forward_workspace;
        at->backward_workspace = flow->nodes[alike].backward_workspace;
        for (int slot = 0; slot < spw_op_inputs(desc->op); slot++) {
            flow->tensors[flow->graph->nodes[node].input[slot] + 1].last_use = node;
        }
    }
    return SPW_OK;
}

static enum spw_status size_params(const struct spw_flow *flow, struct spw_error *error)
{
    uint64_t total = 0;
    for (int32_t param = 0; param < flow->graph->param_count; param++) {
        const uint64_t elements = (uint64_t)flow->graph->params[param].elements;
        total += elements < BYTES_MAX ? elements : BYTES_MAX;
        if (total > BYTES_MAX / sizeof(float)) {
            return SPW_FAIL(error, SPW_ERR_USAGE,
                            "model %s: parameters up to %s are larger than "
                            "any memory",
                            flow->graph->name, flow->graph->params[param].name);
        }
        flow->params[param].bytes = elements * sizeof(float);
        flow->params[param].chunks = spw_norm_chunks(elements);
    }
    return SPW_OK;
}

static enum spw_status list_users(struct spw_flow *flow, struct spw_arena *arena,
                                  struct spw_error *error)
{
    const struct spw_graph *graph = flow->graph;
    int32_t *counts;
    SPW_TRY(spw_arena_take(arena, (uint64_t)graph->param_count, sizeof(*counts), error, &counts));
    for (int32_t param = 0; param < graph->param_count; param++) {
        struct spw_param_flow *at = &flow->params[param];
        SPW_TRY(spw_arena_take(arena, (uint64_t)graph->params[param].uses, sizeof(*at->users),
                               error, &at->users));
    }
    for (int32_t node = 0; node < graph->node_count; node++) {
        for (int slot = 0; slot < spw_op_params(&graph->nodes[node].desc); slot++) {
            const int32_t param = graph->nodes[node].param[slot];
            SPW_ASSERT(param >= 0 && param < graph->param_count);
            SPW_ASSERT(counts[param] < graph->params[param].uses);
            flow->nodes[node].use[slot] = counts[param];
            flow->params[param].users[counts[param]++] = node;
        }
    }
    for (int32_t param = 0; param < graph->param_count; param++) {
        SPW_ASSERT(counts[param] > 0 && counts[param] == graph->params[param].uses);
    }
    return SPW_OK;
}

/* Which tensors depend on a parameter. A gradient of any other would be computed for nothing: the
 * data's, say, or that of flattened data. */
static void mark_trained(const struct spw_flow *flow, bool *trained)
{
    for (int32_t node = 0; node < flow->node_count; node++) {
        const struct spw_node *at = &flow->graph->nodes[node];
        trained[node] = spw_op_params(&at->desc) > 0;
        for (int slot = 0; slot < spw_op_inputs(at->desc.op); slot++) {
            const int32_t input = at->input[slot];
            trained[node] = trained[node] || (input >= 0 && trained[input]);
        }
    }
}

/* Backwards: a node has an incoming gradient if it is the loss or if somebody gave one. */
static enum spw_status follow_gradients(struct spw_flow *flow, const bool *trained,
                                        struct spw_error *error)
{
    const struct spw_graph *graph = flow->graph;
    for (int32_t node = flow->node_count - 1; node >= 0; node--) {
        const struct spw_node *at = &graph->nodes[node];
        const bool loss = node + 1 == flow->node_count;
        if (!loss && flow->tensors[node + 1].last_use == node) {
            return SPW_FAIL(error, SPW_ERR_USAGE, "model %s: nobody reads the output of %s (%s)",
                            graph->name, at->name, spw_op_name(at->desc.op));
        }
        const bool incoming = loss || flow->tensors[node + 1].last_giver >= 0;
        const bool has_params = spw_op_params(&at->desc) > 0;
        if (has_params && !incoming) {
            return SPW_FAIL(error, SPW_ERR_USAGE,
                            "model %s: no gradient reaches %s (%s), so it can't be trained",
                            graph->name, at->name, spw_op_name(at->desc.op));
        }
        bool gives = false;
        for (int slot = 0; slot < spw_op_inputs(at->desc.op); slot++) {
            const int32_t input = at->input[slot];
            if (incoming && input >= 0 && trained[input] && spw_flow_gives_gradient(at->desc.op)) {
                struct spw_tensor_flow *tensor = &flow->tensors[input + 1];
                tensor->last_giver = node > tensor->last_giver ? node : tensor->last_giver;
                gives = true;
            }
        }
        flow->nodes[node].runs_backward = loss || (incoming && (has_params || gives));
        flow->nodes[node].needs = flow->nodes[node].runs_backward ? spw_op_needs(&at->desc) : 0;
    }
    return SPW_OK;
}

static void note_need(struct spw_flow *flow, int32_t tensor, int32_t node)
{
    struct spw_tensor_flow *at = &flow->tensors[tensor + 1];
    at->first_need = node < at->first_need ? node : at->first_need;
}

static void follow_needs(struct spw_flow *flow)
{
    for (int32_t node = 0; node < flow->node_count; node++) {
        const uint32_t needs = flow->nodes[node].needs;
        const int32_t *input = flow->graph->nodes[node].input;
        if (needs & SPW_NEEDS_X0) {
            note_need(flow, input[0], node);
        }
        if (needs & SPW_NEEDS_X1) {
            note_need(flow, input[1], node);
        }
        if (needs & SPW_NEEDS_Y) {
            note_need(flow, node, node);
        }
    }
}

static void size_borders(struct spw_flow *flow)
{
    for (int32_t tensor = SPW_GRAPH_DATA; tensor < flow->node_count; tensor++) {
        const struct spw_tensor_flow *at = spw_flow_tensor(flow, tensor);
        for (int32_t border = tensor + 1; border <= at->last_use; border++) {
            flow->border_bytes[border] += spw_round_up(at->bytes, SPW_DEVICE_ALIGNMENT);
            flow->border_gradients[border] = flow->border_gradients[border] ||
                                             at->last_giver >= border;
        }
    }
}

enum spw_status spw_flow_create(struct spw_arena *arena, const struct spw_graph *graph,
                                const struct spw_plan_options *options, struct spw_error *error,
                                struct spw_flow **out)
{
    SPW_TRY(check_options(options, error));
    SPW_TRY(check_graph(graph, error));
    const uint64_t nodes = (uint64_t)graph->node_count;
    struct spw_flow *flow;
    SPW_TRY(spw_arena_take(arena, 1, sizeof(*flow), error, &flow));
    flow->graph = graph;
    flow->options = options;
    flow->node_count = graph->node_count;
    flow->items = options->micro_batch;
    flow->last_items = options->batch - options->micro_batch * (options->micro_batches - 1);
    SPW_TRY(spw_arena_take(arena, nodes + 1, sizeof(*flow->tensors), error, &flow->tensors));
    SPW_TRY(spw_arena_take(arena, nodes, sizeof(*flow->nodes), error, &flow->nodes));
    SPW_TRY(spw_arena_take(arena, (uint64_t)graph->param_count, sizeof(*flow->params), error,
                           &flow->params));
    SPW_TRY(spw_arena_take(arena, nodes, sizeof(*flow->border_bytes), error, &flow->border_bytes));
    SPW_TRY(spw_arena_take(arena, nodes, sizeof(*flow->border_gradients), error,
                           &flow->border_gradients));
    bool *trained;
    SPW_TRY(spw_arena_take(arena, nodes, sizeof(*trained), error, &trained));
    SPW_TRY(size_tensors(flow, error));
    SPW_TRY(size_nodes(flow, error));
    SPW_TRY(size_params(flow, error));
    SPW_TRY(list_users(flow, arena, error));
    mark_trained(flow, trained);
    SPW_TRY(follow_gradients(flow, trained, error));
    follow_needs(flow);
    size_borders(flow);
    *out = flow;
    return SPW_OK;
}
