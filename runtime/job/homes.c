/* homes.c — a job's host memory: one range of exact size, carved into homes at admission.
 *
 * Layout, in order: each weight block with its accumulators, moments, spare slots, partial sums,
 * packs, feeds. Weights and moments have spare slots, so that a new version lands beside the old
 * one and both are whole until the switch; gradients and packs are rewritten in place, since they
 * live within one step. Tested by tests/bits/. */
#include "runtime/job/job.h"

#include "base/assert.h"
#include "base/checked.h"
#include "base/hash.h"
#include <string.h>

/* Counts when `base` is NULL, hands out otherwise. */
struct carver {
    char *base;
    uint64_t used_bytes;
};

static void *carve(struct carver *carver, uint64_t bytes)
{
    void *out = carver->base != NULL ? carver->base + carver->used_bytes : NULL;
    carver->used_bytes += spw_round_up(bytes, SPW_DEVICE_ALIGNMENT);
    return out;
}

static void carve_blocks(struct spw_job *job, struct carver *carver)
{
    for (uint32_t i = 0; i < job->block_count; i++) {
        job->blocks[i].home = carve(carver, job->blocks[i].bytes);
    }
    for (int32_t block = 0; block < job->plan->weight_block_count; block++) {
        for (uint32_t moment = 0; moment < job->plan->options.moments; moment++) {
            job->moments[2 * block + (int32_t)moment] =
                carve(carver, job->plan->weight_blocks[block].bytes);
        }
    }
    for (uint32_t i = 0; i < job->spare_count; i++) {
        job->spares[i].home = carve(carver, job->spares[i].bytes);
    }
    for (int32_t block = 0; block < job->plan->weight_block_count; block++) {
        job->norms[block] =
            carve(carver, job->plan->weight_blocks[block].norm_partials * sizeof(double));
    }
}

static void carve_pack(struct spw_pack_home *pack, uint64_t bytes, uint64_t micro_batches,
                       struct carver *carver)
{
    pack->stride_bytes = spw_round_up(bytes, SPW_DEVICE_ALIGNMENT);
    pack->home = bytes > 0 ? carve(carver, pack->stride_bytes * micro_batches) : NULL;
}

static void carve_packs(struct spw_job *job, struct carver *carver)
{
    const struct spw_plan *plan = job->plan;
    const uint64_t micro_batches = (uint64_t)plan->options.micro_batches;
    uint64_t largest = 0;
    for (int32_t shard = 1; shard < plan->shard_count; shard++) {
        const uint64_t bytes = plan->cuts[shard].bytes;
        carve_pack(&job->cuts[shard], bytes, micro_batches, carver);
        largest = bytes > largest ? bytes : largest;
    }
    for (int32_t shard = 0; shard < plan->shard_count; shard++) {
        carve_pack(&job->kept[shard], plan->shards[shard].kept.bytes, micro_batches, carver);
    }
    struct spw_pack_home ranges[2];
    carve_pack(&ranges[0], largest, micro_batches, carver);
    carve_pack(&ranges[1], largest, micro_batches, carver);
    for (int32_t shard = 1; shard < plan->shard_count; shard++) {
        job->gradients[shard].home = ranges[shard % 2].home;
        job->gradients[shard].stride_bytes = ranges[shard % 2].stride_bytes;
    }
    carve_pack(&job->losses, sizeof(struct spw_loss), micro_batches, carver);
    job->x_stride_bytes = spw_round_up(plan->cuts[0].bytes, SPW_DEVICE_ALIGNMENT);
    job->targets_stride_bytes = spw_round_up(plan->targets_bytes, SPW_DEVICE_ALIGNMENT);
    for (int feed = 0; feed < 2; feed++) {
        job->feeds[feed].x = carve(carver, job->x_stride_bytes * micro_batches);
        job->feeds[feed].targets = carve(carver, job->targets_stride_bytes * micro_batches);
    }
}

static uint64_t carve_all(struct spw_job *job, char *base)
{
    struct carver carver = {.base = base};
    carve_blocks(job, &carver);
    carve_packs(job, &carver);
    return carver.used_bytes;
}

uint64_t spw_job_home_bytes(struct spw_job *job)
{
    SPW_ASSERT(job->home == NULL); /* counting forgets the homes */
    return carve_all(job, NULL);
}

/* Values of one array of a weight block, each parameter's from its first byte on, however blocks
 * are cut; paddings are zeros, whose value is 0. */
static void fill_array(struct spw_job *job, const struct spw_weight_block *block, const char *home,
                       uint64_t key)
{
    spw_home_shadow_write(job->home, home, block->bytes, 0);
    for (int32_t i = 0; i < block->segment_count; i++) {
        const struct spw_segment *segment = &block->segments[i];
        const uint64_t value = key != 0 ? spw_shadow_mix(key, (uint64_t)segment->param) : 0;
        spw_home_shadow_write(job->home, home + segment->offset_bytes,
                              segment->elements * sizeof(float), value);
    }
}

/* What homes with memory would hold before the first step. */
static void fill_shadow(struct spw_job *job)
{
    const uint64_t key = spw_hash_text(job->id, job->config.seed);
    for (int32_t block = 0; block < job->plan->weight_block_count; block++) {
        const struct spw_weight_block *weight_block = &job->plan->weight_blocks[block];
        fill_array(job, weight_block, job->weights[block]->home, key);
        for (uint32_t moment = 0; moment < job->plan->options.moments; moment++) {
            fill_array(job, weight_block, job->moments[2 * block + (int32_t)moment], 0);
        }
    }
}

