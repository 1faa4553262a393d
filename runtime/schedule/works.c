/* works.c — what a unit computes: a program over a micro-batch, or the optimizer over a piece. */
#include "runtime/schedule/issue.h"

#include "base/assert.h"

struct spw_block *spw_unit_accumulator(const struct spw_unit *unit, uint32_t i)
{
    const struct spw_job *job = unit->job;
    const uint32_t groups = (uint32_t)job->config.grad_groups;
    const int32_t uses = job->plan->weight_blocks[unit->key.shard].uses;
    return spw_job_grads(job, unit->key.shard, uses - 1 - (int32_t)(i / groups), i % groups);
}

uint32_t spw_unit_accumulator_count(const struct spw_unit *unit)
{
    return (uint32_t)(unit->job->plan->weight_blocks[unit->key.shard].uses *
                      unit->job->config.grad_groups);
}

static struct spw_work program_work(const struct spw_unit *unit, int64_t index)
{
    const struct spw_job *job = unit->job;
    const struct spw_program *program = &unit->plan->program;
    const int64_t micro_batch = unit->key.first_micro_batch + index;
    const int64_t size = job->config.micro_batch;
    const int64_t first_item = micro_batch * size;
    const int64_t left = job->items - first_item;
    const bool train = job->phase != SPW_PHASE_EVAL;
    const bool last = index + 1 == unit->count;
    const double rows = (double)job->items * (double)job->config.graph->targets_per_item;
    const int64_t items = left < size ? left : size;
    struct spw_work work = {
        .kind = SPW_WORK_PROGRAM,
        .model_ns = program->time_ns * (uint64_t)items / (uint64_t)size,
        .program =
            {
                .program = program,
                .items = items,
                .step = job->now.step,
                .item_offset = (uint64_t)first_item,
                .loss_scale = (float)(1.0 / rows),
                .training = train,
                .accumulate_dw = !(unit->key.first_of_group && index == 0),
                .epilogue = unit->key.last_of_group && last,
                .check = job->phase == SPW_PHASE_DIAGNOSE,
            },
    };
    const uint64_t slot = spw_unit_slot(unit, index);
    for (int32_t i = 0; i < program->binding_count; i++) {
        const bool moves = spw_binding_in_slot(program->bindings[i].kind);
        work.program.binding_offset[i] = unit->binding_offset[i] + (moves ? slot : 0);
    }
    return work;
}

static struct spw_work update_work(const struct spw_place *place, const struct spw_unit *unit,
                                   int64_t index, const struct spw_piece *piece)
{
    const struct spw_job *job = unit->job;
    const int32_t b = unit->key.shard;
    struct spw_work work = {
        .kind = SPW_WORK_UPDATE,
        .model_ns = piece->bytes / sizeof(float),
        .update =
            {
                .scalars = {job->scalars[0], job->scalars[1]},
                .block = &job->plan->weight_blocks[b],
                .param_decays = job->param_decays,
                .piece = *piece,
            },
    };
    const uint32_t moments = job->plan->options.moments;
    if (place->is_cores) {
        const struct spw_home *home = job->home;
        work.update.weights = spw_home_offset(home, job->weights[b]->home);
        work.update.grads = spw_home_offset(home, spw_executor_total(job, b)->home);
        work.update.weights_out = spw_home_offset(home, unit->update_weights);
        for (uint32_t i = 0; i < moments; i++) {
            work.update.moments[i] = spw_home_offset(home, job->moments[2 * b + (int32_t)i]);
            work.update.moments_out[i] = spw_home_offset(home, unit->update_moments[i]);
        }
        return work;
    }
    work.update.weights = unit->weights_here
                              ? spw_block_offset(place, job->weights[b]) + piece->offset_bytes
                              : spw_unit_piece_array(unit, index, 0);
    work.update.grads =
        unit->grads_here ? spw_block_offset(place, spw_executor_total(job, b)) + piece->offset_bytes
                         : spw_unit_piece_array(unit, index, 1);
    work.update.weights_out = work.update.weights;
    for (uint32_t i = 0; i < moments; i++) {
        work.update.moments[i] = spw_unit_piece_array(unit, index, 2 + i);
        work.update.moments_out[i] = work.update.moments[i];
    }
    return work;
}

static struct spw_work reduce_work(const struct spw_place *place, const struct spw_unit *unit,
                                   int64_t index, const struct spw_piece *piece)
{
    struct spw_job *job = unit->job;
    const int32_t b = unit->key.shard;
    const uint32_t count = spw_unit_accumulator_count(unit);
    uint64_t *offsets = job->reduce_offsets + (uint64_t)index % unit->slots * count;
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct spw_block *block = spw_unit_accumulator(unit, i);
        if (job->chains[block->group].micro_batches == 0) {
            continue; /* a short batch left this group empty: its accumulator is stale */
        }
        /* Offsets depend on the slot alone; once written, the device may be reading them. */
        if (index < unit->slots) {
            offsets[used] = place->is_cores ? spw_home_offset(job->home, block->home)
                                            : spw_unit_piece_array(unit, index, i);
        }
        used++;
    }
    SPW_ASSERT(used > 0);
    const uint32_t uses = (uint32_t)job->plan->weight_blocks[b].uses;
    return (struct spw_work){
        .kind = SPW_WORK_REDUCE,
        .model_ns = piece->bytes / sizeof(float),
        .reduce =
            {
                .block = &job->plan->weight_blocks[b],
                .piece = *piece,
                .accumulators = used,
                .grads = offsets,
                .uses = uses,
                .groups = used / uses,
                .grads_out = place->is_cores
                                 ? spw_home_offset(job->home, spw_unit_accumulator(unit, 0)->home)
                                 : spw_unit_piece_array(unit, index, 0),
                .norm_out = place->is_cores ? spw_home_offset(job->home, job->norms[b])
                                            : spw_unit_piece_array(unit, index, count),
            },
    };
}

struct spw_work spw_unit_work(const struct spw_place *place, const struct spw_unit *unit,
                              int64_t index)
{
    if (!spw_unit_streams_pieces(unit)) {
        return program_work(unit, index);
    }
    const struct spw_weight_block *block = &unit->job->plan->weight_blocks[unit->key.shard];
    const struct spw_piece whole = {.bytes = block->bytes, .norm_count = block->norm_partials};
    const struct spw_piece piece = place->is_cores ? whole : unit->plan->pieces[index];
    return unit->key.kind == SPW_UNIT_UPDATE ? update_work(place, unit, index, &piece)
                                             : reduce_work(place, unit, index, &piece);
}
