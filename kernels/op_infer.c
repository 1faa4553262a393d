/* op_infer.c — the shape of an op's output and parameters, and what is wrong if there is none.
 *
 * The texts name sizes only; the caller adds which layer it is. Every size that passes here fits:
 * no tensor of one item and no parameter has more than 2^40 elements, so that later products with
 * small factors can't overflow. Tested by tests/kernels/test_op.c. */
#include "base/assert.h"
#include "base/text.h"
#include "kernels/op.h"

#include <math.h>
#include <stdio.h>

#define ELEMENTS_MAX (INT64_C(1) << 40)

/* "3 x 32 x 32", for messages. */
struct shape_text {
    char text[96];
};

static struct shape_text shape_text(const struct spw_shape *shape)
{
    struct shape_text out = {"a single number"};
    int used = 0;
    for (int64_t i = 0; i < shape->rank && used < (int)sizeof out.text; i++) {
        used += snprintf(out.text + used, sizeof out.text - (size_t)used, "%s%lld",
                         i == 0 ? "" : " x ", (long long)shape->dim[i]);
    }
    return out;
}

static enum spw_status check_size(const struct spw_shape *shape, const char *what,
                                  struct spw_error *error)
{
    int64_t elements = 1;
    for (int64_t i = 0; i < shape->rank; i++) {
        if (shape->dim[i] <= 0) {
            return SPW_FAIL(error, SPW_ERR_USAGE, "%s of %s: every size must be at least 1", what,
                            shape_text(shape).text);
        }
        if (shape->dim[i] > ELEMENTS_MAX / elements) {
            return SPW_FAIL(error, SPW_ERR_USAGE, "%s of %s is too large: over 2^40 numbers", what,
                            shape_text(shape).text);
        }
        elements *= shape->dim[i];
    }
    return SPW_OK;
}

static enum spw_status check_input(const struct spw_op_desc *desc, struct spw_error *error)
{
    if (desc->in.rank < 1 || desc->in.rank > SPW_RANK_MAX) {
        return SPW_FAIL(error, SPW_ERR_USAGE, "the input must have 1 to %d dimensions, not %lld",
                        SPW_RANK_MAX, (long long)desc->in.rank);
    }
    return check_size(&desc->in, "an input", error);
}

static enum spw_status want_rank(const struct spw_op_desc *desc, int64_t rank, const char *as,
                                 struct spw_error *error)
{
    if (desc->in.rank == rank) {
        return SPW_OK;
    }
    return SPW_FAIL(error, SPW_ERR_USAGE, "the input must be %s, but it is %s", as,
                    shape_text(&desc->in).text);
}

static enum spw_status want_positive(int64_t value, const char *name, struct spw_error *error)
{
    if (value > 0) {
        return SPW_OK;
    }
    return SPW_FAIL(error, SPW_ERR_USAGE, "%s must be at least 1, not %lld", name,
                    (long long)value);
}

static enum spw_status want_probability(double value, const char *name, struct spw_error *error)
{
    if (value >= 0 && value < 1) {
        return SPW_OK;
    }
    return SPW_FAIL(error, SPW_ERR_USAGE, "%s must be at least 0 and below 1, not %g", name, value);
}

static int64_t last_of(const struct spw_shape *shape)
{
    return shape->dim[shape->rank - 1];
}

static enum spw_status infer_linear(struct spw_op_desc *desc, struct spw_error *error)
{
    SPW_TRY(want_positive(desc->attr.linear.out, "the number of outputs", error));
    if (last_of(&desc->in) != desc->attr.linear.in) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "the input's last dimension is %lld, but the weight takes %lld (input %s)",
                        (long long)last_of(&desc->in), (long long)desc->attr.linear.in,
                        shape_text(&desc->in).text);
    }
    desc->out = desc->in;
    desc->out.dim[desc->out.rank - 1] = desc->attr.linear.out;
    return SPW_OK;
}

/* Outputs along one axis: windows of `kernel` every `stride` over `size` and the padding. */
static int64_t windows(int64_t size, int64_t kernel, int64_t stride, int64_t padding)
{
    return (size + 2 * padding - kernel) / stride + 1;
}

