/* weight_blocks.h — groups a plan's parameters into blocks that move together.
 *
 * Blocks are numbered: the untied parameters of each shard in order, then one block per tied
 * parameter. Internal to the partitioner. Tested by tests/partitioner/test_weight_blocks.c. */
#ifndef SPW_PARTITIONER_WEIGHT_BLOCKS_H
#define SPW_PARTITIONER_WEIGHT_BLOCKS_H

#include "partitioner/flow.h"

/* Fills the plan's and its shards' weight blocks; the shards' nodes are known. *param_block is the
 * block of each parameter; all is taken from the plan's arena. */
enum spw_status spw_weight_blocks_make(struct spw_plan *plan, const struct spw_flow *flow,
                                       struct spw_error *error, int32_t **param_block);

#endif
