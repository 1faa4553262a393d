/* test_pieces.c — pieces cover blocks, keep whole chunks together, and stay within limits. */
#include "partitioner/pieces.h"

#include "graphs.h"

static void check_cover(const struct spw_plan *plan, enum spw_unit_kind kind, int32_t b)
{
    const struct spw_weight_block *block = &plan->weight_blocks[b];
    const struct spw_unit_plan *unit = kind == SPW_UNIT_UPDATE ? &plan->updates[b]
                                                               : &plan->reduces[b];
    uint64_t offset = 0, norms = 0, norms_max = 0;
    for (uint64_t i = 0; i < spw_plan_pieces(plan, kind, b); i++) {
        const struct spw_piece piece = spw_plan_piece(plan, kind, b, i);
        cr_assert(piece.offset_bytes == offset && piece.offset_bytes % 64 == 0);
        cr_assert(piece.bytes > 0 && piece.bytes <= unit->piece_bytes);
        cr_assert(piece.norm_first == (kind == SPW_UNIT_REDUCE ? norms : 0));
        offset += piece.bytes;
        norms += piece.norm_count;
        norms_max = piece.norm_count > norms_max ? piece.norm_count : norms_max;
    }
    cr_assert(offset == block->bytes, "%d of %d bytes", (int)offset, (int)block->bytes);
    cr_assert(unit->piece_bytes % 64 == 0);
    if (kind == SPW_UNIT_UPDATE) {
        cr_assert(norms == 0);
        cr_assert(unit->slot_bytes == (2 + plan->options.moments) * unit->piece_bytes);
    } else {
        cr_assert(norms == block->norm_partials);
        const uint64_t accumulators = (uint64_t)(block->uses * plan->options.grad_groups);
        cr_assert(unit->slot_bytes ==
                  accumulators * unit->piece_bytes + (norms_max * sizeof(double) + 63) / 64 * 64);
    }
}

/* Chunks of all segments that lie in [offset, offset + bytes) and none that straddles its ends. */
static void check_chunks(const struct spw_weight_block *block, const struct spw_piece *piece)
{
    uint64_t inside = 0;
    const uint64_t end = piece->offset_bytes + piece->bytes;
    for (int32_t i = 0; i < block->segment_count; i++) {
        const struct spw_segment *segment = &block->segments[i];
        for (uint64_t chunk = 0; chunk < spw_norm_chunks(segment->elements); chunk++) {
            const uint64_t first = chunk * SPW_NORM_CHUNK;
            const uint64_t left = segment->elements - first;
            const uint64_t from = segment->offset_bytes + first * sizeof(float);
            const uint64_t to =
                from + (left < SPW_NORM_CHUNK ? left : SPW_NORM_CHUNK) * sizeof(float);
            const bool begins = from >= piece->offset_bytes && from < end;
            cr_assert(!begins || to <= end);
            if (begins) {
                cr_assert(segment->norm_offset + chunk == piece->norm_first + inside);
                inside++;
            }
        }
    }
    cr_assert(inside == piece->norm_count && inside > 0);
}

static void check_plan(const struct spw_plan *plan, uint64_t limit)
{
    for (int32_t b = 0; b < plan->weight_block_count; b++) {
        check_cover(plan, SPW_UNIT_UPDATE, b);
        cr_assert(plan->updates[b].slots * plan->updates[b].slot_bytes <= limit);
        if (!plan->weight_blocks[b].reduced) {
            cr_assert(spw_plan_pieces(plan, SPW_UNIT_REDUCE, b) == 0);
            continue;
        }
        check_cover(plan, SPW_UNIT_REDUCE, b);
        cr_assert(plan->reduces[b].slots * plan->reduces[b].slot_bytes <= limit);
        for (uint64_t i = 0; i < plan->reduces[b].piece_count; i++) {
            check_chunks(&plan->weight_blocks[b], &plan->reduces[b].pieces[i]);
        }
    }
}

