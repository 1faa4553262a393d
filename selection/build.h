/* build.h — from a trial to what the runtime takes: a graph and a job.
 *
 * Tested by tests/selection/test_build.c. */
#ifndef SPW_SELECTION_BUILD_H
#define SPW_SELECTION_BUILD_H

#include "runtime/run.h"
#include "selection/trials.h"

/* Builds the trial's graph for this data, checks that labels and tokens are within its classes, and
 * opens its weight file if it has one. `valid` may be NULL. Refusals carry the place of the model,
 * or of the layer, in the spec. The caller destroys *out. */
enum spw_status spw_build_graph(const struct spw_world *world, const struct spw_spec *spec,
                                const struct spw_trial_spec *trial, const struct spw_dataset *train,
                                const struct spw_dataset *valid, struct spw_error *error,
                                struct spw_graph **out);

/* The trial as a job; everything that it points to is borrowed. */
struct spw_job_config spw_build_job(const struct spw_spec *spec, const struct spw_trial_spec *trial,
                                    const struct spw_graph *graph, const struct spw_dataset *train,
                                    const struct spw_dataset *valid);

/* Steps of a job: max_steps, or its epochs' batches. */
uint64_t spw_build_steps(const struct spw_job_config *job);

#endif
