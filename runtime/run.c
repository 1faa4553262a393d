/* run.c — opens and closes a run: devices, homes, executor state; plans and adds jobs. The loop is
 * schedule/executor.c, the questions are in run_look.c. Tested by tests/bits/test_run.c. */
#include "runtime/schedule/executor.h"

#include "base/assert.h"
#include "base/checked.h"
#include "runtime/device/sim.h"
#include "runtime/device/topology.h"
#include "runtime/schedule/pilot.h"
#include <stdio.h>
#include <string.h>

static const uint64_t HOST_LINK_BYTES_PER_S = 8000000000; /* of one copying core, estimate */
static const uint64_t CHUNK_MIN_BYTES = 4096;

/* ---- opening ---- */

/* CPUs of one device's compute lane, as spw_thread_start() takes them, where binding pays: on
 * machines with several NUMA nodes and a CPU for each thread. False: leave it to the system. */
static bool choose_cpus(const struct spw_run *run, uint32_t index, int *cpus)
{
    const uint32_t threads = run->config.machine.threads;
    if (run->topology.numa_nodes < 2 || threads * run->device_count > run->topology.cpus ||
        index == run->device_count) {
        return false;
    }
    for (uint32_t i = 0; i < threads; i++) {
        cpus[i] = run->topology.cpu[index * threads + i] + 1;
    }
    cpus[threads] = 0;
    return true;
}

static const struct spw_backend *backend_of(const struct spw_run *run)
{
    if (run->config.backend != NULL) {
        return run->config.backend;
    }
    return run->config.machine.kind == SPW_MACHINE_SIM ? &spw_backend_sim : &spw_backend_host;
}

/* The number of a place in the whole machine, of which this run may have one host: devices of all
 * hosts first, then the hosts' cores. */
static uint32_t machine_index(const struct spw_run *run, uint32_t index)
{
    if (run->simulator == NULL) {
        return index;
    }
    return index < run->device_count
               ? run->config.host * run->device_count + index
               : spw_simulator_machine(run->simulator)->device_count + run->config.host;
}

/* Simulated devices may be unlike; the run's memory is that of the smallest. */
static uint64_t region_bytes(const struct spw_run *run, uint32_t index)
{
    if (run->simulator == NULL) {
        return run->config.machine.mem_bytes;
    }
    const uint32_t part =
        spw_machine_part_of(spw_simulator_machine(run->simulator), machine_index(run, index));
    return spw_simulator_model(run->simulator)->devices[part].mem_bytes;
}

static struct spw_device_config device_config(const struct spw_run *run, uint32_t index)
{
    const bool is_cores = index == run->device_count;
    const struct spw_machine *machine = &run->config.machine;
    return (struct spw_device_config){
        .index = machine_index(run, index),
        .region_bytes = is_cores ? run->config.host_bytes : region_bytes(run, index),
        .link_bytes_per_s = machine->link_bytes_per_s,
        .threads = is_cores ? 1 : machine->threads,
        .pace_model = machine->pace_model && !is_cores,
        .reference_kernels = run->config.reference_kernels,
        .home = run->home,
        .is_cores = is_cores,
        .simulator = run->simulator,
    };
}

/* Long copies are cut, so that short ones can get between: into pieces of about 250 us, which is
 * far longer than enqueuing one takes. */
static uint64_t chunk_bytes(uint64_t link_bytes_per_s)
{
    const uint64_t bytes = (link_bytes_per_s != 0 ? link_bytes_per_s : HOST_LINK_BYTES_PER_S) /
                           4000 / SPW_DEVICE_ALIGNMENT * SPW_DEVICE_ALIGNMENT;
    return bytes > CHUNK_MIN_BYTES ? bytes : CHUNK_MIN_BYTES;
}

static enum spw_status open_device(struct spw_run *run, uint32_t index, struct spw_error *error)
{
    struct spw_place *place = &run->places[index];
    const bool is_cores = index == run->device_count;
    int cpus[SPW_CPUS_MAX + 1];
    struct spw_device_config config = device_config(run, index);
    config.cpus = choose_cpus(run, index, cpus) ? cpus : NULL;
    place->index = index;
    place->is_cores = is_cores;
    SPW_TRY(backend_of(run)->open(run->world, &config, run->gate, error, &place->device));
    place->chunk_bytes = chunk_bytes(place->device->caps.link_bytes_per_s);
    (void)snprintf(place->stats.name, sizeof place->stats.name, "%s", place->device->name);
    place->stats.region_bytes = is_cores ? 0 : config.region_bytes;
    for (int queue = 0; queue < SPW_QUEUE_COUNT; queue++) {
        SPW_TRY(spw_allocate(run->world, COMMAND_RING, sizeof *place->ring[queue],
                             "the executor's command table", error, &place->ring[queue]));
    }
    return is_cores ? SPW_OK
                    : spw_residency_init(&place->residency, run->world, place->device, index,
                                         run->config.poison, error);
}

