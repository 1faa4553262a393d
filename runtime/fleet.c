/* fleet.c — see fleet.h. */
#include "runtime/fleet.h"

#include "base/assert.h"
#include "base/status.h"
#include "runtime/device/sim.h"
#include "runtime/schedule/executor.h"

#include <stdlib.h>

/* A job that has been added. */
struct entry {
    struct spw_job_config config;
    struct spw_plan *plan; /* shared with jobs that need the same */
    uint64_t work_ns;      /* of all its steps, on one device */
    uint32_t host;
    struct spw_job *job; /* NULL until it is dealt out */
};

/* A host with what it has been given. */
struct load {
    uint64_t work_ns;
    uint32_t host;
};

struct spw_fleet {
    const struct spw_world *world;
    struct spw_machine machine;
    struct spw_simulator *simulator;
    struct spw_run **runs;
    uint32_t host_count, open_count; /* runs that there are */
    struct entry *entries;
    uint64_t entry_count, entry_capacity;
};

/* ---- life ---- */

static enum spw_status open_runs(struct spw_fleet *fleet, const struct spw_run_config *config,
                                 const struct spw_run_events *events, struct spw_error *error)
{
    SPW_TRY(spw_allocate(fleet->world, fleet->host_count, sizeof(struct spw_run *),
                         "the hosts' runs", error, &fleet->runs));
    struct spw_run_config of_host = *config;
    of_host.simulator = fleet->simulator;
    of_host.machine.device_count = fleet->machine.device_count / fleet->host_count;
    of_host.machine.hosts = 1;
    while (fleet->open_count < fleet->host_count) {
        of_host.host = fleet->open_count;
        of_host.policy_seed = config->policy_seed + fleet->open_count;
        of_host.events = events != NULL ? events[fleet->open_count] : config->events;
        SPW_TRY(spw_run_create(fleet->world, &of_host, error, &fleet->runs[fleet->open_count]));
        fleet->open_count++;
    }
    return SPW_OK;
}

enum spw_status spw_fleet_create(const struct spw_world *world, const struct spw_run_config *config,
                                 const struct spw_run_events *events, struct spw_error *error,
                                 struct spw_fleet **out)
{
    if (config->machine.kind != SPW_MACHINE_SIM || config->model == NULL) {
        return SPW_FAIL(error, SPW_ERR_ARGUMENT, "a fleet without a model of its machine");
    }
    struct spw_fleet *fleet = NULL;
    SPW_TRY(spw_allocate(world, 1, sizeof(*fleet), "a fleet", error, &fleet));
    fleet->world = world;
    fleet->machine = config->machine;
    fleet->host_count = config->machine.hosts > 1 ? config->machine.hosts : 1;
    enum spw_status status =
        spw_simulator_create(world, &config->machine, config->model, error, &fleet->simulator);
    if (status == SPW_OK) {
        status = open_runs(fleet, config, events, error);
    }
    if (status != SPW_OK) {
        spw_fleet_destroy(fleet);
        return status;
    }
    *out = fleet;
    return SPW_OK;
}

void spw_fleet_destroy(struct spw_fleet *fleet)
{
    if (fleet == NULL) {
        return;
    }
    for (uint32_t host = 0; host < fleet->open_count; host++) {
        spw_run_destroy(fleet->runs[host]);
    }
    for (uint64_t i = 0; i < fleet->entry_count; i++) {
        spw_plan_destroy(fleet->entries[i].plan);
    }
    spw_simulator_destroy(fleet->simulator);
    spw_release(fleet->world, fleet->runs);
    spw_release(fleet->world, fleet->entries);
    spw_release(fleet->world, fleet);
}

uint32_t spw_fleet_hosts(const struct spw_fleet *fleet)
{
    return fleet->host_count;
}

struct spw_run *spw_fleet_run(const struct spw_fleet *fleet, uint32_t host)
{
    SPW_ASSERT(host < fleet->host_count);
    return fleet->runs[host];
}

