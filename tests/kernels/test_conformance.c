/* test_conformance.c — every op of the table against its definition, over odd shapes.
 *
 * The fast paths are held against the plain loops, computed in double; the gradients of the plain
 * loops against finite differences, in double; the bits of the fast paths against themselves on
 * other thread counts and alignments. Nothing here names an op unless it is about that op alone: an
 * op that is added to the table without cases does not compile. */
#include "conformance.h"

#include "base/assert.h"
#include "base/thread.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* What fp32 may be off: see conformance_compare(). The plain loops add thousands of terms one by
 * one, where the fast paths add them in groups. */
#define TOLERANCE 1e-5
#define PLAIN_TOLERANCE 3e-5

struct lanes {
    struct spw_pool *pool[5]; /* by number of threads */
    struct spw_lane *lane[5];
};

static void lanes_init(struct lanes *lanes, uint32_t threads_max)
{
    memset(lanes, 0, sizeof(*lanes));
    const struct spw_world *world = spw_world_system();
    for (uint32_t threads = 1; threads <= threads_max; threads++) {
        cr_assert_eq(spw_pool_create(world, threads, NULL, NULL, &lanes->pool[threads]), SPW_OK);
        cr_assert_eq(
            spw_lane_create(world, lanes->pool[threads], false, NULL, &lanes->lane[threads]),
            SPW_OK);
    }
}

static void lanes_deinit(struct lanes *lanes)
{
    for (int threads = 1; threads < 5; threads++) {
        spw_lane_destroy(lanes->lane[threads]);
        spw_pool_destroy(lanes->pool[threads]);
    }
}

static void run_both(struct conformance_operands *operands, struct spw_lane *lane, uint32_t threads)
{
    conformance_run_lane(operands, SPW_FORWARD, lane, threads);
    conformance_run_lane(operands, SPW_BACKWARD, lane, threads);
}

static void run_both_plain(struct conformance_operands *operands)
{
    conformance_run_plain(operands, SPW_FORWARD);
    conformance_run_plain(operands, SPW_BACKWARD);
}

/* Calls `check` for every case of every op; it fails the test by itself. */
static int each_case(void (*check)(const struct conformance_case *c, struct lanes *lanes),
                     struct lanes *lanes)
{
    int cases = 0;
    for (enum spw_op op = 0; op < SPW_OP_COUNT; op++) {
        struct conformance_case c;
        int index = 0;
        for (; conformance_case(op, index, &c); index++) {
            check(&c, lanes);
        }
        cr_assert_geq(index, 10, "only %d cases of %s", index, spw_op_name(op));
        cases += index;
    }
    return cases;
}

static void check_against_double(const struct conformance_case *c, struct lanes *lanes)
{
    char name[160], text[160];
    struct conformance_operands want, fast, plain;
    conformance_operands_init(&want, c, sizeof(double), 0);
    conformance_operands_init(&fast, c, sizeof(float), 0);
    conformance_operands_init(&plain, c, sizeof(float), 0);
    run_both_plain(&want);
    run_both_plain(&plain);
    run_both(&fast, lanes->lane[1], 1);
    const char *breach = conformance_compare(&want, &fast, TOLERANCE, text);
    cr_assert(breach == NULL, "fast %s: %s", conformance_text(c, name), breach);
    breach = conformance_compare(&want, &plain, PLAIN_TOLERANCE, text);
    cr_assert(breach == NULL, "plain %s: %s", conformance_text(c, name), breach);
    conformance_operands_deinit(&want);
    conformance_operands_deinit(&fast);
    conformance_operands_deinit(&plain);
}

Test(conformance, plain_and_fast_agree_with_double)
{
    struct lanes lanes;
    lanes_init(&lanes, 1);
    cr_assert_gt(each_case(check_against_double, &lanes), 500);
    lanes_deinit(&lanes);
}

/* Equal numbers all over: the first of equal maxima counts, in pooling and in the loss. Equal terms
 * are all rounded the same way, so sums are off by more; a wrong choice would be off by all. */
