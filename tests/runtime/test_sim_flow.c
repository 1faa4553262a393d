/* Tests of runtime/device/sim_flow.c: who gets how much of what is shared, and when that ends. */
#include "base/philox.h"
#include "runtime/device/sim.h"
#include "tests/support/fault_world.h"

#include <criterion/criterion.h>

#define MS UINT64_C(1000000)

enum { FLOWS = 24 };

static const struct spw_machine_model model = {
    .devices = {{.mem_bytes = 1 << 20,
                 .flops_per_s = 1000000000,
                 .memory_bytes_per_s = 1000000000,
                 .link = {.bytes_per_s = 1000000}}},
    .host = {.mem_bytes = 1 << 20, .cores_bytes_per_s = 1000000},
};
static const struct spw_machine machine = {.kind = SPW_MACHINE_SIM, .device_count = 4};

/* A flow that writes down when it ended. */
struct trip {
    struct spw_simulator *simulator;
    struct spw_sim_flow flow;
    uint64_t ended_ns; /* 0: not yet */
};

struct fixture {
    struct spw_simulator *simulator;
    const struct spw_world *world;
    struct spw_sim_host *host;
    uint64_t begin_ns;
    struct trip trips[FLOWS];
};

static void end(void *self)
{
    struct trip *trip = self;
    cr_assert(trip->ended_ns == 0);
    trip->ended_ns = spw_sim_now_ns(trip->simulator);
}

/* A host with four devices, beside the simulator's own. */
static void open_fixture(struct fixture *f, const struct spw_host_model *host)
{
    cr_assert(spw_simulator_create(spw_world_system(), &machine, &model, NULL, &f->simulator) ==
              SPW_OK);
    f->world = spw_simulator_world(f->simulator);
    cr_assert(spw_sim_host_create(f->simulator, f->world, host, 4, NULL, &f->host) == SPW_OK);
    cr_assert(spw_sim_host_reserve(f->host, FLOWS, NULL) == SPW_OK);
    f->begin_ns = spw_now_ns(f->world);
    for (int i = 0; i < FLOWS; i++) {
        f->trips[i] = (struct trip){.simulator = f->simulator};
        f->trips[i].flow = (struct spw_sim_flow){.ended = end, .self = &f->trips[i]};
    }
}

static void close_fixture(struct fixture *f)
{
    spw_sim_host_destroy(f->host);
    spw_simulator_destroy(f->simulator);
}

static void begin_copy(struct fixture *f, int trip, uint32_t device, bool out, uint64_t bytes)
{
    struct spw_sim_flow *flow = &f->trips[trip].flow;
    spw_sim_flow_init_copy(f->host, device, out, flow);
    flow->most_bytes_per_s = 1000000;
    spw_sim_flow_begin(f->host, flow, bytes);
}

static void wait_until(struct fixture *f, uint64_t us)
{
    f->world->sleep_until(f->world->self, f->begin_ns + us * 1000);
}

static void check_end(const struct fixture *f, int trip, uint64_t us)
{
    const uint64_t ended_ns = f->trips[trip].ended_ns;
    cr_assert(ended_ns == f->begin_ns + us * 1000, "flow %d ended after %llu ns", trip,
              ended_ns == 0 ? 0ull : (unsigned long long)(ended_ns - f->begin_ns));
}

static const struct spw_host_model narrow = {
    .mem_bytes = 1, .cores_bytes_per_s = 1, .link = {.bytes_per_s = 1500000}};

/* Alone a copy is as fast as its own link. */
Test(sim_flow, a_lone_copy_has_its_link)
{
    struct fixture f;
    open_fixture(&f, &narrow);
    begin_copy(&f, 0, 0, false, 3000);
    wait_until(&f, 100000);
    check_end(&f, 0, 3000);
    close_fixture(&f);
}

/* 1.5 MB/s for two: 0.75 each until the second's 1,500 bytes are there after 2 ms; then the first
 * has its own link's 1 MB/s for what is left, 1,500 bytes. */
Test(sim_flow, two_share_until_one_ends)
{
    struct fixture f;
    open_fixture(&f, &narrow);
    begin_copy(&f, 0, 0, false, 3000);
    begin_copy(&f, 1, 1, false, 1500);
    wait_until(&f, 100000);
    check_end(&f, 1, 2000);
    check_end(&f, 0, 3500);
    close_fixture(&f);
}

