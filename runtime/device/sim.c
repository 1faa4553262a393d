/* sim.c — the simulated backend: devices whose commands take time and do nothing else.
 *
 * A device has the three queues of every device. The first command of a queue runs as soon as what
 * it waits for has ended; it takes the time that sim_cost.c says, longer if its bytes share a link
 * or the host's memory with others (sim_flow.c), and then its record can be polled. Nothing is
 * copied or computed, so losses and weights don't exist (caps.holds_data). The host cores are a
 * device with one queue, as with the host backend. It decides nothing. Tested by
 * tests/runtime/test_sim.c and test_sim_run.c. */
#include "runtime/device/sim.h"

#include "base/assert.h"
#include "base/status.h"
#include "partitioner/rates.h"

#include <stdio.h>

/* Commands of a queue whose records nobody has polled yet. A power of two. Enqueuing takes no time
 * here, so a long queue gains nothing, and there may be thousands of them. */
#define COMMANDS_MAX 256
_Static_assert((COMMANDS_MAX & (COMMANDS_MAX - 1)) == 0, "slots are masked");

struct command {
    uint64_t enqueued_ns;
    struct spw_sim_cost cost;
    uint32_t wait_count;
    struct spw_wait waits[SPW_WAITS_MAX];
};

struct device;

/* Ticket t has slot (t - 1) % COMMANDS_MAX in both arrays. */
struct queue {
    struct device *device;
    struct command *commands;
    struct spw_record *records;
    uint64_t submitted, finished, polled; /* last tickets */
    bool is_running;                      /* command `finished` + 1 is */
    struct spw_sim_timer timer;           /* rings when its first part is over: */
    bool flows_next;                      /* then bytes flow, or else it has ended */
    struct spw_sim_flow flow;
    struct spw_sim_task *tasks; /* of the commands, where shadows are kept; else NULL */
    struct spw_sim_effect effect;
};

struct device {
    struct spw_device device; /* first: a backend's caller sees only this */
    const struct spw_world *world;
    struct spw_simulator *simulator;
    struct spw_gate *gate; /* borrowed */
    struct spw_sim_host *host;
    const struct spw_host_model *host_model;
    const struct spw_device_model *model; /* of the cores, NULL */
    struct spw_shadow *shadow;            /* of the region; NULL: none */
    uint32_t part;
    bool is_cores;
    uint32_t queue_count; /* queues that are open: 3, host cores 1 */
    struct queue queues[SPW_QUEUE_COUNT];
};

static struct device *sim_of(struct spw_device *device)
{
    /* The first member: the same address. */
    return (struct device *)(void *)device;
}

static uint64_t slot_of(uint64_t ticket)
{
    return (ticket - 1) & (COMMANDS_MAX - 1);
}

/* ---- running ---- */

/* When everything that a command waits for is over; false if something is not. What ended so long
 * ago that its record is overwritten holds nobody up. */
static bool is_ready(const struct device *device, const struct command *command, uint64_t *ready_ns)
{
    *ready_ns = command->enqueued_ns;
    for (uint32_t i = 0; i < command->wait_count; i++) {
        const struct spw_wait *wait = &command->waits[i];
        const struct queue *queue = &device->queues[wait->queue];
        if (queue->finished < wait->ticket) {
            return false;
        }
        const uint64_t end_ns = queue->records[slot_of(wait->ticket)].end_ns;
        /* The command after the last that finished may have the slot already. */
        if (queue->finished - wait->ticket + 1 < COMMANDS_MAX && end_ns > *ready_ns) {
            *ready_ns = end_ns;
        }
    }
    return true;
}

/* What shares nothing takes a time that is known beforehand. */
static void run_command(struct queue *queue, const struct spw_sim_cost *cost)
{
    struct spw_simulator *simulator = queue->device->simulator;
    const bool shares = cost->bytes > 0 && queue->flow.resource_count > 0;
    uint64_t ns = cost->ns;
    if (cost->bytes > 0 && !shares) {
        ns += spw_rates_ns(cost->bytes, cost->bytes_per_s);
    }
    queue->flows_next = shares;
    spw_sim_arm(simulator, &queue->timer, spw_sim_now_ns(simulator) + ns);
}

