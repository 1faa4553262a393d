/* elementwise.c — fast paths of the ops that treat every element alone: activations, add, dropout,
 * and the copies.
 *
 * Each is one loop that the compiler turns into vector code, run over tiles of fixed length. No
 * sums are formed, so neither threads nor alignment can show in the bits. Tested by
 * tests/kernels/test_conformance.c. */
#include "kernels/host/host_op.h"

#include "base/clones.h"
#include "base/philox.h"
#include "kernels/host/dropout_mask.h"
#include "kernels/host/tiles.h"
#include "kernels/host/vector_math.h"

#include <string.h>

/* A call cut into tiles; `run` treats elements [first, first + count) of all items together. */
struct work {
    const struct spw_call *call;
    void (*run)(const struct spw_call *call, int64_t first, int64_t count);
    int64_t total;
};

static void run_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct work *work = context;
    work->run(work->call, (int64_t)index * SPW_TILE_ELEMENTS,
              spw_tile_length(work->total, SPW_TILE_ELEMENTS, index));
}

static enum spw_status run_tiles(struct spw_lane *lane, const struct spw_call *call,
                                 void (*run)(const struct spw_call *call, int64_t first,
                                             int64_t count))
{
    struct work work = {
        .call = call, .run = run, .total = call->items * spw_shape_elements(&call->desc->in)};
    spw_pool_run(spw_lane_pool(lane), spw_tile_count(work.total, SPW_TILE_ELEMENTS), run_tile,
                 &work);
    return SPW_OK;
}

static bool adds_dx0(const struct spw_call *call)
{
    return (call->flags & SPW_CALL_ACCUMULATE_DX0) != 0;
}

/* Activations: a value, and a gradient from dy and what forward left (x, for relu y). */

static inline float relu_value(float x)
{
    return x < 0.0f ? 0.0f : x; /* NaN passes */
}

static inline float relu_gradient(float y, float dy)
{
    return y > 0.0f ? dy : 0.0f;
}

static inline float normal_below(float x)
{
    return 0.5f * (1.0f + spw_erff(x * 0.70710678f));
}

static inline float gelu_value(float x)
{
    return x * normal_below(x);
}

static inline float gelu_gradient(float x, float dy)
{
    const float density = 0.39894228f * spw_expf(x * x * -0.5f);
    return dy * (normal_below(x) + x * density);
}

static inline float gelu_tanh_of(float x)
{
    return spw_tanhf(0.79788456f * (x + 0.044715f * x * x * x));
}

static inline float gelu_tanh_value(float x)
{
    return 0.5f * x * (1.0f + gelu_tanh_of(x));
}

static inline float gelu_tanh_gradient(float x, float dy)
{
    const float t = gelu_tanh_of(x);
    const float inner = 0.79788456f * (1.0f + 0.134145f * x * x);
    return dy * (0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * inner);
}

static inline float silu_value(float x)
{
    return x * spw_sigmoidf(x);
}

static inline float silu_gradient(float x, float dy)
{
    const float s = spw_sigmoidf(x);
    return dy * (s * (1.0f + x * (1.0f - s)));
}

