/* test_estimate.c — times from a callback or from costs, and FLOPs of programs. */
#include "partitioner/estimate.h"

#include "graphs.h"

#include <string.h>

struct pilot {
    int calls;
    const struct spw_op_desc *seen[256];
    enum spw_pass passes[256];
    uint64_t scale;
};

static uint64_t measure(void *context, const struct spw_op_desc *desc, int64_t items,
                        enum spw_pass pass)
{
    struct pilot *pilot = context;
    cr_assert(items == 4 && pilot->calls < 256);
    pilot->seen[pilot->calls] = desc;
    pilot->passes[pilot->calls++] = pass;
    return pilot->scale * (1 + (uint64_t)desc->op) * (pass == SPW_BACKWARD ? 2 : 1);
}

/* 7 nodes of 4 sorts: flatten, linear, relu, loss; two passes each. */
Test(estimate, each_sort_of_op_is_measured_once)
{
    struct spw_graph *graph = graph_chain(3, 16);
    struct spw_plan_options options = options_of(8, 4);
    struct pilot pilot = {.scale = 1000};
    options.measure = measure;
    options.measure_context = &pilot;
    struct spw_plan *plan = plan_make(graph, &options);
    cr_assert(graph->node_count == 7 && pilot.calls == 8, "%d calls", pilot.calls);
    for (int i = 0; i < pilot.calls; i++) {
        for (int k = 0; k < i; k++) {
            cr_assert(pilot.seen[i]->op != pilot.seen[k]->op || pilot.passes[i] != pilot.passes[k]);
        }
    }
    /* Forward of 3 linear and 2 relu, but not of the flattened data, which is not recomputed... */
    uint64_t expected = 0;
    const struct spw_program *program = &plan->shards[0].backward.program;
    for (int32_t i = 0; i < program->instruction_count; i++) {
        const struct spw_instruction *at = &program->instructions[i];
        expected += 1000 * (1 + (uint64_t)at->desc->op) * (at->pass == SPW_BACKWARD ? 2 : 1);
    }
    cr_assert(program->time_ns == expected && expected > 0);
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}

Test(estimate, keys_of_random_streams_make_no_new_sort)
{
    struct spw_graph *graph = graph_make(spw_world_system(), GRAPH_GPT);
    struct spw_plan_options options = options_of(8, 4);
    struct pilot pilot = {.scale = 1};
    options.measure = measure;
    options.measure_context = &pilot;
    struct spw_plan *plan = plan_make(graph, &options);
    int dropouts = 0, nodes = 0;
    for (int i = 0; i < pilot.calls; i++) {
        dropouts += pilot.seen[i]->op == SPW_OP_DROPOUT;
    }
    for (int32_t i = 0; i < graph->node_count; i++) {
        nodes += graph->nodes[i].desc.op == SPW_OP_DROPOUT;
    }
    cr_assert(nodes > 3 && dropouts == 2, "%d dropouts measured %d times", nodes, dropouts);
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}

/* What could not be measured is estimated, not taken for free. */
Test(estimate, no_measurement_falls_back_to_costs)
{
    struct spw_graph *graph = graph_chain(3, 16);
    struct spw_plan_options options = options_of(8, 4);
    struct spw_plan *plan = plan_make(graph, &options);
    const uint64_t estimated_ns = plan->shards[0].backward.program.time_ns;
    spw_plan_destroy(plan);
    struct pilot pilot = {.scale = 0};
    options.measure = measure;
    options.measure_context = &pilot;
    plan = plan_make(graph, &options);
    cr_assert(pilot.calls > 0 && estimated_ns > 0);
    cr_assert(plan->shards[0].backward.program.time_ns == estimated_ns);
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}

/* Without measurements the longer of arithmetic and memory counts. */
Test(estimate, costs_give_times)
{
    struct spw_graph *graph = graph_chain(2, 256);
    struct spw_plan_options options = options_of(64, 64);
    options.flops_per_s = UINT64_C(1000000000);
    struct spw_plan *plan = plan_make(graph, &options);
    const struct spw_program *program = &plan->shards[0].backward.program;
    const double compute_ns = (double)program->flops;
    cr_assert((double)program->time_ns >= compute_ns * 0.99);
    cr_assert((double)program->time_ns < compute_ns * 1.2);
    cr_assert(spw_estimate_link_ns(&options, 8000) == 1000);
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}

Test(estimate, flops_follow_the_items)
{
    struct spw_graph *graph = graph_chain(2, 32);
    const struct spw_plan_options options = options_of(12, 4);
    struct spw_plan *plan = plan_make(graph, &options);
    const struct spw_program *program = &plan->shards[0].backward.program;
    cr_assert(program->flops == spw_estimate_flops(program, 4));
    cr_assert(spw_estimate_flops(program, 8) == 2 * program->flops);
    cr_assert(plan->totals.step_flops == 3 * program->flops);
    cr_assert(plan->totals.step_useful_flops <= plan->totals.step_flops);
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}