/* A simulated run lives in a world of its own, or in one that it shares with the runs of other
 * hosts, where time is virtual; its machine's memory is not this one's. Plans are for the device
 * with the least memory, and the speed of the first. */
static enum spw_status enter_simulation(struct spw_run *run, struct spw_error *error)
{
    struct spw_machine *machine = &run->config.machine;
    run->simulator = run->config.simulator;
    if (run->simulator == NULL) {
        if (run->config.model == NULL) {
            return SPW_FAIL(error, SPW_ERR_ARGUMENT, "a simulated machine without a model of it");
        }
        SPW_TRY(
            spw_simulator_create(run->world, machine, run->config.model, error, &run->simulator));
        run->owns_simulator = true;
    }
    run->config.model = NULL;
    run->world = spw_simulator_world(run->simulator);
    machine->mem_bytes = region_bytes(run, 0);
    for (uint32_t i = 1; i < run->device_count; i++) {
        const uint64_t bytes = region_bytes(run, i);
        machine->mem_bytes = bytes < machine->mem_bytes ? bytes : machine->mem_bytes;
    }
    if (run->config.host_bytes == 0) {
        run->config.host_bytes = spw_simulator_model(run->simulator)->host.mem_bytes;
    }
    const struct spw_device_config config = device_config(run, 0);
    backend_of(run)->describe(&config, &run->caps);
    run->caps.region_bytes = machine->mem_bytes;
    return SPW_OK;
}

static enum spw_status set_sizes(struct spw_run *run, struct spw_error *error)
{
    if (run->config.machine.kind == SPW_MACHINE_SIM) {
        return enter_simulation(run, error);
    }
    if (run->config.machine.mem_bytes == 0) {
        run->config.machine.mem_bytes = SPW_MACHINE_HOST_MEM_BYTES;
    }
    SPW_TRY(spw_topology_read(&run->topology, error));
    const struct spw_device_config config = device_config(run, 0);
    backend_of(run)->describe(&config, &run->caps);
    uint64_t regions;
    const bool fits =
        spw_checked_multiply(run->config.machine.mem_bytes, run->device_count, &regions) &&
        regions <= run->topology.free_bytes;
    if (!fits && run->config.plan_only) {
        /* Plans may be for a larger machine than this; its host memory is not known. */
        run->config.host_bytes = run->config.host_bytes != 0 ? run->config.host_bytes : INT64_MAX;
        return SPW_OK;
    }
    if (!fits) {
        return SPW_FAIL(
            error, SPW_ERR_DOES_NOT_FIT,
            "%u host devices of %llu bytes each need more than the %llu bytes of memory "
            "that are free here; lower mem or the number of devices",
            run->device_count, (unsigned long long)run->config.machine.mem_bytes,
            (unsigned long long)run->topology.free_bytes);
    }
    if (run->config.host_bytes == 0) {
        run->config.host_bytes = (run->topology.free_bytes - regions) / 5 * 4 / 4096 * 4096;
    }
    return SPW_OK;
}

static enum spw_status open_homes(struct spw_run *run, struct spw_error *error)
{
    const uint64_t bytes = run->config.host_bytes;
    return run->caps.holds_data
               ? spw_home_create(run->world, bytes, run->config.guarded_homes, error, &run->home)
               : spw_home_create_addresses(
                     run->world, bytes,
                     run->config.shadow ? &spw_simulator_effects(run->simulator)->faults : NULL,
                     error, &run->home);
}

static enum spw_status open_run(struct spw_run *run, struct spw_error *error)
{
    SPW_TRY(spw_gate_create(run->world, error, &run->gate));
    SPW_TRY(open_homes(run, error));
    if (run->simulator != NULL) {
        spw_simulator_drive(run->simulator, run->gate);
    }
    SPW_TRY(spw_allocate(run->world, run->device_count + 1, sizeof *run->places, "the devices",
                         error, &run->places));
    for (uint32_t i = 0; i < run->device_count; i++) {
        SPW_TRY(open_device(run, i, error));
    }
    return open_device(run, run->device_count, error);
}

/* What the pilot may take for a moment: no op of a plan is larger than a device, and homes, whose
 * memory is not taken before jobs are admitted, leave room. Plans for a larger machine must not
 * take more than this one has. */
