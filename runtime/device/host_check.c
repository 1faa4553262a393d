/* host_check.c — diagnosis of a bad number: is what this forward call wrote finite?
 *
 * Run when a loss was not finite, over the same micro-batch again, op by op; so the first call that
 * fails here is where it began, or reads weights that were bad before. Reads every output once,
 * which is slow, and is off otherwise. Bad gradients are found by their norms: step.c.
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

bool spw_host_check_finite(const struct spw_call *call)
{
    /* A copy is no node of the graph, and what it moves may be tokens. */
    if (call->desc->op == SPW_OP_COPY) {
        return true;
    }
    if (spw_op_is_loss(call->desc->op)) {
        return call->loss == NULL || isfinite(call->loss->sum);
    }
    return all_finite(call->y, &call->desc->out, call->items);
}
