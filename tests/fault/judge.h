/* judge.h — looks at the files that an attempt left, by plain libc: whole, readable, or not there.
 * Tested by its users. */
#ifndef SPW_TESTS_FAULT_JUDGE_H
#define SPW_TESTS_FAULT_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

/* The whole file, with a NUL behind it; NULL if it is not there. The caller frees it. */
char *judge_read(const char *path, uint64_t *bytes);
/* Whether a trace is a sequence of packets; only a broken-off one's last may be cut. */
bool judge_packets(const char *data, uint64_t bytes, bool whole);

#endif
