/* conv2d_prepare.c — divides a convolution into groups of items, makes the library's passes for
 * them and lays out the workspace. Run by conv2d.c, tested with it. */
#include "base/assert.h"
#include "base/checked.h"
#include "base/thread.h"
#include "kernels/host/conv2d.h"

/* x and y of a group, so that its packed copies stay in a second-level cache. */
#define GROUP_BYTES (256 << 10)
/* More spans keep more threads busy, but each takes a copy of dW. */
#define SPANS_MAX 4
#define SPANS_OF_LARGE_WEIGHTS 2
#define LARGE_WEIGHT_BYTES (256 << 10)

int64_t spw_conv2d_weight_elements(const struct spw_op_desc *desc)
{
    int64_t kernel = desc->attr.conv2d.kernel;
    return desc->attr.conv2d.out * desc->in.dim[0] * kernel * kernel;
}

static struct spw_conv2d_division divide(const struct spw_op_desc *desc, int64_t items,
                                         int64_t group)
{
    int64_t groups = (items + group - 1) / group;
    group = (items + groups - 1) / groups; /* as many groups, but alike */
    groups = (items + group - 1) / group;
    bool large = spw_conv2d_weight_elements(desc) * 4 > LARGE_WEIGHT_BYTES;
    int64_t spans = large ? SPANS_OF_LARGE_WEIGHTS : SPANS_MAX;
    return (struct spw_conv2d_division){items, group, groups, spans < groups ? spans : groups};
}

static int64_t group_that_fits(const struct spw_op_desc *desc, int64_t items)
{
    int64_t item_bytes = (spw_shape_elements(&desc->in) + spw_shape_elements(&desc->out)) * 4;
    int64_t group = GROUP_BYTES / item_bytes;
    return group < 1 ? 1 : group > items ? items : group;
}

static void forget_passes(struct spw_conv2d_passes *passes)
{
    if (passes->last != passes->full) {
        spw_dnnl_conv_destroy(passes->last);
    }
    spw_dnnl_conv_destroy(passes->full);
    *passes = (struct spw_conv2d_passes){0};
}

static enum spw_status make_passes(const struct spw_dnnl *dnnl, const struct spw_op_desc *desc,
                                   const struct spw_conv2d_division *division,
                                   enum spw_dnnl_conv_pass pass, uint32_t threads,
                                   struct spw_error *error, struct spw_conv2d_passes *out)
{
    struct spw_dnnl_conv_shape shape = {
        .items = division->group,
        .channels = desc->in.dim[0],
        .height = desc->in.dim[1],
        .width = desc->in.dim[2],
        .out = desc->out.dim[0],
        .out_height = desc->out.dim[1],
        .out_width = desc->out.dim[2],
        .kernel = desc->attr.conv2d.kernel,
        .stride = desc->attr.conv2d.stride,
        .padding = desc->attr.conv2d.padding,
        .bias = desc->attr.conv2d.bias,
    };
    SPW_TRY(spw_dnnl_conv_create(dnnl, &shape, pass, threads, error, &out->full));
    out->last = out->full;
    shape.items = division->items - (division->groups - 1) * division->group;
    if (shape.items == division->group) {
        return SPW_OK;
    }
    out->last = NULL;
    return spw_dnnl_conv_create(dnnl, &shape, pass, threads, error, &out->last);
}

static enum spw_status make_all(const struct spw_dnnl *dnnl, const struct spw_op_desc *desc,
                                enum spw_pass pass, uint32_t threads, struct spw_error *error,
                                struct spw_conv2d_prepared *p)
{
    const struct spw_conv2d_division *d = &p->division;
    if (pass == SPW_FORWARD) {
        return make_passes(dnnl, desc, d, SPW_DNNL_FORWARD, threads, error, &p->forward);
    }
    SPW_TRY(make_passes(dnnl, desc, d, SPW_DNNL_BACKWARD_DATA, threads, error, &p->data));
    return make_passes(dnnl, desc, d, SPW_DNNL_BACKWARD_WEIGHTS, threads, error, &p->weights);
}