static void check_ties(const struct conformance_case *c, struct lanes *lanes)
{
    char name[160], text[160];
    struct conformance_operands want, fast;
    conformance_operands_init(&want, c, sizeof(double), 0);
    conformance_operands_init(&fast, c, sizeof(float), 0);
    conformance_coarsen(&want);
    conformance_coarsen(&fast);
    run_both_plain(&want);
    run_both(&fast, lanes->lane[1], 1);
    const char *breach = conformance_compare(&want, &fast, 1e-4, text);
    cr_assert(breach == NULL, "%s: %s", conformance_text(c, name), breach);
    conformance_operands_deinit(&want);
    conformance_operands_deinit(&fast);
}

Test(conformance, equal_numbers_are_treated_alike)
{
    struct lanes lanes;
    lanes_init(&lanes, 1);
    (void)each_case(check_ties, &lanes);
    lanes_deinit(&lanes);
}

/* The number whose gradient backward gives: y . dy, or the scaled loss. */
static double objective(struct conformance_operands *operands)
{
    conformance_run_plain(operands, SPW_FORWARD);
    if (spw_op_is_loss(operands->c->desc.op)) {
        return 0.25 * operands->loss.sum;
    }
    double sum = 0;
    for (int64_t i = 0; i < operands->count[PART_Y]; i++) {
        sum += conformance_value(operands, PART_Y, i) * conformance_value(operands, PART_DY, i);
    }
    return sum;
}

#define DIFFERENCES_PER_PART 12

/* Some elements of one input, the first and last among them. */
static void check_differences(struct conformance_operands *operands, enum conformance_part input,
                              enum conformance_part gradient)
{
    const double h = 1e-5;
    const int64_t count = operands->count[input];
    double largest = 0;
    for (int64_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs(conformance_value(operands, gradient, i)));
    }
    for (int64_t k = 0; k < DIFFERENCES_PER_PART && k < count; k++) {
        const int64_t at = count == 1 ? 0 : k * (count - 1) / (DIFFERENCES_PER_PART - 1) % count;
        const double value = conformance_value(operands, input, at);
        conformance_set(operands, input, at, value + h);
        const double above = objective(operands);
        conformance_set(operands, input, at, value - h);
        const double below = objective(operands);
        conformance_set(operands, input, at, value);
        const double want = (above - below) / (2 * h);
        const double got = conformance_value(operands, gradient, at);
        char name[160];
        cr_assert(fabs(want - got) <= 1e-6 * (fabs(want) + largest) + 1e-8,
                  "%s: %s[%lld] is %.12g, finite differences give %.12g",
                  conformance_text(operands->c, name), conformance_part_names[gradient],
                  (long long)at, got, want);
    }
}

static void check_gradients(const struct conformance_case *c, struct lanes *lanes)
{
    (void)lanes;
    if (spw_op_cost(&c->desc, c->items, SPW_FORWARD).flops > 1000000) {
        return; /* the same loops as at the smaller sizes */
    }
    struct conformance_operands operands;
    conformance_operands_init(&operands, c, sizeof(double), 0);
    run_both_plain(&operands);
    check_differences(&operands, PART_X0, PART_DX0);
    check_differences(&operands, PART_X1, PART_DX1);
    check_differences(&operands, PART_W0, PART_DW0);
    check_differences(&operands, PART_W1, PART_DW1);
    conformance_operands_deinit(&operands);
}

Test(conformance, gradients_are_those_of_finite_differences)
{
    cr_assert_gt(each_case(check_gradients, NULL), 500);
}

static void check_threads(const struct conformance_case *c, struct lanes *lanes)
{
    struct conformance_operands one;
    conformance_operands_init(&one, c, sizeof(float), 0);
    run_both(&one, lanes->lane[1], 1);
    for (uint32_t threads = 2; threads <= 4; threads++) {
        char name[160], text[160];
        struct conformance_operands more;
        conformance_operands_init(&more, c, sizeof(float), 0);
        run_both(&more, lanes->lane[threads], threads);
        const char *difference = conformance_differ(&one, &more, text);
        cr_assert(difference == NULL, "%s, 1 and %u threads: %s", conformance_text(c, name),
                  (unsigned)threads, difference);
        conformance_operands_deinit(&more);
    }
    conformance_operands_deinit(&one);
}

