/* conformance_cases.c — the shapes that every op is tried on: odd sizes, sizes about the borders of
 * vectors and blocks, and a few large enough to be cut into tiles. */
#include "conformance.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

/* Digits of a case's index: each call takes one off, in [0, base). */
static int64_t digit(int64_t *index, int64_t base)
{
    const int64_t value = *index % base;
    *index /= base;
    return value;
}

static const int64_t odd_sizes[] = {1, 3, 5, 17, 33, 65};

static int64_t odd(int64_t *index)
{
    return odd_sizes[digit(index, COUNT_OF(odd_sizes))];
}

static struct spw_shape vector_shape(int64_t a)
{
    return (struct spw_shape){.rank = 1, .dim = {a}};
}

static struct spw_shape matrix_shape(int64_t a, int64_t b)
{
    return (struct spw_shape){.rank = 2, .dim = {a, b}};
}

static struct spw_shape cube_shape(int64_t a, int64_t b, int64_t c)
{
    return (struct spw_shape){.rank = 3, .dim = {a, b, c}};
}

/* A shape of rank 1, 2 or 3 whose last dimension is `last`. */
static struct spw_shape shape_ending(int64_t rank, int64_t last)
{
    return rank == 1   ? vector_shape(last)
           : rank == 2 ? matrix_shape(3, last)
                       : cube_shape(2, 5, last);
}

/* Each of these fills `c` for `index`, and leaves a rest in *index if it was past the last case. */

static void linear_case(struct conformance_case *c, int64_t *index)
{
    static const int64_t large[][3] = {{784, 512, 32}, {33, 1000, 200}, {300, 65, 129}};
    const int64_t pairs = COUNT_OF(odd_sizes) * COUNT_OF(odd_sizes);
    int64_t form = *index;
    c->desc.attr.linear.bias = digit(&form, 2) != 0;
    c->desc.attr.linear.conv1d = digit(&form, 2) != 0;
    if (*index < 4 * COUNT_OF(large)) {
        const int64_t *sizes = large[*index / 4];
        c->desc.attr.linear.in = sizes[0];
        c->desc.attr.linear.out = sizes[1];
        c->items = sizes[2];
        c->desc.in = vector_shape(sizes[0]);
        *index = 0;
        return;
    }
    *index -= 4 * COUNT_OF(large);
    int64_t rest = *index;
    c->desc.attr.linear.in = odd(&rest);
    c->desc.attr.linear.out = odd(&rest);
    c->desc.in = shape_ending(1 + *index % 3, c->desc.attr.linear.in);
    c->items = 1 + *index % 5;
    *index /= 2 * pairs;
}

static void conv2d_case(struct conformance_case *c, int64_t *index)
{
    static const int64_t sizes[][2] = {{1, 1}, {5, 7}, {17, 17}, {9, 33}};
    static const int64_t kernels[] = {1, 2, 3, 5};
    static const int64_t channels[][2] = {{1, 3}, {3, 5}, {17, 1}, {16, 33}};
    const int64_t *size = sizes[digit(index, COUNT_OF(sizes))];
    c->desc.attr.conv2d.kernel = kernels[digit(index, COUNT_OF(kernels))];
    c->desc.attr.conv2d.stride = 1 + digit(index, 3);
    c->desc.attr.conv2d.padding = digit(index, 3);
    /* Channels, bias and items go round with the rest. */
    const int64_t turn = size[0] + c->desc.attr.conv2d.kernel + c->desc.attr.conv2d.stride +
                         c->desc.attr.conv2d.padding;
    const int64_t *in_out = channels[turn % COUNT_OF(channels)];
    c->desc.in = cube_shape(in_out[0], size[0], size[1]);
    c->desc.attr.conv2d.out = in_out[1];
    c->desc.attr.conv2d.bias = turn % 2 == 0;
    c->items = 1 + turn % 3;
}

