/* job.c — makes and unmakes a job: tables sized by its plan, cursors, times. Homes come later, on
 * admission (homes.c). Tested by tests/bits/. */
#include "runtime/job/job.h"

#include "base/assert.h"
#include <math.h>

static enum spw_status check_config(const struct spw_job_config *config, struct spw_error *error)
{
    const struct spw_data_info *data = spw_dataset_info(config->train);
    const struct spw_graph *graph = config->graph;
    if (config->max_steps == 0 && config->epochs == 0) {
        return SPW_FAIL(error, SPW_ERR_ARGUMENT, "job %s: neither max_steps nor epochs is given",
                        config->id);
    }
    bool same = data->is_tokens == (graph->input_dtype == SPW_I32) &&
                data->rank == graph->input.rank;
    for (int64_t i = 0; same && i < data->rank; i++) {
        same = data->dim[i] == graph->input.dim[i];
    }
    if (!same || data->targets_per_item != graph->targets_per_item) {
        return SPW_FAIL(error, SPW_ERR_ARGUMENT,
                        "job %s: the data's items do not have the shape of the model's input",
                        config->id);
    }
    SPW_TRY(spw_dataset_check_classes(config->train, graph->classes, error));
    return config->valid == NULL ? SPW_OK
                                 : spw_dataset_check_classes(config->valid, graph->classes, error);
}

static enum spw_status make_cursors(struct spw_job *job, struct spw_error *error)
{
    const struct spw_job_config *config = &job->config;
    const bool by_epoch = config->max_steps == 0;
    const struct spw_cursor_config train = {
        .seed = config->seed,
        .shuffle = config->shuffle,
        .batch = config->batch,
        .by_epoch = by_epoch,
    };
    SPW_TRY(spw_cursor_create(job->world, config->train, &train, error, &job->train_cursor));
    job->steps = by_epoch ? config->epochs * spw_cursor_steps_per_epoch(job->train_cursor)
                          : config->max_steps;
    if (config->valid == NULL) {
        return SPW_OK;
    }
    const struct spw_cursor_config valid = {.batch = config->batch, .by_epoch = true};
    SPW_TRY(spw_cursor_create(job->world, config->valid, &valid, error, &job->valid_cursor));
    job->eval_rounds = spw_cursor_steps_per_epoch(job->valid_cursor);
    if (config->eval_batches > 0 && config->eval_batches < job->eval_rounds) {
        job->eval_rounds = config->eval_batches;
    }
    return SPW_OK;
}

/* One block for the weights and one for each accumulator of every weight block. */
static enum spw_status make_blocks(struct spw_job *job, struct spw_error *error)
{
    const struct spw_plan *plan = job->plan;
    const uint64_t count = (uint64_t)plan->weight_block_count;
    const int64_t groups = job->config.grad_groups;
    uint64_t accumulators = 0;
    for (uint64_t b = 0; b < count; b++) {
        const uint64_t of_block = (uint64_t)plan->weight_blocks[b].uses * (uint64_t)groups;
        accumulators += of_block;
        if (of_block > job->accumulators_max) {
            job->accumulators_max = (uint32_t)of_block;
        }
    }
    const struct spw_world *world = job->world;
    SPW_TRY(spw_allocate(world, count + accumulators, sizeof *job->blocks, "a job's blocks", error,
                         &job->blocks));
    SPW_TRY(spw_allocate(world, count, sizeof(void *), "a job's blocks", error, &job->weights));
    SPW_TRY(spw_allocate(world, count * job->accumulators_max, sizeof(void *), "a job's blocks",
                         error, &job->grads));
    SPW_TRY(spw_allocate(world, 2 * count, sizeof(void *), "a job's blocks", error, &job->moments));
    SPW_TRY(spw_allocate(world, count, sizeof(void *), "a job's norms", error, &job->norms));
    SPW_TRY(spw_allocate(world, (uint64_t)job->accumulators_max * SPW_SLOTS_MAX, sizeof(uint64_t),
                         "a job's sums", error, &job->reduce_offsets));
    struct spw_block *next = job->blocks;
    for (uint64_t b = 0; b < count; b++) {
        const struct spw_weight_block *weight_block = &plan->weight_blocks[b];
        *next = (struct spw_block){.kind = SPW_BLOCK_WEIGHTS};
        job->weights[b] = next++;
        for (int64_t i = 0; i < weight_block->uses * groups; i++) {
            *next = (struct spw_block){.kind = SPW_BLOCK_GRADS,
                                       .use = (int32_t)(i / groups),
                                       .group = (int32_t)(i % groups)};
            job->grads[b * job->accumulators_max + (uint64_t)i] = next++;
        }
        for (struct spw_block *block = job->weights[b]; block < next; block++) {
            block->job = job;
            block->job_index = job->index;
            block->weight_block = (int32_t)b;
            block->bytes = weight_block->bytes;
        }
    }
    job->block_count = (uint32_t)(next - job->blocks);
    return SPW_OK;
}

