/* pool.c — the fast paths of MAXPOOL2D and AVGPOOL2D.
 *
 * A tile is some planes (one channel of one item each). Within a row of outputs the loops run over
 * the window's elements outside and the outputs inside, so that neighbouring outputs share a
 * vector; the common strides are compiled as constants. Maxima are found again in the backward
 * pass: that costs less than keeping their places. Tested by tests/kernels/test_pool.c,
 * test_conformance.c. */
#include "base/clones.h"
#include "base/thread.h"
#include "kernels/host/host_op.h"
#include "kernels/host/tiles.h"

#include <string.h>

/* Outputs of a row that are treated together; their state is kept on the stack. */
#define CHUNK 64

struct planes {
    int64_t height, width, out_height, out_width;
    int64_t kernel, stride;
    bool accumulate; /* backward: dx += */
};

/* One pass over one plane. Forward: x to y. Backward: dy (and x) to dx. */
struct plane {
    const float *x, *dy;
    float *y, *dx;
};

/* m = the largest of each window so far; a NaN stays. */
static inline void take_maxima(const float *x, int64_t stride, int64_t count, float *restrict m)
{
    for (int64_t i = 0; i < count; i++) {
        float v = x[i * stride];
        m[i] = v > m[i] || v != v ? v : m[i];
    }
}

static inline void chunk_maxima(const float *x, const struct planes *p, int64_t stride,
                                int64_t count, float *restrict m)
{
    for (int64_t i = 0; i < count; i++) {
        m[i] = x[i * stride];
    }
    for (int64_t ky = 0; ky < p->kernel; ky++) {
        for (int64_t kx = 0; kx < p->kernel; kx++) {
            take_maxima(x + ky * p->width + kx, stride, count, m);
        }
    }
}

/* The first element that equals the maximum takes the gradient; `open` says that none has yet. */
static inline void give_gradients(const float *x, float *restrict dx, const float *m,
                                  const float *dy, float *restrict open, int64_t stride,
                                  int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        float v = x[i * stride];
        bool hit = open[i] != 0.0f && (v == m[i] || v != v);
        dx[i * stride] += hit ? dy[i] : 0.0f;
        open[i] = hit ? 0.0f : open[i];
    }
}

static inline void max_forward(const struct planes *p, const struct plane *plane, int64_t stride)
{
    for (int64_t oy = 0; oy < p->out_height; oy++) {
        const float *row = plane->x + oy * stride * p->width;
        for (int64_t ox = 0; ox < p->out_width; ox += CHUNK) {
            int64_t count = spw_tile_length(p->out_width, CHUNK, (uint32_t)(ox / CHUNK));
            chunk_maxima(row + ox * stride, p, stride, count, plane->y + oy * p->out_width + ox);
        }
    }
}

static inline void max_backward(const struct planes *p, const struct plane *plane, int64_t stride)
{
    float m[CHUNK], open[CHUNK];
    for (int64_t oy = 0; oy < p->out_height; oy++) {
        for (int64_t ox = 0; ox < p->out_width; ox += CHUNK) {
            int64_t count = spw_tile_length(p->out_width, CHUNK, (uint32_t)(ox / CHUNK));
            int64_t at = oy * stride * p->width + ox * stride;
            chunk_maxima(plane->x + at, p, stride, count, m);
            for (int64_t i = 0; i < count; i++) {
                open[i] = 1.0f;
            }
            for (int64_t k = 0; k < p->kernel * p->kernel; k++) {
                int64_t place = at + k / p->kernel * p->width + k % p->kernel;
                give_gradients(plane->x + place, plane->dx + place, m,
                               plane->dy + oy * p->out_width + ox, open, stride, count);
            }
        }
    }
}

static inline void average_forward(const struct planes *p, const struct plane *plane,
                                   int64_t stride)
{
    float size = (float)(p->kernel * p->kernel);
    for (int64_t oy = 0; oy < p->out_height; oy++) {
        float *restrict y = plane->y + oy * p->out_width;
        for (int64_t i = 0; i < p->out_width; i++) {
            y[i] = 0.0f;
        }
        for (int64_t k = 0; k < p->kernel * p->kernel; k++) {
            const float *x = plane->x + (oy * stride + k / p->kernel) * p->width + k % p->kernel;
            for (int64_t i = 0; i < p->out_width; i++) {
                y[i] += x[i * stride];
            }
        }
        for (int64_t i = 0; i < p->out_width; i++) {
            y[i] /= size;
        }
    }
}

