/* advance.c — what becomes of a job when units complete: its phases, its rounds, its end. */
#include "runtime/schedule/executor.h"

#include "base/assert.h"

#include <math.h>

/* ---- the end ---- */

static void drop_copies(struct spw_run *run, struct spw_job *job)
{
    for (uint32_t device = 0; device < run->device_count; device++) {
        for (uint32_t i = 0; i < job->block_count; i++) {
            spw_residency_drop(&run->places[device].residency, &job->blocks[i]);
        }
        run->places[device].blocked = false;
    }
}

static enum spw_status announce(struct spw_run *run, struct spw_job *job)
{
    const struct spw_run_events *events = &run->config.events;
    if (events->state == NULL) {
        return SPW_OK;
    }
    const uint64_t begin = spw_now_ns(run->world);
    const enum spw_status status = events->state(events->self, job, job->state, &job->error);
    run->outside_ns += spw_now_ns(run->world) - begin;
    return status;
}

static void end_job(struct spw_run *run, struct spw_job *job, enum spw_job_state state)
{
    job->phase = SPW_PHASE_OVER;
    job->state = state;
    job->ended_ns = spw_now_ns(run->world);
    const enum spw_status kept = announce(run, job);
    if (kept != SPW_OK && state == SPW_JOB_DONE) {
        job->state = SPW_JOB_FAILED;
        (void)SPW_FAIL(&job->error, kept, "trial %s: its result could not be kept", job->id);
        (void)announce(run, job);
    }
    if (job->home != NULL) {
        drop_copies(run, job);
        spw_job_release_homes(job);
        run->running_jobs--;
    }
    while (run->first_live < run->job_count &&
           run->jobs[run->first_live]->phase == SPW_PHASE_OVER) {
        run->first_live++;
    }
}

void spw_executor_stop(struct spw_run *run, struct spw_job *job, enum spw_job_state state)
{
    if (job->failing || job->phase == SPW_PHASE_OVER) {
        return;
    }
    job->failing = true;
    job->ends_as = state;
    run->stops_pending = true; /* the loop moves it on: this may be inside one of its callbacks */
}

/* Units that were promised but have nothing under way are taken back. */
static void abandon_units(struct spw_run *run, struct spw_job *job)
{
    for (uint32_t i = 0; i <= run->device_count; i++) {
        struct spw_place *place = &run->places[i];
        for (uint32_t k = 0; k < place->committed_count;) {
            struct spw_unit *unit = place->committed[k];
            if (unit->job == job && unit->outstanding == 0) {
                spw_executor_retire(run, place, unit);
            } else {
                k++;
            }
        }
    }
}

/* ---- phases ---- */

static void begin_blocks(struct spw_job *job, enum spw_job_phase phase)
{
    job->phase = phase;
    job->block_issued = 0;
    job->block_completed = 0;
}

static void skip_unreduced(struct spw_job *job)
{
    const uint32_t count = (uint32_t)job->plan->weight_block_count;
    while (job->block_completed == job->block_issued && job->block_issued < count &&
           !spw_job_is_reduced(job, (int32_t)job->block_issued)) {
        job->block_issued++;
        job->block_completed++;
    }
}

static bool blocks_done(const struct spw_job *job)
{
    return job->block_completed == (uint32_t)job->plan->weight_block_count;
}

/* Evictions of the job's blocks since this was last asked. */
static uint64_t new_evictions(struct spw_job *job)
{
    uint64_t evictions = 0;
    for (uint32_t i = 0; i < job->block_count; i++) {
        evictions += job->blocks[i].evictions;
    }
    const uint64_t before = job->evictions_told;
    job->evictions_told = evictions;
    return evictions - before;
}

/* Tells of the present step; a step that failed is told of too, with the numbers it had. */
static void tell_step(struct spw_run *run, struct spw_job *job)
{
    const struct spw_step_result result = {
        .step = job->now.step,
        .loss = job->loss,
        .grad_norm = job->norm,
        .lr = job->lr,
        .items = (uint64_t)job->items,
        .evictions = new_evictions(job),
        .end_ns = spw_now_ns(run->world),
    };
    if (run->config.events.step != NULL) {
        run->config.events.step(run->config.events.self, job, &result);
        run->outside_ns += spw_now_ns(run->world) - result.end_ns;
    }
}

static void report_step(struct spw_run *run, struct spw_job *job)
{
    job->steps_done = job->now.step;
    job->items_done += (uint64_t)job->items;
    job->last_loss = job->loss;
    tell_step(run, job);
}

static void report_eval(struct spw_run *run, struct spw_job *job)
{
    const double rows = (double)job->eval_rows;
    const struct spw_eval_result result = {
        .step = job->now.step,
        .loss = job->eval_sum / rows,
        .accuracy = job->eval_correct / rows,
        .rows = job->eval_rows,
        .end_ns = spw_now_ns(run->world),
    };
    job->last_eval_loss = result.loss;
    job->last_accuracy = result.accuracy;
    if (isnan(job->best_eval_loss) || result.loss < job->best_eval_loss) {
        job->best_eval_loss = result.loss;
    }
    if (isnan(job->best_accuracy) || result.accuracy > job->best_accuracy) {
        job->best_accuracy = result.accuracy;
    }
    job->eval_sum = 0;
    job->eval_correct = 0;
    job->eval_rows = 0;
    if (run->config.events.eval != NULL) {
        run->config.events.eval(run->config.events.self, job, &result);
        run->outside_ns += spw_now_ns(run->world) - result.end_ns;
    }
}

