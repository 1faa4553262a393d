/* utilization.h — what each device did with its time, and why it did nothing.
 *
 * Fed with a run's events as they come, it keeps a few numbers per device and per job, so that runs
 * of any length can be looked at. In a simulation the numbers are exact; in a real run decisions
 * are stamped when they are reported. Tested by tests/runtime/test_utilization.c. */
#ifndef SPW_RUNTIME_RECORD_UTILIZATION_H
#define SPW_RUNTIME_RECORD_UTILIZATION_H

#include "runtime/run.h"

/* The parts of a device's time; but for `useful` they add up to the time that the run took. */
struct spw_utilization_times {
    uint64_t busy_ns;         /* computing, */
    uint64_t useful_ns;       /* and of that, not again what had been computed before */
    uint64_t waiting_copy_ns; /* a unit was chosen, and its copies or room for it had not come */
    uint64_t waiting_norm_ns; /* none was, and some job's updates were going on, for which its next
                                 step waits */
    uint64_t no_work_ns;      /* none was: all work there was, was elsewhere */
    uint64_t tail_ns;         /* after its last work, others went on */
};

struct spw_utilization;

/* Before spw_run_execute(). `run` is borrowed. The caller destroys it. */
enum spw_status spw_utilization_create(const struct spw_world *world, struct spw_run *run,
                                       struct spw_error *error, struct spw_utilization **out);
void spw_utilization_destroy(struct spw_utilization *usage);

/* The run's events, all of them. */
void spw_utilization_decision(struct spw_utilization *usage, const struct spw_decision *decision);
void spw_utilization_span(struct spw_utilization *usage, const struct spw_span *span);
void spw_utilization_step(struct spw_utilization *usage, const struct spw_job *job);
void spw_utilization_state(struct spw_utilization *usage, const struct spw_job *job,
                           enum spw_job_state state);

/* Once spw_run_execute() has returned. `index` = device count: the host cores. */
void spw_utilization_times(const struct spw_utilization *usage, uint32_t index,
                           struct spw_utilization_times *out);

#endif
