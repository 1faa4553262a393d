/* plan.c — makes a plan: analysis, cuts, blocks, what to keep, programs, pieces, totals.
 *
 * The parts know their trades; this file knows the order and the memory limits they work under.
 * Tested by tests/partitioner/test_plan.c. */
#include "partitioner/plan_build.h"

#include "base/assert.h"
#include "partitioner/cuts.h"
#include "partitioner/estimate.h"
#include "partitioner/keep.h"
#include "partitioner/pack.h"
#include "partitioner/pieces.h"
#include "partitioner/totals.h"
#include "partitioner/weight_blocks.h"

#include <inttypes.h>
#include <string.h>

/* Memory that stands for "as much as you like"; sums of a few of these don't wrap. */
#define UNLIMITED (UINT64_MAX / 4)

struct planner {
    const struct spw_world *world;
    struct spw_plan *plan;
    struct spw_flow *flow;
    struct spw_lowering *lowering;
    struct spw_costs costs;
    struct spw_cuts cuts;
    struct spw_plan_choice choice;
    int32_t *borders; /* [shard], and the end */
    int32_t shard_count;
    uint64_t least_bytes; /* with which making this plan succeeds */
    int32_t worst_shard;  /* that needs them; -1: a REDUCE or UPDATE unit does */
    struct spw_cut_budget budget;
    uint64_t *limits; /* [shard] */
};

static void close_planner(struct planner *planner)
{
    spw_costs_deinit(&planner->costs);
    spw_lowering_destroy(planner->lowering);
    spw_plan_destroy(planner->plan);
}

static enum spw_status copy_options(struct spw_plan *plan, const struct spw_plan_options *options,
                                    struct spw_error *error)
{
    plan->options = *options;
    if (options->cuts == NULL) {
        return SPW_OK;
    }
    int32_t *cuts;
    SPW_TRY(
        spw_arena_take(&plan->arena, (uint64_t)options->cut_count, sizeof(*cuts), error, &cuts));
    memcpy(cuts, options->cuts, (uint64_t)options->cut_count * sizeof(*cuts));
    plan->options.cuts = cuts;
    return SPW_OK;
}

static enum spw_status check_cuts(const struct spw_graph *graph,
                                  const struct spw_plan_options *options, struct spw_error *error)
{
    if (options->keep < -1 || options->keep > 1) {
        return SPW_FAIL(error, SPW_ERR_ARGUMENT, "keep is %" PRId32 ", but must be -1, 0 or 1",
                        options->keep);
    }
    int32_t before = 0;
    for (int32_t i = 0; options->cuts != NULL && i < options->cut_count; i++) {
        if (options->cuts[i] <= before || options->cuts[i] >= graph->node_count) {
            return SPW_FAIL(error, SPW_ERR_ARGUMENT,
                            "cut %" PRId32 " is before node %" PRId32
                            ", but cuts must ascend within 1 .. %" PRId32,
                            i, options->cuts[i], graph->node_count - 1);
        }
        before = options->cuts[i];
    }
    return SPW_OK;
}

static enum spw_status analyse(struct planner *planner, const struct spw_graph *graph,
                               const struct spw_plan_options *options, struct spw_error *error)
{
    SPW_TRY(
        spw_allocate(planner->world, 1, sizeof(*planner->plan), "a plan", error, &planner->plan));
    struct spw_plan *plan = planner->plan;
    spw_arena_init(&plan->arena, planner->world);
    plan->graph = graph;
    SPW_TRY(check_cuts(graph, options, error));
    SPW_TRY(copy_options(plan, options, error));
    SPW_TRY(spw_flow_create(&plan->arena, graph, &plan->options, error, &planner->flow));
    plan->targets_bytes = planner->flow->targets_bytes;
    SPW_TRY(spw_lowering_create(planner->world, planner->flow, error, &planner->lowering));
    spw_costs_init(&planner->costs, planner->world, planner->flow, planner->lowering);
    SPW_TRY(spw_cuts_init(&plan->arena, &planner->costs, error, &planner->cuts));
    return spw_arena_take(&plan->arena, (uint64_t)graph->node_count + 1, sizeof(int32_t), error,
                          &planner->borders);
}

