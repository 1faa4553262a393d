/* test_pack.c — what crosses a border, what is kept, and where it lies. */
#include "partitioner/pack.h"

#include "graphs.h"

#include <string.h>

static void check_apart(const struct spw_pack *pack)
{
    uint64_t end = 0;
    for (int32_t i = 0; i < pack->tensor_count; i++) {
        const struct spw_packed *at = &pack->tensors[i];
        cr_assert(at->offset_bytes % SPW_DEVICE_ALIGNMENT == 0);
        cr_assert(at->offset_bytes >= end && at->offset_bytes < end + SPW_DEVICE_ALIGNMENT);
        cr_assert(at->bytes > 0);
        end = at->offset_bytes + at->bytes;
    }
    cr_assert(pack->bytes == end);
}

Test(pack, every_border_holds_what_crosses_it)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct spw_graph *graph = graph_make(spw_world_system(), (enum graph_kind)kind);
        const struct spw_plan_options options = options_of(7, 3);
        struct spw_arena arena;
        struct spw_flow *flow;
        struct spw_error error = {0};
        spw_arena_init(&arena, spw_world_system());
        check_ok(spw_flow_create(&arena, graph, &options, &error, &flow), &error);
        for (int32_t border = 0; border < graph->node_count; border++) {
            struct spw_pack pack;
            check_ok(spw_pack_cut(&arena, flow, border, &error, &pack), &error);
            check_apart(&pack);
            int32_t at = 0;
            for (int32_t tensor = -1; tensor < border; tensor++) {
                if (spw_flow_crosses(flow, tensor, border)) {
                    cr_assert(at < pack.tensor_count && pack.tensors[at].tensor == tensor);
                    cr_assert(pack.tensors[at].bytes == spw_flow_tensor(flow, tensor)->bytes);
                    at++;
                }
            }
            cr_assert(at == pack.tensor_count);
            cr_assert(pack.has_gradients == flow->border_gradients[border]);
            cr_assert(border > 0 || (pack.tensor_count == 1 && pack.tensors[0].tensor == -1));
        }
        spw_arena_deinit(&arena);
        spw_graph_destroy(graph);
    }
}

/* The backward pass of attention reads x, y and its row sums; of layernorm x and its statistics. */
Test(pack, kept_packs_hold_values_and_side_outputs)
{
    struct spw_graph *graph = graph_make(spw_world_system(), GRAPH_GPT);
    const struct spw_plan_options options = options_of(7, 3);
    struct spw_arena arena;
    struct spw_flow *flow;
    struct spw_error error = {0};
    spw_arena_init(&arena, spw_world_system());
    check_ok(spw_flow_create(&arena, graph, &options, &error, &flow), &error);
    int32_t attention = 0;
    while (graph->nodes[attention].desc.op != SPW_OP_ATTENTION) {
        attention++;
    }
    struct spw_pack pack;
    check_ok(spw_pack_kept(&arena, flow, attention, attention + 1, &error, &pack), &error);
    check_apart(&pack);
    cr_assert(pack.tensor_count == 2); /* x lies in the pack before the shard */
    cr_assert(pack.tensors[0].tensor == attention && !pack.tensors[0].saved);
    cr_assert(pack.tensors[1].tensor == attention && pack.tensors[1].saved);
    cr_assert(pack.tensors[1].bytes ==
              spw_op_saved_bytes(&graph->nodes[attention].desc, options.micro_batch));
    check_ok(spw_pack_kept(&arena, flow, attention - 1, attention + 1, &error, &pack), &error);
    check_apart(&pack);
    cr_assert(pack.tensor_count == 3 && pack.tensors[0].tensor == attention - 1);
    spw_arena_deinit(&arena);
    spw_graph_destroy(graph);
}
