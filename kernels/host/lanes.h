/* lanes.h — sums and maxima in a fixed order that vector units like.
 *
 * A sum runs as SPW_LANES partial sums, over the elements whose index is l modulo SPW_LANES, which
 * are then added pairwise. Compilers may not reorder floating-point sums, so the order must be
 * written out to become vector code; it depends on the count alone, never on alignment or machine.
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

static inline float spw_lanes_max(const float lanes[SPW_LANES])
{
    float most = lanes[0];
    for (int l = 1; l < SPW_LANES; l++) {
        most = lanes[l] > most ? lanes[l] : most;
    }
    return most;
}

#endif