Test(conformance, bits_do_not_depend_on_threads)
{
    struct lanes lanes;
    lanes_init(&lanes, 4);
    (void)each_case(check_threads, &lanes);
    lanes_deinit(&lanes);
}

static void check_alignment(const struct conformance_case *c, struct lanes *lanes)
{
    static const size_t misalignments[] = {4, 8, 20};
    struct conformance_operands aligned;
    conformance_operands_init(&aligned, c, sizeof(float), 0);
    run_both(&aligned, lanes->lane[1], 1);
    for (int i = 0; i < 3; i++) {
        char name[160], text[160];
        struct conformance_operands other;
        conformance_operands_init(&other, c, sizeof(float), misalignments[i]);
        run_both(&other, lanes->lane[1], 1);
        const char *difference = conformance_differ(&aligned, &other, text);
        cr_assert(difference == NULL, "%s, %zu bytes off: %s", conformance_text(c, name),
                  misalignments[i], difference);
        conformance_operands_deinit(&other);
    }
    conformance_operands_deinit(&aligned);
}

Test(conformance, bits_do_not_depend_on_alignment)
{
    struct lanes lanes;
    lanes_init(&lanes, 1);
    (void)each_case(check_alignment, &lanes);
    lanes_deinit(&lanes);
}

/* What gradients hold before something is added to them. */
static double present(int64_t index)
{
    return 0.125 * (double)(index % 7) - 0.5;
}

#define ACCUMULATE_ALL (SPW_CALL_ACCUMULATE_DX0 | SPW_CALL_ACCUMULATE_DX1 | SPW_CALL_ACCUMULATE_DW)

static void check_accumulation(const struct conformance_case *c, struct lanes *lanes)
{
    char name[160], text[160];
    struct conformance_operands alone, fast, plain;
    conformance_operands_init(&alone, c, sizeof(float), 0);
    conformance_operands_init(&fast, c, sizeof(float), 0);
    conformance_operands_init(&plain, c, sizeof(float), 0);
    run_both(&alone, lanes->lane[1], 1);
    for (int part = PART_FIRST_GRADIENT; part < PART_COUNT; part++) {
        for (int64_t i = 0; i < alone.count[part]; i++) {
            conformance_set(&alone, part, i, conformance_value(&alone, part, i) + present(i));
            conformance_set(&fast, part, i, present(i));
            conformance_set(&plain, part, i, present(i));
        }
    }
    fast.flags |= ACCUMULATE_ALL;
    plain.flags |= ACCUMULATE_ALL;
    run_both(&fast, lanes->lane[1], 1);
    run_both_plain(&plain);
    const char *breach = conformance_compare(&alone, &fast, TOLERANCE, text);
    cr_assert(breach == NULL, "fast, adding, %s: %s", conformance_text(c, name), breach);
    breach = conformance_compare(&alone, &plain, PLAIN_TOLERANCE, text);
    cr_assert(breach == NULL, "plain, adding, %s: %s", conformance_text(c, name), breach);
    conformance_operands_deinit(&alone);
    conformance_operands_deinit(&fast);
    conformance_operands_deinit(&plain);
}

Test(conformance, accumulating_is_adding)
{
    struct lanes lanes;
    lanes_init(&lanes, 1);
    (void)each_case(check_accumulation, &lanes);
    lanes_deinit(&lanes);
}

/* Asks for one gradient less; what is compared later is set to the expected at once. */
static void leave_out(struct conformance_operands *operands, const struct conformance_operands *all,
                      enum conformance_part part)
{
    operands->no_gradients[part] = true;
    memcpy(operands->part[part], all->part[part], (size_t)all->count[part] * sizeof(float));
}

/* Leaving out one gradient changes nothing in the others. Without its weight's gradient no op is
 * asked for its bias's. */
