/* lower_forward.c — FORWARD and EVAL programs.
 *
 * A tensor that crosses the border behind the shard is written straight to its place in the pack;
 * one that is kept, to its place there; others to scratch. Tested by
 * tests/partitioner/test_programs.c. */
#include "partitioner/lower_state.h"

#include "base/assert.h"
#include "partitioner/pack.h"

enum spw_status spw_lower_forward_call(struct spw_lowering *lowering, int32_t node,
                                       struct spw_operand y, struct spw_operand saved,
                                       struct spw_error *error)
{
    const struct spw_node *at = &lowering->flow->graph->nodes[node];
    struct spw_instruction call = spw_instruction_of(&at->desc, node, SPW_FORWARD);
    for (int slot = 0; slot < spw_op_inputs(at->desc.op); slot++) {
        call.x[slot] = lowering->values[at->input[slot] + 1];
        SPW_ASSERT(spw_operand_is(call.x[slot]));
    }
    for (int slot = 0; slot < spw_op_params(&at->desc); slot++) {
        const struct spw_param_place *place = &lowering->param_places[at->param[slot]];
        call.w[slot] = (struct spw_operand){place->weights, place->offset_bytes};
    }
    call.y = y;
    call.saved = saved;
    if (spw_op_is_loss(at->desc.op)) {
        call.targets = (struct spw_operand){lowering->targets, 0};
        call.loss = (struct spw_operand){lowering->loss, 0};
    }
    SPW_TRY(spw_lower_scratch(lowering, lowering->flow->nodes[node].forward_workspace, error,
                              &call.workspace));
    return spw_lower_emit(lowering, call, error);
}

static struct spw_operand packed(int32_t binding, uint64_t offset)
{
    if (binding == SPW_NO_OPERAND || offset == SPW_NOT_PACKED) {
        return (struct spw_operand){SPW_NO_OPERAND, 0};
    }
    return (struct spw_operand){binding, offset};
}

static enum spw_status forward_node(struct spw_lowering *lowering, int32_t node,
                                    struct spw_error *error)
{
    const bool is_loss = spw_op_is_loss(lowering->flow->graph->nodes[node].desc.op);
    /* The offsets are set only where the binding exists. */
    const struct spw_operand none = {SPW_NO_OPERAND, 0};
    const bool has_out = lowering->out != SPW_NO_OPERAND;
    const bool has_kept = lowering->kept != SPW_NO_OPERAND;
    const struct spw_operand out = has_out ? packed(lowering->out, lowering->out_offset[node + 1])
                                           : none;
    const struct spw_operand kept =
        has_kept ? packed(lowering->kept, lowering->kept_offset[node + 1]) : none;

    struct spw_operand y = spw_operand_is(out) ? out : kept;
    if (!spw_operand_is(y) && !is_loss) {
        SPW_TRY(
            spw_lower_scratch(lowering, spw_flow_tensor(lowering->flow, node)->bytes, error, &y));
    }
    struct spw_operand saved = has_kept ? packed(lowering->kept, lowering->kept_saved[node]) : none;
    if (!spw_operand_is(saved)) {
        SPW_TRY(
            spw_lower_scratch(lowering, lowering->flow->nodes[node].saved_bytes, error, &saved));
    }
    SPW_TRY(spw_lower_forward_call(lowering, node, y, saved, error));
    lowering->values[node + 1] = y;
    if (spw_operand_is(out) && spw_operand_is(kept)) {
        return spw_lower_emit_copy(lowering, node, out, kept, error);
    }
    return SPW_OK;
}

enum spw_status spw_lower_forward(struct spw_lowering *lowering, struct spw_error *error)
{
    const struct spw_lower_request *request = &lowering->request;
    for (int32_t tensor = SPW_GRAPH_DATA; tensor < request->first; tensor++) {
        lowering->values[tensor + 1] = packed(lowering->in, lowering->in_offset[tensor + 1]);
        if (lowering->out == SPW_NO_OPERAND) {
            continue;
        }
        const struct spw_operand out = packed(lowering->out, lowering->out_offset[tensor + 1]);
        if (spw_operand_is(out)) {
            SPW_TRY(
                spw_lower_emit_copy(lowering, tensor, lowering->values[tensor + 1], out, error));
        }
    }
    for (int32_t node = request->first; node < request->end; node++) {
        SPW_TRY(forward_node(lowering, node, error));
    }
    return SPW_OK;
}
