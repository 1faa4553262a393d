/* interpreter.c — see interpreter.h. */
#include "interpreter.h"

#include "base/checked.h"
#include "base/philox.h"

#include <stdlib.h>
#include <string.h>

enum { STEP = 3 };

static void *take(uint64_t bytes)
{
    void *memory = NULL;
    cr_assert(posix_memalign(&memory, 64, bytes > 0 ? bytes : 1) == 0);
    memset(memory, 0xFF, bytes); /* NaN */
    return memory;
}

/* ---- what both runs share ---- */

struct setting {
    const struct spw_graph *graph;
    const struct spw_plan_options *options;
    struct spw_lane *lane; /* NULL: reference */
    float **weights;       /* [param] */
    void *x;               /* whole batch */
    int32_t *targets;
    int64_t x_elements; /* of an item */
};

static void open_setting(struct setting *setting, const struct spw_graph *graph,
                         const struct spw_plan_options *options, bool fast)
{
    *setting = (struct setting){.graph = graph, .options = options};
    if (fast) {
        struct spw_error error = {0};
        check_ok(spw_lane_create(spw_world_system(), NULL, false, &error, &setting->lane), &error);
    }
    setting->weights = calloc((size_t)graph->param_count, sizeof(float *));
    for (int32_t p = 0; p < graph->param_count; p++) {
        const int64_t elements = graph->params[p].elements;
        setting->weights[p] = take((uint64_t)elements * sizeof(float));
        for (int64_t i = 0; i < elements; i++) {
            setting->weights[p][i] =
                0.3F * (float)spw_random_normal(100 + (uint64_t)p, 0, (uint64_t)i);
        }
    }
    setting->x_elements = spw_shape_elements(&graph->input);
    const int64_t total = options->batch * setting->x_elements;
    setting->x = take((uint64_t)total * 4);
    for (int64_t i = 0; i < total; i++) {
        if (graph->input_dtype == SPW_I32) {
            ((int32_t *)setting->x)[i] =
                (int32_t)(spw_random_word(7, 0, (uint64_t)i) % (uint32_t)graph->classes);
        } else {
            ((float *)setting->x)[i] = (float)spw_random_normal(7, 0, (uint64_t)i);
        }
    }
    const int64_t targets = options->batch * graph->targets_per_item;
    setting->targets = take((uint64_t)targets * sizeof(int32_t));
    for (int64_t i = 0; i < targets; i++) {
        setting->targets[i] =
            (int32_t)(spw_random_word(8, 0, (uint64_t)i) % (uint32_t)graph->classes);
    }
}

static void close_setting(struct setting *setting)
{
    for (int32_t p = 0; p < setting->graph->param_count; p++) {
        free(setting->weights[p]);
    }
    free(setting->weights);
    free(setting->x);
    free(setting->targets);
    spw_lane_destroy(setting->lane);
}

static int64_t items_of(const struct setting *setting, int64_t micro_batch)
{
    const int64_t left = setting->options->batch - micro_batch * setting->options->micro_batch;
    return left < setting->options->micro_batch ? left : setting->options->micro_batch;
}

static void run_call(const struct setting *setting, struct spw_call *call, enum spw_pass pass,
                     int64_t micro_batch, bool training)
{
    call->items = items_of(setting, micro_batch);
    call->step = STEP;
    call->item_offset = (uint64_t)(micro_batch * setting->options->micro_batch);
    call->loss_scale = 1.0F / (float)(setting->options->batch * setting->graph->targets_per_item);
    call->flags |= training ? SPW_CALL_TRAINING : 0;
    if (setting->lane == NULL) {
        spw_op_reference(call, pass);
        return;
    }
    struct spw_error error = {0};
    check_ok(spw_lane_prepare(setting->lane, call->desc, call->items, pass, &error), &error);
    check_ok(spw_lane_run(setting->lane, call, pass, &error), &error);
}

