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

/* A folder that was made for a run, with what it takes to take it back. */
struct spw_rundir {
    const struct spw_world *world;
    const char *path; /* borrowed */
    uint64_t made;    /* bit i: folder i of the path, from the outermost, was missing */
};

/* Makes `path`, which must not exist, with its missing parents; on failure those that it made are
 * gone again. `path` is borrowed as long as *out is used. */
enum spw_status spw_rundir_make(const struct spw_world *world, const char *path,
                                struct spw_error *error, struct spw_rundir *out);
/* Writes config.yaml, environment.json and plan.txt of a run whose jobs have been added.
 * `directory` is the current one, absolute, for the paths in config.yaml. */
enum spw_status spw_rundir_fill(const struct spw_rundir *rundir, const struct spw_sweep *sweep,
                                struct spw_run *run, const char *directory,
                                struct spw_error *error);
/* Takes back the folder of a run that has not begun: the files of spw_rundir_fill() and
 * spw_recorder_open(), the folder, and the parents that were made for it, as far as they are empty.
 * A recorder must be closed. */
void spw_rundir_remove(const struct spw_rundir *rundir);

#endif