static void check_unwanted(const struct conformance_case *c, struct lanes *lanes)
{
    struct conformance_operands all;
    conformance_operands_init(&all, c, sizeof(float), 0);
    run_both(&all, lanes->lane[1], 1);
    for (int part = PART_FIRST_GRADIENT; part < PART_COUNT; part++) {
        char name[160], text[160];
        struct conformance_operands without;
        conformance_operands_init(&without, c, sizeof(float), 0);
        if (without.count[part] > 0) {
            leave_out(&without, &all, part);
            if (part == PART_DW0 && without.count[PART_DW1] > 0) {
                leave_out(&without, &all, PART_DW1);
            }
            run_both(&without, lanes->lane[1], 1);
            const char *difference = conformance_differ(&all, &without, text);
            cr_assert(difference == NULL, "%s without %s: %s", conformance_text(c, name),
                      conformance_part_names[part], difference);
        }
        conformance_operands_deinit(&without);
    }
    conformance_operands_deinit(&all);
}

Test(conformance, gradients_can_be_left_out)
{
    struct lanes lanes;
    lanes_init(&lanes, 1);
    (void)each_case(check_unwanted, &lanes);
    lanes_deinit(&lanes);
}

/* A comparer without teeth would pass everything: for every op, each output is spoiled in turn, by
 * as little as a wrong constant in a kernel would, and the comparer must say so. */
static void check_teeth(const struct conformance_case *c, struct lanes *lanes)
{
    (void)lanes;
    if (spw_op_cost(&c->desc, c->items, SPW_FORWARD).flops > 1000000) {
        return;
    }
    char name[160], text[160];
    struct conformance_operands want, got;
    conformance_operands_init(&want, c, sizeof(double), 0);
    conformance_operands_init(&got, c, sizeof(float), 0);
    run_both_plain(&want);
    run_both_plain(&got);
    cr_assert(conformance_compare(&want, &got, TOLERANCE, text) == NULL);
    for (int part = PART_FIRST_OUTPUT; part < PART_COUNT; part++) {
        int64_t largest = 0;
        for (int64_t i = 1; i < got.count[part]; i++) {
            if (fabs(conformance_value(&got, part, i)) >
                fabs(conformance_value(&got, part, largest))) {
                largest = i;
            }
        }
        if (got.count[part] == 0) {
            continue;
        }
        const double kept = conformance_value(&got, part, largest);
        const double wrong[] = {kept == 0 ? 1e-20 : kept * 1.0001, NAN, INFINITY, -kept - 1e-20};
        for (int i = 0; i < 4; i++) {
            conformance_set(&got, part, largest, wrong[i]);
            cr_assert(conformance_compare(&want, &got, TOLERANCE, text) != NULL,
                      "%s: %s = %g instead of %g was not noticed", conformance_text(c, name),
                      conformance_part_names[part], wrong[i], kept);
        }
        conformance_set(&got, part, largest, kept);
    }
    if (spw_op_is_loss(c->desc.op)) {
        got.loss.sum += 0.001 * (1 + fabs(got.loss.sum));
        cr_assert(conformance_compare(&want, &got, TOLERANCE, text) != NULL);
    }
    conformance_operands_deinit(&want);
    conformance_operands_deinit(&got);
}

Test(conformance, a_wrong_result_is_noticed)
{
    (void)each_case(check_teeth, NULL);
}

/* Dropout's masks are indexed by the element's place in the whole batch: a batch in one piece and
 * in micro-batches give the same bits. */
