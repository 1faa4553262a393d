/* pool.c — the fast paths of MAXPOOL2D and AVGPOOL2D.
 *
 * A tile is some planes (one channel of one item each). For small windows a row of outputs is
 * treated at once: the rows of x under it are taken apart by column modulo stride, so that the same
 * element of neighbouring windows lies side by side, and gradients are put back together the same
 * way. Large windows go one by one. Maxima are found again in the backward pass: that costs less
 * than keeping their places. Tested by tests/kernels/test_pool.c and test_conformance.c. */
#include "base/clones.h"
#include "base/thread.h"
#include "kernels/host/host_op.h"
#include "kernels/host/pool_2x2.h"
#include "kernels/host/tiles.h"

#include <string.h>

/* Windows that are treated a row at a time, and outputs of a row at once. */
#define KERNEL_MAX 8
#define STRIDE_MAX 4
#define CHUNK 64
#define LANES 16
#define LENGTH (CHUNK + LANES) /* a chunk and what its last windows reach beyond */

struct planes {
    int64_t height, width, out_height, out_width;
    int64_t kernel, stride;
    bool accumulate; /* backward: dx += */
    /* For small windows, worked out once: where an element of the first window is in struct apart,
     * counted row by row; and how many more columns of a remainder than outputs windows reach. */
    int64_t elements[KERNEL_MAX * KERNEL_MAX];
    int64_t beyond[STRIDE_MAX];
};

static inline bool is_small(const struct planes *p)
{
    return p->kernel <= KERNEL_MAX && p->stride <= STRIDE_MAX;
}

/* One pass over one plane. Forward: x to y. Backward: dy (and x) to dx. */
struct plane {
    const float *x, *dy;
    float *y, *dx;
};

/* The rows under a chunk: element (row, column) is at[row][column % stride][column / stride]. What
 * lies beyond the chunk is never given out, but it is computed with, so it must be set. */
struct apart {
    float at[KERNEL_MAX][STRIDE_MAX][LENGTH];
};

static inline void take_apart(const struct planes *p, const float *x, int64_t stride, int64_t count,
                              struct apart *out)
{
    for (int64_t row = 0; row < p->kernel; row++) {
        for (int64_t r = 0; r < stride && r < p->kernel; r++) {
            int64_t reach = count + p->beyond[r];
            for (int64_t i = 0; i < reach; i++) {
                out->at[row][r][i] = x[row * p->width + i * stride + r];
            }
        }
    }
}

static inline void add_together(const struct planes *p, const struct apart *parts, int64_t stride,
                                int64_t count, float *dx)
{
    for (int64_t row = 0; row < p->kernel; row++) {
        for (int64_t r = 0; r < stride && r < p->kernel; r++) {
            int64_t reach = count + p->beyond[r];
            for (int64_t i = 0; i < reach; i++) {
                dx[row * p->width + i * stride + r] += parts->at[row][r][i];
            }
        }
    }
}

/* Element `k` of all windows. */
static inline float *element(struct apart *parts, const struct planes *p, int64_t k)
{
    return &parts->at[0][0][0] + p->elements[k];
}

/* m = the larger; a NaN counts as that, so that it is passed on. */
static inline void take_larger(const float *restrict v, float *restrict m, int64_t count)
{
    for (int64_t i = 0; i < count; i += LANES) {
        for (int64_t l = i; l < i + LANES; l++) {
            m[l] = v[l] > m[l] || v[l] != v[l] ? v[l] : m[l];
        }
    }
}

static inline void chunk_maxima(struct apart *x, const struct planes *p, int64_t count, float *m)
{
    const float *first = element(x, p, 0);
    for (int64_t i = 0; i < count; i += LANES) {
        memcpy(m + i, first + i, LANES * sizeof(float));
    }
    for (int64_t k = 1; k < p->kernel * p->kernel; k++) {
        take_larger(element(x, p, k), m, count);
    }
}

/* The first element that equals the maximum takes the gradient, of which nothing is left then. */
static inline void give_gradients(const float *restrict v, const float *restrict m,
                                  float *restrict left, float *restrict gradient, int64_t count)
{
    for (int64_t i = 0; i < count; i += LANES) {
        for (int64_t l = i; l < i + LANES; l++) {
            bool hit = v[l] == m[l] || v[l] != v[l];
            gradient[l] += hit ? left[l] : 0.0f;
            left[l] = hit ? 0.0f : left[l];
        }
    }
}

