/* guard.h — for the plain programs here: what each of thousands of attempts is doing, said when it
 * hangs or fails, and the count at the end. Tested by its users. */
#ifndef SPW_TESTS_FAULT_GUARD_H
#define SPW_TESTS_FAULT_GUARD_H

#include <stdbool.h>
#include <stdint.h>

/* An attempt that takes longer than a minute ends the program with `what`. */
void guard_begin(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Counts the attempt; if it failed, says why. */
void guard_end(bool ok, const char *why);
/* "N passed, M failed"; the exit status. */
int guard_report(void);

/* Attempts 1, 1 + stride, ... of `count`, so that there are about `wanted`; 0: all. */
uint64_t guard_stride(uint64_t count, uint64_t wanted);

#endif
