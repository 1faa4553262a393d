/* policy.h — who goes next: pure functions from a read-only view to a choice.
 *
 * No locks, no clocks, no device handles. Every choice is logged, so that a run can be replayed.
 * Tested by tests/bits/test_policy.c. */
#ifndef SPW_RUNTIME_SCHEDULE_POLICY_H
#define SPW_RUNTIME_SCHEDULE_POLICY_H

#include "runtime/run.h"

/* A unit that the asking device may take now. */
struct spw_candidate {
    uint32_t job; /* index in order of adding */
    uint32_t group;
    enum spw_unit_kind kind;
    int32_t shard;
    uint64_t step;
    int64_t first_micro_batch, micro_batches;
    uint64_t remaining_ns; /* of the job, the units on devices not counted */
    uint64_t step_ns;      /* of the job, one whole step */
    uint64_t round_ns;     /* of the job's present step, what remains */
    uint64_t copy_ns;      /* of the unit: what must come in, */
    uint64_t compute_ns;   /* and its arithmetic */
    bool mixed;            /* in a step of its job, copies bind some units and arithmetic others */
    uint64_t resident_bytes; /* of what it reads, already on the device */
    uint64_t ready_since;    /* decisions made when it became ready */
    bool staged;             /* its predecessor is still on this device */
};

struct spw_view {
    const struct spw_candidate *candidates; /* by job, then group */
    uint32_t count;
    uint64_t copy_ns, compute_ns; /* of the units that the device was promised lately */
    uint32_t first_unfinished_job;
    uint64_t sequence; /* of this decision, from 0 */
    uint64_t seed;
    const struct spw_decision *expected; /* replay: what this device took next; NULL: no more */
};

/* Index into the candidates, or -1 to leave the device idle until something changes. */
typedef int32_t (*spw_policy_fn)(const struct spw_view *view);

spw_policy_fn spw_policy(enum spw_policy_name name);
/* SPW_ERR_NOT_FOUND for an unknown name. */
enum spw_status spw_policy_parse(const char *text, enum spw_policy_name *out);

#endif
