/* oracle.c — the graph op by op, without the partitioner: see interpreter.h. */
#include "setting.h"

#include <stdlib.h>
#include <string.h>

struct oracle {
    struct setting *setting;
    float **y, **saved, **dy; /* [node] */
    bool *has_dy;
    float ***dw; /* [param][use * groups + group] */
    int32_t (*use)[SPW_OP_PARAMS_MAX];
};

static const void *oracle_value(const struct oracle *oracle, int32_t tensor, int64_t micro_batch)
{
    if (tensor != SPW_GRAPH_DATA) {
        return oracle->y[tensor];
    }
    const struct setting *setting = oracle->setting;
    return (const char *)setting->x +
           micro_batch * setting->options->micro_batch * setting->x_elements * 4;
}

static struct spw_call oracle_call(const struct oracle *oracle, int32_t node, int64_t micro_batch,
                                   struct spw_loss *loss)
{
    const struct setting *setting = oracle->setting;
    const struct spw_node *at = &setting->graph->nodes[node];
    struct spw_call call = {.desc = &at->desc, .y = oracle->y[node], .saved = oracle->saved[node]};
    for (int slot = 0; slot < spw_op_inputs(at->desc.op); slot++) {
        call.x[slot] = oracle_value(oracle, at->input[slot], micro_batch);
    }
    for (int slot = 0; slot < spw_op_params(&at->desc); slot++) {
        call.w[slot] = setting->weights[at->param[slot]];
    }
    if (spw_op_is_loss(at->desc.op)) {
        call.targets = setting->targets + micro_batch * setting->options->micro_batch *
                                              setting->graph->targets_per_item;
        call.loss = loss;
    }
    return call;
}

static void oracle_execute(const struct oracle *oracle, struct spw_call *call, enum spw_pass pass,
                           int64_t micro_batch, bool training)
{
    const struct setting *setting = oracle->setting;
    const int64_t items = setting_items(setting, micro_batch);
    uint64_t bytes;
    struct spw_error error = {0};
    check_ok(spw_op_workspace_bytes(call->desc, items, pass, 1, &error, &bytes), &error);
    call->workspace = setting_take(bytes);
    setting_run(setting, call, pass, micro_batch, training);
    free(call->workspace);
}

/* One contribution to the gradient of input `slot`: later ones are added. */
static void oracle_want(struct oracle *oracle, struct spw_call *call, int32_t input, int slot)
{
    if (input < 0 || call->desc->op == SPW_OP_EMBEDDING) {
        return;
    }
    call->dx[slot] = oracle->dy[input];
    if (oracle->has_dy[input]) {
        call->flags |= slot == 0 ? SPW_CALL_ACCUMULATE_DX0 : SPW_CALL_ACCUMULATE_DX1;
    }
    oracle->has_dy[input] = true;
}

static void oracle_backward(struct oracle *oracle, int32_t node, int64_t micro_batch, int64_t group,
                            struct spw_loss *loss)
{
    const struct setting *setting = oracle->setting;
    const struct spw_node *at = &setting->graph->nodes[node];
    const bool first = micro_batch == setting_group_first(setting->options, group);
    struct spw_call call = oracle_call(oracle, node, micro_batch, loss);
    call.dy = oracle->dy[node];
    for (int slot = 0; slot < spw_op_params(&at->desc); slot++) {
        call.dw[slot] = oracle->dw[at->param[slot]]
                                  [oracle->use[node][slot] * setting->options->grad_groups + group];
    }
    call.flags = first ? 0 : SPW_CALL_ACCUMULATE_DW;
    const bool two = spw_op_inputs(at->desc.op) == 2;
    if (two && at->input[0] == at->input[1]) {
        struct spw_call second = call;
        oracle_want(oracle, &second, at->input[1], 1);
        oracle_execute(oracle, &second, SPW_BACKWARD, micro_batch, true);
    } else if (two) {
        oracle_want(oracle, &call, at->input[1], 1);
    }
    oracle_want(oracle, &call, at->input[0], 0);
    oracle_execute(oracle, &call, SPW_BACKWARD, micro_batch, true);
}

