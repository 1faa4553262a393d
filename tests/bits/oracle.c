/* oracle.c — see oracle.h. */
#include "oracle.h"

#include "kernels/lane.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(expression)                                                                           \
    do {                                                                                           \
        if ((expression) != SPW_OK) {                                                              \
            (void)fprintf(stderr, "oracle: %s: %s\n", #expression, state->error.what);             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct tensor {
    float *y, *saved, *dy;
    bool has_gradient; /* dy holds a partial fold already */
};

struct state {
    const struct spw_world *world;
    const struct spw_job_config *config;
    const struct spw_graph *graph;
    struct spw_pool *pool;
    struct spw_lane *lane;
    struct spw_error error;
    struct tensor *tensors;
    void *x;
    int32_t *targets;
    void *workspace;
    float **accumulators; /* [param * max_uses * groups + use * groups + group] */
    int32_t max_uses;
    struct spw_loss *losses; /* [micro-batches] */
    struct oracle_result *result;
};

static void *zeroed(uint64_t count, uint64_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static float **accumulator(const struct state *state, int32_t param, int32_t use, int64_t group)
{
    const int64_t groups = state->config->grad_groups;
    return &state->accumulators[((int64_t)param * state->max_uses + use) * groups + group];
}

/* Which of the parameter's uses, in graph order, slot `slot` of node `node` is. */
static int32_t use_index(const struct spw_graph *graph, int32_t node, int slot)
{
    const int32_t param = graph->nodes[node].param[slot];
    int32_t use = 0;
    for (int32_t n = 0; n <= node; n++) {
        for (int s = 0; s < SPW_OP_PARAMS_MAX; s++) {
            if (n == node && s == slot) {
                return use;
            }
            use += graph->nodes[n].param[s] == param;
        }
    }
    abort();
}

static bool is_tensor(int32_t input)
{
    return input != SPW_GRAPH_DATA && input != SPW_GRAPH_NONE;
}

static struct spw_call base_call(struct state *state, int32_t index, int64_t items)
{
    const struct spw_node *node = &state->graph->nodes[index];
    struct spw_call call = {
        .desc = &node->desc,
        .items = items,
        .saved = state->tensors[index].saved,
        .targets = state->targets,
        .workspace = state->workspace,
    };
    for (int i = 0; i < SPW_OP_INPUTS_MAX; i++) {
        call.x[i] = is_tensor(node->input[i])          ? state->tensors[node->input[i]].y
                    : node->input[i] == SPW_GRAPH_DATA ? state->x
                                                       : NULL;
    }
    for (int i = 0; i < SPW_OP_PARAMS_MAX; i++) {
        call.w[i] = node->param[i] >= 0 ? state->result->weights[node->param[i]] : NULL;
    }
    call.y = state->tensors[index].y;
    return call;
}

static void run(struct state *state, const struct spw_call *call, enum spw_pass pass)
{
    MUST(spw_lane_prepare(state->lane, call->desc, call->items, pass, &state->error));
    MUST(spw_lane_run(state->lane, call, pass, &state->error));
}

static void forward(struct state *state, uint64_t step, int64_t first, int64_t items, bool training,
                    struct spw_loss *loss)
{
    const int32_t last = state->graph->node_count - 1;
    for (int32_t i = 0; i <= last; i++) {
        struct spw_call call = base_call(state, i, items);
        call.flags = training ? SPW_CALL_TRAINING : 0;
        call.step = step;
        call.item_offset = (uint64_t)first;
        call.loss = loss;
        if (i < last || !training) {
            run(state, &call, SPW_FORWARD);
        }
    }
}

static void backward(struct state *state, uint64_t step, int64_t first, int64_t items,
                     int64_t group, bool accumulate, float loss_scale, struct spw_loss *loss)
{
    const struct spw_graph *graph = state->graph;
    for (int32_t i = 0; i < graph->node_count; i++) {
        state->tensors[i].has_gradient = false;
    }
    for (int32_t i = graph->node_count; i-- > 0;) {
        const struct spw_node *node = &graph->nodes[i];
        if (i < graph->node_count - 1 && !state->tensors[i].has_gradient) {
            continue; /* nobody downstream wants it */
        }
        struct spw_call call = base_call(state, i, items);
        call.flags = SPW_CALL_TRAINING | (accumulate ? SPW_CALL_ACCUMULATE_DW : 0U);
        call.step = step;
        call.item_offset = (uint64_t)first;
        call.loss = loss;
        call.loss_scale = loss_scale;
        call.dy = state->tensors[i].dy;
        for (int slot = 0; slot < SPW_OP_INPUTS_MAX; slot++) {
            if (is_tensor(node->input[slot])) {
                struct tensor *input = &state->tensors[node->input[slot]];
                call.dx[slot] = input->dy;
                if (input->has_gradient) {
                    call.flags |= slot == 0 ? SPW_CALL_ACCUMULATE_DX0 : SPW_CALL_ACCUMULATE_DX1;
                }
                input->has_gradient = true;
            }
        }
        for (int slot = 0; slot < SPW_OP_PARAMS_MAX; slot++) {
            if (node->param[slot] >= 0) {
                call.dw[slot] =
                    *accumulator(state, node->param[slot], use_index(graph, i, slot), group);
            }
        }
        run(state, &call, SPW_BACKWARD);
    }
}

/* Folds accumulators: groups within a use, then uses in reverse graph order. */
static void total_gradient(struct state *state, int32_t param, const bool *group_used, float *total)
{
    const struct spw_param *it = &state->graph->params[param];
    const int64_t groups = state->config->grad_groups;
    for (int64_t e = 0; e < it->elements; e++) {
        float sum = 0;
        bool any = false;
        for (int32_t use = it->uses; use-- > 0;) {
            float of_use = 0;
            bool any_group = false;
            for (int64_t group = 0; group < groups; group++) {
                if (group_used[group]) {
                    const float part = (*accumulator(state, param, use, group))[e];
                    of_use = any_group ? of_use + part : part;
                    any_group = true;
                }
            }
            sum = any ? sum + of_use : of_use;
            any = true;
        }
        total[e] = sum;
    }
}

static double norm_of(struct state *state, float **totals)
{
    double sum = 0;
    for (int32_t p = 0; p < state->graph->param_count; p++) {
        const uint64_t count = (uint64_t)state->graph->params[p].elements;
        for (uint64_t at = 0; at < count; at += SPW_NORM_CHUNK) {
            double partial;
            const uint64_t left = count - at;
            spw_norm_partials(totals[p] + at, left < SPW_NORM_CHUNK ? left : SPW_NORM_CHUNK,
                              &partial, NULL);
            sum += partial;
        }
    }
    return sqrt(sum);
}

static void update(struct state *state, uint64_t step, const bool *group_used)
{
    const struct spw_job_config *config = state->config;
    const struct spw_graph *graph = state->graph;
    struct oracle_result *result = state->result;
    float **totals = zeroed((uint64_t)graph->param_count, sizeof *totals);
    for (int32_t p = 0; p < graph->param_count; p++) {
        totals[p] = zeroed((uint64_t)graph->params[p].elements, sizeof(float));
        total_gradient(state, p, group_used, totals[p]);
    }
    const double norm = norm_of(state, totals);
    const double lr = spw_schedule_lr(&config->schedule, config->lr, step, result->steps);
    result->norms[step - 1] = norm;
    for (int32_t p = 0; p < graph->param_count; p++) {
        const bool decays = !config->optimizer.decay_matrices_only ||
                            graph->params[p].shape.rank >= 2;
        const struct spw_update_call call = {
            .scalars = spw_update_scalars(&config->optimizer, lr, step, norm, decays),
            .count = (uint64_t)graph->params[p].elements,
            .w = result->weights[p],
            .g = totals[p],
            .moments = {result->moments[0][p], result->moments[1][p]},
            .w_out = result->weights[p],
            .moments_out = {result->moments[0][p], result->moments[1][p]},
        };
        spw_update_reference(&call);
        free(totals[p]);
    }
    free(totals);
}

static void train_step(struct state *state, struct spw_cursor *cursor, uint64_t step)
{
    const struct spw_job_config *config = state->config;
    const int64_t items = spw_cursor_items(cursor, step);
    const int64_t size = config->micro_batch;
    const int64_t count = (items + size - 1) / size;
    const int64_t groups = config->grad_groups;
    const double rows = (double)items * (double)state->graph->targets_per_item;
    bool *group_used = zeroed((uint64_t)groups, sizeof *group_used);
    double sum = 0;
    for (int64_t group = 0; group < groups; group++) {
        const int64_t begin = group * count / groups;
        const int64_t end = (group + 1) * count / groups;
        for (int64_t m = begin; m < end; m++) {
            const int64_t first = m * size;
            const int64_t left = items - first;
            const int64_t n = left < size ? left : size;
            struct spw_loss loss;
            spw_cursor_gather(cursor, step, first, n, state->x, state->targets);
            forward(state, step, first, n, true, &loss);
            backward(state, step, first, n, group, m > begin, (float)(1.0 / rows), &loss);
            sum += loss.sum;
            group_used[group] = true;
        }
    }
    state->result->losses[step - 1] = sum / rows;
    update(state, step, group_used);
    free(group_used);
}

static void evaluate(struct state *state, uint64_t step)
{
    const struct spw_job_config *config = state->config;
    struct spw_cursor *cursor = NULL;
    const struct spw_cursor_config valid = {.batch = config->batch, .by_epoch = true};
    MUST(spw_cursor_create(state->world, config->valid, &valid, &state->error, &cursor));
    double sum = 0, correct = 0, rows = 0;
    for (uint64_t round = 1; round <= spw_cursor_steps_per_epoch(cursor); round++) {
        const int64_t items = spw_cursor_items(cursor, round);
        for (int64_t first = 0; first < items; first += config->micro_batch) {
            const int64_t left = items - first;
            const int64_t n = left < config->micro_batch ? left : config->micro_batch;
            struct spw_loss loss;
            spw_cursor_gather(cursor, round, first, n, state->x, state->targets);
            forward(state, step, first, n, false, &loss);
            sum += loss.sum;
            correct += loss.correct;
        }
        rows += (double)items * (double)state->graph->targets_per_item;
    }
    state->result->eval_loss = sum / rows;
    state->result->eval_accuracy = correct / rows;
    spw_cursor_destroy(cursor);
}

static void allocate_tensors(struct state *state, uint32_t threads)
{
    const struct spw_graph *graph = state->graph;
    const int64_t size = state->config->micro_batch;
    uint64_t workspace = 64;
    state->tensors = zeroed((uint64_t)graph->node_count, sizeof *state->tensors);
    for (int32_t i = 0; i < graph->node_count; i++) {
        const struct spw_op_desc *desc = &graph->nodes[i].desc;
        const uint64_t elements = (uint64_t)(size * spw_shape_elements(&desc->out));
        state->tensors[i].y = zeroed(elements, sizeof(float));
        state->tensors[i].dy = zeroed(elements, sizeof(float));
        state->tensors[i].saved = zeroed(spw_op_saved_bytes(desc, size), 1);
        for (int pass = 0; pass < 2; pass++) {
            for (int64_t n = 1; n <= size; n++) {
                uint64_t bytes;
                MUST(spw_op_workspace_bytes(desc, n, (enum spw_pass)pass, threads, &state->error,
                                            &bytes));
                workspace = bytes > workspace ? bytes : workspace;
            }
        }
    }
    state->x = zeroed((uint64_t)(size * spw_shape_elements(&graph->input)), 4);
    state->targets = zeroed((uint64_t)(size * graph->targets_per_item), sizeof(int32_t));
    state->workspace = aligned_alloc(64, (workspace + 63) / 64 * 64);
}

static void allocate_params(struct state *state)
{
    const struct spw_graph *graph = state->graph;
    const uint64_t count = (uint64_t)graph->param_count;
    struct oracle_result *result = state->result;
    state->max_uses = 1;
    for (uint64_t p = 0; p < count; p++) {
        state->max_uses = graph->params[p].uses > state->max_uses ? graph->params[p].uses
                                                                  : state->max_uses;
    }
    const uint64_t groups = (uint64_t)state->config->grad_groups;
    state->accumulators = zeroed(count * (uint64_t)state->max_uses * groups, sizeof(float *));
    result->weights = zeroed(count, sizeof(float *));
    result->moments[0] = zeroed(count, sizeof(float *));
    result->moments[1] = zeroed(count, sizeof(float *));
    for (uint64_t p = 0; p < count; p++) {
        const uint64_t elements = (uint64_t)graph->params[p].elements;
        result->weights[p] = zeroed(elements, sizeof(float));
        MUST(spw_graph_initial(graph, (int32_t)p, state->config->seed, result->weights[p],
                               &state->error));
        for (uint32_t m = 0; m < spw_optimizer_moments(&state->config->optimizer); m++) {
            result->moments[m][p] = zeroed(elements, sizeof(float));
        }
        for (uint64_t i = 0; i < (uint64_t)graph->params[p].uses * groups; i++) {
            *accumulator(state, (int32_t)p, (int32_t)(i / groups), (int64_t)(i % groups)) =
                zeroed(elements, sizeof(float));
        }
    }
}

static void free_state(struct state *state)
{
    for (int32_t i = 0; i < state->graph->node_count; i++) {
        free(state->tensors[i].y);
        free(state->tensors[i].dy);
        free(state->tensors[i].saved);
    }
    const uint64_t accumulators = (uint64_t)state->graph->param_count * (uint64_t)state->max_uses *
                                  (uint64_t)state->config->grad_groups;
    for (uint64_t i = 0; i < accumulators; i++) {
        free(state->accumulators[i]);
    }
    free(state->accumulators);
    free(state->tensors);
    free(state->x);
    free(state->targets);
    free(state->workspace);
    spw_lane_destroy(state->lane);
    spw_pool_destroy(state->pool);
}

struct oracle_result oracle_train(const struct spw_job_config *config, uint32_t threads,
                                  bool reference_kernels)
{
    struct oracle_result result = {.graph = config->graph};
    struct state storage = {
        .world = spw_world_system(), .config = config, .graph = config->graph, .result = &result};
    struct state *state = &storage;
    const bool by_epoch = config->max_steps == 0;
    const struct spw_cursor_config train = {.seed = config->seed,
                                            .shuffle = config->shuffle,
                                            .batch = config->batch,
                                            .by_epoch = by_epoch};
    struct spw_cursor *cursor = NULL;
    MUST(spw_pool_create(state->world, threads, NULL, &state->error, &state->pool));
    MUST(
        spw_lane_create(state->world, state->pool, reference_kernels, &state->error, &state->lane));
    MUST(spw_cursor_create(state->world, config->train, &train, &state->error, &cursor));
    result.steps = by_epoch ? config->epochs * spw_cursor_steps_per_epoch(cursor)
                            : config->max_steps;
    result.losses = zeroed(result.steps, sizeof(double));
    result.norms = zeroed(result.steps, sizeof(double));
    allocate_tensors(state, threads);
    allocate_params(state);
    for (uint64_t step = 1; step <= result.steps; step++) {
        train_step(state, cursor, step);
    }
    if (config->valid != NULL) {
        evaluate(state, result.steps);
    }
    spw_cursor_destroy(cursor);
    free_state(state);
    return result;
}

void oracle_free(struct oracle_result *result)
{
    for (int32_t p = 0; p < result->graph->param_count; p++) {
        free(result->weights[p]);
        free(result->moments[0][p]);
        free(result->moments[1][p]);
    }
    free(result->weights);
    free(result->moments[0]);
    free(result->moments[1]);
    free(result->losses);
    free(result->norms);
}
