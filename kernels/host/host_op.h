/* host_op.h — the fast host path of one op, as the table in kernels/op.c knows it. Internal to the
 * kernels box. */
#ifndef SPW_KERNELS_HOST_OP_H
#define SPW_KERNELS_HOST_OP_H

#include "kernels/lane.h"

struct spw_host_op {
    /* Bytes of scratch memory; NULL: none. */
    enum spw_status (*workspace)(const struct spw_op_desc *desc, int64_t items, enum spw_pass pass,
                                 uint32_t threads, struct spw_error *error, uint64_t *bytes);
    /* Makes library primitives; NULL: nothing to prepare. */
    enum spw_status (*prepare)(struct spw_lane *lane, const struct spw_op_desc *desc, int64_t items,
                               enum spw_pass pass, struct spw_error *error);
    enum spw_status (*forward)(struct spw_lane *lane, const struct spw_call *call,
                               struct spw_error *error);
    enum spw_status (*backward)(struct spw_lane *lane, const struct spw_call *call,
                                struct spw_error *error);
};

extern const struct spw_host_op spw_host_linear, spw_host_conv2d, spw_host_maxpool2d,
    spw_host_avgpool2d, spw_host_flatten, spw_host_relu, spw_host_gelu, spw_host_gelu_tanh,
    spw_host_silu, spw_host_layernorm, spw_host_embedding, spw_host_position, spw_host_attention,
    spw_host_add, spw_host_dropout, spw_host_softmax_xent, spw_host_linear_xent, spw_host_copy;

/* The row's entry. */
const struct spw_host_op *spw_op_host(enum spw_op op);

/* The lane's tile pool; NULL means one thread. */
struct spw_pool *spw_lane_pool(struct spw_lane *lane);

#endif
