/* Tests of runtime/device/sim.c: timelines worked out by hand, in whole nanoseconds. */
#include "runtime/device/sim.h"
#include "runtime/memory/home.h"
#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#define MS UINT64_C(1000000)

/* A byte takes a microsecond on the link, and a copy nothing before that. */
static const struct spw_machine_model model = {
    .devices = {{.mem_bytes = 1 << 20,
                 .flops_per_s = 1000000000,
                 .memory_bytes_per_s = 1000000000,
                 .link = {.bytes_per_s = 1000000}}},
    .host = {.mem_bytes = 1 << 20, .cores_bytes_per_s = 1000000},
};
static const struct spw_machine machine = {.kind = SPW_MACHINE_SIM, .device_count = 4};
static const struct spw_wait nothing[1];

struct fixture {
    const struct spw_world *world; /* virtual */
    struct spw_simulator *simulator;
    struct spw_gate *gate;
    struct spw_device *device;
    uint64_t begin_ns;
};

static struct fixture open_with(const struct spw_machine_model *with, bool is_cores)
{
    struct fixture f;
    cr_assert(spw_simulator_create(spw_world_system(), &machine, with, NULL, &f.simulator) ==
              SPW_OK);
    f.world = spw_simulator_world(f.simulator);
    cr_assert(spw_gate_create(f.world, NULL, &f.gate) == SPW_OK);
    spw_simulator_drive(f.simulator, f.gate);
    const struct spw_device_config config = {
        .index = is_cores ? machine.device_count : 3,
        .region_bytes = with->devices[0].mem_bytes,
        .is_cores = is_cores,
        .simulator = f.simulator,
    };
    cr_assert(spw_backend_sim.open(f.world, &config, f.gate, NULL, &f.device) == SPW_OK);
    f.begin_ns = spw_now_ns(f.world);
    return f;
}

static void close_fixture(struct fixture *f)
{
    spw_backend_sim.close(f->device);
    spw_gate_destroy(f->gate);
    spw_simulator_destroy(f->simulator);
}

static uint64_t copy(struct fixture *f, enum spw_queue queue, uint64_t bytes, struct spw_wait wait)
{
    const struct spw_copy range = {.bytes = bytes};
    uint64_t ticket = 0;
    cr_assert(spw_backend_sim.copy(f->device, queue, &range, 1, &wait, 1, &ticket) == SPW_OK);
    return ticket;
}

/* A program that nobody prepared takes the time that it says. */
static uint64_t compute(struct fixture *f, uint64_t ns, struct spw_wait a, struct spw_wait b)
{
    static const struct spw_program empty;
    const struct spw_work work = {
        .kind = SPW_WORK_PROGRAM, .model_ns = ns, .program = {.program = &empty, .items = 1}};
    const struct spw_wait waits[] = {a, b};
    uint64_t ticket = 0;
    cr_assert(spw_backend_sim.submit(f->device, &work, waits, 2, &ticket) == SPW_OK);
    return ticket;
}

static struct spw_record next(struct fixture *f, enum spw_queue queue)
{
    struct spw_record record;
    while (!spw_backend_sim.poll(f->device, queue, &record)) {
        spw_gate_wait(f->gate, spw_gate_count(f->gate), 0);
    }
    return record;
}

static void check(struct fixture *f, enum spw_queue queue, uint64_t ticket, uint64_t ready_ms,
                  uint64_t start_ms, uint64_t end_ms)
{
    const struct spw_record record = next(f, queue);
    cr_assert(record.ticket == ticket && record.status == SPW_OK);
    cr_assert(record.ready_ns == f->begin_ns + ready_ms * MS, "ready %llu ns",
              (unsigned long long)(record.ready_ns - f->begin_ns));
    cr_assert(record.start_ns == f->begin_ns + start_ms * MS, "start %llu ns",
              (unsigned long long)(record.start_ns - f->begin_ns));
    cr_assert(record.end_ns == f->begin_ns + end_ms * MS, "end %llu ns",
              (unsigned long long)(record.end_ns - f->begin_ns));
}

Test(sim, is_what_it_says)
{
    struct fixture f = open_with(&model, false);
    cr_assert(strcmp(f.device->name, "sim:3") == 0);
    cr_assert(f.device->caps.virtual_time && f.device->caps.shared_clock);
    cr_assert(!f.device->caps.holds_data);
    cr_assert(f.device->caps.region_bytes == 1 << 20);
    cr_assert(f.device->caps.link_bytes_per_s == 1000000);
    cr_assert(f.device->caps.memory_bytes_per_s == 1000000000);
    close_fixture(&f);
}

