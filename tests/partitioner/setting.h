/* setting.h — what the oracle's and the interpreter's runs share: weights, data, calls, results.
 *
 * Internal to oracle.c and interpreter.c. */
#ifndef SPW_TESTS_PARTITIONER_SETTING_H
#define SPW_TESTS_PARTITIONER_SETTING_H

#include "interpreter.h"

struct setting {
    const struct spw_graph *graph;
    const struct spw_plan_options *options;
    struct spw_lane *lane; /* NULL: reference */
    float **weights;       /* [param] */
    void *x;               /* whole batch */
    int32_t *targets;
    int64_t x_elements; /* of an item */
};
void setting_open(struct setting *setting, const struct spw_graph *graph,
                  const struct spw_plan_options *options, bool fast);
void setting_close(struct setting *setting);

/* `bytes` of NaN, aligned to 64; the caller frees them. */
void *setting_take(uint64_t bytes);
int64_t setting_items(const struct setting *setting, int64_t micro_batch);
/* First micro-batch of a gradient group. */
int64_t setting_group_first(const struct spw_plan_options *options, int64_t group);
/* Fills in what a submission adds and runs the call. */
void setting_run(const struct setting *setting, struct spw_call *call, enum spw_pass pass,
                 int64_t micro_batch, bool training);

struct results results_new(const struct setting *setting);
/* Folds accumulators [use * groups + group]: uses in reverse graph order, groups within each. */
void results_fold(float *const *accumulators, int64_t uses, int64_t groups, int64_t elements,
                  float *total);

#endif
