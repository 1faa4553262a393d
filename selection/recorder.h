/* recorder.h — writes a run's files while it goes on, from the runtime's events.
 *
 * Tested by tests/selection/test_rundir.c and the command's tests. */
#ifndef SPW_SELECTION_RECORDER_H
#define SPW_SELECTION_RECORDER_H

#include "runtime/record/trace.h"
#include "selection/lines.h"
#include "selection/sweep.h"

/* Files of one trial; made when it starts. */
struct spw_trial_files {
    char *metrics_path;
    char *timing_path;
    struct spw_lines metrics;
    struct spw_lines timing;
    uint64_t before_ns; /* end of the step before */
};

struct spw_recorder {
    const struct spw_world *world;
    const struct spw_sweep *sweep;
    struct spw_run *run;
    const char *path; /* of the run's folder; borrowed */
    uint64_t start_ns;
    struct spw_trial_files **files; /* by job; NULL: not started, or closed */
    struct spw_lines decisions;
    char *decisions_path;
    struct spw_trace *trace; /* NULL: not asked for */
};

/* For a run whose folder exists and whose jobs have been added. The caller closes it, also after a
 * failure. */
enum spw_status spw_recorder_open(struct spw_recorder *recorder, const struct spw_sweep *sweep,
                                  struct spw_run *run, const char *path, struct spw_error *error);
/* Closes all files; the first failure of any of them is reported. A zeroed recorder is allowed. */
enum spw_status spw_recorder_close(struct spw_recorder *recorder, struct spw_error *error);

/* The events of spw_run_events. */
void spw_recorder_step(struct spw_recorder *recorder, struct spw_job *job,
                       const struct spw_step_result *result);
void spw_recorder_eval(struct spw_recorder *recorder, struct spw_job *job,
                       const struct spw_eval_result *result);
/* Makes the trial's folder at its start; writes model.safetensors when it is done. */
enum spw_status spw_recorder_state(struct spw_recorder *recorder, struct spw_job *job,
                                   enum spw_job_state state, struct spw_error *error);
void spw_recorder_decision(struct spw_recorder *recorder, const struct spw_decision *decision);
void spw_recorder_span(struct spw_recorder *recorder, const struct spw_span *span);
/* Lets others read what was written so far. */
void spw_recorder_tick(struct spw_recorder *recorder);

#endif
