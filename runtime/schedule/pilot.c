/* pilot.c — see pilot.h. Tested by tests/runtime/test_pilot.c. */
#include "runtime/schedule/pilot.h"

#include "kernels/lane.h"
#include "partitioner/flow.h"
#include "partitioner/same_work.h"

enum { MEASURED_MAX = 1024, TRIES = 3 };

struct measured {
    struct spw_op_desc desc;
    int64_t items;
    enum spw_pass pass;
    uint64_t ns;
};

struct spw_pilot {
    const struct spw_world *world;
    struct spw_pool *pool;
    struct spw_lane *lane;
    uint32_t threads;
    uint64_t bytes_max;
    struct measured measured[MEASURED_MAX];
    uint32_t count;
};

enum spw_status spw_pilot_create(const struct spw_world *world, uint32_t threads, bool reference,
                                 uint64_t bytes_max, struct spw_error *error,
                                 struct spw_pilot **out)
{
    struct spw_pilot *pilot = NULL;
    SPW_TRY(spw_allocate(world, 1, sizeof *pilot, "the pilot run", error, &pilot));
    pilot->world = world;
    pilot->threads = threads;
    pilot->bytes_max = bytes_max;
    enum spw_status status = spw_pool_create(world, threads, NULL, error, &pilot->pool);
    if (status == SPW_OK) {
        status = spw_lane_create(world, pilot->pool, reference, error, &pilot->lane);
    }
    if (status != SPW_OK) {
        spw_pilot_destroy(pilot);
        return status;
    }
    *out = pilot;
    return SPW_OK;
}

void spw_pilot_destroy(struct spw_pilot *pilot)
{
    if (pilot == NULL) {
        return;
    }
    spw_lane_destroy(pilot->lane);
    spw_pool_destroy(pilot->pool);
    spw_release(pilot->world, pilot);
}

/* Bytes of every operand side by side; each begins at a multiple of 64. */
struct operands {
    char *base;
    uint64_t used;
};

static void *operand(struct operands *operands, uint64_t bytes)
{
    void *out = operands->base != NULL ? operands->base + operands->used : NULL;
    operands->used += (bytes + 63) & ~(uint64_t)63;
    return out;
}

/* What the pass reads and writes in a program, and no more: what fits the device fits here. */
static enum spw_status lay_out(const struct spw_pilot *pilot, const struct spw_op_desc *desc,
                               int64_t items, enum spw_pass pass, struct operands *operands,
                               struct spw_call *call)
{
    const bool forward = pass == SPW_FORWARD;
    const uint32_t needs = forward ? SPW_NEEDS_X0 | SPW_NEEDS_X1 | SPW_NEEDS_Y | SPW_NEEDS_SAVED |
                                         SPW_NEEDS_W
                                   : spw_op_needs(desc);
    const uint64_t in = (uint64_t)(items * spw_shape_elements(&desc->in)) * sizeof(float);
    const uint64_t out = (uint64_t)(items * spw_shape_elements(&desc->out)) * sizeof(float);
    const uint64_t rows = (uint64_t)(items * spw_shape_rows(&desc->in));
    uint64_t workspace = 0;
    SPW_TRY(spw_op_workspace_bytes(desc, items, pass, pilot->threads, NULL, &workspace));
    *call = (struct spw_call){
        .desc = desc, .items = items, .flags = SPW_CALL_TRAINING, .step = 1, .loss_scale = 1.0F};
    for (int i = 0; i < spw_op_inputs(desc->op); i++) {
        const bool read = (needs & (i == 0 ? SPW_NEEDS_X0 : SPW_NEEDS_X1)) != 0;
        call->x[i] = read ? operand(operands, in) : NULL;
        const bool gives = !forward && spw_flow_gives_gradient(desc->op);
        call->dx[i] = gives ? operand(operands, in) : NULL;
    }
    for (int i = 0; i < spw_op_params(desc); i++) {
        const struct spw_shape shape = spw_op_param_shape(desc, i);
        const uint64_t bytes = (uint64_t)spw_shape_elements(&shape) * sizeof(float);
        call->w[i] = (needs & SPW_NEEDS_W) != 0 ? operand(operands, bytes) : NULL;
        call->dw[i] = forward ? NULL : operand(operands, bytes);
    }
    call->y = (needs & SPW_NEEDS_Y) != 0 ? operand(operands, out) : NULL;
    call->dy = forward ? NULL : operand(operands, out);
    call->saved =
        (needs & SPW_NEEDS_SAVED) != 0 ? operand(operands, spw_op_saved_bytes(desc, items)) : NULL;
    if (spw_op_is_loss(desc->op)) {
        call->targets = operand(operands, rows * sizeof(int32_t));
        call->loss = operand(operands, sizeof(struct spw_loss));
    }
    call->workspace = operand(operands, workspace);
    return SPW_OK;
}

/* The least of a few timed runs after one that warms up; zeros are as good as any operands. */
static uint64_t time_call(struct spw_pilot *pilot, const struct spw_call *call, enum spw_pass pass)
{
    uint64_t best = 0;
    for (int i = 0; i <= TRIES; i++) {
        const uint64_t begin = spw_now_ns(pilot->world);
        if (spw_lane_run(pilot->lane, call, pass, NULL) != SPW_OK) {
            return 0;
        }
        const uint64_t ns = spw_now_ns(pilot->world) - begin;
        if (i == 1 || (i > 1 && ns < best)) {
            best = ns;
        }
    }
    return best;
}

static uint64_t measure(struct spw_pilot *pilot, const struct spw_op_desc *desc, int64_t items,
                        enum spw_pass pass)
{
    struct operands operands = {0};
    struct spw_call call;
    if (lay_out(pilot, desc, items, pass, &operands, &call) != SPW_OK ||
        operands.used > pilot->bytes_max ||
        spw_lane_prepare(pilot->lane, desc, items, pass, NULL) != SPW_OK) {
        return 0;
    }
    char *memory = NULL;
    if (spw_allocate(pilot->world, operands.used, 1, "the pilot run", NULL, &memory) != SPW_OK) {
        return 0;
    }
    operands = (struct operands){.base = memory};
    uint64_t ns = 0;
    if (lay_out(pilot, desc, items, pass, &operands, &call) == SPW_OK) {
        ns = time_call(pilot, &call, pass);
    }
    spw_release(pilot->world, memory);
    return ns;
}

uint64_t spw_pilot_measure(void *context, const struct spw_op_desc *desc, int64_t items,
                           enum spw_pass pass)
{
    struct spw_pilot *pilot = context;
    for (uint32_t i = 0; i < pilot->count; i++) {
        const struct measured *known = &pilot->measured[i];
        if (known->items == items && known->pass == pass && spw_same_work(&known->desc, desc)) {
            return known->ns;
        }
    }
    const uint64_t ns = measure(pilot, desc, items, pass);
    if (pilot->count < MEASURED_MAX) {
        pilot->measured[pilot->count++] = (struct measured){*desc, items, pass, ns};
    }
    return ns;
}
