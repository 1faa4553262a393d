/* Tests of runtime/device/sim_clock.c: timers ring in order, and time passes only where somebody
 * waits. */
#include "base/philox.h"
#include "runtime/device/sim.h"
#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <signal.h>

enum { TIMERS = 500 };

struct bell {
    struct spw_simulator *simulator;
    struct spw_sim_timer timer;
    uint64_t *rung; /* times, in order; [count] */
    uint64_t *count;
    uint64_t again_ns;     /* rings once more, so much later; 0: no */
    struct spw_gate *gate; /* to knock at; NULL: none */
};

static void ring(void *self)
{
    struct bell *bell = self;
    bell->rung[(*bell->count)++] = spw_sim_now_ns(bell->simulator);
    if (bell->again_ns > 0) {
        spw_sim_arm(bell->simulator, &bell->timer,
                    spw_sim_now_ns(bell->simulator) + bell->again_ns);
        bell->again_ns = 0;
    }
    spw_sim_count(bell->simulator);
    if (bell->gate != NULL) {
        spw_gate_knock(bell->gate);
    }
}

static const struct spw_machine machine = {.kind = SPW_MACHINE_SIM, .device_count = 1};
static const struct spw_machine_model model = {
    .devices = {{.mem_bytes = 1 << 20,
                 .flops_per_s = 1000000000,
                 .memory_bytes_per_s = 1000000000,
                 .link = {.bytes_per_s = 1000000}}},
    .host = {.mem_bytes = 1 << 20, .cores_bytes_per_s = 1000000},
};

static struct spw_simulator *open_simulator(uint64_t timers)
{
    struct spw_simulator *simulator;
    cr_assert(spw_simulator_create(spw_world_system(), &machine, &model, NULL, &simulator) ==
              SPW_OK);
    cr_assert(spw_sim_reserve(simulator, timers, NULL) == SPW_OK);
    return simulator;
}

/* Any order of arming and disarming gives rising times. */
Test(sim_clock, timers_ring_in_order)
{
    static struct bell bells[TIMERS];
    static uint64_t rung[TIMERS];
    uint64_t count = 0;
    uint64_t wanted = 0;
    struct spw_simulator *simulator = open_simulator(TIMERS);
    const struct spw_world *world = spw_simulator_world(simulator);
    const uint64_t begin = spw_now_ns(world);
    for (uint32_t i = 0; i < TIMERS; i++) {
        bells[i] = (struct bell){.simulator = simulator, .rung = rung, .count = &count};
        bells[i].timer = (struct spw_sim_timer){.ring = ring, .self = &bells[i]};
        spw_sim_arm(simulator, &bells[i].timer, begin + 1 + spw_random_word(1, i, 0) % 1000);
        if (i % 3 == 0) { /* and another time */
            spw_sim_arm(simulator, &bells[i].timer, begin + 1 + spw_random_word(1, i, 1) % 1000);
        }
    }
    for (uint32_t i = 0; i < TIMERS; i++) {
        if (i % 7 == 0) {
            spw_sim_disarm(simulator, &bells[i].timer);
        } else {
            wanted++;
        }
    }
    world->sleep_until(world->self, begin + 2000);
    cr_assert(spw_now_ns(world) == begin + 2000);
    cr_assert(count == wanted);
    cr_assert(spw_simulator_events(simulator) == wanted);
    for (uint64_t i = 1; i < count; i++) {
        cr_assert(rung[i - 1] <= rung[i]);
    }
    spw_simulator_destroy(simulator);
}

struct entry {
    struct spw_sim_timer timer;
    int number;
    int *list, *count;
};

static void write_down(void *self)
{
    struct entry *entry = self;
    entry->list[(*entry->count)++] = entry->number;
}

Test(sim_clock, at_one_time_the_first_armed_rings_first)
{
    const int armed[] = {2, 0, 1};
    struct entry entries[3];
    int list[3];
    int count = 0;
    struct spw_simulator *simulator = open_simulator(3);
    const struct spw_world *world = spw_simulator_world(simulator);
    const uint64_t at = spw_now_ns(world) + 5;
    for (int i = 0; i < 3; i++) {
        entries[i] = (struct entry){.number = i, .list = list, .count = &count};
        entries[i].timer = (struct spw_sim_timer){.ring = write_down, .self = &entries[i]};
    }
    for (int i = 0; i < 3; i++) {
        spw_sim_arm(simulator, &entries[armed[i]].timer, at);
    }
    world->sleep_until(world->self, at);
    cr_assert(count == 3 && list[0] == 2 && list[1] == 0 && list[2] == 1);
    spw_simulator_destroy(simulator);
}

