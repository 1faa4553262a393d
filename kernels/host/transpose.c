/* transpose.c — turning a matrix over in blocks of 4 x 4 held in vector registers.
 *
 * A plain double loop touches a new cache line with every element; this one uses whole lines on
 * both sides and is 5 to 10 times as fast. */
#include "kernels/host/transpose.h"

#include "base/clones.h"

#include <string.h>

#define TILE 16

typedef float lanes __attribute__((vector_size(16)));

/* Four rows of four in, four columns of four out. */
static inline void turn_4x4(const float *in, int64_t stride, lanes out[4])
{
    lanes r[4];
    for (int i = 0; i < 4; i++) {
        memcpy(&r[i], in + i * stride, sizeof r[i]);
    }
    lanes a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
    lanes b = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    lanes c = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
    lanes d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    out[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
    out[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    out[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
    out[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

static inline void store_4x4(const lanes block[4], const lanes *bias, bool accumulate, float *out,
                             int64_t stride)
{
    for (int j = 0; j < 4; j++) {
        lanes value = block[j];
        if (bias != NULL) {
            value += *bias;
        }
        if (accumulate) {
            lanes before;
            memcpy(&before, out + j * stride, sizeof before);
            value = before + value;
        }
        memcpy(out + j * stride, &value, sizeof value);
    }
}

static inline void turn_tile(const float *in, int64_t in_stride, int64_t row, int64_t row_end,
                             int64_t column, int64_t column_end, const float *bias, bool accumulate,
                             float *out, int64_t out_stride)
{
    for (int64_t j = column; j < column_end; j += 4) {
        for (int64_t i = row; i < row_end; i += 4) {
            lanes bias_lanes = {0};
            if (bias != NULL) {
                memcpy(&bias_lanes, bias + i, sizeof bias_lanes);
            }
            lanes block[4];
            turn_4x4(in + i * in_stride + j, in_stride, block);
            store_4x4(block, bias == NULL ? NULL : &bias_lanes, accumulate,
                      out + j * out_stride + i, out_stride);
        }
    }
}

/* What the blocks leave over. */
static inline void turn_edge(const float *in, int64_t in_stride, int64_t row, int64_t rows,
                             int64_t column, int64_t columns, const float *bias, bool accumulate,
                             float *out, int64_t out_stride)
{
    for (int64_t i = row; i < rows; i++) {
        for (int64_t j = column; j < columns; j++) {
            float value = in[i * in_stride + j];
            if (bias != NULL) {
                value += bias[i];
            }
            if (accumulate) {
                value = out[j * out_stride + i] + value;
            }
            out[j * out_stride + i] = value;
        }
    }
}

/* Tiles of 16 x 16 use up the cache lines of both sides while they are near: with a stride of a
 * page the lines of one column throw each other out of the cache. */
static inline void turn(const float *in, int64_t in_stride, int64_t rows, int64_t columns,
                        const float *bias, bool accumulate, float *out, int64_t out_stride)
{
    int64_t whole_rows = rows & ~(int64_t)3;
    int64_t whole_columns = columns & ~(int64_t)3;
    for (int64_t j = 0; j < whole_columns; j += TILE) {
        int64_t j_end = whole_columns - j < TILE ? whole_columns : j + TILE;
        for (int64_t i = 0; i < whole_rows; i += TILE) {
            int64_t i_end = whole_rows - i < TILE ? whole_rows : i + TILE;
            turn_tile(in, in_stride, i, i_end, j, j_end, bias, accumulate, out, out_stride);
        }
    }
    turn_edge(in, in_stride, whole_rows, rows, 0, whole_columns, bias, accumulate, out, out_stride);
    turn_edge(in, in_stride, 0, rows, whole_columns, columns, bias, accumulate, out, out_stride);
}

SPW_CLONES void spw_transpose(const float *in, int64_t in_stride, int64_t rows, int64_t columns,
                              float *out, int64_t out_stride)
{
    turn(in, in_stride, rows, columns, NULL, false, out, out_stride);
}

SPW_CLONES void spw_transpose_add(const float *in, int64_t in_stride, int64_t rows, int64_t columns,
                                  const float *bias, bool accumulate, float *out,
                                  int64_t out_stride)
{
    turn(in, in_stride, rows, columns, bias, accumulate, out, out_stride);
}
