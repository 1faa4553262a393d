/* vector_math.h — elementary functions that the compiler can spread over vector lanes.
 *
 * Straight-line code without calls, tables or branches: in a loop of a hot file under SPW_CLONES, gcc
 * and clang turn it into vector code. Only + - x / and integer operations are used, so every clone
 * and both compilers give the same bits. Errors are bounded by tests/kernels/test_vector_math.c.
 * NaN stays NaN. Internal to the kernels box. */
#ifndef SPW_KERNELS_HOST_VECTOR_MATH_H
#define SPW_KERNELS_HOST_VECTOR_MATH_H

#include <stdint.h>

static inline uint32_t spw_float_bits(float value)
{
    union {
        float value;
        uint32_t bits;
    } pun = {.value = value};
    return pun.bits;
}

static inline float spw_bits_float(uint32_t bits)
{
    union {
        uint32_t bits;
        float value;
    } pun = {.bits = bits};
    return pun.value;
}

/* e^x, within 2 units in the last place; underflow gives denormals and 0, overflow infinity.
 * x = k ln 2 + r with |r| <= ln(2)/2, e^r from its Taylor series to r^7 (Cody and Waite, "Software
 * Manual for the Elementary Functions", 1980, chapter 6, for the two-part reduction). */
static inline float spw_expf(float x)
{
    const float to_integer =
        0x1.8p23f; /* adding it rounds to a whole number, kept in the low bits */
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    float shifted = x * 0x1.715476p0f + to_integer;
    float k = shifted - to_integer;
    float r = x - k * 0x1.62e4p-1f; /* exact: the constant has 15 bits, k at most 8 */
    r = r - k * 0x1.7f7d1cp-20f;
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r * r + r;
    p = p + 1.0f;
    /* 2^k in two factors, so that neither leaves the normal range. */
    uint32_t whole = spw_float_bits(shifted) - spw_float_bits(to_integer);
    uint32_t half = (uint32_t)((int32_t)whole >> 1);
    return p * spw_bits_float((half + 127u) << 23) * spw_bits_float((whole - half + 127u) << 23);
}

#endif
