/* lower_bind.c — the bindings a unit may have, in their fixed order, and what lies where in them.
 *
 * Tested by tests/partitioner/test_lower.c. */
#include "partitioner/lower_state.h"

#include "base/assert.h"
#include "base/checked.h"
#include "partitioner/pack.h"

static enum spw_status add_binding(struct spw_lowering *lowering, enum spw_binding_kind kind,
                                   int32_t index, int32_t use, uint64_t bytes,
                                   struct spw_error *error, int32_t *out)
{
    SPW_TRY(spw_grow(lowering->world, &lowering->table, &lowering->table_capacity,
                     lowering->table_count + 1, sizeof(*lowering->table), "a program's bindings",
                     error));
    *out = (int32_t)lowering->table_count;
    lowering->table[lowering->table_count++] = (struct spw_bound){
        .binding = {.kind = kind, .index = index, .use = use, .bytes = bytes},
        /* Weights are bound in any case, so that each unit of a shard moves the same blocks. */
        .used = kind == SPW_BIND_WEIGHTS,
    };
    return SPW_OK;
}

/* The parameters of the range, ascending. There are few, and they come almost in order. */
static void collect_params(struct spw_lowering *lowering)
{
    for (int32_t i = 0; i < lowering->param_count; i++) {
        lowering->param_places[lowering->params[i]].present = false;
    }
    lowering->param_count = 0;
    const struct spw_flow *flow = lowering->flow;
    for (int32_t node = lowering->request.first; node < lowering->request.end; node++) {
        const struct spw_node *at = &flow->graph->nodes[node];
        for (int slot = 0; slot < spw_op_params(&at->desc); slot++) {
            const int32_t param = at->param[slot];
            struct spw_param_place *place = &lowering->param_places[param];
            if (place->present) {
                continue;
            }
            *place = (struct spw_param_place){
                .present = true,
                .first_use = flow->nodes[node].use[slot],
                .norm = SPW_NO_OPERAND,
            };
            int32_t to = lowering->param_count++;
            for (; to > 0 && lowering->params[to - 1] > param; to--) {
                lowering->params[to] = lowering->params[to - 1];
            }
            lowering->params[to] = param;
        }
    }
}

static int32_t block_of(const struct spw_lowering *lowering, int32_t param)
{
    const int32_t *blocks = lowering->request.param_block;
    return blocks != NULL ? blocks[param] : 0;
}

/* Lays the untied parameters side by side. Returns the first of them, or SPW_GRAPH_NONE. */
static int32_t lay_own_block(struct spw_lowering *lowering, uint64_t *bytes, uint64_t *partials)
{
    int32_t first = SPW_GRAPH_NONE;
    *bytes = 0;
    *partials = 0;
    for (int32_t i = 0; i < lowering->param_count; i++) {
        const int32_t param = lowering->params[i];
        if (spw_flow_is_tied(lowering->flow, param)) {
            continue;
        }
        first = first == SPW_GRAPH_NONE ? param : first;
        struct spw_param_place *place = &lowering->param_places[param];
        place->offset_bytes = spw_round_up(*bytes, SPW_DEVICE_ALIGNMENT);
        place->norm_offset = *partials;
        *bytes = place->offset_bytes + lowering->flow->params[param].bytes;
        *partials += lowering->flow->params[param].chunks;
    }
    return first;
}

static bool is_here(const struct spw_lowering *lowering, int32_t node)
{
    return node >= lowering->request.first && node < lowering->request.end;
}

static enum spw_status bind_tied_grads(struct spw_lowering *lowering, int32_t param,
                                       struct spw_error *error)
{
    const struct spw_flow *flow = lowering->flow;
    struct spw_param_place *place = &lowering->param_places[param];
    bool first = true;
    for (int32_t use = 0; use < flow->graph->params[param].uses; use++) {
        if (!is_here(lowering, flow->params[param].users[use])) {
            continue;
        }
        int32_t binding;
        SPW_TRY(add_binding(lowering, SPW_BIND_GRADS, block_of(lowering, param), use,
                            flow->params[param].bytes, error, &binding));
        place->grads = first ? binding : place->grads;
        first = false;
    }
    return SPW_OK;
}

/* Weights, gradients and partial sums of the shard's parameters. Partial sums come later in the
 * order, so `norm_bytes` (0: none) is handed back. */
