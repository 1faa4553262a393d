/* lower_backward.c — BACKWARD programs: recomputation, then gradients in reverse order.
 *
 * Gradients fold in one order whatever the cuts: contributions of later nodes first, of a node that
 * reads a tensor twice the second input's first. What later shards have folded arrives in GRAD_IN;
 * it is gone on with in place if the tensor was made here, and moved to GRAD_OUT first if it was
 * made before. Tested by tests/partitioner/test_programs.c. */
#include "partitioner/lower_state.h"

#include "base/assert.h"
#include "partitioner/pack.h"

/* Values that are at hand: the pack before the shard, and what FORWARD kept. */
static void find_values(struct spw_lowering *lowering)
{
    const struct spw_lower_request *request = &lowering->request;
    for (int32_t tensor = SPW_GRAPH_DATA; tensor < request->end; tensor++) {
        lowering->values[tensor + 1].binding = SPW_NO_OPERAND;
        lowering->gradients[tensor + 1].binding = SPW_NO_OPERAND;
    }
    for (int32_t tensor = SPW_GRAPH_DATA; tensor < request->first; tensor++) {
        const uint64_t offset = lowering->in_offset[tensor + 1];
        if (offset != SPW_NOT_PACKED) {
            lowering->values[tensor + 1] = (struct spw_operand){lowering->in, offset};
        }
    }
    for (int32_t node = request->first; node < request->end; node++) {
        lowering->saved[node].binding = SPW_NO_OPERAND;
        if (lowering->kept == SPW_NO_OPERAND) {
            continue;
        }
        if (lowering->kept_offset[node + 1] != SPW_NOT_PACKED) {
            lowering->values[node + 1] =
                (struct spw_operand){lowering->kept, lowering->kept_offset[node + 1]};
        }
        if (lowering->kept_saved[node] != SPW_NOT_PACKED) {
            lowering->saved[node] =
                (struct spw_operand){lowering->kept, lowering->kept_saved[node]};
        }
    }
}

/* Marks the forward calls that backward calls need, and those that these need in turn. */
static void choose_recomputed(struct spw_lowering *lowering)
{
    const struct spw_flow *flow = lowering->flow;
    const struct spw_lower_request *request = &lowering->request;
    for (int32_t node = request->first; node < request->end; node++) {
        const struct spw_node_flow *at = &flow->nodes[node];
        const bool value = spw_flow_tensor(flow, node)->first_need < request->end &&
                           !spw_operand_is(lowering->values[node + 1]);
        const bool saved = at->needs & SPW_NEEDS_SAVED && at->saved_bytes > 0 &&
                           !spw_operand_is(lowering->saved[node]);
        lowering->recompute[node] = value || saved;
    }
    for (int32_t node = request->end - 1; node >= request->first; node--) {
        const struct spw_node *at = &flow->graph->nodes[node];
        for (int slot = 0; lowering->recompute[node] && slot < spw_op_inputs(at->desc.op); slot++) {
            const int32_t input = at->input[slot];
            if (input >= request->first && !spw_operand_is(lowering->values[input + 1])) {
                lowering->recompute[input] = true;
            }
        }
    }
}

static enum spw_status recompute(struct spw_lowering *lowering, struct spw_error *error)
{
    const struct spw_flow *flow = lowering->flow;
    for (int32_t node = lowering->request.first; node < lowering->request.end; node++) {
        if (!lowering->recompute[node]) {
            continue;
        }
        struct spw_operand y, saved;
        SPW_TRY(spw_lower_scratch(lowering, spw_flow_tensor(flow, node)->bytes, error, &y));
        SPW_TRY(spw_lower_scratch(lowering, flow->nodes[node].saved_bytes, error, &saved));
        SPW_TRY(spw_lower_forward_call(lowering, node, y, saved, error));
        lowering->values[node + 1] = y;
        lowering->saved[node] = saved;
    }
    return SPW_OK;
}

