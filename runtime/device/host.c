/* host.c — the host backend: a device made of a bounded piece of RAM and a few threads.
 *
 * The embedded default, the reference that other backends are held against, and the place to learn
 * from what a backend is. It fills one table (spw_backend_host, at the end): a region of fixed
 * size, three ordered queues with a worker each, and the works that a worker runs. The same code,
 * without region and copy queues of its own, makes the host cores, whose region is the homes. It
 * decides nothing: what is copied where, and when, is the executor's business. Tested by
 * tests/runtime/test_host_*.c. */
#include "runtime/device/host.h"

#include "base/assert.h"
#include "base/checked.h"
#include "base/status.h"
#include "runtime/device/machine.h"
#include "runtime/memory/pages.h"

#include <stdio.h>
#include <string.h>

/* fp32 speed per thread of a present-day core, until somebody measures: half of what AVX2 gives. */
#define FLOPS_PER_S_GUESS UINT64_C(50000000000)

static struct spw_host_device *host_of(struct spw_device *device)
{
    /* The first member: the same address. */
    return (struct spw_host_device *)(void *)device;
}

/* ---- opening and closing ---- */

/* The region's memory, between two pages that trap: a kernel that runs out of it stops at once. */
static enum spw_status map_region(struct spw_host_device *host, struct spw_error *error)
{
    const uint64_t page = spw_pages_size();
    const uint64_t wanted = host->device.caps.region_bytes;
    if (wanted == 0 || wanted > INT64_MAX) {
        return SPW_FAIL(error, SPW_ERR_ARGUMENT, "%s: a region of no possible size",
                        host->device.name);
    }
    const uint64_t bytes = spw_round_up(wanted, page);
    host->mapping_bytes = bytes + 2 * page;
    SPW_TRY(spw_pages_reserve(host->mapping_bytes, "a device's region", error, &host->mapping));
    host->region = (char *)host->mapping + page;
    return spw_pages_commit(host->region, bytes, "a device's region", error);
}

static enum spw_status open_lane(struct spw_host_device *host,
                                 const struct spw_device_config *config, struct spw_error *error)
{
    if (host->device.caps.threads > 1) {
        SPW_TRY(spw_pool_create(host->world, host->device.caps.threads, config->cpus, error,
                                &host->pool));
    }
    return spw_lane_create(host->world, host->pool, config->reference_kernels, error, &host->lane);
}

/* Only the compute worker is bound to CPUs: copies may run wherever there is room. */
static enum spw_status open_queues(struct spw_host_device *host, const int *cpus,
                                   struct spw_error *error)
{
    const uint32_t wanted = host->is_cores ? 1 : SPW_QUEUE_COUNT;
    _Static_assert(SPW_QUEUE_COMPUTE == 0, "host cores have the first queue only");
    while (host->queue_count < wanted) {
        const enum spw_queue name = (enum spw_queue)host->queue_count;
        SPW_TRY(spw_host_queue_open(host, name, name == SPW_QUEUE_COMPUTE ? cpus : NULL, error));
        host->queue_count++;
    }
    return SPW_OK;
}

/* Host cores are what they are: only devices are throttled or modelled. */
static void host_describe(const struct spw_device_config *config, struct spw_device_caps *out)
{
    const uint32_t threads = config->threads > 0 ? config->threads : 1;
    *out = (struct spw_device_caps){
        .region_bytes = config->region_bytes,
        .threads = threads,
        .flops_per_s = threads * FLOPS_PER_S_GUESS,
        .holds_data = true,
        .shared_clock = true,
    };
    if (config->is_cores) {
        return;
    }
    out->link_bytes_per_s = config->link_bytes_per_s;
    if (config->pace_model) {
        out->flops_per_s = config->flops_per_s > 0 ? config->flops_per_s
                                                   : SPW_MACHINE_PACE_FLOPS_PER_S;
        if (out->link_bytes_per_s == 0) {
            out->link_bytes_per_s = SPW_MACHINE_PACE_LINK_BYTES_PER_S;
        }
    }
}

static void set_caps(struct spw_host_device *host, const struct spw_device_config *config)
{
    struct spw_device *device = &host->device;
    device->backend = &spw_backend_host;
    host_describe(config, &device->caps);
    if (host->is_cores) {
        device->caps.region_bytes = spw_home_region_bytes(host->home);
        (void)snprintf(device->name, sizeof(device->name), "cores");
        return;
    }
    (void)snprintf(device->name, sizeof(device->name), "host:%u", (unsigned)config->index);
    host->pace_model = config->pace_model;
    host->link_bytes_per_s = device->caps.link_bytes_per_s;
    host->flops_per_s = device->caps.flops_per_s;
}

static void host_close(struct spw_device *device)
{
    if (device == NULL) {
        return;
    }
    struct spw_host_device *host = host_of(device);
    const struct spw_world *world = host->world;
    for (uint32_t i = 0; i < host->queue_count; i++) {
        spw_host_queue_stop(&host->queues[i]);
    }
    /* All workers live until the last has finished: one may still wake another. */
    for (uint32_t i = 0; i < host->queue_count; i++) {
        spw_host_queue_join(&host->queues[i]);
    }
    for (uint32_t i = 0; i < host->queue_count; i++) {
        spw_host_queue_close(&host->queues[i]);
    }
    spw_lane_destroy(host->lane);
    spw_pool_destroy(host->pool);
    spw_pages_drop(host->mapping, host->mapping_bytes);
    spw_release(world, host);
}

