/* reference_double.c — the plain loops of every op once more, in double: for finite differences and
 * as the yardstick of what fp32 may lose. */
#include "conformance.h"

#include "base/philox.h"

#include <math.h>

#define REAL double
#define REAL_FUNCTION(name) name
#define REFERENCE(name) double_##name

#include "kernels/host/reference_common.inc"
#include "kernels/host/reference_elementwise.inc"
#include "kernels/host/reference_linear.inc"
#include "kernels/host/reference_loss.inc"
#include "kernels/host/reference_pool.inc"
#include "kernels/host/reference_tokens.inc"

#define ROW(NAME, lower) [SPW_OP_##NAME] = {double_##lower##_forward, double_##lower##_backward}

static void (*const functions[SPW_OP_COUNT][2])(const struct spw_call *call) = {
    ROW(LINEAR, linear),
    ROW(CONV2D, conv2d),
    ROW(MAXPOOL2D, maxpool2d),
    ROW(AVGPOOL2D, avgpool2d),
    ROW(FLATTEN, flatten),
    ROW(RELU, relu),
    ROW(GELU, gelu),
    ROW(GELU_TANH, gelu_tanh),
    ROW(SILU, silu),
    ROW(LAYERNORM, layernorm),
    ROW(EMBEDDING, embedding),
    ROW(POSITION, position),
    ROW(ATTENTION, attention),
    ROW(ADD, add),
    ROW(DROPOUT, dropout),
    ROW(SOFTMAX_XENT, softmax_xent),
    ROW(LINEAR_XENT, linear_xent),
    ROW(COPY, copy),
};

void conformance_reference_double(const struct spw_call *call, enum spw_pass pass)
{
    functions[call->desc->op][pass == SPW_FORWARD ? 0 : 1](call);
}
