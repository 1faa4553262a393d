/* trials.h — the trials of a spec: models x values, in a stable order.
 *
 * Models come in the order of the file; within one, the grid of the common search block and the
 * model's own counts up with its last parameter fastest. A model with one trial gives it its id,
 * else trials are called "<model>-1", "<model>-2", ... Tested by tests/selection/test_trials.c. */
#ifndef SPW_SELECTION_TRIALS_H
#define SPW_SELECTION_TRIALS_H

#include "selection/spec.h"

#define SPW_TRIALS_MAX 10000

/* One model with all its settings. Everything is owned by the spec and the list. */
struct spw_trial_spec {
    const char *id;
    struct spw_model_spec model;
    struct spw_train_spec train;
    uint64_t seed;
    const struct spw_assignment *assignments; /* what its search gave it */
    uint32_t assignment_count;
};

struct spw_trials {
    struct spw_arena arena;
    struct spw_trial_spec *items;
    uint32_t count;
};

/* `spec` must outlive the list. SPW_ERR_USAGE with place, reason and cure if the settings of a
 * trial don't go together. The caller destroys *out. */
enum spw_status spw_trials_create(const struct spw_world *world, const struct spw_spec *spec,
                                  struct spw_error *error, struct spw_trials **out);
void spw_trials_destroy(struct spw_trials *trials);

/* "lr=1e-3 hidden=[64, 64]": a trial's assignments, last steps of their paths. */
struct spw_text;
void spw_trial_describe(const struct spw_trial_spec *trial, struct spw_text *out);

#endif