static enum spw_status host_open(const struct spw_world *world,
                                 const struct spw_device_config *config, struct spw_gate *gate,
                                 struct spw_error *error, struct spw_device **out)
{
    SPW_ASSERT(config->home != NULL && gate != NULL);
    struct spw_host_device *host;
    SPW_TRY(spw_allocate(world, 1, sizeof(*host), "a host device", error, &host));
    host->world = world;
    host->gate = gate;
    host->home = config->home;
    host->is_cores = config->is_cores;
    host->fast_strings = spw_host_copy_has_fast_strings();
    set_caps(host, config);

    enum spw_status status;
    if (host->is_cores) {
        host->region = spw_home_base(host->home);
    } else {
        SPW_TRY_GOTO(map_region(host, error), fail);
    }
    SPW_TRY_GOTO(open_lane(host, config, error), fail);
    SPW_TRY_GOTO(open_queues(host, config->cpus, error), fail);
    *out = &host->device;
    return SPW_OK;

fail:
    host_close(&host->device);
    return status;
}

/* ---- commands ---- */

static enum spw_status host_prepare(struct spw_device *device, const struct spw_program *program,
                                    int64_t items, struct spw_error *error)
{
    struct spw_host_device *host = host_of(device);
    /* The worker itself prepares, as a lane belongs to one thread at a time. */
    struct spw_host_request request = {.program = program, .items = items, .error = error};
    return spw_host_queue_request(&host->queues[SPW_QUEUE_COMPUTE], &request);
}

/* A wait for what isn't enqueued yet could wait for ever. */
static void add_waits(struct spw_host_device *host, struct spw_host_command *command,
                      const struct spw_wait *waits, uint32_t wait_count)
{
    SPW_ASSERT(wait_count <= SPW_WAITS_MAX);
    command->wait_count = 0;
    for (uint32_t i = 0; i < wait_count; i++) {
        if (waits[i].ticket > 0) {
            SPW_ASSERT((uint32_t)waits[i].queue < host->queue_count);
            SPW_ASSERT(waits[i].ticket <= atomic_load(&host->queues[waits[i].queue].submitted));
            command->waits[command->wait_count++] = waits[i];
        }
    }
    command->enqueued_ns = spw_now_ns(host->world);
}

static enum spw_status host_copy(struct spw_device *device, enum spw_queue queue,
                                 const struct spw_copy *copies, uint32_t copy_count,
                                 const struct spw_wait *waits, uint32_t wait_count,
                                 uint64_t *ticket)
{
    struct spw_host_device *host = host_of(device);
    SPW_ASSERT(queue == SPW_QUEUE_IN || queue == SPW_QUEUE_OUT);
    SPW_ASSERT(copy_count > 0 && copy_count <= SPW_COPIES_MAX);
    if (host->is_cores) {
        return SPW_ERR_UNSUPPORTED; /* their region is the homes: there is nothing to copy */
    }
    struct spw_host_command *command = spw_host_queue_slot(&host->queues[queue]);
    if (command == NULL) {
        return SPW_ERR_BUSY;
    }
    for (uint32_t i = 0; i < copy_count; i++) {
        SPW_ASSERT(copies[i].bytes <= device->caps.region_bytes);
        SPW_ASSERT(copies[i].region_offset <= device->caps.region_bytes - copies[i].bytes);
        command->copies[i] = copies[i];
    }
    command->is_copy = true;
    command->copy_count = copy_count;
    add_waits(host, command, waits, wait_count);
    *ticket = spw_host_queue_push(&host->queues[queue]);
    return SPW_OK;
}

static enum spw_status host_submit(struct spw_device *device, const struct spw_work *work,
                                   const struct spw_wait *waits, uint32_t wait_count,
                                   uint64_t *ticket)
{
    struct spw_host_device *host = host_of(device);
    struct spw_host_queue *queue = &host->queues[SPW_QUEUE_COMPUTE];
    struct spw_host_command *command = spw_host_queue_slot(queue);
    if (command == NULL) {
        return SPW_ERR_BUSY;
    }
    spw_host_work_check(host, work);
    command->work = *work;
    command->is_copy = false;
    add_waits(host, command, waits, wait_count);
    *ticket = spw_host_queue_push(queue);
    return SPW_OK;
}

static bool host_poll(struct spw_device *device, enum spw_queue queue, struct spw_record *out)
{
    struct spw_host_device *host = host_of(device);
    return (uint32_t)queue < host->queue_count && spw_host_queue_poll(&host->queues[queue], out);
}

/* On the caller's thread: nothing uses a free range. */
static void host_poison(struct spw_device *device, uint64_t offset, uint64_t bytes)
{
    struct spw_host_device *host = host_of(device);
    SPW_ASSERT(bytes <= device->caps.region_bytes);
    SPW_ASSERT(offset <= device->caps.region_bytes - bytes);
    const uint32_t quiet_nan = UINT32_C(0x7fc00000);
    for (uint64_t i = 0; i + sizeof(quiet_nan) <= bytes; i += sizeof(quiet_nan)) {
        memcpy(host->region + offset + i, &quiet_nan, sizeof(quiet_nan));
    }
}

const struct spw_backend spw_backend_host = {
    .name = "host",
    .describe = host_describe,
    .open = host_open,
    .close = host_close,
    .prepare = host_prepare,
    .copy = host_copy,
    .submit = host_submit,
    .poll = host_poll,
    .poison = host_poison,
};
