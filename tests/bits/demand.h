/* demand.h — what a cell of the matrix must have done for its bits to mean anything: moved bytes,
 * evicted blocks, taken several devices. What can't be promised, and why, is said in demand.c.
 * Tested by its user, matrix.c. */
#ifndef SPW_TESTS_BITS_DEMAND_H
#define SPW_TESTS_BITS_DEMAND_H

#include "cell.h"
#include "ledger.h"

#define DEMAND_WHY_BYTES 256

/* A run of a cell, after spw_run_execute(), with all its jobs done. */
struct demand {
    const struct cell *cell;
    struct spw_run *run;
    const struct ledger *ledger;
    uint64_t steps; /* of each job */
    char why[DEMAND_WHY_BYTES];
};

/* False, with `why`, if the run did not do what a run of this cell must do. */
bool demand_is_met(struct demand *demand);
/* Whether timing decides if a job of this cell goes to another device, and one should: the cell is
 * then run again until one did. */
bool demand_wants_moves(const struct demand *demand);

#endif
