/* Tests of kernels/op.c, op_infer.c and op_cost.c: the table, shapes and their refusals, costs. */
#include "kernels/op.h"

#include <criterion/criterion.h>
#include <string.h>

static struct spw_op_desc desc_of(enum spw_op op, int64_t rank, int64_t a, int64_t b, int64_t c)
{
    return (struct spw_op_desc){.op = op, .in = {.rank = rank, .dim = {a, b, c}}};
}

static void infers(struct spw_op_desc *desc, int64_t rank, int64_t a, int64_t b, int64_t c)
{
    struct spw_error error = {0};
    cr_assert(spw_op_infer(desc, &error) == SPW_OK, "%s: %s", spw_op_name(desc->op), error.what);
    const int64_t want[] = {a, b, c};
    cr_assert(desc->out.rank == rank, "%s: rank %lld", spw_op_name(desc->op),
              (long long)desc->out.rank);
    for (int64_t i = 0; i < rank; i++) {
        cr_assert(desc->out.dim[i] == want[i], "%s: dimension %lld is %lld", spw_op_name(desc->op),
                  (long long)i, (long long)desc->out.dim[i]);
    }
}

static void refuses(struct spw_op_desc desc, const char *text)
{
    struct spw_error error = {0};
    cr_assert(spw_op_infer(&desc, &error) == SPW_ERR_USAGE, "%s was taken", spw_op_name(desc.op));
    cr_assert(strstr(error.what, text) != NULL, "'%s' lacks '%s'", error.what, text);
}

Test(op, every_row_has_a_name_of_its_own)
{
    for (enum spw_op op = 0; op < SPW_OP_COUNT; op++) {
        const char *name = spw_op_name(op);
        cr_assert(name != NULL && name[0] != '\0');
        for (enum spw_op other = 0; other < op; other++) {
            cr_assert(strcmp(name, spw_op_name(other)) != 0, "%s twice", name);
        }
        cr_assert(spw_op_inputs(op) >= 1 && spw_op_inputs(op) <= SPW_OP_INPUTS_MAX);
    }
    cr_assert_str_eq(spw_op_name(SPW_OP_GELU_TANH), "gelu_tanh");
    cr_assert(spw_op_name(SPW_OP_COUNT) != NULL);
    cr_assert(spw_op_inputs(SPW_OP_ADD) == 2);
    cr_assert(spw_op_is_loss(SPW_OP_SOFTMAX_XENT) && spw_op_is_loss(SPW_OP_LINEAR_XENT));
    cr_assert(!spw_op_is_loss(SPW_OP_LINEAR));
}

Test(op, infers_linear)
{
    struct spw_op_desc desc = desc_of(SPW_OP_LINEAR, 2, 5, 24, 0);
    desc.attr.linear.in = 24;
    desc.attr.linear.out = 7;
    infers(&desc, 2, 5, 7, 0);
    cr_assert(spw_op_params(&desc) == 1);
    desc.attr.linear.bias = true;
    cr_assert(spw_op_params(&desc) == 2);
    struct spw_shape weight = spw_op_param_shape(&desc, 0), bias = spw_op_param_shape(&desc, 1);
    cr_assert(weight.rank == 2 && weight.dim[0] == 7 && weight.dim[1] == 24);
    cr_assert(bias.rank == 1 && bias.dim[0] == 7);
    desc.attr.linear.conv1d = true;
    weight = spw_op_param_shape(&desc, 0);
    cr_assert(weight.dim[0] == 24 && weight.dim[1] == 7);
    desc.attr.linear.in = 25;
    refuses(desc, "the input's last dimension is 24, but the weight takes 25 (input 5 x 24)");
    desc.attr.linear.in = 24;
    desc.attr.linear.out = 0;
    refuses(desc, "the number of outputs must be at least 1, not 0");
}

