/* sim_clock.c — virtual time: a heap of timers, and the world and the gate that move it on.
 *
 * A timer rings at its time; rings may arm other timers, also for the present. Waiting with nothing
 * armed and without a deadline would last for ever: the executor has locked up, which is what
 * simulations are to find, so it is an assertion. Tested by tests/runtime/test_sim_clock.c. */
#include "runtime/device/sim.h"

#include "base/assert.h"
#include "base/status.h"

/* 0 means "never" and "not yet" in many a record. */
#define EPOCH_NS UINT64_C(1000000000)

struct spw_simulator {
    struct spw_world world;
    const struct spw_world *inner;
    uint64_t now_ns;
    uint64_t events;
    struct spw_heap timers; /* of struct spw_sim_timer, by time */
    struct spw_heap_node **storage;
    uint64_t capacity, reserved;
    struct spw_machine machine;
    struct spw_machine_model model;
    struct spw_sim_costs costs;
    struct spw_sim_effects effects;
    struct spw_sim_host **hosts;
    uint32_t host_count;
};

static struct spw_simulator *simulator_of(void *self)
{
    return self;
}

/* ---- timers ---- */

enum spw_status spw_sim_reserve(struct spw_simulator *simulator, uint64_t count,
                                struct spw_error *error)
{
    const uint64_t needed = simulator->reserved + count;
    SPW_TRY(spw_grow(simulator->inner, &simulator->storage, &simulator->capacity, needed,
                     sizeof(*simulator->storage), "the simulator's timers", error));
    spw_heap_move(&simulator->timers, simulator->storage, simulator->capacity);
    simulator->reserved = needed;
    return SPW_OK;
}

void spw_sim_arm(struct spw_simulator *simulator, struct spw_sim_timer *timer, uint64_t at_ns)
{
    SPW_ASSERT(at_ns >= simulator->now_ns);
    spw_heap_remove(&simulator->timers, &timer->node);
    spw_heap_push(&simulator->timers, &timer->node, at_ns);
}

void spw_sim_disarm(struct spw_simulator *simulator, struct spw_sim_timer *timer)
{
    spw_heap_remove(&simulator->timers, &timer->node);
}

/* The next timer that rings; NULL if none is armed. */
static struct spw_sim_timer *next_timer(const struct spw_simulator *simulator)
{
    /* The first member: the same address. */
    return (struct spw_sim_timer *)(void *)spw_heap_least(&simulator->timers);
}

/* ---- time ---- */

uint64_t spw_sim_now_ns(const struct spw_simulator *simulator)
{
    return simulator->now_ns;
}

struct spw_sim_effects *spw_simulator_effects(struct spw_simulator *simulator)
{
    return &simulator->effects;
}

uint64_t spw_simulator_events(const struct spw_simulator *simulator)
{
    return simulator->events;
}

void spw_sim_count(struct spw_simulator *simulator)
{
    simulator->events++;
}

/* On to the next time at which a timer rings, all of that time ringing, or to the deadline. */
static void advance(void *self, uint64_t deadline_ns)
{
    struct spw_simulator *simulator = simulator_of(self);
    struct spw_sim_timer *timer = next_timer(simulator);
    SPW_ASSERT((timer != NULL || deadline_ns != 0) &&
               "nothing is under way, and somebody waits for it");
    if (timer == NULL || (deadline_ns != 0 && timer->node.key > deadline_ns)) {
        if (deadline_ns > simulator->now_ns) {
            simulator->now_ns = deadline_ns;
        }
        return;
    }
    simulator->now_ns = timer->node.key;
    for (; timer != NULL && timer->node.key == simulator->now_ns; timer = next_timer(simulator)) {
        spw_sim_disarm(simulator, timer);
        timer->ring(timer->self);
    }
}

void spw_simulator_drive(struct spw_simulator *simulator, struct spw_gate *gate)
{
    spw_gate_drive(gate, advance, simulator);
}

void spw_simulator_advance(struct spw_simulator *simulator)
{
    advance(simulator, 0);
}

/* ---- the world ---- */

static uint64_t world_now_ns(void *self)
{
    return simulator_of(self)->now_ns;
}

static void world_sleep_until(void *self, uint64_t deadline_ns)
{
    struct spw_simulator *simulator = simulator_of(self);
    while (simulator->now_ns < deadline_ns) {
        advance(simulator, deadline_ns);
    }
}

/* Everything else belongs to the world below, whose `self` differs. */
static uint64_t world_wall_ns(void *self)
{
    const struct spw_world *inner = simulator_of(self)->inner;
    return inner->wall_ns(inner->self);
}

static void *world_allocate(void *self, uint64_t bytes)
{
    const struct spw_world *inner = simulator_of(self)->inner;
    return inner->allocate(inner->self, bytes);
}

static void world_release(void *self, void *memory)
{
    const struct spw_world *inner = simulator_of(self)->inner;
    inner->release(inner->self, memory);
}

static int world_open(void *self, const char *path, enum spw_open_mode mode, struct spw_file **out)
{
    const struct spw_world *inner = simulator_of(self)->inner;
    return inner->open(inner->self, path, mode, out);
}

