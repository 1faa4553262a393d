/* totals.c — what a plan costs in all. Tested by tests/partitioner/test_totals.c. */
#include "partitioner/totals.h"

#include "base/checked.h"
#include "partitioner/estimate.h"

static uint64_t rounded(uint64_t bytes)
{
    return spw_round_up(bytes, SPW_DEVICE_ALIGNMENT);
}

uint64_t spw_plan_spare_slots(const struct spw_plan *plan, uint64_t *sizes)
{
    uint64_t count = 0;
    for (int32_t i = 0; i < plan->weight_block_count; i++) {
        bool known = false;
        for (int32_t k = 0; k < i && !known; k++) {
            known = plan->weight_blocks[k].bytes == plan->weight_blocks[i].bytes;
        }
        if (!known && sizes != NULL) {
            sizes[count] = plan->weight_blocks[i].bytes;
        }
        count += !known;
    }
    return count;
}

/* ---- traffic ---- */

static void add_blocks(const struct spw_plan *plan, struct spw_traffic *traffic)
{
    const uint64_t groups = (uint64_t)plan->options.grad_groups;
    for (int32_t i = 0; i < plan->shard_count; i++) {
        const uint64_t loads = i + 1 == plan->shard_count ? 1 : 2;
        for (int32_t k = 0; k < plan->shards[i].weight_block_count; k++) {
            const struct spw_weight_block *block =
                &plan->weight_blocks[plan->shards[i].weight_blocks[k]];
            traffic->in.weights += loads * groups * block->bytes;
        }
    }
    for (int32_t i = 0; i < plan->weight_block_count; i++) {
        const struct spw_weight_block *block = &plan->weight_blocks[i];
        traffic->out.grads += (uint64_t)block->uses * groups * block->bytes;
        traffic->out.grads += block->reduced ? 0 : block->norm_partials * sizeof(double);
    }
}

static void add_packs(const struct spw_plan *plan, struct spw_traffic *traffic)
{
    const uint64_t micro_batches = (uint64_t)plan->options.micro_batches;
    for (int32_t i = 0; i < plan->shard_count; i++) {
        const struct spw_shard *shard = &plan->shards[i];
        const bool last = i + 1 == plan->shard_count;
        const uint64_t in = shard->backward.in_bytes + (last ? 0 : shard->forward.in_bytes);
        const uint64_t out = shard->backward.out_bytes + (last ? 0 : shard->forward.out_bytes);
        traffic->in.packs += micro_batches * in;
        traffic->out.packs += micro_batches * out;
    }
}

static void add_updates(const struct spw_plan *plan, struct spw_traffic *traffic)
{
    const uint64_t groups = (uint64_t)plan->options.grad_groups;
    const uint64_t moments = plan->options.moments;
    for (int32_t i = 0; i < plan->weight_block_count; i++) {
        const struct spw_weight_block *block = &plan->weight_blocks[i];
        traffic->in.weights += block->bytes;
        traffic->in.grads += block->bytes;
        traffic->in.moments += moments * block->bytes;
        traffic->out.weights += block->bytes;
        traffic->out.moments += moments * block->bytes;
        if (block->reduced && spw_plan_reduce_place(plan, i) == SPW_UPDATE_ON_DEVICE) {
            traffic->in.grads += (uint64_t)block->uses * groups * block->bytes;
            traffic->out.grads += block->bytes + block->norm_partials * sizeof(double);
        }
    }
}

struct spw_traffic spw_plan_traffic(const struct spw_plan *plan)
{
    struct spw_traffic traffic = {0};
    add_blocks(plan, &traffic);
    add_packs(plan, &traffic);
    if (plan->options.update_place == SPW_UPDATE_ON_DEVICE) {
        add_updates(plan, &traffic);
    }
    return traffic;
}

static uint64_t sum(const struct spw_traffic_bytes *bytes)
{
    return bytes->weights + bytes->grads + bytes->moments + bytes->packs;
}

/* ---- homes ---- */

static void add_block_homes(const struct spw_plan *plan, struct spw_plan_totals *totals,
                            uint64_t *sizes)
{
    const uint64_t moments = plan->options.moments;
    for (int32_t i = 0; i < plan->weight_block_count; i++) {
        const struct spw_weight_block *block = &plan->weight_blocks[i];
        const uint64_t accumulators = (uint64_t)block->uses * (uint64_t)plan->options.grad_groups;
        totals->home_weights_bytes += rounded(block->bytes);
        totals->home_grads_bytes += accumulators * rounded(block->bytes);
        totals->home_moments_bytes += moments * rounded(block->bytes);
        totals->home_cuts_bytes += rounded(block->norm_partials * sizeof(double));
    }
    const uint64_t count = spw_plan_spare_slots(plan, sizes);
    for (uint64_t i = 0; i < count; i++) {
        totals->home_spare_bytes += (1 + moments) * rounded(sizes[i]);
    }
}

/* Packs for all micro-batches: every cut and what is kept stay from FORWARD to BACKWARD; gradients
 * are used up by the next shard, so two packs take turns; data is gathered one batch ahead. */
