/* Tests of kernels/host/lane.c and prepared.c: preparing, running, and what fails on the way. */
#include "base/thread.h"
#include "conformance.h"
#include "kernels/host/prepared.h"
#include "op_check.h"
#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <string.h>

static struct conformance_case small_conv(void)
{
    return op_case((struct spw_op_desc){.op = SPW_OP_CONV2D,
                                        .in = {.rank = 3, .dim = {4, 9, 9}},
                                        .attr.conv2d = {5, 3, 1, 1, true}},
                   3, 0);
}

Test(lane, a_reference_lane_runs_the_plain_loops)
{
    struct conformance_case c = small_conv();
    struct op_lane lane = op_lane_open(1, true);
    struct conformance_operands plain, through;
    char text[160];
    conformance_operands_init(&plain, &c, sizeof(float), 0);
    conformance_operands_init(&through, &c, sizeof(float), 0);
    conformance_run_plain(&plain, SPW_FORWARD);
    conformance_run_plain(&plain, SPW_BACKWARD);
    conformance_run_lane(&through, SPW_FORWARD, lane.lane, 1);
    conformance_run_lane(&through, SPW_BACKWARD, lane.lane, 1);
    const char *breach = conformance_differ(&plain, &through, text);
    cr_assert(breach == NULL, "%s", breach);
    conformance_operands_deinit(&plain);
    conformance_operands_deinit(&through);
    op_lane_close(&lane);
}

/* Preparing allocates, once; running does not. */
Test(lane, running_allocates_nothing)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    struct conformance_case c = small_conv();
    struct spw_lane *lane;
    cr_assert(spw_lane_create(&fault.world, NULL, false, NULL, &lane) == SPW_OK);
    struct conformance_operands operands;
    conformance_operands_init(&operands, &c, sizeof(float), 0);
    conformance_run_lane(&operands, SPW_FORWARD, lane, 1);
    conformance_run_lane(&operands, SPW_BACKWARD, lane, 1);
    uint64_t calls = fault.calls[SPW_FAULT_ALLOCATION];
    cr_assert(calls > 0);
    conformance_run_lane(&operands, SPW_FORWARD, lane, 1); /* prepares again, in vain */
    conformance_run_lane(&operands, SPW_BACKWARD, lane, 1);
    cr_assert(fault.calls[SPW_FAULT_ALLOCATION] == calls);
    conformance_operands_deinit(&operands);
    spw_lane_destroy(lane);
    cr_assert(spw_fault_world_clean(&fault));
}

static enum spw_status create_and_prepare(const struct spw_world *world, struct spw_error *error)
{
    struct spw_lane *lane;
    SPW_TRY(spw_lane_create(world, NULL, false, error, &lane));
    struct conformance_case c = small_conv();
    enum spw_status status = SPW_OK;
    for (int64_t items = 1; items < 12 && status == SPW_OK; items++) {
        status = spw_lane_prepare(lane, &c.desc, items, SPW_FORWARD, error);
        if (status == SPW_OK) {
            status = spw_lane_prepare(lane, &c.desc, items, SPW_BACKWARD, error);
        }
    }
    spw_lane_destroy(lane);
    return status;
}

Test(lane, every_allocation_may_fail)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    uint64_t failures = 0;
    for (;; failures++) {
        struct spw_error error = {0};
        spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION,
                            (struct spw_fault_rule){.at = failures + 1});
        enum spw_status status = create_and_prepare(&fault.world, &error);
        cr_assert(spw_fault_world_clean(&fault));
        if (!spw_fault_world_struck(&fault)) {
            cr_assert(status == SPW_OK);
            break;
        }
        cr_assert(status == SPW_ERR_NO_MEMORY, "%s", error.what);
        cr_assert(error.what[0] != '\0');
    }
    cr_assert(failures > 40, "%d", (int)failures);
}

struct other_lane {
    const struct conformance_case *c;
    struct conformance_operands operands;
    struct op_lane lane;
};

static void run_often(void *argument)
{
    struct other_lane *other = argument;
    for (int i = 0; i < 20; i++) {
        conformance_run_lane(&other->operands, SPW_FORWARD, other->lane.lane, 2);
        conformance_run_lane(&other->operands, SPW_BACKWARD, other->lane.lane, 2);
    }
}

/* Two devices compute at once, each with two threads, and get what one gets alone. */
Test(lane, lanes_do_not_disturb_each_other)
{
    struct conformance_case cases[] = {
        small_conv(),
        op_case((struct spw_op_desc){.op = SPW_OP_LINEAR,
                                     .in = {.rank = 1, .dim = {200}},
                                     .attr.linear = {90, 200, true, false}},
                64, 0),
    };
    for (int k = 0; k < 2; k++) {
        struct other_lane lanes[3];
        struct spw_thread threads[2];
        char text[160];
        for (int i = 0; i < 3; i++) {
            lanes[i].c = &cases[k];
            lanes[i].lane = op_lane_open(2, false);
            conformance_operands_init(&lanes[i].operands, &cases[k], sizeof(float), 0);
        }
        run_often(&lanes[0]);
        for (int i = 0; i < 2; i++) {
            cr_assert(spw_thread_start(&threads[i], "lane", NULL, run_often, &lanes[i + 1], NULL) ==
                      SPW_OK);
        }
        for (int i = 0; i < 2; i++) {
            spw_thread_join(&threads[i]);
            const char *breach =
                conformance_differ(&lanes[0].operands, &lanes[i + 1].operands, text);
            cr_assert(breach == NULL, "%s", breach);
        }
        for (int i = 0; i < 3; i++) {
            conformance_operands_deinit(&lanes[i].operands);
            op_lane_close(&lanes[i].lane);
        }
    }
}

static void count_destroyed(const struct spw_world *world, void *thing)
{
    (void)world;
    ++*(int *)thing;
}

Test(prepared, finds_what_was_kept_and_destroys_it_once)
{
    enum { COUNT = 300 };
    static int destroyed[COUNT];
    struct spw_prepared prepared;
    spw_prepared_init(&prepared, spw_world_system());
    struct spw_prepared_key key = {{0}};
    cr_assert(spw_prepared_find(&prepared, &key) == NULL);
    for (int i = 0; i < COUNT; i++) {
        key.number[0] = i / 10;
        key.number[11] = i % 10;
        cr_assert(spw_prepared_keep(&prepared, &key, &destroyed[i], count_destroyed, NULL) ==
                  SPW_OK);
    }
    for (int i = 0; i < COUNT; i++) {
        key.number[0] = i / 10;
        key.number[11] = i % 10;
        cr_assert(spw_prepared_find(&prepared, &key) == &destroyed[i]);
    }
    key.number[5] = 1;
    cr_assert(spw_prepared_find(&prepared, &key) == NULL);
    spw_prepared_deinit(&prepared);
    for (int i = 0; i < COUNT; i++) {
        cr_assert(destroyed[i] == 1);
    }
}
