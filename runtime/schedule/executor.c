/* executor.c — the loop: finished commands, jobs moved on, choices, commands; then sleep at the
 * gate.
 *
 * Single-threaded: everything it owns needs no lock. Devices work behind their queues. Tested by
 * tests/runtime/test_run*.c. */
#include "runtime/schedule/executor.h"

#include "base/assert.h"

enum { TICK_NS = 250000000 };

static void stop_all(struct spw_run *run)
{
    for (uint64_t i = 0; i < run->job_count; i++) {
        spw_executor_stop(run, run->jobs[i], SPW_JOB_CANCELLED);
    }
}

static void move_stopped_jobs(struct spw_run *run)
{
    if (!run->stops_pending) {
        return;
    }
    run->stops_pending = false;
    for (uint64_t i = 0; i < run->job_count; i++) {
        struct spw_job *job = run->jobs[i];
        if (job->failing && job->phase != SPW_PHASE_OVER) {
            spw_executor_advance(run, job);
        }
    }
}

/* Asks again for batches that found the cores' queue full. */
static void feed_jobs(struct spw_run *run)
{
    for (uint64_t i = run->first_live; i < run->next_admission; i++) {
        struct spw_job *job = run->jobs[i];
        if (job->phase == SPW_PHASE_FEED && !job->feeds[job->round % 2].requested) {
            spw_executor_feed(run, job);
        }
    }
}

static bool is_over(const struct spw_run *run)
{
    return run->next_admission == run->job_count && run->first_live == run->job_count;
}

static void tick(struct spw_run *run, uint64_t now)
{
    if (run->config.events.tick != NULL && now >= run->next_tick_ns) {
        run->next_tick_ns = now + TICK_NS;
        run->config.events.tick(run->config.events.self, run);
    }
}

/* A log of another run, or of one that was cut short: nothing is under way, and every unit that
 * could be taken is refused. */
static bool is_stuck(const struct spw_run *run)
{
    if (run->config.policy != SPW_POLICY_REPLAY || run->stops_pending) {
        return false;
    }
    for (uint32_t i = 0; i <= run->device_count; i++) {
        if (run->places[i].committed_count > 0) {
            return false;
        }
    }
    for (uint64_t i = run->first_live; i < run->next_admission; i++) {
        const struct spw_job *job = run->jobs[i];
        if (job->gathers > 0 || job->phase == SPW_PHASE_FEED) {
            return false;
        }
    }
    return run->running_jobs > 0;
}

static void fail_stuck_jobs(struct spw_run *run)
{
    for (uint64_t i = run->first_live; i < run->next_admission; i++) {
        struct spw_job *job = run->jobs[i];
        if (job->phase == SPW_PHASE_OVER) {
            continue;
        }
        (void)SPW_FAIL(&job->error, SPW_ERR_USAGE,
                       "trial %s, step %llu: the log of decisions that is replayed has none for "
                       "the units that are ready; it is of another run, or of one cut short",
                       job->id, (unsigned long long)job->now.step);
        spw_executor_stop(run, job, SPW_JOB_FAILED);
    }
}

/* One turn of the loop. True if anything finished or was chosen. */
static bool turn(struct spw_run *run)
{
    bool progress = spw_executor_poll(run);
    if (atomic_load(&run->interrupted)) {
        stop_all(run);
    }
    move_stopped_jobs(run);
    if (run->next_admission < run->job_count) {
        const uint64_t begin = spw_now_ns(run->world);
        spw_executor_admit(run);
        run->outside_ns += spw_now_ns(run->world) - begin;
    }
    feed_jobs(run);
    progress = spw_executor_choose(run) || progress;
    for (uint32_t i = 0; i <= run->device_count; i++) {
        spw_executor_issue(run, &run->places[i]);
    }
    return progress;
}

static void start_clocks(struct spw_run *run)
{
    run->begun_ns = spw_now_ns(run->world);
    run->next_tick_ns = run->begun_ns;
    for (uint32_t i = 0; i <= run->device_count; i++) {
        run->places[i].compute_end_ns = run->begun_ns;
    }
}

/* Time after a device's last work is waiting for work. */
static void stop_clocks(struct spw_run *run)
{
    const uint64_t now = spw_now_ns(run->world);
    run->wall_ns += now - run->begun_ns;
    for (uint32_t i = 0; i <= run->device_count; i++) {
        struct spw_place *place = &run->places[i];
        if (now > place->compute_end_ns) {
            place->stats.waiting_work_ns += now - place->compute_end_ns;
        }
    }
    run->begun_ns = 0;
}

enum spw_status spw_executor_begin(struct spw_run *run, struct spw_error *error)
{
    if (run->config.plan_only) {
        return SPW_FAIL(error, SPW_ERR_ARGUMENT, "this run was opened to plan, not to train");
    }
    start_clocks(run);
    return SPW_OK;
}

enum spw_executor_next spw_executor_turn(struct spw_run *run)
{
    if (is_over(run)) {
        return SPW_EXECUTOR_OVER;
    }
    const uint64_t turn_begin = spw_now_ns(run->world);
    run->outside_ns = 0;
    const bool progress = turn(run);
    const uint64_t now = spw_now_ns(run->world);
    const uint64_t turn_ns = now - turn_begin;
    run->active_ns += turn_ns > run->outside_ns ? turn_ns - run->outside_ns : 0;
    tick(run, now);
    if (progress || is_over(run)) {
        return SPW_EXECUTOR_AGAIN;
    }
    if (is_stuck(run)) {
        fail_stuck_jobs(run);
        return SPW_EXECUTOR_AGAIN;
    }
    return SPW_EXECUTOR_WAIT;
}

enum spw_status spw_executor_end(struct spw_run *run, struct spw_error *error)
{
    stop_clocks(run);
    return atomic_load(&run->interrupted)
               ? SPW_FAIL(error, SPW_ERR_CANCELLED, "the run was interrupted")
               : SPW_OK;
}

enum spw_status spw_run_execute(struct spw_run *run, struct spw_error *error)
{
    SPW_TRY(spw_executor_begin(run, error));
    for (;;) {
        const uint64_t seen = spw_gate_count(run->gate);
        switch (spw_executor_turn(run)) {
        case SPW_EXECUTOR_AGAIN:
            break;
        case SPW_EXECUTOR_WAIT:
            spw_gate_wait(run->gate, seen, run->config.events.tick != NULL ? run->next_tick_ns : 0);
            break;
        case SPW_EXECUTOR_OVER:
            return spw_executor_end(run, error);
        }
    }
}

void spw_run_interrupt(struct spw_run *run)
{
    atomic_store(&run->interrupted, true);
    spw_gate_knock(run->gate);
}

void spw_run_cancel(struct spw_run *run, struct spw_job *job)
{
    spw_executor_stop(run, job, SPW_JOB_CANCELLED);
    spw_gate_knock(run->gate);
}
