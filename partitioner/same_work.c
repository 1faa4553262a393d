/* same_work.c — compares op descriptions. Tested by tests/partitioner/test_estimate.c. */
#include "partitioner/same_work.h"

static bool same_shape(const struct spw_shape *a, const struct spw_shape *b)
{
    bool same = a->rank == b->rank;
    for (int64_t i = 0; same && i < a->rank; i++) {
        same = a->dim[i] == b->dim[i];
    }
    return same;
}

bool spw_same_work(const struct spw_op_desc *a, const struct spw_op_desc *b)
{
    if (a->op != b->op || !same_shape(&a->in, &b->in) || !same_shape(&a->out, &b->out)) {
        return false;
    }
    switch (a->op) {
    case SPW_OP_LINEAR:
    case SPW_OP_LINEAR_XENT:
        return a->attr.linear.out == b->attr.linear.out && a->attr.linear.in == b->attr.linear.in &&
               a->attr.linear.bias == b->attr.linear.bias &&
               a->attr.linear.conv1d == b->attr.linear.conv1d;
    case SPW_OP_CONV2D:
        return a->attr.conv2d.out == b->attr.conv2d.out &&
               a->attr.conv2d.kernel == b->attr.conv2d.kernel &&
               a->attr.conv2d.stride == b->attr.conv2d.stride &&
               a->attr.conv2d.padding == b->attr.conv2d.padding &&
               a->attr.conv2d.bias == b->attr.conv2d.bias;
    case SPW_OP_MAXPOOL2D:
    case SPW_OP_AVGPOOL2D:
        return a->attr.pool.kernel == b->attr.pool.kernel &&
               a->attr.pool.stride == b->attr.pool.stride;
    case SPW_OP_EMBEDDING:
        return a->attr.embedding.vocabulary == b->attr.embedding.vocabulary &&
               a->attr.embedding.width == b->attr.embedding.width;
    case SPW_OP_ATTENTION:
        return a->attr.attention.heads == b->attr.attention.heads &&
               (a->attr.attention.dropout > 0) == (b->attr.attention.dropout > 0);
    case SPW_OP_DROPOUT:
        return (a->attr.dropout.p > 0) == (b->attr.dropout.p > 0);
    case SPW_OP_FLATTEN:
    case SPW_OP_RELU:
    case SPW_OP_GELU:
    case SPW_OP_GELU_TANH:
    case SPW_OP_SILU:
    case SPW_OP_LAYERNORM:
    case SPW_OP_POSITION:
    case SPW_OP_ADD:
    case SPW_OP_SOFTMAX_XENT:
    case SPW_OP_COPY:
    case SPW_OP_COUNT:
        break;
    }
    return true;
}
