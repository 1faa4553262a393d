/* in_memory.c — see in_memory.h. */
#include "in_memory.h"

#include "kernels/lane.h"
#include "measure.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where the parts of a job lie. `packs` many of each border's: one per micro-batch, or one. */
struct in_memory {
    const struct spw_job_config *job;
    const struct spw_graph *graph;
    const struct spw_plan *plan;
    enum in_memory_order order;
    struct spw_pool *pool;
    struct spw_lane *lane;
    struct spw_cursor *cursor;
    uint64_t step; /* finished */
    int64_t packs;
    float **weights, **moments[2];    /* [block] */
    float ***grads;                   /* [block][use] */
    double **norms;                   /* [block] */
    char **cuts, **gradients, **kept; /* [shard], a micro-batch's pack after the other */
    char *targets;
    struct spw_loss *losses; /* [micro-batch] */
    char *scratch;
};

/* ---- memory ---- */

static void *take(uint64_t bytes)
{
    const uint64_t rounded = (bytes + 63) / 64 * 64;
    void *memory = aligned_alloc(64, rounded > 0 ? rounded : 64);
    if (memory == NULL) {
        bench_fail("no memory for the in-memory run", NULL);
    }
    memset(memory, 0, rounded);
    return memory;
}

static uint64_t rounded(uint64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static void take_blocks(struct in_memory *it)
{
    const struct spw_plan *plan = it->plan;
    const uint64_t count = (uint64_t)plan->weight_block_count;
    struct spw_error error = {0};
    it->weights = take(count * sizeof *it->weights);
    it->grads = take(count * sizeof *it->grads);
    it->norms = take(count * sizeof *it->norms);
    it->moments[0] = take(count * sizeof *it->moments[0]);
    it->moments[1] = take(count * sizeof *it->moments[1]);
    for (uint64_t b = 0; b < count; b++) {
        const struct spw_weight_block *block = &plan->weight_blocks[b];
        it->weights[b] = take(block->bytes);
        it->norms[b] = take(block->norm_partials * sizeof(double));
        for (uint32_t m = 0; m < plan->options.moments; m++) {
            it->moments[m][b] = take(block->bytes);
        }
        it->grads[b] = take((uint64_t)block->uses * sizeof **it->grads);
        for (int32_t use = 0; use < block->uses; use++) {
            it->grads[b][use] = take(block->bytes);
        }
        for (int32_t i = 0; i < block->segment_count; i++) {
            const struct spw_segment *segment = &block->segments[i];
            BENCH_MUST(spw_graph_initial(it->graph, segment->param, it->job->seed,
                                         it->weights[b] + segment->offset_bytes / sizeof(float),
                                         &error),
                       &error);
        }
    }
}

static void take_packs(struct in_memory *it)
{
    const struct spw_plan *plan = it->plan;
    const uint64_t shards = (uint64_t)plan->shard_count, packs = (uint64_t)it->packs;
    it->cuts = take(shards * sizeof *it->cuts);
    it->gradients = take(shards * sizeof *it->gradients);
    it->kept = take(shards * sizeof *it->kept);
    for (uint64_t s = 0; s < shards; s++) {
        it->cuts[s] = take(packs * rounded(plan->cuts[s].bytes));
        it->gradients[s] = take(packs * rounded(plan->cuts[s].bytes));
        it->kept[s] = take(packs * rounded(plan->shards[s].kept.bytes));
    }
    it->targets = take(packs * rounded(plan->targets_bytes));
    it->losses = take((uint64_t)plan->options.micro_batches * sizeof *it->losses);
}

static uint64_t scratch_bytes(const struct spw_plan *plan)
{
    uint64_t most = 0;
    for (int32_t s = 0; s < plan->shard_count; s++) {
        const uint64_t forward = plan->shards[s].forward.scratch_bytes;
        const uint64_t backward = plan->shards[s].backward.scratch_bytes;
        most = forward > most ? forward : most;
        most = backward > most ? backward : most;
    }
    return most;
}

static void prepare(struct in_memory *it, const struct spw_program *program, int64_t items)
{
    struct spw_error error = {0};
    for (int32_t i = 0; i < program->instruction_count; i++) {
        const struct spw_instruction *instruction = &program->instructions[i];
        if (instruction->kind == SPW_INSTRUCTION_CALL) {
            BENCH_MUST(
                spw_lane_prepare(it->lane, instruction->desc, items, instruction->pass, &error),
                &error);
        }
    }
}

struct in_memory *in_memory_create(const struct spw_job_config *job, const struct spw_plan *plan,
                                   uint32_t threads, enum in_memory_order order)
{
    const struct spw_world *world = spw_world_system();
    const struct spw_cursor_config data = {
        .seed = job->seed, .shuffle = job->shuffle, .batch = job->batch};
    struct spw_error error = {0};
    struct in_memory *it = take(sizeof *it);
    *it = (struct in_memory){.job = job, .graph = job->graph, .plan = plan, .order = order};
    if (job->grad_groups != 1 || job->batch % job->micro_batch != 0) {
        bench_fail("in memory: one gradient group and equal micro-batches", NULL);
    }
    it->packs = order == IN_MEMORY_BY_SHARD ? plan->options.micro_batches : 1;
    BENCH_MUST(spw_pool_create(world, threads, NULL, &error, &it->pool), &error);
    BENCH_MUST(spw_lane_create(world, it->pool, false, &error, &it->lane), &error);
    BENCH_MUST(spw_cursor_create(world, job->train, &data, &error, &it->cursor), &error);
    take_blocks(it);
    take_packs(it);
    it->scratch = take(scratch_bytes(plan));
    for (int32_t s = 0; s < plan->shard_count; s++) {
        prepare(it, &plan->shards[s].forward.program, job->micro_batch);
        prepare(it, &plan->shards[s].backward.program, job->micro_batch);
    }
    return it;
}

void in_memory_destroy(struct in_memory *it)
{
    for (int32_t b = 0; b < it->plan->weight_block_count; b++) {
        for (int32_t use = 0; use < it->plan->weight_blocks[b].uses; use++) {
            free(it->grads[b][use]);
        }
        free(it->grads[b]);
        free(it->weights[b]);
        free(it->norms[b]);
        free(it->moments[0][b]);
        free(it->moments[1][b]);
    }
    for (int32_t s = 0; s < it->plan->shard_count; s++) {
        free(it->cuts[s]);
        free(it->gradients[s]);
        free(it->kept[s]);
    }
    free(it->grads);
    free(it->weights);
    free(it->norms);
    free(it->moments[0]);
    free(it->moments[1]);
    free(it->cuts);
    free(it->gradients);
    free(it->kept);
    free(it->targets);
    free(it->losses);
    free(it->scratch);
    spw_cursor_destroy(it->cursor);
    spw_lane_destroy(it->lane);
    spw_pool_destroy(it->pool);
    free(it);
}

/* ---- a unit, for one micro-batch ---- */

static char *pack(const struct in_memory *it, char *first, uint64_t bytes, int64_t micro_batch)
{
    return first + (uint64_t)(micro_batch % it->packs) * rounded(bytes);
}

static void *place(const struct in_memory *it, int32_t s, const struct spw_binding *binding,
                   int64_t m)
{
    const struct spw_plan *plan = it->plan;
    switch (binding->kind) {
    case SPW_BIND_WEIGHTS:
        return it->weights[binding->index];
    case SPW_BIND_GRADS:
        return it->grads[binding->index][binding->use];
    case SPW_BIND_IN:
        return pack(it, it->cuts[s], plan->cuts[s].bytes, m);
    case SPW_BIND_TARGETS:
        return pack(it, it->targets, plan->targets_bytes, m);
    case SPW_BIND_OUT:
        return pack(it, it->cuts[s + 1], plan->cuts[s + 1].bytes, m);
    case SPW_BIND_KEPT:
        return pack(it, it->kept[s], plan->shards[s].kept.bytes, m);
    case SPW_BIND_GRAD_IN:
        return pack(it, it->gradients[s + 1], plan->cuts[s + 1].bytes, m);
    case SPW_BIND_GRAD_OUT:
        return pack(it, it->gradients[s], plan->cuts[s].bytes, m);
    case SPW_BIND_LOSS:
        return &it->losses[m];
    case SPW_BIND_NORM:
        return it->norms[binding->index];
    case SPW_BIND_SCRATCH:
        return it->scratch;
    }
    return NULL;
}

static void *operand_at(void *const *bindings, struct spw_operand operand)
{
    return operand.binding == SPW_NO_OPERAND
               ? NULL
               : (char *)bindings[operand.binding] + operand.offset_bytes;
}

static void run_instruction(struct in_memory *it, const struct spw_instruction *instruction,
                            void *const *bindings, int64_t m)
{
    if (instruction->kind == SPW_INSTRUCTION_NORM) {
        spw_norm_partials(operand_at(bindings, instruction->dw[0]), instruction->elements,
                          operand_at(bindings, instruction->y), it->pool);
        return;
    }
    const double rows = (double)it->job->batch * (double)it->graph->targets_per_item;
    struct spw_error error = {0};
    struct spw_call call = {
        .desc = instruction->desc,
        .items = it->job->micro_batch,
        .flags = instruction->flags | SPW_CALL_TRAINING | (m > 0 ? SPW_CALL_ACCUMULATE_DW : 0u),
        .step = it->step + 1,
        .item_offset = (uint64_t)(m * it->job->micro_batch),
        .loss_scale = (float)(1.0 / rows),
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
    BENCH_MUST(spw_lane_run(it->lane, &call, instruction->pass, &error), &error);
}

static void run_unit(struct in_memory *it, int32_t s, const struct spw_unit_plan *unit, int64_t m)
{
    const struct spw_program *program = &unit->program;
    void *bindings[SPW_BINDINGS_MAX];
    for (int32_t b = 0; b < program->binding_count; b++) {
        bindings[b] = place(it, s, &program->bindings[b], m);
    }
    for (int32_t i = 0; i < program->instruction_count; i++) {
        run_instruction(it, &program->instructions[i], bindings, m);
    }
    if (m + 1 == it->plan->options.micro_batches) {
        for (int32_t i = 0; i < program->epilogue_count; i++) {
            run_instruction(it, &program->epilogue[i], bindings, m);
        }
    }
}

/* ---- a step ---- */

static void gather(struct in_memory *it, int64_t m)
{
    const int64_t items = it->job->micro_batch;
    spw_cursor_gather(it->cursor, it->step + 1, m * items, items,
                      pack(it, it->cuts[0], it->plan->cuts[0].bytes, m),
                      (int32_t *)(void *)pack(it, it->targets, it->plan->targets_bytes, m));
}

static void passes_by_shard(struct in_memory *it)
{
    const struct spw_plan *plan = it->plan;
    const int32_t last = plan->shard_count - 1;
    for (int64_t m = 0; m < plan->options.micro_batches; m++) {
        gather(it, m);
    }
    for (int32_t s = 0; s < last; s++) {
        for (int64_t m = 0; m < plan->options.micro_batches; m++) {
            run_unit(it, s, &plan->shards[s].forward, m);
        }
    }
    for (int32_t s = last; s >= 0; s--) {
        for (int64_t m = 0; m < plan->options.micro_batches; m++) {
            run_unit(it, s, &plan->shards[s].backward, m);
        }
    }
}

static void passes_by_micro_batch(struct in_memory *it)
{
    const struct spw_plan *plan = it->plan;
    const int32_t last = plan->shard_count - 1;
    for (int64_t m = 0; m < plan->options.micro_batches; m++) {
        gather(it, m);
        for (int32_t s = 0; s < last; s++) {
            run_unit(it, s, &plan->shards[s].forward, m);
        }
        for (int32_t s = last; s >= 0; s--) {
            run_unit(it, s, &plan->shards[s].backward, m);
        }
    }
}

/* Adds the accumulators of tied parameters, last use first, into the last one's. */
static float *total_gradient(struct in_memory *it, int32_t b)
{
    const struct spw_weight_block *block = &it->plan->weight_blocks[b];
    float *const total = it->grads[b][block->uses - 1];
    for (int32_t use = block->uses - 1; use-- > 0;) {
        spw_accumulate(total, it->grads[b][use], block->bytes / sizeof(float), it->pool);
    }
    return total;
}

static const struct spw_segment *find_segment(const struct spw_plan *plan, int32_t param,
                                              int32_t *block)
{
    for (*block = 0; *block < plan->weight_block_count; (*block)++) {
        const struct spw_weight_block *at = &plan->weight_blocks[*block];
        for (int32_t i = 0; i < at->segment_count; i++) {
            if (at->segments[i].param == param) {
                return &at->segments[i];
            }
        }
    }
    bench_fail("a parameter in no block", NULL);
    return NULL;
}

/* The sum runs over all partial sums in parameter order. */
static double gradient_norm(struct in_memory *it)
{
    double sum = 0;
    for (int32_t b = 0; b < it->plan->weight_block_count; b++) {
        const struct spw_weight_block *block = &it->plan->weight_blocks[b];
        const float *total = total_gradient(it, b);
        for (int32_t i = 0; block->reduced && i < block->segment_count; i++) {
            const struct spw_segment *segment = &block->segments[i];
            spw_norm_partials(total + segment->offset_bytes / sizeof(float), segment->elements,
                              it->norms[b] + segment->norm_offset, it->pool);
        }
    }
    for (int32_t p = 0; p < it->graph->param_count; p++) {
        int32_t b;
        const struct spw_segment *segment = find_segment(it->plan, p, &b);
        for (uint64_t i = 0; i < spw_norm_chunks(segment->elements); i++) {
            sum += it->norms[b][segment->norm_offset + i];
        }
    }
    return sqrt(sum);
}

static void update(struct in_memory *it, double lr, double norm)
{
    const struct spw_optimizer_config *optimizer = &it->job->optimizer;
    for (int32_t b = 0; b < it->plan->weight_block_count; b++) {
        const struct spw_weight_block *block = &it->plan->weight_blocks[b];
        const float *total = it->grads[b][block->uses - 1];
        for (int32_t i = 0; i < block->segment_count; i++) {
            const struct spw_segment *segment = &block->segments[i];
            const uint64_t at = segment->offset_bytes / sizeof(float);
            const bool decays = !optimizer->decay_matrices_only ||
                                it->graph->params[segment->param].shape.rank >= 2;
            float *w = it->weights[b] + at;
            struct spw_update_call call = {
                .scalars = spw_update_scalars(optimizer, lr, it->step + 1, norm, decays),
                .count = segment->elements,
                .w = w,
                .g = total + at,
                .w_out = w,
            };
            for (uint32_t m = 0; m < it->plan->options.moments; m++) {
                call.moments[m] = it->moments[m][b] + at;
                call.moments_out[m] = it->moments[m][b] + at;
            }
            spw_update_run(&call, it->pool);
        }
    }
}

struct spw_step_result in_memory_step(struct in_memory *it)
{
    const struct spw_job_config *job = it->job;
    const double rows = (double)job->batch * (double)it->graph->targets_per_item;
    double sum = 0;
    if (it->order == IN_MEMORY_BY_SHARD) {
        passes_by_shard(it);
    } else {
        passes_by_micro_batch(it);
    }
    for (int64_t m = 0; m < it->plan->options.micro_batches; m++) {
        sum += it->losses[m].sum;
    }
    const double norm = gradient_norm(it);
    const double lr = spw_schedule_lr(&job->schedule, job->lr, it->step + 1, job->max_steps);
    update(it, lr, norm);
    it->step++;
    return (struct spw_step_result){
        .step = it->step,
        .loss = sum / rows,
        .grad_norm = norm,
        .lr = lr,
        .items = (uint64_t)job->batch,
        .end_ns = spw_now_ns(spw_world_system()),
    };
}

double in_memory_run(struct in_memory *it, uint64_t steps)
{
    const uint64_t begin = spw_now_ns(spw_world_system());
    for (uint64_t i = 0; i < steps; i++) {
        (void)in_memory_step(it);
    }
    return (double)(spw_now_ns(spw_world_system()) - begin) / 1e9;
}