static void check_split(const struct conformance_case *whole_case, struct lanes *lanes)
{
    if ((whole_case->flags & SPW_CALL_TRAINING) == 0) {
        return;
    }
    struct conformance_case c = *whole_case;
    c.items = 5;
    struct conformance_operands whole;
    conformance_operands_init(&whole, &c, sizeof(float), 0);
    whole.item_offset = 10;
    run_both(&whole, lanes->lane[1], 1);
    static const int64_t starts[] = {0, 2, 3, 5};
    for (int i = 0; i < 3; i++) {
        struct conformance_case part_case = c;
        part_case.items = starts[i + 1] - starts[i];
        struct conformance_operands piece;
        conformance_operands_init(&piece, &part_case, sizeof(float), 0);
        piece.item_offset = 10 + (uint64_t)starts[i];
        for (int part = 0; part < PART_FIRST_OUTPUT; part++) {
            if (piece.count[part] > 0) {
                memcpy(piece.part[part],
                       (const float *)whole.part[part] + starts[i] * (whole.count[part] / c.items),
                       (size_t)piece.count[part] * sizeof(float));
            }
        }
        run_both(&piece, lanes->lane[1], 1);
        for (int part = PART_FIRST_OUTPUT; part < PART_COUNT; part++) {
            char name[160];
            const int64_t first = starts[i] * (whole.count[part] / c.items);
            cr_assert(piece.count[part] == 0 ||
                          memcmp(piece.part[part], (const float *)whole.part[part] + first,
                                 (size_t)piece.count[part] * sizeof(float)) == 0,
                      "%s: %s of the items from %lld on", conformance_text(&c, name),
                      conformance_part_names[part], (long long)starts[i]);
        }
        conformance_operands_deinit(&piece);
    }
    char name[160], text[160];
    struct conformance_operands plain;
    conformance_operands_init(&plain, &c, sizeof(double), 0);
    plain.item_offset = 10;
    run_both_plain(&plain);
    const char *breach = conformance_compare(&plain, &whole, TOLERANCE, text);
    cr_assert(breach == NULL, "plain %s: %s", conformance_text(&c, name), breach);
    conformance_operands_deinit(&plain);
    conformance_operands_deinit(&whole);
}

Test(conformance, masks_belong_to_the_whole_batch)
{
    struct lanes lanes;
    lanes_init(&lanes, 1);
    (void)each_case(check_split, &lanes);
    lanes_deinit(&lanes);
}

/* NaN must reach the loss, or a broken model would look healthy. */
Test(conformance, nan_passes_through_activations)
{
    static const enum spw_op ops[] = {SPW_OP_RELU, SPW_OP_GELU,      SPW_OP_GELU_TANH, SPW_OP_SILU,
                                      SPW_OP_ADD,  SPW_OP_LAYERNORM, SPW_OP_ATTENTION, SPW_OP_COPY};
    struct lanes lanes;
    lanes_init(&lanes, 1);
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        struct conformance_case c;
        cr_assert(conformance_case(ops[i], 3, &c));
        struct conformance_operands operands;
        conformance_operands_init(&operands, &c, sizeof(float), 0);
        for (int64_t k = 0; k < operands.count[PART_X0]; k++) {
            conformance_set(&operands, PART_X0, k, NAN);
        }
        conformance_run_lane(&operands, SPW_FORWARD, lanes.lane[1], 1);
        for (int64_t k = 0; k < operands.count[PART_Y]; k++) {
            cr_assert(isnan(conformance_value(&operands, PART_Y, k)), "%s", spw_op_name(ops[i]));
        }
        conformance_operands_deinit(&operands);
    }
    lanes_deinit(&lanes);
}

/* A dropout of 0.5 keeps about half and doubles it. */
Test(conformance, dropout_keeps_its_share)
{
    struct conformance_case c = {.items = 1, .flags = SPW_CALL_TRAINING};
    c.desc = (struct spw_op_desc){.op = SPW_OP_DROPOUT,
                                  .in = {.rank = 1, .dim = {100000}},
                                  .attr.dropout = {.p = 0.5, .key = 42}};
    cr_assert_eq(spw_op_infer(&c.desc, NULL), SPW_OK);
    struct lanes lanes;
    lanes_init(&lanes, 1);
    struct conformance_operands operands;
    conformance_operands_init(&operands, &c, sizeof(float), 0);
    conformance_run_lane(&operands, SPW_FORWARD, lanes.lane[1], 1);
    int kept = 0;
    for (int64_t i = 0; i < 100000; i++) {
        const double x = conformance_value(&operands, PART_X0, i);
        const double y = conformance_value(&operands, PART_Y, i);
        cr_assert(y == 0 || y == 2 * x);
        kept += y != 0 ? 1 : 0;
    }
    cr_assert(kept > 49000 && kept < 51000, "%d of 100000 kept", kept);
    conformance_operands_deinit(&operands);
    lanes_deinit(&lanes);
}
