/* op.c — the table of operations, and the questions about an op that the table answers.
 *
 * Shapes are inferred in op_infer.c and costs counted in op_cost.c; the arithmetic is in host/.
 * Tested by tests/kernels/test_op.c. */
#include "base/assert.h"
#include "kernels/host/host_op.h"
#include "kernels/host/reference.h"

struct op_row {
    const char *name;
    int inputs;
    int params; /* with the bias, if the op may have one */
    bool loss;
    uint32_t needs;
    const struct spw_host_op *host;
    void (*reference_forward)(const struct spw_call *call);
    void (*reference_backward)(const struct spw_call *call);
};

#define OP_ROW(NAME, lower, inputs_, params_, loss_, needs_)                                       \
    [SPW_OP_##NAME] = {                                                                            \
        .name = #lower,                                                                            \
        .inputs = (inputs_),                                                                       \
        .params = (params_),                                                                       \
        .loss = (loss_),                                                                           \
        .needs = (needs_),                                                                         \
        .host = &spw_host_##lower,                                                                 \
        .reference_forward = spw_reference_##lower##_forward,                                      \
        .reference_backward = spw_reference_##lower##_backward,                                    \
    }

/* `needs` is what backward reads, so it decides what a shard keeps. RELU takes its sign from y,
 * which the next op mostly keeps as its x anyway. POSITION, ADD and AVGPOOL2D need the gradient
 * alone; DROPOUT draws its mask again. ATTENTION saves one number per row and head, LAYERNORM the
 * mean and the inverse deviation per row. */
static const struct op_row op_table[] = {
    OP_ROW(LINEAR, linear, 1, 2, false, SPW_NEEDS_X0 | SPW_NEEDS_W),
    OP_ROW(CONV2D, conv2d, 1, 2, false, SPW_NEEDS_X0 | SPW_NEEDS_W),
    OP_ROW(MAXPOOL2D, maxpool2d, 1, 0, false, SPW_NEEDS_X0),
    OP_ROW(AVGPOOL2D, avgpool2d, 1, 0, false, 0),
    OP_ROW(FLATTEN, flatten, 1, 0, false, 0),
    OP_ROW(RELU, relu, 1, 0, false, SPW_NEEDS_Y),
    OP_ROW(GELU, gelu, 1, 0, false, SPW_NEEDS_X0),
    OP_ROW(GELU_TANH, gelu_tanh, 1, 0, false, SPW_NEEDS_X0),
    OP_ROW(SILU, silu, 1, 0, false, SPW_NEEDS_X0),
    OP_ROW(LAYERNORM, layernorm, 1, 2, false, SPW_NEEDS_X0 | SPW_NEEDS_SAVED | SPW_NEEDS_W),
    OP_ROW(EMBEDDING, embedding, 1, 1, false, SPW_NEEDS_X0),
    OP_ROW(POSITION, position, 1, 1, false, 0),
    OP_ROW(ATTENTION, attention, 1, 0, false, SPW_NEEDS_X0 | SPW_NEEDS_Y | SPW_NEEDS_SAVED),
    OP_ROW(ADD, add, 2, 0, false, 0),
    OP_ROW(DROPOUT, dropout, 1, 0, false, 0),
    OP_ROW(SOFTMAX_XENT, softmax_xent, 1, 0, true, SPW_NEEDS_X0),
    OP_ROW(LINEAR_XENT, linear_xent, 1, 1, true, SPW_NEEDS_X0 | SPW_NEEDS_W),
    OP_ROW(COPY, copy, 1, 0, false, 0),
};
_Static_assert(sizeof op_table / sizeof op_table[0] == SPW_OP_COUNT, "one row per op");

static const struct op_row *row_of(enum spw_op op)
{
    SPW_ASSERT((unsigned)op < SPW_OP_COUNT);
    return &op_table[op];
}

const char *spw_op_name(enum spw_op op)
{
    return (unsigned)op < SPW_OP_COUNT ? op_table[op].name : "unknown op";
}

int spw_op_inputs(enum spw_op op)
{
    return row_of(op)->inputs;
}

int spw_op_params(const struct spw_op_desc *desc)
{
    int params = row_of(desc->op)->params;
    bool no_bias = (desc->op == SPW_OP_LINEAR && !desc->attr.linear.bias) ||
                   (desc->op == SPW_OP_CONV2D && !desc->attr.conv2d.bias);
    return params - (no_bias ? 1 : 0);
}

bool spw_op_is_loss(enum spw_op op)
{
    return row_of(op)->loss;
}

uint32_t spw_op_needs(const struct spw_op_desc *desc)
{
    return row_of(desc->op)->needs;
}

const struct spw_host_op *spw_op_host(enum spw_op op)
{
    return row_of(op)->host;
}

int64_t spw_shape_elements(const struct spw_shape *shape)
{
    int64_t elements = 1;
    for (int64_t i = 0; i < shape->rank; i++) {
        elements *= shape->dim[i];
    }
    return elements;
}

int64_t spw_shape_rows(const struct spw_shape *shape)
{
    int64_t rows = 1;
    for (int64_t i = 0; i + 1 < shape->rank; i++) {
        rows *= shape->dim[i];
    }
    return rows;
}

uint64_t spw_op_saved_bytes(const struct spw_op_desc *desc, int64_t items)
{
    uint64_t per_item = 0;
    if (desc->op == SPW_OP_LAYERNORM) {
        per_item = (uint64_t)spw_shape_rows(&desc->in) * 2;
    } else if (desc->op == SPW_OP_ATTENTION) {
        per_item = (uint64_t)(desc->in.dim[0] * desc->attr.attention.heads);
    }
    return per_item * (uint64_t)items * sizeof(float);
}

enum spw_status spw_op_workspace_bytes(const struct spw_op_desc *desc, int64_t items,
                                       enum spw_pass pass, uint32_t threads,
                                       struct spw_error *error, uint64_t *bytes)
{
    SPW_ASSERT(items > 0 && threads > 0);
    const struct spw_host_op *host = row_of(desc->op)->host;
    if (host->workspace == NULL) {
        *bytes = 0;
        return SPW_OK;
    }
    return host->workspace(desc, items, pass, threads, error, bytes);
}

void spw_op_reference(const struct spw_call *call, enum spw_pass pass)
{
    const struct op_row *row = row_of(call->desc->op);
    if (pass == SPW_FORWARD) {
        row->reference_forward(call);
    } else {
        row->reference_backward(call);
    }
}
