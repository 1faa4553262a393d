/* flow.h — what a graph's tensors and gradients do over the order of execution, before any cut.
 *
 * Sizes for a full micro-batch, first and last uses, which gradients exist and who contributes to
 * them, which parameters are tied. Everything else in this box asks here, so that all agree. Made
 * once per plan; internal to the partitioner. Tested by tests/partitioner/test_flow.c. */
#ifndef SPW_PARTITIONER_FLOW_H
#define SPW_PARTITIONER_FLOW_H

#include "partitioner/plan.h"

#define SPW_FLOW_NEVER INT32_MAX

struct spw_tensor_flow {
    uint64_t bytes;     /* of a full micro-batch */
    int32_t last_use;   /* largest node that reads it; its maker if nobody does */
    int32_t last_giver; /* largest node that contributes to its gradient; -1: it has none */
    int32_t first_need; /* smallest node whose backward pass reads its values, or SPW_FLOW_NEVER */
    struct spw_op_desc copy; /* COPY of one item */
};

struct spw_node_flow {
    uint64_t saved_bytes, forward_workspace, backward_workspace;
    uint64_t forward_ns, backward_ns; /* of a full micro-batch; see estimate.h */
    uint32_t needs;                   /* spw_op_needs of its backward pass */
    bool runs_backward;
    int32_t use[SPW_OP_PARAMS_MAX]; /* index among the uses of that parameter */
};

struct spw_param_flow {
    uint64_t bytes;
    uint64_t chunks; /* partial sums of the norm */
    int32_t *users;  /* nodes, ascending, one entry per use */
};

struct spw_flow {
    const struct spw_graph *graph;
    const struct spw_plan_options *options;
    int32_t node_count;
    int64_t items;      /* of a full micro-batch */
    int64_t last_items; /* of a full batch's last micro-batch */
    uint64_t targets_bytes;
    struct spw_tensor_flow *tensors; /* [tensor + 1]: the data comes first */
    struct spw_node_flow *nodes;
    struct spw_param_flow *params;
    uint64_t *border_bytes; /* [border], 0 .. node_count - 1: tensors that cross it, each rounded */
    bool *border_gradients; /* [border]: does a gradient cross it backwards? */
};

/* `graph` and `options` are borrowed; everything is taken from `arena`. SPW_ERR_USAGE if the graph
 * can't be trained (a node's output that nobody reads), SPW_ERR_ARGUMENT for options out of range.
 */
enum spw_status spw_flow_create(struct spw_arena *arena, const struct spw_graph *graph,
                                const struct spw_plan_options *options, struct spw_error *error,
                                struct spw_flow **out);

static inline const struct spw_tensor_flow *spw_flow_tensor(const struct spw_flow *flow,
                                                            int32_t tensor)
{
    return &flow->tensors[tensor + 1];
}

/* True if the tensor is made before node `border` and read by it or a later one. */
static inline bool spw_flow_crosses(const struct spw_flow *flow, int32_t tensor, int32_t border)
{
    return tensor < border && spw_flow_tensor(flow, tensor)->last_use >= border;
}

/* True if contributions to the tensor's gradient come from node `border` or later ones. */
static inline bool spw_flow_gradient_crosses(const struct spw_flow *flow, int32_t tensor,
                                             int32_t border)
{
    return tensor < border && spw_flow_tensor(flow, tensor)->last_giver >= border;
}

static inline bool spw_flow_is_tied(const struct spw_flow *flow, int32_t param)
{
    return flow->graph->params[param].uses > 1;
}

/* True if an op's backward pass gives a gradient for its input; tokens have none. */
bool spw_flow_gives_gradient(enum spw_op op);

#endif
