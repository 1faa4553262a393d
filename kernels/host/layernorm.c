/* layernorm.c — fast path of layer normalisation (J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer
 * normalization", 2016).
 *
 * Rows are independent but for the gradients of weight and bias, which sum over rows: each block of
 * rows leaves a partial sum in the workspace, and these are added in block order. How rows are cut
 * into blocks depends on the shape alone. Tested by tests/kernels/test_conformance.c. */
#include "kernels/host/host_op.h"

#include "base/checked.h"
#include "base/clones.h"
#include "base/status.h"
#include "kernels/host/lanes.h"
#include "kernels/host/tiles.h"

#include <math.h>
#include <string.h>

/* At most so many partial sums, so that they stay small beside the activations. */
#define BLOCKS_MAX 32

/* Columns whose partial sums one tile adds up. */
#define COLUMNS_PER_TILE 256

struct sizes {
    int64_t rows, width;
    int64_t rows_per_block;
    uint32_t blocks;
};

static struct sizes sizes_of(const struct spw_op_desc *desc, int64_t items)
{
    struct sizes sizes = {
        .rows = items * spw_shape_rows(&desc->in),
        .width = desc->in.dim[desc->in.rank - 1],
    };
    sizes.rows_per_block = spw_tile_rows(sizes.width);
    if (sizes.rows_per_block < (sizes.rows + BLOCKS_MAX - 1) / BLOCKS_MAX) {
        sizes.rows_per_block = (sizes.rows + BLOCKS_MAX - 1) / BLOCKS_MAX;
    }
    sizes.blocks = spw_tile_count(sizes.rows, sizes.rows_per_block);
    return sizes;
}

/* One row forward; saved: [2]. The mean is taken off before squaring, so that no digits cancel. */
SPW_CLONES
static void forward_row(const float *restrict x, const float *restrict w, const float *restrict b,
                        float eps, float *restrict y, float *restrict saved, int64_t width)
{
    const int64_t whole = width - width % SPW_LANES;
    float sum[SPW_LANES] = {0};
    for (int64_t i = 0; i < whole; i += SPW_LANES) {
        for (int l = 0; l < SPW_LANES; l++) {
            sum[l] += x[i + l];
        }
    }
    for (int64_t i = whole; i < width; i++) {
        sum[i - whole] += x[i];
    }
    const float mean = spw_lanes_sum(sum) / (float)width;

    float squares[SPW_LANES] = {0};
    for (int64_t i = 0; i < whole; i += SPW_LANES) {
        for (int l = 0; l < SPW_LANES; l++) {
            squares[l] += (x[i + l] - mean) * (x[i + l] - mean);
        }
    }
    for (int64_t i = whole; i < width; i++) {
        squares[i - whole] += (x[i] - mean) * (x[i] - mean);
    }
    const float rstd = 1.0f / sqrtf(spw_lanes_sum(squares) / (float)width + eps);

    for (int64_t i = 0; i < width; i++) {
        y[i] = (x[i] - mean) * rstd * w[i] + b[i];
    }
    saved[0] = mean;
    saved[1] = rstd;
}

/* dx of one row. With n = (x - mean) rstd and g = dy w: dx = rstd (g - mean(g) - n mean(g n)). */
SPW_CLONES
static void dx_row(const float *restrict x, const float *restrict w, const float *restrict dy,
                   float mean, float rstd, float *restrict dx, int64_t width, bool add)
{
    const int64_t whole = width - width % SPW_LANES;
    float sum_g[SPW_LANES] = {0};
    float sum_gn[SPW_LANES] = {0};
    for (int64_t i = 0; i < whole; i += SPW_LANES) {
        for (int l = 0; l < SPW_LANES; l++) {
            const float g = dy[i + l] * w[i + l];
            sum_g[l] += g;
            sum_gn[l] += g * ((x[i + l] - mean) * rstd);
        }
    }
    for (int64_t i = whole; i < width; i++) {
        const float g = dy[i] * w[i];
        sum_g[i - whole] += g;
        sum_gn[i - whole] += g * ((x[i] - mean) * rstd);
    }
    const float mean_g = spw_lanes_sum(sum_g) / (float)width;
    const float mean_gn = spw_lanes_sum(sum_gn) / (float)width;
    if (add) {
        for (int64_t i = 0; i < width; i++) {
            dx[i] += rstd * (dy[i] * w[i] - mean_g - (x[i] - mean) * rstd * mean_gn);
        }
    } else {
        for (int64_t i = 0; i < width; i++) {
            dx[i] = rstd * (dy[i] * w[i] - mean_g - (x[i] - mean) * rstd * mean_gn);
        }
    }
}

/* Adds one row to the partial sums dw and db, [width] each. */
SPW_CLONES
static void dw_row(const float *restrict x, const float *restrict dy, float mean, float rstd,
                   float *restrict dw, float *restrict db, int64_t width)
{
    for (int64_t i = 0; i < width; i++) {
        dw[i] += dy[i] * ((x[i] - mean) * rstd);
        db[i] += dy[i];
    }
}

