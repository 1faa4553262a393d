/* test_vector_math.c — the elementary functions against libm in double: errors in units in the last
 * place, the edges of the range, and equal bits in vector code and in scalar code. */
#include "kernels/host/vector_math.h"

#include "base/clones.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>

struct function {
    const char *name;
    float (*value)(float x);
    double (*exact)(double x);
    double ulps_max;
    float from, to; /* where the bound holds */
};

static float exp_value(float x)
{
    return spw_expf(x);
}

static float erf_value(float x)
{
    return spw_erff(x);
}

static float tanh_value(float x)
{
    return spw_tanhf(x);
}

static float sigmoid_value(float x)
{
    return spw_sigmoidf(x);
}

static double sigmoid_exact(double x)
{
    return 1 / (1 + exp(-x));
}

static const struct function functions[] = {
    {"exp", exp_value, exp, 2, -INFINITY, INFINITY},
    {"erf", erf_value, erf, 2, -INFINITY, INFINITY},
    {"tanh", tanh_value, tanh, 2, -INFINITY, INFINITY},
    {"sigmoid", sigmoid_value, sigmoid_exact, 3, -87, INFINITY},
};

/* |got - exact| in units in the last place of a float about `exact`. */
static double ulps(float got, double exact)
{
    if (isnan(exact)) {
        return isnan(got) ? 0 : INFINITY;
    }
    /* Halfway from the largest number to the next power of two rounding gives infinity. */
    if (fabs(exact) >= (double)FLT_MAX * (1 + 0x1p-25)) {
        return isinf(got) || fabsf(got) == FLT_MAX ? 0 : INFINITY;
    }
    const float near = fabsf((float)exact);
    const double ulp = (double)nextafterf(near, INFINITY) - (double)near;
    return fabs((double)got - exact) / (isinf(ulp) ? 0x1p104 : ulp);
}

/* Every 997th float, both signs, denormals, infinities and NaN included. */
Test(vector_math, errors_are_bounded)
{
    for (size_t f = 0; f < sizeof(functions) / sizeof(functions[0]); f++) {
        const struct function *function = &functions[f];
        int64_t tried = 0;
        for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 997) {
            const float x = spw_bits_float((uint32_t)bits);
            if (x < function->from || x > function->to) {
                continue;
            }
            const double off = ulps(function->value(x), function->exact((double)x));
            cr_assert(off <= function->ulps_max, "%s(%.9g) = %.9g is %.3g units off",
                      function->name, (double)x, (double)function->value(x), off);
            tried++;
        }
        cr_assert_gt(tried, 3000000);
    }
}

Test(vector_math, edges)
{
    cr_assert(spw_expf(INFINITY) == INFINITY);
    cr_assert(spw_expf(1e30f) == INFINITY);
    cr_assert(spw_expf(-INFINITY) == 0 && spw_expf(-1000.0f) == 0);
    cr_assert(spw_expf(0.0f) == 1 && spw_expf(-0.0f) == 1);
    cr_assert(spw_expf(-100.0f) > 0, "denormal results are kept");
    cr_assert(isnan(spw_expf(NAN)));
    cr_assert(spw_erff(INFINITY) == 1 && spw_erff(-INFINITY) == -1);
    cr_assert(spw_erff(0.0f) == 0 && signbit(spw_erff(-0.0f)));
    cr_assert(isnan(spw_erff(NAN)));
    cr_assert(spw_tanhf(INFINITY) == 1 && spw_tanhf(-INFINITY) == -1);
    cr_assert(spw_tanhf(0.0f) == 0 && signbit(spw_tanhf(-0.0f)));
    cr_assert(isnan(spw_tanhf(NAN)));
    cr_assert(spw_sigmoidf(INFINITY) == 1 && spw_sigmoidf(-INFINITY) == 0);
    cr_assert(spw_sigmoidf(0.0f) == 0.5f && isnan(spw_sigmoidf(NAN)));
}

/* Both are compiled from the same source; one calls number by number, the other in vector code. */
#define COUNT 4099

SPW_CLONES
static void all_at_once(const float *x, float *y)
{
    for (int i = 0; i < COUNT; i++) {
        y[i] = spw_expf(x[i]) + 3.0f * spw_erff(x[i]) + 7.0f * spw_tanhf(x[i]);
    }
}

Test(vector_math, vector_code_gives_the_same_bits)
{
    static float x[COUNT], y[COUNT];
    for (int i = 0; i < COUNT; i++) {
        x[i] = (float)(i - COUNT / 2) * 0.0078125f;
    }
    all_at_once(x, y);
    for (int i = 0; i < COUNT; i++) {
        const volatile float one = x[i];
        const float want = exp_value(one) + 3.0f * erf_value(one) + 7.0f * tanh_value(one);
        cr_assert(spw_float_bits(y[i]) == spw_float_bits(want), "at %.9g", (double)one);
    }
}
