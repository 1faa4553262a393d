/* sim_cost.c — how long a simulated command takes, in whole nanoseconds.
 *
 * Programs: the roofline of each call (partitioner/rates.h), worked out once per program and number
 * of items, as a program has hundreds of calls. Works on the host cores, and updates on a device,
 * are bound by memory: bytes read and written at the rate of that memory. Copies: a latency for
 * each range, then the bytes at the link's rate. Tested by tests/runtime/test_sim_cost.c. */
#include "runtime/device/sim.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"
#include "partitioner/rates.h"

struct spw_sim_cost_entry {
    const struct spw_program *program; /* NULL: free */
    int64_t items;
    uint32_t part;
    uint64_t program_ns, epilogue_ns;
};

void spw_sim_costs_deinit(struct spw_sim_costs *costs)
{
    spw_release(costs->world, costs->entries);
    *costs = (struct spw_sim_costs){.world = costs->world};
}

/* The entry of a key, or the free one where it belongs. The table is never full. */
static struct spw_sim_cost_entry *find(const struct spw_sim_costs *costs, uint32_t part,
                                       const struct spw_program *program, int64_t items)
{
    const uint64_t key[] = {(uint64_t)(uintptr_t)program, (uint64_t)items, part};
    uint64_t at = spw_hash(key, sizeof(key), 0);
    for (;; at++) {
        struct spw_sim_cost_entry *entry = &costs->entries[at & (costs->capacity - 1)];
        if (entry->program == NULL ||
            (entry->program == program && entry->items == items && entry->part == part)) {
            return entry;
        }
    }
}

static enum spw_status make_room(struct spw_sim_costs *costs, struct spw_error *error)
{
    if (2 * (costs->count + 1) <= costs->capacity) {
        return SPW_OK;
    }
    struct spw_sim_costs bigger = {.world = costs->world,
                                   .capacity = costs->capacity > 0 ? 2 * costs->capacity : 256,
                                   .count = costs->count};
    SPW_TRY(spw_allocate(costs->world, bigger.capacity, sizeof(*bigger.entries),
                         "the times of programs", error, &bigger.entries));
    for (uint64_t i = 0; i < costs->capacity; i++) {
        const struct spw_sim_cost_entry *entry = &costs->entries[i];
        if (entry->program != NULL) {
            *find(&bigger, entry->part, entry->program, entry->items) = *entry;
        }
    }
    spw_sim_costs_deinit(costs);
    *costs = bigger;
    return SPW_OK;
}

static struct spw_rates rates_of(const struct spw_device_model *model)
{
    return (struct spw_rates){.flops_per_s = model->flops_per_s,
                              .memory_bytes_per_s = model->memory_bytes_per_s,
                              .launch_ns = model->launch_ns};
}

enum spw_status spw_sim_costs_prepare(struct spw_sim_costs *costs, uint32_t part,
                                      const struct spw_device_model *model,
                                      const struct spw_program *program, int64_t items,
                                      struct spw_error *error)
{
    SPW_TRY(make_room(costs, error));
    struct spw_sim_cost_entry *entry = find(costs, part, program, items);
    if (entry->program != NULL) {
        return SPW_OK; /* prepared on another device */
    }
    const struct spw_rates rates = rates_of(model);
    *entry = (struct spw_sim_cost_entry){
        .program = program,
        .items = items,
        .part = part,
        .program_ns = spw_rates_program_ns(&rates, program, items),
        .epilogue_ns = spw_rates_epilogue_ns(&rates, program, items),
    };
    costs->count++;
    return SPW_OK;
}

static uint64_t program_ns(const struct spw_sim_costs *costs, uint32_t part,
                           const struct spw_work *work)
{
    const struct spw_sim_cost_entry *entry =
        costs->capacity == 0 ? NULL : find(costs, part, work->program.program, work->program.items);
    if (entry == NULL || entry->program == NULL) {
        return work->model_ns;
    }
    return entry->program_ns + (work->program.epilogue ? entry->epilogue_ns : 0);
}

/* Read and written. */
static uint64_t memory_bytes(const struct spw_work *work)
{
    switch (work->kind) {
    case SPW_WORK_UPDATE: {
        const uint64_t moments = spw_update_moments(&work->update.scalars[0]);
        return work->update.piece.bytes * (3 + 2 * moments);
    }
    case SPW_WORK_REDUCE:
        return work->reduce.piece.bytes * (work->reduce.accumulators + 1);
    case SPW_WORK_GATHER: {
        const uint64_t size = (uint64_t)work->gather.micro_batch;
        const uint64_t packs = ((uint64_t)work->gather.count + size - 1) / size;
        return 2 * packs * (work->gather.x_stride_bytes + work->gather.targets_stride_bytes);
    }
    case SPW_WORK_PROGRAM:
        return 0;
    }
    SPW_NEVER("a work of no kind");
}

struct spw_sim_cost spw_sim_cost_device(const struct spw_sim_costs *costs, uint32_t part,
                                        const struct spw_device_model *model,
                                        const struct spw_work *work)
{
    if (work->kind == SPW_WORK_PROGRAM) {
        return (struct spw_sim_cost){.ns = program_ns(costs, part, work)};
    }
    return (struct spw_sim_cost){.ns = model->launch_ns +
                                       spw_rates_ns(memory_bytes(work), model->memory_bytes_per_s)};
}

struct spw_sim_cost spw_sim_cost_cores(const struct spw_host_model *model,
                                       const struct spw_work *work)
{
    return (struct spw_sim_cost){
        .ns = model->cores_launch_ns,
        .bytes = memory_bytes(work),
        .bytes_per_s = model->cores_bytes_per_s,
    };
}

struct spw_sim_cost spw_sim_cost_copy(const struct spw_device_model *model,
                                      const struct spw_copy *copies, uint32_t count)
{
    struct spw_sim_cost cost = {.ns = count * model->link_latency_ns,
                                .bytes_per_s = model->link.bytes_per_s};
    for (uint32_t i = 0; i < count; i++) {
        cost.bytes += copies[i].bytes;
    }
    return cost;
}
