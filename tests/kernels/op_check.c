/* op_check.c — see op_check.h. */
#include "op_check.h"

#include <criterion/criterion.h>

struct conformance_case op_case(struct spw_op_desc desc, int64_t items, uint32_t flags)
{
    struct conformance_case c = {.desc = desc, .items = items, .flags = flags};
    struct spw_error error = {0};
    cr_assert(spw_op_infer(&c.desc, &error) == SPW_OK, "%s", error.what);
    return c;
}

struct op_lane op_lane_open(uint32_t threads, bool reference)
{
    struct op_lane lane = {0};
    const struct spw_world *world = spw_world_system();
    cr_assert(spw_pool_create(world, threads, NULL, NULL, &lane.pool) == SPW_OK);
    cr_assert(spw_lane_create(world, lane.pool, reference, NULL, &lane.lane) == SPW_OK);
    return lane;
}

void op_lane_close(struct op_lane *lane)
{
    spw_lane_destroy(lane->lane);
    spw_pool_destroy(lane->pool);
}

static void run_on(struct conformance_operands *operands, const struct conformance_case *c,
                   uint32_t threads)
{
    struct op_lane lane = op_lane_open(threads, false);
    conformance_operands_init(operands, c, sizeof(float), 4 * (size_t)(threads - 1));
    conformance_run_lane(operands, SPW_FORWARD, lane.lane, threads);
    conformance_run_lane(operands, SPW_BACKWARD, lane.lane, threads);
    op_lane_close(&lane);
}

void op_check(const struct conformance_case *c, double relative)
{
    char name[160], text[160];
    struct conformance_operands want, one;
    conformance_operands_init(&want, c, sizeof(float), 0);
    conformance_run_plain(&want, SPW_FORWARD);
    conformance_run_plain(&want, SPW_BACKWARD);
    run_on(&one, c, 1);
    const char *breach = conformance_compare(&want, &one, relative, text);
    cr_assert(breach == NULL, "%s: %s", conformance_text(c, name), breach);
    for (uint32_t threads = 2; threads <= 4; threads++) {
        struct conformance_operands many;
        run_on(&many, c, threads);
        breach = conformance_differ(&one, &many, text);
        cr_assert(breach == NULL, "%s on %u threads: %s", conformance_text(c, name), threads,
                  breach);
        conformance_operands_deinit(&many);
    }
    conformance_operands_deinit(&one);
    conformance_operands_deinit(&want);
}
