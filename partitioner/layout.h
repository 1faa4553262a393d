/* layout.h — packs buffers with known lifetimes into as little memory as it can.
 *
 * Two buffers may share bytes only if their lifetimes, inclusive ranges of instructions, do not
 * overlap; so an instruction's output never lies on its inputs. Pure arithmetic, deterministic.
 * Internal to the partitioner. Tested by tests/partitioner/test_layout.c. */
#ifndef SPW_PARTITIONER_LAYOUT_H
#define SPW_PARTITIONER_LAYOUT_H

#include <stdint.h>

struct spw_interval {
    uint64_t bytes;      /* > 0, a multiple of the alignment wanted */
    int32_t first, last; /* instructions at which it is alive, inclusive */
    uint64_t offset;     /* the answer */
};

/* Chooses all offsets and returns the bytes that hold them all. `order` has room for 2 * count. */
uint64_t spw_layout(struct spw_interval *intervals, uint64_t count, struct spw_interval **order);

/* The largest sum of sizes alive at one instruction: no layout is smaller. */
uint64_t spw_layout_floor(struct spw_interval *intervals, uint64_t count,
                          struct spw_interval **order);

#endif
