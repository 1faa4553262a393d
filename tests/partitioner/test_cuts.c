/* test_cuts.c — costs and their bounds, the least memory against all possible cuts, chosen cuts. */
#include "partitioner/cuts.h"

#include "graphs.h"

struct fixture {
    struct spw_graph *graph;
    struct spw_plan_options options;
    struct spw_arena arena;
    struct spw_flow *flow;
    struct spw_lowering *lowering;
    struct spw_costs costs;
    struct spw_cuts cuts;
};

static void open_fixture(struct fixture *f, struct spw_graph *graph,
                         struct spw_plan_options options)
{
    f->graph = graph;
    f->options = options;
    spw_arena_init(&f->arena, spw_world_system());
    struct spw_error error = {0};
    check_ok(spw_flow_create(&f->arena, graph, &f->options, &error, &f->flow), &error);
    check_ok(spw_lowering_create(spw_world_system(), f->flow, &error, &f->lowering), &error);
    spw_costs_init(&f->costs, spw_world_system(), f->flow, f->lowering);
    check_ok(spw_cuts_init(&f->arena, &f->costs, &error, &f->cuts), &error);
}

static void close_fixture(struct fixture *f)
{
    spw_costs_deinit(&f->costs);
    spw_lowering_destroy(f->lowering);
    spw_arena_deinit(&f->arena);
    spw_graph_destroy(f->graph);
}

static uint64_t cost(struct fixture *f, int32_t first, int32_t end)
{
    uint64_t bytes;
    struct spw_error error = {0};
    check_ok(spw_costs_of(&f->costs, first, end, &error, &bytes), &error);
    return bytes;
}

static struct spw_plan_options varied(int round)
{
    struct spw_plan_options options = options_of(7, 3);
    options.keep = round % 2;
    options.grad_groups = round < 2 ? 1 : 2;
    return options;
}

Test(cuts, bounds_never_exceed_costs)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        for (int round = 0; round < 4; round++) {
            struct fixture f;
            open_fixture(&f, graph_make(spw_world_system(), (enum graph_kind)kind), varied(round));
            uint64_t bound = 0, exact = 0;
            for (int32_t first = 0; first < f.graph->node_count; first++) {
                struct spw_cost_floor floor = spw_cost_floor_of(&f.costs, first);
                uint64_t state_before = 0;
                while (floor.end < f.graph->node_count) {
                    spw_cost_floor_extend(&floor);
                    cr_assert(floor.bytes <= cost(&f, first, floor.end), "%s, nodes %d to %d",
                              graph_name((enum graph_kind)kind), first, floor.end);
                    cr_assert(floor.state_bytes >= state_before &&
                              floor.state_bytes <= floor.bytes);
                    state_before = floor.state_bytes;
                    bound += floor.bytes;
                    exact += cost(&f, first, floor.end);
                }
            }
            cr_assert(bound * 10 > exact * 6, "bounds are useless: %.2f",
                      (double)bound / (double)exact);
            close_fixture(&f);
        }
    }
}

/* Every way to cut, as bits of a number. */
static uint64_t least_of_all(struct fixture *f)
{
    const int32_t nodes = f->graph->node_count;
    uint64_t best = UINT64_MAX;
    for (uint32_t ways = 0; ways < UINT32_C(1) << (nodes - 1); ways++) {
        uint64_t largest = 0;
        int32_t first = 0;
        for (int32_t end = 1; end <= nodes && largest < best; end++) {
            if (end == nodes || (ways >> (end - 1)) % 2 == 1) {
                const uint64_t bytes = cost(f, first, end);
                largest = bytes > largest ? bytes : largest;
                first = end;
            }
        }
        best = largest < best ? largest : best;
    }
    return best;
}

Test(cuts, the_least_memory_is_that_of_the_best_of_all_cuts)
{
    const enum graph_kind kinds[] = {GRAPH_MLP, GRAPH_CNN, GRAPH_TANGLE};
    for (int i = 0; i < 3; i++) {
        for (int round = 0; round < 4; round++) {
            struct fixture f;
            open_fixture(&f, graph_make(spw_world_system(), kinds[i]), varied(round));
            cr_assert(f.graph->node_count <= 16);
            const uint64_t best = least_of_all(&f);
            cr_assert(f.cuts.tails[0].bytes == best, "%s: %d, but %d is possible",
                      graph_name(kinds[i]), (int)f.cuts.tails[0].bytes, (int)best);
            close_fixture(&f);
        }
    }
}

