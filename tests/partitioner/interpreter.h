/* interpreter.h — runs plans and graphs over plain memory, to compare what they compute.
 *
 * Every binding of every slot is an allocation of exactly its bytes, filled with NaN before each
 * micro-batch, so that a read of what nobody wrote shows in the results and a write beyond the end
 * shows to the address sanitizer. The oracle runs the graph without the partitioner: one op after
 * the other, gradients folded as the contract says. */
#ifndef SPW_TESTS_PARTITIONER_INTERPRETER_H
#define SPW_TESTS_PARTITIONER_INTERPRETER_H

#include "graphs.h"
#include "kernels/lane.h"

/* What a training step and an evaluation of the same batch leave. */
struct results {
    int64_t micro_batches;
    struct spw_loss *losses;      /* [micro_batch] of the training step */
    struct spw_loss *eval_losses; /* [micro_batch] */
    int32_t param_count;
    float **grads;     /* [param]: accumulators folded */
    double **norms;    /* [param]: partial sums of squares of them */
    int64_t *elements; /* [param] */
};
void results_free(struct results *results);
/* Fails the test, naming `what` and the first difference, unless all bits are equal. */
void results_compare(const struct results *results, const struct results *expected,
                     const char *what);

/* One step of step number 3 with weights, data and targets that depend on the graph alone. `fast`:
 * with a lane, else with the reference loops. */
struct results oracle_run(const struct spw_graph *graph, const struct spw_plan_options *options,
                          bool fast);
/* `batch` items, at most those of the plan: an epoch's last batch may be shorter. */
struct results plan_run(const struct spw_plan *plan, int64_t batch, bool fast);

#endif