/* Where the contributions of later shards are. */
static enum spw_status receive_gradients(struct spw_lowering *lowering, struct spw_error *error)
{
    const struct spw_lower_request *request = &lowering->request;
    for (int32_t tensor = 0; tensor < request->end && !lowering->is_last; tensor++) {
        if (!spw_flow_gradient_crosses(lowering->flow, tensor, request->end)) {
            continue;
        }
        const struct spw_operand arrived = {lowering->grad_in, lowering->out_offset[tensor + 1]};
        lowering->gradients[tensor + 1] = arrived;
        if (tensor < request->first) {
            const struct spw_operand out = {lowering->grad_out, lowering->in_offset[tensor + 1]};
            SPW_TRY(spw_lower_emit_copy(lowering, tensor, arrived, out, error));
            lowering->gradients[tensor + 1] = out;
        }
    }
    return SPW_OK;
}

/* Where a contribution to the gradient of `tensor` goes, and whether it is added to what is there.
 */
static enum spw_status gradient_place(struct spw_lowering *lowering, int32_t tensor,
                                      struct spw_error *error, bool *accumulate,
                                      struct spw_operand *out)
{
    struct spw_operand *place = &lowering->gradients[tensor + 1];
    *accumulate = spw_operand_is(*place);
    if (!*accumulate && tensor < lowering->request.first) {
        *place = (struct spw_operand){lowering->grad_out, lowering->in_offset[tensor + 1]};
    } else if (!*accumulate) {
        SPW_TRY(spw_lower_scratch(lowering, spw_flow_tensor(lowering->flow, tensor)->bytes, error,
                                  place));
    }
    *out = *place;
    return SPW_OK;
}

static void add_params(const struct spw_lowering *lowering, int32_t node,
                       struct spw_instruction *call)
{
    const struct spw_node *at = &lowering->flow->graph->nodes[node];
    const struct spw_node_flow *flow = &lowering->flow->nodes[node];
    for (int slot = 0; slot < spw_op_params(&at->desc); slot++) {
        const struct spw_param_place *place = &lowering->param_places[at->param[slot]];
        if (flow->needs & SPW_NEEDS_W) {
            call->w[slot] = (struct spw_operand){place->weights, place->offset_bytes};
        }
        /* Uses are numbered in graph order, so those of a range are neighbours. */
        const int32_t use = flow->use[slot] - place->first_use;
        call->dw[slot] = (struct spw_operand){place->grads + use, place->offset_bytes};
    }
}

static struct spw_instruction backward_call(const struct spw_lowering *lowering, int32_t node)
{
    const struct spw_node *at = &lowering->flow->graph->nodes[node];
    const uint32_t needs = lowering->flow->nodes[node].needs;
    struct spw_instruction call = spw_instruction_of(&at->desc, node, SPW_BACKWARD);
    if (needs & SPW_NEEDS_X0) {
        call.x[0] = lowering->values[at->input[0] + 1];
        SPW_ASSERT(spw_operand_is(call.x[0]));
    }
    if (needs & SPW_NEEDS_X1) {
        call.x[1] = lowering->values[at->input[1] + 1];
        SPW_ASSERT(spw_operand_is(call.x[1]));
    }
    if (needs & SPW_NEEDS_Y) {
        call.y = lowering->values[node + 1];
        SPW_ASSERT(spw_operand_is(call.y));
    }
    if (needs & SPW_NEEDS_SAVED) {
        call.saved = lowering->saved[node];
    }
    if (spw_op_is_loss(at->desc.op)) {
        call.targets = (struct spw_operand){lowering->targets, 0};
        call.loss = (struct spw_operand){lowering->loss, 0};
    } else {
        call.dy = lowering->gradients[node + 1];
        SPW_ASSERT(spw_operand_is(call.dy));
    }
    return call;
}

static bool wants_gradient(const struct spw_lowering *lowering, int32_t node, int slot)
{
    const struct spw_node *at = &lowering->flow->graph->nodes[node];
    const int32_t input = at->input[slot];
    return input >= 0 && spw_flow_gives_gradient(at->desc.op) &&
           spw_flow_tensor(lowering->flow, input)->last_giver >= 0;
}

