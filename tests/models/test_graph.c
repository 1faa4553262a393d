/* test_graph.c — what a finished graph says about itself. */
#include "model_check.h"

Test(graph, prints_shapes)
{
    char text[96];
    const struct spw_shape none = {0};
    const struct spw_shape image = {.rank = 3, .dim = {16, 14, 7}};
    const struct spw_shape huge = {.rank = 4, .dim = {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN}};
    cr_assert_str_eq(spw_shape_text(&none, text), "[]");
    cr_assert_str_eq(spw_shape_text(&image, text), "[16, 14, 7]");
    cr_assert(strlen(spw_shape_text(&huge, text)) == 4 * 20 + 3 * 2 + 2, "%s", text);
}

Test(graph, finds_parameters_by_name)
{
    struct spw_graph *graph = tiny_mlp(spw_world_system());
    cr_assert(spw_graph_find_param(graph, "1.weight") == 0);
    cr_assert(spw_graph_find_param(graph, "5.bias") == 5);
    cr_assert(spw_graph_find_param(graph, "5.bia") == SPW_GRAPH_NONE);
    spw_graph_destroy(graph);
}

/* The cost of a graph is the sum over its ops, and a product's are known. */
Test(graph, sums_costs)
{
    struct spw_graph *graph = tiny_mlp(spw_world_system());
    const int64_t items = 10;
    const struct spw_graph_cost cost = spw_graph_cost(graph, items);
    uint64_t forward = 0;
    uint64_t backward = 0;
    for (int32_t i = 0; i < graph->node_count; i++) {
        forward += spw_op_cost(&graph->nodes[i].desc, items, SPW_FORWARD).flops;
        backward += spw_op_cost(&graph->nodes[i].desc, items, SPW_BACKWARD).flops;
    }
    cr_assert(cost.forward_flops == forward && cost.backward_flops == backward);
    const uint64_t products = 2 * 10 * (4 * 6 + 6 * 5 + 5 * 3);
    cr_assert(cost.forward_flops >= products, "%llu", (unsigned long long)cost.forward_flops);
    cr_assert(cost.forward_flops < 2 * products, "%llu", (unsigned long long)cost.forward_flops);
    cr_assert(cost.backward_flops > cost.forward_flops);
    spw_graph_destroy(graph);
}

Test(graph, destroys_null)
{
    spw_graph_destroy(NULL);
}
