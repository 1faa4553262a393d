/* Tests of kernels/host/conv2d.c and conv2d_prepare.c: groups of items, odd geometry, workspace. */
#include "op_check.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define TOLERANCE 3e-5

struct geometry {
    int64_t items, channels, height, width, out, kernel, stride, padding;
    bool bias;
};

static struct conformance_case conv2d(struct geometry g, uint32_t flags)
{
    return op_case(
        (struct spw_op_desc){.op = SPW_OP_CONV2D,
                             .in = {.rank = 3, .dim = {g.channels, g.height, g.width}},
                             .attr.conv2d = {g.out, g.kernel, g.stride, g.padding, g.bias}},
        g.items, flags);
}

/* Channels that fill no vector, windows that leave a rest, padding wider than the kernel, items
 * that fall into uneven groups, and more groups than spans. */
Test(conv2d, agrees_with_the_plain_loops_over_odd_geometry)
{
    static const struct geometry geometries[] = {
        {1, 1, 1, 1, 1, 1, 1, 0, true},       {4, 2, 5, 5, 3, 1, 1, 1, true},
        {5, 3, 11, 7, 10, 5, 2, 2, true},     {6, 4, 6, 6, 5, 2, 3, 0, false},
        {3, 5, 6, 9, 7, 4, 3, 2, true},       {2, 17, 9, 9, 19, 3, 1, 0, false},
        {7, 16, 14, 14, 32, 3, 1, 1, true},   {9, 32, 14, 14, 32, 3, 2, 1, false},
        {33, 8, 7, 7, 8, 3, 1, 1, true},      {13, 1, 28, 28, 16, 3, 1, 1, true},
        {23, 12, 14, 14, 64, 1, 2, 0, false}, {5, 68, 4, 4, 70, 3, 1, 1, true},
    };
    for (size_t i = 0; i < sizeof geometries / sizeof geometries[0]; i++) {
        for (int adds = 0; adds < 2; adds++) {
            uint32_t flags = adds != 0 ? SPW_CALL_ACCUMULATE_DX0 | SPW_CALL_ACCUMULATE_DW : 0;
            struct conformance_case c = conv2d(geometries[i], flags);
            op_check(&c, TOLERANCE);
        }
    }
}

/* An item's output and input gradient do not depend on which group of which call it is in. */
Test(conv2d, an_item_is_the_same_in_any_batch)
{
    struct conformance_case many = conv2d((struct geometry){21, 6, 9, 9, 5, 3, 1, 1, true}, 0);
    struct conformance_case one = many;
    one.items = 1;
    struct op_lane lane = op_lane_open(1, false);
    struct conformance_operands all, single;
    conformance_operands_init(&all, &many, sizeof(float), 0);
    conformance_run_lane(&all, SPW_FORWARD, lane.lane, 1);
    conformance_run_lane(&all, SPW_BACKWARD, lane.lane, 1);
    for (int64_t item = 0; item < many.items; item += 4) {
        conformance_operands_init(&single, &one, sizeof(float), 0);
        for (int64_t i = 0; i < single.count[PART_X0]; i++) {
            int64_t at = item * single.count[PART_X0] + i;
            conformance_set(&single, PART_X0, i, conformance_value(&all, PART_X0, at));
        }
        for (int64_t i = 0; i < single.count[PART_DY]; i++) {
            int64_t at = item * single.count[PART_DY] + i;
            conformance_set(&single, PART_DY, i, conformance_value(&all, PART_DY, at));
        }
        conformance_run_lane(&single, SPW_FORWARD, lane.lane, 1);
        conformance_run_lane(&single, SPW_BACKWARD, lane.lane, 1);
        for (int64_t i = 0; i < single.count[PART_Y]; i++) {
            double want = conformance_value(&all, PART_Y, item * single.count[PART_Y] + i);
            cr_assert(fabs(conformance_value(&single, PART_Y, i) - want) <= 1e-5);
        }
        for (int64_t i = 0; i < single.count[PART_DX0]; i++) {
            double want = conformance_value(&all, PART_DX0, item * single.count[PART_DX0] + i);
            cr_assert(fabs(conformance_value(&single, PART_DX0, i) - want) <= 1e-5);
        }
        conformance_operands_deinit(&single);
    }
    conformance_operands_deinit(&all);
    op_lane_close(&lane);
}

/* The first layer of a model wants no gradient of its input, a frozen one none of its weight. */
Test(conv2d, gradients_are_independent_of_each_other)
{
    struct conformance_case c = conv2d((struct geometry){9, 5, 8, 8, 6, 3, 1, 1, true}, 0);
    struct op_lane lane = op_lane_open(2, false);
    struct conformance_operands all, no_dx, no_dw;
    conformance_operands_init(&all, &c, sizeof(float), 0);
    conformance_operands_init(&no_dx, &c, sizeof(float), 0);
    conformance_operands_init(&no_dw, &c, sizeof(float), 0);
    no_dx.no_gradients[PART_DX0] = true;
    no_dw.no_gradients[PART_DW0] = no_dw.no_gradients[PART_DW1] = true;
    conformance_run_lane(&all, SPW_BACKWARD, lane.lane, 2);
    conformance_run_lane(&no_dx, SPW_BACKWARD, lane.lane, 2);
    conformance_run_lane(&no_dw, SPW_BACKWARD, lane.lane, 2);
    size_t dx_bytes = (size_t)all.count[PART_DX0] * sizeof(float);
    size_t dw_bytes = (size_t)all.count[PART_DW0] * sizeof(float);
    cr_assert(memcmp(all.part[PART_DX0], no_dw.part[PART_DX0], dx_bytes) == 0);
    cr_assert(memcmp(all.part[PART_DW0], no_dx.part[PART_DW0], dw_bytes) == 0);
    cr_assert(isnan(conformance_value(&no_dx, PART_DX0, 0)));
    cr_assert(isnan(conformance_value(&no_dw, PART_DW0, 0)));
    cr_assert(isnan(conformance_value(&no_dw, PART_DW1, 0)));
    conformance_operands_deinit(&all);
    conformance_operands_deinit(&no_dx);
    conformance_operands_deinit(&no_dw);
    op_lane_close(&lane);
}

/* Workspace follows the group, not the micro-batch: four times the items take the same room. */
Test(conv2d, workspace_does_not_grow_with_the_items)
{
    struct conformance_case c = conv2d((struct geometry){64, 16, 14, 14, 32, 3, 1, 1, true}, 0);
    for (int pass = SPW_FORWARD; pass <= SPW_BACKWARD; pass++) {
        uint64_t few, many, two_threads;
        cr_assert(spw_op_workspace_bytes(&c.desc, 64, pass, 1, NULL, &few) == SPW_OK);
        cr_assert(spw_op_workspace_bytes(&c.desc, 256, pass, 1, NULL, &many) == SPW_OK);
        cr_assert(spw_op_workspace_bytes(&c.desc, 64, pass, 2, NULL, &two_threads) == SPW_OK);
        cr_assert(few > 0 && few < (1 << 20), "%llu bytes", (unsigned long long)few);
        cr_assert(many <= few + few / 4, "%llu, then %llu", (unsigned long long)few,
                  (unsigned long long)many);
        cr_assert(two_threads > few && two_threads < 2 * few);
    }
}
