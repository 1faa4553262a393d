/* conv2d.h — how a convolution's items and workspace are divided, between preparing and running it.
 *
 * dW sums over items. The library sums within a group of items; groups follow each other within a
 * span, and spans are added in order. Groups and spans depend on shapes alone; a thread takes whole
 * groups going forward and whole spans going backward. Internal to the kernels box. */
#ifndef SPW_KERNELS_HOST_CONV2D_H
#define SPW_KERNELS_HOST_CONV2D_H

#include "kernels/host/lane.h"

/* How the items of a call are divided. */
struct spw_conv2d_division {
    int64_t items;
    int64_t group; /* items per group; the last may have fewer */
    int64_t groups;
    int64_t spans;
};

/* The passes over a full group and over the last one: the same if the items divide evenly. Both lay
 * the weight out alike. */
struct spw_conv2d_passes {
    struct spw_dnnl_conv *full, *last;
};

/* What a lane keeps per (geometry, items, direction): `forward`, or the other two. */
struct spw_conv2d_prepared {
    struct spw_conv2d_division division;
    struct spw_conv2d_passes forward, data, weights;
};

/* Workspace: what all threads share, then a part per thread. Offsets in bytes. */
struct spw_conv2d_layout {
    uint64_t w;                       /* the packed weight */
    uint64_t sums, sum_bytes;         /* backward: dW and db of each span */
    uint64_t bias;                    /* within a sum: db after dW */
    uint64_t threads, thread_bytes;   /* what follows is within a thread's part */
    uint64_t x, y, y_for_weights, dx; /* packed tensors of a group */
    uint64_t group_sum;               /* backward: dW and db of a group */
    uint64_t scratch;                 /* the library's */
};

int64_t spw_conv2d_weight_elements(const struct spw_op_desc *desc);

enum spw_status spw_conv2d_workspace(const struct spw_op_desc *desc, int64_t items,
                                     enum spw_pass pass, uint32_t threads, struct spw_error *error,
                                     uint64_t *bytes);
enum spw_status spw_conv2d_prepare(struct spw_lane *lane, const struct spw_op_desc *desc,
                                   int64_t items, enum spw_pass pass, struct spw_error *error);

/* What was prepared for the call, and its workspace's layout. */
const struct spw_conv2d_prepared *spw_conv2d_find(struct spw_lane *lane,
                                                  const struct spw_call *call, enum spw_pass pass,
                                                  struct spw_conv2d_layout *layout);

#endif
