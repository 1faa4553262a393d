/* summary.h — what became of a run, as summary.json.
 *
 * Tested by tests/selection/test_rundir.c and the command's tests. */
#ifndef SPW_SELECTION_SUMMARY_H
#define SPW_SELECTION_SUMMARY_H

#include "base/text.h"
#include "selection/sweep.h"

/* "done", "failed", ...; never NULL. */
const char *spw_job_state_name(enum spw_job_state state);

/* Items per second while the trial ran; 0 before it started. */
double spw_summary_rate(const struct spw_job_status *status, uint64_t now_ns);

/* One JSON object: trials, devices, the run. Not finite numbers are null. */
void spw_summary_print(const struct spw_sweep *sweep, struct spw_run *run, bool interrupted,
                       struct spw_text *out);
/* Writes it to <path>/summary.json. */
enum spw_status spw_summary_write(const struct spw_sweep *sweep, struct spw_run *run,
                                  const char *path, bool interrupted, struct spw_error *error);

#endif
