/* attention_rows.h — the loops of attention over single rows: softmax as it goes along, its
 * gradient, and rows in and out. Internal to the kernels box. */
#ifndef SPW_KERNELS_HOST_ATTENTION_ROWS_H
#define SPW_KERNELS_HOST_ATTENTION_ROWS_H

#include "kernels/host/dropout_mask.h"
#include "kernels/host/lanes.h"

/* Queries and keys of a block. */
#define SPW_ATTENTION_BLOCK 64
/* Below, `columns` is a multiple of SPW_LANES; of those, only the first `visible` keys count. */

/* Turns a row of scores s[columns] into weights below the running maximum, times `scale`, corrects
 * what was summed before under a smaller maximum (*total and y[size]), and applies dropout's
 * factors[columns] to the weights, not to the total. */
void spw_attention_softmax_row(float *restrict s, int64_t visible, int64_t columns, float scale,
                               const float *restrict factors, float *maximum, float *total,
                               float *restrict y, int64_t size);

/* From rows of scores s[columns] and of dy . v, d[columns]: the weights after dropout, into `s`,
 * and the gradient of the unscaled scores, into `d`. With weight p and factor f the gradient is p
 * (f dy . v - inner) times the scale. `log_sum` is the logarithm of the row's sum. */
void spw_attention_gradient_row(float *restrict s, float *restrict d, int64_t visible,
                                int64_t columns, float scale, const float *restrict factors,
                                float log_sum, float inner);

float spw_attention_dot(const float *restrict a, const float *restrict b, int64_t count);
/* to = from / by. */
void spw_attention_divide_row(const float *restrict from, float by, float *restrict to,
                              int64_t count);
/* to = from, or to += from. */
void spw_attention_store_row(const float *restrict from, float *restrict to, int64_t count,
                             bool add);
/* Dropout's factors for SPW_ATTENTION_BLOCK random words. */
void spw_attention_factors(const uint32_t *restrict words, struct spw_dropout_mask mask,
                           float *restrict factors);

#endif
