/* assert.c — the end of the road for a programmer's error.
 *
 * The only place of the library that prints: the process is about to abort, and there is nobody
 * left to return a status to. Tested by tests/base/test_status.c. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void spw_assert_fail(const char *condition, const char *file, int line,
                               const char *function)
{
    (void)fprintf(stderr, "%s:%d: %s: assertion failed: %s\n", file, line, function, condition);
    abort();
}
