/* keep.h — per shard: keep activations for the backward pass, or recompute them?
 *
 * Internal to the partitioner. Tested by tests/partitioner/test_keep.c. */
#ifndef SPW_PARTITIONER_KEEP_H
#define SPW_PARTITIONER_KEEP_H

#include "partitioner/lower.h"

/* Fills kept[shard] for all shards but the last, whose forward and backward pass are one. The
 * plan's shards and weight blocks are known; a shard's units stay within limit_bytes[shard] with
 * `slots` ring slots. Keeping must save more time than its copies take, and must not make the step
 * longer where copies, not arithmetic, set its pace. */
enum spw_status spw_keep_choose(const struct spw_plan *plan, const struct spw_flow *flow,
                                struct spw_lowering *lowering, uint32_t slots,
                                const uint64_t *limit_bytes, struct spw_error *error, bool *kept);

#endif
