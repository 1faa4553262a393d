/* linear_xent.c — the fast path of LINEAR_XENT: a linear layer over many classes and its loss.
 *
 * The logits of all rows would be the largest tensor of a language model. So rows go in chunks, and
 * the classes of a chunk in panels. Logits lie turned over, [classes, rows of the chunk]: the
 * products are fastest that way (gemm.c says why), and the loops over a panel run along the rows.
 *
 *   1. for each panel: logits; each row's largest (m) and the sum of e^(logit - m) (s). Going
 *      backward the exponentials stay in the workspace;
 *   2. the panels' m and s make each row's loss, and the factor that turns the panel's exponentials
 *      into gradients;
 *   3. for each panel: gradients; dW of the panel's classes; what the panel adds to dx.
 *
 * Chunks, panels and spans of panels depend on the shape alone, and sums run in their order. See
 * M. Milakov and N. Gimelshein, "Online normalizer calculation for softmax", arXiv:1805.02867, for
 * why step 2 may correct the sums afterwards. Tested by test_linear_xent.c, test_conformance.c. */
#include "base/checked.h"
#include "base/clones.h"
#include "base/thread.h"
#include "kernels/host/lane.h"
#include "kernels/host/tiles.h"
#include "kernels/host/transpose.h"
#include "kernels/host/vector_math.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#define PANEL INT64_C(512) /* classes */
/* Going backward, a span of panels sums its part of dx by itself. */
#define SPANS_MAX 4
/* A chunk's rows: whole vectors, and logits that take at most the larger of 8 MiB and a quarter of
 * the weight. Fewer rows read the weight and its gradient from memory more often per row. */
#define CHUNK_ROWS_MAX 256
#define CHUNK_ROWS_MULTIPLE 16
#define CHUNK_BYTES (INT64_C(8) << 20)

struct sizes {
    int64_t rows, in, classes;
    int64_t chunk; /* rows */
    int64_t panels, spans;
};

/* Byte offsets within the workspace. */
struct layout {
    uint64_t turned_x;           /* [in, chunk] */
    uint64_t logits;             /* backward: [classes, chunk] */
    uint64_t largest, sum, best; /* [panels, chunk]: m, s, and the class of m (int32) */
    uint64_t target_logit;       /* [chunk] */
    uint64_t dx;                 /* backward: [spans, chunk, in] */
    uint64_t panel_logits;       /* forward: per thread [PANEL, chunk] */
    uint64_t bytes;
};

struct run {
    const struct spw_call *call;
    const struct spw_dnnl *dnnl;
    struct sizes sizes;
    struct layout layout;
    bool backward;
    int64_t row, rows; /* the present chunk */
    _Atomic int code;  /* the first failure of the library */
};

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t chunk_rows(int64_t rows, int64_t in, int64_t classes)
{
    int64_t quarter = classes * in;
    int64_t most = (quarter > CHUNK_BYTES ? quarter : CHUNK_BYTES) / (classes * 4);
    most = smaller(most, CHUNK_ROWS_MAX) / CHUNK_ROWS_MULTIPLE * CHUNK_ROWS_MULTIPLE;
    most = most < CHUNK_ROWS_MULTIPLE ? CHUNK_ROWS_MULTIPLE : most;
    int64_t chunks = (rows + most - 1) / most;
    int64_t alike = (rows + chunks - 1) / chunks;
    return smaller(rows, (int64_t)spw_round_up((uint64_t)alike, CHUNK_ROWS_MULTIPLE));
}

static struct sizes sizes_of(const struct spw_op_desc *desc, int64_t items)
{
    struct sizes s = {
        .rows = items * spw_shape_rows(&desc->in),
        .in = desc->attr.linear.in,
        .classes = desc->attr.linear.out,
    };
    s.chunk = chunk_rows(s.rows, s.in, s.classes);
    s.panels = spw_tile_count(s.classes, PANEL);
    s.spans = smaller(s.panels, SPANS_MAX);
    return s;
}

static uint64_t take(uint64_t *used, int64_t floats)
{
    uint64_t offset = *used;
    *used += spw_round_up((uint64_t)floats * sizeof(float), 64);
    return offset;
}