static enum spw_status bind_params(struct spw_lowering *lowering, int32_t *own,
                                   uint64_t *norm_bytes, struct spw_error *error)
{
    const struct spw_flow *flow = lowering->flow;
    const bool backward = lowering->request.kind == SPW_UNIT_BACKWARD;
    uint64_t own_bytes, partials;
    *own = lay_own_block(lowering, &own_bytes, &partials);
    *norm_bytes = backward && flow->options->grad_groups == 1 ? partials * sizeof(double) : 0;
    int32_t weights = SPW_NO_OPERAND, grads = SPW_NO_OPERAND;
    if (*own != SPW_GRAPH_NONE) {
        SPW_TRY(add_binding(lowering, SPW_BIND_WEIGHTS, block_of(lowering, *own), 0, own_bytes,
                            error, &weights));
    }
    for (int32_t i = 0; i < lowering->param_count; i++) {
        const int32_t param = lowering->params[i];
        struct spw_param_place *place = &lowering->param_places[param];
        place->weights = weights;
        if (spw_flow_is_tied(flow, param)) {
            SPW_TRY(add_binding(lowering, SPW_BIND_WEIGHTS, block_of(lowering, param), 0,
                                flow->params[param].bytes, error, &place->weights));
        }
    }
    if (!backward) {
        return SPW_OK;
    }
    if (*own != SPW_GRAPH_NONE) {
        SPW_TRY(add_binding(lowering, SPW_BIND_GRADS, block_of(lowering, *own), 0, own_bytes, error,
                            &grads));
    }
    for (int32_t i = 0; i < lowering->param_count; i++) {
        const int32_t param = lowering->params[i];
        lowering->param_places[param].grads = grads;
        if (spw_flow_is_tied(flow, param)) {
            SPW_TRY(bind_tied_grads(lowering, param, error));
        }
    }
    return SPW_OK;
}

static enum spw_status bind_packs(struct spw_lowering *lowering, struct spw_error *error)
{
    const struct spw_flow *flow = lowering->flow;
    const struct spw_lower_request *request = &lowering->request;
    const bool backward = request->kind == SPW_UNIT_BACKWARD;
    const bool keeps = request->keep && !lowering->is_last && request->kind != SPW_UNIT_EVAL;
    const uint64_t in_bytes = spw_pack_cut_offsets(flow, request->first, lowering->in_offset);
    const uint64_t kept_bytes = keeps ? spw_pack_kept_offsets(flow, request->first, request->end,
                                                              lowering->kept_offset,
                                                              lowering->kept_saved)
                                      : 0;
    uint64_t out_bytes = 0;
    if (!lowering->is_last) {
        out_bytes = spw_pack_cut_offsets(flow, request->end, lowering->out_offset);
    }
    SPW_TRY(add_binding(lowering, SPW_BIND_IN, 0, 0, in_bytes, error, &lowering->in));
    if (lowering->is_last) {
        SPW_TRY(add_binding(lowering, SPW_BIND_TARGETS, 0, 0, flow->targets_bytes, error,
                            &lowering->targets));
    }
    if (backward && keeps) {
        SPW_TRY(add_binding(lowering, SPW_BIND_KEPT, 0, 0, kept_bytes, error, &lowering->kept));
    }
    if (backward && !lowering->is_last) {
        SPW_TRY(
            add_binding(lowering, SPW_BIND_GRAD_IN, 0, 0, out_bytes, error, &lowering->grad_in));
    }
    if (!backward && !lowering->is_last) {
        SPW_TRY(add_binding(lowering, SPW_BIND_OUT, 0, 0, out_bytes, error, &lowering->out));
    }
    if (backward && request->first > 0) {
        SPW_TRY(
            add_binding(lowering, SPW_BIND_GRAD_OUT, 0, 0, in_bytes, error, &lowering->grad_out));
    }
    if (!backward && keeps) {
        SPW_TRY(add_binding(lowering, SPW_BIND_KEPT, 0, 0, kept_bytes, error, &lowering->kept));
    }
    if (lowering->is_last) {
        SPW_TRY(add_binding(lowering, SPW_BIND_LOSS, 0, 0, sizeof(struct spw_loss), error,
                            &lowering->loss));
    }
    return SPW_OK;
}

enum spw_status spw_lower_bind(struct spw_lowering *lowering, struct spw_error *error)
{
    lowering->table_count = 0;
    lowering->in = lowering->targets = lowering->kept = lowering->grad_in = SPW_NO_OPERAND;
    lowering->out = lowering->grad_out = lowering->loss = SPW_NO_OPERAND;
    collect_params(lowering);
    int32_t own;
    uint64_t norm_bytes;
    SPW_TRY(bind_params(lowering, &own, &norm_bytes, error));
    SPW_TRY(bind_packs(lowering, error));
    if (norm_bytes > 0) {
        int32_t norm;
        SPW_TRY(add_binding(lowering, SPW_BIND_NORM, block_of(lowering, own), 0, norm_bytes, error,
                            &norm));
        for (int32_t i = 0; i < lowering->param_count; i++) {
            if (!spw_flow_is_tied(lowering->flow, lowering->params[i])) {
                lowering->param_places[lowering->params[i]].norm = norm;
            }
        }
    }
    return add_binding(lowering, SPW_BIND_SCRATCH, 0, 0, 0, error, &lowering->scratch);
}