static enum spw_status add_gradient(struct spw_lowering *lowering, int32_t node, int slot,
                                    struct spw_instruction *call, struct spw_error *error)
{
    bool accumulate;
    SPW_TRY(gradient_place(lowering, lowering->flow->graph->nodes[node].input[slot], error,
                           &accumulate, &call->dx[slot]));
    if (accumulate) {
        call->flags |= slot == 0 ? SPW_CALL_ACCUMULATE_DX0 : SPW_CALL_ACCUMULATE_DX1;
    }
    return SPW_OK;
}

static enum spw_status emit_backward(struct spw_lowering *lowering, struct spw_instruction call,
                                     struct spw_error *error)
{
    SPW_TRY(spw_lower_scratch(lowering, lowering->flow->nodes[call.node].backward_workspace, error,
                              &call.workspace));
    return spw_lower_emit(lowering, call, error);
}

static enum spw_status backward_node(struct spw_lowering *lowering, int32_t node,
                                     struct spw_error *error)
{
    const struct spw_node *at = &lowering->flow->graph->nodes[node];
    const bool two = spw_op_inputs(at->desc.op) == 2;
    const bool second = two && wants_gradient(lowering, node, 1);
    struct spw_instruction call = backward_call(lowering, node);
    add_params(lowering, node, &call);
    if (second) {
        SPW_TRY(add_gradient(lowering, node, 1, &call, error));
    }
    if (second && at->input[0] == at->input[1]) {
        /* Two outputs of one call may not be one buffer. */
        SPW_TRY(emit_backward(lowering, call, error));
        call = backward_call(lowering, node);
        SPW_ASSERT(spw_op_params(&at->desc) == 0);
    }
    if (wants_gradient(lowering, node, 0)) {
        SPW_TRY(add_gradient(lowering, node, 0, &call, error));
    }
    return emit_backward(lowering, call, error);
}

/* Partial sums of squares of what no REDUCE unit will see. */
static enum spw_status add_norms(struct spw_lowering *lowering, struct spw_error *error)
{
    for (int32_t i = 0; i < lowering->param_count; i++) {
        const int32_t param = lowering->params[i];
        const struct spw_param_place *place = &lowering->param_places[param];
        if (place->norm == SPW_NO_OPERAND) {
            continue;
        }
        struct spw_instruction norm =
            spw_instruction_of(NULL, lowering->flow->params[param].users[0], SPW_BACKWARD);
        norm.kind = SPW_INSTRUCTION_NORM;
        norm.dw[0] = (struct spw_operand){place->grads, place->offset_bytes};
        norm.y = (struct spw_operand){place->norm, place->norm_offset * sizeof(double)};
        norm.elements = (uint64_t)lowering->flow->graph->params[param].elements;
        SPW_TRY(spw_grow(lowering->world, &lowering->epilogue, &lowering->epilogue_capacity,
                         lowering->epilogue_count + 1, sizeof(norm), "a program", error));
        lowering->epilogue[lowering->epilogue_count++] = norm;
        lowering->table[place->norm].used = true;
    }
    return SPW_OK;
}

enum spw_status spw_lower_backward(struct spw_lowering *lowering, struct spw_error *error)
{
    find_values(lowering);
    choose_recomputed(lowering);
    if (lowering->is_last) {
        /* The loss op's backward pass gives the loss too. */
        lowering->recompute[lowering->request.end - 1] = false;
    }
    SPW_TRY(recompute(lowering, error));
    SPW_TRY(receive_gradients(lowering, error));
    for (int32_t node = lowering->request.end - 1; node >= lowering->request.first; node--) {
        if (lowering->flow->nodes[node].runs_backward) {
            SPW_TRY(backward_node(lowering, node, error));
        }
    }
    return add_norms(lowering, error);
}