/* 1 MB/s alone for 1 ms; then 0.75 each, in which the first's other 1,500 bytes take 2 ms; then the
 * second has 1 MB/s for its other half. */
Test(sim_flow, a_late_one_slows_the_first)
{
    struct fixture f;
    open_fixture(&f, &narrow);
    begin_copy(&f, 0, 0, false, 2500);
    wait_until(&f, 1000);
    begin_copy(&f, 1, 1, false, 3000);
    wait_until(&f, 100000);
    check_end(&f, 0, 3000);
    check_end(&f, 1, 1000 + 2000 + 1500);
    close_fixture(&f);
}

/* The ways in and out are apart, or one. */
Test(sim_flow, a_link_may_be_half_duplex)
{
    struct fixture f;
    struct spw_host_model half = narrow;
    half.link.half_duplex = true;
    open_fixture(&f, &narrow);
    begin_copy(&f, 0, 0, false, 3000);
    begin_copy(&f, 1, 1, true, 3000);
    wait_until(&f, 100000);
    check_end(&f, 0, 3000);
    check_end(&f, 1, 3000);
    close_fixture(&f);
    open_fixture(&f, &half);
    begin_copy(&f, 0, 0, false, 3000);
    begin_copy(&f, 1, 1, true, 3000);
    wait_until(&f, 100000);
    check_end(&f, 0, 4000);
    check_end(&f, 1, 4000);
    close_fixture(&f);
}

/* Each link for two neighbours: three copies on three devices, of which two share. */
Test(sim_flow, neighbours_share_a_link)
{
    struct fixture f;
    struct spw_host_model pairs = narrow;
    pairs.link.bytes_per_s = 1000000;
    pairs.link_devices = 2;
    open_fixture(&f, &pairs);
    begin_copy(&f, 0, 0, false, 3000);
    begin_copy(&f, 1, 1, false, 3000);
    begin_copy(&f, 2, 2, false, 3000);
    wait_until(&f, 100000);
    check_end(&f, 0, 6000);
    check_end(&f, 1, 6000);
    check_end(&f, 2, 3000);
    close_fixture(&f);
}

/* 2 MB/s of memory for a copy in, a copy out and the cores, of which the cores want at most 0.5:
 * the copies have 0.75 each. */
Test(sim_flow, memory_is_shared_by_copies_and_cores)
{
    struct fixture f;
    const struct spw_host_model memory = {
        .mem_bytes = 1, .cores_bytes_per_s = 1, .memory_bytes_per_s = 2000000};
    open_fixture(&f, &memory);
    spw_sim_flow_init_cores(f.host, &f.trips[2].flow);
    f.trips[2].flow.most_bytes_per_s = 500000;
    begin_copy(&f, 0, 0, false, 3000);
    begin_copy(&f, 1, 0, true, 3000);
    spw_sim_flow_begin(f.host, &f.trips[2].flow, 3000);
    wait_until(&f, 100000);
    check_end(&f, 0, 4000);
    check_end(&f, 1, 4000);
    check_end(&f, 2, 6000);
    close_fixture(&f);
}

/* Nothing at all takes no time, and what ends at one time may begin anew at that time. */
Test(sim_flow, no_bytes_take_no_time)
{
    struct fixture f;
    open_fixture(&f, &narrow);
    begin_copy(&f, 0, 0, false, 0);
    begin_copy(&f, 1, 1, false, 1000);
    wait_until(&f, 100000);
    check_end(&f, 0, 0);
    check_end(&f, 1, 1000);
    close_fixture(&f);
}

Test(sim_flow, a_dropped_flow_leaves_its_share)
{
    struct fixture f;
    open_fixture(&f, &narrow);
    begin_copy(&f, 0, 0, false, 3000);
    begin_copy(&f, 1, 1, false, 3000);
    wait_until(&f, 2000);
    spw_sim_flow_drop(f.host, &f.trips[1].flow);
    spw_sim_flow_drop(f.host, &f.trips[2].flow); /* not under way */
    wait_until(&f, 100000);
    check_end(&f, 0, 3500);
    cr_assert(f.trips[1].ended_ns == 0);
    close_fixture(&f);
}

/* Max-min fairness: each flow has all that it could do alone, or goes through something that is
 * used up and where nobody has more. And rates are whole numbers, so "used up" is but for a
 * remainder less than the number of users. */