static inline void average_backward(const struct planes *p, const struct plane *plane,
                                    int64_t stride)
{
    float size = (float)(p->kernel * p->kernel);
    for (int64_t oy = 0; oy < p->out_height; oy++) {
        const float *dy = plane->dy + oy * p->out_width;
        for (int64_t k = 0; k < p->kernel * p->kernel; k++) {
            float *restrict dx =
                plane->dx + (oy * stride + k / p->kernel) * p->width + k % p->kernel;
            for (int64_t i = 0; i < p->out_width; i++) {
                dx[i * stride] += dy[i] / size;
            }
        }
    }
}

/* Where windows leave no gaps in the loops above, the compiler can use whole vectors. */
#define FOR_STRIDE(function, p, plane)                                                             \
    do {                                                                                           \
        if ((p)->stride == 1) {                                                                    \
            function(p, plane, 1);                                                                 \
        } else if ((p)->stride == 2) {                                                             \
            function(p, plane, 2);                                                                 \
        } else {                                                                                   \
            function(p, plane, (p)->stride);                                                       \
        }                                                                                          \
    } while (0)

SPW_CLONES static void max_forward_plane(const struct planes *p, const struct plane *plane)
{
    FOR_STRIDE(max_forward, p, plane);
}

SPW_CLONES static void max_backward_plane(const struct planes *p, const struct plane *plane)
{
    FOR_STRIDE(max_backward, p, plane);
}

SPW_CLONES static void average_forward_plane(const struct planes *p, const struct plane *plane)
{
    FOR_STRIDE(average_forward, p, plane);
}

SPW_CLONES static void average_backward_plane(const struct planes *p, const struct plane *plane)
{
    FOR_STRIDE(average_backward, p, plane);
}

struct work {
    const struct spw_call *call;
    struct planes planes;
    int64_t count, per_tile; /* planes */
    bool backward;
    void (*run)(const struct planes *p, const struct plane *plane);
};

static void run_plane(const struct work *work, int64_t index)
{
    const struct spw_call *call = work->call;
    int64_t in = work->planes.height * work->planes.width;
    int64_t out = work->planes.out_height * work->planes.out_width;
    struct plane plane = {.x = call->x[0] == NULL ? NULL : (const float *)call->x[0] + index * in};
    if (work->backward) {
        plane.dy = call->dy + index * out;
        plane.dx = call->dx[0] + index * in;
        if (!work->planes.accumulate) {
            memset(plane.dx, 0, (size_t)in * sizeof(float));
        }
    } else {
        plane.y = call->y + index * out;
    }
    work->run(&work->planes, &plane);
}

static void run_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct work *work = context;
    int64_t first = (int64_t)index * work->per_tile;
    int64_t count = spw_tile_length(work->count, work->per_tile, index);
    for (int64_t i = first; i < first + count; i++) {
        run_plane(work, i);
    }
}

static enum spw_status run_all(struct spw_lane *lane, const struct spw_call *call, bool backward,
                               void (*run)(const struct planes *p, const struct plane *plane))
{
    const struct spw_op_desc *desc = call->desc;
    struct work work = {
        .call = call,
        .planes = {.height = desc->in.dim[1],
                   .width = desc->in.dim[2],
                   .out_height = desc->out.dim[1],
                   .out_width = desc->out.dim[2],
                   .kernel = desc->attr.pool.kernel,
                   .stride = desc->attr.pool.stride,
                   .accumulate = (call->flags & SPW_CALL_ACCUMULATE_DX0) != 0},
        .count = call->items * desc->in.dim[0],
        .per_tile = spw_tile_rows(desc->in.dim[1] * desc->in.dim[2]),
        .backward = backward,
        .run = run,
    };
    if (!backward || call->dx[0] != NULL) {
        spw_pool_run(spw_lane_pool(lane), spw_tile_count(work.count, work.per_tile), run_tile,
                     &work);
    }
    return SPW_OK;
}

static enum spw_status maxpool2d_forward(struct spw_lane *lane, const struct spw_call *call,
                                         struct spw_error *error)
{
    (void)error;
    return run_all(lane, call, false, max_forward_plane);
}

static enum spw_status maxpool2d_backward(struct spw_lane *lane, const struct spw_call *call,
                                          struct spw_error *error)
{
    (void)error;
    return run_all(lane, call, true, max_backward_plane);
}

static enum spw_status avgpool2d_forward(struct spw_lane *lane, const struct spw_call *call,
                                         struct spw_error *error)
{
    (void)error;
    return run_all(lane, call, false, average_forward_plane);
}

static enum spw_status avgpool2d_backward(struct spw_lane *lane, const struct spw_call *call,
                                          struct spw_error *error)
{
    (void)error;
    return run_all(lane, call, true, average_backward_plane);
}

const struct spw_host_op spw_host_maxpool2d = {
    .forward = maxpool2d_forward,
    .backward = maxpool2d_backward,
};

const struct spw_host_op spw_host_avgpool2d = {
    .forward = avgpool2d_forward,
    .backward = avgpool2d_backward,
};
