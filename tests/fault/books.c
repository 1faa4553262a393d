/* books.c — see books.h. */
#include "books.h"

#include "runtime/schedule/executor.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 2, 3))) static const char *say(char out[BOOKS_FAULT_BYTES],
                                                             const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(out, BOOKS_FAULT_BYTES, format, arguments);
    va_end(arguments);
    return out;
}

/* ---- copies on a device ---- */

/* How many units of the place were promised the block. */
static uint32_t promises(const struct spw_place *place, const struct spw_block *block)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < place->committed_count; i++) {
        const struct spw_unit *unit = place->committed[i];
        for (uint32_t k = 0; k < unit->reservation.block_count; k++) {
            count += unit->reservation.blocks[k] == block;
        }
    }
    return count;
}

/* Whether the end of the block's load is still to be told. A unit whose works are over gives
 * weights back, and its loads, which were over before, may be told of later. */
static bool is_loading(const struct spw_place *place, const struct spw_block *block)
{
    for (uint64_t t = place->ended[SPW_QUEUE_IN] + 1; t <= place->tickets[SPW_QUEUE_IN]; t++) {
        const struct spw_command *command = &place->ring[SPW_QUEUE_IN][t % COMMAND_RING];
        if (command->what == SPW_COMMAND_LOAD && command->block == block) {
            return true;
        }
    }
    return false;
}

/* Accumulators are of one training round: once its updates are made nobody wants them. */
static bool outlives_its_round(const struct spw_job *job, const struct spw_block *block)
{
    return block->kind == SPW_BLOCK_GRADS &&
           (job->phase == SPW_PHASE_FEED || job->phase == SPW_PHASE_EVAL);
}

static const char *check_copy(const struct spw_place *place, const struct spw_job *job,
                              const struct spw_block *block, char out[BOOKS_FAULT_BYTES])
{
    const struct spw_residence *copy = &block->at[place->index];
    const char *kind = block->kind == SPW_BLOCK_WEIGHTS ? "weights" : "gradients";
    const int b = block->weight_block;
    const bool is_here = copy->state != SPW_RESIDENCE_ABSENT;
    if (copy->pins != promises(place, block)) {
        return say(out, "%s: %s %d on device %u: %u pins for %u units", job->id, kind, b,
                   place->index, copy->pins, promises(place, block));
    }
    if (copy->pins == 0 && (copy->state == SPW_RESIDENCE_DIRTY ||
                            (copy->state == SPW_RESIDENCE_LOADING && !is_loading(place, block)))) {
        return say(out, "%s: %s %d on device %u are half made, and nobody's", job->id, kind, b,
                   place->index);
    }
    if (is_here && copy->version != block->version) {
        return say(out, "%s: %s %d on device %u are of an older version", job->id, kind, b,
                   place->index);
    }
    if (is_here && outlives_its_round(job, block)) {
        return say(out, "%s: %s %d on device %u are of a round that is over", job->id, kind, b,
                   place->index);
    }
    return NULL;
}

static const char *check_device(const struct spw_run *run, const struct spw_place *place,
                                char out[BOOKS_FAULT_BYTES])
{
    const struct spw_residency *residency = &place->residency;
    uint64_t used = 0, evictable = 0;
    for (uint64_t i = 0; i < run->job_count; i++) {
        const struct spw_job *job = run->jobs[i];
        for (uint32_t k = 0; job->home != NULL && k < job->block_count; k++) {
            const struct spw_residence *copy = &job->blocks[k].at[place->index];
            if (check_copy(place, job, &job->blocks[k], out) != NULL) {
                return out;
            }
            if (copy->state != SPW_RESIDENCE_ABSENT) {
                const uint64_t bytes = spw_extent_round(residency->extents, copy->extent.bytes);
                used += bytes;
                evictable += copy->state == SPW_RESIDENCE_CLEAN && copy->pins == 0 ? bytes : 0;
            }
        }
    }
    for (uint32_t i = 0; i < place->committed_count; i++) {
        const struct spw_unit *unit = place->committed[i];
        if (unit->reserved && unit->reservation.work_bytes > 0) {
            used += spw_extent_round(residency->extents, unit->reservation.work.bytes);
        }
    }
    if (used != spw_extent_used_bytes(residency->extents)) {
        return say(out, "device %u: %" PRIu64 " bytes are taken, but %" PRIu64 " are somebody's",
                   place->index, spw_extent_used_bytes(residency->extents), used);
    }
    if (evictable != residency->resident_clean_bytes) {
        return say(out, "device %u: %" PRIu64 " bytes could be evicted, not %" PRIu64, place->index,
                   evictable, residency->resident_clean_bytes);
    }
    return NULL;
}

