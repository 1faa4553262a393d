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

/* Builds case `index`; aborts the test if it can't. */
void bits_case_init(struct bits_case *it, int index);
void bits_case_deinit(struct bits_case *it);

#endif
