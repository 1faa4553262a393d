/* lane.h — a compute lane: what a thread of computation needs to run ops fast on the host.
 *
 * It holds the tile pool and the library's prepared primitives. Preparing allocates; running does
 * not, but for what oneDNN takes inside its matrix products (host/dnnl.h). One thread at a time
 * uses a lane. */
#ifndef SPW_KERNELS_LANE_H
#define SPW_KERNELS_LANE_H

#include "base/thread.h"
#include "kernels/op.h"

struct spw_lane;

/* `pool` is borrowed and may be NULL (one thread). `reference`: run the plain loops instead. */
enum spw_status spw_lane_create(const struct spw_world *world, struct spw_pool *pool,
                                bool reference, struct spw_error *error, struct spw_lane **out);
void spw_lane_destroy(struct spw_lane *lane);

/* Makes running (desc, items, pass) free of allocation. May be called again; then it does nothing.
 * `desc` is copied. */
enum spw_status spw_lane_prepare(struct spw_lane *lane, const struct spw_op_desc *desc,
                                 int64_t items, enum spw_pass pass, struct spw_error *error);

/* Runs one call; it must have been prepared. SPW_ERR_DEVICE with the library's code if a library
 * call fails. The result's bits depend on the operands and shapes alone: not on the pool's size,
 * the alignment of operands, or what else runs. */
enum spw_status spw_lane_run(struct spw_lane *lane, const struct spw_call *call, enum spw_pass pass,
                             struct spw_error *error);

#endif