const struct spw_machine *spw_fleet_machine(const struct spw_fleet *fleet)
{
    return &fleet->machine;
}

/* ---- jobs ---- */

static uint64_t work_of(const struct spw_job_config *config, const struct spw_plan *plan)
{
    const uint64_t items = (uint64_t)spw_dataset_info(config->train)->items;
    const uint64_t steps = config->max_steps != 0
                               ? config->max_steps
                               : config->epochs * ((items - 1) / (uint64_t)config->batch + 1);
    return steps * plan->totals.step_time_ns;
}

static struct spw_plan *known_plan(const struct spw_fleet *fleet,
                                   const struct spw_job_config *config)
{
    const uint32_t moments = spw_optimizer_moments(&config->optimizer);
    for (uint64_t i = 0; i < fleet->entry_count; i++) {
        const struct entry *entry = &fleet->entries[i];
        if (entry->config.graph == config->graph && entry->config.batch == config->batch &&
            entry->config.micro_batch == config->micro_batch &&
            entry->config.grad_groups == config->grad_groups &&
            entry->plan->options.moments == moments) {
            return entry->plan;
        }
    }
    return NULL;
}

enum spw_status spw_fleet_add(struct spw_fleet *fleet, const struct spw_job_config *config,
                              struct spw_error *error)
{
    SPW_TRY(spw_grow(fleet->world, &fleet->entries, &fleet->entry_capacity, fleet->entry_count + 1,
                     sizeof(*fleet->entries), "the fleet's jobs", error));
    struct spw_plan *plan = known_plan(fleet, config);
    if (plan != NULL) {
        plan = spw_plan_share(plan);
    } else {
        SPW_TRY(spw_run_plan(fleet->runs[0], config, error, &plan));
    }
    fleet->entries[fleet->entry_count++] =
        (struct entry){.config = *config, .plan = plan, .work_ns = work_of(config, plan)};
    return SPW_OK;
}

uint32_t spw_fleet_job_count(const struct spw_fleet *fleet)
{
    return (uint32_t)fleet->entry_count;
}

struct spw_job *spw_fleet_job(const struct spw_fleet *fleet, uint32_t index, uint32_t *host)
{
    SPW_ASSERT(index < fleet->entry_count && fleet->entries[index].job != NULL);
    if (host != NULL) {
        *host = fleet->entries[index].host;
    }
    return fleet->entries[index].job;
}

/* The longest first; of equal ones, the first added. */
static int longer_first(const void *a, const void *b)
{
    const struct entry *const *first = a;
    const struct entry *const *second = b;
    if ((*first)->work_ns != (*second)->work_ns) {
        return (*first)->work_ns > (*second)->work_ns ? -1 : 1;
    }
    return *first < *second ? -1 : 1;
}

/* Lets the least loaded of a heap of hosts (of equal ones, the first) come to its top again. */
static void sink(struct load *loads, uint32_t count)
{
    uint32_t at = 0;
    for (;;) {
        uint32_t least = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            const bool less = loads[child].work_ns < loads[least].work_ns ||
                              (loads[child].work_ns == loads[least].work_ns &&
                               loads[child].host < loads[least].host);
            least = less ? child : least;
        }
        if (least == at) {
            return;
        }
        const struct load swapped = loads[at];
        loads[at] = loads[least];
        loads[least] = swapped;
        at = least;
    }
}