static bool same_weight_layout(const struct spw_conv2d_passes *passes)
{
    return passes->full == passes->last ||
           spw_dnnl_conv_same_layout(passes->full, passes->last, SPW_DNNL_W);
}

static void forget_all(struct spw_conv2d_prepared *p)
{
    forget_passes(&p->forward);
    forget_passes(&p->data);
    forget_passes(&p->weights);
}

static void forget_prepared(const struct spw_world *world, void *thing)
{
    forget_all(thing);
    spw_release(world, thing);
}

/* Should the library lay the weight out differently for the shorter last group, every item becomes
 * a group: the layouts are whatever it likes, and sums of dW need one. */
static enum spw_status make_prepared(const struct spw_world *world, const struct spw_dnnl *dnnl,
                                     const struct spw_op_desc *desc, int64_t items,
                                     enum spw_pass pass, uint32_t threads, struct spw_error *error,
                                     struct spw_conv2d_prepared **out)
{
    struct spw_conv2d_prepared *p;
    SPW_TRY(spw_allocate(world, 1, sizeof *p, "a prepared convolution", error, &p));
    p->division = divide(desc, items, group_that_fits(desc, items));
    enum spw_status status = make_all(dnnl, desc, pass, threads, error, p);
    if (status == SPW_OK && !(same_weight_layout(&p->forward) && same_weight_layout(&p->data) &&
                              same_weight_layout(&p->weights))) {
        forget_all(p);
        p->division = divide(desc, items, 1);
        status = make_all(dnnl, desc, pass, threads, error, p);
    }
    if (status != SPW_OK) {
        forget_prepared(world, p);
        return status;
    }
    *out = p;
    return SPW_OK;
}

static struct spw_prepared_key key_of(const struct spw_op_desc *desc, int64_t items,
                                      enum spw_pass pass)
{
    return (struct spw_prepared_key){{
        SPW_OP_CONV2D,
        pass,
        items,
        desc->in.dim[0],
        desc->in.dim[1],
        desc->in.dim[2],
        desc->attr.conv2d.out,
        desc->attr.conv2d.kernel,
        desc->attr.conv2d.stride,
        desc->attr.conv2d.padding,
        desc->attr.conv2d.bias,
    }};
}