static void start_next(struct queue *queue)
{
    if (queue->is_running || queue->finished == queue->submitted) {
        return;
    }
    struct device *device = queue->device;
    const uint64_t ticket = queue->finished + 1;
    const struct command *command = &queue->commands[slot_of(ticket)];
    uint64_t ready_ns;
    if (!is_ready(device, command, &ready_ns)) {
        return;
    }
    queue->is_running = true;
    queue->records[slot_of(ticket)] = (struct spw_record){
        .ticket = ticket,
        .start_ns = spw_sim_now_ns(device->simulator),
        .ready_ns = ready_ns,
    };
    if (queue->tasks != NULL) {
        spw_sim_effect_begin(&queue->effect, &queue->tasks[slot_of(ticket)]);
    }
    run_command(queue, &command->cost);
}

/* What a queue waited for may be what another has just finished. */
static void finish(void *self)
{
    struct queue *queue = self;
    struct device *device = queue->device;
    queue->is_running = false;
    queue->finished++;
    queue->records[slot_of(queue->finished)].end_ns = spw_sim_now_ns(device->simulator);
    if (queue->tasks != NULL) {
        spw_sim_effect_end(&queue->effect, &queue->tasks[slot_of(queue->finished)]);
    }
    for (uint32_t i = 0; i < device->queue_count; i++) {
        start_next(&device->queues[i]);
    }
    spw_sim_count(device->simulator);
    spw_gate_knock(device->gate);
}

static void ring(void *self)
{
    struct queue *queue = self;
    if (!queue->flows_next) {
        finish(queue);
        return;
    }
    const struct spw_sim_cost *cost = &queue->commands[slot_of(queue->finished + 1)].cost;
    queue->flow.most_bytes_per_s = cost->bytes_per_s;
    spw_sim_flow_begin(queue->device->host, &queue->flow, cost->bytes);
}

/* ---- opening and closing ---- */

static const struct spw_device_model *model_of(const struct spw_device_config *config)
{
    const struct spw_machine *machine = spw_simulator_machine(config->simulator);
    const uint32_t part = spw_machine_part_of(machine, config->index);
    return &spw_simulator_model(config->simulator)->devices[part];
}

static void sim_describe(const struct spw_device_config *config, struct spw_device_caps *out)
{
    SPW_ASSERT(config->simulator != NULL);
    *out = (struct spw_device_caps){
        .region_bytes = config->region_bytes,
        .threads = 1,
        .virtual_time = true,
        .shared_clock = true,
    };
    if (!config->is_cores) {
        const struct spw_device_model *model = model_of(config);
        out->link_bytes_per_s = model->link.bytes_per_s;
        out->flops_per_s = model->flops_per_s;
        out->memory_bytes_per_s = model->memory_bytes_per_s;
        out->launch_ns = model->launch_ns;
    }
}

/* Which sort of device this is, and on which host. Cores come after all devices, one per host. */
static void set_place(struct device *sim, const struct spw_device_config *config)
{
    const struct spw_machine *machine = spw_simulator_machine(sim->simulator);
    uint32_t host = 0;
    if (sim->is_cores) {
        host = config->index - machine->device_count;
        (void)snprintf(sim->device.name, sizeof(sim->device.name), "cores");
    } else {
        host = spw_machine_host_of(machine, config->index);
        sim->part = spw_machine_part_of(machine, config->index);
        sim->model = model_of(config);
        (void)snprintf(sim->device.name, sizeof(sim->device.name), "sim:%u",
                       (unsigned)config->index);
    }
    sim->host = spw_sim_host(sim->simulator, host);
    sim->host_model = &spw_simulator_model(sim->simulator)->host;
}

static enum spw_status open_queue(struct device *device, struct spw_error *error)
{
    struct queue *queue = &device->queues[device->queue_count++];
    queue->device = device;
    queue->timer = (struct spw_sim_timer){.ring = ring, .self = queue};
    queue->flow = (struct spw_sim_flow){.ended = finish, .self = queue};
    SPW_TRY(spw_allocate(device->world, COMMANDS_MAX, sizeof(*queue->commands), "a simulated queue",
                         error, &queue->commands));
    SPW_TRY(spw_allocate(device->world, COMMANDS_MAX, sizeof(*queue->records), "a simulated queue",
                         error, &queue->records));
    SPW_TRY(spw_sim_host_reserve(device->host, 1, error));
    return spw_sim_reserve(device->simulator, 1, error);
}

