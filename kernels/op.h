/* op.h — the operations: names, shapes, costs, and the one table that describes them all.
 *
 * An op works on a micro-batch of `items`; shapes below are of ONE item, the batch dimension is
 * always implied and outermost. Data is fp32, row-major; tokens and labels are int32. An op is
 * known by a `struct spw_op_desc` (static, made by the graph) and run through a `struct spw_call`.
 * Everything here is clean as C17 and C++17. What the numbers mean is defined by the plain loops in
 * kernels/host/reference*.c; the fast paths are held against them by
 * tests/kernels/test_conformance.c, which loops over the table. */
#ifndef SPW_KERNELS_OP_H
#define SPW_KERNELS_OP_H

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum spw_op {
    SPW_OP_LINEAR,    /* y = x W^T + b over the last dimension; W [out, in] or, conv1d, [in, out] */
    SPW_OP_CONV2D,    /* NCHW, weight [out, in, kh, kw], square stride and zero padding */
    SPW_OP_MAXPOOL2D, /* no padding; the first maximum of a window takes the gradient */
    SPW_OP_AVGPOOL2D, /* no padding */
    SPW_OP_FLATTEN,   /* [..] -> [product]; a copy */
    SPW_OP_RELU,
    SPW_OP_GELU, /* erf form */
    SPW_OP_GELU_TANH,
    SPW_OP_SILU,
    SPW_OP_LAYERNORM, /* over the last dimension, eps inside the root; weight, bias */
    SPW_OP_EMBEDDING, /* tokens [T] -> [T, width]; weight [vocabulary, width] */
    SPW_OP_POSITION,  /* y[t] = x[t] + W[t]; weight [positions, width], positions >= T */
    SPW_OP_ATTENTION, /* x [T, 3*width] = q, k, v side by side -> [T, width]; causal, many heads */
    SPW_OP_ADD,       /* y = x0 + alpha * x1 */
    SPW_OP_DROPOUT,   /* y = keep ? x / (1 - p) : 0 while training, y = x otherwise */
    SPW_OP_SOFTMAX_XENT, /* logits -> loss; backward gives loss and gradient in one pass */
    SPW_OP_LINEAR_XENT,  /* linear (no bias) + the above, logits never stored whole: large
                            vocabularies */
    SPW_OP_COPY,         /* moves a tensor that only passes through a shard */
    SPW_OP_COUNT
};

#define SPW_RANK_MAX 4
#define SPW_OP_INPUTS_MAX 2
#define SPW_OP_PARAMS_MAX 2

struct spw_shape {
    int64_t rank;
    int64_t dim[SPW_RANK_MAX]; /* outermost first, each > 0 */
};

enum spw_dtype { SPW_F32, SPW_I32 };

struct spw_op_desc {
    enum spw_op op;
    struct spw_shape in;  /* first input (a second has the same shape) */
    struct spw_shape out; /* loss ops: rank 0 */
    union {
        struct {
            int64_t out, in;
            bool bias;   /* params: weight, bias */
            bool conv1d; /* weight lies [in, out], as GPT-2's files have it */
        } linear;        /* LINEAR, LINEAR_XENT */
        struct {
            int64_t out, kernel, stride, padding;
            bool bias;
        } conv2d;
        struct {
            int64_t kernel, stride;
        } pool;
        struct {
            double eps;
        } layernorm;
        struct {
            int64_t vocabulary, width;
        } embedding; /* EMBEDDING */
        struct {
            int64_t positions;
        } position;
        struct {
            int64_t heads;
            double dropout; /* probability on the attention weights, 0 for none */
            uint64_t key;   /* of its Philox stream */
        } attention;
        struct {
            float alpha;
        } add;
        struct {
            double p;
            uint64_t key;
        } dropout;
    } attr;
};

/* What forward leaves for backward, besides what the graph holds anyway. */
enum spw_op_needs {
    SPW_NEEDS_X0 = 1,
    SPW_NEEDS_X1 = 2,
    SPW_NEEDS_Y = 4,
    SPW_NEEDS_SAVED = 8, /* forward's side output, e.g. row statistics */
    SPW_NEEDS_W = 16,    /* the parameters' values */
};