static struct results new_results(const struct setting *setting)
{
    const struct spw_graph *graph = setting->graph;
    struct results results = {.micro_batches = setting->options->micro_batches,
                              .param_count = graph->param_count};
    results.losses = calloc((size_t)results.micro_batches, sizeof(struct spw_loss));
    results.eval_losses = calloc((size_t)results.micro_batches, sizeof(struct spw_loss));
    results.grads = calloc((size_t)graph->param_count, sizeof(float *));
    results.norms = calloc((size_t)graph->param_count, sizeof(double *));
    results.elements = calloc((size_t)graph->param_count, sizeof(int64_t));
    for (int32_t p = 0; p < graph->param_count; p++) {
        results.elements[p] = graph->params[p].elements;
        results.grads[p] = take((uint64_t)results.elements[p] * sizeof(float));
        results.norms[p] = take(spw_norm_chunks((uint64_t)results.elements[p]) * sizeof(double));
    }
    return results;
}

void results_free(struct results *results)
{
    for (int32_t p = 0; p < results->param_count; p++) {
        free(results->grads[p]);
        free(results->norms[p]);
    }
    free(results->grads);
    free(results->norms);
    free(results->elements);
    free(results->losses);
    free(results->eval_losses);
}

static void compare_losses(const struct spw_loss *a, const struct spw_loss *b, int64_t count,
                           const char *what, const char *which)
{
    for (int64_t i = 0; i < count; i++) {
        cr_assert(memcmp(&a[i], &b[i], sizeof(*a)) == 0,
                  "%s: %s loss of micro-batch %d is %.17g, %g right; expected %.17g, %g", what,
                  which, (int)i, a[i].sum, a[i].correct, b[i].sum, b[i].correct);
    }
}

void results_compare(const struct results *results, const struct results *expected,
                     const char *what)
{
    compare_losses(results->losses, expected->losses, expected->micro_batches, what, "training");
    compare_losses(results->eval_losses, expected->eval_losses, expected->micro_batches, what,
                   "evaluation");
    for (int32_t p = 0; p < expected->param_count; p++) {
        for (int64_t i = 0; i < expected->elements[p]; i++) {
            const float *found = &results->grads[p][i];
            const float *wanted = &expected->grads[p][i];
            cr_assert(memcmp(found, wanted, sizeof(float)) == 0,
                      "%s: gradient %d of parameter %d is %.9g, expected %.9g", what, (int)i,
                      (int)p, (double)*found, (double)*wanted);
        }
        const uint64_t chunks = spw_norm_chunks((uint64_t)expected->elements[p]);
        cr_assert(memcmp(results->norms[p], expected->norms[p], chunks * sizeof(double)) == 0,
                  "%s: norm of parameter %d", what, (int)p);
    }
}

static int64_t first_of_group(const struct spw_plan_options *options, int64_t group)
{
    return group * options->micro_batches / options->grad_groups;
}

