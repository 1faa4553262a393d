/* totals.h — sums over a finished plan: homes, traffic, FLOPs, time. Internal to the partitioner.
 * Tested by tests/partitioner/test_totals.c. */
#ifndef SPW_PARTITIONER_TOTALS_H
#define SPW_PARTITIONER_TOTALS_H

#include "partitioner/flow.h"

/* Fills plan->totals but for device_bytes_min. `sizes` has room for weight_block_count. */
void spw_totals_fill(struct spw_plan *plan, const struct spw_flow *flow, uint64_t *sizes);

#endif