static void pool_case(struct conformance_case *c, int64_t *index)
{
    static const int64_t sizes[][2] = {{1, 1}, {5, 7}, {17, 17}, {8, 33}, {40, 12}};
    const int64_t *size = sizes[digit(index, COUNT_OF(sizes))];
    c->desc.attr.pool.kernel = 1 + digit(index, 3);
    c->desc.attr.pool.stride = 1 + digit(index, 3);
    const int64_t turn = size[0] + c->desc.attr.pool.kernel + c->desc.attr.pool.stride;
    c->desc.in = cube_shape(odd_sizes[turn % 4], size[0], size[1]);
    c->items = 1 + turn % 3;
}

/* Shapes for ops that don't care about them. */
static void any_case(struct conformance_case *c, int64_t *index)
{
    static const struct spw_shape shapes[] = {
        {.rank = 1, .dim = {1}},          {.rank = 1, .dim = {17}},
        {.rank = 1, .dim = {20011}},      {.rank = 2, .dim = {3, 65}},
        {.rank = 2, .dim = {128, 130}},   {.rank = 3, .dim = {5, 33, 3}},
        {.rank = 4, .dim = {3, 1, 5, 7}},
    };
    c->desc.in = shapes[digit(index, COUNT_OF(shapes))];
    c->items = 1 + 2 * digit(index, 2);
}

static void layernorm_case(struct conformance_case *c, int64_t *index)
{
    static const int64_t widths[] = {1, 3, 17, 31, 33, 64, 65, 768, 1001};
    const int64_t rank = 1 + digit(index, 3);
    c->desc.in = shape_ending(rank, widths[digit(index, COUNT_OF(widths))]);
    c->items = digit(index, 2) == 0 ? rank : 150;
    c->desc.attr.layernorm.eps = 1e-5;
}

static void embedding_case(struct conformance_case *c, int64_t *index)
{
    static const int64_t widths[] = {1, 17, 65, 300};
    static const int64_t tokens[] = {1, 5, 33, 64};
    c->desc.attr.embedding.vocabulary = digit(index, 2) == 0 ? 7 : 5003;
    c->desc.attr.embedding.width = widths[digit(index, COUNT_OF(widths))];
    c->desc.in = vector_shape(tokens[digit(index, COUNT_OF(tokens))]);
    c->items = 1 + c->desc.in.dim[0] % 3;
}

static void position_case(struct conformance_case *c, int64_t *index)
{
    const int64_t tokens = odd(index);
    c->desc.attr.position.positions = tokens + 4 * digit(index, 2);
    c->desc.in = matrix_shape(tokens, digit(index, 2) == 0 ? 5 : 300);
    c->items = 1 + 3 * digit(index, 2);
}

/* Every length up to two blocks, then a few longer ones; heads and their sizes go round. */
static void attention_case(struct conformance_case *c, int64_t *index)
{
    static const int64_t sizes[] = {1, 3, 8, 16, 17, 33, 64, 80};
    static const int64_t lengths[] = {80, 127, 128, 129, 200, 257};
    const int64_t turn = digit(index, 65 + COUNT_OF(lengths));
    const int64_t tokens = turn < 65 ? turn + 1 : lengths[turn - 65];
    const int64_t size = sizes[turn % COUNT_OF(sizes)];
    c->desc.attr.attention.heads = 1 + turn % 3;
    c->desc.in = matrix_shape(tokens, 3 * size * c->desc.attr.attention.heads);
    c->items = 1 + turn % 2;
    c->desc.attr.attention.key = 0x1234567890abcdefu;
    if (digit(index, 2) != 0) {
        c->desc.attr.attention.dropout = 0.25;
        c->flags = SPW_CALL_TRAINING;
    }
}

static void add_case(struct conformance_case *c, int64_t *index)
{
    any_case(c, index);
    static const float alphas[] = {1.0f, -0.3f};
    c->desc.attr.add.alpha = alphas[digit(index, COUNT_OF(alphas))];
}

