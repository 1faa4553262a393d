/* test_flow.c — uses, needs and gradients of tensors over a whole graph. */
#include "partitioner/flow.h"

#include "graphs.h"

#include <string.h>

struct fixture {
    struct spw_graph *graph;
    struct spw_plan_options options;
    struct spw_arena arena;
    struct spw_flow *flow;
};

static void open_fixture(struct fixture *fixture, enum graph_kind kind)
{
    fixture->graph = graph_make(spw_world_system(), kind);
    fixture->options = options_of(7, 3);
    spw_arena_init(&fixture->arena, spw_world_system());
    struct spw_error error = {0};
    check_ok(
        spw_flow_create(&fixture->arena, fixture->graph, &fixture->options, &error, &fixture->flow),
        &error);
}

static void close_fixture(struct fixture *fixture)
{
    spw_arena_deinit(&fixture->arena);
    spw_graph_destroy(fixture->graph);
}

static int32_t node_of(const struct spw_graph *graph, const char *name)
{
    for (int32_t i = 0; i < graph->node_count; i++) {
        if (strcmp(graph->nodes[i].name, name) == 0) {
            return i;
        }
    }
    cr_assert(false, "no node %s", name);
    return -1;
}

Test(flow, uses_and_givers_of_a_tangle)
{
    struct fixture f;
    open_fixture(&f, GRAPH_TANGLE);
    const int32_t first = node_of(f.graph, "first");
    const int32_t twice = node_of(f.graph, "twice");
    const struct spw_tensor_flow *at = spw_flow_tensor(f.flow, first);
    cr_assert(at->bytes == 3 * 8 * 4);
    cr_assert(at->last_use == node_of(f.graph, "thrice"));
    cr_assert(at->last_giver == at->last_use);
    cr_assert(spw_flow_tensor(f.flow, twice)->last_use == node_of(f.graph, "again"));
    cr_assert(spw_flow_tensor(f.flow, SPW_GRAPH_DATA)->last_use == node_of(f.graph, "late"));
    cr_assert(spw_flow_crosses(f.flow, SPW_GRAPH_DATA, twice));
    cr_assert(!spw_flow_gradient_crosses(f.flow, SPW_GRAPH_DATA, twice), "the data has none");
    cr_assert(f.flow->last_items == 1);
    close_fixture(&f);
}

/* relu reads its own output, linear its input, add nothing. */
Test(flow, needs_follow_the_ops)
{
    struct fixture f;
    open_fixture(&f, GRAPH_TANGLE);
    const int32_t bent = node_of(f.graph, "bent");
    cr_assert(spw_flow_tensor(f.flow, bent)->first_need == bent);
    const int32_t twice = node_of(f.graph, "twice");
    cr_assert(spw_flow_tensor(f.flow, twice)->first_need == node_of(f.graph, "tied1"));
    const int32_t late = node_of(f.graph, "late");
    cr_assert(spw_flow_tensor(f.flow, late)->first_need == SPW_FLOW_NEVER);
    close_fixture(&f);
}

/* Nothing before flattened data learns, so its backward pass is not run. */
Test(flow, no_gradient_goes_where_nothing_learns)
{
    struct fixture f;
    open_fixture(&f, GRAPH_MLP);
    cr_assert(f.graph->nodes[0].desc.op == SPW_OP_FLATTEN);
    cr_assert(!f.flow->nodes[0].runs_backward);
    cr_assert(spw_flow_tensor(f.flow, 0)->last_giver == -1);
    cr_assert(f.flow->nodes[1].runs_backward);
    cr_assert(f.flow->border_gradients[1] == false && f.flow->border_gradients[2] == true);
    close_fixture(&f);
}

Test(flow, tied_uses_are_numbered_in_graph_order)
{
    struct fixture f;
    open_fixture(&f, GRAPH_GPT);
    cr_assert(spw_flow_is_tied(f.flow, 0));
    const int32_t *users = f.flow->params[0].users;
    cr_assert(users[0] == 0 && users[1] > users[0]);
    cr_assert(f.flow->nodes[users[0]].use[0] == 0 && f.flow->nodes[users[1]].use[0] == 1);
    close_fixture(&f);
}

