/* estimate.c — times of ops and programs. Tested by tests/partitioner/test_estimate.c. */
#include "partitioner/estimate.h"

#include "partitioner/rates.h"
#include "partitioner/same_work.h"

/* What a link without figures is taken for: a core of a desktop that copies. */
#define DEFAULT_LINK_BYTES_PER_S UINT64_C(8000000000)

uint64_t spw_estimate_link_ns(const struct spw_plan_options *options, uint64_t bytes)
{
    const uint64_t link = options->link_bytes_per_s;
    return spw_rates_ns(bytes, link > 0 ? link : DEFAULT_LINK_BYTES_PER_S);
}

uint64_t spw_plan_link_ns(const struct spw_plan *plan, uint64_t bytes)
{
    return spw_estimate_link_ns(&plan->options, bytes);
}

uint64_t spw_estimate_memory_ns(const struct spw_plan_options *options, uint64_t bytes)
{
    return spw_rates_ns(bytes, spw_rates_of(options).memory_bytes_per_s);
}

static uint64_t op_ns(const struct spw_flow *flow, const struct spw_op_desc *desc,
                      enum spw_pass pass)
{
    const struct spw_plan_options *options = flow->options;
    if (options->measure != NULL && desc->op != SPW_OP_COPY) {
        const uint64_t ns = options->measure(options->measure_context, desc, flow->items, pass);
        if (ns > 0) {
            return ns;
        }
    }
    const struct spw_rates rates = spw_rates_of(options);
    return spw_rates_op_ns(&rates, desc, flow->items, pass);
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
        while (i < count && !spw_same_work(desc, &flow->graph->nodes[distinct[i]].desc)) {
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
