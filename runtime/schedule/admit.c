/* admit.c — waiting jobs start, in the order they were added, while the host has memory for their
 * homes. Everything that allocates for a job happens here; afterwards nothing does. */
#include "runtime/schedule/executor.h"

#include "base/assert.h"

enum { COUNTS_MAX = 8 };

static void add_count(int64_t counts[COUNTS_MAX], int *used, int64_t count)
{
    for (int i = 0; i < *used; i++) {
        if (counts[i] == count) {
            return;
        }
    }
    if (count > 0) {
        SPW_ASSERT(*used < COUNTS_MAX);
        counts[(*used)++] = count;
    }
}

/* Micro-batch sizes that can occur: full ones, and the rests of full and of an epoch's last
 * batches. */
static int item_counts(const struct spw_job *job, int64_t counts[COUNTS_MAX])
{
    const int64_t size = job->config.micro_batch;
    int used = 0;
    const struct spw_cursor *cursors[] = {job->train_cursor, job->valid_cursor};
    for (int i = 0; i < 2; i++) {
        const uint64_t epoch = cursors[i] != NULL ? spw_cursor_steps_per_epoch(cursors[i]) : 0;
        const uint64_t steps[] = {1, epoch};
        for (int k = 0; epoch > 0 && k < 2; k++) {
            const int64_t items = spw_cursor_items(cursors[i], steps[k]);
            add_count(counts, &used, items < size ? items : size);
            add_count(counts, &used, items % size);
        }
    }
    return used;
}

static enum spw_status prepare_unit(struct spw_device *device, const struct spw_unit_plan *unit,
                                    const int64_t *counts, int count, struct spw_error *error)
{
    for (int i = 0; i < count && unit->program.instruction_count > 0; i++) {
        SPW_TRY(device->backend->prepare(device, &unit->program, counts[i], error));
    }
    return SPW_OK;
}

/* Evaluation also without a validation set: it is what looks for the op that made a loss infinite.
 */
static enum spw_status prepare_job(struct spw_run *run, const struct spw_job *job,
                                   struct spw_error *error)
{
    int64_t counts[COUNTS_MAX];
    const int count = item_counts(job, counts);
    for (uint32_t i = 0; i < run->device_count; i++) {
        struct spw_device *device = run->places[i].device;
        for (int32_t s = 0; s < job->plan->shard_count; s++) {
            const struct spw_shard *shard = &job->plan->shards[s];
            SPW_TRY(prepare_unit(device, &shard->forward, counts, count, error));
            SPW_TRY(prepare_unit(device, &shard->backward, counts, count, error));
            SPW_TRY(prepare_unit(device, &shard->eval, counts, count, error));
        }
    }
    return SPW_OK;
}

static enum spw_status start_job(struct spw_run *run, struct spw_job *job)
{
    SPW_TRY(spw_job_admit(job, run->home, run->device_count, &job->error));
    enum spw_status status = prepare_job(run, job, &job->error);
    if (status != SPW_OK) {
        spw_job_release_homes(job);
        return status;
    }
    job->state = SPW_JOB_RUNNING;
    job->phase = SPW_PHASE_FEED;
    job->now = (struct spw_round){.step = 1};
    job->started_ns = spw_now_ns(run->world);
    run->running_jobs++;
    const struct spw_run_events *events = &run->config.events;
    return events->state == NULL ? SPW_OK
                                 : events->state(events->self, job, SPW_JOB_RUNNING, &job->error);
}

/* A job that cannot start fails; the others do not wait for it. */
static void refuse(struct spw_run *run, struct spw_job *job, enum spw_status status)
{
    (void)SPW_FAIL(&job->error, status, "trial %s: it could not be started", job->id);
    if (job->home != NULL) {
        spw_executor_stop(run, job, SPW_JOB_FAILED); /* it was started, then its reporter failed */
        return;
    }
    job->phase = SPW_PHASE_OVER;
    job->state = SPW_JOB_FAILED;
    job->ended_ns = spw_now_ns(run->world);
    const struct spw_run_events *events = &run->config.events;
    if (events->state != NULL) {
        (void)events->state(events->self, job, SPW_JOB_FAILED, &job->error);
    }
}

void spw_executor_admit(struct spw_run *run)
{
    while (run->next_admission < run->job_count) {
        struct spw_job *job = run->jobs[run->next_admission];
        if (job->phase != SPW_PHASE_OVER) {
            const uint64_t used = spw_home_used_bytes(run->home);
            const uint64_t need = job->home_bytes;
            if (run->running_jobs > 0 && need > run->config.host_bytes - used) {
                return; /* waits for a job to end */
            }
            const enum spw_status status = start_job(run, job);
            if (status == SPW_ERR_DOES_NOT_FIT && job->home == NULL && run->running_jobs > 0) {
                spw_error_clear(&job->error);
                return; /* free bytes in pieces: waits for a job to end, too */
            }
            if (status != SPW_OK) {
                refuse(run, job, status);
            }
        }
        run->next_admission++;
        while (run->first_live < run->next_admission &&
               run->jobs[run->first_live]->phase == SPW_PHASE_OVER) {
            run->first_live++;
        }
        if (job->state == SPW_JOB_RUNNING) {
            spw_executor_advance(run, job);
        }
    }
}