/* ---- the oracle ---- */

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
    uint64_t bytes;
    struct spw_error error = {0};
    check_ok(spw_op_workspace_bytes(call->desc, oracle->setting->options->micro_batch, pass, 1,
                                    &error, &bytes),
             &error);
    call->workspace = take(bytes);
    run_call(oracle->setting, call, pass, micro_batch, training);
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
    const bool first = micro_batch == first_of_group(setting->options, group);
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
        oracle->y[node] = take(bytes);
        oracle->dy[node] = take(bytes);
        oracle->saved[node] = take(spw_op_saved_bytes(desc, items));
        for (int slot = 0; slot < spw_op_params(desc); slot++) {
            oracle->use[node][slot] = uses[graph->nodes[node].param[slot]]++;
        }
    }
    for (int32_t p = 0; p < graph->param_count; p++) {
        const int64_t count = graph->params[p].uses * oracle->setting->options->grad_groups;
        oracle->dw[p] = calloc((size_t)count, sizeof(float *));
        for (int64_t i = 0; i < count; i++) {
            oracle->dw[p][i] = take((uint64_t)graph->params[p].elements * sizeof(float));
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

/* Folds accumulators: uses in reverse graph order, groups within each. */
static void fold(float *const *accumulators, int64_t uses, int64_t groups, int64_t elements,
                 float *total)
{
    for (int64_t use = uses - 1; use >= 0; use--) {
        for (int64_t group = 0; group < groups; group++) {
            const float *from = accumulators[use * groups + group];
            if (use == uses - 1 && group == 0) {
                memcpy(total, from, (uint64_t)elements * sizeof(float));
            } else {
                spw_accumulate(total, from, (uint64_t)elements, NULL);
            }
        }
    }
}

static void oracle_step(struct oracle *oracle, struct results *results)
{
    const struct spw_graph *graph = oracle->setting->graph;
    const struct spw_plan_options *options = oracle->setting->options;
    for (int64_t group = 0; group < options->grad_groups; group++) {
        const int64_t end = first_of_group(options, group + 1);
        for (int64_t i = first_of_group(options, group); i < end; i++) {
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
    open_setting(&setting, graph, options, fast);
    struct oracle oracle = {.setting = &setting};
    oracle_take(&oracle);
    struct results results = new_results(&setting);
    oracle_step(&oracle, &results);
    for (int32_t p = 0; p < graph->param_count; p++) {
        fold(oracle.dw[p], graph->params[p].uses, options->grad_groups, graph->params[p].elements,
             results.grads[p]);
        spw_norm_partials(results.grads[p], (uint64_t)graph->params[p].elements, results.norms[p],
                          NULL);
    }
    oracle_free(&oracle);
    close_setting(&setting);
    return results;
}

/* ---- plans ---- */

/* Host memory of a plan's run. */
struct homes {
    struct setting *setting;
    const struct spw_plan *plan;
    float **weights;   /* [block] */
    float ***grads;    /* [block][use * groups + group] */
    double **norms;    /* [block] */
    char ***cuts;      /* [border][micro_batch] */
    char ***gradients; /* [border][micro_batch] */
    char ***kept;      /* [shard][micro_batch] */
    char **data;       /* [micro_batch] */
    char **targets;    /* [micro_batch] */
    struct spw_loss *losses;
};

static char ***take_packs(const struct spw_plan *plan, bool kept)
{
    char ***packs = calloc((size_t)plan->shard_count, sizeof(char **));
    for (int32_t s = 0; s < plan->shard_count; s++) {
        packs[s] = calloc((size_t)plan->options.micro_batches, sizeof(char *));
        for (int64_t i = 0; i < plan->options.micro_batches; i++) {
            packs[s][i] = take(kept ? plan->shards[s].kept.bytes : plan->cuts[s].bytes);
        }
    }
    return packs;
}

static void free_packs(const struct spw_plan *plan, char ***packs)
{
    for (int32_t s = 0; s < plan->shard_count; s++) {
        for (int64_t i = 0; i < plan->options.micro_batches; i++) {
            free(packs[s][i]);
        }
        free(packs[s]);
    }
    free(packs);
}

static void take_homes(struct homes *homes)
{
    const struct spw_plan *plan = homes->plan;
    const struct spw_plan_options *options = &plan->options;
    const size_t blocks = (size_t)plan->weight_block_count;
    homes->weights = calloc(blocks, sizeof(float *));
    homes->grads = calloc(blocks, sizeof(float **));
    homes->norms = calloc(blocks, sizeof(double *));
    for (size_t b = 0; b < blocks; b++) {
        const struct spw_weight_block *block = &plan->weight_blocks[b];
        homes->weights[b] = take(block->bytes);
        homes->norms[b] = take(block->norm_partials * sizeof(double));
        for (int32_t i = 0; i < block->segment_count; i++) {
            const struct spw_segment *segment = &block->segments[i];
            memcpy((char *)homes->weights[b] + segment->offset_bytes,
                   homes->setting->weights[segment->param], segment->elements * sizeof(float));
        }
        const int64_t count = block->uses * options->grad_groups;
        homes->grads[b] = calloc((size_t)count, sizeof(float *));
        for (int64_t i = 0; i < count; i++) {
            homes->grads[b][i] = take(block->bytes);
        }
    }
    homes->cuts = take_packs(plan, false);
    homes->gradients = take_packs(plan, false);
    homes->kept = take_packs(plan, true);
    homes->data = calloc((size_t)options->micro_batches, sizeof(char *));
    homes->targets = calloc((size_t)options->micro_batches, sizeof(char *));
    for (int64_t i = 0; i < options->micro_batches; i++) {
        const struct setting *setting = homes->setting;
        const int64_t items = items_of(setting, i);
        const int64_t first = i * options->micro_batch;
        homes->data[i] = homes->cuts[0][i];
        memcpy(homes->data[i], (char *)setting->x + first * setting->x_elements * 4,
               (size_t)(items * setting->x_elements * 4));
        homes->targets[i] = take(plan->targets_bytes);
        memcpy(homes->targets[i], setting->targets + first * setting->graph->targets_per_item,
               (size_t)(items * setting->graph->targets_per_item) * sizeof(int32_t));
    }
}

static void free_homes(struct homes *homes)
{
    const struct spw_plan *plan = homes->plan;
    for (int32_t b = 0; b < plan->weight_block_count; b++) {
        const int64_t count = plan->weight_blocks[b].uses * plan->options.grad_groups;
        for (int64_t i = 0; i < count; i++) {
            free(homes->grads[b][i]);
        }
        free(homes->grads[b]);
        free(homes->weights[b]);
        free(homes->norms[b]);
    }
    free(homes->weights);
    free(homes->grads);
    free(homes->norms);
    free_packs(plan, homes->cuts);
    free_packs(plan, homes->gradients);
    free_packs(plan, homes->kept);
    for (int64_t i = 0; i < plan->options.micro_batches; i++) {
        free(homes->targets[i]);
    }
    free(homes->targets);
    free(homes->data);
}

enum flow { FLOW_BLOCK, FLOW_IN, FLOW_OUT, FLOW_NORM, FLOW_SCRATCH };

static enum flow flow_of(const struct spw_unit_plan *unit, enum spw_binding_kind kind)
{
    switch (kind) {
    case SPW_BIND_WEIGHTS:
    case SPW_BIND_GRADS:
        return FLOW_BLOCK;
    case SPW_BIND_IN:
    case SPW_BIND_TARGETS:
    case SPW_BIND_GRAD_IN:
        return FLOW_IN;
    case SPW_BIND_OUT:
    case SPW_BIND_GRAD_OUT:
    case SPW_BIND_LOSS:
        return FLOW_OUT;
    case SPW_BIND_KEPT:
        return unit->kind == SPW_UNIT_FORWARD ? FLOW_OUT : FLOW_IN;
    case SPW_BIND_NORM:
        return FLOW_NORM;
    case SPW_BIND_SCRATCH:
        break;
    }
    return FLOW_SCRATCH;
}

/* Where a binding lives at home, for a micro-batch of a group. */
static void *home_of(const struct homes *homes, const struct spw_unit_plan *unit,
                     const struct spw_binding *binding, int64_t micro_batch, int64_t group)
{
    const int32_t s = unit->shard;
    switch (binding->kind) {
    case SPW_BIND_WEIGHTS:
        return homes->weights[binding->index];
    case SPW_BIND_GRADS:
        return homes
            ->grads[binding->index][binding->use * homes->plan->options.grad_groups + group];
    case SPW_BIND_IN:
        return homes->cuts[s][micro_batch];
    case SPW_BIND_TARGETS:
        return homes->targets[micro_batch];
    case SPW_BIND_OUT:
        return homes->cuts[s + 1][micro_batch];
    case SPW_BIND_KEPT:
        return homes->kept[s][micro_batch];
    case SPW_BIND_GRAD_IN:
        return homes->gradients[s + 1][micro_batch];
    case SPW_BIND_GRAD_OUT:
        return homes->gradients[s][micro_batch];
    case SPW_BIND_LOSS:
        return &homes->losses[micro_batch];
    case SPW_BIND_NORM:
        return homes->norms[binding->index];
    case SPW_BIND_SCRATCH:
        break;
    }
    return NULL;
}

static void *operand_at(void *const *bindings, struct spw_operand operand)
{
    if (operand.binding == SPW_NO_OPERAND) {
        return NULL;
    }
    return (char *)bindings[operand.binding] + operand.offset_bytes;
}

static void run_instruction(const struct homes *homes, const struct spw_instruction *instruction,
                            void *const *bindings, int64_t micro_batch, bool training,
                            bool accumulate)
{
    if (instruction->kind == SPW_INSTRUCTION_NORM) {
        spw_norm_partials(operand_at(bindings, instruction->dw[0]), instruction->elements,
                          operand_at(bindings, instruction->y), NULL);
        return;
    }
    struct spw_call call = {
        .desc = instruction->desc,
        .flags = instruction->flags | (accumulate ? (uint32_t)SPW_CALL_ACCUMULATE_DW : 0),
        .y = operand_at(bindings, instruction->y),
        .saved = operand_at(bindings, instruction->saved),
        .dy = operand_at(bindings, instruction->dy),
        .targets = operand_at(bindings, instruction->targets),
        .loss = operand_at(bindings, instruction->loss),
        .workspace = operand_at(bindings, instruction->workspace),
    };
    for (int i = 0; i < 2; i++) {
        call.x[i] = operand_at(bindings, instruction->x[i]);
        call.w[i] = operand_at(bindings, instruction->w[i]);
        call.dx[i] = operand_at(bindings, instruction->dx[i]);
        call.dw[i] = operand_at(bindings, instruction->dw[i]);
    }
    run_call(homes->setting, &call, instruction->pass, micro_batch, training);
}

/* Runs a unit for micro-batches [first, end) of a group; what it takes must be what was planned. */
static void run_unit(const struct homes *homes, const struct spw_unit_plan *unit, int64_t group,
                     int64_t first, int64_t end)
{
    const struct spw_program *program = &unit->program;
    void *slots[8][SPW_BINDINGS_MAX];
    uint64_t device_bytes = 0;
    cr_assert(unit->slots >= 1 && unit->slots <= 8);
    cr_assert(program->binding_count <= SPW_BINDINGS_MAX);
    for (int32_t b = 0; b < program->binding_count; b++) {
        const struct spw_binding *binding = &program->bindings[b];
        const enum flow flow = flow_of(unit, binding->kind);
        const bool in_slot = flow == FLOW_IN || flow == FLOW_OUT;
        for (uint32_t slot = 0; slot < unit->slots; slot++) {
            slots[slot][b] = slot == 0 || in_slot ? take(binding->bytes) : slots[0][b];
            if (slot == 0 || in_slot) {
                device_bytes += spw_round_up(binding->bytes, SPW_DEVICE_ALIGNMENT);
            }
        }
        if (binding->kind == SPW_BIND_WEIGHTS) {
            memcpy(slots[0][b], homes->weights[binding->index], binding->bytes);
        }
    }
    cr_assert(device_bytes == unit->device_bytes, "%d bytes were planned, %d taken",
              (int)unit->device_bytes, (int)device_bytes);
    for (int64_t i = first; i < end; i++) {
        void **bindings = slots[i % unit->slots];
        for (int32_t b = 0; b < program->binding_count; b++) {
            const struct spw_binding *binding = &program->bindings[b];
            const enum flow flow = flow_of(unit, binding->kind);
            if (flow == FLOW_IN) {
                memcpy(bindings[b], home_of(homes, unit, binding, i, group), binding->bytes);
            } else if (flow == FLOW_OUT || flow == FLOW_SCRATCH) {
                memset(bindings[b], 0xFF, binding->bytes);
            }
        }
        for (int32_t k = 0; k < program->instruction_count; k++) {
            run_instruction(homes, &program->instructions[k], bindings, i,
                            unit->kind != SPW_UNIT_EVAL, i > first);
        }
        for (int32_t b = 0; b < program->binding_count; b++) {
            const struct spw_binding *binding = &program->bindings[b];
            if (flow_of(unit, binding->kind) == FLOW_OUT) {
                memcpy(home_of(homes, unit, binding, i, group), bindings[b], binding->bytes);
            }
        }
    }
    for (int32_t k = 0; k < program->epilogue_count; k++) {
        run_instruction(homes, &program->epilogue[k], slots[0], first, true, false);
    }
    for (int32_t b = 0; b < program->binding_count; b++) {
        const struct spw_binding *binding = &program->bindings[b];
        const enum flow flow = flow_of(unit, binding->kind);
        if (binding->kind == SPW_BIND_GRADS || flow == FLOW_NORM) {
            memcpy(home_of(homes, unit, binding, first, group), slots[0][b], binding->bytes);
        }
        for (uint32_t slot = 0; slot < (flow == FLOW_IN || flow == FLOW_OUT ? unit->slots : 1);
             slot++) {
            free(slots[slot][b]);
        }
    }
}

static void collect_param(const struct homes *homes, int32_t block_index, int32_t segment_index,
                          struct results *results)
{
    const struct spw_weight_block *block = &homes->plan->weight_blocks[block_index];
    const struct spw_segment *segment = &block->segments[segment_index];
    const int64_t groups = homes->plan->options.grad_groups;
    const int64_t count = block->uses * groups;
    float **parts = calloc((size_t)count, sizeof(float *));
    for (int64_t i = 0; i < count; i++) {
        parts[i] = homes->grads[block_index][i] + segment->offset_bytes / sizeof(float);
    }
    fold(parts, block->uses, groups, (int64_t)segment->elements, results->grads[segment->param]);
    free(parts);
    if (block->reduced) {
        spw_norm_partials(results->grads[segment->param], segment->elements,
                          results->norms[segment->param], NULL);
    } else {
        memcpy(results->norms[segment->param], homes->norms[block_index] + segment->norm_offset,
               spw_norm_chunks(segment->elements) * sizeof(double));
    }
}

struct results plan_run(const struct spw_plan *plan, bool fast)
{
    struct setting setting;
    const struct spw_plan_options *options = &plan->options;
    open_setting(&setting, plan->graph, options, fast);
    struct results results = new_results(&setting);
    struct homes homes = {.setting = &setting, .plan = plan, .losses = results.losses};
    take_homes(&homes);
    for (int64_t group = 0; group < options->grad_groups; group++) {
        const int64_t first = first_of_group(options, group);
        const int64_t end = first_of_group(options, group + 1);
        for (int32_t s = 0; s + 1 < plan->shard_count; s++) {
            run_unit(&homes, &plan->shards[s].forward, group, first, end);
        }
        for (int32_t s = plan->shard_count - 1; s >= 0; s--) {
            run_unit(&homes, &plan->shards[s].backward, group, first, end);
        }
    }
    homes.losses = results.eval_losses;
    for (int32_t s = 0; s < plan->shard_count; s++) {
        run_unit(&homes, &plan->shards[s].eval, 0, 0, options->micro_batches);
    }
    for (int32_t b = 0; b < plan->weight_block_count; b++) {
        for (int32_t i = 0; i < plan->weight_blocks[b].segment_count; i++) {
            collect_param(&homes, b, i, &results);
        }
    }
    free_homes(&homes);
    close_setting(&setting);
    return results;
}
