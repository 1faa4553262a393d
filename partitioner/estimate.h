/* estimate.h — times and FLOPs: from measurements where the caller offers them, else from costs.
 *
 * An op's estimated time is the longer of its arithmetic and its least memory traffic. Estimates
 * steer choices that never change a bit of the results. Internal to the partitioner. Tested by
 * tests/partitioner/test_estimate.c. */
#ifndef SPW_PARTITIONER_ESTIMATE_H
#define SPW_PARTITIONER_ESTIMATE_H

#include "partitioner/flow.h"

/* Fills the nodes' times; options->measure is called once per distinct op, shape and pass. */
enum spw_status spw_estimate_nodes(struct spw_arena *arena, struct spw_flow *flow,
                                   struct spw_error *error);

/* Fills a program's flops and time_ns for a full micro-batch. */
void spw_estimate_program(const struct spw_flow *flow, struct spw_program *program);

/* FLOPs of a program's calls over `items`. */
uint64_t spw_estimate_flops(const struct spw_program *program, int64_t items);

/* Nanoseconds of copying over the link, and of reading and writing device memory. */
uint64_t spw_estimate_link_ns(const struct spw_plan_options *options, uint64_t bytes);
uint64_t spw_estimate_memory_ns(const struct spw_plan_options *options, uint64_t bytes);

#endif
