/* graph.c — what a finished graph can say about itself.
 *
 * Building is in builder.c, initial values are in init.c. Tested by tests/models/test_graph.c. */
#include "models/graph.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void spw_graph_destroy(struct spw_graph *graph)
{
    if (graph == NULL) {
        return;
    }
    const struct spw_world *world = graph->arena.world;
    spw_arena_deinit(&graph->arena);
    spw_release(world, graph);
}

const char *spw_shape_text(const struct spw_shape *shape, char out[96])
{
    const size_t room = 96;
    int used = snprintf(out, room, "[");
    for (int64_t i = 0; i < shape->rank; i++) {
        used += snprintf(out + used, room - (size_t)used, i == 0 ? "%" PRId64 : ", %" PRId64,
                         shape->dim[i]);
    }
    /* Four numbers of 20 characters, their commas and brackets are 88. */
    (void)snprintf(out + used, room - (size_t)used, "]");
    return out;
}

int32_t spw_graph_find_param(const struct spw_graph *graph, const char *name)
{
    for (int32_t i = 0; i < graph->param_count; i++) {
        if (strcmp(graph->params[i].name, name) == 0) {
            return i;
        }
    }
    return SPW_GRAPH_NONE;
}

struct spw_graph_cost spw_graph_cost(const struct spw_graph *graph, int64_t items)
{
    SPW_ASSERT(items > 0);
    struct spw_graph_cost cost = {0};
    for (int32_t i = 0; i < graph->node_count; i++) {
        const struct spw_op_desc *desc = &graph->nodes[i].desc;
        cost.forward_flops += spw_op_cost(desc, items, SPW_FORWARD).flops;
        cost.backward_flops += spw_op_cost(desc, items, SPW_BACKWARD).flops;
    }
    return cost;
}
