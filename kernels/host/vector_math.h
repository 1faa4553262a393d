/* vector_math.h — elementary functions that the compiler can spread over vector lanes.
 *
 * Straight-line code without calls, tables or branches: in a loop of a hot file under SPW_CLONES,
 * gcc and clang turn it into vector code. Only + - x / and integer operations are used, so every
 * clone and both compilers give the same bits. Errors are bounded by
 * tests/kernels/test_vector_math.c. NaN stays NaN. Polynomials of functions in the middle of a
 * chain are split into halves, because the chain's latency is what takes the time. Internal to the
 * kernels box. */
#ifndef SPW_KERNELS_HOST_VECTOR_MATH_H
#define SPW_KERNELS_HOST_VECTOR_MATH_H

#include <math.h>
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
 * x = k ln 2 + r with |r| <= ln(2)/2; e^r is a polynomial to r^6, a minimax fit with an error of
 * 3.1e-9 (W. J. Cody and W. Waite, "Software Manual for the Elementary Functions", 1980, chapter 6,
 * for the reduction in two parts). */
static inline float spw_expf(float x)
{
    /* Adding it rounds to a whole number, which is then in the low bits. */
    const float to_integer = 0x1.8p23f;
    float shifted = x * 0x1.715476p0f + to_integer;
    float k = shifted - to_integer;
    float r = x - k * 0x1.62e4p-1f; /* exact: the constant has 15 bits, k at most 8 */
    r = r - k * 0x1.7f7d1cp-20f;
    const float r2 = r * r;
    const float high = (4.16683958e-2f + 8.36879668e-3f * r) + r2 * 1.38144334e-3f;
    const float low = 4.99999934e-1f + 1.666652e-1f * r;
    float p = 1.0f + (r + r2 * (low + r2 * high));
    /* 2^k in two factors, so that neither leaves the normal range. */
    uint32_t whole = spw_float_bits(shifted) - spw_float_bits(to_integer);
    uint32_t half = (uint32_t)((int32_t)whole >> 1);
    p = p * spw_bits_float((half + 127u) << 23) * spw_bits_float((whole - half + 127u) << 23);
    /* Beyond these, what is above means nothing. Chosen last: had x been limited first, compilers
     * would work out both limits as cases of their own, which doubles the time. */
    p = x > 89.0f ? INFINITY : p;
    return x < -104.0f ? 0.0f : p;
}

/* `magnitude`, not negative, with the sign of `sign`; also of -0 and NaN. */
static inline float spw_with_sign(float magnitude, float sign)
{
    return spw_bits_float(spw_float_bits(magnitude) | (spw_float_bits(sign) & 0x80000000u));
}

static inline float spw_magnitude(float x)
{
    return spw_bits_float(spw_float_bits(x) & 0x7fffffffu);
}

/* erf(x), within 2 units in the last place. Below 1 it is x (1 + P(x^2)); from there to 4 it is
 * 1 - e^Q(|x|), Q being ln erfc; above it rounds to 1. Both polynomials are minimax fits (Remez
 * exchange), with errors of 1.2e-9 of erf and 1.0e-9 of one. Both are computed, one is kept. */
static inline float spw_erff(float x)
{
    const float t = spw_magnitude(x);
    const float s = x * x;
    float p = 7.85386109e-5f;
    p = p * s - 8.01019353e-4f;
    p = p * s + 5.18832767e-3f;
    p = p * s - 2.68538119e-2f;
    p = p * s + 1.12835851e-1f;
    p = p * s - 3.76126258e-1f;
    p = p * s + 1.28379166e-1f;
    const float near_zero = x + x * p;

    const float u = t > 4.0f ? 4.0f : t;
    const float u2 = u * u;
    const float high = (2.18053154e-2f - 2.93960656e-3f * u) + u2 * 1.85573934e-4f;
    const float low =
        (-3.5372047e-4f - 1.12704003f * u) + u2 * (-6.38225684e-1f - 1.03037363e-1f * u);
    const float q = low + (u2 * u2) * high;
    const float far = spw_with_sign(1.0f - spw_expf(q), x);
    return t < 1.0f ? near_zero : far;
}

/* tanh(x), within 2 units in the last place. Below 0.9 it is x + x^3 P(x^2), a minimax fit with an
 * error of 1.6e-8 of tanh; from there on 1 - 2 / (e^2|x| + 1). */
static inline float spw_tanhf(float x)
{
    const float t = spw_magnitude(x);
    const float s = x * x;
    float p = 1.30395958e-3f;
    p = p * s - 6.86005552e-3f;
    p = p * s + 2.09041263e-2f;
    p = p * s - 5.37214901e-2f;
    p = p * s + 1.333036e-1f;
    p = p * s - 3.33332122e-1f;
    const float near_zero = spw_with_sign(t + t * s * p, x);
    const float far = spw_with_sign(1.0f - 2.0f / (spw_expf(t + t) + 1.0f), x);
    return t < 0.9f ? near_zero : far;
}

/* 1 / (1 + e^-x), within 3 units in the last place down to 1e-38. */
static inline float spw_sigmoidf(float x)
{
    return 1.0f / (1.0f + spw_expf(-x));
}

#endif
