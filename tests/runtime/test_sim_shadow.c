/* Tests of runtime/device/sim_effect.c with single commands: what is not ordered or not there is
 * found out, and values go where bytes would. */
#include "host_fixture.h"
#include "runtime/device/sim.h"

#include <criterion/criterion.h>
#include <string.h>

enum { REGION = 1 << 16 };

static const struct spw_machine_model model = {
    .devices = {{.mem_bytes = REGION,
                 .flops_per_s = 1000000000,
                 .memory_bytes_per_s = 1000000000,
                 .link = {.bytes_per_s = 1000000}}},
    .host = {.mem_bytes = 1 << 20, .cores_bytes_per_s = 1000000},
};
static const struct spw_machine machine = {.kind = SPW_MACHINE_SIM, .device_count = 2};

struct fixture {
    const struct spw_world *world;
    struct spw_simulator *simulator;
    struct spw_shadow_faults *faults;
    struct spw_gate *gate;
    struct spw_home *home;
    struct spw_device *devices[2];
    struct spw_device *cores;
};

static struct spw_device *open_device(struct fixture *f, uint32_t index)
{
    const struct spw_device_config config = {
        .index = index,
        .region_bytes = REGION,
        .is_cores = index == machine.device_count,
        .simulator = f->simulator,
        .home = f->home,
    };
    struct spw_device *device = NULL;
    cr_assert(spw_backend_sim.open(f->world, &config, f->gate, NULL, &device) == SPW_OK);
    return device;
}

static void open_fixture(struct fixture *f)
{
    cr_assert(spw_simulator_create(spw_world_system(), &machine, &model, NULL, &f->simulator) ==
              SPW_OK);
    f->world = spw_simulator_world(f->simulator);
    f->faults = &spw_simulator_effects(f->simulator)->faults;
    cr_assert(spw_gate_create(f->world, NULL, &f->gate) == SPW_OK);
    spw_simulator_drive(f->simulator, f->gate);
    cr_assert(spw_home_create_addresses(f->world, 1 << 20, f->faults, NULL, &f->home) == SPW_OK);
    for (uint32_t i = 0; i < 2; i++) {
        f->devices[i] = open_device(f, i);
    }
    f->cores = open_device(f, 2);
}

static void close_fixture(struct fixture *f)
{
    spw_backend_sim.close(f->cores);
    spw_backend_sim.close(f->devices[0]);
    spw_backend_sim.close(f->devices[1]);
    spw_home_destroy(f->home);
    spw_gate_destroy(f->gate);
    spw_simulator_destroy(f->simulator);
}

static void *take(struct fixture *f, uint64_t bytes, uint64_t value)
{
    void *home = NULL;
    cr_assert(spw_home_take(f->home, bytes, NULL, &home) == SPW_OK);
    if (value != 0) {
        spw_home_shadow_write(f->home, home, bytes, value);
    }
    return home;
}

static uint64_t copy(struct fixture *f, uint32_t device, enum spw_queue queue, void *home,
                     uint64_t offset, uint64_t bytes, struct spw_wait wait)
{
    const struct spw_copy range = {.home = home, .region_offset = offset, .bytes = bytes};
    uint64_t ticket = 0;
    cr_assert(spw_backend_sim.copy(f->devices[device], queue, &range, 1, &wait, 1, &ticket) ==
              SPW_OK);
    return ticket;
}

static const struct spw_wait nothing[1];

static void finish_all(struct fixture *f)
{
    f->world->sleep_until(f->world->self, spw_now_ns(f->world) + UINT64_C(1000000000000));
}

static uint64_t hash_of(struct fixture *f, const void *home, uint64_t bytes)
{
    bool whole;
    const uint64_t hash =
        spw_shadow_hash(spw_home_shadow(f->home), spw_home_offset(f->home, home), bytes, &whole);
    return whole ? hash : 0;
}

/* Through a device and back, in pieces that are not those it came in. */
Test(sim_shadow, a_round_trip_changes_nothing)
{
    struct fixture f;
    open_fixture(&f);
    char *from = take(&f, 1000, 5);
    char *to = take(&f, 1000, 0);
    cr_assert(hash_of(&f, to, 1000) == 0, "nothing is there yet");
    uint64_t in = 0, out = 0;
    for (uint64_t at = 0; at < 1000; at += 300) {
        in = copy(&f, 0, SPW_QUEUE_IN, from + at, 64 + at, at < 900 ? 300 : 100, *nothing);
    }
    for (uint64_t at = 0; at < 1000; at += 250) {
        out =
            copy(&f, 0, SPW_QUEUE_OUT, to + at, 64 + at, 250, (struct spw_wait){SPW_QUEUE_IN, in});
    }
    cr_assert(out == 4);
    finish_all(&f);
    cr_assert(f.faults->count == 0, "%s", f.faults->first);
    cr_assert(hash_of(&f, to, 1000) == hash_of(&f, from, 1000) && hash_of(&f, to, 1000) != 0);
    close_fixture(&f);
}

/* A copy home that does not wait for the copy in: both touch the region at once. */
Test(sim_shadow, a_missing_wait_is_found)
{
    struct fixture f;
    open_fixture(&f);
    char *from = take(&f, 1000, 5);
    char *to = take(&f, 1000, 0);
    (void)copy(&f, 0, SPW_QUEUE_IN, from, 0, 1000, *nothing);
    (void)copy(&f, 0, SPW_QUEUE_OUT, to, 500, 500, *nothing);
    finish_all(&f);
    cr_assert(f.faults->count == 1);
    cr_assert(strstr(f.faults->first, "sim:0 reads bytes 500 to 1000 while sim:0 writes 0 to 1000"),
              "%s", f.faults->first);
    close_fixture(&f);
}