static uint64_t pilot_bytes(const struct spw_run *run)
{
    const uint64_t here = run->topology.free_bytes / 5 * 4;
    const uint64_t homes = run->config.host_bytes < here ? run->config.host_bytes : here;
    return run->config.machine.mem_bytes < homes ? run->config.machine.mem_bytes : homes;
}

/* Modelled and simulated devices have modelled times. */
static enum spw_status open_pilot(struct spw_run *run, struct spw_error *error)
{
    if (!run->config.pilot || run->config.machine.pace_model || run->caps.virtual_time) {
        return SPW_OK;
    }
    return spw_pilot_create(run->world, run->config.machine.threads, run->config.reference_kernels,
                            pilot_bytes(run), error, &run->pilot);
}

enum spw_status spw_run_create(const struct spw_world *world, const struct spw_run_config *config,
                               struct spw_error *error, struct spw_run **out)
{
    if (config->machine.kind == SPW_MACHINE_CUDA) {
        return SPW_FAIL(error, SPW_ERR_UNSUPPORTED, "this build has no CUDA devices");
    }
    if (config->machine.device_count == 0) {
        return SPW_FAIL(error, SPW_ERR_ARGUMENT, "a machine without devices");
    }
    struct spw_run *run = NULL;
    SPW_TRY(spw_allocate(world, 1, sizeof *run, "a run", error, &run));
    run->world = world;
    run->outer_world = world;
    run->config = *config;
    run->device_count = config->machine.device_count;
    run->depth = config->prefetch == 0 ? 0 : COMMITTED_MAX - 1;
    run->update_place = config->update_place < 0 ? SPW_UPDATE_ON_CORES
                                                 : (enum spw_update_place)config->update_place;
    run->policy = spw_policy(config->policy);
    enum spw_status status = set_sizes(run, error);
    if (status == SPW_OK && !run->config.plan_only) {
        status = open_run(run, error);
    }
    if (status == SPW_OK) {
        status = open_pilot(run, error);
    }
    if (status != SPW_OK) {
        spw_run_destroy(run);
        return status;
    }
    *out = run;
    return SPW_OK;
}

void spw_run_destroy(struct spw_run *run)
{
    if (run == NULL) {
        return;
    }
    for (uint32_t i = 0; run->places != NULL && i <= run->device_count; i++) {
        struct spw_place *place = &run->places[i];
        if (place->device != NULL) {
            place->device->backend->close(place->device);
        }
        if (place->residency.extents != NULL) {
            spw_residency_deinit(&place->residency);
        }
        for (int queue = 0; queue < SPW_QUEUE_COUNT; queue++) {
            spw_release(run->world, place->ring[queue]);
        }
    }
    for (uint64_t i = 0; i < run->job_count; i++) {
        spw_job_destroy(run->jobs[i]);
    }
    spw_release(run->world, run->jobs);
    spw_release(run->world, run->candidates);
    spw_release(run->world, run->places);
    spw_pilot_destroy(run->pilot);
    spw_home_destroy(run->home);
    spw_gate_destroy(run->gate);
    if (run->owns_simulator) {
        spw_simulator_destroy(run->simulator); /* its world is the one used so far */
    }
    spw_release(run->outer_world, run);
}

/* ---- jobs ---- */

/* What planning divides by. */
static enum spw_status check_sizes(const struct spw_job_config *config, struct spw_error *error)
{
    if (config->batch < 1 || config->micro_batch < 1 || config->grad_groups < 1) {
        return SPW_FAIL(error, SPW_ERR_ARGUMENT,
                        "job %s: batch, micro_batch and grad_groups must be at least 1",
                        config->id);
    }
    return SPW_OK;
}

static struct spw_plan_options plan_options(const struct spw_run *run,
                                            const struct spw_job_config *config)
{
    const struct spw_device_caps *caps = &run->caps;
    const int64_t batches = (config->batch + config->micro_batch - 1) / config->micro_batch;
    return (struct spw_plan_options){
        .device_bytes = caps->region_bytes,
        .micro_batch = config->micro_batch < config->batch ? config->micro_batch : config->batch,
        .micro_batches = batches,
        .batch = config->batch,
        .grad_groups = config->grad_groups,
        .moments = spw_optimizer_moments(&config->optimizer),
        .ring_slots = 4,
        .threads = caps->threads,
        .double_buffer = run->depth > 0,
        .least_memory = run->config.least_memory,
        .update_place = run->update_place,
        .link_bytes_per_s = caps->link_bytes_per_s != 0 ? caps->link_bytes_per_s
                                                        : HOST_LINK_BYTES_PER_S,
        .flops_per_s = caps->flops_per_s,
        .memory_bytes_per_s = caps->memory_bytes_per_s,
        .launch_ns = caps->launch_ns,
        .measure = run->pilot != NULL ? spw_pilot_measure : NULL,
        .measure_context = run->pilot,
        .cuts = run->config.cuts,
        .cut_count = run->config.cut_count,
        .keep = run->config.keep,
    };
}

