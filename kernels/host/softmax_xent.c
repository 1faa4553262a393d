/* softmax_xent.c — fast path of softmax cross-entropy.
 *
 * A row is read once, in chunks that fit the first-level cache: the running maximum and the sum of
 * exponentials below it are corrected whenever a chunk raises the maximum (M. Milakov and
 * N. Gimelshein, "Online normalizer calculation for softmax", 2018). Row losses go to the workspace
 * and are added in row order, in double. Tested by tests/kernels/test_conformance.c. */
#include "kernels/host/host_op.h"

#include "base/checked.h"
#include "base/clones.h"
#include "base/status.h"
#include "kernels/host/lanes.h"
#include "kernels/host/tiles.h"
#include "kernels/host/vector_math.h"

#include <math.h>

/* Logits looked at before the running sum is corrected. */
#define CHUNK 2048

/* What a row leaves in the workspace. */
struct row {
    float loss;
    float correct; /* 0 or 1 */
};

SPW_CLONES
static float chunk_maximum(const float *x, int64_t count)
{
    const int64_t whole = count - count % SPW_LANES;
    float most[SPW_LANES];
    for (int l = 0; l < SPW_LANES; l++) {
        most[l] = -INFINITY;
    }
    for (int64_t i = 0; i < whole; i += SPW_LANES) {
        for (int l = 0; l < SPW_LANES; l++) {
            most[l] = spw_larger(x[i + l], most[l]);
        }
    }
    for (int64_t i = whole; i < count; i++) {
        most[i - whole] = spw_larger(x[i], most[i - whole]);
    }
    return spw_lanes_max(most);
}

SPW_CLONES
static float chunk_sum(const float *x, float maximum, int64_t count)
{
    const int64_t whole = count - count % SPW_LANES;
    float sum[SPW_LANES] = {0};
    for (int64_t i = 0; i < whole; i += SPW_LANES) {
        for (int l = 0; l < SPW_LANES; l++) {
            sum[l] += spw_expf(x[i + l] - maximum);
        }
    }
    for (int64_t i = whole; i < count; i++) {
        sum[i - whole] += spw_expf(x[i] - maximum);
    }
    return spw_lanes_sum(sum);
}

/* dx = factor e^(x - maximum), or dx += that. */
SPW_CLONES
static void row_gradient(const float *restrict x, float maximum, float factor, float *restrict dx,
                         int64_t count, bool add)
{
    if (add) {
        for (int64_t i = 0; i < count; i++) {
            dx[i] += factor * spw_expf(x[i] - maximum);
        }
    } else {
        for (int64_t i = 0; i < count; i++) {
            dx[i] = factor * spw_expf(x[i] - maximum);
        }
    }
}

/* True if no logit before the target's is as large. */
static bool is_first(const float *x, int32_t target, float maximum)
{
    if (x[target] != maximum) {
        return false;
    }
    int32_t at = 0;
    while (x[at] != maximum) {
        at++;
    }
    return at == target;
}

/* The row's loss; its maximum and sum for the gradient. */
static struct row row_loss(const float *x, int64_t classes, int32_t target, float *maximum,
                           float *sum)
{
    float most = -INFINITY;
    float total = 0.0f;
    for (int64_t first = 0; first < classes; first += CHUNK) {
        const int64_t count = classes - first < CHUNK ? classes - first : CHUNK;
        const float chunk_most = chunk_maximum(x + first, count);
        if (chunk_most > most) {
            /* While nothing has been added there is nothing to correct. */
            total = total > 0.0f ? total * spw_expf(most - chunk_most) : total;
            most = chunk_most;
        }
        /* After nothing but -inf, subtracting the maximum would give NaN instead of e^-inf = 0. */
        total += chunk_sum(x + first, most > -INFINITY ? most : 0.0f, count);
    }
    *maximum = most;
    *sum = total;
    return (struct row){
        .loss = logf(total) + (most - x[target]),
        .correct = is_first(x, target, most) ? 1.0f : 0.0f,
    };
}

static int64_t classes_of(const struct spw_op_desc *desc)
{
    return desc->in.dim[desc->in.rank - 1];
}

static void run_row(const struct spw_call *call, int64_t row, bool backward)
{
    const int64_t classes = classes_of(call->desc);
    const float *x = (const float *)call->x[0] + row * classes;
    const int32_t target = call->targets[row];
    SPW_ASSERT(target >= 0 && target < classes);
    float maximum;
    float sum;
    ((struct row *)call->workspace)[row] = row_loss(x, classes, target, &maximum, &sum);
    if (backward) {
        const bool add = (call->flags & SPW_CALL_ACCUMULATE_DX0) != 0;
        float *dx = call->dx[0] + row * classes;
        const float before = add ? dx[target] : 0.0f;
        const float factor = call->loss_scale / sum;
        row_gradient(x, maximum, factor, dx, classes, add);
        const float at_target = factor * spw_expf(x[target] - maximum) - call->loss_scale;
        dx[target] = before + at_target;
    }
}

struct work {
    const struct spw_call *call;
    int64_t rows, rows_per_tile;
    bool backward;
};

static void run_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct work *work = context;
    const int64_t first = (int64_t)index * work->rows_per_tile;
    const int64_t count = spw_tile_length(work->rows, work->rows_per_tile, index);
    for (int64_t row = first; row < first + count; row++) {
        run_row(work->call, row, work->backward);
    }
}

static enum spw_status run(struct spw_lane *lane, const struct spw_call *call, bool backward)
{
    struct work work = {
        .call = call,
        .rows = call->items * spw_shape_rows(&call->desc->in),
        .rows_per_tile = spw_tile_rows(classes_of(call->desc)),
        .backward = backward && call->dx[0] != NULL,
    };
    spw_pool_run(spw_lane_pool(lane), spw_tile_count(work.rows, work.rows_per_tile), run_tile,
                 &work);
    const struct row *rows = call->workspace;
    struct spw_loss loss = {.sum = 0, .correct = 0};
    for (int64_t row = 0; row < work.rows; row++) {
        loss.sum += (double)rows[row].loss;
        loss.correct += (double)rows[row].correct;
    }
    *call->loss = loss;
    return SPW_OK;
}

static enum spw_status forward(struct spw_lane *lane, const struct spw_call *call,
                               struct spw_error *error)
{
    (void)error;
    return run(lane, call, false);
}

static enum spw_status backward(struct spw_lane *lane, const struct spw_call *call,
                                struct spw_error *error)
{
    (void)error;
    return run(lane, call, true);
}

static enum spw_status workspace(const struct spw_op_desc *desc, int64_t items, enum spw_pass pass,
                                 uint32_t threads, struct spw_error *error, uint64_t *bytes)
{
    (void)pass;
    (void)threads;
    uint64_t rows;
    uint64_t needed;
    if (!spw_checked_multiply((uint64_t)items, (uint64_t)spw_shape_rows(&desc->in), &rows) ||
        !spw_checked_multiply(rows, sizeof(struct row), &needed)) {
        return SPW_FAIL(error, SPW_ERR_USAGE, "%lld items of this shape are too many for a loss",
                        (long long)items);
    }
    *bytes = needed;
    return SPW_OK;
}

const struct spw_host_op spw_host_softmax_xent = {
    .workspace = workspace, .forward = forward, .backward = backward};