Test(op, infers_conv2d)
{
    struct spw_op_desc desc = desc_of(SPW_OP_CONV2D, 3, 3, 28, 20);
    desc.attr.conv2d.out = 16;
    desc.attr.conv2d.kernel = 3;
    desc.attr.conv2d.stride = 2;
    desc.attr.conv2d.padding = 1;
    infers(&desc, 3, 16, 14, 10);
    struct spw_shape weight = spw_op_param_shape(&desc, 0);
    cr_assert(weight.rank == 4 && weight.dim[0] == 16 && weight.dim[1] == 3 && weight.dim[3] == 3);
    cr_assert(spw_op_params(&desc) == 1);
    desc.attr.conv2d.kernel = 23;
    refuses(desc, "kernel 23 is larger than the input, 28 x 20 with padding 1");
    desc.attr.conv2d.kernel = 22;
    infers(&desc, 3, 16, 5, 1);
    desc.attr.conv2d.padding = -1;
    refuses(desc, "the padding must be from 0");
    desc.attr.conv2d.padding = INT64_MAX;
    refuses(desc, "the padding must be from 0");
    desc.attr.conv2d.padding = 0;
    desc.attr.conv2d.stride = 0;
    refuses(desc, "the stride must be at least 1, not 0");
    desc = desc_of(SPW_OP_CONV2D, 1, 784, 0, 0);
    refuses(desc, "the input must be channels x height x width, but it is 784");
}

Test(op, infers_pools)
{
    for (enum spw_op op = SPW_OP_MAXPOOL2D; op <= SPW_OP_AVGPOOL2D; op++) {
        struct spw_op_desc desc = desc_of(op, 3, 8, 7, 9);
        desc.attr.pool.kernel = 3;
        desc.attr.pool.stride = 2;
        infers(&desc, 3, 8, 3, 4);
        desc.attr.pool.kernel = 8;
        refuses(desc, "kernel 8 is larger than the input, 7 x 9");
        refuses(desc_of(op, 2, 7, 9, 0), "channels x height x width");
    }
}

Test(op, infers_what_keeps_the_shape)
{
    static const enum spw_op ops[] = {SPW_OP_RELU, SPW_OP_GELU,   SPW_OP_GELU_TANH,
                                      SPW_OP_SILU, SPW_OP_ADD,    SPW_OP_LAYERNORM,
                                      SPW_OP_COPY, SPW_OP_DROPOUT};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        struct spw_op_desc desc = desc_of(ops[i], 3, 2, 3, 4);
        infers(&desc, 3, 2, 3, 4);
    }
    struct spw_op_desc norm = desc_of(SPW_OP_LAYERNORM, 2, 5, 6, 0);
    cr_assert(spw_op_params(&norm) == 2 && spw_op_param_shape(&norm, 1).dim[0] == 6);
    norm.attr.layernorm.eps = -1;
    refuses(norm, "eps must be a number of at least 0");
    struct spw_op_desc dropout = desc_of(SPW_OP_DROPOUT, 1, 5, 0, 0);
    dropout.attr.dropout.p = 1;
    refuses(dropout, "p must be at least 0 and below 1, not 1");
    struct spw_op_desc add = desc_of(SPW_OP_ADD, 1, 5, 0, 0);
    add.attr.add.alpha = __builtin_nanf("");
    refuses(add, "alpha must be a finite number");
    struct spw_op_desc flatten = desc_of(SPW_OP_FLATTEN, 3, 2, 3, 4);
    infers(&flatten, 1, 24, 0, 0);
}

