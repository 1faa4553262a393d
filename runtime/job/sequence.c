/* sequence.c — the order of a job's units within a round, and how far a block's next use is.
 *
 * With n shards one range of micro-batches takes 2n - 1 units: FORWARD of shards 0 .. n-2, the last
 * shard's fused unit, BACKWARD of shards n-2 .. 0. Tested by tests/bits/. */
#include "runtime/job/job.h"

#include "base/assert.h"

static uint32_t chain_length(const struct spw_job *job)
{
    return 2 * (uint32_t)job->plan->shard_count - 1;
}

static int64_t range_micro_batches(const struct spw_job *job, const struct spw_chain *chain)
{
    const int64_t wanted = job->config.unit_micro_batches;
    return wanted > 0 && wanted < chain->micro_batches ? wanted : chain->micro_batches;
}

struct spw_unit_key spw_job_unit(const struct spw_job *job, uint32_t group, uint32_t position)
{
    const struct spw_chain *chain = &job->chains[group];
    SPW_ASSERT(position < chain->units);
    const int32_t shards = job->plan->shard_count;
    if (job->phase != SPW_PHASE_TRAIN) {
        return (struct spw_unit_key){
            .kind = SPW_UNIT_EVAL,
            .shard = (int32_t)position,
            .first_micro_batch = chain->first_micro_batch,
            .micro_batches = chain->micro_batches,
        };
    }
    const uint32_t length = chain_length(job);
    const int64_t range = range_micro_batches(job, chain);
    const int64_t first = (int64_t)(position / length) * range;
    const int32_t at = (int32_t)(position % length);
    const int64_t left = chain->micro_batches - first;
    const bool forward = at < shards - 1;
    return (struct spw_unit_key){
        .kind = forward ? SPW_UNIT_FORWARD : SPW_UNIT_BACKWARD,
        .shard = forward ? at : 2 * shards - 2 - at,
        .first_micro_batch = chain->first_micro_batch + first,
        .micro_batches = left < range ? left : range,
        .first_of_group = first == 0,
        .last_of_group = left <= range,
    };
}

void spw_job_begin_round(struct spw_job *job, enum spw_job_phase phase, int64_t items)
{
    const int64_t size = job->config.micro_batch;
    const int64_t count = (items + size - 1) / size;
    const int64_t groups = phase == SPW_PHASE_TRAIN ? job->config.grad_groups : 1;
    SPW_ASSERT(items > 0 && count <= job->plan->options.micro_batches);
    job->phase = phase;
    job->items = items;
    job->micro_batches = count;
    for (int64_t group = 0; group < job->config.grad_groups; group++) {
        struct spw_chain *chain = &job->chains[group];
        const uint64_t ready_since = chain->ready_since;
        *chain = (struct spw_chain){.ready_since = ready_since};
        if (group >= groups) {
            continue; /* evaluation uses the first chain alone */
        }
        chain->first_micro_batch = group * count / groups;
        chain->micro_batches = (group + 1) * count / groups - chain->first_micro_batch;
        if (chain->micro_batches == 0) {
            continue; /* a short batch may leave a group empty */
        }
        if (phase == SPW_PHASE_TRAIN) {
            const int64_t range = range_micro_batches(job, chain);
            chain->units =
                (uint32_t)((chain->micro_batches + range - 1) / range) * chain_length(job);
        } else {
            chain->units = (uint32_t)job->plan->shard_count;
        }
    }
}

bool spw_job_chains_done(const struct spw_job *job)
{
    for (int64_t group = 0; group < job->config.grad_groups; group++) {
        if (job->chains[group].completed < job->chains[group].units) {
            return false;
        }
    }
    return true;
}

/* Units from chain position `at` of a range to the next use of `shard`, or UINT64_MAX if the range
 * has no more use for it. */
static uint64_t until_in_range(const struct spw_job *job, uint32_t at, int32_t shard)
{
    const uint32_t forward = (uint32_t)shard; /* for the last shard this is its only unit */
    const uint32_t backward = 2 * (uint32_t)job->plan->shard_count - 2 - (uint32_t)shard;
    if (at <= forward) {
        return forward - at;
    }
    return at <= backward ? backward - at : UINT64_MAX;
}

static uint64_t units_until_shard(const struct spw_job *job, const struct spw_chain *chain,
                                  int32_t weight_block, int32_t shard)
{
    const uint64_t blocks = (uint64_t)job->plan->weight_block_count;
    const bool on_device = job->plan->options.update_place == SPW_UPDATE_ON_DEVICE;
    const uint64_t updates = on_device ? blocks : 0;
    if (job->phase == SPW_PHASE_TRAIN) {
        const uint32_t length = chain_length(job);
        const uint32_t at = chain->issued % length;
        const uint64_t here = chain->issued < chain->units ? until_in_range(job, at, shard)
                                                           : UINT64_MAX;
        if (here != UINT64_MAX) {
            return here;
        }
        const uint64_t rest = chain->units - chain->issued;
        return on_device ? rest + (uint64_t)weight_block : rest + (uint64_t)shard;
    }
    if (job->phase == SPW_PHASE_REDUCE || job->phase == SPW_PHASE_UPDATE) {
        if (on_device && (uint32_t)weight_block >= job->block_issued) {
            return (uint64_t)weight_block - job->block_issued;
        }
        return updates - (on_device ? job->block_issued : 0) + (uint64_t)shard;
    }
    const uint32_t at = chain->issued;
    return (uint32_t)shard >= at ? (uint64_t)shard - at
                                 : (uint64_t)(chain->units - at) + (uint64_t)shard;
}

uint64_t spw_job_units_until(const struct spw_job *job, const struct spw_block *block)
{
    const struct spw_weight_block *weight_block = &job->plan->weight_blocks[block->weight_block];
    const int64_t group = block->kind == SPW_BLOCK_GRADS ? block->group : 0;
    const struct spw_chain *chain = &job->chains[group];
    if (block->kind == SPW_BLOCK_GRADS && job->plan->options.update_place == SPW_UPDATE_ON_CORES) {
        return UINT64_MAX;
    }
    if (block->kind == SPW_BLOCK_GRADS) {
        return chain->units - chain->issued + (uint64_t)block->weight_block;
    }
    uint64_t nearest = UINT64_MAX;
    for (int32_t use = 0; use < weight_block->uses; use++) {
        const uint64_t until =
            units_until_shard(job, chain, block->weight_block, weight_block->use_shard[use]);
        nearest = until < nearest ? until : nearest;
    }
    return nearest;
}
