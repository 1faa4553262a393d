/* costs.c — the memory of shards that the search considers. Tested by
 * tests/partitioner/test_cuts.c. */
#include "partitioner/costs.h"

#include "base/assert.h"
#include "base/checked.h"

#define CAPACITY_MIN 1024

void spw_costs_init(struct spw_costs *costs, const struct spw_world *world,
                    const struct spw_flow *flow, struct spw_lowering *lowering)
{
    *costs = (struct spw_costs){
        .world = world,
        .flow = flow,
        .lowering = lowering,
        .keep = flow->options->keep == 1,
        .slots = flow->options->micro_batches > 1 ? 2 : 1,
    };
}

void spw_costs_deinit(struct spw_costs *costs)
{
    spw_release(costs->world, costs->entries);
    costs->entries = NULL;
}

static struct spw_cost_entry *find(struct spw_cost_entry *entries, uint64_t capacity, uint64_t key)
{
    /* Fibonacci hashing; the table is never full. */
    uint64_t at = (key * UINT64_C(0x9E3779B97F4A7C15)) >> 20;
    for (;; at++) {
        struct spw_cost_entry *entry = &entries[at & (capacity - 1)];
        if (entry->key == key || entry->key == 0) {
            return entry;
        }
    }
}

static enum spw_status make_room(struct spw_costs *costs, struct spw_error *error)
{
    if (costs->entry_count * 2 < costs->entry_capacity) {
        return SPW_OK;
    }
    const uint64_t capacity = costs->entry_capacity > 0 ? costs->entry_capacity * 2 : CAPACITY_MIN;
    struct spw_cost_entry *entries;
    SPW_TRY(spw_allocate(costs->world, capacity, sizeof(*entries), "the planner", error, &entries));
    for (uint64_t i = 0; i < costs->entry_capacity; i++) {
        if (costs->entries[i].key != 0) {
            *find(entries, capacity, costs->entries[i].key) = costs->entries[i];
        }
    }
    spw_release(costs->world, costs->entries);
    costs->entries = entries;
    costs->entry_capacity = capacity;
    return SPW_OK;
}

static enum spw_status largest_unit(struct spw_costs *costs, int32_t first, int32_t end,
                                    struct spw_error *error, uint64_t *bytes)
{
    const bool last = end == costs->flow->node_count;
    struct spw_lower_request request = {
        .kind = SPW_UNIT_BACKWARD,
        .first = first,
        .end = end,
        .keep = costs->keep,
        .slots = costs->slots,
    };
    struct spw_unit_plan unit;
    SPW_TRY(spw_lower(costs->lowering, &request, error, &unit));
    *bytes = unit.device_bytes;
    /* EVAL of any other shard is FORWARD, or less. */
    request.kind = last ? SPW_UNIT_EVAL : SPW_UNIT_FORWARD;
    SPW_TRY(spw_lower(costs->lowering, &request, error, &unit));
    *bytes = unit.device_bytes > *bytes ? unit.device_bytes : *bytes;
    return SPW_OK;
}

enum spw_status spw_costs_of(struct spw_costs *costs, int32_t first, int32_t end,
                             struct spw_error *error, uint64_t *bytes)
{
    SPW_TRY(make_room(costs, error));
    const uint64_t key = ((uint64_t)first << 32) | (uint64_t)end; /* end > 0 */
    struct spw_cost_entry *entry = find(costs->entries, costs->entry_capacity, key);
    if (entry->key == 0) {
        SPW_TRY(largest_unit(costs, first, end, error, &entry->bytes));
        entry->key = key;
        costs->entry_count++;
    }
    *bytes = entry->bytes;
    return SPW_OK;
}

struct spw_cost_floor spw_cost_floor_of(const struct spw_costs *costs, int32_t first)
{
    return (struct spw_cost_floor){.costs = costs, .first = first, .end = first};
}

static void add_params(struct spw_cost_floor *floor, int32_t node)
{
    const struct spw_flow *flow = floor->costs->flow;
    const struct spw_node *at = &flow->graph->nodes[node];
    for (int slot = 0; slot < spw_op_params(&at->desc); slot++) {
        const int32_t param = at->param[slot];
        const uint64_t bytes = spw_round_up(flow->params[param].bytes, SPW_DEVICE_ALIGNMENT);
        floor->grads_bytes += bytes;
        if (!spw_flow_is_tied(flow, param)) {
            floor->weights_bytes += bytes;
            floor->own_chunks += flow->params[param].chunks;
            continue;
        }
        const int32_t use = flow->nodes[node].use[slot];
        const bool here_before = use > 0 && flow->params[param].users[use - 1] >= floor->first;
        floor->weights_bytes += here_before ? 0 : bytes;
    }
}