enum spw_pass { SPW_FORWARD, SPW_BACKWARD };

struct spw_cost {
    uint64_t flops; /* multiply and add count as two */
    uint64_t bytes; /* least memory traffic: operands read and written once */
};

/* Loss of one micro-batch. */
struct spw_loss {
    double sum;     /* of the losses of all rows (items, or tokens) */
    double correct; /* rows whose largest logit (the first, if equal) is the target's */
};

enum spw_call_flags {
    SPW_CALL_TRAINING = 1,       /* dropout is on */
    SPW_CALL_ACCUMULATE_DX0 = 2, /* dx[0] += instead of dx[0] = */
    SPW_CALL_ACCUMULATE_DX1 = 4,
    SPW_CALL_ACCUMULATE_DW = 8, /* both parameters */
};

/* One run of one op over one micro-batch. Pointers that a pass does not use may be NULL; a NULL dx
 * means that this input's gradient is not wanted. Outputs never overlap inputs. Any alignment of at
 * least 4 bytes works and gives the same bits; 64 is fastest. */
struct spw_call {
    const struct spw_op_desc *desc;
    int64_t items; /* of this micro-batch, > 0 */
    uint32_t flags;
    uint64_t step;        /* dropout's counter, high part */
    uint64_t item_offset; /* index of the first item within the whole batch */
    float loss_scale;     /* loss ops, backward: gradient = loss_scale * d(sum of row losses) */
    const void *x[SPW_OP_INPUTS_MAX]; /* [items, in]; int32 for EMBEDDING */
    const float *w[SPW_OP_PARAMS_MAX];
    float *y;        /* [items, out] */
    float *saved;    /* spw_op_saved_bytes() */
    const float *dy; /* [items, out] */
    float *dx[SPW_OP_INPUTS_MAX];
    float *dw[SPW_OP_PARAMS_MAX]; /* of the parameters' shapes */
    const int32_t
        *targets; /* loss ops: [items * rows], rows = product of in without the last dimension;
                     LINEAR_XENT likewise. Each in [0, classes) (checked by the caller) */
    struct spw_loss *loss; /* loss ops, both passes: written, not added to */
    void *workspace;       /* spw_op_workspace_bytes(), 64-byte aligned */
};

/* Name as messages print it ("conv2d"); never NULL. */
const char *spw_op_name(enum spw_op op);
/* Number of activation inputs and of parameters; a bias that is off is not counted. */
int spw_op_inputs(enum spw_op op);
int spw_op_params(const struct spw_op_desc *desc);
bool spw_op_is_loss(enum spw_op op);
/* Union of spw_op_needs. */
uint32_t spw_op_needs(const struct spw_op_desc *desc);

/* Fills desc->out from desc->in and the attributes. SPW_ERR_USAGE, saying in words what is wrong
 * ("kernel 5 is larger than the input, 3 x 3"), if they do not go together or a size overflows. */
enum spw_status spw_op_infer(struct spw_op_desc *desc, struct spw_error *error);
/* Shape of parameter `index`, PyTorch's layout (conv1d: [in, out]). */
struct spw_shape spw_op_param_shape(const struct spw_op_desc *desc, int index);

/* Elements of a shape (1 for rank 0), and rows = elements / last dimension. */
int64_t spw_shape_elements(const struct spw_shape *shape);
int64_t spw_shape_rows(const struct spw_shape *shape);

/* Bytes of the side output and of scratch memory. They depend on the shape, the items and, for
 * scratch, the lane's threads; never on any memory budget. */
uint64_t spw_op_saved_bytes(const struct spw_op_desc *desc, int64_t items);
enum spw_status spw_op_workspace_bytes(const struct spw_op_desc *desc, int64_t items,
                                       enum spw_pass pass, uint32_t threads,
                                       struct spw_error *error, uint64_t *bytes);
struct spw_cost spw_op_cost(const struct spw_op_desc *desc, int64_t items, enum spw_pass pass);

/* The plain fp32 loops that define the op. No workspace, no lane, any thread. */
void spw_op_reference(const struct spw_call *call, enum spw_pass pass);

#ifdef __cplusplus
}
#endif
#endif