static void oracle_forward(struct oracle *oracle, int64_t micro_batch, bool training,
                           struct spw_loss *loss)
{
    const int32_t nodes = oracle->setting->graph->node_count;
    for (int32_t node = 0; node < nodes - (training ? 1 : 0); node++) {
        struct spw_call call = oracle_call(oracle, node, micro_batch, loss);
        oracle_execute(oracle, &call, SPW_FORWARD, micro_batch, training);
    }
}

static void oracle_take(struct oracle *oracle)
{
    const struct spw_graph *graph = oracle->setting->graph;
    const int64_t items = oracle->setting->options->micro_batch;
    const size_t nodes = (size_t)graph->node_count;
    oracle->y = calloc(nodes, sizeof(float *));
    oracle->saved = calloc(nodes, sizeof(float *));
    oracle->dy = calloc(nodes, sizeof(float *));
    oracle->has_dy = calloc(nodes, sizeof(bool));
    oracle->use = calloc(nodes, sizeof(*oracle->use));
    oracle->dw = calloc((size_t)graph->param_count, sizeof(float **));
    int32_t *uses = calloc((size_t)graph->param_count, sizeof(int32_t));
    for (int32_t node = 0; node < graph->node_count; node++) {
        const struct spw_op_desc *desc = &graph->nodes[node].desc;
        const uint64_t bytes = (uint64_t)(spw_shape_elements(&desc->out) * items) * sizeof(float);
        oracle->y[node] = setting_take(bytes);
        oracle->dy[node] = setting_take(bytes);
        oracle->saved[node] = setting_take(spw_op_saved_bytes(desc, items));
        for (int slot = 0; slot < spw_op_params(desc); slot++) {
            oracle->use[node][slot] = uses[graph->nodes[node].param[slot]]++;
        }
    }
    for (int32_t p = 0; p < graph->param_count; p++) {
        const int64_t count = graph->params[p].uses * oracle->setting->options->grad_groups;
        oracle->dw[p] = calloc((size_t)count, sizeof(float *));
        for (int64_t i = 0; i < count; i++) {
            oracle->dw[p][i] = setting_take((uint64_t)graph->params[p].elements * sizeof(float));
        }
    }
    free(uses);
}

static void oracle_free(struct oracle *oracle)
{
    const struct spw_graph *graph = oracle->setting->graph;
    for (int32_t node = 0; node < graph->node_count; node++) {
        free(oracle->y[node]);
        free(oracle->saved[node]);
        free(oracle->dy[node]);
    }
    for (int32_t p = 0; p < graph->param_count; p++) {
        for (int64_t i = 0; i < graph->params[p].uses * oracle->setting->options->grad_groups;
             i++) {
            free(oracle->dw[p][i]);
        }
        free(oracle->dw[p]);
    }
    free(oracle->y);
    free(oracle->saved);
    free(oracle->dy);
    free(oracle->has_dy);
    free(oracle->use);
    free(oracle->dw);
}

static void oracle_step(struct oracle *oracle, struct results *results)
{
    const struct spw_graph *graph = oracle->setting->graph;
    const struct spw_plan_options *options = oracle->setting->options;
    for (int64_t group = 0; group < options->grad_groups; group++) {
        const int64_t end = setting_group_first(options, group + 1);
        for (int64_t i = setting_group_first(options, group); i < end; i++) {
            oracle_forward(oracle, i, true, NULL);
            memset(oracle->has_dy, 0, (size_t)graph->node_count);
            for (int32_t node = graph->node_count - 1; node >= 0; node--) {
                oracle_backward(oracle, node, i, group, &results->losses[i]);
            }
        }
    }
    for (int64_t i = 0; i < options->micro_batches; i++) {
        oracle_forward(oracle, i, false, &results->eval_losses[i]);
    }
}

struct results oracle_run(const struct spw_graph *graph, const struct spw_plan_options *options,
                          bool fast)
{
    struct setting setting;
    setting_open(&setting, graph, options, fast);
    struct oracle oracle = {.setting = &setting};
    oracle_take(&oracle);
    struct results results = results_new(&setting);
    oracle_step(&oracle, &results);
    for (int32_t p = 0; p < graph->param_count; p++) {
        results_fold(oracle.dw[p], graph->params[p].uses, options->grad_groups,
                     graph->params[p].elements, results.grads[p]);
        spw_norm_partials(results.grads[p], (uint64_t)graph->params[p].elements, results.norms[p],
                          NULL);
    }
    oracle_free(&oracle);
    setting_close(&setting);
    return results;
}
