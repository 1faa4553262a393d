/* test_programs.c — programs compute the same bits however the graph is cut, and whatever is kept.
 *
 * Each plan runs in an interpreter (interpreter.h) and is compared with the graph run op by op. */
#include "interpreter.h"

#include "base/philox.h"

#include <stdio.h>

/* 7 items in micro-batches of 3: the last holds one. */
static struct spw_plan_options short_batch(void)
{
    return options_of(7, 3);
}

/* Runs the plan for `cuts` and compares. */
static void check_cuts(const struct spw_graph *graph, struct spw_plan_options options,
                       const int32_t *cuts, int32_t count, bool fast,
                       const struct results *expected)
{
    options.cuts = cuts;
    options.cut_count = count;
    struct spw_plan *plan = plan_make(graph, &options);
    cr_assert(plan->shard_count == count + 1);
    char what[128];
    snprintf(what, sizeof(what), "%s in %d shards, first cut %d, keep %d, %s", graph->name,
             count + 1, count > 0 ? cuts[0] : 0, options.keep, fast ? "fast" : "reference");
    struct results results = plan_run(plan, options.batch, fast);
    results_compare(&results, expected, what);
    results_free(&results);
    spw_plan_destroy(plan);
}

static void check_finest(const struct spw_graph *graph, struct spw_plan_options options, bool fast,
                         const struct results *expected)
{
    int32_t cuts[256];
    cr_assert(graph->node_count <= 256);
    for (int32_t i = 1; i < graph->node_count; i++) {
        cuts[i - 1] = i;
    }
    check_cuts(graph, options, cuts, graph->node_count - 1, fast, expected);
}

/* One shard, every single cut, and all of them; recomputing and keeping. */
static void check_graph(enum graph_kind kind, struct spw_plan_options options, bool fast)
{
    struct spw_graph *graph = graph_make(spw_world_system(), kind);
    struct results expected = oracle_run(graph, &options, fast);
    for (int32_t keep = 0; keep < 2; keep++) {
        options.keep = keep;
        check_cuts(graph, options, &(int32_t){0}, 0, fast, &expected);
        for (int32_t cut = 1; cut < graph->node_count; cut++) {
            check_cuts(graph, options, &cut, 1, fast, &expected);
        }
        check_finest(graph, options, fast, &expected);
    }
    results_free(&expected);
    spw_graph_destroy(graph);
}

Test(programs, cuts_change_no_bit_of_an_mlp)
{
    check_graph(GRAPH_MLP, short_batch(), false);
    check_graph(GRAPH_MLP, short_batch(), true);
}

Test(programs, cuts_change_no_bit_of_a_cnn)
{
    check_graph(GRAPH_CNN, short_batch(), false);
    check_graph(GRAPH_CNN, short_batch(), true);
}

Test(programs, cuts_change_no_bit_of_a_resnet)
{
    check_graph(GRAPH_RESNET, short_batch(), false);
    check_graph(GRAPH_RESNET, short_batch(), true);
}

Test(programs, cuts_change_no_bit_of_a_gpt)
{
    check_graph(GRAPH_GPT, short_batch(), false);
    check_graph(GRAPH_GPT, short_batch(), true);
}

Test(programs, cuts_change_no_bit_of_a_gpt_with_a_fused_head)
{
    check_graph(GRAPH_GPT_XENT, short_batch(), false);
    check_graph(GRAPH_GPT_XENT, short_batch(), true);
}

Test(programs, cuts_change_no_bit_of_a_tangle)
{
    check_graph(GRAPH_TANGLE, short_batch(), false);
    check_graph(GRAPH_TANGLE, short_batch(), true);
}

/* Borders in twos, threes and more, where tensors pass through whole shards. */
Test(programs, many_cuts_at_random_change_no_bit)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct spw_graph *graph = graph_make(spw_world_system(), (enum graph_kind)kind);
        struct spw_plan_options options = short_batch();
        struct results expected = oracle_run(graph, &options, false);
        for (uint64_t round = 0; round < 24; round++) {
            int32_t cuts[256];
            int32_t count = 0;
            for (int32_t node = 1; node < graph->node_count; node++) {
                if (spw_random_word(round, (uint64_t)kind, (uint64_t)node) % (2 + round % 4) == 0) {
                    cuts[count++] = node;
                }
            }
            options.keep = (int32_t)(round % 2);
            check_cuts(graph, options, cuts, count, false, &expected);
        }
        results_free(&expected);
        spw_graph_destroy(graph);
    }
}

/* Several gradient groups, and more ring slots than two. */
Test(programs, groups_and_rings_change_no_bit)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct spw_graph *graph = graph_make(spw_world_system(), (enum graph_kind)kind);
        struct spw_plan_options options = options_of(11, 2);
        options.grad_groups = 3;
        options.ring_slots = 5;
        struct results expected = oracle_run(graph, &options, false);
        check_finest(graph, options, false, &expected);
        check_cuts(graph, options, &(int32_t){graph->node_count / 2}, 1, false, &expected);
        results_free(&expected);
        spw_graph_destroy(graph);
    }
}

/* Cuts that the planner itself chooses, from the least memory upwards. */
Test(programs, memory_changes_no_bit)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct spw_graph *graph = graph_make(spw_world_system(), (enum graph_kind)kind);
        struct spw_plan_options options = short_batch();
        options.double_buffer = true;
        struct results expected = oracle_run(graph, &options, false);
        struct spw_error error = {0};
        uint64_t least;
        check_ok(spw_plan_least_memory(spw_world_system(), graph, &options, &error, &least),
                 &error);
        int32_t shards_before = INT32_MAX;
        for (uint64_t part = 4; part <= 64; part += part / 2) {
            options.device_bytes = least * part / 4;
            struct spw_plan *plan = plan_make(graph, &options);
            struct results results = plan_run(plan, options.batch, false);
            results_compare(&results, &expected, graph->name);
            results_free(&results);
            shards_before = plan->shard_count < shards_before ? plan->shard_count : shards_before;
            spw_plan_destroy(plan);
        }
        cr_assert(shards_before == 1, "%s: 16 times the least memory still takes %d shards",
                  graph->name, shards_before);
        results_free(&expected);
        spw_graph_destroy(graph);
    }
}

/* The last batch of an epoch or of an evaluation ends in a micro-batch of any length. The fast path
 * chooses its algorithms, and so its workspace, by the number of items. */
Test(programs, short_batches_run_in_the_same_plan)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct spw_graph *graph = graph_make(spw_world_system(), (enum graph_kind)kind);
        struct spw_plan_options options = options_of(34, 34);
        options.least_memory = true;
        struct spw_plan *plan = plan_make(graph, &options);
        for (int64_t batch = 1; batch <= 34; batch += 3) {
            const struct spw_plan_options part = options_of(batch, 34);
            struct results expected = oracle_run(graph, &part, true);
            struct results results = plan_run(plan, batch, true);
            results_compare(&results, &expected, graph->name);
            results_free(&results);
            results_free(&expected);
        }
        spw_plan_destroy(plan);
        spw_graph_destroy(graph);
    }
}

/* A micro-batch of one, and a batch of one micro-batch. */
Test(programs, small_batches_change_no_bit)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct spw_graph *graph = graph_make(spw_world_system(), (enum graph_kind)kind);
        const struct spw_plan_options batches[] = {options_of(3, 1), options_of(4, 4),
                                                   options_of(1, 1)};
        for (int i = 0; i < 3; i++) {
            struct results expected = oracle_run(graph, &batches[i], true);
            check_finest(graph, batches[i], true, &expected);
            results_free(&expected);
        }
        spw_graph_destroy(graph);
    }
}
