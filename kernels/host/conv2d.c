/* conv2d.c — the fast path of CONV2D: groups of items through the library's own layouts.
 *
 * The library's convolutions are fastest (85-95 % of peak) on tensors that it lays out itself, and
 * turning NCHW into that and back is cheap as long as it stays in cache. So a tile is a group of
 * items, few enough for that: packed, convolved, unpacked. The weight is packed once per call.
 * Plain NCHW gets 60-105 GFLOP/s where this gets 180-215 (peak 250).
 * Tested by tests/kernels/test_conv2d.c and test_conformance.c. */
#include "kernels/host/conv2d.h"

#include "base/clones.h"
#include "base/thread.h"

#include <stdatomic.h>
#include <string.h>

struct run {
    const struct spw_call *call;
    const struct spw_conv2d_prepared *prepared;
    struct spw_conv2d_layout layout;
    const float *w;   /* packed */
    _Atomic int code; /* the first failure of the library */
};

#define CODE_TRY(expression)                                                                       \
    do {                                                                                           \
        int try_code_ = (expression);                                                              \
        if (try_code_ != 0) {                                                                      \
            return try_code_;                                                                      \
        }                                                                                          \
    } while (0)

static void keep_failure(struct run *run, int code)
{
    if (code != 0) {
        int none = 0;
        atomic_compare_exchange_strong(&run->code, &none, code);
    }
}

static float *shared(const struct run *run, uint64_t offset)
{
    return (float *)(void *)((char *)run->call->workspace + offset);
}

static float *own(const struct run *run, uint32_t thread, uint64_t offset)
{
    return shared(run, run->layout.threads + thread * run->layout.thread_bytes + offset);
}

/* The tensor as the pass wants it: `plain` itself or a packed copy in `place`. */
static int packed(struct spw_dnnl_conv *conv, uint32_t thread, enum spw_dnnl_tensor tensor,
                  const float *plain, float *place, const float **out)
{
    if (spw_dnnl_conv_is_plain(conv, tensor)) {
        *out = plain;
        return 0;
    }
    *out = place;
    return spw_dnnl_conv_pack(conv, thread, tensor, plain, place);
}

/* The weight for all groups of the call, packed once. */
static int pack_weight(const struct run *run, const struct spw_conv2d_passes *passes,
                       const float **out)
{
    return packed(passes->full, 0, SPW_DNNL_W, run->call->w[0], shared(run, run->layout.w), out);
}

static int64_t group_items(const struct spw_conv2d_division *division, int64_t group)
{
    int64_t left = division->items - group * division->group;
    return left < division->group ? left : division->group;
}

static struct spw_dnnl_conv *pass_of(const struct spw_conv2d_passes *passes,
                                     const struct spw_conv2d_division *division, int64_t group)
{
    return group == division->groups - 1 ? passes->last : passes->full;
}

static int forward_group(const struct run *run, int64_t group, uint32_t thread)
{
    const struct spw_call *call = run->call;
    const struct spw_conv2d_passes *passes = &run->prepared->forward;
    const struct spw_conv2d_layout *l = &run->layout;
    struct spw_dnnl_conv *conv = pass_of(passes, &run->prepared->division, group);
    int64_t item = group * run->prepared->division.group;
    const float *x = (const float *)call->x[0] + item * spw_shape_elements(&call->desc->in);
    float *y = call->y + item * spw_shape_elements(&call->desc->out);
    bool direct = spw_dnnl_conv_is_plain(conv, SPW_DNNL_Y);
    float *packed_y = direct ? y : own(run, thread, l->y);
    const float *packed_x;
    CODE_TRY(packed(conv, thread, SPW_DNNL_X, x, own(run, thread, l->x), &packed_x));
    CODE_TRY(spw_dnnl_conv_run(conv, thread, packed_x, run->w, packed_y, call->w[1],
                               own(run, thread, l->scratch)));
    return direct ? 0 : spw_dnnl_conv_unpack(conv, thread, SPW_DNNL_Y, packed_y, y);
}