Test(op, infers_the_ops_of_a_transformer)
{
    struct spw_op_desc embedding = desc_of(SPW_OP_EMBEDDING, 1, 64, 0, 0);
    embedding.attr.embedding.vocabulary = 320;
    embedding.attr.embedding.width = 48;
    infers(&embedding, 2, 64, 48, 0);
    cr_assert(spw_op_param_shape(&embedding, 0).dim[0] == 320);
    embedding.attr.embedding.vocabulary = INT64_C(1) << 31;
    refuses(embedding, "a vocabulary of 2147483648: tokens have 31 bits");

    struct spw_op_desc position = desc_of(SPW_OP_POSITION, 2, 64, 48, 0);
    position.attr.position.positions = 64;
    infers(&position, 2, 64, 48, 0);
    position.attr.position.positions = 63;
    refuses(position, "a sequence of 64 is longer than the 63 positions");

    struct spw_op_desc attention = desc_of(SPW_OP_ATTENTION, 2, 64, 144, 0);
    attention.attr.attention.heads = 4;
    infers(&attention, 2, 64, 48, 0);
    attention.attr.attention.heads = 5;
    refuses(attention, "a width of 48 does not divide into 5 heads");
    attention.in.dim[1] = 143;
    refuses(attention, "query, key and value");
}

Test(op, infers_losses)
{
    struct spw_op_desc loss = desc_of(SPW_OP_SOFTMAX_XENT, 2, 64, 10, 0);
    infers(&loss, 0, 0, 0, 0);
    struct spw_op_desc fused = desc_of(SPW_OP_LINEAR_XENT, 2, 64, 48, 0);
    fused.attr.linear.in = 48;
    fused.attr.linear.out = 50257;
    infers(&fused, 0, 0, 0, 0);
    cr_assert(spw_op_params(&fused) == 1);
    fused.attr.linear.bias = true;
    refuses(fused, "has no bias");
}

/* Nothing that passes can overflow later on. */
Test(op, refuses_sizes_that_are_none_or_too_large)
{
    refuses(desc_of(SPW_OP_RELU, 0, 0, 0, 0), "1 to 4 dimensions, not 0");
    refuses(desc_of(SPW_OP_RELU, 5, 1, 1, 1), "1 to 4 dimensions, not 5");
    refuses(desc_of(SPW_OP_RELU, 2, 3, 0, 0), "an input of 3 x 0: every size must be at least 1");
    refuses(desc_of(SPW_OP_RELU, 2, 3, -4, 0), "every size must be at least 1");
    refuses(desc_of(SPW_OP_RELU, 2, INT64_MAX, INT64_MAX, 0), "is too large");
    refuses(desc_of(SPW_OP_RELU, 3, 1 << 20, 1 << 20, 2), "is too large: over 2^40 numbers");
    struct spw_op_desc linear = desc_of(SPW_OP_LINEAR, 1, 1 << 20, 0, 0);
    linear.attr.linear.in = 1 << 20;
    linear.attr.linear.out = (1 << 20) + 1;
    refuses(linear, "a parameter of 1048577 x 1048576 is too large");
    linear.attr.linear.out = INT64_MAX;
    refuses(linear, "is too large");
}

Test(op, counts_elements_and_rows)
{
    struct spw_shape shape = {.rank = 3, .dim = {2, 3, 4}}, none = {.rank = 0};
    cr_assert(spw_shape_elements(&shape) == 24 && spw_shape_rows(&shape) == 6);
    cr_assert(spw_shape_elements(&none) == 1 && spw_shape_rows(&none) == 1);
}