/* Two devices may read one home at a time, but not while a third party writes it. */
Test(sim_shadow, a_home_that_changes_under_a_copy_is_found)
{
    struct fixture f;
    open_fixture(&f);
    char *home = take(&f, 1000, 5);
    (void)copy(&f, 0, SPW_QUEUE_IN, home, 0, 1000, *nothing);
    (void)copy(&f, 1, SPW_QUEUE_IN, home, 0, 1000, *nothing);
    finish_all(&f);
    cr_assert(f.faults->count == 0, "%s", f.faults->first);
    (void)copy(&f, 0, SPW_QUEUE_IN, home, 2000, 1000, *nothing);
    (void)copy(&f, 1, SPW_QUEUE_OUT, home, 0, 64, *nothing);
    finish_all(&f);
    cr_assert(f.faults->count == 1, "%s", f.faults->first);
    close_fixture(&f);
}

/* What was freed has no value any more. */
Test(sim_shadow, poison_is_no_value)
{
    struct fixture f;
    open_fixture(&f);
    char *from = take(&f, 1000, 5);
    char *to = take(&f, 1000, 0);
    (void)copy(&f, 0, SPW_QUEUE_IN, from, 0, 1000, *nothing);
    finish_all(&f);
    spw_backend_sim.poison(f.devices[0], 999, 1);
    (void)copy(&f, 0, SPW_QUEUE_OUT, to, 0, 1000, *nothing);
    finish_all(&f);
    cr_assert(hash_of(&f, to, 999) != 0 && hash_of(&f, to, 1000) == 0);
    cr_assert(f.faults->count == 0, "copies may carry nothing along");
    (void)spw_home_shadow_read(f.home, to, 1000, "a test");
    cr_assert(f.faults->count == 1 && strstr(f.faults->first, "a test: nobody wrote") != NULL);
    spw_home_give_back(f.home, from);
    close_fixture(&f);
}

static struct spw_work program_of(const struct small_program *small, uint64_t step)
{
    struct spw_work work = small_program_work(small, &small->forward, 0);
    work.program.step = step;
    return work;
}

/* Runs the small program over `x` and returns the hash of its output. */
static uint64_t run_program(struct fixture *f, const struct small_program *small, char *w, char *x,
                            uint64_t step)
{
    const struct spw_work work = program_of(small, step);
    const uint64_t *offsets = work.program.binding_offset;
    const uint64_t out_bytes = small->bindings[SMALL_OUT].bytes;
    char *y = take(f, out_bytes, 0);
    uint64_t ticket = 0;
    (void)copy(f, 0, SPW_QUEUE_IN, w, offsets[SMALL_WEIGHTS], small->w_bytes, *nothing);
    const uint64_t in =
        copy(f, 0, SPW_QUEUE_IN, x, offsets[SMALL_IN], small->bindings[SMALL_IN].bytes, *nothing);
    const struct spw_wait wait = {SPW_QUEUE_IN, in};
    cr_assert(spw_backend_sim.submit(f->devices[0], &work, &wait, 1, &ticket) == SPW_OK);
    (void)copy(f, 0, SPW_QUEUE_OUT, y, offsets[SMALL_OUT], out_bytes,
               (struct spw_wait){SPW_QUEUE_COMPUTE, ticket});
    finish_all(f);
    const uint64_t hash = hash_of(f, y, out_bytes);
    spw_home_give_back(f->home, y);
    return hash;
}

/* The same inputs give the same output again, any other input or step another. */
Test(sim_shadow, an_output_follows_from_its_inputs)
{
    struct fixture f;
    struct small_program small;
    open_fixture(&f);
    small_program_init(&small, 64, 48, 16, 1);
    small.bindings[SMALL_OUT].kind = SPW_BIND_OUT;
    char *w = take(&f, small.w_bytes, 5);
    char *x = take(&f, small.bindings[SMALL_IN].bytes, 6);
    const uint64_t first = run_program(&f, &small, w, x, 1);
    cr_assert(f.faults->count == 0, "%s", f.faults->first);
    cr_assert(first != 0 && run_program(&f, &small, w, x, 1) == first);
    cr_assert(run_program(&f, &small, w, x, 2) != first);
    spw_home_shadow_write(f.home, x, 4, 7);
    const uint64_t other = run_program(&f, &small, w, x, 1);
    cr_assert(other != 0 && other != first);
    cr_assert(f.faults->count == 0, "%s", f.faults->first);
    close_fixture(&f);
}

/* A program whose weights never came, or of which four bytes are missing. */
Test(sim_shadow, a_missing_load_is_found)
{
    struct fixture f;
    struct small_program small;
    open_fixture(&f);
    small_program_init(&small, 64, 48, 16, 1);
    small.bindings[SMALL_OUT].kind = SPW_BIND_OUT;
    char *w = take(&f, small.w_bytes, 5);
    char *x = take(&f, small.bindings[SMALL_IN].bytes, 6);
    spw_shadow_clear(spw_home_shadow(f.home), spw_home_offset(f.home, w) + 100, 4);
    (void)run_program(&f, &small, w, x, 1);
    cr_assert(f.faults->count == 1);
    cr_assert(strstr(f.faults->first, "sim:0: linear reads a parameter, which nobody wrote"), "%s",
              f.faults->first);
    close_fixture(&f);
}