static void forward_tile(void *context, uint32_t index, uint32_t thread)
{
    struct run *run = context;
    keep_failure(run, forward_group(run, index, thread));
}

static enum spw_status conv2d_forward(struct spw_lane *lane, const struct spw_call *call,
                                      struct spw_error *error)
{
    struct spw_pool *pool = spw_lane_pool(lane);
    struct run run = {.call = call};
    run.prepared = spw_conv2d_find(lane, call, SPW_FORWARD, &run.layout);
    int code = pack_weight(&run, &run.prepared->forward, &run.w);
    if (code == 0) {
        spw_pool_run(pool, (uint32_t)run.prepared->division.groups, forward_tile, &run);
        code = atomic_load(&run.code);
    }
    return code == 0 ? SPW_OK : spw_dnnl_fail(error, code, "a convolution");
}

SPW_CLONES static void add_to(float *restrict sum, const float *restrict addend, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        sum[i] += addend[i];
    }
}

/* dx of a group; dy has been packed for it. */
static int data_group(const struct run *run, struct spw_dnnl_conv *conv, int64_t group,
                      uint32_t thread, const float *packed_dy)
{
    const struct spw_call *call = run->call;
    const struct spw_conv2d_layout *l = &run->layout;
    const struct spw_conv2d_division *division = &run->prepared->division;
    int64_t elements = spw_shape_elements(&call->desc->in);
    float *dx = call->dx[0] + group * division->group * elements;
    bool accumulate = (call->flags & SPW_CALL_ACCUMULATE_DX0) != 0;
    float *plain_dx = accumulate ? own(run, thread, l->x) : dx;
    bool direct = spw_dnnl_conv_is_plain(conv, SPW_DNNL_X);
    float *packed_dx = direct ? plain_dx : own(run, thread, l->dx);
    CODE_TRY(spw_dnnl_conv_run(conv, thread, packed_dx, run->w, packed_dy, NULL,
                               own(run, thread, l->scratch)));
    if (!direct) {
        CODE_TRY(spw_dnnl_conv_unpack(conv, thread, SPW_DNNL_X, packed_dx, plain_dx));
    }
    if (accumulate) {
        add_to(dx, plain_dx, group_items(division, group) * elements);
    }
    return 0;
}

/* dW and db of a group into `sum`. */
static int weights_group(const struct run *run, struct spw_dnnl_conv *conv, int64_t group,
                         uint32_t thread, const float *packed_dy, float *sum)
{
    const struct spw_call *call = run->call;
    const struct spw_conv2d_layout *l = &run->layout;
    int64_t item = group * run->prepared->division.group;
    const float *x = (const float *)call->x[0] + item * spw_shape_elements(&call->desc->in);
    const float *packed_x;
    CODE_TRY(packed(conv, thread, SPW_DNNL_X, x, own(run, thread, l->x), &packed_x));
    return spw_dnnl_conv_run(conv, thread, packed_x, sum, packed_dy, sum + l->bias / sizeof(float),
                             own(run, thread, l->scratch));
}

static int backward_group(const struct run *run, int64_t group, uint32_t thread, float *sum)
{
    const struct spw_call *call = run->call;
    const struct spw_conv2d_layout *l = &run->layout;
    const struct spw_conv2d_division *division = &run->prepared->division;
    struct spw_dnnl_conv *data = pass_of(&run->prepared->data, division, group);
    struct spw_dnnl_conv *weights = pass_of(&run->prepared->weights, division, group);
    const float *dy = call->dy + group * division->group * spw_shape_elements(&call->desc->out);
    const float *packed_dy = NULL;
    if (call->dx[0] != NULL) {
        CODE_TRY(packed(data, thread, SPW_DNNL_Y, dy, own(run, thread, l->y), &packed_dy));
        CODE_TRY(data_group(run, data, group, thread, packed_dy));
    }
    if (call->dw[0] == NULL) {
        return 0;
    }
    if (packed_dy == NULL || !spw_dnnl_conv_same_layout(data, weights, SPW_DNNL_Y)) {
        float *place = own(run, thread, l->y_for_weights);
        CODE_TRY(packed(weights, thread, SPW_DNNL_Y, dy, place, &packed_dy));
    }
    return weights_group(run, weights, group, thread, packed_dy, sum);
}

