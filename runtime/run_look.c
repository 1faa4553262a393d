/* run_look.c — looking at a run and its jobs: what there is, how far it is, what devices did.
 * Changes nothing. Tested through tests/bits/test_run.c and tests/fault/. */
#include "runtime/schedule/executor.h"

#include "base/assert.h"
#include "runtime/device/sim.h"

uint32_t spw_run_job_count(const struct spw_run *run)
{
    return (uint32_t)run->job_count;
}

struct spw_job *spw_run_job(struct spw_run *run, uint32_t index)
{
    SPW_ASSERT(index < run->job_count);
    return run->jobs[index];
}

uint32_t spw_job_index(const struct spw_job *job)
{
    return job->index;
}

const struct spw_job_config *spw_job_config(const struct spw_job *job)
{
    return &job->config;
}

const struct spw_plan *spw_job_plan(const struct spw_job *job)
{
    return job->plan;
}

void spw_job_status(const struct spw_job *job, struct spw_job_status *out)
{
    *out = (struct spw_job_status){
        .state = job->state,
        .step = job->steps_done,
        .steps = job->steps,
        .last_loss = job->last_loss,
        .best_eval_loss = job->best_eval_loss,
        .best_accuracy = job->best_accuracy,
        .last_eval_loss = job->last_eval_loss,
        .last_accuracy = job->last_accuracy,
        .items_done = job->items_done,
        .started_ns = job->started_ns,
        .ended_ns = job->ended_ns,
        .busy_ns = job->busy_ns,
        .error = job->error,
    };
}

uint32_t spw_run_device_count(const struct spw_run *run)
{
    return run->device_count;
}

void spw_run_device_stats(const struct spw_run *run, uint32_t index, struct spw_device_stats *out)
{
    SPW_ASSERT(index <= run->device_count);
    const struct spw_place *place = &run->places[index];
    *out = place->stats;
    out->wall_ns = run->wall_ns;
    if (run->begun_ns != 0) {
        out->wall_ns += spw_now_ns(run->world) - run->begun_ns;
    }
    if (!place->is_cores) {
        out->evictions = place->residency.evictions;
        out->peak_bytes = spw_extent_peak_bytes(place->residency.extents);
    }
    out->job = -1;
    if (place->committed_count > 0) {
        const struct spw_unit *unit = place->committed[0];
        out->job = (int32_t)unit->job->index;
        out->kind = unit->key.kind;
        out->shard = unit->key.shard;
    }
}

void spw_run_stats(const struct spw_run *run, struct spw_run_stats *out)
{
    *out = (struct spw_run_stats){
        .home_bytes = spw_home_used_bytes(run->home),
        .home_peak_bytes = spw_home_peak_bytes(run->home),
        .decisions = run->decisions,
        .decide_ns = run->active_ns,
        .wall_ns = run->wall_ns,
    };
}

const struct spw_shadow_faults *spw_run_faults(const struct spw_run *run)
{
    return run->simulator != NULL && run->config.shadow
               ? &spw_simulator_effects(run->simulator)->faults
               : NULL;
}

uint64_t spw_run_now_ns(const struct spw_run *run)
{
    return spw_now_ns(run->world);
}

const struct spw_machine *spw_run_machine(const struct spw_run *run)
{
    return &run->config.machine;
}
