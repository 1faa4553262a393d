/* pack.h — which tensors cross a border or are kept inside a shard, and where they lie in the pack.
 *
 * Packs list the data first, then tensors by node, each at a multiple of the alignment. Internal to
 * the partitioner. Tested by tests/partitioner/test_pack.c. */
#ifndef SPW_PARTITIONER_PACK_H
#define SPW_PARTITIONER_PACK_H

#include "partitioner/flow.h"

#define SPW_NOT_PACKED UINT64_MAX

/* Offsets within the pack of `border`, for every tensor made before it, at [tensor + 1];
 * SPW_NOT_PACKED for those that don't cross. Returns the bytes of the pack. */
uint64_t spw_pack_cut_offsets(const struct spw_flow *flow, int32_t border, uint64_t *offsets);

/* The same for what the backward pass of nodes [first, end) reads and what is made there, at
 * [tensor + 1] and, for side outputs, [node]. Entries of other nodes are left alone. */
uint64_t spw_pack_kept_offsets(const struct spw_flow *flow, int32_t first, int32_t end,
                               uint64_t *tensor_offsets, uint64_t *saved_offsets);

enum spw_status spw_pack_cut(struct spw_arena *arena, const struct spw_flow *flow, int32_t border,
                             struct spw_error *error, struct spw_pack *out);
enum spw_status spw_pack_kept(struct spw_arena *arena, const struct spw_flow *flow, int32_t first,
                              int32_t end, struct spw_error *error, struct spw_pack *out);

#endif
