/* oracle.h — plain training in memory: the answer that every schedule must reproduce bit for bit.
 *
 * It walks the graph node by node with all activations of a micro-batch in memory: no shards, no
 * programs, no devices, no queues. It shares with the runtime only the kernels, the initial values,
 * the data cursor and the learning-rate schedule; order of sums and steps is its own reading of the
 * contract. Aborts the test on any failure. */
#ifndef SPW_TESTS_BITS_ORACLE_H
#define SPW_TESTS_BITS_ORACLE_H

#include "runtime/run.h"

struct oracle_result {
    const struct spw_graph *graph;
    uint64_t steps;
    double *losses, *norms;          /* [steps] */
    double eval_loss, eval_accuracy; /* after the last step; 0 without validation data */
    float **weights, **moments[2];   /* [param][elements]; moments may be NULL */
};

/* Trains the job with `threads` threads. */
struct oracle_result oracle_train(const struct spw_job_config *config, uint32_t threads,
                                  bool reference_kernels);
void oracle_free(struct oracle_result *result);

#endif