static int32_t choose(struct fixture *f, uint64_t usual, uint64_t most, int32_t *borders)
{
    const struct spw_cut_budget budget = {usual, most};
    struct spw_error error = {0};
    int32_t count = 0;
    check_ok(spw_cuts_choose(&f->cuts, &budget, &error, borders, &count), &error);
    cr_assert(borders[0] == 0 && borders[count] == f->graph->node_count);
    for (int32_t i = 0; i < count; i++) {
        cr_assert(borders[i] < borders[i + 1]);
    }
    return count;
}

static uint64_t largest_op(struct fixture *f, int32_t first, int32_t end)
{
    uint64_t largest = 0;
    for (int32_t node = first; node < end; node++) {
        const uint64_t bytes = cost(f, node, node + 1);
        largest = bytes > largest ? bytes : largest;
    }
    return largest;
}

/* Shards keep to the usual budget unless they hold an op that is larger. */
Test(cuts, budgets_are_kept)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct fixture f;
        open_fixture(&f, graph_make(spw_world_system(), (enum graph_kind)kind), options_of(7, 3));
        const uint64_t least = f.cuts.tails[0].bytes;
        int32_t count_before = INT32_MAX;
        for (uint64_t most = least; most < 20 * least; most += least / 3) {
            int32_t borders[256];
            const int32_t count = choose(&f, most / 2, most, borders);
            for (int32_t i = 0; i < count; i++) {
                const uint64_t bytes = cost(&f, borders[i], borders[i + 1]);
                const uint64_t op = largest_op(&f, borders[i], borders[i + 1]);
                cr_assert(bytes <= most);
                cr_assert(bytes <= most / 2 || op > most / 2 || op > most);
            }
            count_before = count < count_before ? count : count_before;
        }
        cr_assert(count_before == 1);
        close_fixture(&f);
    }
}

/* A chain of equal layers splits into equal shards, not into full ones and a rest. */
Test(cuts, shards_are_balanced)
{
    struct fixture f;
    open_fixture(&f, graph_chain(13, 64), options_of(8, 4));
    int32_t borders[64];
    const uint64_t budget = cost(&f, 3, 15); /* six layers: greedily 6, 6 and 1 */
    const int32_t count = choose(&f, budget, budget, borders);
    cr_assert(count == 3, "%d shards", count);
    uint64_t smallest = UINT64_MAX, largest = 0;
    for (int32_t i = 0; i < count; i++) {
        const uint64_t bytes = cost(&f, borders[i], borders[i + 1]);
        smallest = bytes < smallest ? bytes : smallest;
        largest = bytes > largest ? bytes : largest;
    }
    cr_assert(largest <= budget && smallest * 10 >= largest * 6, "from %d to %d", (int)smallest,
              (int)largest);
    close_fixture(&f);
}

/* Inside a block of GPT-2 four times as much crosses a border as between blocks. */
Test(cuts, borders_lie_where_little_crosses)
{
    struct fixture f;
    open_fixture(&f, graph_gpt(64, 16, 32, 16), options_of(8, 4));
    int32_t borders[256];
    const uint64_t budget = f.cuts.tails[0].bytes * 4;
    const int32_t count = choose(&f, budget, budget, borders);
    cr_assert(count > 2);
    uint64_t narrowest = UINT64_MAX;
    for (int32_t border = 2; border < f.graph->node_count; border++) {
        const uint64_t bytes = f.flow->border_bytes[border];
        narrowest = bytes < narrowest ? bytes : narrowest;
    }
    for (int32_t i = 1; i < count; i++) {
        cr_assert(f.flow->border_bytes[borders[i]] == narrowest, "border %d: %d bytes", borders[i],
                  (int)f.flow->border_bytes[borders[i]]);
    }
    close_fixture(&f);
}

/* The search looks at a small part of the half million ranges of a long graph. */
Test(cuts, a_thousand_nodes_are_searched_quickly)
{
    struct fixture f;
    open_fixture(&f, graph_gpt(64, 8, 8, 80), options_of(4, 2));
    cr_assert(f.graph->node_count > 900);
    int32_t borders[1024];
    for (uint64_t times = 1; times < 64; times *= 6) {
        (void)choose(&f, f.cuts.tails[0].bytes * times / 2, f.cuts.tails[0].bytes * times, borders);
    }
    cr_assert(f.costs.entry_count < 20000, "%d ranges were lowered", (int)f.costs.entry_count);
    close_fixture(&f);
}