/* The shards that need the least memory, or the ones that were asked for. */
static void take_finest(struct planner *planner)
{
    const struct spw_plan_options *options = &planner->plan->options;
    int32_t count = 0;
    planner->borders[count++] = 0;
    if (options->cuts != NULL) {
        for (int32_t i = 0; i < options->cut_count; i++) {
            planner->borders[count++] = options->cuts[i];
        }
    } else {
        int32_t node = planner->cuts.tails[0].next;
        for (; node < planner->flow->node_count; node = planner->cuts.tails[node].next) {
            planner->borders[count++] = node;
        }
    }
    planner->borders[count] = planner->flow->node_count;
    planner->shard_count = count;
}

/* The largest unit of nodes [first, end), as the costs count it. */
static enum spw_status largest_unit(struct planner *planner, int32_t first, int32_t end, bool keep,
                                    struct spw_error *error, struct spw_unit_plan *out)
{
    const bool last = end == planner->flow->node_count;
    const enum spw_unit_kind kinds[] = {SPW_UNIT_BACKWARD, last ? SPW_UNIT_EVAL : SPW_UNIT_FORWARD};
    for (int i = 0; i < 2; i++) {
        const struct spw_lower_request request = {.kind = kinds[i],
                                                  .first = first,
                                                  .end = end,
                                                  .keep = keep,
                                                  .slots = planner->costs.slots};
        struct spw_unit_plan unit;
        SPW_TRY(spw_lower(planner->lowering, &request, error, &unit));
        if (i == 0 || unit.device_bytes > out->device_bytes) {
            *out = unit;
        }
    }
    return SPW_OK;
}

static bool keeps(const struct planner *planner, int32_t shard)
{
    if (shard + 1 == planner->shard_count) {
        return false;
    }
    return planner->choice.kept != NULL ? planner->choice.kept[shard] : planner->costs.keep;
}

/* What this plan can't do without. */
static enum spw_status find_least(struct planner *planner, struct spw_error *error)
{
    take_finest(planner);
    planner->least_bytes = spw_pieces_least(planner->flow);
    planner->worst_shard = -1;
    for (int32_t shard = 0; shard < planner->shard_count; shard++) {
        struct spw_unit_plan unit;
        SPW_TRY(largest_unit(planner, planner->borders[shard], planner->borders[shard + 1],
                             keeps(planner, shard), error, &unit));
        if (unit.device_bytes > planner->least_bytes) {
            planner->least_bytes = unit.device_bytes;
            planner->worst_shard = shard;
        }
    }
    const uint64_t of_any_cuts = planner->cuts.tails[0].bytes;
    const uint64_t of_pieces = spw_pieces_least(planner->flow);
    planner->plan->totals.device_bytes_min = of_any_cuts > of_pieces ? of_any_cuts : of_pieces;
    return SPW_OK;
}

static enum spw_status check_fit(struct planner *planner, struct spw_error *error)
{
    const struct spw_plan *plan = planner->plan;
    const uint64_t device_bytes = plan->options.device_bytes;
    const bool fits = device_bytes == 0 || planner->least_bytes <= device_bytes;
    if (fits && planner->least_bytes < UINT64_MAX) {
        return SPW_OK;
    }
    if (planner->worst_shard < 0) {
        return SPW_FAIL(error, SPW_ERR_DOES_NOT_FIT,
                        "model %.80s does not fit: adding up its gradient accumulators takes "
                        "%" PRIu64 " bytes of device memory, %" PRIu64
                        " more than there are; set mem=%" PRIu64 " or more, or fewer grad_groups",
                        plan->graph->name, planner->least_bytes,
                        planner->least_bytes - device_bytes, planner->least_bytes);
    }
    const int32_t first = planner->borders[planner->worst_shard];
    const int32_t end = planner->borders[planner->worst_shard + 1];
    struct spw_unit_plan unit;
    SPW_TRY(largest_unit(planner, first, end, keeps(planner, planner->worst_shard), error, &unit));
    return spw_plan_refuse(plan, first, end, &unit, error);
}

/* The memory that units may take: a share of the device, so that the next ones can be staged
 * meanwhile, where that is wanted. */
static void set_budget(struct planner *planner)
{
    const struct spw_plan_options *options = &planner->plan->options;
    uint64_t most = options->device_bytes > 0 ? options->device_bytes : UNLIMITED;
    uint32_t share = options->device_bytes > 0 ? planner->choice.share : 1;
    if (options->least_memory) {
        most = planner->least_bytes;
        share = 1;
    }
    planner->plan->share = share;
    planner->budget = (struct spw_cut_budget){.usual_bytes = most / share, .most_bytes = most};
}