static void add_need(struct spw_cost_floor *floor, int32_t tensor, int32_t node)
{
    const struct spw_tensor_flow *at = spw_flow_tensor(floor->costs->flow, tensor);
    floor->reads_in = floor->reads_in || tensor < floor->first;
    if (tensor >= floor->first && at->first_need == node) {
        floor->live_bytes += spw_round_up(at->bytes, SPW_DEVICE_ALIGNMENT);
    }
}

/* When recomputation is over and gradients begin, all that they read is alive. */
static void add_needs(struct spw_cost_floor *floor, int32_t node)
{
    const struct spw_flow *flow = floor->costs->flow;
    const struct spw_node_flow *at = &flow->nodes[node];
    const int32_t *input = flow->graph->nodes[node].input;
    if (at->needs & SPW_NEEDS_Y) {
        add_need(floor, node, node);
    }
    if (at->needs & SPW_NEEDS_X0) {
        add_need(floor, input[0], node);
    }
    if (at->needs & SPW_NEEDS_X1 && !(at->needs & SPW_NEEDS_X0 && input[0] == input[1])) {
        add_need(floor, input[1], node);
    }
    if (at->needs & SPW_NEEDS_SAVED) {
        floor->live_bytes += spw_round_up(at->saved_bytes, SPW_DEVICE_ALIGNMENT);
    }
    if (at->runs_backward && at->backward_workspace > floor->workspace_bytes) {
        floor->workspace_bytes = spw_round_up(at->backward_workspace, SPW_DEVICE_ALIGNMENT);
    }
}

/* Scratch memory at the two worst moments that are easily known: the first backward call, and the
 * one with the largest workspace. */
static uint64_t scratch_floor(const struct spw_cost_floor *floor, uint64_t live_bytes)
{
    const struct spw_node_flow *last = &floor->costs->flow->nodes[floor->end - 1];
    uint64_t first_call = live_bytes;
    if (last->runs_backward) {
        first_call += spw_round_up(last->backward_workspace, SPW_DEVICE_ALIGNMENT);
    }
    return first_call > floor->workspace_bytes ? first_call : floor->workspace_bytes;
}

void spw_cost_floor_extend(struct spw_cost_floor *floor)
{
    const struct spw_costs *costs = floor->costs;
    const struct spw_flow *flow = costs->flow;
    SPW_ASSERT(floor->end < flow->node_count);
    add_params(floor, floor->end);
    add_needs(floor, floor->end);
    floor->end++;

    const bool last = floor->end == flow->node_count;
    const uint64_t norm_bytes =
        flow->options->grad_groups == 1
            ? spw_round_up(floor->own_chunks * sizeof(double), SPW_DEVICE_ALIGNMENT)
            : 0;
    floor->state_bytes = floor->weights_bytes + floor->grads_bytes + norm_bytes;

    const uint64_t in_bytes = flow->border_bytes[floor->first];
    uint64_t forward_slot = in_bytes;
    uint64_t backward_slot = floor->first > 0 && flow->border_gradients[floor->first] ? in_bytes
                                                                                      : 0;
    if (last) {
        const uint64_t loss_bytes = spw_round_up(flow->targets_bytes, SPW_DEVICE_ALIGNMENT) +
                                    spw_round_up(sizeof(struct spw_loss), SPW_DEVICE_ALIGNMENT);
        forward_slot += loss_bytes;
        backward_slot += loss_bytes;
    } else {
        forward_slot += flow->border_bytes[floor->end];
        backward_slot += flow->border_gradients[floor->end] ? flow->border_bytes[floor->end] : 0;
    }
    const bool kept = costs->keep && !last;
    backward_slot += kept ? floor->live_bytes : 0;
    /* Whatever is recomputed begins with the pack before the shard. */
    backward_slot += floor->reads_in || (!kept && floor->live_bytes > 0) ? in_bytes : 0;
    const uint64_t scratch = scratch_floor(floor, kept ? 0 : floor->live_bytes);
    const uint64_t forward = floor->weights_bytes + costs->slots * forward_slot;
    const uint64_t backward = floor->state_bytes + scratch + costs->slots * backward_slot;
    floor->bytes = forward > backward ? forward : backward;
}
