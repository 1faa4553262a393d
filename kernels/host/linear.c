/* linear.c — the fast path of LINEAR: three matrix products and a column sum.
 *
 * The weight is read and its gradient written as the model holds them, [out, in] or (conv1d)
 * [in, out]; gemm.c picks the form. Tested by tests/kernels/test_linear.c and test_conformance.c.
 */
#include "kernels/host/gemm.h"

/* y = x W^T + b */
static struct spw_gemm forward_product(const struct spw_op_desc *desc, int64_t rows)
{
    return (struct spw_gemm){
        .m = rows,
        .n = desc->attr.linear.out,
        .k = desc->attr.linear.in,
        .transpose_b = !desc->attr.linear.conv1d,
    };
}

/* dx = dy W */
static struct spw_gemm input_product(const struct spw_op_desc *desc, int64_t rows)
{
    return (struct spw_gemm){
        .m = rows,
        .n = desc->attr.linear.in,
        .k = desc->attr.linear.out,
        .transpose_b = desc->attr.linear.conv1d,
    };
}

/* dW = dy^T x, or (conv1d) x^T dy */
static struct spw_gemm weight_product(const struct spw_op_desc *desc, int64_t rows)
{
    bool conv1d = desc->attr.linear.conv1d;
    return (struct spw_gemm){
        .m = conv1d ? desc->attr.linear.in : desc->attr.linear.out,
        .n = conv1d ? desc->attr.linear.out : desc->attr.linear.in,
        .k = rows,
        .transpose_a = true,
    };
}

static enum spw_status linear_workspace(const struct spw_op_desc *desc, int64_t items,
                                        enum spw_pass pass, uint32_t threads,
                                        struct spw_error *error, uint64_t *bytes)
{
    (void)error;
    int64_t rows = items * spw_shape_rows(&desc->in);
    if (pass == SPW_FORWARD) {
        struct spw_gemm product = forward_product(desc, rows);
        *bytes = spw_gemm_workspace_bytes(&product, threads);
    } else { /* one product after the other */
        struct spw_gemm input = input_product(desc, rows);
        struct spw_gemm weight = weight_product(desc, rows);
        uint64_t input_bytes = spw_gemm_workspace_bytes(&input, threads);
        uint64_t weight_bytes = spw_gemm_workspace_bytes(&weight, threads);
        *bytes = input_bytes > weight_bytes ? input_bytes : weight_bytes;
    }
    return SPW_OK;
}

static enum spw_status linear_forward(struct spw_lane *lane, const struct spw_call *call,
                                      struct spw_error *error)
{
    const struct spw_op_desc *desc = call->desc;
    struct spw_gemm product = forward_product(desc, call->items * spw_shape_rows(&desc->in));
    product.a = call->x[0];
    product.b = call->w[0];
    product.bias = desc->attr.linear.bias ? call->w[1] : NULL;
    product.c = call->y;
    return spw_gemm_run(lane, &product, call->workspace, error);
}

static enum spw_status linear_backward(struct spw_lane *lane, const struct spw_call *call,
                                       struct spw_error *error)
{
    const struct spw_op_desc *desc = call->desc;
    int64_t rows = call->items * spw_shape_rows(&desc->in);
    bool accumulate_dw = (call->flags & SPW_CALL_ACCUMULATE_DW) != 0;
    if (call->dx[0] != NULL) {
        struct spw_gemm product = input_product(desc, rows);
        product.a = call->dy;
        product.b = call->w[0];
        product.c = call->dx[0];
        product.accumulate = (call->flags & SPW_CALL_ACCUMULATE_DX0) != 0;
        SPW_TRY(spw_gemm_run(lane, &product, call->workspace, error));
    }
    if (call->dw[0] != NULL) {
        const float *x = call->x[0];
        struct spw_gemm product = weight_product(desc, rows);
        product.a = desc->attr.linear.conv1d ? x : call->dy;
        product.b = desc->attr.linear.conv1d ? call->dy : x;
        product.c = call->dw[0];
        product.accumulate = accumulate_dw;
        SPW_TRY(spw_gemm_run(lane, &product, call->workspace, error));
    }
    if (desc->attr.linear.bias && call->dw[1] != NULL) {
        spw_column_sums(lane, call->dy, rows, desc->attr.linear.out, accumulate_dw, call->dw[1]);
    }
    return SPW_OK;
}

const struct spw_host_op spw_host_linear = {
    .workspace = linear_workspace,
    .prepare = NULL, /* plain products need no preparation */
    .forward = linear_forward,
    .backward = linear_backward,
};
