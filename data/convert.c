/* convert.c — the loops over every pixel and token, written so that compilers vectorise them.
 * Tested by tests/data/test_convert.c. */
#include "data/convert.h"

#include "base/clones.h"

SPW_CLONES
void spw_scale_u8(const uint8_t *restrict from, uint64_t count, float *restrict into)
{
    /* A true division: multiplying by the rounded 1/255 is off by one bit for some pixels, and
     * vector units divide faster than memory takes the results. */
    for (uint64_t index = 0; index < count; index++) {
        into[index] = (float)from[index] / 255.0f;
    }
}

SPW_CLONES
void spw_widen_u8(const uint8_t *restrict from, uint64_t count, int32_t *restrict into)
{
    for (uint64_t index = 0; index < count; index++) {
        into[index] = from[index];
    }
}

SPW_CLONES
void spw_widen_u16(const uint16_t *restrict from, uint64_t count, int32_t *restrict into)
{
    for (uint64_t index = 0; index < count; index++) {
        into[index] = from[index];
    }
}

SPW_CLONES
uint32_t spw_largest_u8(const uint8_t *values, uint64_t count)
{
    uint8_t largest = 0;
    for (uint64_t index = 0; index < count; index++) {
        largest = values[index] > largest ? values[index] : largest;
    }
    return largest;
}

SPW_CLONES
uint32_t spw_largest_u16(const uint16_t *values, uint64_t count)
{
    uint16_t largest = 0;
    for (uint64_t index = 0; index < count; index++) {
        largest = values[index] > largest ? values[index] : largest;
    }
    return largest;
}

SPW_CLONES
uint32_t spw_largest_u32(const uint32_t *values, uint64_t count)
{
    uint32_t largest = 0;
    for (uint64_t index = 0; index < count; index++) {
        largest = values[index] > largest ? values[index] : largest;
    }
    return largest;
}
