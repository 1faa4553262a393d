/* fault_backend.c — see fault_backend.h. */
#include "fault_backend.h"

#include "base/philox.h"

/* Commands of one queue at most under way. */
enum { TICKETS = 2048 };

struct device {
    struct spw_device device; /* first: a backend's caller sees only this */
    struct spw_device *inner;
    struct backend_faults *faults;
    struct spw_gate *gate;
    uint32_t number; /* in faults->order */
    int32_t index;   /* among the run's devices; the cores come last */
    bool lost, failed;
    bool fails[SPW_QUEUE_COUNT][TICKETS]; /* by ticket */
};

static struct device *device_of(struct spw_device *device)
{
    return (struct device *)(void *)device;
}

void backend_faults_init(struct backend_faults *faults)
{
    *faults = (struct backend_faults){
        .world = *spw_world_system(), .fail_device = -1, .fail_work = -1, .full_in = -1};
}

static enum spw_status open_device(const struct spw_world *world,
                                   const struct spw_device_config *config, struct spw_gate *gate,
                                   struct spw_error *error, struct spw_device **out)
{
    /* The world is a backend_faults by the header's contract. */
    struct backend_faults *faults = (struct backend_faults *)(uintptr_t)world;
    struct spw_device_config changed = *config;
    if (config->index == 1 && !config->is_cores && faults->slow_flops_per_s > 0) {
        changed.pace_model = true;
        changed.flops_per_s = faults->slow_flops_per_s;
        changed.link_bytes_per_s = faults->slow_link_bytes_per_s;
    }
    struct device *device = NULL;
    SPW_TRY(spw_allocate(world, 1, sizeof *device, "a wrapper", error, &device));
    const enum spw_status status =
        spw_backend_host.open(world, &changed, gate, error, &device->inner);
    if (status != SPW_OK) {
        spw_release(world, device);
        return status;
    }
    device->device = *device->inner;
    device->device.backend = &fault_backend;
    device->faults = faults;
    device->gate = gate;
    device->index = (int32_t)config->index;
    if (faults->order != NULL) {
        device->number =
            order_open(faults->order, config->home, config->is_cores, device->device.name);
    }
    *out = &device->device;
    return SPW_OK;
}

static void close_device(struct spw_device *device)
{
    if (device != NULL) {
        struct device *wrapper = device_of(device);
        spw_backend_host.close(wrapper->inner);
        spw_release(&wrapper->faults->world, wrapper);
    }
}

static enum spw_status prepare(struct spw_device *device, const struct spw_program *program,
                               int64_t items, struct spw_error *error)
{
    return spw_backend_host.prepare(device_of(device)->inner, program, items, error);
}

/* Puts the executor off, so often. It is woken at once to try again. */
static bool put_off(struct device *device, uint32_t of_256)
{
    struct backend_faults *faults = device->faults;
    if (of_256 == 0 || (spw_random_word(faults->seed, 0, faults->draws++) & 255) >= of_256) {
        return false;
    }
    spw_gate_knock(device->gate);
    return true;
}

/* Notes whether the command just enqueued, a copy if `work` is NULL, is to fail. */
static void count_command(struct device *device, enum spw_queue queue, uint64_t ticket,
                          const struct spw_work *work)
{
    struct backend_faults *faults = device->faults;
    const bool counts =
        (faults->fail_device < 0 || faults->fail_device == device->index) &&
        (faults->fail_work < 0 || (work != NULL && faults->fail_work == (int32_t)work->kind));
    faults->commands += counts;
    const bool strikes = counts && faults->commands == faults->fail_at;
    device->lost = device->lost || (strikes && faults->sticky);
    device->fails[queue][ticket % TICKETS] = strikes || device->lost;
}

static enum spw_status copy(struct spw_device *device, enum spw_queue queue,
                            const struct spw_copy *copies, uint32_t copy_count,
                            const struct spw_wait *waits, uint32_t wait_count, uint64_t *ticket)
{
    struct device *wrapper = device_of(device);
    const bool full = queue == SPW_QUEUE_IN && wrapper->faults->full_in == wrapper->index;
    wrapper->faults->refused += full;
    if (full || put_off(wrapper, wrapper->faults->busy_of_256)) {
        return SPW_ERR_BUSY;
    }
    SPW_TRY(spw_backend_host.copy(wrapper->inner, queue, copies, copy_count, waits, wait_count,
                                  ticket));
    if (wrapper->faults->order != NULL) {
        order_copy(wrapper->faults->order, wrapper->number, queue, copies, copy_count, waits,
                   wait_count, *ticket);
    }
    count_command(wrapper, queue, *ticket, NULL);
    return SPW_OK;
}

static enum spw_status submit(struct spw_device *device, const struct spw_work *work,
                              const struct spw_wait *waits, uint32_t wait_count, uint64_t *ticket)
{
    struct device *wrapper = device_of(device);
    if (put_off(wrapper, wrapper->faults->busy_of_256)) {
        return SPW_ERR_BUSY;
    }
    SPW_TRY(spw_backend_host.submit(wrapper->inner, work, waits, wait_count, ticket));
    if (wrapper->faults->order != NULL) {
        order_work(wrapper->faults->order, wrapper->number, work, waits, wait_count, *ticket);
    }
    count_command(wrapper, SPW_QUEUE_COMPUTE, *ticket, work);
    return SPW_OK;
}

static bool poll(struct spw_device *device, enum spw_queue queue, struct spw_record *out)
{
    struct device *wrapper = device_of(device);
    if ((wrapper->failed && wrapper->faults->silent) ||
        put_off(wrapper, wrapper->faults->late_of_256) ||
        !spw_backend_host.poll(wrapper->inner, queue, out)) {
        return false;
    }
    if (wrapper->faults->order != NULL) {
        order_record(wrapper->faults->order, wrapper->number, queue, out->ticket);
    }
    if (wrapper->fails[queue][out->ticket % TICKETS]) {
        out->status = SPW_ERR_DEVICE;
        wrapper->failed = true;
        wrapper->faults->failed++;
    }
    return true;
}

static void poison(struct spw_device *device, uint64_t offset, uint64_t bytes)
{
    struct device *wrapper = device_of(device);
    if (wrapper->faults->order != NULL) {
        order_poison(wrapper->faults->order, wrapper->number, offset, bytes);
    }
    spw_backend_host.poison(wrapper->inner, offset, bytes);
}

static void fault_describe(const struct spw_device_config *config, struct spw_device_caps *out)
{
    spw_backend_host.describe(config, out);
}

const struct spw_backend fault_backend = {
    .describe = fault_describe,
    .name = "fault",
    .open = open_device,
    .close = close_device,
    .prepare = prepare,
    .copy = copy,
    .submit = submit,
    .poll = poll,
    .poison = poison,
};
