/* Tests of kernels/host/linear.c: the two weight layouts, cutting into tiles, optional gradients.
 */
#include "op_check.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define TOLERANCE 3e-5

static struct conformance_case linear(int64_t rows, int64_t in, int64_t out, bool bias, bool conv1d,
                                      uint32_t flags)
{
    return op_case((struct spw_op_desc){.op = SPW_OP_LINEAR,
                                        .in = {.rank = 1, .dim = {in}},
                                        .attr.linear = {out, in, bias, conv1d}},
                   rows, flags);
}

/* Small, flipped (16 to 256 rows in whole vectors), one over, and large enough to be cut in both
 * directions; each with both layouts, adding and not. */
Test(linear, agrees_with_the_plain_loops_at_every_size)
{
    static const int64_t sizes[][3] = {
        {1, 1, 1},     {3, 33, 17},   {16, 1, 5},      {32, 784, 128},  {33, 200, 48},
        {48, 31, 700}, {256, 90, 33}, {257, 513, 300}, {300, 700, 400}, {700, 300, 1000},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        bool large = sizes[i][0] * sizes[i][1] * sizes[i][2] > 50000000;
        for (int variant = 0; variant < 4; variant += large ? 3 : 1) {
            uint32_t flags = variant % 2 != 0 ? SPW_CALL_ACCUMULATE_DX0 | SPW_CALL_ACCUMULATE_DW
                                              : 0;
            struct conformance_case c =
                linear(sizes[i][0], sizes[i][1], sizes[i][2], variant != 2, variant >= 2, flags);
            op_check(&c, TOLERANCE);
        }
    }
}

/* The rows of a three-dimensional input are all its leading dimensions together. */
Test(linear, counts_rows_over_all_leading_dimensions)
{
    struct conformance_case c = op_case((struct spw_op_desc){.op = SPW_OP_LINEAR,
                                                             .in = {.rank = 3, .dim = {2, 5, 24}},
                                                             .attr.linear = {7, 24, true, false}},
                                        3, 0);
    cr_assert(c.desc.out.rank == 3 && c.desc.out.dim[1] == 5 && c.desc.out.dim[2] == 7);
    op_check(&c, TOLERANCE);
}

/* A gradient that nobody wants is neither written nor does it change the others. */
Test(linear, gradients_are_independent_of_each_other)
{
    static const enum conformance_part parts[] = {PART_DX0, PART_DW0, PART_DW1};
    struct conformance_case c = linear(40, 60, 50, true, false, 0);
    struct op_lane lane = op_lane_open(1, false);
    struct conformance_operands all;
    conformance_operands_init(&all, &c, sizeof(float), 0);
    conformance_run_lane(&all, SPW_BACKWARD, lane.lane, 1);
    for (int missing = 0; missing < 3; missing++) {
        struct conformance_operands some;
        conformance_operands_init(&some, &c, sizeof(float), 0);
        some.no_gradients[parts[missing]] = true;
        conformance_run_lane(&some, SPW_BACKWARD, lane.lane, 1);
        for (int k = 0; k < 3; k++) {
            size_t bytes = (size_t)all.count[parts[k]] * sizeof(float);
            if (k == missing) {
                cr_assert(isnan(conformance_value(&some, parts[k], 0)));
            } else {
                cr_assert(memcmp(all.part[parts[k]], some.part[parts[k]], bytes) == 0);
            }
        }
        conformance_operands_deinit(&some);
    }
    conformance_operands_deinit(&all);
    op_lane_close(&lane);
}

/* Infinities and NaN come through, so that a broken model is noticed. */
Test(linear, numbers_that_are_not_finite_come_through)
{
    struct conformance_case c = linear(32, 64, 48, true, false, 0);
    struct op_lane lane = op_lane_open(1, false);
    struct conformance_operands operands;
    conformance_operands_init(&operands, &c, sizeof(float), 0);
    conformance_set(&operands, PART_X0, 5 * 64 + 3, NAN);
    conformance_set(&operands, PART_W0, 7 * 64 + 1, INFINITY);
    conformance_run_lane(&operands, SPW_FORWARD, lane.lane, 1);
    for (int64_t j = 0; j < 48; j++) {
        cr_assert(isnan(conformance_value(&operands, PART_Y, INT64_C(5) * 48 + j)));
        cr_assert(j == 7 || isfinite(conformance_value(&operands, PART_Y, INT64_C(4) * 48 + j)));
    }
    cr_assert(!isfinite(conformance_value(&operands, PART_Y, 4 * 48 + 7)));
    conformance_operands_deinit(&operands);
    op_lane_close(&lane);
}
