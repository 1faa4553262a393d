/* op_cost.c — how much arithmetic and memory traffic an op takes.
 *
 * Flops of matrix products and convolutions are exact (2 m n k, without the bias); backward counts
 * the gradients of the input and of the weight. Attention counts the causal half of each product,
 * and its backward the repeated one too. Element-wise ops count the operations of their formula, an
 * exponential as four. Bytes: each operand of the pass once. Both saturate rather than wrap. Tested
 * by tests/kernels/test_op.c. */
#include "base/assert.h"
#include "kernels/op.h"

static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t elements(const struct spw_shape *shape)
{
    return (uint64_t)spw_shape_elements(shape);
}

/* Per element of the input, for the ops whose cost is that simple. */
struct per_element {
    uint8_t forward, backward;
};
static const struct per_element per_element[SPW_OP_COUNT] = {
    [SPW_OP_RELU] = {1, 1},  [SPW_OP_GELU] = {12, 18},     [SPW_OP_GELU_TANH] = {14, 20},
    [SPW_OP_SILU] = {7, 10}, [SPW_OP_LAYERNORM] = {8, 13}, [SPW_OP_POSITION] = {1, 1},
    [SPW_OP_ADD] = {2, 1},   [SPW_OP_DROPOUT] = {1, 1},    [SPW_OP_SOFTMAX_XENT] = {7, 9},
};

static uint64_t item_flops(const struct spw_op_desc *desc, bool backward)
{
    uint64_t in = elements(&desc->in), out = elements(&desc->out);
    uint64_t passes = backward ? 2 : 1;
    switch (desc->op) {
    case SPW_OP_LINEAR:
        return times(2 * passes, times(in, (uint64_t)desc->attr.linear.out));
    case SPW_OP_LINEAR_XENT: { /* backward computes the logits again */
        uint64_t logits =
            times((uint64_t)spw_shape_rows(&desc->in), (uint64_t)desc->attr.linear.out);
        uint64_t product = times(2, times(in, (uint64_t)desc->attr.linear.out));
        return plus(times(backward ? 3 : 1, product), times(backward ? 9 : 7, logits));
    }
    case SPW_OP_CONV2D: {
        uint64_t kernel = (uint64_t)desc->attr.conv2d.kernel;
        uint64_t window = times((uint64_t)desc->in.dim[0], times(kernel, kernel));
        return times(2 * passes, times(out, window));
    }
    case SPW_OP_MAXPOOL2D:
    case SPW_OP_AVGPOOL2D: {
        uint64_t kernel = (uint64_t)desc->attr.pool.kernel;
        return times(out, times(kernel, kernel));
    }
    case SPW_OP_ATTENTION: { /* 2 products of T (T + 1) / 2 entries forward, 5 backward */
        uint64_t product = times(out, (uint64_t)desc->in.dim[0] + 1);
        return times(backward ? 5 : 2, product);
    }
    case SPW_OP_EMBEDDING: /* rows are copied, and gradients added */
        return backward ? out : 0;
    default:
        return times(backward ? per_element[desc->op].backward : per_element[desc->op].forward, in);
    }
}

/* Of a table, only the rows that the tokens or positions name. */
static uint64_t parameter_elements(const struct spw_op_desc *desc, uint64_t items)
{
    if (desc->op == SPW_OP_EMBEDDING) {
        return times(items, elements(&desc->out));
    }
    if (desc->op == SPW_OP_POSITION) {
        return elements(&desc->out);
    }
    uint64_t sum = 0;
    for (int i = 0; i < spw_op_params(desc); i++) {
        struct spw_shape shape = spw_op_param_shape(desc, i);
        sum = plus(sum, elements(&shape));
    }
    return sum;
}

/* x, w and y forward; what backward needs, dy, dx and dw backward. */
static uint64_t touched_elements(const struct spw_op_desc *desc, uint64_t items, bool backward)
{
    uint64_t in = elements(&desc->in), w = parameter_elements(desc, items);
    uint64_t out = spw_op_is_loss(desc->op) ? 0 : elements(&desc->out);
    uint64_t saved = spw_op_saved_bytes(desc, 1) / sizeof(float);
    uint64_t inputs = (uint64_t)spw_op_inputs(desc->op);
    uint64_t targets = spw_op_is_loss(desc->op) ? (uint64_t)spw_shape_rows(&desc->in) : 0;
    if (!backward) {
        uint64_t per_item = plus(times(inputs, in), plus(out, plus(saved, targets)));
        return plus(times(items, per_item), w);
    }
    uint32_t needs = spw_op_needs(desc);
    uint64_t per_item = plus(out, targets);
    per_item = plus(per_item, desc->op == SPW_OP_EMBEDDING ? 0 : times(inputs, in));
    per_item = plus(per_item, (needs & SPW_NEEDS_X0) != 0 ? in : 0);
    per_item = plus(per_item, (needs & SPW_NEEDS_X1) != 0 ? in : 0);
    per_item = plus(per_item, (needs & SPW_NEEDS_Y) != 0 ? out : 0);
    per_item = plus(per_item, (needs & SPW_NEEDS_SAVED) != 0 ? saved : 0);
    return plus(times(items, per_item), times((needs & SPW_NEEDS_W) != 0 ? 2 : 1, w));
}

struct spw_cost spw_op_cost(const struct spw_op_desc *desc, int64_t items, enum spw_pass pass)
{
    SPW_ASSERT(items > 0);
    bool backward = pass == SPW_BACKWARD;
    return (struct spw_cost){
        .flops = times((uint64_t)items, item_flops(desc, backward)),
        .bytes = times(sizeof(float), touched_elements(desc, (uint64_t)items, backward)),
    };
}
