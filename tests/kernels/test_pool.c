/* Tests of kernels/host/pool.c and pool_2x2.c: every way of going over windows, ties, NaN. */
#include "op_check.h"

#include <criterion/criterion.h>
#include <math.h>

static struct conformance_case pool(enum spw_op op, const int64_t g[6], uint32_t flags)
{
    return op_case((struct spw_op_desc){.op = op,
                                        .in = {.rank = 3, .dim = {g[1], g[2], g[3]}},
                                        .attr.pool = {g[4], g[5]}},
                   g[0], flags);
}

/* {items, channels, height, width, kernel, stride} */
static const int64_t geometries[][6] = {
    {3, 5, 28, 28, 2, 2}, /* fours and a rest */
    {2, 3, 5, 7, 2, 2},   /* fewer than four, an odd row and column */
    {2, 3, 8, 8, 2, 2},   /* exactly four */
    {2, 2, 3, 131, 2, 2},   {2, 2, 2, 2, 2, 2},   {2, 3, 7, 9, 3, 2},
    {2, 3, 9, 150, 3, 1},                         /* rows longer than a chunk */
    {2, 2, 11, 12, 2, 3},                         /* gaps between windows */
    {1, 2, 20, 20, 8, 4},   {1, 2, 25, 31, 9, 5}, /* large windows */
    {3, 4, 14, 14, 14, 14}, {1, 1, 1, 1, 1, 1},   {2, 300, 6, 6, 2, 2},
};

Test(pool, agrees_with_the_plain_loops)
{
    for (size_t i = 0; i < sizeof geometries / sizeof geometries[0]; i++) {
        for (int variant = 0; variant < 4; variant++) {
            enum spw_op op = variant < 2 ? SPW_OP_MAXPOOL2D : SPW_OP_AVGPOOL2D;
            uint32_t flags = variant % 2 != 0 ? SPW_CALL_ACCUMULATE_DX0 : 0;
            struct conformance_case c = pool(op, geometries[i], flags);
            op_check(&c, 1e-6);
        }
    }
}

/* Where all are equal, the gradient goes to each window's first element, and nowhere else. */
Test(pool, the_first_of_equal_elements_takes_the_gradient)
{
    for (size_t i = 0; i < sizeof geometries / sizeof geometries[0]; i++) {
        struct conformance_case c = pool(SPW_OP_MAXPOOL2D, geometries[i], 0);
        struct op_lane lane = op_lane_open(1, false);
        struct conformance_operands fast, plain;
        conformance_operands_init(&fast, &c, sizeof(float), 0);
        conformance_operands_init(&plain, &c, sizeof(float), 0);
        for (int64_t k = 0; k < fast.count[PART_X0]; k++) {
            conformance_set(&fast, PART_X0, k, 0.5);
            conformance_set(&plain, PART_X0, k, 0.5);
        }
        conformance_run_lane(&fast, SPW_FORWARD, lane.lane, 1);
        conformance_run_lane(&fast, SPW_BACKWARD, lane.lane, 1);
        conformance_run_plain(&plain, SPW_FORWARD);
        conformance_run_plain(&plain, SPW_BACKWARD);
        char text[160], name[160];
        const char *breach = conformance_compare(&plain, &fast, 1e-7, text);
        cr_assert(breach == NULL, "%s: %s", conformance_text(&c, name), breach);
        cr_assert(conformance_value(&fast, PART_DX0, 0) == conformance_value(&fast, PART_DY, 0));
        conformance_operands_deinit(&fast);
        conformance_operands_deinit(&plain);
        op_lane_close(&lane);
    }
}

/* A NaN anywhere in a window comes out, wherever it stands in it. */
Test(pool, nan_comes_through)
{
    for (size_t i = 0; i < sizeof geometries / sizeof geometries[0]; i++) {
        for (int64_t at = 0; at < geometries[i][4]; at++) {
            for (enum spw_op op = SPW_OP_MAXPOOL2D; op <= SPW_OP_AVGPOOL2D; op++) {
                struct conformance_case c = pool(op, geometries[i], 0);
                struct op_lane lane = op_lane_open(1, false);
                struct conformance_operands operands;
                conformance_operands_init(&operands, &c, sizeof(float), 0);
                conformance_set(&operands, PART_X0, at * geometries[i][3] + at, NAN);
                conformance_run_lane(&operands, SPW_FORWARD, lane.lane, 1);
                cr_assert(isnan(conformance_value(&operands, PART_Y, 0)));
                conformance_operands_deinit(&operands);
                op_lane_close(&lane);
            }
        }
    }
}