enum spw_status spw_run_plan(struct spw_run *run, const struct spw_job_config *config,
                             struct spw_error *error, struct spw_plan **out)
{
    SPW_TRY(check_sizes(config, error));
    const struct spw_plan_options options = plan_options(run, config);
    return spw_plan_create(run->world, config->graph, &options, error, out);
}

enum spw_status spw_run_least_memory(struct spw_run *run, const struct spw_job_config *config,
                                     struct spw_error *error, uint64_t *bytes)
{
    SPW_TRY(check_sizes(config, error));
    const struct spw_plan_options options = plan_options(run, config);
    return spw_plan_least_memory(run->world, config->graph, &options, error, bytes);
}

static enum spw_status make_room_for_job(struct spw_run *run, const struct spw_job_config *config,
                                         struct spw_error *error)
{
    uint64_t groups = (uint64_t)config->grad_groups;
    for (uint64_t i = 0; i < run->job_count; i++) {
        groups += (uint64_t)run->jobs[i]->config.grad_groups;
    }
    SPW_TRY(spw_grow(run->world, &run->candidates, &run->candidate_capacity, groups,
                     sizeof *run->candidates, "the candidates", error));
    return spw_grow(run->world, &run->jobs, &run->job_capacity, run->job_count + 1,
                    sizeof(struct spw_job *), "the jobs", error);
}

/* The plan of a job that is already there and needs the same, or NULL: trials may be many, and
 * planning takes milliseconds. */
static struct spw_plan *known_plan(const struct spw_run *run, const struct spw_job_config *config)
{
    const uint32_t moments = spw_optimizer_moments(&config->optimizer);
    for (uint64_t i = 0; i < run->job_count; i++) {
        const struct spw_job *job = run->jobs[i];
        if (job->config.graph == config->graph && job->config.batch == config->batch &&
            job->config.micro_batch == config->micro_batch &&
            job->config.grad_groups == config->grad_groups &&
            job->plan->options.moments == moments) {
            return job->plan;
        }
    }
    return NULL;
}

enum spw_status spw_run_add(struct spw_run *run, const struct spw_job_config *config,
                            struct spw_error *error, struct spw_job **out)
{
    return spw_run_add_planned(run, config, NULL, error, out);
}

enum spw_status spw_run_add_planned(struct spw_run *run, const struct spw_job_config *config,
                                    struct spw_plan *with, struct spw_error *error,
                                    struct spw_job **out)
{
    SPW_TRY(check_sizes(config, error));
    struct spw_job_config checked = *config;
    if (checked.micro_batch > checked.batch) {
        checked.micro_batch = checked.batch;
    }
    checked.shuffle = checked.shuffle && run->caps.holds_data; /* an order costs memory */
    struct spw_plan *plan = with != NULL ? with : known_plan(run, &checked);
    struct spw_job *job = NULL;
    SPW_TRY(make_room_for_job(run, &checked, error));
    if (plan != NULL) {
        plan = spw_plan_share(plan);
    } else {
        SPW_TRY(spw_run_plan(run, &checked, error, &plan));
    }
    enum spw_status status =
        spw_job_create(run, run->world, &checked, plan, (uint32_t)run->job_count, error, &job);
    if (status != SPW_OK) {
        spw_plan_destroy(plan);
        return status;
    }
    job->home_bytes = spw_job_home_bytes(job);
    const uint64_t need = job->home_bytes;
    SPW_ASSERT(need == plan->totals.home_bytes); /* what was printed is what is taken */
    if (need > run->config.host_bytes) {
        status = SPW_FAIL(
            error, SPW_ERR_DOES_NOT_FIT,
            "job %s: its state and activations need %llu bytes of host memory, %llu more "
            "than the budget of %llu; raise resources.host_memory or lower batch",
            job->id, (unsigned long long)need, (unsigned long long)(need - run->config.host_bytes),
            (unsigned long long)run->config.host_bytes);
        spw_job_destroy(job);
        return status;
    }
    run->jobs[run->job_count++] = job;
    *out = job;
    return SPW_OK;
}