/* The gate's waiter sees each time at which something ended, one after the other, and a deadline
 * before it. */
Test(sim_clock, waiting_at_the_gate_lets_time_pass)
{
    uint64_t rung[4];
    uint64_t count = 0;
    struct spw_simulator *simulator = open_simulator(1);
    const struct spw_world *world = spw_simulator_world(simulator);
    struct spw_gate *gate;
    cr_assert(spw_gate_create(world, NULL, &gate) == SPW_OK);
    spw_simulator_drive(simulator, gate);
    const uint64_t begin = spw_now_ns(world);
    struct bell bell = {
        .simulator = simulator, .rung = rung, .count = &count, .again_ns = 30, .gate = gate};
    bell.timer = (struct spw_sim_timer){.ring = ring, .self = &bell};
    spw_sim_arm(simulator, &bell.timer, begin + 100);
    cr_assert(spw_now_ns(world) == begin);

    spw_gate_wait(gate, spw_gate_count(gate), begin + 40);
    cr_assert(spw_now_ns(world) == begin + 40 && count == 0);
    spw_gate_wait(gate, spw_gate_count(gate), 0);
    cr_assert(spw_now_ns(world) == begin + 100 && count == 1);
    spw_gate_wait(gate, spw_gate_count(gate), 0);
    cr_assert(spw_now_ns(world) == begin + 130 && count == 2);
    /* Knocks that nobody has seen are not waited for. */
    spw_gate_wait(gate, spw_gate_count(gate) - 1, 0);
    cr_assert(spw_now_ns(world) == begin + 130);
    spw_gate_destroy(gate);
    spw_simulator_destroy(simulator);
}

/* An executor that waits for nothing has locked up; better to hear of it than to wait. */
Test(sim_clock, waiting_for_nothing_is_found_out, .signal = SIGABRT)
{
    struct spw_simulator *simulator = open_simulator(1);
    struct spw_gate *gate;
    cr_assert(spw_gate_create(spw_simulator_world(simulator), NULL, &gate) == SPW_OK);
    spw_simulator_drive(simulator, gate);
    spw_gate_wait(gate, spw_gate_count(gate), 0);
}

Test(sim_clock, memory_and_files_are_those_of_the_world_around)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    struct spw_simulator *simulator;
    cr_assert(spw_simulator_create(&fault.world, &machine, &model, NULL, &simulator) == SPW_OK);
    const struct spw_world *world = spw_simulator_world(simulator);
    const int64_t before = atomic_load(&fault.live_allocations);
    void *memory = NULL;
    cr_assert(spw_allocate(world, 1, 100, "a test", NULL, &memory) == SPW_OK);
    cr_assert(atomic_load(&fault.live_allocations) == before + 1);
    spw_release(world, memory);
    char *text = NULL;
    uint64_t bytes = 0;
    cr_assert(spw_read_file(world, SPW_SOURCE_DIR "/LICENSE", 1 << 20, NULL, &text, &bytes) ==
              SPW_OK);
    cr_assert(bytes > 0 && atomic_load(&fault.calls[SPW_FAULT_FILE]) > 0);
    spw_release(world, text);
    cr_assert(spw_read_file(world, SPW_SOURCE_DIR "/none", 1 << 20, NULL, &text, &bytes) ==
              SPW_ERR_NOT_FOUND);
    spw_simulator_destroy(simulator);
    cr_assert(spw_fault_world_clean(&fault));
}

Test(sim_clock, no_memory_is_a_status)
{
    for (uint64_t at = 1;; at++) {
        struct spw_fault_world fault;
        struct spw_error error = {0};
        struct spw_simulator *simulator = NULL;
        spw_fault_world_init(&fault, spw_world_system());
        spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = at});
        enum spw_status status =
            spw_simulator_create(&fault.world, &machine, &model, &error, &simulator);
        if (status == SPW_OK) {
            status = spw_sim_reserve(simulator, 40, &error);
        }
        const bool struck = spw_fault_world_struck(&fault);
        cr_assert(status == (struck ? SPW_ERR_NO_MEMORY : SPW_OK), "allocation %d", (int)at);
        spw_simulator_destroy(simulator);
        cr_assert(spw_fault_world_clean(&fault));
        if (!struck) {
            cr_assert(at > 4);
            return;
        }
    }
}
