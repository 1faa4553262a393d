/* attention_rows.c — the loops of attention over single rows; see attention_rows.h.
 *
 * Tested by tests/kernels/test_conformance.c through the op. */
#include "kernels/host/attention_rows.h"

#include "base/clones.h"
#include "kernels/host/lanes.h"
#include "kernels/host/vector_math.h"

#include <math.h>

SPW_CLONES
void spw_attention_softmax_row(float *restrict s, int64_t visible, int64_t columns, float scale,
                               const float *restrict factors, float *maximum, float *total,
                               float *restrict y, int64_t size)
{
    for (int64_t j = visible; j < columns; j++) {
        s[j] = -INFINITY; /* its weight will be 0 */
    }
    float most[SPW_LANES];
    for (int l = 0; l < SPW_LANES; l++) {
        most[l] = *maximum;
    }
    for (int64_t j = 0; j < columns; j += SPW_LANES) {
        for (int l = 0; l < SPW_LANES; l++) {
            s[j + l] *= scale;
            most[l] = spw_larger(s[j + l], most[l]);
        }
    }
    const float raised = spw_lanes_max(most);
    float sum[SPW_LANES] = {0};
    for (int64_t j = 0; j < columns; j += SPW_LANES) {
        for (int l = 0; l < SPW_LANES; l++) {
            const float weight = spw_expf(s[j + l] - raised);
            sum[l] += weight;
            s[j + l] = weight * factors[j + l];
        }
    }
    if (raised > *maximum) {
        const float correction = spw_expf(*maximum - raised);
        *total *= correction;
        for (int64_t c = 0; c < size; c++) {
            y[c] *= correction;
        }
        *maximum = raised;
    }
    *total += spw_lanes_sum(sum);
}

SPW_CLONES
void spw_attention_gradient_row(float *restrict s, float *restrict d, int64_t visible,
                                int64_t columns, float scale, const float *restrict factors,
                                float log_sum, float inner)
{
    for (int64_t j = visible; j < columns; j++) {
        s[j] = -INFINITY;
        d[j] = 0.0f;
    }
    for (int64_t j = 0; j < columns; j += SPW_LANES) {
        for (int l = 0; l < SPW_LANES; l++) {
            const float weight = spw_expf(s[j + l] * scale - log_sum);
            const float d_weight = d[j + l] * factors[j + l] - inner;
            s[j + l] = weight * factors[j + l];
            d[j + l] = weight * d_weight * scale;
        }
    }
}

SPW_CLONES
float spw_attention_dot(const float *restrict a, const float *restrict b, int64_t count)
{
    const int64_t whole = count - count % SPW_LANES;
    float sum[SPW_LANES] = {0};
    for (int64_t i = 0; i < whole; i += SPW_LANES) {
        for (int l = 0; l < SPW_LANES; l++) {
            sum[l] += a[i + l] * b[i + l];
        }
    }
    for (int64_t i = whole; i < count; i++) {
        sum[i - whole] += a[i] * b[i];
    }
    return spw_lanes_sum(sum);
}

SPW_CLONES
void spw_attention_divide_row(const float *restrict from, float by, float *restrict to,
                              int64_t count)
{
    for (int64_t c = 0; c < count; c++) {
        to[c] = from[c] / by;
    }
}

SPW_CLONES
void spw_attention_store_row(const float *restrict from, float *restrict to, int64_t count,
                             bool add)
{
    for (int64_t c = 0; c < count; c++) {
        to[c] = add ? to[c] + from[c] : from[c];
    }
}

SPW_CLONES
void spw_attention_factors(const uint32_t *restrict words, struct spw_dropout_mask mask,
                           float *restrict factors)
{
    for (int j = 0; j < SPW_ATTENTION_BLOCK; j++) {
        factors[j] = spw_dropout_keeps(mask, words[j]) ? mask.scale : 0.0f;
    }
}