enum spw_status spw_conv2d_prepare(struct spw_lane *lane, const struct spw_op_desc *desc,
                                   int64_t items, enum spw_pass pass, struct spw_error *error)
{
    struct spw_prepared *all = spw_lane_prepared(lane);
    struct spw_prepared_key key = key_of(desc, items, pass);
    if (spw_prepared_find(all, &key) != NULL) {
        return SPW_OK;
    }
    struct spw_conv2d_prepared *p;
    uint32_t threads = spw_pool_threads(spw_lane_pool(lane));
    SPW_TRY(make_prepared(all->world, spw_lane_dnnl(lane), desc, items, pass, threads, error, &p));
    return spw_prepared_keep(all, &key, p, forget_prepared, error);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Room for one tensor in either pass. */
static uint64_t room(const struct spw_conv2d_passes *passes, enum spw_dnnl_tensor tensor)
{
    return larger(spw_dnnl_conv_bytes(passes->full, tensor),
                  spw_dnnl_conv_bytes(passes->last, tensor));
}

static uint64_t scratch_room(const struct spw_conv2d_passes *passes)
{
    return larger(spw_dnnl_conv_scratch_bytes(passes->full),
                  spw_dnnl_conv_scratch_bytes(passes->last));
}

static uint64_t take(uint64_t *used, uint64_t bytes)
{
    uint64_t offset = *used;
    *used += spw_round_up(bytes, 64);
    return offset;
}

static uint64_t forward_layout(const struct spw_conv2d_prepared *p, uint32_t threads,
                               struct spw_conv2d_layout *l)
{
    *l = (struct spw_conv2d_layout){0};
    l->w = take(&l->threads, room(&p->forward, SPW_DNNL_W));
    l->x = take(&l->thread_bytes, room(&p->forward, SPW_DNNL_X));
    l->y = take(&l->thread_bytes, room(&p->forward, SPW_DNNL_Y));
    l->scratch = take(&l->thread_bytes, scratch_room(&p->forward));
    return l->threads + threads * l->thread_bytes;
}

static uint64_t backward_layout(const struct spw_conv2d_prepared *p, const struct spw_op_desc *desc,
                                uint32_t threads, struct spw_conv2d_layout *l)
{
    *l = (struct spw_conv2d_layout){0};
    uint64_t plain_dw = (uint64_t)spw_conv2d_weight_elements(desc) * sizeof(float);
    uint64_t plain_dx =
        (uint64_t)(p->division.group * spw_shape_elements(&desc->in)) * sizeof(float);
    take(&l->sum_bytes, larger(room(&p->weights, SPW_DNNL_W), plain_dw));
    l->bias = take(&l->sum_bytes, (uint64_t)desc->attr.conv2d.out * sizeof(float));
    l->w = take(&l->threads, room(&p->data, SPW_DNNL_W));
    l->sums = take(&l->threads, (uint64_t)p->division.spans * l->sum_bytes);
    /* x is packed after dx has been unpacked; where that adds to dx, it goes through x's place. */
    l->x = take(&l->thread_bytes, larger(room(&p->weights, SPW_DNNL_X), plain_dx));
    l->y = take(&l->thread_bytes, room(&p->data, SPW_DNNL_Y));
    l->y_for_weights = take(&l->thread_bytes, room(&p->weights, SPW_DNNL_Y));
    l->dx = take(&l->thread_bytes, room(&p->data, SPW_DNNL_X));
    l->group_sum = take(&l->thread_bytes, l->sum_bytes);
    l->scratch = take(&l->thread_bytes, larger(scratch_room(&p->data), scratch_room(&p->weights)));
    return l->threads + threads * l->thread_bytes;
}

/* The library says how large its layouts are only once the passes exist, so they are made to ask.
 * It keeps recent ones, so that preparing afterwards costs little. */
enum spw_status spw_conv2d_workspace(const struct spw_op_desc *desc, int64_t items,
                                     enum spw_pass pass, uint32_t threads, struct spw_error *error,
                                     uint64_t *bytes)
{
    const struct spw_world *world = spw_world_system();
    struct spw_dnnl *dnnl;
    SPW_TRY(spw_dnnl_create(world, error, &dnnl));
    struct spw_conv2d_prepared *p;
    enum spw_status status = make_prepared(world, dnnl, desc, items, pass, 1, error, &p);
    if (status == SPW_OK) {
        struct spw_conv2d_layout layout;
        *bytes = pass == SPW_FORWARD ? forward_layout(p, threads, &layout)
                                     : backward_layout(p, desc, threads, &layout);
        forget_prepared(world, p);
    }
    spw_dnnl_destroy(dnnl);
    return status;
}

const struct spw_conv2d_prepared *spw_conv2d_find(struct spw_lane *lane,
                                                  const struct spw_call *call, enum spw_pass pass,
                                                  struct spw_conv2d_layout *layout)
{
    struct spw_prepared_key key = key_of(call->desc, call->items, pass);
    const struct spw_conv2d_prepared *p = spw_prepared_find(spw_lane_prepared(lane), &key);
    SPW_ASSERT(p != NULL); /* else it runs unprepared */
    uint32_t threads = spw_pool_threads(spw_lane_pool(lane));
    if (pass == SPW_FORWARD) {
        forward_layout(p, threads, layout);
    } else {
        backward_layout(p, call->desc, threads, layout);
    }
    return p;
}
