/* estimate.c — times of ops and programs. Tested by tests/partitioner/test_estimate.c. */
#include "partitioner/estimate.h"

/* What a device without figures is taken for: a core or two of a desktop. */
#define DEFAULT_FLOPS_PER_S UINT64_C(50000000000)
#define DEFAULT_LINK_BYTES_PER_S UINT64_C(8000000000)
/* FLOPs that a device does while its memory moves one byte: CPUs and GPUs are within a few times.
 */
#define FLOPS_PER_BYTE 10

static uint64_t time_ns(uint64_t amount, uint64_t per_s)
{
    return (uint64_t)((double)amount * 1e9 / (double)per_s + 0.5);
}

static uint64_t flops_per_s(const struct spw_plan_options *options)
{
    return options->flops_per_s > 0 ? options->flops_per_s : DEFAULT_FLOPS_PER_S;
}

uint64_t spw_estimate_link_ns(const struct spw_plan_options *options, uint64_t bytes)
{
    const uint64_t link = options->link_bytes_per_s;
    return time_ns(bytes, link > 0 ? link : DEFAULT_LINK_BYTES_PER_S);
}

uint64_t spw_estimate_memory_ns(const struct spw_plan_options *options, uint64_t bytes)
{
    return time_ns(bytes * FLOPS_PER_BYTE, flops_per_s(options));
}

static bool same_shape(const struct spw_shape *a, const struct spw_shape *b)
{
    bool same = a->rank == b->rank;
    for (int64_t i = 0; same && i < a->rank; i++) {
        same = a->dim[i] == b->dim[i];
    }
    return same;
}

/* Do both take the same time? Keys of random streams don't matter. */
static bool same_work(const struct spw_op_desc *a, const struct spw_op_desc *b)
{
    if (a->op != b->op || !same_shape(&a->in, &b->in) || !same_shape(&a->out, &b->out)) {
        return false;
    }
    switch (a->op) {
    case SPW_OP_LINEAR:
    case SPW_OP_LINEAR_XENT:
        return a->attr.linear.out == b->attr.linear.out && a->attr.linear.in == b->attr.linear.in &&
               a->attr.linear.bias == b->attr.linear.bias &&
               a->attr.linear.conv1d == b->attr.linear.conv1d;
    case SPW_OP_CONV2D:
        return a->attr.conv2d.out == b->attr.conv2d.out &&
               a->attr.conv2d.kernel == b->attr.conv2d.kernel &&
               a->attr.conv2d.stride == b->attr.conv2d.stride &&
               a->attr.conv2d.padding == b->attr.conv2d.padding &&
               a->attr.conv2d.bias == b->attr.conv2d.bias;
    case SPW_OP_MAXPOOL2D:
    case SPW_OP_AVGPOOL2D:
        return a->attr.pool.kernel == b->attr.pool.kernel &&
               a->attr.pool.stride == b->attr.pool.stride;
    case SPW_OP_EMBEDDING:
        return a->attr.embedding.vocabulary == b->attr.embedding.vocabulary &&
               a->attr.embedding.width == b->attr.embedding.width;
    case SPW_OP_ATTENTION:
        return a->attr.attention.heads == b->attr.attention.heads &&
               (a->attr.attention.dropout > 0) == (b->attr.attention.dropout > 0);
    case SPW_OP_DROPOUT:
        return (a->attr.dropout.p > 0) == (b->attr.dropout.p > 0);
    case SPW_OP_FLATTEN:
    case SPW_OP_RELU:
    case SPW_OP_GELU:
    case SPW_OP_GELU_TANH:
    case SPW_OP_SILU:
    case SPW_OP_LAYERNORM:
    case SPW_OP_POSITION:
    case SPW_OP_ADD:
    case SPW_OP_SOFTMAX_XENT:
    case SPW_OP_COPY:
    case SPW_OP_COUNT:
        break;
    }
    return true;
}

static uint64_t op_ns(const struct spw_flow *flow, const struct spw_op_desc *desc,
                      enum spw_pass pass)
{
    const struct spw_plan_options *options = flow->options;
    if (options->measure != NULL && desc->op != SPW_OP_COPY) {
        return options->measure(options->measure_context, desc, flow->items, pass);
    }
    const struct spw_cost cost = spw_op_cost(desc, flow->items, pass);
    const uint64_t compute_ns = time_ns(cost.flops, flops_per_s(options));
    const uint64_t memory_ns = spw_estimate_memory_ns(options, cost.bytes);
    return compute_ns > memory_ns ? compute_ns : memory_ns;
}

enum spw_status spw_estimate_nodes(struct spw_arena *arena, struct spw_flow *flow,
                                   struct spw_error *error)
{
    int32_t *distinct; /* nodes that were measured, one of each sort */
    SPW_TRY(spw_arena_take(arena, (uint64_t)flow->node_count, sizeof(*distinct), error, &distinct));
    int32_t count = 0;
    for (int32_t node = 0; node < flow->node_count; node++) {
        const struct spw_op_desc *desc = &flow->graph->nodes[node].desc;
        int32_t i = 0;
        while (i < count && !same_work(desc, &flow->graph->nodes[distinct[i]].desc)) {
            i++;
        }
        if (i == count) {
            distinct[count++] = node;
            flow->nodes[node].forward_ns = op_ns(flow, desc, SPW_FORWARD);
            flow->nodes[node].backward_ns = op_ns(flow, desc, SPW_BACKWARD);
        }
        flow->nodes[node].forward_ns = flow->nodes[distinct[i]].forward_ns;
        flow->nodes[node].backward_ns = flow->nodes[distinct[i]].backward_ns;
    }
    return SPW_OK;
}

static uint64_t call_ns(const struct spw_flow *flow, const struct spw_instruction *call)
{
    if (call->node < 0) {
        return op_ns(flow, call->desc, call->pass);
    }
    const struct spw_node_flow *node = &flow->nodes[call->node];
    return call->pass == SPW_FORWARD ? node->forward_ns : node->backward_ns;
}

uint64_t spw_estimate_flops(const struct spw_program *program, int64_t items)
{
    uint64_t flops = 0;
    for (int32_t i = 0; i < program->instruction_count; i++) {
        const struct spw_instruction *call = &program->instructions[i];
        flops += spw_op_cost(call->desc, items, call->pass).flops;
    }
    return flops;
}

void spw_estimate_program(const struct spw_flow *flow, struct spw_program *program)
{
    program->flops = spw_estimate_flops(program, flow->items);
    program->time_ns = 0;
    for (int32_t i = 0; i < program->instruction_count; i++) {
        program->time_ns += call_ns(flow, &program->instructions[i]);
    }
}
