/* lower.h — turns a unit, a range of nodes and a direction, into a program and its memory.
 *
 * Lowering depends on the range, on what is kept, and on the graph; not on the other cuts. So the
 * search for cuts asks for sizes with the same code that later makes the programs, and "does it
 * fit" has one answer. Internal to the partitioner. Tested by tests/partitioner/test_lower.c and,
 * for what programs compute, test_programs.c. */
#ifndef SPW_PARTITIONER_LOWER_H
#define SPW_PARTITIONER_LOWER_H

#include "partitioner/flow.h"

struct spw_lower_request {
    enum spw_unit_kind kind; /* FORWARD, BACKWARD or EVAL */
    int32_t first, end;      /* nodes [first, end) */
    bool keep;               /* FORWARD hands BACKWARD what it reads; else BACKWARD recomputes it */
    uint32_t slots;
    const int32_t *param_block; /* weight block of each parameter; NULL: not numbered yet */
};

struct spw_lowering; /* working memory; one thread at a time */

enum spw_status spw_lowering_create(const struct spw_world *world, const struct spw_flow *flow,
                                    struct spw_error *error, struct spw_lowering **out);
void spw_lowering_destroy(struct spw_lowering *lowering);

/* The unit's program and bytes; times and flops are left out (estimate.h). The program lies in the
 * working memory and is valid until the next call. A unit that would need more than
 * SPW_BINDINGS_MAX bindings has device_bytes UINT64_MAX. */
enum spw_status spw_lower(struct spw_lowering *lowering, const struct spw_lower_request *request,
                          struct spw_error *error, struct spw_unit_plan *out);

/* Moves the program of a unit from working memory to `arena`. */
enum spw_status spw_unit_store(struct spw_arena *arena, struct spw_error *error,
                               struct spw_unit_plan *unit);

/* Device bytes if the unit's ring had `slots` slots. */
uint64_t spw_unit_bytes_with(const struct spw_unit_plan *unit, uint32_t slots);

#endif
