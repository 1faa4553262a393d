/* graph.h — a model: a DAG of ops in topological order, its parameters, and how it is built.
 *
 * Every node makes exactly one tensor, so a tensor is named by its node's index; the data input is
 * SPW_GRAPH_DATA. Node order is the order of execution; inputs always have smaller indices.
 * Residuals are nodes with two inputs, tied weights are parameters with two uses. A finished graph
 * ends in one loss node and never changes. Tested by tests/models/test_graph.c. */
#ifndef SPW_MODELS_GRAPH_H
#define SPW_MODELS_GRAPH_H

#include "base/arena.h"
#include "kernels/op.h"

#define SPW_GRAPH_DATA (-1)
#define SPW_GRAPH_NONE (-2)

enum spw_init {
    SPW_INIT_UNIFORM,  /* [-a, a] */
    SPW_INIT_NORMAL,   /* standard deviation a */
    SPW_INIT_CONSTANT, /* a */
};

struct spw_param {
    const char
        *name; /* "0.weight", "h.0.attn.c_attn.weight": as init, from and the result name it */
    struct spw_shape shape; /* PyTorch's layout */
    int64_t elements;
    enum spw_init init;
    double init_a;
    int32_t uses;      /* nodes that use it; more than one: tied */
    int32_t first_use; /* smallest node index */
};

struct spw_node {
    const char *name; /* "0", "layer1.0.conv1", "h.3.attn": for messages and random streams */
    struct spw_op_desc desc;
    int32_t input[SPW_OP_INPUTS_MAX]; /* node index, SPW_GRAPH_DATA or SPW_GRAPH_NONE */
    int32_t param[SPW_OP_PARAMS_MAX]; /* parameter index or SPW_GRAPH_NONE */
};

struct spw_graph {
    struct spw_arena arena; /* owns everything below */
    const char *name;       /* model id */
    struct spw_node *nodes;
    int32_t node_count;
    struct spw_param *params; /* in order of first use */
    int32_t param_count;
    enum spw_dtype input_dtype;
    struct spw_shape input;   /* one item */
    int64_t targets_per_item; /* 1, or the sequence length */
    int64_t classes;
    int64_t parameter_count; /* elements in all, tied ones once */
    uint64_t seed;           /* of the dropout streams */
    /* Weights that come from a file instead of random numbers; NULL: random. Owned by the graph. */
    struct spw_weight_file *weights;
};

void spw_graph_destroy(struct spw_graph *graph); /* NULL is allowed */

/* "[16, 14, 14]", as messages print shapes; `out` is the return value. */
const char *spw_shape_text(const struct spw_shape *shape, char out[96]);
/* The parameter called `name`, or SPW_GRAPH_NONE. */
int32_t spw_graph_find_param(const struct spw_graph *graph, const char *name);

/* Writes parameter `index`'s initial values (shape's elements, contiguous) to `out`: from the
 * weight file if the graph has one, else element i = f(stream "init/<name>" of `seed`, i). A weight
 * file that changed since it was checked is SPW_ERR_USAGE; SPW_ERR_IO if it can't be read. */
enum spw_status spw_graph_initial(const struct spw_graph *graph, int32_t index, uint64_t seed,
                                  float *out, struct spw_error *error);

/* FLOPs of one item: forward, and backward without recomputation. */
struct spw_graph_cost {
    uint64_t forward_flops;
    uint64_t backward_flops;
};
struct spw_graph_cost spw_graph_cost(const struct spw_graph *graph, int64_t items);

/* ---- building ---- */

struct spw_builder;

/* A tensor under construction. */
struct spw_built {
    int32_t node;           /* or SPW_GRAPH_DATA */
    struct spw_shape shape; /* one item */
};

enum spw_status spw_builder_create(const struct spw_world *world, const char *model_name,
                                   enum spw_dtype dtype, struct spw_shape input, uint64_t seed,
                                   struct spw_error *error, struct spw_builder **out);
void spw_builder_destroy(struct spw_builder *builder);
struct spw_built spw_builder_input(const struct spw_builder *builder);
/* Parameters added from now on are called "<prefix><node name>.weight". Node names, and so the
 * dropout streams, don't change. `prefix` is borrowed until the builder is destroyed. */
void spw_builder_set_param_prefix(struct spw_builder *builder, const char *prefix);

/* Adds a node. `desc` needs op and attr; shapes are inferred, and linear's `in` where it is 0.
 * Dropout with p = 0 adds nothing: *out is the input. `name` is copied and must be unique;
 * parameters are called "<name>.weight" and "<name>.bias" unless the op has other customs, and get
 * PyTorch's default initialisation for the layer. `second` is NULL but for two-input ops. Errors
 * name the layer: "layer 3.conv2d of model net: kernel 5 is larger than the input, 3 x 3". */
enum spw_status spw_builder_add(struct spw_builder *builder, const char *name,
                                const struct spw_op_desc *desc, struct spw_built input,
                                const struct spw_built *second, struct spw_error *error,
                                struct spw_built *out);
/* After an add: replaces parameter `slot` of the last node by an existing parameter of equal shape
 * (tying). Slots are tied from the last one down. */
enum spw_status spw_builder_tie(struct spw_builder *builder, int slot, const char *param_name,
                                struct spw_error *error);
/* Changes the initialisation of an existing parameter. */
enum spw_status spw_builder_set_init(struct spw_builder *builder, const char *param_name,
                                     enum spw_init init, double a, struct spw_error *error);
/* Appends the loss over `logits` (last dimension: classes) and hands the graph over; the builder is
 * spent but must still be destroyed. Images have one label each, token sequences a target per
 * position. A layer that nobody reads is an error. A bias-free linear with >= 4096 classes whose
 * output nobody else reads is fused with the loss (LINEAR_XENT). Dropout keys are made here. */
enum spw_status spw_builder_finish(struct spw_builder *builder, struct spw_built logits,
                                   int64_t classes, struct spw_error *error,
                                   struct spw_graph **out);

#endif