static enum spw_status choose_cuts(struct planner *planner, struct spw_error *error)
{
    set_budget(planner);
    if (planner->plan->options.cuts != NULL) {
        return SPW_OK; /* find_least() has taken them */
    }
    return spw_cuts_choose(&planner->cuts, &planner->budget, error, planner->borders,
                           &planner->shard_count);
}

static enum spw_status make_shards(struct planner *planner, struct spw_error *error)
{
    struct spw_plan *plan = planner->plan;
    const uint64_t count = (uint64_t)planner->shard_count;
    plan->shard_count = planner->shard_count;
    SPW_TRY(spw_arena_take(&plan->arena, count, sizeof(*plan->shards), error, &plan->shards));
    SPW_TRY(spw_arena_take(&plan->arena, count, sizeof(*plan->cuts), error, &plan->cuts));
    SPW_TRY(spw_arena_take(&plan->arena, count, sizeof(uint64_t), error, &planner->limits));
    for (int32_t i = 0; i < plan->shard_count; i++) {
        plan->shards[i].first_node = planner->borders[i];
        plan->shards[i].end_node = planner->borders[i + 1];
        SPW_TRY(
            spw_pack_cut(&plan->arena, planner->flow, planner->borders[i], error, &plan->cuts[i]));
        uint64_t bytes;
        SPW_TRY(spw_costs_of(&planner->costs, planner->borders[i], planner->borders[i + 1], error,
                             &bytes));
        planner->limits[i] = bytes <= planner->budget.usual_bytes ? planner->budget.usual_bytes
                                                                  : planner->budget.most_bytes;
    }
    return SPW_OK;
}

static enum spw_status choose_kept(struct planner *planner, struct spw_error *error, bool **out)
{
    struct spw_plan *plan = planner->plan;
    bool *kept;
    SPW_TRY(spw_arena_take(&plan->arena, (uint64_t)plan->shard_count, sizeof(*kept), error, &kept));
    for (int32_t i = 0; i < plan->shard_count; i++) {
        kept[i] = keeps(planner, i);
    }
    if (planner->choice.kept == NULL && plan->options.keep == -1) {
        SPW_TRY(spw_keep_choose(plan, planner->flow, planner->lowering, planner->costs.slots,
                                planner->limits, error, kept));
    }
    *out = kept;
    return SPW_OK;
}

/* As many ring slots as are wanted, as far as the limit allows. */
static void set_slots(const struct planner *planner, uint64_t limit_bytes,
                      struct spw_unit_plan *unit)
{
    const struct spw_plan_options *options = &planner->plan->options;
    uint32_t slots = options->ring_slots;
    if ((int64_t)slots > options->micro_batches) {
        slots = (uint32_t)options->micro_batches;
    }
    while (slots > planner->costs.slots && spw_unit_bytes_with(unit, slots) > limit_bytes) {
        slots--;
    }
    unit->slots = slots;
    unit->device_bytes = spw_unit_bytes_with(unit, slots);
}

static enum spw_status make_unit(struct planner *planner, enum spw_unit_kind kind, int32_t shard,
                                 bool keep, const int32_t *param_block, struct spw_error *error,
                                 struct spw_unit_plan *out)
{
    struct spw_plan *plan = planner->plan;
    const struct spw_lower_request request = {
        .kind = kind,
        .first = plan->shards[shard].first_node,
        .end = plan->shards[shard].end_node,
        .keep = keep,
        .slots = planner->costs.slots,
        .param_block = param_block,
    };
    struct spw_unit_plan unit;
    SPW_TRY(spw_lower(planner->lowering, &request, error, &unit));
    unit.shard = shard;
    set_slots(planner, planner->limits[shard], &unit);
    spw_estimate_program(planner->flow, &unit.program);
    SPW_TRY(spw_unit_store(&plan->arena, error, &unit));
    SPW_ASSERT(plan->options.device_bytes == 0 || unit.device_bytes <= plan->options.device_bytes);
    *out = unit;
    return SPW_OK;
}