static inline void add_lanes(const float *restrict v, float *restrict sum, int64_t count)
{
    for (int64_t i = 0; i < count; i += LANES) {
        for (int64_t l = i; l < i + LANES; l++) {
            sum[l] += v[l];
        }
    }
}

/* The four passes over one chunk of `count` outputs; x, dx point to its first window. */
static inline void max_forward(const struct planes *p, int64_t stride, int64_t count,
                               const float *x, float *y, struct apart *x_parts)
{
    float m[CHUNK];
    take_apart(p, x, stride, count, x_parts);
    chunk_maxima(x_parts, p, count, m);
    memcpy(y, m, (size_t)count * sizeof(float));
}

static inline void max_backward(const struct planes *p, int64_t stride, int64_t count,
                                const float *x, const float *dy, float *dx, struct apart *x_parts,
                                struct apart *dx_parts)
{
    float m[CHUNK], left[CHUNK] = {0};
    take_apart(p, x, stride, count, x_parts);
    chunk_maxima(x_parts, p, count, m);
    memcpy(left, dy, (size_t)count * sizeof(float));
    for (int64_t k = 0; k < p->kernel * p->kernel; k++) {
        give_gradients(element(x_parts, p, k), m, left, element(dx_parts, p, k), count);
    }
    add_together(p, dx_parts, stride, count, dx);
}

static inline void average_forward(const struct planes *p, int64_t stride, int64_t count,
                                   const float *x, float *y, struct apart *x_parts)
{
    float sum[CHUNK] = {0};
    float size = (float)(p->kernel * p->kernel);
    take_apart(p, x, stride, count, x_parts);
    for (int64_t k = 0; k < p->kernel * p->kernel; k++) {
        add_lanes(element(x_parts, p, k), sum, count);
    }
    for (int64_t i = 0; i < count; i++) {
        y[i] = sum[i] / size;
    }
}

static inline void average_backward(const struct planes *p, int64_t stride, int64_t count,
                                    const float *dy, float *dx, struct apart *dx_parts)
{
    float share[CHUNK] = {0};
    float size = (float)(p->kernel * p->kernel);
    for (int64_t i = 0; i < count; i++) {
        share[i] = dy[i] / size;
    }
    for (int64_t k = 0; k < p->kernel * p->kernel; k++) {
        add_lanes(share, element(dx_parts, p, k), count);
    }
    add_together(p, dx_parts, stride, count, dx);
}

enum pass { MAX_FORWARD, MAX_BACKWARD, AVERAGE_FORWARD, AVERAGE_BACKWARD };

static inline void clear(struct apart *parts, const struct planes *p, int64_t stride)
{
    for (int64_t row = 0; row < p->kernel; row++) {
        memset(parts->at[row], 0, (size_t)stride * sizeof parts->at[row][0]);
    }
}

/* A plane of small windows; `stride` is p->stride, known to the compiler where it can be. */
static inline void run_small(const struct planes *p, const struct plane *plane, int64_t stride,
                             enum pass pass, struct apart *x_parts, struct apart *dx_parts)
{
    for (int64_t oy = 0; oy < p->out_height; oy++) {
        for (int64_t ox = 0; ox < p->out_width; ox += CHUNK) {
            int64_t count = p->out_width - ox < CHUNK ? p->out_width - ox : CHUNK;
            int64_t in = (oy * p->width + ox) * stride;
            int64_t out = oy * p->out_width + ox;
            if (pass == MAX_FORWARD) {
                max_forward(p, stride, count, plane->x + in, plane->y + out, x_parts);
            } else if (pass == AVERAGE_FORWARD) {
                average_forward(p, stride, count, plane->x + in, plane->y + out, x_parts);
            } else if (pass == MAX_BACKWARD) {
                clear(dx_parts, p, stride);
                max_backward(p, stride, count, plane->x + in, plane->dy + out, plane->dx + in,
                             x_parts, dx_parts);
            } else {
                clear(dx_parts, p, stride);
                average_backward(p, stride, count, plane->dy + out, plane->dx + in, dx_parts);
            }
        }
    }
}

/* Where in x the largest element of a window is; the first of equals, the first NaN if there is
 * one. */
static inline int64_t place_of_maximum(const struct planes *p, const float *x)
{
    int64_t best = 0;
    for (int64_t ky = 0; ky < p->kernel; ky++) {
        for (int64_t at = ky * p->width; at < ky * p->width + p->kernel; at++) {
            best = x[at] > x[best] || (x[at] != x[at] && x[best] == x[best]) ? at : best;
        }
    }
    return best;
}

