/* host_check.c — diagnosis of a bad number: is what this call wrote finite?
 *
 * Run when a loss was not finite, over the same micro-batch again, instruction by
 * instruction; so the first call that fails here is where it began, or reads weights or activations
 * that were bad before. Reads every output once, which is slow, and is off otherwise.
 * Tested by tests/runtime/test_host_work.c. */
#include "runtime/device/host.h"

#include <math.h>

static bool all_finite(const float *values, const struct spw_shape *shape, int64_t items)
{
    if (values == NULL) {
        return true;
    }
    const uint64_t count = (uint64_t)(spw_shape_elements(shape) * items);
    return spw_first_nonfinite(values, count) == count;
}

static bool forward_finite(const struct spw_call *call)
{
    if (spw_op_is_loss(call->desc->op)) {
        return call->loss == NULL || isfinite(call->loss->sum);
    }
    return all_finite(call->y, &call->desc->out, call->items);
}

static bool backward_finite(const struct spw_call *call)
{
    for (int i = 0; i < spw_op_inputs(call->desc->op); i++) {
        if (!all_finite(call->dx[i], &call->desc->in, call->items)) {
            return false;
        }
    }
    for (int i = 0; i < spw_op_params(call->desc); i++) {
        const struct spw_shape shape = spw_op_param_shape(call->desc, i);
        if (!all_finite(call->dw[i], &shape, 1)) {
            return false;
        }
    }
    /* A loss op's backward pass gives the loss as well. */
    return !spw_op_is_loss(call->desc->op) || call->loss == NULL || isfinite(call->loss->sum);
}

bool spw_host_check_finite(const struct spw_call *call, enum spw_pass pass)
{
    /* A copy is no node of the graph, and what it moves may be tokens. */
    if (call->desc->op == SPW_OP_COPY) {
        return true;
    }
    return pass == SPW_FORWARD ? forward_finite(call) : backward_finite(call);
}
