/* Tests of runtime/schedule/pilot.c: what is measured, how often, and with how much memory. */
#include "runtime/schedule/pilot.h"

#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <string.h>

#define PLENTY (UINT64_C(1) << 20)

struct bench {
    struct spw_fault_world fault;
    struct spw_pilot *pilot;
};

static void open_bench(struct bench *bench, uint64_t bytes_max)
{
    struct spw_error error = {0};
    spw_fault_world_init(&bench->fault, spw_world_system());
    cr_assert(spw_pilot_create(&bench->fault.world, 1, false, bytes_max, &error, &bench->pilot) ==
                  SPW_OK,
              "%s", error.what);
}

static void close_bench(struct bench *bench)
{
    spw_pilot_destroy(bench->pilot);
    cr_assert(spw_fault_world_clean(&bench->fault), "leaks");
}

static uint64_t allocations(const struct bench *bench)
{
    return atomic_load(&bench->fault.calls[SPW_FAULT_ALLOCATION]);
}

/* Field by field over `fill`, so that bytes that belong to no field differ. */
static struct spw_op_desc layer(int fill, enum spw_op op)
{
    struct spw_op_desc desc;
    memset(&desc, fill, sizeof(desc));
    desc.op = op;
    desc.in.rank = 1;
    desc.in.dim[0] = 32;
    desc.attr.linear.out = 16;
    desc.attr.linear.in = 32;
    desc.attr.linear.bias = true;
    desc.attr.linear.conv1d = false;
    cr_assert(spw_op_infer(&desc, NULL) == SPW_OK);
    return desc;
}

/* A sort of op is measured once for each pass and number of items, whatever lies between the
 * description's fields. */
Test(pilot, each_sort_of_op_is_measured_once)
{
    struct bench bench;
    open_bench(&bench, PLENTY);
    const struct spw_op_desc first = layer(0, SPW_OP_LINEAR);
    const struct spw_op_desc again = layer(0xff, SPW_OP_LINEAR);
    const uint64_t forward_ns = spw_pilot_measure(bench.pilot, &first, 8, SPW_FORWARD);
    cr_assert(forward_ns > 0, "measured");
    const uint64_t before = allocations(&bench);
    cr_assert(spw_pilot_measure(bench.pilot, &again, 8, SPW_FORWARD) == forward_ns, "the same");
    cr_assert(allocations(&bench) == before, "known");
    cr_assert(spw_pilot_measure(bench.pilot, &again, 8, SPW_BACKWARD) > 0, "another pass");
    cr_assert(allocations(&bench) > before, "measured");
    const uint64_t between = allocations(&bench);
    cr_assert(spw_pilot_measure(bench.pilot, &first, 4, SPW_FORWARD) > 0, "other items");
    cr_assert(allocations(&bench) > between, "measured");
    close_bench(&bench);
}

/* Forward reads 8 x 32 numbers and the weights and writes 8 x 16; backward makes gradients of all
 * but writes no output. One byte less than that, and nothing is tried. */
Test(pilot, no_more_memory_is_taken_than_allowed)
{
    const struct spw_op_desc linear = layer(0, SPW_OP_LINEAR);
    const uint64_t weights = (16 * 32 + 16) * sizeof(float), in = 8 * 32 * 4, out = 8 * 16 * 4;
    for (int pass = 0; pass < 2; pass++) {
        uint64_t workspace = 0;
        cr_assert(spw_op_workspace_bytes(&linear, 8, (enum spw_pass)pass, 1, NULL, &workspace) ==
                  SPW_OK);
        const uint64_t operands = pass == 0 ? in + weights + out : 2 * in + 2 * weights + out;
        const uint64_t bytes = operands + (workspace + 63) / 64 * 64;
        struct bench bench;
        open_bench(&bench, bytes);
        cr_assert(spw_pilot_measure(bench.pilot, &linear, 8, (enum spw_pass)pass) > 0, "%d", pass);
        close_bench(&bench);
        open_bench(&bench, bytes - 1);
        const uint64_t before = allocations(&bench);
        cr_assert(spw_pilot_measure(bench.pilot, &linear, 8, (enum spw_pass)pass) == 0, "%d", pass);
        cr_assert(allocations(&bench) == before, "%d: nothing was allocated", pass);
        close_bench(&bench);
    }
}

/* Whatever fails, the planner gets no time and falls back to its estimate. */
Test(pilot, a_failure_is_no_time)
{
    const struct spw_op_desc linear = layer(0, SPW_OP_LINEAR);
    uint64_t at = 1;
    for (; at < 1000; at++) {
        struct bench bench;
        open_bench(&bench, PLENTY);
        spw_fault_world_arm(&bench.fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = at});
        const uint64_t ns = spw_pilot_measure(bench.pilot, &linear, 8, SPW_BACKWARD);
        const bool struck = spw_fault_world_struck(&bench.fault);
        cr_assert((ns == 0) == struck, "call %d", (int)at);
        close_bench(&bench);
        if (!struck) {
            break;
        }
    }
    cr_assert(at > 1 && at < 1000, "%d calls", (int)at);
}