/* All limits from the least on, all numbers of groups. */
static void check_graph(struct spw_graph *graph)
{
    struct spw_plan_options options = options_of(8, 2);
    for (options.grad_groups = 1; options.grad_groups <= 3; options.grad_groups++) {
        struct spw_plan *plan = plan_make(graph, &options);
        struct spw_flow *flow;
        struct spw_error error = {0};
        check_ok(spw_flow_create(&plan->arena, graph, &options, &error, &flow), &error);
        const uint64_t least = spw_pieces_least(flow);
        for (uint64_t limit = least; limit < UINT64_C(1) << 24; limit += limit / 3) {
            check_ok(spw_pieces_make(plan, limit, &error), &error);
            check_plan(plan, limit);
        }
        spw_plan_destroy(plan);
    }
    spw_graph_destroy(graph);
}

/* Parameters shorter than a chunk and longer ones: GPT's tied table of 16,384 elements is some
 * chunks long, a layer of 300 by 300 no whole number of them. */
Test(pieces, they_cover_blocks_at_any_limit)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        check_graph(graph_make(spw_world_system(), (enum graph_kind)kind));
    }
    check_graph(graph_chain(2, 300));
}

/* Long blocks stream in several pieces, so that copies run beside arithmetic. */
Test(pieces, long_blocks_have_a_few_pieces_in_two_slots)
{
    struct spw_graph *graph = graph_chain(2, 1024);
    struct spw_plan_options options = options_of(8, 2);
    struct spw_plan *plan = plan_make(graph, &options);
    cr_assert(plan->weight_block_count == 1);
    cr_assert(plan->updates[0].slots == 2);
    cr_assert(spw_plan_pieces(plan, SPW_UNIT_UPDATE, 0) == 4);
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}

/* A REDUCE whose accumulators one copy command can't bring runs on the host cores: it takes no
 * device memory, needs none, and copies nothing. */
Test(pieces, many_accumulators_stay_on_the_host)
{
    struct spw_graph *graph = graph_chain(2, 64);
    for (int64_t groups = 7; groups <= 10; groups++) {
        const bool here = groups <= SPW_REDUCE_DEVICE_MAX;
        struct spw_plan_options options = options_of(20, 2);
        options.grad_groups = groups;
        struct spw_plan *plan = plan_make(graph, &options);
        struct spw_flow *flow;
        struct spw_error error = {0};
        check_ok(spw_flow_create(&plan->arena, graph, &options, &error, &flow), &error);
        const uint64_t chunk = 64 * 64 * sizeof(float);
        cr_assert(spw_pieces_least(flow) == (here ? (uint64_t)groups * chunk + 64 : 4 * 64));
        uint64_t bytes = 0;
        for (int32_t b = 0; b < plan->weight_block_count; b++) {
            cr_assert(plan->weight_blocks[b].reduced);
            cr_assert((plan->reduces[b].device_bytes > 0) == here, "%d groups", (int)groups);
            cr_assert(plan->updates[b].device_bytes > 0);
            cr_assert(spw_plan_reduce_place(plan, b) ==
                      (here ? SPW_UPDATE_ON_DEVICE : SPW_UPDATE_ON_CORES));
            cr_assert(spw_plan_pieces(plan, SPW_UNIT_REDUCE, b) > 0);
            bytes += plan->weight_blocks[b].bytes;
        }
        const struct spw_traffic traffic = spw_plan_traffic(plan);
        cr_assert(traffic.in.grads == (here ? (uint64_t)groups + 1 : 1) * bytes);
        spw_plan_destroy(plan);
    }
    spw_graph_destroy(graph);
}

Test(pieces, on_host_cores_they_take_no_device_memory)
{
    struct spw_graph *graph = graph_make(spw_world_system(), GRAPH_GPT);
    struct spw_plan_options options = options_of(8, 2);
    options.update_place = SPW_UPDATE_ON_CORES;
    struct spw_plan *plan = plan_make(graph, &options);
    for (int32_t b = 0; b < plan->weight_block_count; b++) {
        cr_assert(plan->updates[b].device_bytes == 0 && plan->reduces[b].device_bytes == 0);
        cr_assert(spw_plan_pieces(plan, SPW_UNIT_UPDATE, b) > 0);
    }
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}