/*     in       |A 4|B 4|        |C 2|
 *     compute      |a 6  |b 3|
 *     out                |a 5   |b 5   |
 * ms  0        4   8   10 13 15       20
 * C waits until a is home, b for B and the queue. */
Test(sim, copies_and_kernels_overlap)
{
    struct fixture f = open_with(&model, false);
    const uint64_t in_a = copy(&f, SPW_QUEUE_IN, 4000, *nothing);
    const uint64_t in_b = copy(&f, SPW_QUEUE_IN, 4000, *nothing);
    const uint64_t a = compute(&f, 6 * MS, (struct spw_wait){SPW_QUEUE_IN, in_a}, *nothing);
    const uint64_t out_a = copy(&f, SPW_QUEUE_OUT, 5000, (struct spw_wait){SPW_QUEUE_COMPUTE, a});
    const uint64_t b = compute(&f, 3 * MS, (struct spw_wait){SPW_QUEUE_IN, in_b},
                               (struct spw_wait){SPW_QUEUE_OUT, 0});
    const uint64_t out_b = copy(&f, SPW_QUEUE_OUT, 5000, (struct spw_wait){SPW_QUEUE_COMPUTE, b});
    const uint64_t in_c = copy(&f, SPW_QUEUE_IN, 2000, (struct spw_wait){SPW_QUEUE_OUT, out_a});
    cr_assert(in_a == 1 && in_b == 2 && in_c == 3 && a == 1 && b == 2);
    cr_assert(spw_now_ns(f.world) == f.begin_ns, "nothing has waited yet");
    check(&f, SPW_QUEUE_OUT, out_a, 10, 10, 15);
    cr_assert(spw_now_ns(f.world) == f.begin_ns + 15 * MS);
    check(&f, SPW_QUEUE_IN, in_a, 0, 0, 4);
    check(&f, SPW_QUEUE_IN, in_b, 0, 4, 8);
    check(&f, SPW_QUEUE_COMPUTE, a, 4, 4, 10);
    check(&f, SPW_QUEUE_COMPUTE, b, 8, 10, 13);
    check(&f, SPW_QUEUE_OUT, out_b, 13, 15, 20);
    check(&f, SPW_QUEUE_IN, in_c, 15, 15, 17);
    cr_assert(spw_now_ns(f.world) == f.begin_ns + 20 * MS);
    cr_assert(spw_simulator_events(f.simulator) == 7);
    close_fixture(&f);
}

/* What is enqueued later starts later, and a wait that is long over holds nobody up. */
Test(sim, time_of_enqueuing_counts)
{
    struct fixture f = open_with(&model, false);
    const uint64_t first = copy(&f, SPW_QUEUE_IN, 1000, *nothing);
    check(&f, SPW_QUEUE_IN, first, 0, 0, 1);
    f.world->sleep_until(f.world->self, f.begin_ns + 9 * MS);
    const uint64_t work = compute(&f, MS, (struct spw_wait){SPW_QUEUE_IN, first}, *nothing);
    check(&f, SPW_QUEUE_COMPUTE, work, 9, 9, 10);
    close_fixture(&f);
}

/* Two devices don't wait for each other. */
Test(sim, devices_share_nothing_but_the_clock)
{
    struct fixture f = open_with(&model, false);
    struct fixture g = f;
    const struct spw_device_config config = {.region_bytes = 1 << 20, .simulator = f.simulator};
    cr_assert(spw_backend_sim.open(f.world, &config, f.gate, NULL, &g.device) == SPW_OK);
    const uint64_t a = copy(&f, SPW_QUEUE_IN, 7000, *nothing);
    const uint64_t b = copy(&g, SPW_QUEUE_IN, 7000, *nothing);
    check(&f, SPW_QUEUE_IN, a, 0, 0, 7);
    check(&g, SPW_QUEUE_IN, b, 0, 0, 7);
    spw_backend_sim.close(g.device);
    close_fixture(&f);
}

