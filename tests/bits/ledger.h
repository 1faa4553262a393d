/* ledger.h — a run's decisions, and what they alone say must have happened on the devices.
 *
 * It knows plans and the order of decisions, nothing of reservations, queues or times: where it
 * can't tell it claims less. Tested by its user, matrix.c. */
#ifndef SPW_TESTS_BITS_LEDGER_H
#define SPW_TESTS_BITS_LEDGER_H

#include "runtime/run.h"

struct ledger {
    struct spw_decision *log; /* by sequence */
    uint64_t count, capacity;
};

/* For the run's event `decision`. Aborts the test if there is no memory. */
void ledger_note(struct ledger *ledger, const struct spw_decision *decision);
void ledger_free(struct ledger *ledger);

/* What the plan says of the unit that was decided on. */
const struct spw_unit_plan *ledger_unit(struct spw_run *run, const struct spw_decision *decision);
/* Units that `device` was given. */
uint64_t ledger_units(const struct ledger *ledger, uint32_t device);
/* How many of the run's devices took units of `job`; the host cores do not count. */
uint32_t ledger_devices(const struct ledger *ledger, const struct spw_run *run, uint32_t job);
/* How often a unit went to another device than the one before it of the same job and group. */
uint64_t ledger_moves(const struct ledger *ledger, const struct spw_run *run);
/* Bytes that `device` would have held at its fullest moment if it had never dropped a copy to make
 * room, at least. If that is more than it has, blocks were evicted. `committed_max` units are on a
 * device at once. Every job of the run must be done. */
uint64_t ledger_crowd_bytes(const struct ledger *ledger, struct spw_run *run, uint32_t device,
                            uint64_t committed_max);

#endif