/* Ends the present round: on to the next one's data, or to the end of the job. */
static void next_round(struct spw_run *run, struct spw_job *job)
{
    struct spw_round next;
    if (!spw_executor_next_round(job, &job->now, &next)) {
        /* No later loss would show what the last update did. */
        const bool ok = spw_job_check_weights(job) == SPW_OK;
        end_job(run, job, ok ? SPW_JOB_DONE : SPW_JOB_FAILED);
        return;
    }
    job->feeds[job->round % 2].requested = false;
    job->feeds[job->round % 2].valid = false;
    job->now = next;
    job->round++;
    job->phase = SPW_PHASE_FEED;
}

static void begin_round(struct spw_run *run, struct spw_job *job)
{
    const bool eval = job->now.eval_round > 0;
    struct spw_cursor *cursor = eval ? job->valid_cursor : job->train_cursor;
    const int64_t items = spw_cursor_items(cursor, eval ? job->now.eval_round : job->now.step);
    spw_job_begin_round(job, eval ? SPW_PHASE_EVAL : SPW_PHASE_TRAIN, items);
    for (int64_t group = 0; group < job->config.grad_groups; group++) {
        job->chains[group].ready_since = run->decisions;
    }
}

/* The loss is not finite: run the forward ops of the first bad micro-batch again, looking for the
 * one that made the number. The weights are still those of this step. */
static void begin_diagnosis(struct spw_job *job)
{
    const int64_t micro_batch = job->bad_micro_batch;
    const int64_t items = job->items;
    spw_job_begin_round(job, SPW_PHASE_DIAGNOSE, items);
    job->chains[0].first_micro_batch = micro_batch;
    job->chains[0].micro_batches = 1;
}

static void finish_train(struct spw_run *run, struct spw_job *job)
{
    job->lr = spw_schedule_lr(&job->config.schedule, job->config.lr, job->now.step, job->steps);
    if (spw_job_finish_train(job) != SPW_OK) {
        job->norm = NAN; /* not taken */
        tell_step(run, job);
        begin_diagnosis(job);
    } else {
        begin_blocks(job, SPW_PHASE_REDUCE);
    }
}

static void finish_reduce(struct spw_run *run, struct spw_job *job)
{
    if (spw_job_finish_reduce(job) != SPW_OK) {
        tell_step(run, job);
        spw_executor_stop(run, job, SPW_JOB_FAILED);
        return;
    }
    begin_blocks(job, SPW_PHASE_UPDATE);
}

/* One move. False if the job must wait for a unit, a feed, or is over. */
static bool advance_once(struct spw_run *run, struct spw_job *job)
{
    if (job->phase == SPW_PHASE_OVER) {
        return false;
    }
    if (job->failing) {
        abandon_units(run, job);
        if (job->units_in_flight == 0 && job->gathers == 0) {
            end_job(run, job, job->ends_as);
        }
        return false;
    }
    switch (job->phase) {
    case SPW_PHASE_FEED:
        if (!job->feeds[job->round % 2].valid) {
            return false;
        }
        begin_round(run, job);
        return true;
    case SPW_PHASE_TRAIN:
        if (!spw_job_chains_done(job)) {
            return false;
        }
        finish_train(run, job);
        return true;
    case SPW_PHASE_REDUCE:
        skip_unreduced(job);
        if (!blocks_done(job)) {
            return false;
        }
        finish_reduce(run, job);
        return true;
    case SPW_PHASE_UPDATE:
        if (!blocks_done(job)) {
            return false;
        }
        report_step(run, job);
        next_round(run, job);
        return true;
    case SPW_PHASE_EVAL:
        if (!spw_job_chains_done(job)) {
            return false;
        }
        spw_job_finish_eval_round(job);
        if (job->now.eval_round == job->eval_rounds) {
            report_eval(run, job);
        }
        next_round(run, job);
        return true;
    case SPW_PHASE_DIAGNOSE:
        if (!spw_job_chains_done(job)) {
            return false;
        }
        (void)SPW_FAIL(&job->error, SPW_ERR_NUMERIC,
                       "trial %s, step %llu: the loss is not finite (op %s); lower lr or set "
                       "grad_clip",
                       job->id, (unsigned long long)job->now.step,
                       job->config.graph->nodes[job->config.graph->node_count - 1].name);
        spw_executor_stop(run, job, SPW_JOB_FAILED);
        return true;
    case SPW_PHASE_OVER:
        return false;
    }
    SPW_NEVER("a job in no phase");
}

void spw_executor_advance(struct spw_run *run, struct spw_job *job)
{
    while (advance_once(run, job)) {
    }
    spw_executor_feed(run, job);
}