/* The host cores have one queue and no link: 3 x 1,000 bytes read and written by SGD. */
Test(sim, host_cores_update_and_copy_nothing)
{
    struct fixture f = open_with(&model, true);
    const struct spw_work work = {
        .kind = SPW_WORK_UPDATE,
        .update = {.piece = {.bytes = 1000}, .scalars = {{.name = SPW_SGD}}}};
    const struct spw_copy range = {.bytes = 64};
    uint64_t ticket = 0;
    cr_assert(strcmp(f.device->name, "cores") == 0);
    cr_assert(spw_backend_sim.submit(f.device, &work, NULL, 0, &ticket) == SPW_OK);
    check(&f, SPW_QUEUE_COMPUTE, ticket, 0, 0, 3);
    cr_assert(spw_backend_sim.copy(f.device, SPW_QUEUE_IN, &range, 1, NULL, 0, &ticket) ==
              SPW_ERR_UNSUPPORTED);
    struct spw_record record;
    cr_assert(!spw_backend_sim.poll(f.device, SPW_QUEUE_IN, &record));
    close_fixture(&f);
}

/* A full queue says so, and takes commands again as records are polled. Waits for commands whose
 * records have been overwritten are over. */
Test(sim, a_queue_is_bounded)
{
    struct fixture f = open_with(&model, false);
    const struct spw_copy range = {.bytes = 1000};
    uint64_t ticket = 0;
    uint64_t queued = 0;
    while (spw_backend_sim.copy(f.device, SPW_QUEUE_IN, &range, 1, NULL, 0, &ticket) == SPW_OK) {
        queued++;
        cr_assert(queued <= 2048 && ticket == queued);
    }
    cr_assert(spw_backend_sim.copy(f.device, SPW_QUEUE_IN, &range, 1, NULL, 0, &ticket) ==
              SPW_ERR_BUSY);
    uint64_t polled = 0;
    for (; polled < 3 * queued; polled++) {
        check(&f, SPW_QUEUE_IN, polled + 1, polled < queued ? 0 : polled + 1 - queued, polled,
              polled + 1);
        (void)copy(&f, SPW_QUEUE_IN, 1000, *nothing);
    }
    const uint64_t work = compute(&f, MS, (struct spw_wait){SPW_QUEUE_IN, 1}, *nothing);
    check(&f, SPW_QUEUE_COMPUTE, work, polled, polled, polled + 1);
    close_fixture(&f);
}

Test(sim, copies_stay_in_the_region, .signal = SIGABRT)
{
    struct fixture f = open_with(&model, false);
    const struct spw_copy range = {.region_offset = (1 << 20) - 64, .bytes = 128};
    uint64_t ticket;
    (void)spw_backend_sim.copy(f.device, SPW_QUEUE_IN, &range, 1, NULL, 0, &ticket);
}

Test(sim, a_wait_is_for_what_is_enqueued, .signal = SIGABRT)
{
    struct fixture f = open_with(&model, false);
    (void)compute(&f, MS, (struct spw_wait){SPW_QUEUE_IN, 1}, *nothing);
}

Test(sim, no_memory_is_a_status)
{
    for (uint64_t at = 1;; at++) {
        struct spw_fault_world fault;
        struct spw_simulator *simulator;
        struct spw_gate *gate;
        struct spw_device *device = NULL;
        spw_fault_world_init(&fault, spw_world_system());
        cr_assert(spw_simulator_create(&fault.world, &machine, &model, NULL, &simulator) == SPW_OK);
        const struct spw_world *world = spw_simulator_world(simulator);
        cr_assert(spw_gate_create(world, NULL, &gate) == SPW_OK);
        const struct spw_device_config config = {.region_bytes = 1 << 20, .simulator = simulator};
        spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = at});
        const enum spw_status status = spw_backend_sim.open(world, &config, gate, NULL, &device);
        const bool struck = spw_fault_world_struck(&fault);
        cr_assert(status == (struck ? SPW_ERR_NO_MEMORY : SPW_OK), "allocation %d", (int)at);
        spw_backend_sim.close(device);
        spw_gate_destroy(gate);
        spw_simulator_destroy(simulator);
        cr_assert(spw_fault_world_clean(&fault));
        if (!struck) {
            cr_assert(at > 6);
            return;
        }
    }
}

Test(sim, a_model_that_cannot_be_is_refused)
{
    struct spw_machine_model stopped = model;
    struct spw_simulator *simulator = NULL;
    stopped.devices[0].link.bytes_per_s = 0;
    cr_assert(spw_simulator_create(spw_world_system(), &machine, &stopped, NULL, &simulator) ==
              SPW_ERR_ARGUMENT);
    cr_assert(simulator == NULL);
}
