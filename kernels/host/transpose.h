/* transpose.h — turning a matrix over, fast. Internal to the kernels box; tested by
 * tests/kernels/test_gemm.c. */
#ifndef SPW_KERNELS_HOST_TRANSPOSE_H
#define SPW_KERNELS_HOST_TRANSPOSE_H

#include <stdbool.h>
#include <stdint.h>

/* out[j][i] = in[i][j] for i < rows, j < columns; row i of `in` starts at in + i * in_stride, row j
 * of `out` at out + j * out_stride. They must not overlap. Any alignment. */
void spw_transpose(const float *in, int64_t in_stride, int64_t rows, int64_t columns, float *out,
                   int64_t out_stride);

/* The same and then: + bias[i] (unless NULL), + what out[j][i] held before (if `accumulate`). */
void spw_transpose_add(const float *in, int64_t in_stride, int64_t rows, int64_t columns,
                       const float *bias, bool accumulate, float *out, int64_t out_stride);

#endif