static struct layout layout_of(const struct sizes *s, bool backward, uint32_t threads)
{
    struct layout l = {0};
    l.turned_x = take(&l.bytes, s->in * s->chunk);
    l.largest = take(&l.bytes, s->panels * s->chunk);
    l.sum = take(&l.bytes, s->panels * s->chunk);
    l.best = take(&l.bytes, s->panels * s->chunk);
    l.target_logit = take(&l.bytes, s->chunk);
    if (backward) {
        l.logits = take(&l.bytes, s->classes * s->chunk);
        l.dx = take(&l.bytes, s->spans * s->chunk * s->in);
    } else {
        l.panel_logits = take(&l.bytes, threads * smaller(PANEL, s->classes) * s->chunk);
    }
    return l;
}

static enum spw_status linear_xent_workspace(const struct spw_op_desc *desc, int64_t items,
                                             enum spw_pass pass, uint32_t threads,
                                             struct spw_error *error, uint64_t *bytes)
{
    (void)error;
    struct sizes sizes = sizes_of(desc, items);
    *bytes = layout_of(&sizes, pass == SPW_BACKWARD, threads).bytes;
    return SPW_OK;
}

static float *at(const struct run *run, uint64_t offset)
{
    return (float *)(void *)((char *)run->call->workspace + offset);
}

static int32_t *best_at(const struct run *run, int64_t panel)
{
    return (int32_t *)(void *)((char *)run->call->workspace + run->layout.best) +
           panel * run->sizes.chunk;
}

static float *panel_logits(const struct run *run, int64_t panel, uint32_t thread)
{
    return run->backward ? at(run, run->layout.logits) + panel * PANEL * run->rows
                         : at(run, run->layout.panel_logits) + thread * PANEL * run->sizes.chunk;
}

static int64_t panel_classes(const struct run *run, int64_t panel)
{
    return spw_tile_length(run->sizes.classes, PANEL, (uint32_t)panel);
}

static void keep_failure(struct run *run, int code)
{
    if (code != 0) {
        int none = 0;
        atomic_compare_exchange_strong(&run->code, &none, code);
    }
}

/* Step 1 */

/* z [classes, rows] = W of the panel, [classes, in], times x^T, [in, rows]. */
static int multiply_logits(const struct run *run, int64_t panel, float *z)
{
    const struct sizes *s = &run->sizes;
    bool conv1d = run->call->desc->attr.linear.conv1d;
    int64_t first = panel * PANEL;
    return spw_dnnl_product(run->dnnl, &(struct spw_dnnl_product){
                                           .m = panel_classes(run, panel),
                                           .n = run->rows,
                                           .k = s->in,
                                           .transpose_a = conv1d,
                                           .a = run->call->w[0] + (conv1d ? first : first * s->in),
                                           .b = at(run, run->layout.turned_x),
                                           .c = z,
                                           .lda = conv1d ? s->classes : s->in,
                                           .ldb = run->rows,
                                           .ldc = run->rows,
                                       });
}

/* Each row's first largest logit and its class, counted from the panel's first. */
SPW_CLONES static void find_largest(const float *z, int64_t classes, int64_t rows,
                                    float *restrict largest, int32_t *restrict best)
{
    for (int64_t r = 0; r < rows; r++) {
        largest[r] = z[r];
        best[r] = 0;
    }
    for (int32_t c = 1; c < (int32_t)classes; c++) {
        const float *row = z + c * rows;
        for (int64_t r = 0; r < rows; r++) {
            bool larger = row[r] > largest[r];
            largest[r] = larger ? row[r] : largest[r];
            best[r] = larger ? c : best[r];
        }
    }
}

/* z becomes e^(z - largest), and each row's are summed. */
SPW_CLONES static void exponentiate(float *restrict z, int64_t classes, int64_t rows,
                                    const float *largest, float *restrict sum)
{
    for (int64_t r = 0; r < rows; r++) {
        sum[r] = 0.0f;
    }
    for (int64_t c = 0; c < classes; c++) {
        float *row = z + c * rows;
        for (int64_t r = 0; r < rows; r++) {
            float e = spw_expf(row[r] - largest[r]);
            row[r] = e;
            sum[r] += e;
        }
    }
}

