/* lanes.h — sums and maxima in a fixed order that vector units like.
 *
 * A sum runs as SPW_LANES partial sums, over the elements whose index is l modulo SPW_LANES, which
 * are then added pairwise. Compilers may not reorder floating-point sums, so the order must be
 * written out to become vector code; it depends on the count alone, never on alignment or machine.
 * There are 32, because gcc unrolls loops of up to 16 turns before it looks for vectors, and then
 * misses some.
 * Internal to the kernels box. */
#ifndef SPW_KERNELS_HOST_LANES_H
#define SPW_KERNELS_HOST_LANES_H

#include <stdint.h>

#define SPW_LANES 32

/* ((0+16)+(8+24))+... and so on; destroys the lanes. */
static inline float spw_lanes_sum(float lanes[SPW_LANES])
{
    for (int l = 0; l < 16; l++) {
        lanes[l] += lanes[l + 16];
    }
    for (int l = 0; l < 8; l++) {
        lanes[l] += lanes[l + 8];
    }
    for (int l = 0; l < 4; l++) {
        lanes[l] += lanes[l + 4];
    }
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

/* The larger one; `b` if `a` is NaN. */
static inline float spw_larger(float a, float b)
{
    return a > b ? a : b;
}

/* In the same pairs; destroys the lanes. */
static inline float spw_lanes_max(float lanes[SPW_LANES])
{
    for (int l = 0; l < 16; l++) {
        lanes[l] = spw_larger(lanes[l + 16], lanes[l]);
    }
    for (int l = 0; l < 8; l++) {
        lanes[l] = spw_larger(lanes[l + 8], lanes[l]);
    }
    for (int l = 0; l < 4; l++) {
        lanes[l] = spw_larger(lanes[l + 4], lanes[l]);
    }
    return spw_larger(spw_larger(lanes[2], lanes[0]), spw_larger(lanes[3], lanes[1]));
}

#endif