static int backward_span(const struct run *run, int64_t span, uint32_t thread)
{
    const struct spw_conv2d_division *division = &run->prepared->division;
    const struct spw_conv2d_layout *l = &run->layout;
    int64_t first = span * division->groups / division->spans;
    int64_t end = (span + 1) * division->groups / division->spans;
    float *sum = shared(run, l->sums + (uint64_t)span * l->sum_bytes);
    float *group_sum = own(run, thread, l->group_sum);
    for (int64_t group = first; group < end; group++) {
        CODE_TRY(backward_group(run, group, thread, group == first ? sum : group_sum));
        if (group > first && run->call->dw[0] != NULL) {
            add_to(sum, group_sum, (int64_t)(l->sum_bytes / sizeof(float)));
        }
    }
    return 0;
}

static void backward_tile(void *context, uint32_t index, uint32_t thread)
{
    struct run *run = context;
    keep_failure(run, backward_span(run, index, thread));
}

static void deliver(float *to, const float *from, int64_t count, bool accumulate)
{
    if (accumulate) {
        add_to(to, from, count);
    } else {
        memcpy(to, from, (size_t)count * sizeof(float));
    }
}

/* Adds up the spans and hands dW and db over. */
static int finish_weights(const struct run *run)
{
    const struct spw_call *call = run->call;
    const struct spw_conv2d_layout *l = &run->layout;
    bool accumulate = (call->flags & SPW_CALL_ACCUMULATE_DW) != 0;
    float *sum = shared(run, l->sums);
    for (int64_t span = 1; span < run->prepared->division.spans; span++) {
        add_to(sum, shared(run, l->sums + (uint64_t)span * l->sum_bytes),
               (int64_t)(l->sum_bytes / sizeof(float)));
    }
    if (call->desc->attr.conv2d.bias && call->dw[1] != NULL) {
        deliver(call->dw[1], sum + l->bias / sizeof(float), call->desc->attr.conv2d.out,
                accumulate);
    }
    struct spw_dnnl_conv *conv = run->prepared->weights.full;
    if (!spw_dnnl_conv_is_plain(conv, SPW_DNNL_W)) {
        float *plain = accumulate ? own(run, 0, l->group_sum) : call->dw[0];
        CODE_TRY(spw_dnnl_conv_unpack(conv, 0, SPW_DNNL_W, sum, plain));
        sum = plain;
    }
    if (sum != call->dw[0]) {
        deliver(call->dw[0], sum, spw_conv2d_weight_elements(call->desc), accumulate);
    }
    return 0;
}

static enum spw_status conv2d_backward(struct spw_lane *lane, const struct spw_call *call,
                                       struct spw_error *error)
{
    struct spw_pool *pool = spw_lane_pool(lane);
    struct run run = {.call = call};
    run.prepared = spw_conv2d_find(lane, call, SPW_BACKWARD, &run.layout);
    int code = call->dx[0] == NULL ? 0 : pack_weight(&run, &run.prepared->data, &run.w);
    if (code == 0) {
        spw_pool_run(pool, (uint32_t)run.prepared->division.spans, backward_tile, &run);
        code = atomic_load(&run.code);
    }
    if (code == 0 && call->dw[0] != NULL) {
        code = finish_weights(&run);
    }
    return code == 0 ? SPW_OK : spw_dnnl_fail(error, code, "a convolution's gradient");
}

const struct spw_host_op spw_host_conv2d = {
    .workspace = spw_conv2d_workspace,
    .prepare = spw_conv2d_prepare,
    .forward = conv2d_forward,
    .backward = conv2d_backward,
};
