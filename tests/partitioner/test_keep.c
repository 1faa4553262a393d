/* test_keep.c — what is kept follows speeds and memory. */
#include "graphs.h"

static int kept_shards(const struct spw_plan *plan)
{
    int count = 0;
    for (int32_t s = 0; s < plan->shard_count; s++) {
        count += plan->shards[s].kept.bytes > 0;
        cr_assert(plan->shards[s].kept.bytes == 0 || s + 1 < plan->shard_count);
    }
    return count;
}

static struct spw_plan *plan_with(const struct spw_graph *graph, uint64_t link_bytes_per_s,
                                  uint64_t flops_per_s, uint64_t device_bytes)
{
    static const int32_t cuts[] = {5, 9};
    struct spw_plan_options options = options_of(512, 128);
    options.cuts = cuts;
    options.cut_count = 2;
    options.link_bytes_per_s = link_bytes_per_s;
    options.flops_per_s = flops_per_s;
    options.device_bytes = device_bytes;
    return plan_make(graph, &options);
}

Test(keep, a_fast_link_keeps_and_a_slow_one_recomputes)
{
    struct spw_graph *graph = graph_chain(8, 512);
    struct spw_plan *fast = plan_with(graph, UINT64_C(64000000000), UINT64_C(100000000000), 0);
    cr_assert(kept_shards(fast) == 2);
    struct spw_plan *slow = plan_with(graph, UINT64_C(100000000), UINT64_C(100000000000), 0);
    cr_assert(kept_shards(slow) == 0);
    /* Keeping saves FLOPs and costs host memory. */
    cr_assert(fast->totals.step_flops < slow->totals.step_flops);
    cr_assert(fast->totals.step_flops == fast->totals.step_useful_flops);
    cr_assert(fast->totals.home_cuts_bytes > slow->totals.home_cuts_bytes);
    cr_assert(fast->totals.step_time_ns < slow->totals.step_time_ns);
    spw_plan_destroy(fast);
    spw_plan_destroy(slow);
    spw_graph_destroy(graph);
}

/* The usual host device, and one without a stated link. */
Test(keep, a_usual_host_keeps_wide_layers)
{
    struct spw_graph *graph = graph_chain(8, 512);
    struct spw_plan *plan = plan_with(graph, UINT64_C(8000000000), UINT64_C(100000000000), 0);
    cr_assert(kept_shards(plan) == 2);
    spw_plan_destroy(plan);
    plan = plan_with(graph, 0, UINT64_C(100000000000), 0);
    cr_assert(kept_shards(plan) == 2);
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}

/* Narrow layers are cheaper computed again than copied twice; wide ones are not. */
Test(keep, narrow_layers_are_recomputed)
{
    for (int wide = 0; wide < 2; wide++) {
        struct spw_graph *graph = graph_chain(8, wide ? 1024 : 16);
        struct spw_plan *plan = plan_with(graph, UINT64_C(2000000000), UINT64_C(100000000000), 0);
        cr_assert(kept_shards(plan) == (wide ? 2 : 0), "%d shards keep", kept_shards(plan));
        spw_plan_destroy(plan);
        spw_graph_destroy(graph);
    }
}

/* Where copies set the pace already, keeping would only add to them, even if recomputing takes
 * longer than copying. */
Test(keep, a_step_that_waits_for_copies_gets_no_more_of_them)
{
    struct spw_graph *graph = graph_chain(8, 512);
    struct spw_plan_options options = options_of(16, 8);
    const int32_t cuts[] = {5, 9};
    options.cuts = cuts;
    options.cut_count = 2;
    struct spw_plan *plan = plan_make(graph, &options);
    cr_assert(kept_shards(plan) == 2);
    spw_plan_destroy(plan);
    options.link_bytes_per_s = UINT64_C(1000000000);
    plan = plan_make(graph, &options);
    cr_assert(kept_shards(plan) == 0);
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}

Test(keep, what_does_not_fit_is_recomputed)
{
    struct spw_graph *graph = graph_chain(12, 128);
    struct spw_plan_options options = options_of(4096, 512);
    const int32_t cut = 21;
    options.cuts = &cut;
    options.cut_count = 1;
    options.link_bytes_per_s = UINT64_C(640000000000);
    options.flops_per_s = UINT64_C(10000000000);
    struct spw_plan *roomy = plan_make(graph, &options);
    cr_assert(kept_shards(roomy) == 1);
    options.keep = 0;
    struct spw_plan *bare = plan_make(graph, &options);
    cr_assert(bare->totals.device_bytes_max < roomy->totals.device_bytes_max);
    options.keep = -1;
    options.device_bytes = roomy->totals.device_bytes_max - 1;
    struct spw_plan *tight = plan_make(graph, &options);
    cr_assert(kept_shards(tight) == 0);
    cr_assert(tight->totals.device_bytes_max <= options.device_bytes);
    spw_plan_destroy(roomy);
    spw_plan_destroy(bare);
    spw_plan_destroy(tight);
    spw_graph_destroy(graph);
}

Test(keep, options_decide_where_they_say_so)
{
    struct spw_graph *graph = graph_make(spw_world_system(), GRAPH_GPT);
    struct spw_plan_options options = options_of(8, 4);
    const int32_t cuts[] = {4, 12};
    options.cuts = cuts;
    options.cut_count = 2;
    for (options.keep = 0; options.keep < 2; options.keep++) {
        struct spw_plan *plan = plan_make(graph, &options);
        cr_assert(kept_shards(plan) == 2 * options.keep);
        cr_assert((plan->totals.step_flops > plan->totals.step_useful_flops) ==
                  (options.keep == 0));
        spw_plan_destroy(plan);
    }
    spw_graph_destroy(graph);
}