static inline float sum_of_window(const struct planes *p, const float *x)
{
    float lanes[LANES] = {0}, sum = 0.0f;
    for (int64_t ky = 0; ky < p->kernel; ky++) {
        for (int64_t kx = 0; kx < p->kernel; kx++) {
            lanes[kx % LANES] += x[ky * p->width + kx];
        }
    }
    for (int l = 0; l < LANES; l++) {
        sum += lanes[l];
    }
    return sum;
}

static inline void add_to_window(const struct planes *p, float share, float *dx)
{
    for (int64_t ky = 0; ky < p->kernel; ky++) {
        for (int64_t kx = 0; kx < p->kernel; kx++) {
            dx[ky * p->width + kx] += share;
        }
    }
}

/* A plane of large windows. */
static inline void run_large(const struct planes *p, const struct plane *plane, enum pass pass)
{
    float size = (float)(p->kernel * p->kernel);
    for (int64_t out = 0; out < p->out_height * p->out_width; out++) {
        int64_t in = (out / p->out_width * p->width + out % p->out_width) * p->stride;
        if (pass == MAX_FORWARD) {
            plane->y[out] = plane->x[in + place_of_maximum(p, plane->x + in)];
        } else if (pass == AVERAGE_FORWARD) {
            plane->y[out] = sum_of_window(p, plane->x + in) / size;
        } else if (pass == MAX_BACKWARD) {
            plane->dx[in + place_of_maximum(p, plane->x + in)] += plane->dy[out];
        } else {
            add_to_window(p, plane->dy[out] / size, plane->dx + in);
        }
    }
}

static inline void run_plane(const struct planes *p, const struct plane *plane, enum pass pass,
                             struct apart *x_parts, struct apart *dx_parts)
{
    if (!is_small(p)) {
        run_large(p, plane, pass);
    } else if (p->stride == 1) {
        run_small(p, plane, 1, pass, x_parts, dx_parts);
    } else if (p->stride == 2) {
        run_small(p, plane, 2, pass, x_parts, dx_parts);
    } else {
        run_small(p, plane, p->stride, pass, x_parts, dx_parts);
    }
}

/* `count` planes that lie one behind the other. */
static inline void run_planes(const struct planes *p, const struct plane *first, int64_t count,
                              enum pass pass)
{
    bool backward = pass == MAX_BACKWARD || pass == AVERAGE_BACKWARD;
    int64_t in = p->height * p->width, out = p->out_height * p->out_width;
    struct apart x_parts, dx_parts;
    if (is_small(p)) {
        clear(&x_parts, p, p->stride);
    }
    for (int64_t i = 0; i < count; i++) {
        struct plane plane = {0};
        if (pass != AVERAGE_BACKWARD) {
            plane.x = first->x + i * in;
        }
        if (backward) {
            plane.dy = first->dy + i * out;
            plane.dx = first->dx + i * in;
            if (!p->accumulate) {
                memset(plane.dx, 0, (size_t)in * sizeof(float));
            }
        } else {
            plane.y = first->y + i * out;
        }
        run_plane(p, &plane, pass, &x_parts, &dx_parts);
    }
}

#define PASS_FUNCTION(name, pass)                                                                  \
    SPW_CLONES static void name(const struct planes *p, const struct plane *first, int64_t count)  \
    {                                                                                              \
        run_planes(p, first, count, pass);                                                         \
    }
PASS_FUNCTION(max_forward_planes, MAX_FORWARD)
PASS_FUNCTION(max_backward_planes, MAX_BACKWARD)
PASS_FUNCTION(average_forward_planes, AVERAGE_FORWARD)
PASS_FUNCTION(average_backward_planes, AVERAGE_BACKWARD)

static void run_pairs(const struct planes *p, const struct plane *first, int64_t count,
                      void (*run)(const struct spw_pool_2x2 *plane))
{
    int64_t in = p->height * p->width, out = p->out_height * p->out_width;
    for (int64_t i = 0; i < count; i++) {
        struct spw_pool_2x2 plane = {
            .height = p->height,
            .width = p->width,
            .x = first->x == NULL ? NULL : first->x + i * in,
            .dy = first->dy == NULL ? NULL : first->dy + i * out,
            .y = first->y == NULL ? NULL : first->y + i * out,
            .dx = first->dx == NULL ? NULL : first->dx + i * in,
            .accumulate = p->accumulate,
        };
        run(&plane);
    }
}

