/* choose.c — one plan out of some: large shards, few of them, with few bytes crossing their
 * borders; or smaller ones, of which two, three or four fit the device at once, so that blocks come
 * in and gradients go home while another computes. Which is faster hangs on link and arithmetic, so
 * all are made and the estimate decides. Tested by tests/partitioner/test_plan.c. */
#include "partitioner/estimate.h"
#include "partitioner/plan_build.h"

/* More than a unit that comes in, one that computes, one that goes home, and one to spare. */
enum { SHARE_MAX = 4 };

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What a unit holds of the device, and until when: its weights until it has computed, the rest
 * until its results are home. */
struct holding {
    uint64_t weights_bytes, rest_bytes;
    uint64_t computed_ns, left_ns;
};

/* Times at which queues are free, and the latest units, newest last. */
struct pipeline {
    const struct spw_plan *plan;
    uint64_t in_ns, compute_ns, out_ns;
    uint64_t work_ns, copy_ns; /* sums, of compute and of the copies in */
    struct holding units[SHARE_MAX];
};

static uint64_t held_bytes(const struct pipeline *pipeline, uint64_t at_ns)
{
    uint64_t bytes = 0;
    for (int i = 0; i < SHARE_MAX; i++) {
        const struct holding *it = &pipeline->units[i];
        bytes += (it->computed_ns > at_ns ? it->weights_bytes : 0) +
                 (it->left_ns > at_ns ? it->rest_bytes : 0);
    }
    return bytes;
}

/* From when on `bytes` more fit. */
static uint64_t room_ns(const struct pipeline *pipeline, uint64_t bytes)
{
    const uint64_t all = pipeline->plan->options.device_bytes;
    uint64_t first_ns = UINT64_MAX;
    for (int i = 0; i < 2 * SHARE_MAX; i++) {
        const struct holding *it = &pipeline->units[i / 2];
        const uint64_t at_ns = i % 2 == 0 ? it->computed_ns : it->left_ns;
        if (at_ns < first_ns && held_bytes(pipeline, at_ns) + bytes <= all) {
            first_ns = at_ns;
        }
    }
    return first_ns;
}

/* One more unit: its weights are loaded when there is room for them, its micro-batches flow through
 * the ring when there is room for all of it, the slowest of the three queues setting the pace, and
 * its gradients go home. At most SHARE_MAX units are here at once. */
static void pass_unit(struct pipeline *pipeline, const struct spw_unit_plan *unit)
{
    const struct spw_plan_options *options = &pipeline->plan->options;
    const uint64_t count = (uint64_t)options->micro_batches;
    const bool is_backward = unit->kind == SPW_UNIT_BACKWARD;
    const uint64_t in = spw_estimate_link_ns(options, unit->in_bytes);
    const uint64_t out = spw_estimate_link_ns(options, unit->out_bytes);
    const uint64_t load = spw_estimate_link_ns(options, unit->weights_bytes);
    const uint64_t weights_room =
        larger(room_ns(pipeline, unit->weights_bytes), pipeline->units[0].left_ns);
    const uint64_t loaded = larger(pipeline->in_ns, weights_room) + load;
    const uint64_t room = larger(loaded, room_ns(pipeline, unit->device_bytes));
    const uint64_t begin = larger(pipeline->compute_ns, room + in);
    const uint64_t stream = count * larger(unit->program.time_ns, larger(in, out));
    pipeline->work_ns += stream;
    pipeline->copy_ns += load + count * in;
    pipeline->in_ns = loaded + count * in;
    pipeline->compute_ns = begin + stream;
    pipeline->out_ns = larger(pipeline->out_ns + (count - 1) * out, pipeline->compute_ns) + out +
                       (is_backward ? spw_estimate_link_ns(options, unit->grads_bytes) : 0);
    for (int i = 1; i < SHARE_MAX; i++) {
        pipeline->units[i - 1] = pipeline->units[i];
    }
    pipeline->units[SHARE_MAX - 1] = (struct holding){
        .weights_bytes = unit->weights_bytes,
        .rest_bytes = unit->device_bytes - unit->weights_bytes,
        .computed_ns = pipeline->compute_ns,
        .left_ns = pipeline->out_ns,
    };
}

/* One step of one job among others, without the updates, which are the same whatever the cuts: how
 * much longer the pipeline takes for two steps than for one. The jobs are out of phase: one goes
 * forward while another goes back. */
static uint64_t step_ns(const struct spw_plan *plan)
{
    const int32_t shards = plan->shard_count;
    struct pipeline pipeline = {.plan = plan};
    uint64_t ends_ns[2];
    for (int round = 0; round < 2; round++) {
        for (int32_t i = 0; i < shards; i++) {
            if (i + 1 < shards) {
                pass_unit(&pipeline, &plan->shards[i].forward);
            }
            pass_unit(&pipeline, &plan->shards[shards - 1 - i].backward);
        }
        ends_ns[round] = larger(pipeline.compute_ns, pipeline.out_ns);
    }
    /* Where only two units fit, unlike ones don't mesh: about a tenth of what could overlap was
     * seen not to, with modelled devices. */
    const uint64_t overlap_ns = smaller(pipeline.work_ns, pipeline.copy_ns) / 2;
    return ends_ns[1] - ends_ns[0] + (plan->share == 2 ? overlap_ns / 10 : 0);
}

/* The fastest plan by estimate; of those within 2 %, the one with the largest units. */
static enum spw_status choose(const struct spw_world *world, const struct spw_graph *graph,
                              const struct spw_plan_options *options, struct spw_error *error,
                              uint32_t *share, struct spw_plan **out)
{
    const bool pipelined = options->double_buffer && options->device_bytes > 0;
    const bool open = pipelined && options->cuts == NULL && !options->least_memory;
    struct spw_plan_choice choice = {.share = pipelined && !open ? 2 : 1};
    struct spw_plan *best = NULL;
    SPW_TRY(spw_plan_build(world, graph, options, &choice, error, &best));
    *share = choice.share;
    uint64_t best_ns = open ? step_ns(best) : 0;
    while (open && best->shard_count > 1 && choice.share < SHARE_MAX) {
        struct spw_plan *other = NULL;
        choice.share++;
        const enum spw_status status =
            spw_plan_build(world, graph, options, &choice, error, &other);
        if (status != SPW_OK) {
            spw_plan_destroy(best);
            return status;
        }
        const uint64_t other_ns = step_ns(other);
        const bool better = other_ns < best_ns - best_ns / 50;
        if (better) {
            best_ns = other_ns;
            *share = choice.share;
        }
        spw_plan_destroy(better ? best : other);
        best = better ? other : best;
    }
    *out = best;
    return SPW_OK;
}

/* The same plan again, with measured times in it. */
static enum spw_status measure(const struct spw_world *world, const struct spw_plan *chosen,
                               const struct spw_plan_options *options, uint32_t share,
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
    const struct spw_plan_choice choice = {.kept = kept, .share = share};
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
    uint32_t share;
    SPW_TRY(choose(world, graph, &estimated, error, &share, &chosen));
    if (options->measure == NULL) {
        *out = chosen;
        return SPW_OK;
    }
    const enum spw_status status = measure(world, chosen, options, share, error, out);
    spw_plan_destroy(chosen);
    return status;
}