/* total = the sum of `blocks` partial sums `step` floats apart, or total += that sum. */
SPW_CLONES
static void add_partials(const float *restrict partials, int64_t step, uint32_t blocks,
                         float *restrict total, int64_t count, bool add)
{
    for (int64_t i = 0; i < count; i++) {
        float sum = 0.0f;
        for (uint32_t block = 0; block < blocks; block++) {
            sum += partials[(int64_t)block * step + i];
        }
        total[i] = add ? total[i] + sum : sum;
    }
}

static void forward_block(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct spw_call *call = context;
    const struct sizes sizes = sizes_of(call->desc, call->items);
    const int64_t first = (int64_t)index * sizes.rows_per_block;
    const int64_t count = spw_tile_length(sizes.rows, sizes.rows_per_block, index);
    for (int64_t row = first; row < first + count; row++) {
        forward_row((const float *)call->x[0] + row * sizes.width, call->w[0], call->w[1],
                    (float)call->desc->attr.layernorm.eps, call->y + row * sizes.width,
                    call->saved + 2 * row, sizes.width);
    }
}

static enum spw_status forward(struct spw_lane *lane, const struct spw_call *call,
                               struct spw_error *error)
{
    (void)error;
    struct spw_call copy = *call;
    spw_pool_run(spw_lane_pool(lane), sizes_of(call->desc, call->items).blocks, forward_block,
                 &copy);
    return SPW_OK;
}

static bool wants_dw(const struct spw_call *call)
{
    return call->dw[0] != NULL || call->dw[1] != NULL;
}

/* The workspace: for each block [width] of dw, then [width] of db. */
static void backward_block(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct spw_call *call = context;
    const struct sizes sizes = sizes_of(call->desc, call->items);
    const int64_t width = sizes.width;
    const int64_t first = (int64_t)index * sizes.rows_per_block;
    const int64_t count = spw_tile_length(sizes.rows, sizes.rows_per_block, index);
    float *partial = NULL;
    if (wants_dw(call)) {
        partial = (float *)call->workspace + (int64_t)index * 2 * width;
        memset(partial, 0, (size_t)(2 * width) * sizeof(*partial));
    }
    for (int64_t row = first; row < first + count; row++) {
        const float *x = (const float *)call->x[0] + row * width;
        const float *dy = call->dy + row * width;
        const float *saved = call->saved + 2 * row;
        if (call->dx[0] != NULL) {
            dx_row(x, call->w[0], dy, saved[0], saved[1], call->dx[0] + row * width, width,
                   (call->flags & SPW_CALL_ACCUMULATE_DX0) != 0);
        }
        if (partial != NULL) {
            dw_row(x, dy, saved[0], saved[1], partial, partial + width, width);
        }
    }
}

static void reduce_columns(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct spw_call *call = context;
    const struct sizes sizes = sizes_of(call->desc, call->items);
    const int64_t first = (int64_t)index * COLUMNS_PER_TILE;
    const int64_t count = spw_tile_length(sizes.width, COLUMNS_PER_TILE, index);
    for (int which = 0; which < 2; which++) {
        if (call->dw[which] != NULL) {
            add_partials((const float *)call->workspace + which * sizes.width + first,
                         2 * sizes.width, sizes.blocks, call->dw[which] + first, count,
                         (call->flags & SPW_CALL_ACCUMULATE_DW) != 0);
        }
    }
}

static enum spw_status backward(struct spw_lane *lane, const struct spw_call *call,
                                struct spw_error *error)
{
    (void)error;
    struct spw_call copy = *call;
    const struct sizes sizes = sizes_of(call->desc, call->items);
    spw_pool_run(spw_lane_pool(lane), sizes.blocks, backward_block, &copy);
    if (wants_dw(call)) {
        spw_pool_run(spw_lane_pool(lane), spw_tile_count(sizes.width, COLUMNS_PER_TILE),
                     reduce_columns, &copy);
    }
    return SPW_OK;
}

static enum spw_status workspace(const struct spw_op_desc *desc, int64_t items, enum spw_pass pass,
                                 uint32_t threads, struct spw_error *error, uint64_t *bytes)
{
    (void)threads;
    const struct sizes sizes = sizes_of(desc, items);
    uint64_t needed = 0;
    if (pass == SPW_BACKWARD && !spw_checked_multiply((uint64_t)sizes.blocks * 2 * sizeof(float),
                                                      (uint64_t)sizes.width, &needed)) {
        return SPW_FAIL(error, SPW_ERR_USAGE, "a layernorm over %lld elements is too large",
                        (long long)sizes.width);
    }
    *bytes = needed;
    return SPW_OK;
}

const struct spw_host_op spw_host_layernorm = {
    .workspace = workspace, .forward = forward, .backward = backward};
