/* choose.c — one plan out of two: small shards, of which two fit the device, so that the next is
 * loaded while one computes; or large ones, fewer of them, with fewer bytes crossing their borders.
 * Which is faster hangs on link and arithmetic, so both are made and the estimate decides. Tested
 * by tests/partitioner/test_plan.c. */
#include "partitioner/estimate.h"
#include "partitioner/plan_build.h"

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Time of one unit after another of the same model, in nanoseconds: its micro-batches flow through
 * the ring, the slowest of the three queues setting the pace, after the first has come in and
 * before the last has gone home. Weights that could be loaded while `before` computed count as far
 * as they took longer. */
static uint64_t unit_ns(const struct spw_plan *plan, const struct spw_unit_plan *unit,
                        const struct spw_unit_plan *before)
{
    const struct spw_plan_options *options = &plan->options;
    const uint64_t count = (uint64_t)options->micro_batches;
    const uint64_t in = spw_estimate_link_ns(options, unit->in_bytes);
    const uint64_t out = spw_estimate_link_ns(options, unit->out_bytes);
    const uint64_t work = unit->program.time_ns;
    const uint64_t load = spw_estimate_link_ns(options, unit->weights_bytes);
    const bool staged = before->device_bytes + unit->device_bytes <= options->device_bytes;
    const uint64_t hidden = staged ? before->program.time_ns * count : 0;
    return count * larger(work, larger(in, out)) + in + out + (load > hidden ? load - hidden : 0);
}

/* One step without the updates, which are the same whatever the cuts. */
static uint64_t step_ns(const struct spw_plan *plan)
{
    const int32_t shards = plan->shard_count;
    const struct spw_unit_plan *before = &plan->shards[0].backward;
    uint64_t sum = 0;
    for (int32_t at = 0; at < 2 * shards - 1; at++) {
        const bool forward = at < shards - 1;
        const struct spw_shard *shard = &plan->shards[forward ? at : 2 * shards - 2 - at];
        const struct spw_unit_plan *unit = forward ? &shard->forward : &shard->backward;
        sum += unit_ns(plan, unit, before);
        before = unit;
    }
    return sum;
}

/* The faster of the two plans by estimate; *is_whole tells which. */
static enum spw_status choose(const struct spw_world *world, const struct spw_graph *graph,
                              const struct spw_plan_options *options, struct spw_error *error,
                              bool *is_whole, struct spw_plan **out)
{
    struct spw_plan_choice choice = {0};
    struct spw_plan *staged = NULL;
    *is_whole = false;
    SPW_TRY(spw_plan_build(world, graph, options, &choice, error, &staged));
    const bool open = options->double_buffer && options->cuts == NULL && !options->least_memory &&
                      options->device_bytes > 0 && staged->shard_count > 1;
    if (!open) {
        *out = staged;
        return SPW_OK;
    }
    struct spw_plan *whole = NULL;
    choice.whole = true;
    const enum spw_status status = spw_plan_build(world, graph, options, &choice, error, &whole);
    if (status != SPW_OK) {
        spw_plan_destroy(staged);
        return status;
    }
    *is_whole = step_ns(whole) < step_ns(staged);
    spw_plan_destroy(*is_whole ? staged : whole);
    *out = *is_whole ? whole : staged;
    return SPW_OK;
}

/* The same plan again, with measured times in it. */
static enum spw_status measure(const struct spw_world *world, const struct spw_plan *chosen,
                               const struct spw_plan_options *options, bool is_whole,
                               struct spw_error *error, struct spw_plan **out)
{
    const uint64_t shards = (uint64_t)chosen->shard_count;
    int32_t *cuts = NULL;
    bool *kept = NULL;
    enum spw_status status;
    SPW_TRY_GOTO(spw_allocate(world, shards, sizeof *cuts, "the planner", error, &cuts), out);
    SPW_TRY_GOTO(spw_allocate(world, shards, sizeof *kept, "the planner", error, &kept), out);
    for (uint64_t i = 0; i < shards; i++) {
        kept[i] = chosen->shards[i].kept.tensor_count > 0;
        if (i > 0) {
            cuts[i - 1] = chosen->shards[i].first_node;
        }
    }
    struct spw_plan_options with_cuts = *options;
    with_cuts.cuts = cuts;
    with_cuts.cut_count = (int32_t)shards - 1;
    const struct spw_plan_choice choice = {.kept = kept, .whole = is_whole};
    status = spw_plan_build(world, chosen->graph, &with_cuts, &choice, error, out);
out:
    spw_release(world, cuts);
    spw_release(world, kept);
    return status;
}

enum spw_status spw_plan_create(const struct spw_world *world, const struct spw_graph *graph,
                                const struct spw_plan_options *options, struct spw_error *error,
                                struct spw_plan **out)
{
    /* Measured times differ from run to run; cuts and what is kept must not. */
    struct spw_plan_options estimated = *options;
    estimated.measure = NULL;
    struct spw_plan *chosen = NULL;
    bool is_whole;
    SPW_TRY(choose(world, graph, &estimated, error, &is_whole, &chosen));
    if (options->measure == NULL) {
        *out = chosen;
        return SPW_OK;
    }
    const enum spw_status status = measure(world, chosen, options, is_whole, error, out);
    spw_plan_destroy(chosen);
    return status;
}
