/* books.h — an audit of a run's books between two of the executor's moves: what is said to be taken
 * is taken by somebody, and nobody holds what is not said.
 *
 * From event callbacks, and after spw_run_execute(). It looks at the executor's own tables and says
 * nothing of bits. Tested by test_books.c. */
#ifndef SPW_TESTS_FAULT_BOOKS_H
#define SPW_TESTS_FAULT_BOOKS_H

#include "runtime/run.h"

#define BOOKS_FAULT_BYTES 256

/* NULL if the books are right, else what is wrong, in `out`. */
const char *books_fault(const struct spw_run *run, char out[BOOKS_FAULT_BYTES]);

#endif