static enum spw_status infer_windows(struct spw_op_desc *desc, int64_t channels, int64_t kernel,
                                     int64_t stride, int64_t padding, struct spw_error *error)
{
    SPW_TRY(want_rank(desc, 3, "channels x height x width", error));
    SPW_TRY(want_positive(kernel, "the kernel", error));
    SPW_TRY(want_positive(stride, "the stride", error));
    if (padding < 0 || padding > ELEMENTS_MAX) {
        return SPW_FAIL(error, SPW_ERR_USAGE, "the padding must be from 0 to 2^40, not %lld",
                        (long long)padding);
    }
    int64_t height = desc->in.dim[1], width = desc->in.dim[2];
    int64_t smaller = height < width ? height : width;
    if (kernel > smaller + 2 * padding) {
        char with_padding[64] = "";
        if (padding > 0) {
            snprintf(with_padding, sizeof with_padding, " with padding %lld", (long long)padding);
        }
        return SPW_FAIL(error, SPW_ERR_USAGE, "kernel %lld is larger than the input, %lld x %lld%s",
                        (long long)kernel, (long long)height, (long long)width, with_padding);
    }
    desc->out = (struct spw_shape){.rank = 3,
                                   .dim = {channels, windows(height, kernel, stride, padding),
                                           windows(width, kernel, stride, padding)}};
    return SPW_OK;
}

static enum spw_status infer_conv2d(struct spw_op_desc *desc, struct spw_error *error)
{
    SPW_TRY(infer_windows(desc, desc->attr.conv2d.out, desc->attr.conv2d.kernel,
                          desc->attr.conv2d.stride, desc->attr.conv2d.padding, error));
    return want_positive(desc->attr.conv2d.out, "the number of output channels", error);
}

static enum spw_status infer_pool(struct spw_op_desc *desc, struct spw_error *error)
{
    SPW_TRY(want_rank(desc, 3, "channels x height x width", error));
    return infer_windows(desc, desc->in.dim[0], desc->attr.pool.kernel, desc->attr.pool.stride, 0,
                         error);
}

static enum spw_status infer_flatten(struct spw_op_desc *desc, struct spw_error *error)
{
    (void)error;
    desc->out = (struct spw_shape){.rank = 1, .dim = {spw_shape_elements(&desc->in)}};
    return SPW_OK;
}

static enum spw_status infer_same(struct spw_op_desc *desc, struct spw_error *error)
{
    (void)error;
    desc->out = desc->in;
    return SPW_OK;
}

static enum spw_status infer_layernorm(struct spw_op_desc *desc, struct spw_error *error)
{
    if (!(desc->attr.layernorm.eps >= 0) || isinf(desc->attr.layernorm.eps)) {
        return SPW_FAIL(error, SPW_ERR_USAGE, "eps must be a number of at least 0, not %g",
                        desc->attr.layernorm.eps);
    }
    return infer_same(desc, error);
}

static enum spw_status infer_embedding(struct spw_op_desc *desc, struct spw_error *error)
{
    int64_t vocabulary = desc->attr.embedding.vocabulary;
    SPW_TRY(want_rank(desc, 1, "a sequence of tokens", error));
    SPW_TRY(want_positive(vocabulary, "the vocabulary", error));
    SPW_TRY(want_positive(desc->attr.embedding.width, "the width", error));
    if (vocabulary > INT32_MAX) {
        return SPW_FAIL(error, SPW_ERR_USAGE, "a vocabulary of %lld: tokens have 31 bits",
                        (long long)vocabulary);
    }
    desc->out = (struct spw_shape){.rank = 2, .dim = {desc->in.dim[0], desc->attr.embedding.width}};
    return SPW_OK;
}

static enum spw_status infer_position(struct spw_op_desc *desc, struct spw_error *error)
{
    SPW_TRY(want_rank(desc, 2, "sequence x width", error));
    SPW_TRY(want_positive(desc->attr.position.positions, "the number of positions", error));
    if (desc->in.dim[0] > desc->attr.position.positions) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "a sequence of %lld is longer than the %lld positions",
                        (long long)desc->in.dim[0], (long long)desc->attr.position.positions);
    }
    return infer_same(desc, error);
}

static enum spw_status infer_attention(struct spw_op_desc *desc, struct spw_error *error)
{
    int64_t heads = desc->attr.attention.heads;
    SPW_TRY(want_rank(desc, 2, "sequence x (3 * width)", error));
    SPW_TRY(want_positive(heads, "the number of heads", error));
    SPW_TRY(want_probability(desc->attr.attention.dropout, "dropout", error));
    if (desc->in.dim[1] % 3 != 0) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "the input's last dimension is %lld, not query, key and value side by side",
                        (long long)desc->in.dim[1]);
    }
    int64_t width = desc->in.dim[1] / 3;
    if (width % heads != 0) {
        return SPW_FAIL(error, SPW_ERR_USAGE, "a width of %lld does not divide into %lld heads",
                        (long long)width, (long long)heads);
    }
    desc->out = (struct spw_shape){.rank = 2, .dim = {desc->in.dim[0], width}};
    return SPW_OK;
}

static enum spw_status infer_add(struct spw_op_desc *desc, struct spw_error *error)
{
    if (!isfinite(desc->attr.add.alpha)) {
        return SPW_FAIL(error, SPW_ERR_USAGE, "alpha must be a finite number");
    }
    return infer_same(desc, error);
}