static void logits_tile(void *context, uint32_t index, uint32_t thread)
{
    struct run *run = context;
    int64_t panel = index;
    int64_t classes = panel_classes(run, panel);
    float *z = panel_logits(run, panel, thread);
    float *largest = at(run, run->layout.largest) + panel * run->sizes.chunk;
    float *sum = at(run, run->layout.sum) + panel * run->sizes.chunk;
    float *target_logit = at(run, run->layout.target_logit);
    keep_failure(run, multiply_logits(run, panel, z));
    find_largest(z, classes, run->rows, largest, best_at(run, panel));
    for (int64_t r = 0; r < run->rows; r++) {
        int64_t target = run->call->targets[run->row + r] - panel * PANEL;
        if (target >= 0 && target < classes) {
            target_logit[r] = z[target * run->rows + r];
        }
    }
    exponentiate(z, classes, run->rows, largest, sum);
}

/* Step 2 */

/* Adds row `r` of the chunk to the loss. Going backward, the panels' `largest` of this row become
 * the factors of their exponentials. */
static void finish_row(const struct run *run, int64_t r)
{
    const struct sizes *s = &run->sizes;
    float *largest = at(run, run->layout.largest) + r;
    const float *sum = at(run, run->layout.sum) + r;
    int64_t best_panel = 0;
    for (int64_t p = 1; p < s->panels; p++) {
        best_panel = largest[p * s->chunk] > largest[best_panel * s->chunk] ? p : best_panel;
    }
    double m = (double)largest[best_panel * s->chunk];
    double total = 0;
    for (int64_t p = 0; p < s->panels; p++) {
        total += (double)sum[p * s->chunk] * exp((double)largest[p * s->chunk] - m);
    }
    double below = m - (double)at(run, run->layout.target_logit)[r];
    int64_t best = best_panel * PANEL + best_at(run, best_panel)[r];
    run->call->loss->sum += log(total) + below;
    run->call->loss->correct += best == run->call->targets[run->row + r] ? 1 : 0;
    if (run->backward) {
        double scale = (double)run->call->loss_scale / total;
        for (int64_t p = 0; p < s->panels; p++) {
            largest[p * s->chunk] = (float)(scale * exp((double)largest[p * s->chunk] - m));
        }
    }
}

/* Step 3 */

SPW_CLONES static void scale_columns(float *restrict z, int64_t classes, int64_t rows,
                                     const float *factors)
{
    for (int64_t c = 0; c < classes; c++) {
        for (int64_t r = 0; r < rows; r++) {
            z[c * rows + r] *= factors[r];
        }
    }
}

/* The panel's exponentials become d loss / d logit. */
static void make_gradients(const struct run *run, int64_t panel, float *z)
{
    int64_t classes = panel_classes(run, panel);
    scale_columns(z, classes, run->rows, at(run, run->layout.largest) + panel * run->sizes.chunk);
    for (int64_t r = 0; r < run->rows; r++) {
        int64_t target = run->call->targets[run->row + r] - panel * PANEL;
        if (target >= 0 && target < classes) {
            z[target * run->rows + r] -= run->call->loss_scale;
        }
    }
}

/* dW of the panel: [classes, rows] times x [rows, in]; for conv1d that, turned over. */
static int multiply_dw(const struct run *run, int64_t panel, const float *dz)
{
    const struct sizes *s = &run->sizes;
    const float *x = (const float *)run->call->x[0] + run->row * s->in;
    bool adds = run->row > 0 || (run->call->flags & SPW_CALL_ACCUMULATE_DW) != 0;
    int64_t first = panel * PANEL, classes = panel_classes(run, panel);
    struct spw_dnnl_product product = {
        .m = classes,
        .n = s->in,
        .k = run->rows,
        .a = dz,
        .b = x,
        .c = run->call->dw[0] + first * s->in,
        .lda = run->rows,
        .ldb = s->in,
        .ldc = s->in,
        .beta = adds ? 1.0f : 0.0f,
    };
    if (run->call->desc->attr.linear.conv1d) {
        product.m = s->in;
        product.n = classes;
        product.transpose_a = product.transpose_b = true;
        product.a = x;
        product.b = dz;
        product.c = run->call->dw[0] + first;
        product.lda = s->in;
        product.ldb = run->rows;
        product.ldc = s->classes;
    }
    return spw_dnnl_product(run->dnnl, &product);
}

