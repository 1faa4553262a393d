/* pieces.h — splits weight blocks into the pieces that REDUCE and UPDATE stream.
 *
 * Internal to the partitioner. Tested by tests/partitioner/test_pieces.c. */
#ifndef SPW_PARTITIONER_PIECES_H
#define SPW_PARTITIONER_PIECES_H

#include "partitioner/flow.h"

/* Device bytes below which no REDUCE or UPDATE unit can go, whatever the cuts. */
uint64_t spw_pieces_least(const struct spw_flow *flow);

/* Fills the plan's reduces and updates; its weight blocks are known. Each unit stays within
 * `limit_bytes`, which is at least spw_pieces_least(). */
enum spw_status spw_pieces_make(struct spw_plan *plan, uint64_t limit_bytes,
                                struct spw_error *error);

#endif
