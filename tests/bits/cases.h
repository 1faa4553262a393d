/* cases.h — small models with everything that could break bits: residuals, tied weights, dropout,
 * clipping, momentum, AdamW, short micro-batches, evaluation. Data is made here. */
#ifndef SPW_TESTS_BITS_CASES_H
#define SPW_TESTS_BITS_CASES_H

#include "models/arch.h"
#include "runtime/run.h"

enum { CASE_COUNT = 6 };

struct bits_case {
    const char *name;
    struct spw_graph *graph;
    struct spw_dataset *train, *valid;
    struct spw_job_config config;
};

/* Builds case `index` with all its memory and files from `world`. On failure nothing is kept. */
enum spw_status bits_case_open(const struct spw_world *world, int index, struct spw_error *error,
                               struct bits_case *it);
/* The same in the system's world; aborts the test if it can't. */
void bits_case_init(struct bits_case *it, int index);
void bits_case_deinit(struct bits_case *it);

#endif
