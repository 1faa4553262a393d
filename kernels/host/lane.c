/* lane.c — a compute lane: the tile pool, the matrix library and what was prepared, in one hand.
 *
 * It only passes calls on; the arithmetic is in the op's own file. Tested by
 * tests/kernels/test_lane.c. */
#include "kernels/host/lane.h"

#include "base/assert.h"

struct spw_lane {
    const struct spw_world *world;
    struct spw_pool *pool; /* borrowed */
    struct spw_dnnl *dnnl; /* NULL: the plain loops */
    struct spw_prepared prepared;
};

enum spw_status spw_lane_create(const struct spw_world *world, struct spw_pool *pool,
                                bool reference, struct spw_error *error, struct spw_lane **out)
{
    struct spw_lane *lane;
    SPW_TRY(spw_allocate(world, 1, sizeof *lane, "a compute lane", error, &lane));
    lane->world = world;
    lane->pool = pool;
    spw_prepared_init(&lane->prepared, world);
    if (!reference) {
        enum spw_status status = spw_dnnl_create(world, error, &lane->dnnl);
        if (status != SPW_OK) {
            spw_lane_destroy(lane);
            return status;
        }
    }
    *out = lane;
    return SPW_OK;
}

void spw_lane_destroy(struct spw_lane *lane)
{
    if (lane != NULL) {
        spw_prepared_deinit(&lane->prepared);
        spw_dnnl_destroy(lane->dnnl);
        spw_release(lane->world, lane);
    }
}

enum spw_status spw_lane_prepare(struct spw_lane *lane, const struct spw_op_desc *desc,
                                 int64_t items, enum spw_pass pass, struct spw_error *error)
{
    SPW_ASSERT(items > 0);
    const struct spw_host_op *host = spw_op_host(desc->op);
    if (lane->dnnl == NULL || host->prepare == NULL) {
        return SPW_OK;
    }
    return host->prepare(lane, desc, items, pass, error);
}

enum spw_status spw_lane_run(struct spw_lane *lane, const struct spw_call *call, enum spw_pass pass,
                             struct spw_error *error)
{
    SPW_ASSERT(call->items > 0);
    if (lane->dnnl == NULL) {
        spw_op_reference(call, pass);
        return SPW_OK;
    }
    const struct spw_host_op *host = spw_op_host(call->desc->op);
    return pass == SPW_FORWARD ? host->forward(lane, call, error)
                               : host->backward(lane, call, error);
}

struct spw_pool *spw_lane_pool(struct spw_lane *lane)
{
    return lane->pool;
}

const struct spw_dnnl *spw_lane_dnnl(struct spw_lane *lane)
{
    return lane->dnnl;
}

struct spw_prepared *spw_lane_prepared(struct spw_lane *lane)
{
    return &lane->prepared;
}
