/* Tests of data/convert.c: every loop against the plain definition, at every length and alignment.
 */
#include "data/convert.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define COUNT_MAX 200

Test(convert, scaling_is_the_nearest_float)
{
    uint8_t pixels[256];
    float scaled[256];
    for (int value = 0; value < 256; value++) {
        pixels[value] = (uint8_t)value;
    }
    spw_scale_u8(pixels, 256, scaled);
    for (int value = 0; value < 256; value++) {
        const long double exact = (long double)value / 255.0L;
        const long double distance = fabsl((long double)scaled[value] - exact);
        cr_assert(distance <= fabsl((long double)nextafterf(scaled[value], 2.0f) - exact));
        cr_assert(distance <= fabsl((long double)nextafterf(scaled[value], -1.0f) - exact));
    }
    cr_assert(scaled[0] == 0.0f && scaled[255] == 1.0f);
}

static uint32_t noise(uint32_t index)
{
    index *= UINT32_C(2654435761);
    return index ^ index >> 15;
}

Test(convert, every_length_and_alignment)
{
    uint8_t bytes[COUNT_MAX + 64];
    uint16_t words[COUNT_MAX + 64];
    for (uint32_t index = 0; index < COUNT_MAX + 64; index++) {
        bytes[index] = (uint8_t)noise(index);
        words[index] = (uint16_t)noise(index);
    }
    for (uint64_t offset = 0; offset < 33; offset++) {
        for (uint64_t count = 0; count <= COUNT_MAX; count++) {
            float scaled[COUNT_MAX + 1];
            int32_t wide[COUNT_MAX + 1];
            memset(scaled, 0, sizeof(scaled));
            memset(wide, 0, sizeof(wide));
            spw_scale_u8(bytes + offset, count, scaled);
            spw_widen_u8(bytes + offset, count, wide);
            for (uint64_t index = 0; index < count; index++) {
                cr_assert(scaled[index] == (float)bytes[offset + index] / 255.0f);
                cr_assert(wide[index] == bytes[offset + index]);
            }
            cr_assert(scaled[count] == 0.0f && wide[count] == 0, "wrote past the end");
            spw_widen_u16(words + offset, count, wide);
            for (uint64_t index = 0; index < count; index++) {
                cr_assert(wide[index] == words[offset + index]);
            }
            cr_assert(wide[count] == 0, "wrote past the end");
        }
    }
}

Test(convert, the_largest_is_found_wherever_it_is)
{
    for (uint64_t count = 1; count <= COUNT_MAX; count++) {
        for (uint64_t place = 0; place < count; place++) {
            uint8_t bytes[COUNT_MAX] = {0};
            uint16_t words[COUNT_MAX] = {0};
            uint32_t longs[COUNT_MAX] = {0};
            bytes[place] = UINT8_MAX;
            words[place] = UINT16_MAX;
            longs[place] = UINT32_MAX;
            cr_assert(spw_largest_u8(bytes, count) == UINT8_MAX);
            cr_assert(spw_largest_u16(words, count) == UINT16_MAX);
            cr_assert(spw_largest_u32(longs, count) == UINT32_MAX);
        }
    }
    cr_assert(spw_largest_u8(NULL, 0) == 0);
}
