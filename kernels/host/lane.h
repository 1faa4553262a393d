/* lane.h — what an op's own file may take from a lane, besides the pool (host_op.h). Internal to
 * the kernels box; lane.c is tested by tests/kernels/test_lane.c. */
#ifndef SPW_KERNELS_HOST_LANE_H
#define SPW_KERNELS_HOST_LANE_H

#include "kernels/host/dnnl.h"
#include "kernels/host/host_op.h"
#include "kernels/host/prepared.h"

/* Never NULL while an op's fast path runs or prepares. */
const struct spw_dnnl *spw_lane_dnnl(struct spw_lane *lane);
struct spw_prepared *spw_lane_prepared(struct spw_lane *lane);

#endif