static enum spw_status infer_dropout(struct spw_op_desc *desc, struct spw_error *error)
{
    SPW_TRY(want_probability(desc->attr.dropout.p, "p", error));
    return infer_same(desc, error);
}

static enum spw_status infer_loss(struct spw_op_desc *desc, int64_t classes,
                                  struct spw_error *error)
{
    if (classes > INT32_MAX) {
        return SPW_FAIL(error, SPW_ERR_USAGE, "%lld classes: targets have 31 bits",
                        (long long)classes);
    }
    desc->out = (struct spw_shape){.rank = 0};
    return SPW_OK;
}

static enum spw_status infer_softmax_xent(struct spw_op_desc *desc, struct spw_error *error)
{
    return infer_loss(desc, last_of(&desc->in), error);
}

static enum spw_status infer_linear_xent(struct spw_op_desc *desc, struct spw_error *error)
{
    if (desc->attr.linear.bias) {
        return SPW_FAIL(error, SPW_ERR_USAGE, "a linear layer fused with its loss has no bias");
    }
    SPW_TRY(infer_linear(desc, error));
    return infer_loss(desc, desc->attr.linear.out, error);
}

static enum spw_status (*const infer_functions[])(struct spw_op_desc *, struct spw_error *) = {
    [SPW_OP_LINEAR] = infer_linear,
    [SPW_OP_CONV2D] = infer_conv2d,
    [SPW_OP_MAXPOOL2D] = infer_pool,
    [SPW_OP_AVGPOOL2D] = infer_pool,
    [SPW_OP_FLATTEN] = infer_flatten,
    [SPW_OP_RELU] = infer_same,
    [SPW_OP_GELU] = infer_same,
    [SPW_OP_GELU_TANH] = infer_same,
    [SPW_OP_SILU] = infer_same,
    [SPW_OP_LAYERNORM] = infer_layernorm,
    [SPW_OP_EMBEDDING] = infer_embedding,
    [SPW_OP_POSITION] = infer_position,
    [SPW_OP_ATTENTION] = infer_attention,
    [SPW_OP_ADD] = infer_add,
    [SPW_OP_DROPOUT] = infer_dropout,
    [SPW_OP_SOFTMAX_XENT] = infer_softmax_xent,
    [SPW_OP_LINEAR_XENT] = infer_linear_xent,
    [SPW_OP_COPY] = infer_same,
};
_Static_assert(sizeof infer_functions / sizeof infer_functions[0] == SPW_OP_COUNT,
               "one row per op");

enum spw_status spw_op_infer(struct spw_op_desc *desc, struct spw_error *error)
{
    SPW_ASSERT((unsigned)desc->op < SPW_OP_COUNT);
    SPW_TRY(check_input(desc, error));
    SPW_TRY(infer_functions[desc->op](desc, error));
    SPW_TRY(check_size(&desc->out, "an output", error));
    for (int i = 0; i < spw_op_params(desc); i++) {
        struct spw_shape shape = spw_op_param_shape(desc, i);
        SPW_TRY(check_size(&shape, "a parameter", error));
    }
    return SPW_OK;
}

static struct spw_shape matrix(int64_t rows, int64_t columns)
{
    return (struct spw_shape){.rank = 2, .dim = {rows, columns}};
}

struct spw_shape spw_op_param_shape(const struct spw_op_desc *desc, int index)
{
    SPW_ASSERT(index >= 0 && index < spw_op_params(desc));
    int64_t kernel = desc->attr.conv2d.kernel;
    switch (desc->op) {
    case SPW_OP_LINEAR:
    case SPW_OP_LINEAR_XENT:
        if (index == 1) {
            return (struct spw_shape){.rank = 1, .dim = {desc->attr.linear.out}};
        }
        return desc->attr.linear.conv1d ? matrix(desc->attr.linear.in, desc->attr.linear.out)
                                        : matrix(desc->attr.linear.out, desc->attr.linear.in);
    case SPW_OP_CONV2D:
        if (index == 1) {
            return (struct spw_shape){.rank = 1, .dim = {desc->attr.conv2d.out}};
        }
        return (struct spw_shape){.rank = 4,
                                  .dim = {desc->attr.conv2d.out, desc->in.dim[0], kernel, kernel}};
    case SPW_OP_LAYERNORM:
        return (struct spw_shape){.rank = 1, .dim = {last_of(&desc->in)}};
    case SPW_OP_EMBEDDING:
        return matrix(desc->attr.embedding.vocabulary, desc->attr.embedding.width);
    case SPW_OP_POSITION:
        return matrix(desc->attr.position.positions, desc->in.dim[1]);
    default: /* has no parameters: the assertion above has failed */
        return (struct spw_shape){0};
    }
}