/* ---- units and their outputs ---- */

/* Units of a chain are taken, and end, in their order. */
static const char *check_order(const struct spw_place *place, char out[BOOKS_FAULT_BYTES])
{
    for (uint32_t i = 0; i < place->committed_count; i++) {
        const struct spw_unit *unit = place->committed[i];
        const struct spw_job *job = unit->job;
        if (unit->key.kind == SPW_UNIT_REDUCE || unit->key.kind == SPW_UNIT_UPDATE ||
            job->failing) {
            continue;
        }
        uint32_t position = job->chains[unit->group].completed;
        for (uint32_t k = 0; k < i; k++) {
            position += place->committed[k]->job == job &&
                        place->committed[k]->group == unit->group;
        }
        const struct spw_unit_key key = spw_job_unit(job, unit->group, position);
        if (unit->key.kind != key.kind || unit->key.shard != key.shard ||
            unit->key.first_micro_batch != key.first_micro_batch) {
            return say(out, "%s: a unit of shard %d is under way, but it is shard %d's turn",
                       job->id, unit->key.shard, key.shard);
        }
    }
    return NULL;
}

/* The landing table of what the unit writes for later units; NULL: nothing. */
static const struct spw_landing *outputs_of(const struct spw_unit *unit)
{
    const struct spw_job *job = unit->job;
    const struct spw_unit_key *key = &unit->key;
    const bool last = key->shard == job->plan->shard_count - 1;
    switch (key->kind) {
    case SPW_UNIT_FORWARD:
        return job->cuts[key->shard + 1].landing;
    case SPW_UNIT_EVAL:
        return last ? NULL : job->cuts[key->shard + 1].landing;
    case SPW_UNIT_BACKWARD:
        return key->shard > 0 ? job->gradients[key->shard].landing : NULL;
    case SPW_UNIT_REDUCE:
    case SPW_UNIT_UPDATE:
        return NULL;
    }
    return NULL;
}

/* Of a micro-batch that has not been enqueued nobody may think that it is on its way home. */
static const char *check_outputs(const struct spw_unit *unit, char out[BOOKS_FAULT_BYTES])
{
    const struct spw_landing *landing = outputs_of(unit);
    for (int64_t i = unit->outs; landing != NULL && i < unit->key.micro_batches; i++) {
        const int64_t micro_batch = unit->key.first_micro_batch + i;
        if (landing[micro_batch].state != SPW_NOT_MADE) {
            return say(out, "%s: shard %d's output %d counts as made before it is", unit->job->id,
                       unit->key.shard, (int)micro_batch);
        }
    }
    return NULL;
}

static const char *check_units(const struct spw_run *run, const struct spw_job *job,
                               char out[BOOKS_FAULT_BYTES])
{
    uint32_t units = 0, updates = 0, missing = 0;
    for (uint32_t i = 0; i <= run->device_count; i++) {
        const struct spw_place *place = &run->places[i];
        for (uint32_t k = 0; k < place->committed_count; k++) {
            const struct spw_unit *unit = place->committed[k];
            if (unit->job != job) {
                continue;
            }
            units++;
            updates += unit->reserved && unit->key.kind == SPW_UNIT_UPDATE;
            if (check_outputs(unit, out) != NULL) {
                return out;
            }
        }
    }
    for (uint32_t i = 0; job->home != NULL && i < job->spare_count; i++) {
        missing += job->spares[i].home == NULL;
    }
    if (units != job->units_in_flight) {
        return say(out, "%s: %u units are under way, not %u", job->id, units, job->units_in_flight);
    }
    if (missing > 0 && updates == 0) {
        return say(out, "%s: %u spare slots are out, and no update is under way", job->id, missing);
    }
    return NULL;
}

/* ---- all ---- */

const char *books_fault(const struct spw_run *run, char out[BOOKS_FAULT_BYTES])
{
    uint64_t homes = 0;
    for (uint32_t i = 0; i < run->device_count; i++) {
        if (check_device(run, &run->places[i], out) != NULL ||
            check_order(&run->places[i], out) != NULL) {
            return out;
        }
    }
    for (uint64_t i = 0; i < run->job_count; i++) {
        const struct spw_job *job = run->jobs[i];
        homes += job->home != NULL ? job->home_bytes : 0;
        if (job->home != NULL && job->state == SPW_JOB_WAITING) {
            continue; /* it is being started */
        }
        if (check_units(run, job, out) != NULL) {
            return out;
        }
    }
    if (homes != spw_home_used_bytes(run->home)) {
        return say(out, "%" PRIu64 " bytes of homes are taken, but %" PRIu64 " are somebody's",
                   spw_home_used_bytes(run->home), homes);
    }
    return NULL;
}
