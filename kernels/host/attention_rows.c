/* attention_rows.c — the loops of attention over single rows; see attention_rows.h.
 *
 * Partial sums run in lanes that are written out, see lanes.h; here there are few, because rows are
 * short. Tested by tests/kernels/test_conformance.c through the op. */
#include "kernels/host/attention_rows.h"

#include "base/clones.h"
#include "kernels/host/vector_math.h"

#include <math.h>

#define LANES SPW_ATTENTION_LANES

/* Turns a row of scores into weights below the running maximum, corrects what was summed before
 * under a smaller maximum (`total` and the row of y), and applies dropout's factors. */
SPW_CLONES
void spw_attention_softmax_row(float *restrict s, int64_t visible, int64_t columns, float scale,
                               const float *restrict factors, float *maximum, float *total,
                               float *restrict y, int64_t size)
{
    float most[LANES];
    for (int l = 0; l < LANES; l++) {
        most[l] = *maximum;
    }
    for (int64_t j = 0; j < columns; j += LANES) {
        for (int l = 0; l < LANES; l++) {
            const float score = j + l < visible ? s[j + l] * scale : -INFINITY;
            s[j + l] = score;
            most[l] = score > most[l] ? score : most[l];
        }
    }
    float raised = most[0];
    for (int l = 1; l < LANES; l++) {
        raised = most[l] > raised ? most[l] : raised;
    }
    float sum[LANES] = {0};
    for (int64_t j = 0; j < columns; j += LANES) {
        for (int l = 0; l < LANES; l++) {
            const float weight = spw_expf(s[j + l] - raised);
            sum[l] += weight;
            s[j + l] = weight * factors[j + l];
        }
    }
    for (int width = LANES / 2; width > 0; width /= 2) {
        for (int l = 0; l < width; l++) {
            sum[l] += sum[l + width];
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
    *total += sum[0];
}

/* From a row of scores and of dy . v: the weights after dropout, into `s`, and the gradient of the
 * scores, into `d`. With weight p and factor f it is p (f dy . v - inner), times the scale. */
SPW_CLONES
void spw_attention_gradient_row(float *restrict s, float *restrict d, int64_t visible,
                                int64_t columns, float scale, const float *restrict factors,
                                float log_sum, float inner)
{
    for (int64_t j = 0; j < columns; j += LANES) {
        for (int l = 0; l < LANES; l++) {
            const float score = j + l < visible ? s[j + l] * scale - log_sum : -INFINITY;
            const float weight = spw_expf(score);
            const float d_weight = j + l < visible ? d[j + l] * factors[j + l] - inner : 0.0f;
            s[j + l] = weight * factors[j + l];
            d[j + l] = weight * d_weight * scale;
        }
    }
}

SPW_CLONES
float spw_attention_dot(const float *restrict a, const float *restrict b, int64_t count)
{
    const int64_t whole = count - count % LANES;
    float sum[LANES] = {0};
    for (int64_t i = 0; i < whole; i += LANES) {
        for (int l = 0; l < LANES; l++) {
            sum[l] += a[i + l] * b[i + l];
        }
    }
    for (int64_t i = whole; i < count; i++) {
        sum[i - whole] += a[i] * b[i];
    }
    for (int width = LANES / 2; width > 0; width /= 2) {
        for (int l = 0; l < width; l++) {
            sum[l] += sum[l + width];
        }
    }
    return sum[0];
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
