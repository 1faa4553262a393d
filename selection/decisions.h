/* decisions.h — the log of a run's decisions as a text file, and reading it back for policy replay.
 *
 * First line "# spillway decisions 1", then one line per decision: sequence, device (index or
 * "cores"), trial, group, kind, shard or weight block, step, first micro-batch, micro-batches.
 * Tested by tests/selection/test_decisions.c. */
#ifndef SPW_SELECTION_DECISIONS_H
#define SPW_SELECTION_DECISIONS_H

#include "runtime/run.h"
#include "selection/lines.h"
#include "selection/trials.h"

void spw_decisions_begin(struct spw_lines *lines);
/* `trial` is the id of decision->job. */
void spw_decisions_add(struct spw_lines *lines, const struct spw_decision *decision,
                       uint32_t device_count, const char *trial);

/* Reads a log of a run with these trials and this number of devices. SPW_ERR_USAGE with line and
 * cure. The caller releases *out with spw_release(). */
enum spw_status spw_decisions_read(const struct spw_world *world, const char *path,
                                   const struct spw_trials *trials, uint32_t device_count,
                                   struct spw_error *error, struct spw_decision **out,
                                   uint64_t *count);

#endif