Test(op, counts_the_flops_of_products)
{
    struct spw_op_desc linear = desc_of(SPW_OP_LINEAR, 2, 5, 24, 0);
    linear.attr.linear.in = 24;
    linear.attr.linear.out = 7;
    infers(&linear, 2, 5, 7, 0);
    struct spw_cost forward = spw_op_cost(&linear, 3, SPW_FORWARD);
    struct spw_cost backward = spw_op_cost(&linear, 3, SPW_BACKWARD);
    cr_assert(forward.flops == 2ull * 15 * 24 * 7 && backward.flops == 2 * forward.flops);
    cr_assert(forward.bytes == 4ull * (15 * 24 + 24 * 7 + 15 * 7));
    cr_assert(backward.bytes == 4ull * (2 * 15 * 24 + 2 * 24 * 7 + 15 * 7));

    struct spw_op_desc conv = desc_of(SPW_OP_CONV2D, 3, 3, 28, 28);
    conv.attr.conv2d.out = 16;
    conv.attr.conv2d.kernel = 3;
    conv.attr.conv2d.stride = 2;
    conv.attr.conv2d.padding = 1;
    infers(&conv, 3, 16, 14, 14);
    cr_assert(spw_op_cost(&conv, 2, SPW_FORWARD).flops == 2ull * 2 * 16 * 14 * 14 * 3 * 3 * 3);

    struct spw_op_desc head = desc_of(SPW_OP_LINEAR_XENT, 1, 24, 0, 0);
    head.attr.linear.in = 24;
    head.attr.linear.out = 1000;
    infers(&head, 0, 0, 0, 0);
    cr_assert(spw_op_cost(&head, 8, SPW_FORWARD).flops == 8ull * (2 * 24 * 1000 + 7 * 1000));
    cr_assert(spw_op_cost(&head, 8, SPW_BACKWARD).flops == 8ull * (6 * 24 * 1000 + 9 * 1000));

    struct spw_op_desc attention = desc_of(SPW_OP_ATTENTION, 2, 64, 144, 0);
    attention.attr.attention.heads = 4;
    infers(&attention, 2, 64, 48, 0);
    uint64_t product = 64ull * 65 * 48; /* half of 2 T T width, with the diagonal */
    cr_assert(spw_op_cost(&attention, 1, SPW_FORWARD).flops == 2 * product);
    cr_assert(spw_op_cost(&attention, 1, SPW_BACKWARD).flops == 5 * product);
}

Test(op, moving_data_takes_no_flops_and_costs_saturate)
{
    struct spw_op_desc copy = desc_of(SPW_OP_COPY, 1, 100, 0, 0);
    infers(&copy, 1, 100, 0, 0);
    struct spw_cost cost = spw_op_cost(&copy, 2, SPW_FORWARD);
    cr_assert(cost.flops == 0 && cost.bytes == 2ull * 2 * 100 * 4);
    struct spw_op_desc flatten = desc_of(SPW_OP_FLATTEN, 2, 10, 10, 0);
    infers(&flatten, 1, 100, 0, 0);
    cr_assert(spw_op_cost(&flatten, 2, SPW_BACKWARD).flops == 0);
    struct spw_op_desc large = desc_of(SPW_OP_LINEAR, 1, 1 << 20, 0, 0);
    large.attr.linear.in = large.attr.linear.out = 1 << 20;
    infers(&large, 1, 1 << 20, 0, 0);
    cr_assert(spw_op_cost(&large, INT64_C(1) << 40, SPW_FORWARD).flops == UINT64_MAX);
}

/* What backward reads; a shard keeps these. */
Test(op, says_what_backward_needs)
{
    struct spw_op_desc desc = desc_of(SPW_OP_LINEAR, 1, 1, 0, 0);
    cr_assert(spw_op_needs(&desc) == (SPW_NEEDS_X0 | SPW_NEEDS_W));
    desc.op = SPW_OP_RELU;
    cr_assert(spw_op_needs(&desc) == SPW_NEEDS_Y);
    desc.op = SPW_OP_ADD;
    cr_assert(spw_op_needs(&desc) == 0);
    for (enum spw_op op = 0; op < SPW_OP_COUNT; op++) {
        struct spw_op_desc any = desc_of(op, 2, 4, 12, 0);
        any.attr.attention.heads = 2;
        bool saves = op == SPW_OP_LAYERNORM || op == SPW_OP_ATTENTION;
        cr_assert(((spw_op_needs(&any) & SPW_NEEDS_SAVED) != 0) == saves);
        any.attr.attention.heads = 2;
        cr_assert((spw_op_saved_bytes(&any, 3) != 0) == saves, "%s", spw_op_name(op));
    }
}
