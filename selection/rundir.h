/* rundir.h — the folder of a run: choosing it, and the files that are written once at its start.
 *
 * Nothing is made before everything that can refuse the run has been asked. Tested by
 * tests/selection/test_rundir.c. */
#ifndef SPW_SELECTION_RUNDIR_H
#define SPW_SELECTION_RUNDIR_H

#include "base/text.h"
#include "selection/sweep.h"

/* `wanted` (--out) if it is not NULL and does not exist: SPW_ERR_USAGE if it does. Else
 * "runs/<name>", "runs/<name>-2", ...: the first that does not exist. The caller releases *out. */
enum spw_status spw_rundir_choose(const struct spw_world *world, const char *name,
                                  const char *wanted, struct spw_error *error, char **out);

/* Makes `path` with its missing parents, and in it config.yaml, environment.json and plan.txt of a
 * run whose jobs have been added. `directory` is the current one, absolute, for the paths in
 * config.yaml. On failure nothing of it is left, parents excepted. */
enum spw_status spw_rundir_create(const struct spw_sweep *sweep, struct spw_run *run,
                                  const char *path, const char *directory, struct spw_error *error);

#endif