static enum spw_status make_units(struct planner *planner, const bool *kept,
                                  const int32_t *param_block, struct spw_error *error)
{
    struct spw_plan *plan = planner->plan;
    for (int32_t i = 0; i < plan->shard_count; i++) {
        struct spw_shard *shard = &plan->shards[i];
        SPW_TRY(make_unit(planner, SPW_UNIT_BACKWARD, i, kept[i], param_block, error,
                          &shard->backward));
        SPW_TRY(make_unit(planner, SPW_UNIT_EVAL, i, false, param_block, error, &shard->eval));
        if (i + 1 == plan->shard_count) {
            shard->forward = (struct spw_unit_plan){.kind = SPW_UNIT_FORWARD, .shard = i};
            continue;
        }
        SPW_TRY(
            make_unit(planner, SPW_UNIT_FORWARD, i, kept[i], param_block, error, &shard->forward));
        if (kept[i]) {
            SPW_TRY(spw_pack_kept(&plan->arena, planner->flow, shard->first_node, shard->end_node,
                                  error, &shard->kept));
        }
    }
    return SPW_OK;
}

/* Updates share the device with units that run ahead, so they too keep to the usual budget; but
 * with the least memory they may take what the largest unit takes. */
static enum spw_status make_pieces(struct planner *planner, struct spw_error *error)
{
    const uint64_t least = spw_pieces_least(planner->flow);
    uint64_t limit = planner->budget.usual_bytes;
    if (limit < least) {
        limit = planner->budget.most_bytes;
    }
    if (planner->plan->options.update_place == SPW_UPDATE_ON_CORES) {
        limit = UNLIMITED;
    }
    return spw_pieces_make(planner->plan, limit, error);
}

static enum spw_status fill_plan(struct planner *planner, struct spw_error *error)
{
    struct spw_plan *plan = planner->plan;
    SPW_TRY(spw_estimate_nodes(&plan->arena, planner->flow, error));
    SPW_TRY(choose_cuts(planner, error));
    SPW_TRY(make_shards(planner, error));
    int32_t *param_block;
    bool *kept;
    SPW_TRY(spw_weight_blocks_make(plan, planner->flow, error, &param_block));
    SPW_TRY(choose_kept(planner, error, &kept));
    SPW_TRY(make_units(planner, kept, param_block, error));
    SPW_TRY(make_pieces(planner, error));
    uint64_t *sizes;
    SPW_TRY(spw_arena_take(&plan->arena, (uint64_t)plan->weight_block_count, sizeof(*sizes), error,
                           &sizes));
    spw_totals_fill(plan, planner->flow, sizes);
    return SPW_OK;
}

enum spw_status spw_plan_build(const struct spw_world *world, const struct spw_graph *graph,
                               const struct spw_plan_options *options,
                               const struct spw_plan_choice *choice, struct spw_error *error,
                               struct spw_plan **out)
{
    struct planner planner = {.world = world, .choice = *choice};
    planner.costs.world = world;
    enum spw_status status;
    SPW_TRY_GOTO(analyse(&planner, graph, options, error), out);
    SPW_TRY_GOTO(find_least(&planner, error), out);
    SPW_TRY_GOTO(check_fit(&planner, error), out);
    SPW_TRY_GOTO(fill_plan(&planner, error), out);
    /* The cuts are the plan's own now. */
    planner.plan->options.cuts = NULL;
    planner.plan->options.cut_count = 0;
    *out = planner.plan;
    planner.plan = NULL;
out:
    close_planner(&planner);
    return status;
}

void spw_plan_destroy(struct spw_plan *plan)
{
    if (plan == NULL) {
        return;
    }
    if (plan->other_owners > 0) {
        plan->other_owners--;
        return;
    }
    const struct spw_world *world = plan->arena.world;
    spw_arena_deinit(&plan->arena);
    spw_release(world, plan);
}

struct spw_plan *spw_plan_share(struct spw_plan *plan)
{
    plan->other_owners++;
    return plan;
}

enum spw_status spw_plan_least_memory(const struct spw_world *world, const struct spw_graph *graph,
                                      const struct spw_plan_options *options,
                                      struct spw_error *error, uint64_t *bytes)
{
    struct planner planner = {.world = world};
    planner.costs.world = world;
    enum spw_status status;
    SPW_TRY_GOTO(analyse(&planner, graph, options, error), out);
    SPW_TRY_GOTO(find_least(&planner, error), out);
    planner.plan->options.device_bytes = 0;
    SPW_TRY_GOTO(check_fit(&planner, error), out); /* cuts that no memory would serve */
    *bytes = planner.least_bytes;
out:
    close_planner(&planner);
    return status;
}