static void add_pack_homes(const struct spw_plan *plan, struct spw_plan_totals *totals)
{
    uint64_t largest = 0;
    uint64_t each = 0;
    for (int32_t i = 0; i < plan->shard_count; i++) {
        const uint64_t bytes = i > 0 ? rounded(plan->cuts[i].bytes) : 0;
        largest = bytes > largest ? bytes : largest;
        each += bytes + rounded(plan->shards[i].kept.bytes);
    }
    each += 2 * largest + rounded(sizeof(struct spw_loss));
    each += 2 * (rounded(plan->cuts[0].bytes) + rounded(plan->targets_bytes));
    totals->home_cuts_bytes += (uint64_t)plan->options.micro_batches * each;
}

/* ---- work ---- */

/* FLOPs of a full batch, whose last micro-batch may be short. */
static uint64_t batch_flops(const struct spw_flow *flow, const struct spw_program *program)
{
    const uint64_t full = (uint64_t)flow->options->micro_batches - 1;
    return full * program->flops + spw_estimate_flops(program, flow->last_items);
}

static uint64_t useful_flops(const struct spw_flow *flow)
{
    uint64_t flops = 0;
    for (int32_t node = 0; node < flow->node_count; node++) {
        const struct spw_op_desc *desc = &flow->graph->nodes[node].desc;
        for (int pass = 0; pass < 2; pass++) {
            const bool runs = pass == 0 ? !spw_op_is_loss(desc->op)
                                        : flow->nodes[node].runs_backward;
            if (!runs) {
                continue;
            }
            const enum spw_pass of = pass == 0 ? SPW_FORWARD : SPW_BACKWARD;
            const uint64_t full = (uint64_t)flow->options->micro_batches - 1;
            flops += full * spw_op_cost(desc, flow->items, of).flops;
            flops += spw_op_cost(desc, flow->last_items, of).flops;
        }
    }
    return flops;
}

static void add_work(const struct spw_plan *plan, const struct spw_flow *flow,
                     struct spw_plan_totals *totals)
{
    const uint64_t micro_batches = (uint64_t)plan->options.micro_batches;
    uint64_t compute_ns = 0;
    for (int32_t i = 0; i < plan->shard_count; i++) {
        const struct spw_shard *shard = &plan->shards[i];
        totals->step_flops += batch_flops(flow, &shard->backward.program);
        compute_ns += micro_batches * shard->backward.program.time_ns;
        if (i + 1 < plan->shard_count) {
            totals->step_flops += batch_flops(flow, &shard->forward.program);
            compute_ns += micro_batches * shard->forward.program.time_ns;
        }
    }
    totals->step_useful_flops = useful_flops(flow);
    const struct spw_traffic traffic = spw_plan_traffic(plan);
    totals->step_in_bytes = sum(&traffic.in);
    totals->step_out_bytes = sum(&traffic.out);
    if (plan->options.update_place == SPW_UPDATE_ON_DEVICE) {
        /* Updates read and write each byte that they move once. */
        const uint64_t moved = totals->home_weights_bytes * (3 + 2 * plan->options.moments);
        compute_ns += spw_estimate_memory_ns(&plan->options, moved);
    }
    const uint64_t in_ns = spw_estimate_link_ns(&plan->options, totals->step_in_bytes);
    const uint64_t out_ns = spw_estimate_link_ns(&plan->options, totals->step_out_bytes);
    const uint64_t copy_ns = in_ns > out_ns ? in_ns : out_ns;
    totals->step_time_ns = compute_ns > copy_ns ? compute_ns : copy_ns;
}

static void take_unit(struct spw_plan_totals *totals, const struct spw_unit_plan *unit)
{
    if (unit->device_bytes > totals->device_bytes_max) {
        totals->device_bytes_max = unit->device_bytes;
    }
}

void spw_totals_fill(struct spw_plan *plan, const struct spw_flow *flow, uint64_t *sizes)
{
    struct spw_plan_totals totals = {.device_bytes_min = plan->totals.device_bytes_min};
    totals.parameters = (uint64_t)plan->graph->parameter_count;
    totals.state_bytes = totals.parameters * sizeof(float) * (2 + plan->options.moments);
    for (int32_t i = 0; i < plan->shard_count; i++) {
        take_unit(&totals, &plan->shards[i].forward);
        take_unit(&totals, &plan->shards[i].backward);
        take_unit(&totals, &plan->shards[i].eval);
    }
    for (int32_t i = 0; i < plan->weight_block_count; i++) {
        take_unit(&totals, &plan->reduces[i]);
        take_unit(&totals, &plan->updates[i]);
    }
    add_block_homes(plan, &totals, sizes);
    add_pack_homes(plan, &totals);
    totals.home_bytes = totals.home_weights_bytes + totals.home_grads_bytes +
                        totals.home_moments_bytes + totals.home_spare_bytes +
                        totals.home_cuts_bytes;
    add_work(plan, flow, &totals);
    plan->totals = totals;
}
