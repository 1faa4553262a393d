/* arch_common.c — layer descriptions and checks. Tested through tests/models/test_arch.c. */
#include "models/arch_common.h"

#include "base/assert.h"

#include <inttypes.h>

struct spw_op_desc spw_layer_linear(int64_t out, bool bias)
{
    return (struct spw_op_desc){.op = SPW_OP_LINEAR, .attr.linear = {.out = out, .bias = bias}};
}

struct spw_op_desc spw_layer_conv2d(int64_t out, int64_t kernel, int64_t stride, int64_t padding)
{
    return (struct spw_op_desc){
        .op = SPW_OP_CONV2D,
        .attr.conv2d =
            {.out = out, .kernel = kernel, .stride = stride, .padding = padding, .bias = true},
    };
}

struct spw_op_desc spw_layer_activation(enum spw_activation activation)
{
    static const enum spw_op ops[] = {
        [SPW_ACT_RELU] = SPW_OP_RELU,
        [SPW_ACT_GELU] = SPW_OP_GELU,
        [SPW_ACT_GELU_TANH] = SPW_OP_GELU_TANH,
        [SPW_ACT_SILU] = SPW_OP_SILU,
    };
    return (struct spw_op_desc){.op = ops[activation]};
}

struct spw_op_desc spw_layer_dropout(double p)
{
    return (struct spw_op_desc){.op = SPW_OP_DROPOUT, .attr.dropout = {.p = p}};
}

enum spw_status spw_check_sizes(const char *model, const char *setting, const int64_t *values,
                                int64_t count, struct spw_error *error)
{
    SPW_ASSERT(count >= 0);
    SPW_ASSERT(count <= SPW_ARCH_LIST_MAX);
    for (int64_t i = 0; i < count; i++) {
        if (values[i] <= 0) {
            return SPW_FAIL(error, SPW_ERR_USAGE,
                            "model %s: entry %" PRId64 " of %s is %" PRId64
                            "; it must be 1 or more",
                            model, i + 1, setting, values[i]);
        }
    }
    return SPW_OK;
}

enum spw_status spw_check_dropout(const char *model, const char *setting, double p,
                                  struct spw_error *error)
{
    if (!(p >= 0.0 && p < 1.0)) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "model %s: %s is %g; a dropout probability is 0 or more and below 1", model,
                        setting, p);
    }
    return SPW_OK;
}