static enum spw_status choose_hosts(struct spw_fleet *fleet, struct spw_error *error)
{
    struct entry **order = NULL;
    struct load *loads = NULL;
    enum spw_status status = spw_allocate(fleet->world, fleet->entry_count + 1, sizeof(*order),
                                          "the order of jobs", error, &order);
    if (status == SPW_OK) {
        status = spw_allocate(fleet->world, fleet->host_count, sizeof(*loads), "the hosts' loads",
                              error, &loads);
    }
    if (status == SPW_OK) {
        for (uint64_t i = 0; i < fleet->entry_count; i++) {
            order[i] = &fleet->entries[i];
        }
        for (uint32_t host = 0; host < fleet->host_count; host++) {
            loads[host].host = host;
        }
        qsort((void *)order, fleet->entry_count, sizeof(*order), longer_first);
        for (uint64_t i = 0; i < fleet->entry_count; i++) {
            order[i]->host = loads[0].host;
            loads[0].work_ns += order[i]->work_ns;
            sink(loads, fleet->host_count);
        }
    }
    spw_release(fleet->world, (void *)order);
    spw_release(fleet->world, loads);
    return status;
}

/* Hosts get their jobs in order of adding, which policies may look at. */
static enum spw_status deal_out(struct spw_fleet *fleet, struct spw_error *error)
{
    SPW_TRY(choose_hosts(fleet, error));
    for (uint64_t i = 0; i < fleet->entry_count; i++) {
        struct entry *entry = &fleet->entries[i];
        SPW_TRY(spw_run_add_planned(fleet->runs[entry->host], &entry->config, entry->plan, error,
                                    &entry->job));
    }
    return SPW_OK;
}

/* ---- running ---- */

/* Turns of one run until it must wait. True if it is over. */
static bool go_on(struct spw_run *run, uint64_t *seen)
{
    for (;;) {
        *seen = spw_gate_count(run->gate);
        switch (spw_executor_turn(run)) {
        case SPW_EXECUTOR_AGAIN:
            break;
        case SPW_EXECUTOR_WAIT:
            return false;
        case SPW_EXECUTOR_OVER:
            return true;
        }
    }
}

/* Runs whose gate was knocked at go on; when all wait, time does. A run that is over stays so. */
static void run_all(struct spw_fleet *fleet, uint64_t *seen, bool *over)
{
    uint32_t left = fleet->host_count;
    while (left > 0) {
        for (uint32_t host = 0; host < fleet->host_count; host++) {
            struct spw_run *run = fleet->runs[host];
            if (!over[host] && seen[host] != spw_gate_count(run->gate)) {
                over[host] = go_on(run, &seen[host]);
                left -= over[host];
            }
        }
        if (left > 0) {
            spw_simulator_advance(fleet->simulator);
        }
    }
}

static enum spw_status begin_all(struct spw_fleet *fleet, uint64_t *seen, struct spw_error *error)
{
    for (uint32_t host = 0; host < fleet->host_count; host++) {
        SPW_TRY(spw_executor_begin(fleet->runs[host], error));
        seen[host] = UINT64_MAX; /* a first turn, without a knock */
    }
    return SPW_OK;
}

enum spw_status spw_fleet_execute(struct spw_fleet *fleet, struct spw_error *error)
{
    uint64_t *seen = NULL;
    bool *over = NULL;
    enum spw_status status;
    SPW_TRY(deal_out(fleet, error));
    SPW_TRY_GOTO(spw_allocate(fleet->world, fleet->host_count, sizeof(*seen), "the hosts' knocks",
                              error, &seen),
                 out);
    SPW_TRY_GOTO(spw_allocate(fleet->world, fleet->host_count, sizeof(*over), "the hosts' ends",
                              error, &over),
                 out);
    SPW_TRY_GOTO(begin_all(fleet, seen, error), out);
    run_all(fleet, seen, over);
    for (uint32_t host = 0; host < fleet->host_count; host++) {
        const enum spw_status ended = spw_executor_end(fleet->runs[host], error);
        status = status == SPW_OK ? ended : status;
    }
out:
    spw_release(fleet->world, seen);
    spw_release(fleet->world, over);
    return status;
}

void spw_fleet_interrupt(struct spw_fleet *fleet)
{
    for (uint32_t host = 0; host < fleet->host_count; host++) {
        spw_run_interrupt(fleet->runs[host]);
    }
}
