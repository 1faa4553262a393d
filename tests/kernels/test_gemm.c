/* Tests of kernels/host/gemm.c and transpose.c against double loops. */
#include "base/philox.h"
#include "kernels/host/gemm.h"
#include "kernels/host/transpose.h"
#include "op_check.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static float *numbers(int64_t count, uint64_t key)
{
    float *out = malloc((size_t)count * sizeof(float));
    for (int64_t i = 0; i < count; i++) {
        out[i] = spw_unit_float(spw_random_word(key, 0, (uint64_t)i)) * 2 - 1;
    }
    return out;
}

Test(transpose, turns_every_shape_over)
{
    static const int64_t sizes[][2] = {{1, 1},   {3, 5},   {4, 4},     {8, 1},     {1, 9},
                                       {16, 16}, {17, 33}, {64, 1030}, {1030, 64}, {5, 200}};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        int64_t rows = sizes[k][0], columns = sizes[k][1], gap = 3;
        float *in = numbers(rows * (columns + gap), 1);
        float *out = numbers(columns * (rows + gap), 2);
        float *before = numbers(columns * (rows + gap), 2);
        float *bias = numbers(rows, 3);
        for (int variant = 0; variant < 3; variant++) {
            memcpy(out, before, (size_t)(columns * (rows + gap)) * sizeof(float));
            if (variant == 0) {
                spw_transpose(in, columns + gap, rows, columns, out, rows + gap);
            } else {
                spw_transpose_add(in, columns + gap, rows, columns, bias, variant == 2, out,
                                  rows + gap);
            }
            for (int64_t j = 0; j < columns; j++) {
                for (int64_t i = 0; i < rows + gap; i++) {
                    int64_t at = j * (rows + gap) + i;
                    float want = i < rows ? in[i * (columns + gap) + j] : before[at];
                    want += i < rows && variant > 0 ? bias[i] : 0;
                    want = i < rows && variant == 2 ? before[at] + want : want;
                    cr_assert(out[at] == want, "%lld x %lld", (long long)rows, (long long)columns);
                }
            }
        }
        free(in);
        free(out);
        free(before);
        free(bias);
    }
}

static double element(const struct spw_gemm *g, int64_t i, int64_t j)
{
    double sum = g->bias != NULL ? (double)g->bias[j] : 0;
    for (int64_t k = 0; k < g->k; k++) {
        double a = (double)g->a[g->transpose_a ? k * g->m + i : i * g->k + k];
        double b = (double)g->b[g->transpose_b ? j * g->k + k : k * g->n + j];
        sum += a * b;
    }
    return sum;
}

static void run_gemm(struct spw_gemm *gemm, uint32_t threads)
{
    struct op_lane lane = op_lane_open(threads, false);
    uint64_t bytes = spw_gemm_workspace_bytes(gemm, threads);
    char *workspace = aligned_alloc(64, bytes + 64);
    memset(workspace, 0xff, bytes + 64);
    cr_assert(spw_gemm_run(lane.lane, gemm, workspace, NULL) == SPW_OK);
    for (int i = 0; i < 64; i++) {
        cr_assert((unsigned char)workspace[bytes + (uint64_t)i] == 0xff);
    }
    free(workspace);
    op_lane_close(&lane);
}

/* Every transposition, with and without bias and addition, small and cut into tiles. */
Test(gemm, agrees_with_a_double_loop_and_with_itself)
{
    static const int64_t sizes[][3] = {{1, 1, 1},    {5, 7, 3},      {16, 50, 40},   {32, 300, 129},
                                       {33, 65, 70}, {256, 48, 200}, {300, 400, 600}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (int variant = 0; variant < 16; variant++) {
            struct spw_gemm g = {.m = sizes[s][0], .n = sizes[s][1], .k = sizes[s][2]};
            g.transpose_a = (variant & 1) != 0;
            g.transpose_b = (variant & 2) != 0;
            g.accumulate = (variant & 4) != 0;
            float *a = numbers(g.m * g.k, 1), *b = numbers(g.k * g.n, 2), *bias = numbers(g.n, 3);
            float *before = numbers(g.m * g.n, 4), *first = numbers(g.m * g.n, 4);
            float *other = malloc((size_t)(g.m * g.n) * sizeof(float));
            g.a = a;
            g.b = b;
            g.bias = (variant & 8) != 0 ? bias : NULL;
            g.c = first;
            if (!g.accumulate) {
                memset(first, 0xff, (size_t)(g.m * g.n) * sizeof(float));
            }
            run_gemm(&g, 1);
            for (int64_t at = 0; at < g.m * g.n; at += 1 + g.m * g.n / 500) {
                double want = element(&g, at / g.n, at % g.n);
                want += g.accumulate ? (double)before[at] : 0;
                cr_assert(fabs((double)first[at] - want) <= 2e-6 * sqrt((double)g.k) + 1e-6,
                          "variant %d, element %lld: %.9g, not %.9g", variant, (long long)at,
                          (double)first[at], want);
            }
            memcpy(other, before, (size_t)(g.m * g.n) * sizeof(float));
            g.c = other;
            run_gemm(&g, 3);
            cr_assert(memcmp(first, other, (size_t)(g.m * g.n) * sizeof(float)) == 0);
            free(a);
            free(b);
            free(bias);
            free(before);
            free(first);
            free(other);
        }
    }
}

Test(gemm, sums_columns)
{
    static const int64_t sizes[][2] = {{1, 1}, {3, 700}, {64, 5}, {65, 33}, {1000, 513}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        int64_t rows = sizes[s][0], columns = sizes[s][1];
        float *a = numbers(rows * columns, 1), *sums = numbers(columns, 2);
        float *added = numbers(columns, 2), *before = numbers(columns, 2);
        struct op_lane one = op_lane_open(1, false), two = op_lane_open(2, false);
        spw_column_sums(one.lane, a, rows, columns, false, sums);
        spw_column_sums(two.lane, a, rows, columns, true, added);
        for (int64_t j = 0; j < columns; j++) {
            double want = 0;
            for (int64_t i = 0; i < rows; i++) {
                want += (double)a[i * columns + j];
            }
            cr_assert(fabs((double)sums[j] - want) <= 1e-6 * (double)rows);
            cr_assert(added[j] == before[j] + sums[j]);
        }
        op_lane_close(&one);
        op_lane_close(&two);
        free(a);
        free(sums);
        free(added);
        free(before);
    }
}
