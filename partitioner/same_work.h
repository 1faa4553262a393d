/* same_work.h — tells whether two ops take the same time and memory, so that each sort of op of a
 * graph is asked about once. Internal to the partitioner. */
#ifndef SPW_PARTITIONER_SAME_WORK_H
#define SPW_PARTITIONER_SAME_WORK_H

#include "kernels/op.h"

/* Equal ops, shapes and attributes; keys of random streams don't matter. */
bool spw_same_work(const struct spw_op_desc *a, const struct spw_op_desc *b);

#endif
