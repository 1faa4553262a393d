/* sweep.h — a spec with everything that it names opened and checked: data, graphs, jobs, machine.
 *
 * What `spillway check` does, and the first half of plan and run. Nothing here writes a file.
 * Tested by tests/selection/test_sweep.c. */
#ifndef SPW_SELECTION_SWEEP_H
#define SPW_SELECTION_SWEEP_H

#include "runtime/fleet.h"
#include "selection/spec.h"
#include "selection/trials.h"

struct spw_sweep {
    const struct spw_world *world;
    const struct spw_spec *spec; /* borrowed */
    struct spw_machine machine;
    struct spw_machine_model model; /* of a simulated machine */
    struct spw_dataset *train;
    struct spw_dataset *valid; /* or NULL */
    struct spw_trials *trials;
    struct spw_graph **graphs;   /* of each trial */
    struct spw_job_config *jobs; /* likewise */
    struct spw_decision *replay; /* policy replay */
    uint64_t replay_count;
};

/* SPW_ERR_USAGE with place, reason and cure for anything that is wrong in files. `spec` must
 * outlive the sweep. The caller closes *out. */
enum spw_status spw_sweep_open(const struct spw_world *world, const struct spw_spec *spec,
                               struct spw_error *error, struct spw_sweep **out);
void spw_sweep_close(struct spw_sweep *sweep);

/* The run's configuration, without events and log. */
struct spw_run_config spw_sweep_config(const struct spw_sweep *sweep);
/* Adds every trial to a run, in order, so that trial i is job i. Failures name the trial. */
enum spw_status spw_sweep_add(const struct spw_sweep *sweep, struct spw_run *run,
                              struct spw_error *error);

/* The same for a fleet. */
enum spw_status spw_sweep_add_fleet(const struct spw_sweep *sweep, struct spw_fleet *fleet,
                                    struct spw_error *error);

/* FLOPs and seconds of one trial from its plan: all steps, evaluations and recomputation. */
struct spw_sweep_cost {
    uint64_t steps;
    uint64_t items;      /* trained on */
    uint64_t eval_items; /* in all evaluations together */
    double flops;
    double seconds; /* on one device, estimate */
};
struct spw_sweep_cost spw_sweep_cost(const struct spw_sweep *sweep, uint32_t trial,
                                     const struct spw_plan *plan);

#endif