/* The loops of one activation, and its row of the table. `KEPT` is what the gradient takes. */
#define ACTIVATION(name, KEPT)                                                                     \
    SPW_CLONES                                                                                     \
    static void name##_values(const float *restrict x, float *restrict y, int64_t count)           \
    {                                                                                              \
        for (int64_t i = 0; i < count; i++) {                                                      \
            y[i] = name##_value(x[i]);                                                             \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    SPW_CLONES                                                                                     \
    static void name##_gradients(const float *restrict kept, const float *restrict dy,             \
                                 float *restrict dx, int64_t count, bool add)                      \
    {                                                                                              \
        if (add) {                                                                                 \
            for (int64_t i = 0; i < count; i++) {                                                  \
                dx[i] += name##_gradient(kept[i], dy[i]);                                          \
            }                                                                                      \
        } else {                                                                                   \
            for (int64_t i = 0; i < count; i++) {                                                  \
                dx[i] = name##_gradient(kept[i], dy[i]);                                           \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void name##_forward_tile(const struct spw_call *call, int64_t first, int64_t count)     \
    {                                                                                              \
        name##_values((const float *)call->x[0] + first, call->y + first, count);                  \
    }                                                                                              \
                                                                                                   \
    static void name##_backward_tile(const struct spw_call *call, int64_t first, int64_t count)    \
    {                                                                                              \
        name##_gradients((const float *)(KEPT) + first, call->dy + first, call->dx[0] + first,     \
                         count, adds_dx0(call));                                                   \
    }                                                                                              \
                                                                                                   \
    static enum spw_status name##_forward(struct spw_lane *lane, const struct spw_call *call,      \
                                          struct spw_error *error)                                 \
    {                                                                                              \
        (void)error;                                                                               \
        return run_tiles(lane, call, name##_forward_tile);                                         \
    }                                                                                              \
                                                                                                   \
    static enum spw_status name##_backward(struct spw_lane *lane, const struct spw_call *call,     \
                                           struct spw_error *error)                                \
    {                                                                                              \
        (void)error;                                                                               \
        return call->dx[0] == NULL ? SPW_OK : run_tiles(lane, call, name##_backward_tile);         \
    }                                                                                              \
                                                                                                   \
    const struct spw_host_op spw_host_##name = {.forward = name##_forward,                         \
                                                .backward = name##_backward}

ACTIVATION(relu, call->y);
ACTIVATION(gelu, call->x[0]);
ACTIVATION(gelu_tanh, call->x[0]);
ACTIVATION(silu, call->x[0]);

/* out = factor * a, or out += factor * a. */
SPW_CLONES
static void scale_or_add(const float *restrict a, float factor, float *restrict out, int64_t count,
                         bool add)
{
    if (add) {
        for (int64_t i = 0; i < count; i++) {
            out[i] += factor * a[i];
        }
    } else {
        for (int64_t i = 0; i < count; i++) {
            out[i] = factor * a[i];
        }
    }
}

/* Add. */

SPW_CLONES
static void add_values(const float *restrict x0, const float *restrict x1, float alpha,
                       float *restrict y, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        y[i] = x0[i] + alpha * x1[i];
    }
}

static void add_forward_tile(const struct spw_call *call, int64_t first, int64_t count)
{
    add_values((const float *)call->x[0] + first, (const float *)call->x[1] + first,
               call->desc->attr.add.alpha, call->y + first, count);
}

static void add_backward_tile(const struct spw_call *call, int64_t first, int64_t count)
{
    if (call->dx[0] != NULL) {
        scale_or_add(call->dy + first, 1.0f, call->dx[0] + first, count, adds_dx0(call));
    }
    if (call->dx[1] != NULL) {
        scale_or_add(call->dy + first, call->desc->attr.add.alpha, call->dx[1] + first, count,
                     (call->flags & SPW_CALL_ACCUMULATE_DX1) != 0);
    }
}

static enum spw_status add_forward(struct spw_lane *lane, const struct spw_call *call,
                                   struct spw_error *error)
{
    (void)error;
    return run_tiles(lane, call, add_forward_tile);
}

static enum spw_status add_backward(struct spw_lane *lane, const struct spw_call *call,
                                    struct spw_error *error)
{
    (void)error;
    return run_tiles(lane, call, add_backward_tile);
}

const struct spw_host_op spw_host_add = {.forward = add_forward, .backward = add_backward};

/* Copies. */

static void copy_forward_tile(const struct spw_call *call, int64_t first, int64_t count)
{
    memcpy(call->y + first, (const float *)call->x[0] + first, (size_t)count * sizeof(float));
}

static void copy_backward_tile(const struct spw_call *call, int64_t first, int64_t count)
{
    scale_or_add(call->dy + first, 1.0f, call->dx[0] + first, count, adds_dx0(call));
}

static enum spw_status copy_forward(struct spw_lane *lane, const struct spw_call *call,
                                    struct spw_error *error)
{
    (void)error;
    return run_tiles(lane, call, copy_forward_tile);
}

static enum spw_status copy_backward(struct spw_lane *lane, const struct spw_call *call,
                                     struct spw_error *error)
{
    (void)error;
    return call->dx[0] == NULL ? SPW_OK : run_tiles(lane, call, copy_backward_tile);
}

const struct spw_host_op spw_host_flatten = {.forward = copy_forward, .backward = copy_backward};
const struct spw_host_op spw_host_copy = {.forward = copy_forward, .backward = copy_backward};

/* Dropout. */

/* Random words drawn at a time: they stay in the first-level cache. */
#define WORDS 1024
_Static_assert(SPW_TILE_ELEMENTS % WORDS == 0, "a tile's words begin at a whole group");

SPW_CLONES
static void keep_some(const uint32_t *restrict words, struct spw_dropout_mask mask,
                      const float *restrict a, float *restrict out, int64_t count, bool add)
{
    if (add) {
        for (int64_t i = 0; i < count; i++) {
            const float kept = a[i] * mask.scale;
            out[i] += spw_dropout_keeps(mask, words[i]) ? kept : 0.0f;
        }
    } else {
        for (int64_t i = 0; i < count; i++) {
            const float kept = a[i] * mask.scale;
            out[i] = spw_dropout_keeps(mask, words[i]) ? kept : 0.0f;
        }
    }
}

/* Elements [first, first + count) of `a` through the mask into `out`. */
static void drop(const struct spw_call *call, const float *a, float *out, int64_t first,
                 int64_t count, bool add)
{
    const struct spw_dropout_mask mask = spw_dropout_mask(call->desc->attr.dropout.p);
    const uint64_t offset = call->item_offset * (uint64_t)spw_shape_elements(&call->desc->in);
    uint32_t words[WORDS];
    for (int64_t done = 0; done < count; done += WORDS) {
        const int64_t now = count - done < WORDS ? count - done : WORDS;
        const int64_t at = first + done;
        spw_random_words(call->desc->attr.dropout.key, call->step, offset + (uint64_t)at,
                         (uint64_t)now, words);
        keep_some(words, mask, a + at, out + at, now, add);
    }
}

static void dropout_forward_tile(const struct spw_call *call, int64_t first, int64_t count)
{
    drop(call, call->x[0], call->y, first, count, false);
}

static void dropout_backward_tile(const struct spw_call *call, int64_t first, int64_t count)
{
    drop(call, call->dy, call->dx[0], first, count, adds_dx0(call));
}

static bool drops(const struct spw_call *call)
{
    return (call->flags & SPW_CALL_TRAINING) != 0 && call->desc->attr.dropout.p > 0;
}

static enum spw_status dropout_forward(struct spw_lane *lane, const struct spw_call *call,
                                       struct spw_error *error)
{
    return drops(call) ? run_tiles(lane, call, dropout_forward_tile)
                       : copy_forward(lane, call, error);
}

static enum spw_status dropout_backward(struct spw_lane *lane, const struct spw_call *call,
                                        struct spw_error *error)
{
    if (!drops(call) || call->dx[0] == NULL) {
        return copy_backward(lane, call, error);
    }
    return run_tiles(lane, call, dropout_backward_tile);
}

const struct spw_host_op spw_host_dropout = {.forward = dropout_forward,
                                             .backward = dropout_backward};
