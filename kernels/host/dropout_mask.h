/* dropout_mask.h — which elements dropout keeps, in integers. Internal to the kernels box.
 *
 * Keeping an element iff spw_unit_float(word) >= p is keeping it iff its top 24 bits reach
 * ceil(p 2^24): the same answer, without a conversion per element. */
#ifndef SPW_KERNELS_HOST_DROPOUT_MASK_H
#define SPW_KERNELS_HOST_DROPOUT_MASK_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct spw_dropout_mask {
    uint32_t least; /* of word >> 8 */
    float scale;    /* of what is kept, 1 / (1 - p) */
};

static inline struct spw_dropout_mask spw_dropout_mask(double p)
{
    return (struct spw_dropout_mask){
        .least = (uint32_t)ceil(p * 0x1p24),
        .scale = p < 1 ? (float)(1 / (1 - p)) : 0.0f,
    };
}

static inline bool spw_dropout_keeps(struct spw_dropout_mask mask, uint32_t word)
{
    return word >> 8 >= mask.least;
}

#endif
