/* test_totals.c — closed forms of traffic, and homes. */
#include "graphs.h"

/* A chain without residency: weights come in for each FORWARD and BACKWARD, 2W - w_n in all; AdamW
 * on the device reads four arrays and writes three; each border's pack goes out once, comes in for
 * the next FORWARD (or fused unit) and again for its BACKWARD, and its gradient goes out and in
 * once. */
Test(totals, traffic_of_a_chain_has_a_closed_form)
{
    struct spw_graph *graph = graph_chain(4, 64);
    struct spw_plan_options options = options_of(12, 4);
    const int32_t cuts[] = {3, 5, 7}; /* each before a linear layer */
    options.cuts = cuts;
    options.cut_count = 3;
    options.keep = 0;
    struct spw_plan *plan = plan_make(graph, &options);
    const uint64_t w = (64 * 64 + 64) * sizeof(float);
    const uint64_t W = 4 * w;
    const uint64_t micro_batches = 3;
    const uint64_t pack = 4 * 64 * sizeof(float);
    const uint64_t targets = 4 * sizeof(int32_t);
    const uint64_t loss = sizeof(struct spw_loss);
    const uint64_t norms = 4 * 2 * sizeof(double);
    const struct spw_traffic traffic = spw_plan_traffic(plan);
    cr_assert(traffic.in.weights == 2 * W - w + W);
    cr_assert(traffic.out.weights == W);
    cr_assert(traffic.in.grads == W && traffic.out.grads == W + norms);
    cr_assert(traffic.in.moments == 2 * W && traffic.out.moments == 2 * W);
    /* In: data and inner packs for FORWARD, inner packs again for BACKWARD, of which the fused unit
     * needs its own once; the data again for the first layer's gradient; gradients of 3 borders. */
    const uint64_t in_packs = 4 * pack + 3 * pack + 3 * pack + targets;
    const uint64_t out_packs = 3 * pack + 3 * pack + loss;
    cr_assert(traffic.in.packs == micro_batches * in_packs, "%d", (int)traffic.in.packs);
    cr_assert(traffic.out.packs == micro_batches * out_packs, "%d", (int)traffic.out.packs);
    cr_assert(plan->totals.step_in_bytes == 3 * W - w + W + 2 * W + micro_batches * in_packs);
    cr_assert(plan->totals.step_out_bytes == 2 * W + norms + 2 * W + micro_batches * out_packs);
    spw_plan_destroy(plan);

    options.update_place = SPW_UPDATE_ON_CORES;
    plan = plan_make(graph, &options);
    const struct spw_traffic cores = spw_plan_traffic(plan);
    cr_assert(cores.in.weights == 2 * W - w && cores.out.weights == 0);
    cr_assert(cores.in.grads == 0 && cores.out.grads == W + norms);
    cr_assert(cores.in.moments == 0 && cores.out.moments == 0);
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}

/* Two groups: weights come twice as often, and accumulators are read once more to be added. */
Test(totals, groups_add_reductions)
{
    struct spw_graph *graph = graph_chain(2, 64);
    struct spw_plan_options options = options_of(8, 4);
    options.grad_groups = 2;
    struct spw_plan *plan = plan_make(graph, &options);
    const uint64_t W = 2 * (64 * 64 + 64) * sizeof(float);
    const uint64_t norms = 2 * 2 * sizeof(double);
    const struct spw_traffic traffic = spw_plan_traffic(plan);
    cr_assert(traffic.in.weights == 2 * W + W);
    cr_assert(traffic.in.grads == 2 * W + W);
    cr_assert(traffic.out.grads == 2 * W + W + norms);
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}

static uint64_t rounded(uint64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

Test(totals, homes_add_up)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct spw_graph *graph = graph_make(spw_world_system(), (enum graph_kind)kind);
        struct spw_plan_options options = options_of(7, 3);
        const int32_t cuts[] = {3, 6};
        options.cuts = cuts;
        options.cut_count = 2;
        options.keep = kind % 2;
        struct spw_plan *plan = plan_make(graph, &options);
        const struct spw_plan_totals *totals = &plan->totals;
        uint64_t weights = 0, grads = 0, norms = 0, spare = 0, sizes[64];
        for (int32_t b = 0; b < plan->weight_block_count; b++) {
            weights += rounded(plan->weight_blocks[b].bytes);
            grads += (uint64_t)plan->weight_blocks[b].uses * rounded(plan->weight_blocks[b].bytes);
            norms += rounded(plan->weight_blocks[b].norm_partials * sizeof(double));
        }
        const uint64_t distinct = spw_plan_spare_slots(plan, sizes);
        cr_assert(distinct == spw_plan_spare_slots(plan, NULL));
        for (uint64_t i = 0; i < distinct; i++) {
            spare += 3 * rounded(sizes[i]);
            for (uint64_t k = 0; k < i; k++) {
                cr_assert(sizes[i] != sizes[k]);
            }
        }
        uint64_t packs = rounded(plan->cuts[1].bytes) + rounded(plan->cuts[2].bytes);
        packs += 2 * (plan->cuts[1].bytes > plan->cuts[2].bytes ? rounded(plan->cuts[1].bytes)
                                                                : rounded(plan->cuts[2].bytes));
        packs += rounded(plan->shards[0].kept.bytes) + rounded(plan->shards[1].kept.bytes);
        packs += 64 + 2 * (rounded(plan->cuts[0].bytes) + rounded(plan->targets_bytes));
        cr_assert(totals->home_weights_bytes == weights);
        cr_assert(totals->home_grads_bytes == grads);
        cr_assert(totals->home_moments_bytes == 2 * weights);
        cr_assert(totals->home_spare_bytes == spare);
        cr_assert(totals->home_cuts_bytes == norms + 3 * packs);
        cr_assert(totals->home_bytes == 3 * weights + grads + spare + norms + 3 * packs);
        cr_assert(totals->state_bytes == (uint64_t)graph->parameter_count * 16);
        cr_assert(totals->parameters == (uint64_t)graph->parameter_count);
        spw_plan_destroy(plan);
        spw_graph_destroy(graph);
    }
}

/* A short last micro-batch works less than a full one. */
Test(totals, flops_count_the_items_there_are)
{
    struct spw_graph *graph = graph_chain(2, 64);
    const struct spw_plan_options full = options_of(12, 4);
    const struct spw_plan_options part = options_of(9, 4);
    struct spw_plan *of_12 = plan_make(graph, &full);
    struct spw_plan *of_9 = plan_make(graph, &part);
    cr_assert(of_12->totals.step_flops * 3 == of_9->totals.step_flops * 4);
    cr_assert(of_12->totals.step_useful_flops * 3 == of_9->totals.step_useful_flops * 4);
    spw_plan_destroy(of_12);
    spw_plan_destroy(of_9);
    spw_graph_destroy(graph);
}