/* Follows what commands do, where the homes have a shadow. */
static enum spw_status follow(struct device *device, const struct spw_home *home,
                              struct spw_error *error)
{
    struct spw_shadow *homes = home != NULL ? spw_home_shadow(home) : NULL;
    struct spw_sim_effects *effects = spw_simulator_effects(device->simulator);
    if (homes == NULL) {
        return SPW_OK;
    }
    if (!device->is_cores) {
        SPW_TRY(spw_shadow_create(device->world, &effects->faults, error, &device->shadow));
    }
    for (uint32_t i = 0; i < device->queue_count; i++) {
        struct queue *queue = &device->queues[i];
        SPW_TRY(spw_allocate(device->world, COMMANDS_MAX, sizeof(*queue->tasks),
                             "a simulated queue", error, &queue->tasks));
        queue->effect = (struct spw_sim_effect){
            .effects = effects,
            .device = device->device.name,
            .region = device->is_cores ? homes : device->shadow,
            .home = home,
        };
    }
    return SPW_OK;
}

/* What the queues' bytes go through besides the device's own link. */
static enum spw_status share(struct device *device, uint32_t index, struct spw_error *error)
{
    if (device->is_cores) {
        spw_sim_flow_init_cores(device->host, &device->queues[SPW_QUEUE_COMPUTE].flow);
        return SPW_OK;
    }
    const struct spw_machine *machine = spw_simulator_machine(device->simulator);
    const uint32_t hosts = machine->hosts > 1 ? machine->hosts : 1;
    const uint32_t neighbour = index % (machine->device_count / hosts);
    struct spw_sim_flow *in = &device->queues[SPW_QUEUE_IN].flow;
    struct spw_sim_flow *out = &device->queues[SPW_QUEUE_OUT].flow;
    spw_sim_flow_init_copy(device->host, neighbour, false, in);
    spw_sim_flow_init_copy(device->host, neighbour, true, out);
    if (device->model->link.half_duplex) {
        uint32_t own = 0;
        SPW_TRY(spw_sim_host_share(device->host, device->model->link.bytes_per_s, error, &own));
        in->resources[in->resource_count++] = own;
        out->resources[out->resource_count++] = own;
    }
    return SPW_OK;
}

/* What is queued is forgotten: nobody would see it end. */
static void sim_close(struct spw_device *device)
{
    if (device == NULL) {
        return;
    }
    struct device *sim = sim_of(device);
    for (uint32_t i = 0; i < sim->queue_count; i++) {
        spw_sim_disarm(sim->simulator, &sim->queues[i].timer);
        spw_sim_flow_drop(sim->host, &sim->queues[i].flow);
        if (sim->queues[i].is_running && sim->queues[i].tasks != NULL) {
            spw_list_remove(&sim->queues[i].effect.link);
        }
        spw_release(sim->world, sim->queues[i].tasks);
        spw_release(sim->world, sim->queues[i].commands);
        spw_release(sim->world, sim->queues[i].records);
    }
    spw_shadow_destroy(sim->shadow);
    spw_release(sim->world, sim);
}

static enum spw_status open_queues(struct device *sim, uint32_t index, struct spw_error *error)
{
    const uint32_t wanted = sim->is_cores ? 1 : SPW_QUEUE_COUNT;
    while (sim->queue_count < wanted) {
        SPW_TRY(open_queue(sim, error));
    }
    return share(sim, index, error);
}

static enum spw_status sim_open(const struct spw_world *world,
                                const struct spw_device_config *config, struct spw_gate *gate,
                                struct spw_error *error, struct spw_device **out)
{
    SPW_ASSERT(config->simulator != NULL && gate != NULL);
    struct device *sim;
    SPW_TRY(spw_allocate(world, 1, sizeof(*sim), "a simulated device", error, &sim));
    sim->world = world;
    sim->simulator = config->simulator;
    sim->gate = gate;
    sim->is_cores = config->is_cores;
    sim->device.backend = &spw_backend_sim;
    sim_describe(config, &sim->device.caps);
    set_place(sim, config);
    enum spw_status status = open_queues(sim, config->index, error);
    if (status == SPW_OK) {
        status = follow(sim, config->home, error);
    }
    if (status != SPW_OK) {
        sim_close(&sim->device);
        return status;
    }
    *out = &sim->device;
    return SPW_OK;
}