/* An UPDATE writes weights and moments beside the old ones: for each size, one slot of each. */
static enum spw_status make_spares(struct spw_job *job, struct spw_error *error)
{
    const struct spw_plan *plan = job->plan;
    const uint32_t each = 1 + plan->options.moments;
    const uint64_t blocks = (uint64_t)plan->weight_block_count;
    uint64_t *sizes = NULL;
    SPW_TRY(spw_allocate(job->world, blocks * each, sizeof *job->spares, "a job's spare slots",
                         error, &job->spares));
    SPW_TRY(spw_allocate(job->world, blocks, sizeof *sizes, "a job's spare slots", error, &sizes));
    const uint64_t count = spw_plan_spare_slots(plan, sizes);
    for (uint64_t i = 0; i < count * each; i++) {
        job->spares[job->spare_count++].bytes = sizes[i / each];
    }
    spw_release(job->world, sizes);
    return SPW_OK;
}

static enum spw_status make_landing(struct spw_job *job, struct spw_pack_home *pack,
                                    struct spw_error *error)
{
    return spw_allocate(job->world, (uint64_t)job->plan->options.micro_batches,
                        sizeof *pack->landing, "a job's packs", error, &pack->landing);
}

static enum spw_status make_packs(struct spw_job *job, struct spw_error *error)
{
    const uint64_t shards = (uint64_t)job->plan->shard_count;
    SPW_TRY(
        spw_allocate(job->world, shards, sizeof *job->cuts, "a job's packs", error, &job->cuts));
    SPW_TRY(
        spw_allocate(job->world, shards, sizeof *job->kept, "a job's packs", error, &job->kept));
    SPW_TRY(spw_allocate(job->world, shards, sizeof *job->gradients, "a job's packs", error,
                         &job->gradients));
    for (uint64_t shard = 0; shard < shards; shard++) {
        SPW_TRY(make_landing(job, &job->cuts[shard], error));
        SPW_TRY(make_landing(job, &job->kept[shard], error));
        SPW_TRY(make_landing(job, &job->gradients[shard], error));
    }
    return SPW_OK;
}

static enum spw_status make_param_tables(struct spw_job *job, struct spw_error *error)
{
    const struct spw_graph *graph = job->config.graph;
    const uint64_t count = (uint64_t)graph->param_count;
    SPW_TRY(spw_allocate(job->world, count, sizeof(bool), "a job's parameters", error,
                         &job->param_decays));
    SPW_TRY(spw_allocate(job->world, count, sizeof(int32_t), "a job's parameters", error,
                         &job->param_block));
    SPW_TRY(spw_allocate(job->world, count, sizeof(void *), "a job's parameters", error,
                         &job->param_segment));
    for (uint64_t i = 0; i < count; i++) {
        job->param_decays[i] = !job->config.optimizer.decay_matrices_only ||
                               graph->params[i].shape.rank >= 2;
    }
    for (int32_t b = 0; b < job->plan->weight_block_count; b++) {
        const struct spw_weight_block *weight_block = &job->plan->weight_blocks[b];
        for (int32_t i = 0; i < weight_block->segment_count; i++) {
            job->param_segment[weight_block->segments[i].param] = &weight_block->segments[i];
            job->param_block[weight_block->segments[i].param] = b;
        }
    }
    return SPW_OK;
}

