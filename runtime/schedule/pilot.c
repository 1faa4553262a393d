/* pilot.c — the pilot run: measures each distinct op once on a lane of its own, so that plans carry
 * this machine's times instead of estimates. Times steer schedules, never numbers. */
#include "runtime/schedule/executor.h"

#include "base/hash.h"
#include "kernels/lane.h"

enum { MEASURED_MAX = 1024, TRIES = 3 };

struct measured {
    uint64_t key;
    uint64_t ns;
};

struct spw_pilot {
    const struct spw_world *world;
    struct spw_pool *pool;
    struct spw_lane *lane;
    uint32_t threads;
    struct measured measured[MEASURED_MAX];
    uint32_t count;
};

enum spw_status spw_pilot_create(const struct spw_world *world, uint32_t threads, bool reference,
                                 struct spw_error *error, struct spw_pilot **out)
{
    struct spw_pilot *pilot = NULL;
    SPW_TRY(spw_allocate(world, 1, sizeof *pilot, "the pilot run", error, &pilot));
    pilot->world = world;
    pilot->threads = threads;
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

static uint64_t key_of(const struct spw_op_desc *desc, int64_t items, enum spw_pass pass)
{
    const int64_t place[2] = {items, (int64_t)pass};
    return spw_hash(desc, sizeof *desc, spw_hash(place, sizeof place, 1));
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

static enum spw_status lay_out(const struct spw_pilot *pilot, const struct spw_op_desc *desc,
                               int64_t items, enum spw_pass pass, struct operands *operands,
                               struct spw_call *call)
{
    const uint64_t in = (uint64_t)(items * spw_shape_elements(&desc->in)) * sizeof(float);
    const uint64_t out = (uint64_t)(items * spw_shape_elements(&desc->out)) * sizeof(float);
    const uint64_t rows = (uint64_t)(items * spw_shape_rows(&desc->in));
    uint64_t workspace = 0;
    SPW_TRY(spw_op_workspace_bytes(desc, items, pass, pilot->threads, NULL, &workspace));
    *call = (struct spw_call){
        .desc = desc, .items = items, .flags = SPW_CALL_TRAINING, .step = 1, .loss_scale = 1.0F};
    for (int i = 0; i < spw_op_inputs(desc->op); i++) {
        call->x[i] = operand(operands, in);
        call->dx[i] = operand(operands, in);
    }
    for (int i = 0; i < spw_op_params(desc); i++) {
        const struct spw_shape shape = spw_op_param_shape(desc, i);
        const uint64_t bytes = (uint64_t)spw_shape_elements(&shape) * sizeof(float);
        call->w[i] = operand(operands, bytes);
        call->dw[i] = operand(operands, bytes);
    }
    call->y = operand(operands, out);
    call->dy = operand(operands, out);
    call->saved = operand(operands, spw_op_saved_bytes(desc, items));
    call->targets = operand(operands, rows * sizeof(int32_t));
    call->loss = operand(operands, sizeof(struct spw_loss));
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
    const uint64_t key = key_of(desc, items, pass);
    for (uint32_t i = 0; i < pilot->count; i++) {
        if (pilot->measured[i].key == key) {
            return pilot->measured[i].ns;
        }
    }
    const uint64_t ns = measure(pilot, desc, items, pass);
    if (pilot->count < MEASURED_MAX) {
        pilot->measured[pilot->count++] = (struct measured){key, ns};
    }
    return ns;
}
