/* pool_2x2.c — four windows of 2 x 2 at a time, in vectors of four. See pool_2x2.h.
 *
 * A row whose windows do not come in fours ends with a vector that goes over some of them again:
 * that changes nothing, except where gradients are added, and there they go one by one. */
#include "kernels/host/pool_2x2.h"

#include "base/clones.h"

#include <string.h>

#define FOUR INT64_C(4)

typedef float lanes __attribute__((vector_size(16)));
typedef int32_t masks __attribute__((vector_size(16)));

/* The four elements of each window: of the upper row, then of the lower. */
struct windows {
    lanes element[4];
};

static inline lanes load(const float *from)
{
    lanes value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline masks is_nan(lanes value)
{
    return ((masks)value & 0x7fffffff) > 0x7f800000;
}

static inline lanes choose(masks mask, lanes yes, lanes no)
{
    return (lanes)((mask & (masks)yes) | (~mask & (masks)no));
}

static inline struct windows load_windows(const float *x, int64_t width)
{
    struct windows w;
    for (int64_t row = 0; row < 2; row++) {
        lanes low = load(x + row * width), high = load(x + row * width + 4);
        w.element[2 * row] = __builtin_shufflevector(low, high, 0, 2, 4, 6);
        w.element[2 * row + 1] = __builtin_shufflevector(low, high, 1, 3, 5, 7);
    }
    return w;
}

static inline void store_windows(const struct windows *w, float *dx, int64_t width)
{
    for (int64_t row = 0; row < 2; row++) {
        lanes left = w->element[2 * row], right = w->element[2 * row + 1];
        lanes low = __builtin_shufflevector(left, right, 0, 4, 1, 5);
        lanes high = __builtin_shufflevector(left, right, 2, 6, 3, 7);
        memcpy(dx + row * width, &low, sizeof low);
        memcpy(dx + row * width + 4, &high, sizeof high);
    }
}

static inline void add_windows(const struct windows *w, float *dx, int64_t width)
{
    struct windows sum = load_windows(dx, width);
    for (int k = 0; k < 4; k++) {
        sum.element[k] += w->element[k];
    }
    store_windows(&sum, dx, width);
}

/* A NaN counts as the largest, so that it is passed on. */
static inline lanes maxima(const struct windows *w)
{
    lanes m = w->element[0];
    for (int k = 1; k < 4; k++) {
        lanes v = w->element[k];
        m = choose((v > m) | is_nan(v), v, m);
    }
    return m;
}

/* The first element that equals the maximum takes the gradient, of which nothing is left then. */
static inline struct windows share_out(const struct windows *x, lanes m, lanes dy)
{
    struct windows dx;
    for (int k = 0; k < 4; k++) {
        masks hit = (x->element[k] == m) | is_nan(x->element[k]);
        dx.element[k] = choose(hit, dy, (lanes){0});
        dy = choose(hit, (lanes){0}, dy);
    }
    return dx;
}

static inline struct windows share_evenly(lanes dy)
{
    lanes share = dy / 4.0f;
    return (struct windows){{share, share, share, share}};
}

/* Four windows of which the first `count` exist, in memory of their own. */
static inline void pad(const float *x, int64_t width, int64_t count, float out[4 * FOUR])
{
    memset(out, 0, 4 * FOUR * sizeof(float));
    for (int64_t row = 0; row < 2; row++) {
        memcpy(out + row * 2 * FOUR, x + row * width, (size_t)(2 * count) * sizeof(float));
    }
}

static inline void forward_four(const float *x, int64_t width, bool maximum, float *y)
{
    struct windows w = load_windows(x, width);
    lanes sum = w.element[0] + w.element[1] + w.element[2] + w.element[3];
    lanes out = maximum ? maxima(&w) : sum / 4.0f;
    memcpy(y, &out, sizeof out);
}

static inline void forward(const struct spw_pool_2x2 *p, bool maximum)
{
    int64_t out_width = p->width / 2;
    for (int64_t oy = 0; oy < p->height / 2; oy++) {
        const float *x = p->x + 2 * oy * p->width;
        float *y = p->y + oy * out_width;
        if (out_width < FOUR) {
            float padded[4 * FOUR], out[FOUR];
            pad(x, p->width, out_width, padded);
            forward_four(padded, 2 * FOUR, maximum, out);
            memcpy(y, out, (size_t)out_width * sizeof(float));
            continue;
        }
        for (int64_t i = 0; i < out_width; i += FOUR) {
            int64_t at = i + FOUR <= out_width ? i : out_width - FOUR;
            forward_four(x + 2 * at, p->width, maximum, y + at);
        }
    }
}

static inline struct windows gradients_of_four(const float *x, int64_t width, const float *dy,
                                               bool maximum)
{
    if (!maximum) {
        return share_evenly(load(dy));
    }
    struct windows w = load_windows(x, width);
    return share_out(&w, maxima(&w), load(dy));
}

/* Fewer than four windows. */
static inline void backward_few(const struct spw_pool_2x2 *p, int64_t in, int64_t out,
                                int64_t count, bool maximum)
{
    float padded[4 * FOUR], dy[FOUR] = {0};
    if (maximum) {
        pad(p->x + in, p->width, count, padded);
    }
    memcpy(dy, p->dy + out, (size_t)count * sizeof(float));
    struct windows w = gradients_of_four(padded, 2 * FOUR, dy, maximum);
    store_windows(&w, padded, 2 * FOUR);
    for (int64_t row = 0; row < 2; row++) {
        for (int64_t i = 0; i < 2 * count; i++) {
            float *dx = p->dx + in + row * p->width + i;
            float value = padded[row * 2 * FOUR + i];
            *dx = p->accumulate ? *dx + value : value;
        }
    }
}

static inline void backward_row(const struct spw_pool_2x2 *p, int64_t oy, bool maximum)
{
    int64_t out_width = p->width / 2;
    int64_t in = 2 * oy * p->width, out = oy * out_width;
    int64_t i = 0;
    for (; i + FOUR <= out_width; i += FOUR) {
        struct windows w = gradients_of_four(maximum ? p->x + in + 2 * i : NULL, p->width,
                                             p->dy + out + i, maximum);
        if (p->accumulate) {
            add_windows(&w, p->dx + in + 2 * i, p->width);
        } else {
            store_windows(&w, p->dx + in + 2 * i, p->width);
        }
    }
    if (i < out_width && i >= FOUR && !p->accumulate) {
        i = out_width - FOUR;
        struct windows w = gradients_of_four(maximum ? p->x + in + 2 * i : NULL, p->width,
                                             p->dy + out + i, maximum);
        store_windows(&w, p->dx + in + 2 * i, p->width);
    } else if (i < out_width) {
        backward_few(p, in + 2 * i, out + i, out_width - i, maximum);
    }
}

static inline void backward(const struct spw_pool_2x2 *p, bool maximum)
{
    for (int64_t oy = 0; oy < p->height / 2; oy++) {
        backward_row(p, oy, maximum);
    }
    if (p->accumulate) {
        return;
    }
    if (p->height % 2 != 0) {
        memset(p->dx + (p->height - 1) * p->width, 0, (size_t)p->width * sizeof(float));
    }
    if (p->width % 2 != 0) {
        for (int64_t y = 0; y < p->height; y++) {
            p->dx[y * p->width + p->width - 1] = 0.0f;
        }
    }
}

SPW_CLONES void spw_pool_2x2_max_forward(const struct spw_pool_2x2 *plane)
{
    forward(plane, true);
}

SPW_CLONES void spw_pool_2x2_max_backward(const struct spw_pool_2x2 *plane)
{
    backward(plane, true);
}

SPW_CLONES void spw_pool_2x2_average_forward(const struct spw_pool_2x2 *plane)
{
    forward(plane, false);
}

SPW_CLONES void spw_pool_2x2_average_backward(const struct spw_pool_2x2 *plane)
{
    backward(plane, false);
}
