/* op_check.h — one op, several shapes: the fast path against the plain loops, and against itself on
 * two to four threads. For the suites of single ops; test_conformance.c does more, for all of them.
 */
#ifndef SPW_TESTS_KERNELS_OP_CHECK_H
#define SPW_TESTS_KERNELS_OP_CHECK_H

#include "conformance.h"

/* The case with its output shape filled in. */
struct conformance_case op_case(struct spw_op_desc desc, int64_t items, uint32_t flags);

/* Fails the test unless the results agree within `relative` and the bits on all thread counts. */
void op_check(const struct conformance_case *c, double relative);

/* A lane on `threads` threads, with its pool. */
struct op_lane {
    struct spw_pool *pool;
    struct spw_lane *lane;
};
struct op_lane op_lane_open(uint32_t threads, bool reference);
void op_lane_close(struct op_lane *lane);

#endif
