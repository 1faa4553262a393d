/* keep.c — weighs recomputation against copies. Tested by tests/partitioner/test_keep.c. */
#include "partitioner/keep.h"

#include "partitioner/estimate.h"

/* A shard's FORWARD and BACKWARD of one micro-batch, or sums of them. */
struct load {
    uint64_t compute_ns;
    uint64_t in_bytes, out_bytes;
    uint64_t device_bytes; /* the larger unit */
};

static enum spw_status add_unit(const struct spw_flow *flow, struct spw_lowering *lowering,
                                const struct spw_lower_request *request, struct load *load,
                                struct spw_error *error)
{
    struct spw_unit_plan unit;
    SPW_TRY(spw_lower(lowering, request, error, &unit));
    spw_estimate_program(flow, &unit.program);
    load->compute_ns += unit.program.time_ns;
    load->in_bytes += unit.in_bytes;
    load->out_bytes += unit.out_bytes;
    if (unit.device_bytes > load->device_bytes) {
        load->device_bytes = unit.device_bytes;
    }
    return SPW_OK;
}

static enum spw_status load_of(const struct spw_plan *plan, const struct spw_flow *flow,
                               struct spw_lowering *lowering, uint32_t slots, int32_t shard,
                               bool keep, struct load *out, struct spw_error *error)
{
    struct spw_lower_request request = {
        .kind = SPW_UNIT_BACKWARD,
        .first = plan->shards[shard].first_node,
        .end = plan->shards[shard].end_node,
        .keep = keep,
        .slots = slots,
    };
    *out = (struct load){0};
    SPW_TRY(add_unit(flow, lowering, &request, out, error));
    if (shard + 1 == plan->shard_count) {
        return SPW_OK;
    }
    request.kind = SPW_UNIT_FORWARD;
    return add_unit(flow, lowering, &request, out, error);
}

/* What comes and goes once per group, whatever the micro-batches: weights and gradients. */
static struct load weights_load(const struct spw_plan *plan)
{
    struct load load = {0};
    for (int32_t i = 0; i < plan->shard_count; i++) {
        const struct spw_shard *shard = &plan->shards[i];
        for (int32_t k = 0; k < shard->weight_block_count; k++) {
            const uint64_t bytes = plan->weight_blocks[shard->weight_blocks[k]].bytes;
            load.in_bytes += (i + 1 == plan->shard_count ? 1 : 2) * bytes;
            load.out_bytes += bytes;
        }
    }
    load.in_bytes *= (uint64_t)plan->options.grad_groups;
    load.out_bytes *= (uint64_t)plan->options.grad_groups;
    return load;
}

/* Time of a step whose micro-batches do `each`, if copies and arithmetic overlap. */
static uint64_t step_ns(const struct spw_plan_options *options, const struct load *once,
                        const struct load *each)
{
    const uint64_t count = (uint64_t)options->micro_batches;
    const uint64_t in_ns = spw_estimate_link_ns(options, once->in_bytes + count * each->in_bytes);
    const uint64_t out_ns =
        spw_estimate_link_ns(options, once->out_bytes + count * each->out_bytes);
    const uint64_t copy_ns = in_ns > out_ns ? in_ns : out_ns;
    const uint64_t compute_ns = count * each->compute_ns;
    return compute_ns > copy_ns ? compute_ns : copy_ns;
}

enum spw_status spw_keep_choose(const struct spw_plan *plan, const struct spw_flow *flow,
                                struct spw_lowering *lowering, uint32_t slots,
                                const uint64_t *limit_bytes, struct spw_error *error, bool *kept)
{
    const struct spw_plan_options *options = &plan->options;
    const struct load once = weights_load(plan);
    struct load total = {0};
    for (int32_t shard = 0; shard < plan->shard_count; shard++) {
        struct load load;
        SPW_TRY(load_of(plan, flow, lowering, slots, shard, false, &load, error));
        total.compute_ns += load.compute_ns;
        total.in_bytes += load.in_bytes;
        total.out_bytes += load.out_bytes;
    }
    for (int32_t shard = 0; shard + 1 < plan->shard_count; shard++) {
        struct load without, with;
        SPW_TRY(load_of(plan, flow, lowering, slots, shard, false, &without, error));
        SPW_TRY(load_of(plan, flow, lowering, slots, shard, true, &with, error));
        const uint64_t kept_bytes = with.out_bytes - without.out_bytes;
        const struct load trial = {
            .compute_ns = total.compute_ns - without.compute_ns + with.compute_ns,
            .in_bytes = total.in_bytes - without.in_bytes + with.in_bytes,
            .out_bytes = total.out_bytes - without.out_bytes + with.out_bytes,
        };
        kept[shard] = kept_bytes > 0 && with.device_bytes <= limit_bytes[shard] &&
                      with.compute_ns + spw_estimate_link_ns(options, 2 * kept_bytes) <
                          without.compute_ns &&
                      step_ns(options, &once, &trial) <= step_ns(options, &once, &total);
        total = kept[shard] ? trial : total;
    }
    return SPW_OK;
}
