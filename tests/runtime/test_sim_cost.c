/* Tests of runtime/device/sim_cost.c: times of commands worked out by hand. */
#include "host_fixture.h"
#include "runtime/device/sim.h"
#include "tests/support/fault_world.h"

#include <criterion/criterion.h>

static const struct spw_device_model device = {
    .mem_bytes = 1 << 20,
    .flops_per_s = 1000000000,
    .memory_bytes_per_s = 100000000,
    .launch_ns = 7,
    .link = {.bytes_per_s = 50000000},
    .link_latency_ns = 11,
};
static const struct spw_host_model host = {
    .mem_bytes = 1 << 20, .cores_bytes_per_s = 200000000, .cores_launch_ns = 13};
static const struct spw_sim_costs none;

static uint64_t device_ns(const struct spw_sim_costs *costs, const struct spw_work *work)
{
    const struct spw_sim_cost cost = spw_sim_cost_device(costs, 0, &device, work);
    cr_assert(cost.bytes == 0);
    return cost.ns;
}

static uint64_t cores_bytes(const struct spw_work *work)
{
    const struct spw_sim_cost cost = spw_sim_cost_cores(&host, work);
    cr_assert(cost.ns == 13 && cost.bytes_per_s == 200000000);
    return cost.bytes;
}

Test(sim_cost, a_copy_takes_its_latencies_and_its_bytes)
{
    const struct spw_copy copies[] = {{.bytes = 1000}, {.bytes = 64}, {.bytes = 36}};
    const struct spw_sim_cost one = spw_sim_cost_copy(&device, copies, 1);
    const struct spw_sim_cost three = spw_sim_cost_copy(&device, copies, 3);
    cr_assert(one.ns == 11 && one.bytes == 1000 && one.bytes_per_s == 50000000);
    cr_assert(three.ns == 33 && three.bytes == 1100 && three.bytes_per_s == 50000000);
}

/* AdamW reads weights, gradient and two moments, and writes all but the gradient: 7 arrays. SGD
 * without momentum: 3; with it: 5. */
Test(sim_cost, an_update_moves_every_array)
{
    struct spw_work work = {.kind = SPW_WORK_UPDATE, .update = {.piece = {.bytes = 4000}}};
    work.update.scalars[0].name = SPW_ADAMW;
    cr_assert(cores_bytes(&work) == 28000);
    cr_assert(device_ns(&none, &work) == 7 + 28000 * 10);
    work.update.scalars[0].name = SPW_SGD;
    cr_assert(cores_bytes(&work) == 12000);
    work.update.scalars[0].has_momentum = true;
    cr_assert(cores_bytes(&work) == 20000);
}

Test(sim_cost, reducing_reads_all_and_writes_one)
{
    const struct spw_work work = {.kind = SPW_WORK_REDUCE,
                                  .reduce = {.piece = {.bytes = 4000}, .accumulators = 3}};
    cr_assert(cores_bytes(&work) == 16000);
}

/* Ten items in packs of four: three packs, read and written. */
Test(sim_cost, gathering_moves_whole_packs)
{
    const struct spw_work work = {
        .kind = SPW_WORK_GATHER,
        .gather = {
            .count = 10, .micro_batch = 4, .x_stride_bytes = 960, .targets_stride_bytes = 64}};
    cr_assert(cores_bytes(&work) == 3 * 2 * 1024);
}

/* A product of 64 x 48 and a relu over 16 items: 98,304 FLOP against 4,912 floats, and 1,536. */
Test(sim_cost, a_program_takes_its_calls_times)
{
    struct small_program small;
    small_program_init(&small, 64, 48, 16, 1);
    struct spw_sim_costs costs = {.world = spw_world_system()};
    struct spw_work work = small_program_work(&small, &small.forward, 0);
    work.model_ns = 99;
    cr_assert(device_ns(&costs, &work) == 99, "not prepared");
    cr_assert(spw_sim_costs_prepare(&costs, 0, &device, &small.forward, 16, NULL) == SPW_OK);
    cr_assert(spw_sim_costs_prepare(&costs, 0, &device, &small.forward, 16, NULL) == SPW_OK);
    cr_assert(costs.count == 1);
    const uint64_t linear = (64 * 16 + 48 * 16 + 64 * 48 + 48) * 4 * 10;
    const uint64_t relu = 2 * 48 * 16 * 4 * 10;
    cr_assert(device_ns(&costs, &work) == 7 + linear + 7 + relu);
    cr_assert(spw_sim_cost_device(&costs, 1, &device, &work).ns == 99, "another sort of device");
    work.program.items = 15;
    cr_assert(device_ns(&costs, &work) == 99);
    spw_sim_costs_deinit(&costs);
}

Test(sim_cost, an_epilogue_counts_when_it_runs)
{
    struct small_program small;
    small_program_init(&small, 64, 48, 16, 1);
    struct spw_sim_costs costs = {.world = spw_world_system()};
    struct spw_work work = small_program_work(&small, &small.backward, 0);
    cr_assert(spw_sim_costs_prepare(&costs, 0, &device, &small.backward, 16, NULL) == SPW_OK);
    const uint64_t without = device_ns(&costs, &work);
    work.program.epilogue = true;
    const uint64_t norms = 2 * 7 + (64 * 48 + 48) * 4 * 10;
    cr_assert(device_ns(&costs, &work) == without + norms);
    spw_sim_costs_deinit(&costs);
}

/* The table grows, keeps what it had, and survives a failed allocation as it was. */
Test(sim_cost, the_table_grows)
{
    enum { COUNT = 1000 };
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    struct small_program small;
    small_program_init(&small, 64, 48, 16, 1);
    struct spw_sim_costs costs = {.world = &fault.world};
    struct spw_work work = small_program_work(&small, &small.forward, 0);
    uint64_t refused = 0;
    for (int64_t items = 1; items <= COUNT; items++) {
        spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = 1});
        if (spw_sim_costs_prepare(&costs, 0, &device, &small.forward, items, NULL) != SPW_OK) {
            refused++;
            cr_assert(spw_sim_costs_prepare(&costs, 0, &device, &small.forward, items, NULL) ==
                      SPW_OK);
        }
    }
    cr_assert(refused == 4 && costs.count == COUNT, "%d", (int)refused); /* 256 to 2048 */
    uint64_t before = 0;
    for (int64_t items = 1; items <= COUNT; items++) {
        work.program.items = items;
        const uint64_t ns = device_ns(&costs, &work);
        cr_assert(ns > before, "%d items", (int)items);
        before = ns;
    }
    spw_sim_costs_deinit(&costs);
    cr_assert(spw_fault_world_clean(&fault));
}
