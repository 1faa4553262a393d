/* fault_world.h — a world that fails on command and counts what is left over.
 *
 * It passes everything on to another world, usually the system's, and can make the N-th allocation
 * or the N-th file call fail, once or from then on. Whoever walks N upwards until nothing fails any
 * more has seen every error path. The clock is passed through. Thread-safe: counters are atomic;
 * settings are made while nothing runs. Tested by tests/base/test_fault_world.c. */
#ifndef SPW_TESTS_SUPPORT_FAULT_WORLD_H
#define SPW_TESTS_SUPPORT_FAULT_WORLD_H

#include "base/world.h"

#include <stdatomic.h>

enum spw_fault_kind {
    SPW_FAULT_ALLOCATION,
    SPW_FAULT_FILE, /* every slot of the table from open to exists, closing included */
    SPW_FAULT_KINDS
};

/* When calls of one kind fail. All zero: never. */
struct spw_fault_rule {
    uint64_t at;    /* the number of the first call that fails, from 1; 0: none does */
    bool sticky;    /* all later ones fail too */
    bool full_disk; /* of the file calls, only those that need room fail: creating, writing,
                       syncing; reading, renaming, removing and closing go on working */
    int native;     /* file calls: the errno value they fail with; 0: EIO */
};

struct spw_fault_world {
    struct spw_world world; /* give &fault->world to the code under test */
    const struct spw_world *inner;
    struct spw_fault_rule rules[SPW_FAULT_KINDS];
    uint64_t read_bytes_max; /* reads return at most this many bytes at a time; 0: no limit */

    _Atomic uint64_t calls[SPW_FAULT_KINDS];  /* so far, the failed ones included */
    _Atomic uint64_t failed[SPW_FAULT_KINDS]; /* calls that we made fail */
    _Atomic int64_t live_allocations;
    _Atomic int64_t open_files;
};

/* The struct must not move afterwards: its table points back to it. `inner` is borrowed. */
void spw_fault_world_init(struct spw_fault_world *fault, const struct spw_world *inner);
/* Starts counting calls anew under a new rule for `kind` and none for the others. What is alive
 * stays counted. */
void spw_fault_world_arm(struct spw_fault_world *fault, enum spw_fault_kind kind,
                         struct spw_fault_rule rule);
/* Whether the rule has struck since it was set. */
bool spw_fault_world_struck(const struct spw_fault_world *fault);
/* No memory and no file is left open. */
bool spw_fault_world_clean(const struct spw_fault_world *fault);

#endif