static int world_read(void *self, struct spw_file *file, void *into, uint64_t bytes, uint64_t *got)
{
    const struct spw_world *inner = simulator_of(self)->inner;
    return inner->read(inner->self, file, into, bytes, got);
}

static int world_write(void *self, struct spw_file *file, const void *from, uint64_t bytes)
{
    const struct spw_world *inner = simulator_of(self)->inner;
    return inner->write(inner->self, file, from, bytes);
}

static int world_seek(void *self, struct spw_file *file, uint64_t offset)
{
    const struct spw_world *inner = simulator_of(self)->inner;
    return inner->seek(inner->self, file, offset);
}

static int world_size(void *self, struct spw_file *file, uint64_t *bytes)
{
    const struct spw_world *inner = simulator_of(self)->inner;
    return inner->size(inner->self, file, bytes);
}

static int world_sync(void *self, struct spw_file *file)
{
    const struct spw_world *inner = simulator_of(self)->inner;
    return inner->sync(inner->self, file);
}

static int world_close(void *self, struct spw_file *file)
{
    const struct spw_world *inner = simulator_of(self)->inner;
    return inner->close(inner->self, file);
}

static int world_make_directory(void *self, const char *path)
{
    const struct spw_world *inner = simulator_of(self)->inner;
    return inner->make_directory(inner->self, path);
}

static int world_rename(void *self, const char *from, const char *to)
{
    const struct spw_world *inner = simulator_of(self)->inner;
    return inner->rename(inner->self, from, to);
}

static int world_remove(void *self, const char *path)
{
    const struct spw_world *inner = simulator_of(self)->inner;
    return inner->remove(inner->self, path);
}

static int world_exists(void *self, const char *path, bool *is_directory)
{
    const struct spw_world *inner = simulator_of(self)->inner;
    return inner->exists(inner->self, path, is_directory);
}

const struct spw_world *spw_simulator_world(const struct spw_simulator *simulator)
{
    return &simulator->world;
}

/* ---- life ---- */

static struct spw_world make_world(struct spw_simulator *simulator)
{
    return (struct spw_world){
        .self = simulator,
        .now_ns = world_now_ns,
        .wall_ns = world_wall_ns,
        .sleep_until = world_sleep_until,
        .allocate = world_allocate,
        .release = world_release,
        .open = world_open,
        .read = world_read,
        .write = world_write,
        .seek = world_seek,
        .size = world_size,
        .sync = world_sync,
        .close = world_close,
        .make_directory = world_make_directory,
        .rename = world_rename,
        .remove = world_remove,
        .exists = world_exists,
    };
}

static enum spw_status open_hosts(struct spw_simulator *simulator, struct spw_error *error)
{
    const struct spw_machine *machine = &simulator->machine;
    const uint32_t count = machine->hosts > 1 ? machine->hosts : 1;
    SPW_TRY(spw_allocate(simulator->inner, count, sizeof(struct spw_sim_host *),
                         "the simulated hosts", error, &simulator->hosts));
    while (simulator->host_count < count) {
        SPW_TRY(spw_sim_host_create(simulator, simulator->inner, &simulator->model.host,
                                    machine->device_count / count, error,
                                    &simulator->hosts[simulator->host_count]));
        simulator->host_count++;
    }
    return SPW_OK;
}

enum spw_status spw_simulator_create(const struct spw_world *world,
                                     const struct spw_machine *machine,
                                     const struct spw_machine_model *model, struct spw_error *error,
                                     struct spw_simulator **out)
{
    SPW_TRY(spw_machine_model_check(model, machine->part_count, error));
    struct spw_simulator *simulator;
    SPW_TRY(spw_allocate(world, 1, sizeof(*simulator), "the simulator", error, &simulator));
    simulator->inner = world;
    simulator->now_ns = EPOCH_NS;
    simulator->costs.world = world;
    simulator->machine = *machine;
    simulator->model = *model;
    spw_machine_model_override(&simulator->model, machine);
    simulator->world = make_world(simulator);
    spw_sim_effects_init(&simulator->effects);
    const enum spw_status status = open_hosts(simulator, error);
    if (status != SPW_OK) {
        spw_simulator_destroy(simulator);
        return status;
    }
    *out = simulator;
    return SPW_OK;
}

void spw_simulator_destroy(struct spw_simulator *simulator)
{
    if (simulator == NULL) {
        return;
    }
    const struct spw_world *world = simulator->inner;
    for (uint32_t i = 0; i < simulator->host_count; i++) {
        spw_sim_host_destroy(simulator->hosts[i]);
    }
    spw_release(world, simulator->hosts);
    spw_sim_costs_deinit(&simulator->costs);
    spw_release(world, simulator->storage);
    spw_release(world, simulator);
}

/* ---- for the other files ---- */

struct spw_sim_costs *spw_sim_costs(struct spw_simulator *simulator)
{
    return &simulator->costs;
}

const struct spw_machine *spw_simulator_machine(const struct spw_simulator *simulator)
{
    return &simulator->machine;
}

const struct spw_machine_model *spw_simulator_model(const struct spw_simulator *simulator)
{
    return &simulator->model;
}

struct spw_sim_host *spw_sim_host(const struct spw_simulator *simulator, uint32_t index)
{
    SPW_ASSERT(index < simulator->host_count);
    return simulator->hosts[index];
}
