/* memory_limits.h — how much memory this process may use: the machine's, or less if it runs in a
 * control group. Tested by tests/runtime/test_memory_limits.c. */
#ifndef SPW_RUNTIME_DEVICE_MEMORY_LIMITS_H
#define SPW_RUNTIME_DEVICE_MEMORY_LIMITS_H

#include "base/world.h"

struct spw_memory_limits {
    uint64_t total_bytes;
    uint64_t free_bytes; /* can be had without swapping: caches that can be dropped count as free */
};

/* Reads /proc and /sys below `root`: "" is this machine, tests have trees of their own.
 * SPW_ERR_NOT_FOUND or SPW_ERR_IO if not even /proc/meminfo can be read; a control group that can't
 * be read limits nothing. */
enum spw_status spw_memory_limits_read(const struct spw_world *world, const char *root,
                                       struct spw_error *error, struct spw_memory_limits *out);

#endif