/* dx [rows, in] (+)= dz^T, [rows, classes], times W of the panel, [classes, in]. */
static int multiply_dx(const struct run *run, int64_t panel, const float *dz, float *dx, bool adds)
{
    const struct sizes *s = &run->sizes;
    bool conv1d = run->call->desc->attr.linear.conv1d;
    int64_t first = panel * PANEL;
    return spw_dnnl_product(run->dnnl, &(struct spw_dnnl_product){
                                           .m = run->rows,
                                           .n = s->in,
                                           .k = panel_classes(run, panel),
                                           .transpose_a = true,
                                           .transpose_b = conv1d,
                                           .a = dz,
                                           .b = run->call->w[0] + (conv1d ? first : first * s->in),
                                           .c = dx,
                                           .lda = run->rows,
                                           .ldb = conv1d ? s->classes : s->in,
                                           .ldc = s->in,
                                           .beta = adds ? 1.0f : 0.0f,
                                       });
}

static void gradients_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    struct run *run = context;
    const struct sizes *s = &run->sizes;
    int64_t first = (int64_t)index * s->panels / s->spans;
    int64_t end = ((int64_t)index + 1) * s->panels / s->spans;
    float *dx = at(run, run->layout.dx) + (int64_t)index * s->chunk * s->in;
    for (int64_t panel = first; panel < end; panel++) {
        float *z = panel_logits(run, panel, 0);
        make_gradients(run, panel, z);
        if (run->call->dw[0] != NULL) {
            keep_failure(run, multiply_dw(run, panel, z));
        }
        if (run->call->dx[0] != NULL) {
            keep_failure(run, multiply_dx(run, panel, z, dx, panel > first));
        }
    }
}

SPW_CLONES static void add_spans(const float *spans, int64_t span_stride, int64_t span_count,
                                 int64_t count, bool accumulate, float *restrict dx)
{
    for (int64_t i = 0; i < count; i++) {
        float sum = spans[i];
        for (int64_t s = 1; s < span_count; s++) {
            sum += spans[s * span_stride + i];
        }
        dx[i] = accumulate ? dx[i] + sum : sum;
    }
}

/* All steps of the chunk. */
static void run_chunk(struct run *run, struct spw_pool *pool)
{
    const struct spw_call *call = run->call;
    const struct sizes *s = &run->sizes;
    spw_transpose((const float *)call->x[0] + run->row * s->in, s->in, run->rows, s->in,
                  at(run, run->layout.turned_x), run->rows);
    spw_pool_run(pool, (uint32_t)s->panels, logits_tile, run);
    for (int64_t r = 0; r < run->rows; r++) {
        finish_row(run, r);
    }
    if (!run->backward || (call->dx[0] == NULL && call->dw[0] == NULL)) {
        return;
    }
    spw_pool_run(pool, (uint32_t)s->spans, gradients_tile, run);
    if (call->dx[0] != NULL) {
        add_spans(at(run, run->layout.dx), s->chunk * s->in, s->spans, run->rows * s->in,
                  (call->flags & SPW_CALL_ACCUMULATE_DX0) != 0, call->dx[0] + run->row * s->in);
    }
}

static enum spw_status run_all(struct spw_lane *lane, const struct spw_call *call, bool backward,
                               struct spw_error *error)
{
    struct spw_pool *pool = spw_lane_pool(lane);
    struct run run = {
        .call = call,
        .dnnl = spw_lane_dnnl(lane),
        .sizes = sizes_of(call->desc, call->items),
        .backward = backward,
    };
    run.layout = layout_of(&run.sizes, backward, spw_pool_threads(pool));
    *call->loss = (struct spw_loss){0};
    for (int64_t row = 0; row < run.sizes.rows; row += run.sizes.chunk) {
        run.row = row;
        run.rows = smaller(run.sizes.chunk, run.sizes.rows - row);
        run_chunk(&run, pool);
    }
    int code = atomic_load(&run.code);
    return code == 0 ? SPW_OK : spw_dnnl_fail(error, code, "a matrix product");
}

static enum spw_status linear_xent_forward(struct spw_lane *lane, const struct spw_call *call,
                                           struct spw_error *error)
{
    return run_all(lane, call, false, error);
}

static enum spw_status linear_xent_backward(struct spw_lane *lane, const struct spw_call *call,
                                            struct spw_error *error)
{
    return run_all(lane, call, true, error);
}

const struct spw_host_op spw_host_linear_xent = {
    .workspace = linear_xent_workspace,
    .prepare = NULL, /* plain products need no preparation */
    .forward = linear_xent_forward,
    .backward = linear_xent_backward,
};
