/* weight_blocks.c — which parameters lie in which block. Tested by
 * tests/partitioner/test_weight_blocks.c. */
#include "partitioner/weight_blocks.h"

#include "base/assert.h"
#include "base/checked.h"

static int32_t shard_of(const struct spw_plan *plan, int32_t node)
{
    int32_t shard = 0;
    while (plan->shards[shard].end_node <= node) {
        shard++;
    }
    return shard;
}

/* Numbers the blocks and counts what will be in them. */
static enum spw_status number_blocks(struct spw_plan *plan, const struct spw_flow *flow,
                                     struct spw_error *error, int32_t *param_block)
{
    const struct spw_graph *graph = flow->graph;
    int32_t *own; /* block of each shard, or -1 */
    SPW_TRY(spw_arena_take(&plan->arena, (uint64_t)plan->shard_count, sizeof(*own), error, &own));
    for (int32_t shard = 0; shard < plan->shard_count; shard++) {
        own[shard] = -1;
    }
    for (int32_t param = 0; param < graph->param_count; param++) {
        if (!spw_flow_is_tied(flow, param)) {
            own[shard_of(plan, flow->params[param].users[0])] = 0;
        }
    }
    int32_t count = 0;
    for (int32_t shard = 0; shard < plan->shard_count; shard++) {
        own[shard] = own[shard] < 0 ? -1 : count++;
    }
    for (int32_t param = 0; param < graph->param_count; param++) {
        param_block[param] = spw_flow_is_tied(flow, param)
                                 ? count++
                                 : own[shard_of(plan, flow->params[param].users[0])];
    }
    plan->weight_block_count = count;
    return spw_arena_take(&plan->arena, (uint64_t)count, sizeof(*plan->weight_blocks), error,
                          &plan->weight_blocks);
}

static void add_segment(const struct spw_flow *flow, struct spw_weight_block *block, int32_t param)
{
    const struct spw_segment segment = {
        .param = param,
        .offset_bytes = spw_round_up(block->bytes, SPW_DEVICE_ALIGNMENT),
        .elements = (uint64_t)flow->graph->params[param].elements,
        .norm_offset = block->norm_partials,
    };
    block->segments[block->segment_count++] = segment;
    block->bytes = segment.offset_bytes + flow->params[param].bytes;
    block->norm_partials += flow->params[param].chunks;
}

static enum spw_status fill_blocks(struct spw_plan *plan, const struct spw_flow *flow,
                                   const int32_t *param_block, struct spw_error *error)
{
    struct spw_arena *arena = &plan->arena;
    const int32_t param_count = flow->graph->param_count;
    for (int32_t param = 0; param < param_count; param++) {
        plan->weight_blocks[param_block[param]].segment_count++;
    }
    for (int32_t i = 0; i < plan->weight_block_count; i++) {
        struct spw_weight_block *block = &plan->weight_blocks[i];
        SPW_TRY(spw_arena_take(arena, (uint64_t)block->segment_count, sizeof(*block->segments),
                               error, &block->segments));
        block->segment_count = 0;
    }
    for (int32_t param = 0; param < param_count; param++) {
        struct spw_weight_block *block = &plan->weight_blocks[param_block[param]];
        add_segment(flow, block, param);
        block->uses = flow->graph->params[param].uses;
        block->reduced = block->uses > 1 || plan->options.grad_groups > 1;
        if (block->use_shard != NULL) {
            continue;
        }
        SPW_TRY(spw_arena_take(arena, (uint64_t)block->uses, sizeof(*block->use_shard), error,
                               &block->use_shard));
        for (int32_t use = 0; use < block->uses; use++) {
            block->use_shard[use] = shard_of(plan, flow->params[param].users[use]);
        }
    }
    return SPW_OK;
}

static bool uses_block(const struct spw_weight_block *block, int32_t shard)
{
    for (int32_t use = 0; use < block->uses; use++) {
        if (block->use_shard[use] == shard) {
            return true;
        }
    }
    return false;
}

static enum spw_status list_blocks(struct spw_plan *plan, struct spw_error *error)
{
    for (int32_t i = 0; i < plan->shard_count; i++) {
        struct spw_shard *shard = &plan->shards[i];
        for (int32_t block = 0; block < plan->weight_block_count; block++) {
            shard->weight_block_count += uses_block(&plan->weight_blocks[block], i);
        }
        SPW_TRY(spw_arena_take(&plan->arena, (uint64_t)shard->weight_block_count,
                               sizeof(*shard->weight_blocks), error, &shard->weight_blocks));
        int32_t count = 0;
        for (int32_t block = 0; block < plan->weight_block_count; block++) {
            if (uses_block(&plan->weight_blocks[block], i)) {
                shard->weight_blocks[count++] = block;
            }
        }
    }
    return SPW_OK;
}

enum spw_status spw_weight_blocks_make(struct spw_plan *plan, const struct spw_flow *flow,
                                       struct spw_error *error, int32_t **param_block)
{
    int32_t *blocks;
    SPW_TRY(spw_arena_take(&plan->arena, (uint64_t)flow->graph->param_count, sizeof(*blocks), error,
                           &blocks));
    SPW_TRY(number_blocks(plan, flow, error, blocks));
    SPW_TRY(fill_blocks(plan, flow, blocks, error));
    SPW_TRY(list_blocks(plan, error));
    *param_block = blocks;
    return SPW_OK;
}