/* Homes without memory hold no weights either. */
static enum spw_status fill_weights(struct spw_job *job, struct spw_error *error)
{
    if (!spw_home_has_memory(job->home)) {
        if (spw_home_shadow(job->home) != NULL) {
            fill_shadow(job);
        }
        return SPW_OK;
    }
    for (int32_t block = 0; block < job->plan->weight_block_count; block++) {
        const struct spw_weight_block *weight_block = &job->plan->weight_blocks[block];
        char *home = spw_home_open(job->home, job->weights[block]->home);
        for (int32_t i = 0; i < weight_block->segment_count; i++) {
            const struct spw_segment *segment = &weight_block->segments[i];
            SPW_TRY(spw_graph_initial(job->config.graph, segment->param, job->config.seed,
                                      (float *)(void *)(home + segment->offset_bytes), error));
        }
    }
    return SPW_OK;
}

enum spw_status spw_job_admit(struct spw_job *job, struct spw_home *home, uint32_t device_count,
                              struct spw_error *error)
{
    void *range = NULL;
    SPW_TRY(spw_home_take(home, spw_job_home_bytes(job), error, &range));
    struct spw_residence *copies = NULL;
    enum spw_status status = spw_allocate(job->world, (uint64_t)job->block_count * device_count,
                                          sizeof *copies, "a job's residence table", error,
                                          &copies);
    if (status != SPW_OK) {
        spw_home_give_back(home, range);
        return status;
    }
    job->home = home;
    job->home_range = range;
    job->residences = copies;
    (void)carve_all(job, range);
    for (uint32_t i = 0; i < job->block_count; i++) {
        job->blocks[i].at = copies + (uint64_t)i * device_count;
    }
    status = fill_weights(job, error);
    if (status != SPW_OK) {
        spw_job_release_homes(job);
    }
    return status;
}

void spw_job_release_homes(struct spw_job *job)
{
    if (job->home == NULL) {
        return;
    }
    spw_home_give_back(job->home, job->home_range);
    spw_release(job->world, job->residences);
    job->home = NULL;
    job->home_range = NULL;
    job->residences = NULL;
}

void *spw_job_take_spare(struct spw_job *job, uint64_t bytes)
{
    for (uint32_t i = 0; i < job->spare_count; i++) {
        if (job->spares[i].home != NULL && job->spares[i].bytes == bytes) {
            void *home = job->spares[i].home;
            job->spares[i].home = NULL;
            return home;
        }
    }
    SPW_NEVER("a job has one UPDATE at a time, and spare slots for one of each size");
}

void spw_job_give_spare(struct spw_job *job, void *home, uint64_t bytes)
{
    for (uint32_t i = 0; i < job->spare_count; i++) {
        if (job->spares[i].home == NULL && job->spares[i].bytes == bytes) {
            job->spares[i].home = home;
            return;
        }
    }
    SPW_NEVER("more spare slots given back than taken");
}

enum spw_status spw_job_read_part(const struct spw_job *job, enum spw_job_array array,
                                  int32_t index, uint64_t first, uint64_t count, float *out,
                                  struct spw_error *error)
{
    if (job->home == NULL) {
        return SPW_FAIL(error, SPW_ERR_NOT_FOUND, "job %s holds no state: it %s", job->id,
                        job->state == SPW_JOB_WAITING ? "has not started" : "is over");
    }
    if (!spw_home_has_memory(job->home)) {
        return SPW_FAIL(error, SPW_ERR_UNSUPPORTED,
                        "job %s: a simulated run computes no weights; train on real devices",
                        job->id);
    }
    SPW_ASSERT(index >= 0 && index < job->config.graph->param_count);
    const uint32_t moment = (uint32_t)array - (uint32_t)SPW_JOB_MOMENT0;
    if (array != SPW_JOB_WEIGHTS && moment >= job->plan->options.moments) {
        return SPW_FAIL(error, SPW_ERR_NOT_FOUND, "job %s: its optimizer keeps no such moment",
                        job->id);
    }
    const int32_t block = job->param_block[index];
    const void *home = array == SPW_JOB_WEIGHTS ? job->weights[block]->home
                                                : job->moments[2 * block + (int32_t)moment];
    const char *bytes = spw_home_open(job->home, home);
    const struct spw_segment *segment = job->param_segment[index];
    SPW_ASSERT(first <= segment->elements);
    SPW_ASSERT(count <= segment->elements - first);
    memcpy(out, bytes + segment->offset_bytes + first * sizeof(float), count * sizeof(float));
    return SPW_OK;
}

enum spw_status spw_job_hash(const struct spw_job *job, enum spw_job_array array, int32_t index,
                             uint64_t *hash)
{
    if (job->home == NULL || spw_home_shadow(job->home) == NULL) {
        return SPW_ERR_NOT_FOUND;
    }
    const int32_t block = job->param_block[index];
    const uint32_t moment = (uint32_t)array - (uint32_t)SPW_JOB_MOMENT0;
    const char *home = array == SPW_JOB_WEIGHTS ? job->weights[block]->home
                                                : job->moments[2 * block + (int32_t)moment];
    const struct spw_segment *segment = job->param_segment[index];
    *hash = spw_home_shadow_read(job->home, home + segment->offset_bytes,
                                 segment->elements * sizeof(float), "a job's result");
    return SPW_OK;
}

enum spw_status spw_job_read(const struct spw_job *job, enum spw_job_array array, int32_t index,
                             float *out, struct spw_error *error)
{
    const uint64_t elements = (uint64_t)job->config.graph->params[index].elements;
    return spw_job_read_part(job, array, index, 0, elements, out, error);
}