static enum spw_status sim_prepare(struct spw_device *device, const struct spw_program *program,
                                   int64_t items, struct spw_error *error)
{
    struct device *sim = sim_of(device);
    SPW_ASSERT(!sim->is_cores);
    return spw_sim_costs_prepare(spw_sim_costs(sim->simulator), sim->part, sim->model, program,
                                 items, error);
}

/* ---- commands ---- */

/* Enqueues a command behind those there are; it may start at once. */
static enum spw_status enqueue(struct device *device, enum spw_queue name, struct spw_sim_cost cost,
                               const struct spw_sim_task *task, const struct spw_wait *waits,
                               uint32_t wait_count, uint64_t *ticket)
{
    SPW_ASSERT(wait_count <= SPW_WAITS_MAX);
    struct queue *queue = &device->queues[name];
    if (queue->submitted - queue->polled == COMMANDS_MAX) {
        return SPW_ERR_BUSY;
    }
    const uint64_t slot = slot_of(queue->submitted + 1);
    struct command *command = &queue->commands[slot];
    *command = (struct command){.enqueued_ns = spw_sim_now_ns(device->simulator), .cost = cost};
    for (uint32_t i = 0; i < wait_count; i++) {
        if (waits[i].ticket > 0) {
            SPW_ASSERT((uint32_t)waits[i].queue < device->queue_count);
            SPW_ASSERT(waits[i].ticket <= device->queues[waits[i].queue].submitted);
            command->waits[command->wait_count++] = waits[i];
        }
    }
    if (queue->tasks != NULL) {
        queue->tasks[slot] = *task;
    }
    *ticket = ++queue->submitted;
    start_next(queue);
    return SPW_OK;
}

static enum spw_status sim_copy(struct spw_device *device, enum spw_queue queue,
                                const struct spw_copy *copies, uint32_t copy_count,
                                const struct spw_wait *waits, uint32_t wait_count, uint64_t *ticket)
{
    struct device *sim = sim_of(device);
    SPW_ASSERT(queue == SPW_QUEUE_IN || queue == SPW_QUEUE_OUT);
    SPW_ASSERT(copy_count > 0 && copy_count <= SPW_COPIES_MAX);
    if (sim->is_cores) {
        return SPW_ERR_UNSUPPORTED; /* their region is the homes: there is nothing to copy */
    }
    struct spw_sim_task task = {.is_copy = true, .is_out = queue == SPW_QUEUE_OUT};
    for (uint32_t i = 0; i < copy_count; i++) {
        SPW_ASSERT(copies[i].bytes <= device->caps.region_bytes);
        SPW_ASSERT(copies[i].region_offset <= device->caps.region_bytes - copies[i].bytes);
        task.copies[task.copy_count++] = copies[i];
    }
    const struct spw_sim_cost cost = spw_sim_cost_copy(sim->model, copies, copy_count);
    return enqueue(sim, queue, cost, &task, waits, wait_count, ticket);
}

static enum spw_status sim_submit(struct spw_device *device, const struct spw_work *work,
                                  const struct spw_wait *waits, uint32_t wait_count,
                                  uint64_t *ticket)
{
    struct device *sim = sim_of(device);
    const struct spw_sim_task task = {.work = *work};
    const struct spw_sim_cost cost =
        sim->is_cores
            ? spw_sim_cost_cores(sim->host_model, work)
            : spw_sim_cost_device(spw_sim_costs(sim->simulator), sim->part, sim->model, work);
    return enqueue(sim, SPW_QUEUE_COMPUTE, cost, &task, waits, wait_count, ticket);
}

static bool sim_poll(struct spw_device *device, enum spw_queue name, struct spw_record *out)
{
    struct device *sim = sim_of(device);
    struct queue *queue = &sim->queues[name];
    if (queue->polled == queue->finished) {
        return false;
    }
    queue->polled++;
    *out = queue->records[slot_of(queue->polled)];
    return true;
}

static void sim_poison(struct spw_device *device, uint64_t offset, uint64_t bytes)
{
    struct device *sim = sim_of(device);
    if (sim->shadow != NULL) {
        spw_shadow_clear(sim->shadow, offset, bytes);
    }
}

const struct spw_backend spw_backend_sim = {
    .name = "sim",
    .describe = sim_describe,
    .open = sim_open,
    .close = sim_close,
    .prepare = sim_prepare,
    .copy = sim_copy,
    .submit = sim_submit,
    .poll = sim_poll,
    .poison = sim_poison,
};
