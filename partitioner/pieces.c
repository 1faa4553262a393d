/* pieces.c — as large as is useful, as small as memory asks.
 *
 * Pieces stream through two slots, so that copies overlap; where memory is short, through one.
 * UPDATE may split anywhere; a piece of REDUCE holds whole norm chunks, since their sums are not to
 * be split. Tested by tests/partitioner/test_pieces.c. */
#include "partitioner/pieces.h"

#include "base/assert.h"
#include "base/checked.h"

#define CHUNK_BYTES (SPW_NORM_CHUNK * sizeof(float))
#define PIECE_BYTES_MAX (UINT64_C(1048576) * sizeof(float))
/* Shorter pieces than this are not worth a second slot. */
#define PIECE_BYTES_GOOD (UINT64_C(16384) * sizeof(float))

static uint64_t rounded(uint64_t bytes)
{
    return spw_round_up(bytes, SPW_DEVICE_ALIGNMENT);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A few pieces, so that copies and arithmetic overlap, of which none is tiny or huge. */
static uint64_t useful_piece(uint64_t block_bytes)
{
    const uint64_t quarter = rounded(block_bytes / 4);
    return least(quarter > PIECE_BYTES_GOOD ? quarter : PIECE_BYTES_GOOD, PIECE_BYTES_MAX);
}

static uint64_t accumulators_of(const struct spw_plan_options *options, int32_t uses)
{
    return (uint64_t)uses * (uint64_t)options->grad_groups;
}

static enum spw_update_place reduce_place(const struct spw_plan_options *options, int32_t uses)
{
    return accumulators_of(options, uses) > SPW_REDUCE_DEVICE_MAX ? SPW_UPDATE_ON_CORES
                                                                  : options->update_place;
}

enum spw_update_place spw_plan_reduce_place(const struct spw_plan *plan, int32_t weight_block)
{
    SPW_ASSERT(weight_block >= 0 && weight_block < plan->weight_block_count);
    return reduce_place(&plan->options, plan->weight_blocks[weight_block].uses);
}

uint64_t spw_pieces_least(const struct spw_flow *flow)
{
    const struct spw_plan_options *options = flow->options;
    if (options->update_place == SPW_UPDATE_ON_CORES || flow->graph->param_count == 0) {
        return 0;
    }
    uint64_t most = (2 + options->moments) * (uint64_t)SPW_DEVICE_ALIGNMENT;
    for (int32_t param = 0; param < flow->graph->param_count; param++) {
        const uint64_t accumulators = accumulators_of(options, flow->graph->params[param].uses);
        const uint64_t chunk = least(rounded(flow->params[param].bytes), CHUNK_BYTES);
        const uint64_t bytes = accumulators * chunk + rounded(sizeof(double));
        const bool here = reduce_place(options, flow->graph->params[param].uses) ==
                          SPW_UPDATE_ON_DEVICE;
        if (accumulators > 1 && here && bytes > most) {
            most = bytes;
        }
    }
    return most;
}

/* ---- UPDATE ---- */

static enum spw_status split_evenly(struct spw_arena *arena, uint64_t block_bytes, uint64_t count,
                                    struct spw_unit_plan *unit, struct spw_error *error)
{
    unit->piece_bytes = rounded((block_bytes + count - 1) / count);
    unit->piece_count = (block_bytes + unit->piece_bytes - 1) / unit->piece_bytes;
    SPW_TRY(spw_arena_take(arena, unit->piece_count, sizeof(*unit->pieces), error, &unit->pieces));
    for (uint64_t i = 0; i < unit->piece_count; i++) {
        const uint64_t offset = i * unit->piece_bytes;
        unit->pieces[i].offset_bytes = offset;
        unit->pieces[i].bytes = least(unit->piece_bytes, block_bytes - offset);
    }
    return SPW_OK;
}

/* The longest piece with which `slots` slots of `arrays` arrays fit, but no longer than is useful.
 */
static uint64_t longest_piece(uint64_t block_bytes, uint64_t limit_bytes, uint64_t slots,
                              uint64_t arrays)
{
    const uint64_t bytes =
        limit_bytes / (slots * arrays) / SPW_DEVICE_ALIGNMENT * SPW_DEVICE_ALIGNMENT;
    return least(bytes, useful_piece(block_bytes));
}

static enum spw_status make_update(struct spw_plan *plan, int32_t index, uint64_t limit_bytes,
                                   struct spw_error *error)
{
    const uint64_t block_bytes = plan->weight_blocks[index].bytes;
    const uint64_t arrays = 2 + plan->options.moments;
    struct spw_unit_plan *unit = &plan->updates[index];
    unit->kind = SPW_UNIT_UPDATE;
    unit->shard = index;
    unit->slots = 2;
    uint64_t piece = longest_piece(block_bytes, limit_bytes, 2, arrays);
    if (piece < PIECE_BYTES_GOOD || piece >= block_bytes) {
        unit->slots = 1;
        piece = longest_piece(block_bytes, limit_bytes, 1, arrays);
    }
    SPW_ASSERT(piece > 0);
    SPW_TRY(
        split_evenly(&plan->arena, block_bytes, (block_bytes + piece - 1) / piece, unit, error));
    unit->slot_bytes = arrays * unit->piece_bytes;
    return SPW_OK;
}

/* ---- REDUCE ---- */

/* A place in a block at which a chunk begins. */
struct chunk_cursor {
    const struct spw_weight_block *block;
    int32_t segment;
    uint64_t chunk; /* within the segment */
};

static uint64_t cursor_offset(const struct chunk_cursor *cursor)
{
    if (cursor->segment == cursor->block->segment_count) {
        return cursor->block->bytes;
    }
    return cursor->block->segments[cursor->segment].offset_bytes + cursor->chunk * CHUNK_BYTES;
}

/* Moves on by as many chunks as end within `end` bytes, but at least one. */
static uint64_t advance(struct chunk_cursor *cursor, uint64_t end)
{
    uint64_t taken = 0;
    while (cursor->segment < cursor->block->segment_count) {
        const struct spw_segment *segment = &cursor->block->segments[cursor->segment];
        const uint64_t chunks = spw_norm_chunks(segment->elements);
        struct chunk_cursor next = {cursor->block, cursor->segment + 1, 0};
        uint64_t step = chunks - cursor->chunk; /* to the end of the segment, if that fits */
        if (cursor_offset(&next) > end) {
            const uint64_t here = cursor_offset(cursor);
            step = end > here ? (end - here) / CHUNK_BYTES : 0;
            step = step == 0 && taken == 0 ? 1 : step;
            step = least(step, chunks - cursor->chunk);
            if (step == 0) {
                break;
            }
        }
        taken += step;
        if (cursor->chunk + step == chunks) {
            *cursor = next;
        } else {
            cursor->chunk += step;
        }
        if (cursor_offset(cursor) >= end) {
            break;
        }
    }
    return taken;
}

/* Pieces of at most `bytes_max` bytes, or of one chunk if that is more. Fills `pieces` unless it is
 * NULL and reports the longest piece and the most partial sums. */
static uint64_t split_at_chunks(const struct spw_weight_block *block, uint64_t bytes_max,
                                struct spw_piece *pieces, uint64_t *longest, uint64_t *norms_max)
{
    struct chunk_cursor cursor = {block, 0, 0};
    uint64_t count = 0;
    uint64_t norms = 0;
    *longest = 0;
    *norms_max = 0;
    while (cursor.segment < block->segment_count) {
        const uint64_t offset = cursor_offset(&cursor);
        const uint64_t taken = advance(&cursor, offset + bytes_max);
        const uint64_t bytes = cursor_offset(&cursor) - offset;
        if (pieces != NULL) {
            pieces[count] = (struct spw_piece){offset, bytes, norms, taken};
        }
        norms += taken;
        *longest = bytes > *longest ? bytes : *longest;
        *norms_max = taken > *norms_max ? taken : *norms_max;
        count++;
    }
    return count;
}

/* Sizes the unit for pieces of at most `bytes_max`; true if it fits. */
static bool try_reduce(const struct spw_weight_block *block, uint64_t accumulators, uint32_t slots,
                       uint64_t bytes_max, uint64_t limit_bytes, struct spw_unit_plan *unit)
{
    uint64_t longest, norms;
    unit->piece_count = split_at_chunks(block, bytes_max, NULL, &longest, &norms);
    unit->piece_bytes = rounded(longest);
    unit->slots = unit->piece_count == 1 ? 1 : slots;
    unit->slot_bytes = accumulators * unit->piece_bytes + rounded(norms * sizeof(double));
    return unit->slots * unit->slot_bytes <= limit_bytes;
}

/* The longest useful piece that fits, with two slots unless that makes pieces too short. */
static uint64_t choose_reduce(const struct spw_weight_block *block, uint64_t accumulators,
                              uint64_t limit_bytes, struct spw_unit_plan *unit)
{
    uint64_t bytes_max = useful_piece(block->bytes);
    for (; bytes_max >= PIECE_BYTES_GOOD; bytes_max /= 2) {
        if (try_reduce(block, accumulators, 2, bytes_max, limit_bytes, unit)) {
            return bytes_max;
        }
    }
    bytes_max = useful_piece(block->bytes);
    while (!try_reduce(block, accumulators, 1, bytes_max, limit_bytes, unit)) {
        SPW_ASSERT(bytes_max > 0); /* then each piece is one chunk, which fits */
        bytes_max /= 2;
    }
    return bytes_max;
}

static enum spw_status make_reduce(struct spw_plan *plan, int32_t index, uint64_t limit_bytes,
                                   struct spw_error *error)
{
    const struct spw_weight_block *block = &plan->weight_blocks[index];
    struct spw_unit_plan *unit = &plan->reduces[index];
    unit->kind = SPW_UNIT_REDUCE;
    unit->shard = index;
    if (!block->reduced) {
        return SPW_OK;
    }
    const uint64_t bytes_max =
        choose_reduce(block, accumulators_of(&plan->options, block->uses), limit_bytes, unit);
    SPW_TRY(spw_arena_take(&plan->arena, unit->piece_count, sizeof(*unit->pieces), error,
                           &unit->pieces));
    uint64_t longest, norms;
    (void)split_at_chunks(block, bytes_max, unit->pieces, &longest, &norms);
    return SPW_OK;
}

enum spw_status spw_pieces_make(struct spw_plan *plan, uint64_t limit_bytes,
                                struct spw_error *error)
{
    const uint64_t count = (uint64_t)plan->weight_block_count;
    SPW_TRY(spw_arena_take(&plan->arena, count, sizeof(*plan->reduces), error, &plan->reduces));
    SPW_TRY(spw_arena_take(&plan->arena, count, sizeof(*plan->updates), error, &plan->updates));
    for (int32_t i = 0; i < plan->weight_block_count; i++) {
        SPW_TRY(make_update(plan, i, limit_bytes, error));
        const bool here = spw_plan_reduce_place(plan, i) == SPW_UPDATE_ON_DEVICE;
        SPW_TRY(make_reduce(plan, i, here ? limit_bytes : UINT64_MAX, error));
        if (plan->options.update_place == SPW_UPDATE_ON_DEVICE) {
            plan->updates[i].device_bytes = plan->updates[i].slots * plan->updates[i].slot_bytes;
        }
        if (spw_plan_reduce_place(plan, i) == SPW_UPDATE_ON_DEVICE) {
            plan->reduces[i].device_bytes = plan->reduces[i].slots * plan->reduces[i].slot_bytes;
        }
    }
    return SPW_OK;
}

uint64_t spw_plan_pieces(const struct spw_plan *plan, enum spw_unit_kind kind, int32_t weight_block)
{
    SPW_ASSERT(weight_block >= 0 && weight_block < plan->weight_block_count);
    SPW_ASSERT(kind == SPW_UNIT_REDUCE || kind == SPW_UNIT_UPDATE);
    const struct spw_unit_plan *units = kind == SPW_UNIT_UPDATE ? plan->updates : plan->reduces;
    return units[weight_block].piece_count;
}

struct spw_piece spw_plan_piece(const struct spw_plan *plan, enum spw_unit_kind kind,
                                int32_t weight_block, uint64_t index)
{
    SPW_ASSERT(index < spw_plan_pieces(plan, kind, weight_block));
    const struct spw_unit_plan *units = kind == SPW_UNIT_UPDATE ? plan->updates : plan->reduces;
    return units[weight_block].pieces[index];
}
