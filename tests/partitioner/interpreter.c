/* interpreter.c — plans over plain memory: see interpreter.h. */
#include "setting.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

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
            packs[s][i] = setting_take(kept ? plan->shards[s].kept.bytes : plan->cuts[s].bytes);
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
        homes->weights[b] = setting_take(block->bytes);
        homes->norms[b] = setting_take(block->norm_partials * sizeof(double));
        for (int32_t i = 0; i < block->segment_count; i++) {
            const struct spw_segment *segment = &block->segments[i];
            memcpy((char *)homes->weights[b] + segment->offset_bytes,
                   homes->setting->weights[segment->param], segment->elements * sizeof(float));
        }
        const int64_t count = block->uses * options->grad_groups;
        homes->grads[b] = calloc((size_t)count, sizeof(float *));
        for (int64_t i = 0; i < count; i++) {
            homes->grads[b][i] = setting_take(block->bytes);
        }
    }
    homes->cuts = take_packs(plan, false);
    homes->gradients = take_packs(plan, false);
    homes->kept = take_packs(plan, true);
    homes->data = calloc((size_t)options->micro_batches, sizeof(char *));
    homes->targets = calloc((size_t)options->micro_batches, sizeof(char *));
    for (int64_t i = 0; i < options->micro_batches; i++) {
        homes->targets[i] = setting_take(plan->targets_bytes);
        homes->data[i] = homes->cuts[0][i];
    }
    for (int64_t i = 0; i < homes->setting->options->micro_batches; i++) {
        const struct setting *setting = homes->setting;
        const int64_t items = setting_items(setting, i);
        const int64_t first = i * options->micro_batch;
        memcpy(homes->data[i], (char *)setting->x + first * setting->x_elements * 4,
               (size_t)(items * setting->x_elements * 4));
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
    setting_run(homes->setting, &call, instruction->pass, micro_batch, training);
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
            slots[slot][b] = slot == 0 || in_slot ? setting_take(binding->bytes) : slots[0][b];
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
    results_fold(parts, block->uses, groups, (int64_t)segment->elements,
                 results->grads[segment->param]);
    free(parts);
    if (block->reduced) {
        spw_norm_partials(results->grads[segment->param], segment->elements,
                          results->norms[segment->param], NULL);
    } else {
        memcpy(results->norms[segment->param], homes->norms[block_index] + segment->norm_offset,
               spw_norm_chunks(segment->elements) * sizeof(double));
    }
}

struct results plan_run(const struct spw_plan *plan, int64_t batch, bool fast)
{
    struct setting setting;
    struct spw_plan_options used = plan->options;
    const struct spw_plan_options *options = &used;
    used.batch = batch;
    used.micro_batches = (batch + used.micro_batch - 1) / used.micro_batch;
    setting_open(&setting, plan->graph, options, fast);
    struct results results = results_new(&setting);
    struct homes homes = {.setting = &setting, .plan = plan, .losses = results.losses};
    take_homes(&homes);
    for (int64_t group = 0; group < options->grad_groups; group++) {
        const int64_t first = setting_group_first(options, group);
        const int64_t end = setting_group_first(options, group + 1);
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
    setting_close(&setting);
    return results;
}