/* Estimates for the policies: exact sums are not needed, consistent ones are. */
static enum spw_status make_times(struct spw_job *job, struct spw_error *error)
{
    const struct spw_plan *plan = job->plan;
    const uint32_t shards = (uint32_t)plan->shard_count;
    const uint64_t micro_batches = (uint64_t)plan->options.micro_batches;
    const uint32_t units = 2 * shards - 1;
    SPW_TRY(
        spw_allocate(job->world, units, sizeof(uint64_t), "a job's times", error, &job->unit_ns));
    SPW_TRY(spw_allocate(job->world, units + 1, sizeof(uint64_t), "a job's times", error,
                         &job->remaining_ns));
    bool copies_bind = false, arithmetic_binds = false;
    for (uint32_t at = 0; at < units; at++) {
        const bool forward = at + 1 < shards;
        const struct spw_shard *shard = &plan->shards[forward ? at : units - 1 - at];
        const struct spw_unit_plan *unit = forward ? &shard->forward : &shard->backward;
        job->unit_ns[at] = unit->program.time_ns * micro_batches;
        const uint64_t bytes = unit->weights_bytes + unit->in_bytes * micro_batches;
        if (spw_plan_link_ns(plan, bytes) > job->unit_ns[at]) {
            copies_bind = true;
        } else {
            arithmetic_binds = true;
        }
    }
    job->mixed = copies_bind && arithmetic_binds;
    for (uint32_t at = units; at-- > 0;) {
        job->remaining_ns[at] = job->remaining_ns[at + 1] + job->unit_ns[at];
    }
    for (uint32_t s = 0; s < shards; s++) {
        job->eval_ns += plan->shards[s].eval.program.time_ns * micro_batches;
    }
    job->update_ns = (uint64_t)job->config.graph->parameter_count; /* about a nanosecond each */
    job->step_ns = job->remaining_ns[0] + job->update_ns;
    return SPW_OK;
}

static enum spw_status fill_job(struct spw_job *job, struct spw_error *error)
{
    SPW_TRY(spw_copy_text(job->world, job->config.id, error, &job->id));
    job->config.id = job->id;
    SPW_TRY(make_cursors(job, error));
    SPW_TRY(make_blocks(job, error));
    SPW_TRY(make_spares(job, error));
    SPW_TRY(make_packs(job, error));
    SPW_TRY(make_param_tables(job, error));
    SPW_TRY(make_times(job, error));
    return spw_allocate(job->world, (uint64_t)job->config.grad_groups, sizeof *job->chains,
                        "a job's chains", error, &job->chains);
}

static void destroy_job(struct spw_job *job);

enum spw_status spw_job_create(struct spw_run *run, const struct spw_world *world,
                               const struct spw_job_config *config, struct spw_plan *plan,
                               uint32_t index, struct spw_error *error, struct spw_job **out)
{
    SPW_TRY(check_config(config, error));
    struct spw_job *job = NULL;
    SPW_TRY(spw_allocate(world, 1, sizeof *job, "a job", error, &job));
    job->world = world;
    job->run = run;
    job->index = index;
    job->config = *config;
    job->state = SPW_JOB_WAITING;
    job->phase = SPW_PHASE_FEED;
    job->last_loss = NAN;
    job->best_eval_loss = NAN;
    job->best_accuracy = NAN;
    job->last_eval_loss = NAN;
    job->last_accuracy = NAN;
    job->plan = plan;
    const enum spw_status status = fill_job(job, error);
    if (status != SPW_OK) {
        destroy_job(job);
        return status;
    }
    *out = job;
    return SPW_OK;
}

static void destroy_packs(struct spw_job *job)
{
    for (int32_t shard = 0; job->plan != NULL && shard < job->plan->shard_count; shard++) {
        if (job->cuts != NULL) {
            spw_release(job->world, job->cuts[shard].landing);
        }
        if (job->kept != NULL) {
            spw_release(job->world, job->kept[shard].landing);
        }
        if (job->gradients != NULL) {
            spw_release(job->world, job->gradients[shard].landing);
        }
    }
    spw_release(job->world, job->cuts);
    spw_release(job->world, job->kept);
    spw_release(job->world, job->gradients);
}

/* All but the plan, which a failed creation leaves to the caller. */
static void destroy_job(struct spw_job *job)
{
    const struct spw_world *world = job->world;
    spw_job_release_homes(job);
    destroy_packs(job);
    spw_cursor_destroy(job->train_cursor);
    spw_cursor_destroy(job->valid_cursor);
    void *const tables[] = {
        job->blocks,
        job->weights,
        job->grads,
        job->moments,
        job->spares,
        job->norms,
        job->unit_ns,
        job->reduce_offsets,
        job->chains,
        job->param_decays,
        job->param_block,
        job->remaining_ns,
        (void *)job->param_segment,
        job->id,
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        spw_release(world, tables[i]);
    }
    spw_release(world, job);
}

void spw_job_destroy(struct spw_job *job)
{
    if (job == NULL) {
        return;
    }
    struct spw_plan *plan = job->plan;
    destroy_job(job);
    spw_plan_destroy(plan);
}