static void check_fairness(const struct fixture *f, const uint64_t *capacity, uint32_t resources,
                           uint64_t seed)
{
    uint64_t used[8] = {0}, users[8] = {0}, most[8] = {0};
    for (int i = 0; i < FLOWS; i++) {
        const struct spw_sim_flow *flow = &f->trips[i].flow;
        for (uint32_t k = 0; flow->left > 0 && k < flow->resource_count; k++) {
            const uint32_t at = flow->resources[k];
            used[at] += flow->bytes_per_s;
            users[at]++;
            most[at] = flow->bytes_per_s > most[at] ? flow->bytes_per_s : most[at];
        }
    }
    for (uint32_t i = 0; i < resources; i++) {
        cr_assert(used[i] <= capacity[i], "seed %u", (unsigned)seed);
    }
    for (int i = 0; i < FLOWS; i++) {
        const struct spw_sim_flow *flow = &f->trips[i].flow;
        bool fair = flow->left == 0 || flow->bytes_per_s == flow->most_bytes_per_s;
        for (uint32_t k = 0; !fair && k < flow->resource_count; k++) {
            const uint32_t at = flow->resources[k];
            fair = used[at] + users[at] > capacity[at] && flow->bytes_per_s + 1 >= most[at];
        }
        cr_assert(fair, "seed %u flow %d", (unsigned)seed, i);
    }
}

Test(sim_flow, shares_are_fair_whatever_begins_and_ends)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct fixture f;
        const struct spw_host_model host = {
            .mem_bytes = 1,
            .cores_bytes_per_s = 1,
            .memory_bytes_per_s = 1000 + spw_random_word(seed, 1, 0) % 3000000,
            .link = {.bytes_per_s = 1000 + spw_random_word(seed, 1, 1) % 2000000},
            .link_devices = 2,
        };
        const uint64_t link = host.link.bytes_per_s;
        const uint64_t capacity[] = {host.memory_bytes_per_s, link, link, link, link};
        open_fixture(&f, &host);
        for (uint64_t step = 0; step < 60; step++) {
            const uint32_t draw = spw_random_word(seed, 2, step);
            struct trip *trip = &f.trips[draw % FLOWS];
            if (trip->flow.left == 0) {
                trip->ended_ns = 0;
                spw_sim_flow_init_copy(f.host, (draw >> 8) % 4, (draw >> 10) % 2, &trip->flow);
                trip->flow.most_bytes_per_s = 1 + (draw >> 11) % 1000000;
                spw_sim_flow_begin(f.host, &trip->flow, 1 + (draw >> 12) % 5000);
            }
            const uint64_t now_ns = spw_now_ns(f.world);
            f.world->sleep_until(f.world->self, now_ns + 1 + (draw >> 4) % (2 * MS));
            check_fairness(&f, capacity, 5, seed);
        }
        f.world->sleep_until(f.world->self, spw_now_ns(f.world) + 10000000 * MS);
        for (int i = 0; i < FLOWS; i++) {
            cr_assert(f.trips[i].flow.left == 0, "all end");
        }
        close_fixture(&f);
    }
}

Test(sim_flow, no_memory_is_a_status)
{
    const struct spw_host_model host = {.mem_bytes = 1,
                                        .cores_bytes_per_s = 1,
                                        .memory_bytes_per_s = 1,
                                        .link = {.bytes_per_s = 1},
                                        .link_devices = 1};
    struct spw_simulator *simulator;
    cr_assert(spw_simulator_create(spw_world_system(), &machine, &model, NULL, &simulator) ==
              SPW_OK);
    for (uint64_t at = 1;; at++) {
        struct spw_fault_world fault;
        struct spw_sim_host *made = NULL;
        spw_fault_world_init(&fault, spw_world_system());
        spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = at});
        enum spw_status status =
            spw_sim_host_create(simulator, &fault.world, &host, 4, NULL, &made);
        if (status == SPW_OK) {
            status = spw_sim_host_reserve(made, 5, NULL);
        }
        const bool struck = spw_fault_world_struck(&fault);
        cr_assert(status == (struck ? SPW_ERR_NO_MEMORY : SPW_OK), "allocation %d", (int)at);
        spw_sim_host_destroy(made);
        cr_assert(spw_fault_world_clean(&fault));
        if (!struck) {
            cr_assert(at > 4);
            break;
        }
    }
    spw_simulator_destroy(simulator);
}