/* How a pass runs over planes in general, and over one with windows of 2 x 2 side by side. */
struct pass_functions {
    void (*general)(const struct planes *p, const struct plane *first, int64_t count);
    void (*pairs)(const struct spw_pool_2x2 *plane);
};
static const struct pass_functions pass_functions[] = {
    [MAX_FORWARD] = {max_forward_planes, spw_pool_2x2_max_forward},
    [MAX_BACKWARD] = {max_backward_planes, spw_pool_2x2_max_backward},
    [AVERAGE_FORWARD] = {average_forward_planes, spw_pool_2x2_average_forward},
    [AVERAGE_BACKWARD] = {average_backward_planes, spw_pool_2x2_average_backward},
};

struct work {
    const struct spw_call *call;
    struct planes planes;
    int64_t count, per_tile; /* planes */
    bool backward;
    enum pass pass;
};

static void run_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct work *work = context;
    const struct spw_call *call = work->call;
    int64_t first = (int64_t)index * work->per_tile;
    int64_t in = first * work->planes.height * work->planes.width;
    int64_t out = first * work->planes.out_height * work->planes.out_width;
    struct plane plane = {0};
    if (call->x[0] != NULL) {
        plane.x = (const float *)call->x[0] + in;
    }
    if (work->backward) {
        plane.dy = call->dy + out;
        plane.dx = call->dx[0] + in;
    } else {
        plane.y = call->y + out;
    }
    int64_t count = spw_tile_length(work->count, work->per_tile, index);
    if (work->planes.kernel == 2 && work->planes.stride == 2) {
        run_pairs(&work->planes, &plane, count, pass_functions[work->pass].pairs);
    } else {
        pass_functions[work->pass].general(&work->planes, &plane, count);
    }
}

static struct planes planes_of(const struct spw_call *call)
{
    const struct spw_op_desc *desc = call->desc;
    struct planes p = {
        .height = desc->in.dim[1],
        .width = desc->in.dim[2],
        .out_height = desc->out.dim[1],
        .out_width = desc->out.dim[2],
        .kernel = desc->attr.pool.kernel,
        .stride = desc->attr.pool.stride,
        .accumulate = (call->flags & SPW_CALL_ACCUMULATE_DX0) != 0,
    };
    for (int64_t k = 0; is_small(&p) && k < p.kernel * p.kernel; k++) {
        int64_t row = k / p.kernel, column = k % p.kernel;
        p.elements[k] = (row * STRIDE_MAX + column % p.stride) * LENGTH + column / p.stride;
    }
    for (int64_t r = 0; is_small(&p) && r < p.stride && r < p.kernel; r++) {
        p.beyond[r] = (p.kernel - 1 - r) / p.stride;
    }
    return p;
}

static enum spw_status run_all(struct spw_lane *lane, const struct spw_call *call, enum pass pass)
{
    const struct spw_op_desc *desc = call->desc;
    bool backward = pass == MAX_BACKWARD || pass == AVERAGE_BACKWARD;
    struct work work = {
        .call = call,
        .planes = planes_of(call),
        .count = call->items * desc->in.dim[0],
        .per_tile = spw_tile_rows(desc->in.dim[1] * desc->in.dim[2]),
        .backward = backward,
        .pass = pass,
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
    return run_all(lane, call, MAX_FORWARD);
}

static enum spw_status maxpool2d_backward(struct spw_lane *lane, const struct spw_call *call,
                                          struct spw_error *error)
{
    (void)error;
    return run_all(lane, call, MAX_BACKWARD);
}

static enum spw_status avgpool2d_forward(struct spw_lane *lane, const struct spw_call *call,
                                         struct spw_error *error)
{
    (void)error;
    return run_all(lane, call, AVERAGE_FORWARD);
}

static enum spw_status avgpool2d_backward(struct spw_lane *lane, const struct spw_call *call,
                                          struct spw_error *error)
{
    (void)error;
    return run_all(lane, call, AVERAGE_BACKWARD);
}

const struct spw_host_op spw_host_maxpool2d = {
    .forward = maxpool2d_forward,
    .backward = maxpool2d_backward,
};

const struct spw_host_op spw_host_avgpool2d = {
    .forward = avgpool2d_forward,
    .backward = avgpool2d_backward,
};