Test(flow, border_bytes_are_those_of_the_tensors_that_cross)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct fixture f;
        open_fixture(&f, (enum graph_kind)kind);
        for (int32_t border = 0; border < f.flow->node_count; border++) {
            uint64_t bytes = 0;
            for (int32_t tensor = -1; tensor < border; tensor++) {
                if (spw_flow_crosses(f.flow, tensor, border)) {
                    bytes += (spw_flow_tensor(f.flow, tensor)->bytes + 63) / 64 * 64;
                }
            }
            cr_assert(bytes == f.flow->border_bytes[border] && bytes > 0);
        }
        close_fixture(&f);
    }
}

static void refuse(const struct spw_graph *graph, struct spw_plan_options options,
                   enum spw_status expected, const char *part)
{
    struct spw_arena arena;
    struct spw_flow *flow = NULL;
    struct spw_error error = {0};
    spw_arena_init(&arena, spw_world_system());
    const enum spw_status status = spw_flow_create(&arena, graph, &options, &error, &flow);
    cr_assert(status == expected && flow == NULL);
    cr_assert(strstr(error.what, part) != NULL, "'%s' is not in: %s", part, error.what);
    spw_arena_deinit(&arena);
}

/* A short micro-batch may take another algorithm and more memory than a full one. */
Test(flow, workspaces_serve_any_number_of_items)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct fixture f = {.graph = graph_make(spw_world_system(), (enum graph_kind)kind)};
        f.options = options_of(64, 64);
        spw_arena_init(&f.arena, spw_world_system());
        struct spw_error error = {0};
        check_ok(spw_flow_create(&f.arena, f.graph, &f.options, &error, &f.flow), &error);
        for (int32_t node = 0; node < f.graph->node_count; node++) {
            uint64_t most[2] = {0};
            for (int i = 0; i < 2 * 64; i++) {
                uint64_t bytes;
                check_ok(spw_op_workspace_bytes(&f.graph->nodes[node].desc, 1 + i / 2,
                                                i % 2 == 0 ? SPW_FORWARD : SPW_BACKWARD, 1, &error,
                                                &bytes),
                         &error);
                most[i % 2] = bytes > most[i % 2] ? bytes : most[i % 2];
            }
            cr_assert(f.flow->nodes[node].forward_workspace == most[0]);
            cr_assert(f.flow->nodes[node].backward_workspace == most[1]);
        }
        close_fixture(&f);
    }
}

Test(flow, options_out_of_range_are_refused)
{
    struct spw_graph *graph = graph_make(spw_world_system(), GRAPH_MLP);
    struct spw_plan_options options = options_of(7, 3);
    options.micro_batches = 2;
    refuse(graph, options, SPW_ERR_ARGUMENT, "micro-batches");
    options = options_of(7, 3);
    options.grad_groups = 4;
    refuse(graph, options, SPW_ERR_ARGUMENT, "grad_groups");
    options = options_of(7, 3);
    options.ring_slots = 1;
    refuse(graph, options, SPW_ERR_ARGUMENT, "ring slots");
    options = options_of(7, 3);
    options.micro_batch = INT64_MAX;
    options.batch = INT64_MAX;
    options.micro_batches = 1;
    refuse(graph, options, SPW_ERR_USAGE, "smaller micro_batch");
    spw_graph_destroy(graph);
}

/* A graph that no builder makes: an op whose output is lost. */
Test(flow, an_output_that_nobody_reads_is_refused)
{
    struct spw_graph *graph = graph_make(spw_world_system(), GRAPH_MLP);
    const int32_t input = graph->nodes[2].input[0];
    graph->nodes[2].input[0] = graph->nodes[1].input[0];
    refuse(graph, options_of(7, 3), SPW_ERR_USAGE, "nobody reads");
    graph->nodes[2].input[0] = input;
    spw_graph_destroy(graph);
}