static void dropout_case(struct conformance_case *c, int64_t *index)
{
    static const double rates[] = {0, 0.1, 0.5, 0.999};
    any_case(c, index);
    c->desc.attr.dropout.p = rates[digit(index, COUNT_OF(rates))];
    c->desc.attr.dropout.key = 0xfedcba0987654321u;
    c->flags = digit(index, 2) == 0 ? SPW_CALL_TRAINING : 0;
}

static void softmax_xent_case(struct conformance_case *c, int64_t *index)
{
    static const int64_t classes[] = {1, 3, 7, 17, 33, 65, 1000, 5003};
    const int64_t rank = 1 + digit(index, 3);
    c->desc.in = shape_ending(rank, classes[digit(index, COUNT_OF(classes))]);
    c->items = 1 + 4 * digit(index, 2);
}

static void linear_xent_case(struct conformance_case *c, int64_t *index)
{
    static const int64_t widths[] = {1, 17, 64};
    static const int64_t classes[] = {1, 7, 65, 1000, 5003};
    c->desc.attr.linear.conv1d = digit(index, 2) != 0;
    c->desc.attr.linear.in = widths[digit(index, COUNT_OF(widths))];
    c->desc.attr.linear.out = classes[digit(index, COUNT_OF(classes))];
    const int64_t rank = 1 + digit(index, 2);
    c->desc.in = shape_ending(rank, c->desc.attr.linear.in);
    c->items = c->desc.attr.linear.out < 1000 ? 33 : 2;
}

static void (*const generators[])(struct conformance_case *c, int64_t *index) = {
    [SPW_OP_LINEAR] = linear_case,
    [SPW_OP_CONV2D] = conv2d_case,
    [SPW_OP_MAXPOOL2D] = pool_case,
    [SPW_OP_AVGPOOL2D] = pool_case,
    [SPW_OP_FLATTEN] = any_case,
    [SPW_OP_RELU] = any_case,
    [SPW_OP_GELU] = any_case,
    [SPW_OP_GELU_TANH] = any_case,
    [SPW_OP_SILU] = any_case,
    [SPW_OP_LAYERNORM] = layernorm_case,
    [SPW_OP_EMBEDDING] = embedding_case,
    [SPW_OP_POSITION] = position_case,
    [SPW_OP_ATTENTION] = attention_case,
    [SPW_OP_ADD] = add_case,
    [SPW_OP_DROPOUT] = dropout_case,
    [SPW_OP_SOFTMAX_XENT] = softmax_xent_case,
    [SPW_OP_LINEAR_XENT] = linear_xent_case,
    [SPW_OP_COPY] = any_case,
};
_Static_assert(sizeof(generators) / sizeof(generators[0]) == SPW_OP_COUNT, "every op has cases");

bool conformance_case(enum spw_op op, int index, struct conformance_case *out)
{
    /* Combinations that no shape can have, such as a kernel over the input, are passed over. */
    int64_t left = index;
    for (int64_t at = 0;; at++) {
        struct conformance_case c;
        memset(&c, 0, sizeof(c));
        c.desc.op = op;
        int64_t rest = at;
        generators[op](&c, &rest);
        if (rest > 0) {
            return false;
        }
        if (spw_op_infer(&c.desc, NULL) == SPW_OK && left-- == 0) {
            *out = c;
            return true;
        }
    }
}

static int print_shape(char *text, size_t bytes, const struct spw_shape *shape)
{
    int used = 0;
    for (int64_t i = 0; i < shape->rank && used < (int)bytes; i++) {
        used += snprintf(text + used, bytes - (size_t)used, "%s%lld", i == 0 ? "" : " x ",
                         (long long)shape->dim[i]);
    }
    return used;
}

const char *conformance_text(const struct conformance_case *c, char text[160])
{
    int used = snprintf(text, 160, "%s ", spw_op_name(c->desc.op));
    used += print_shape(text + used, 160 - (size_t)used, &c->desc.in);
    used += snprintf(text + used, 160 - (size_t)used, " -> ");
    used += print_shape(text + used, 160 - (size_t)used, &c->desc.out);
    (void)snprintf(text + used, 160 - (size_t)used, ", %lld items", (long long)c->items);
    return text;
}
