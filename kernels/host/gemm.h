/* gemm.h — matrix products spread over a lane's threads.
 *
 * The tiles depend on the shape alone and no tile adds to another's result, so the bits do not
 * depend on the number of threads. Internal to the kernels box; tested by
 * tests/kernels/test_gemm.c. */
#ifndef SPW_KERNELS_HOST_GEMM_H
#define SPW_KERNELS_HOST_GEMM_H

#include "kernels/host/lane.h"

/* C = op(A) op(B) + bias, or C += that. Row-major without gaps: C is [m, n]; A is [m, k], or [k, m]
 * if transposed; B is [k, n], or [n, k]. All sizes > 0. */
struct spw_gemm {
    int64_t m, n, k;
    bool transpose_a, transpose_b;
    bool accumulate;
    const float *a, *b;
    const float *bias; /* [n], NULL for none */
    float *c;
};

/* Scratch memory of one run; only shapes and transpositions of `gemm` are read. */
uint64_t spw_gemm_workspace_bytes(const struct spw_gemm *gemm, uint32_t threads);
enum spw_status spw_gemm_run(struct spw_lane *lane, const struct spw_gemm *gemm, void *workspace,
                             struct spw_error *error);

/* sums[j] (+)= sum over i of a[i][j], for a [rows, columns]: rows in order, in blocks of 64 whose
 * sums are then added in order. */
void spw_column_sums(struct spw_lane *lane, const float *a, int64_t rows, int64_t columns,
                     bool accumulate, float *sums);

#endif
