/* Tests of kernels/host/linear_xent.c: chunks of rows, panels of classes, and the loss itself. */
#include "op_check.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define TOLERANCE 3e-5

static struct conformance_case xent(int64_t rows, int64_t in, int64_t classes, bool conv1d,
                                    uint32_t flags)
{
    return op_case((struct spw_op_desc){.op = SPW_OP_LINEAR_XENT,
                                        .in = {.rank = 1, .dim = {in}},
                                        .attr.linear = {classes, in, false, conv1d}},
                   rows, flags);
}

/* One class, one panel, panels and spans that leave a rest; one chunk, many, and a short last. */
Test(linear_xent, agrees_with_the_plain_loops_over_chunks_and_panels)
{
    static const int64_t sizes[][3] = {
        {1, 8, 1}, {15, 17, 10}, {300, 9, 513}, {70, 24, 2049}, {600, 5, 30}, {2, 3, 70000},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int variant = 0; variant < 4; variant++) {
            uint32_t flags = variant % 2 != 0 ? SPW_CALL_ACCUMULATE_DX0 | SPW_CALL_ACCUMULATE_DW
                                              : 0;
            struct conformance_case c =
                xent(sizes[i][0], sizes[i][1], sizes[i][2], variant >= 2, flags);
            op_check(&c, TOLERANCE);
        }
    }
}

/* Training sees the very loss that evaluation reports. */
Test(linear_xent, forward_and_backward_give_the_same_loss)
{
    struct conformance_case c = xent(290, 40, 1500, false, 0);
    struct op_lane lane = op_lane_open(1, false);
    struct conformance_operands operands;
    conformance_operands_init(&operands, &c, sizeof(float), 0);
    conformance_run_lane(&operands, SPW_FORWARD, lane.lane, 1);
    struct spw_loss forward = operands.loss;
    conformance_run_lane(&operands, SPW_BACKWARD, lane.lane, 1);
    cr_assert(forward.sum == operands.loss.sum && forward.correct == operands.loss.correct);
    conformance_operands_deinit(&operands);
    op_lane_close(&lane);
}

/* All logits equal: the loss is ln(classes), and the first class counts as the guess. */
Test(linear_xent, equal_logits)
{
    struct conformance_case c = xent(40, 6, 1100, false, 0);
    struct op_lane lane = op_lane_open(1, false);
    struct conformance_operands operands;
    conformance_operands_init(&operands, &c, sizeof(float), 0);
    memset(operands.part[PART_W0], 0, (size_t)operands.count[PART_W0] * sizeof(float));
    for (int i = 0; i < 40; i++) {
        operands.targets[i] = i % 4 == 0 ? 0 : i % 4 == 1 ? 1 : i % 4 == 2 ? 512 : 1099;
    }
    conformance_run_lane(&operands, SPW_BACKWARD, lane.lane, 1);
    cr_assert(fabs(operands.loss.sum - 40 * log(1100)) < 1e-4, "%.9g", operands.loss.sum);
    cr_assert(operands.loss.correct == 10, "%g", operands.loss.correct);
    conformance_operands_deinit(&operands);
    op_lane_close(&lane);
}

/* Logits of a thousand neither overflow nor lose the loss. */
Test(linear_xent, large_logits_stay_finite)
{
    struct conformance_case c = xent(8, 1, 600, false, 0);
    struct op_lane lane = op_lane_open(1, false);
    struct conformance_operands operands;
    conformance_operands_init(&operands, &c, sizeof(float), 0);
    for (int64_t i = 0; i < 600; i++) {
        conformance_set(&operands, PART_W0, i, i == 599 ? 1000 : -1000);
    }
    for (int i = 0; i < 8; i++) {
        conformance_set(&operands, PART_X0, i, 1);
        operands.targets[i] = i == 0 ? 3 : 599;
    }
    conformance_run_lane(&operands, SPW_BACKWARD, lane.lane, 1);
    cr_assert(fabs(operands.loss.sum - 2000) < 1e-3, "%.9g", operands.loss.sum);
    cr_assert(operands.loss.correct == 7);
    for (int64_t i = 0; i < 8; i++) {
        cr_assert(isfinite(conformance_value(&operands, PART_DX0, i)));
    }
    conformance_operands_deinit(&operands);
    op_lane_close(&lane);
}

/* One NaN or infinity anywhere makes the loss one, so that the job is stopped. */
Test(linear_xent, what_is_not_finite_reaches_the_loss)
{
    static const double bad[] = {NAN, INFINITY};
    struct conformance_case c = xent(33, 20, 1030, false, 0);
    struct op_lane lane = op_lane_open(1, false);
    for (int k = 0; k < 2; k++) {
        for (int64_t class = 0; class < 1030; class += 1029) {
            struct conformance_operands operands;
            conformance_operands_init(&operands, &c, sizeof(float), 0);
            conformance_set(&operands, PART_W0, class * 20 + 4, bad[k]);
            conformance_run_lane(&operands, SPW_FORWARD, lane.lane, 1);
            cr_assert(!isfinite(operands.loss.sum));
            conformance_run_lane(&operands, SPW_BACKWARD, lane.lane, 1);
            cr_assert(!isfinite(operands.loss.sum));
            conformance_operands_deinit(&operands);
        }
    }
    op_lane_close(&lane);
}

/* The logits of a chunk take at most the larger of 8 MiB and a quarter of the weight. */
Test(linear_xent, workspace_is_bounded)
{
    struct conformance_case c = xent(4096, 384, 50257, false, 0);
    uint64_t forward, backward;
    cr_assert(spw_op_workspace_bytes(&c.desc, 4096, SPW_FORWARD, 1, NULL, &forward) == SPW_OK);
    cr_assert(spw_op_workspace_bytes(&c.desc, 4096, SPW_BACKWARD, 1, NULL, &backward) == SPW_OK);
    cr_assert(forward < (1 << 20), "%llu", (unsigned long long)forward);
    cr_assert(backward < 50257ull * 384 * 4 * 3 / 10, "%llu", (unsigned long long)backward);
}
