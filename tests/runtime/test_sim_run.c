/* Whole runs on simulated devices: the same executor, policies and memory as on real ones, and the
 * same trace each time. */
#include "cases.h"
#include "tests/support/fault_world.h"

#include "base/hash.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { JOBS = 12, CASES = 5 };
/* Case 4 has a head that needs more memory than makes the others cut. */
static const int case_numbers[CASES] = {0, 1, 2, 3, 5};

static const struct spw_machine_model model = {
    .devices = {{.mem_bytes = 300000,
                 .flops_per_s = 10000000000,
                 .memory_bytes_per_s = 2000000000,
                 .launch_ns = 500,
                 .link = {.bytes_per_s = 500000000},
                 .link_latency_ns = 300}},
    .host = {.mem_bytes = 1 << 30, .cores_bytes_per_s = 3000000000, .cores_launch_ns = 200},
};

/* What a run reported, as hashes, and what must hold of each span. */
struct watch {
    uint64_t spans, decisions, steps, hash;
    uint64_t last_end_ns[5][SPW_QUEUE_COUNT];
    uint64_t bytes_in, bytes_out, compute_ns;
    bool has_numbers;
};

static void on_span(void *self, const struct spw_span *span)
{
    struct watch *watch = self;
    cr_assert(span->device < 5);
    uint64_t *last_ns = &watch->last_end_ns[span->device][span->queue];
    cr_assert(span->start_ns >= *last_ns, "a queue runs one command at a time");
    cr_assert(span->end_ns >= span->start_ns);
    *last_ns = span->end_ns;
    watch->spans++;
    watch->bytes_in += span->queue == SPW_QUEUE_IN ? span->bytes : 0;
    watch->bytes_out += span->queue == SPW_QUEUE_OUT ? span->bytes : 0;
    watch->compute_ns += span->queue == SPW_QUEUE_COMPUTE ? span->end_ns - span->start_ns : 0;
    const uint64_t words[] = {span->device,
                              span->queue,
                              span->start_ns,
                              span->end_ns,
                              span->bytes,
                              span->job,
                              span->group,
                              (uint64_t)span->kind,
                              (uint64_t)span->shard,
                              span->step,
                              (uint64_t)span->micro_batch};
    watch->hash = spw_hash(words, sizeof(words), watch->hash);
}

static void on_decision(void *self, const struct spw_decision *decision)
{
    struct watch *watch = self;
    watch->decisions++;
    const uint64_t words[] = {decision->sequence,       decision->device,          decision->job,
                              (uint64_t)decision->kind, (uint64_t)decision->shard, decision->step};
    watch->hash = spw_hash(words, sizeof(words), watch->hash);
}

static void on_step(void *self, struct spw_job *job, const struct spw_step_result *result)
{
    struct watch *watch = self;
    (void)job;
    watch->steps++;
    watch->has_numbers = watch->has_numbers || !isnan(result->loss) || !isnan(result->grad_norm);
    watch->hash = spw_hash(&result->end_ns, sizeof(result->end_ns), watch->hash);
}

static struct spw_run_config config_of(uint32_t devices, enum spw_policy_name policy,
                                       struct watch *watch)
{
    return (struct spw_run_config){
        .machine = {.kind = SPW_MACHINE_SIM, .device_count = devices, .threads = 1},
        .model = &model,
        .policy = policy,
        .policy_seed = 5,
        .prefetch = -1,
        .update_place = -1,
        .keep = -1,
        .events = {.self = watch, .span = on_span, .decision = on_decision, .step = on_step},
    };
}

/* Jobs of all sorts; with a longer one to make a tail. */
static void add_jobs(struct spw_run *run, struct bits_case cases[CASES])
{
    for (int i = 0; i < JOBS; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "job-%d", i);
        struct spw_job_config config = cases[i % CASES].config;
        struct spw_error error = {0};
        struct spw_job *job;
        config.id = id;
        config.max_steps = i == JOBS - 1 ? 9 : 3;
        cr_assert(spw_run_add(run, &config, &error, &job) == SPW_OK, "%s", error.what);
    }
}

/* Runs all jobs to their end. Returns the makespan. */
static uint64_t simulate(struct bits_case cases[CASES], struct spw_run_config config,
                         struct watch *watch)
{
    struct spw_error error = {0};
    struct spw_run *run = NULL;
    cr_assert(spw_run_create(spw_world_system(), &config, &error, &run) == SPW_OK, "%s",
              error.what);
    add_jobs(run, cases);
    cr_assert(spw_run_execute(run, &error) == SPW_OK, "%s", error.what);
    for (uint32_t i = 0; i < JOBS; i++) {
        struct spw_job_status status;
        spw_job_status(spw_run_job(run, i), &status);
        cr_assert(status.state == SPW_JOB_DONE, "job %u: %s", i, status.error.what);
        cr_assert(status.step == status.steps && isnan(status.last_loss));
        cr_assert(status.ended_ns > status.started_ns);
    }
    uint64_t bytes_in = 0, bytes_out = 0, compute_ns = 0;
    for (uint32_t i = 0; i <= config.machine.device_count; i++) {
        struct spw_device_stats stats;
        spw_run_device_stats(run, i, &stats);
        bytes_in += stats.bytes_in;
        bytes_out += stats.bytes_out;
        compute_ns += stats.compute_ns;
        cr_assert(stats.peak_bytes <= model.devices[0].mem_bytes);
        cr_assert(stats.compute_ns + stats.waiting_copy_ns + stats.waiting_work_ns == stats.wall_ns,
                  "every nanosecond of %s is accounted for", stats.name);
    }
    cr_assert(bytes_in == watch->bytes_in && bytes_out == watch->bytes_out);
    cr_assert(compute_ns == watch->compute_ns);
    struct spw_run_stats stats;
    spw_run_stats(run, &stats);
    cr_assert(stats.home_bytes == 0 && stats.decisions == watch->decisions);
    cr_assert(!watch->has_numbers);
    spw_run_destroy(run);
    return stats.wall_ns;
}

static void open_cases(struct bits_case cases[CASES])
{
    for (int i = 0; i < CASES; i++) {
        bits_case_init(&cases[i], case_numbers[i]);
    }
}

static void close_cases(struct bits_case cases[CASES])
{
    for (int i = 0; i < CASES; i++) {
        bits_case_deinit(&cases[i]);
    }
}

/* Twice the same: the same spans at the same times, in the same order. */
Test(sim_run, the_same_run_gives_the_same_trace)
{
    struct bits_case cases[CASES];
    open_cases(cases);
    const enum spw_policy_name policies[] = {SPW_POLICY_LRTF, SPW_POLICY_FIFO, SPW_POLICY_RANDOM,
                                             SPW_POLICY_SERIAL};
    for (size_t i = 0; i < 4; i++) {
        struct watch first = {0};
        struct watch second = {0};
        const uint64_t makespan = simulate(cases, config_of(3, policies[i], &first), &first);
        cr_assert(simulate(cases, config_of(3, policies[i], &second), &second) == makespan);
        cr_assert(memcmp(&first, &second, sizeof(first)) == 0, "policy %d", (int)policies[i]);
        cr_assert(first.spans > 1000 && first.steps == 3 * (JOBS - 1) + 9);
    }
    close_cases(cases);
}

/* More devices, or working ahead, can only help here; one job at a time can only hurt. */
Test(sim_run, devices_and_policies_show_in_the_makespan)
{
    struct bits_case cases[CASES];
    open_cases(cases);
    struct watch one = {0}, four = {0}, serial = {0}, lazy = {0};
    const uint64_t one_ns = simulate(cases, config_of(1, SPW_POLICY_LRTF, &one), &one);
    const uint64_t four_ns = simulate(cases, config_of(4, SPW_POLICY_LRTF, &four), &four);
    const uint64_t serial_ns = simulate(cases, config_of(4, SPW_POLICY_SERIAL, &serial), &serial);
    struct spw_run_config config = config_of(1, SPW_POLICY_LRTF, &lazy);
    config.prefetch = 0;
    const uint64_t lazy_ns = simulate(cases, config, &lazy);
    cr_assert(four_ns < one_ns && one_ns < 5 * four_ns);
    cr_assert(four_ns < serial_ns);
    cr_assert(one_ns < lazy_ns, "%llu %llu", (unsigned long long)one_ns,
              (unsigned long long)lazy_ns);
    close_cases(cases);
}

/* Updates on devices, and gradients on several devices at once. */
Test(sim_run, updates_may_run_on_devices)
{
    struct bits_case cases[CASES];
    open_cases(cases);
    for (int i = 0; i < CASES; i++) {
        cases[i].config.grad_groups = 2;
    }
    struct watch watch = {0};
    struct spw_run_config config = config_of(4, SPW_POLICY_LRTF, &watch);
    config.update_place = SPW_UPDATE_ON_DEVICE;
    cr_assert(simulate(cases, config, &watch) > 0);
    close_cases(cases);
}

/* A machine with terabytes, on one that has none of them. */
Test(sim_run, homes_take_no_memory)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    struct spw_machine_model large = model;
    large.host.mem_bytes = UINT64_C(1) << 45;
    large.devices[0].mem_bytes = UINT64_C(1) << 40;
    struct watch watch = {0};
    struct spw_run_config config = config_of(2, SPW_POLICY_LRTF, &watch);
    config.model = &large;
    struct spw_run *run = NULL;
    struct spw_job *job;
    cr_assert(spw_run_create(spw_world_system(), &config, NULL, &run) == SPW_OK);
    cr_assert(spw_run_add(run, &it.config, NULL, &job) == SPW_OK);
    cr_assert(spw_run_execute(run, NULL) == SPW_OK);
    spw_run_destroy(run);
    bits_case_deinit(&it);
}

/* A data set that was never read will do, and a model that was never made. */
Test(sim_run, data_and_weights_need_not_exist)
{
    const struct spw_world *world = spw_world_system();
    const struct spw_data_info info = {
        .is_tokens = true,
        .rank = 1,
        .dim = {1024},
        .targets_per_item = 1024,
        .items = INT64_C(1) << 31,
        .classes = 50257,
    };
    const struct spw_gpt2_config gpt = {.vocab_size = 50257,
                                        .n_positions = 1024,
                                        .n_embd = 1600,
                                        .n_layer = 48,
                                        .n_head = 25,
                                        .layer_norm_epsilon = 1e-5,
                                        .activation = SPW_ACT_GELU_TANH};
    struct spw_error error = {0};
    struct spw_dataset *set;
    struct spw_graph *graph;
    cr_assert(spw_dataset_imagine(world, &info, &error, &set) == SPW_OK, "%s", error.what);
    cr_assert(spw_arch_gpt2(world, "xl", &gpt, 1024, 1, &error, &graph) == SPW_OK);
    struct spw_machine_model gpu = {
        .devices = {{.mem_bytes = UINT64_C(12000000000),
                     .flops_per_s = UINT64_C(50000000000000),
                     .memory_bytes_per_s = UINT64_C(3000000000000),
                     .launch_ns = 4000,
                     .link = {.bytes_per_s = UINT64_C(50000000000)},
                     .link_latency_ns = 5000}},
        .host = {.mem_bytes = UINT64_C(1000000000000), .cores_bytes_per_s = UINT64_C(200000000000)},
    };
    struct watch watch = {0};
    struct spw_run_config config = config_of(1, SPW_POLICY_LRTF, &watch);
    config.model = &gpu;
    struct spw_job_config job_config = {
        .id = "xl",
        .graph = graph,
        .train = set,
        .optimizer = {.name = SPW_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
        .lr = 1e-3,
        .shuffle = true,
        .batch = 16,
        .micro_batch = 2,
        .grad_groups = 1,
        .max_steps = 2,
    };
    struct spw_run *run = NULL;
    struct spw_job *job;
    float weight;
    cr_assert(spw_run_create(world, &config, &error, &run) == SPW_OK, "%s", error.what);
    cr_assert(spw_run_add(run, &job_config, &error, &job) == SPW_OK, "%s", error.what);
    cr_assert(spw_run_execute(run, &error) == SPW_OK, "%s", error.what);
    struct spw_run_stats stats;
    spw_run_stats(run, &stats);
    /* Of each of two steps no part is faster than its arithmetic, and not all of it is idle. */
    const double least_s =
        2 * (double)spw_job_plan(job)->totals.step_flops / (double)gpu.devices[0].flops_per_s;
    cr_assert((double)stats.wall_ns * 1e-9 > least_s);
    cr_assert((double)stats.wall_ns * 1e-9 < 3 * least_s, "%g %g", (double)stats.wall_ns * 1e-9,
              least_s);
    cr_assert(spw_job_read_part(job, SPW_JOB_WEIGHTS, 0, 0, 1, &weight, &error) != SPW_OK);
    spw_run_destroy(run);
    spw_graph_destroy(graph);
    spw_dataset_close(set);
}

static enum spw_status read_weights(void *self, struct spw_job *job, enum spw_job_state state,
                                    struct spw_error *error)
{
    enum spw_status *seen = self;
    float weight = 0;
    (void)error;
    if (state == SPW_JOB_DONE) {
        *seen = spw_job_read_part(job, SPW_JOB_WEIGHTS, 0, 0, 1, &weight, NULL);
    }
    return SPW_OK;
}

Test(sim_run, there_are_no_weights_to_read)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    enum spw_status seen = SPW_OK;
    struct spw_run_config config = config_of(1, SPW_POLICY_LRTF, NULL);
    config.events = (struct spw_run_events){.self = &seen, .state = read_weights};
    struct spw_run *run = NULL;
    struct spw_job *job;
    cr_assert(spw_run_create(spw_world_system(), &config, NULL, &run) == SPW_OK);
    cr_assert(spw_run_add(run, &it.config, NULL, &job) == SPW_OK);
    cr_assert(spw_run_execute(run, NULL) == SPW_OK);
    cr_assert(seen == SPW_ERR_UNSUPPORTED);
    spw_run_destroy(run);
    bits_case_deinit(&it);
}

/* The machine string wins over the model, and plans are for what is simulated. */
Test(sim_run, plans_are_for_the_simulated_machine)
{
    struct bits_case it;
    bits_case_init(&it, 1);
    struct spw_run_config config = config_of(2, SPW_POLICY_LRTF, NULL);
    config.events = (struct spw_run_events){0};
    config.plan_only = true;
    config.machine.mem_bytes = 200000;
    config.machine.link_bytes_per_s = 77;
    struct spw_run *run = NULL;
    struct spw_plan *plan = NULL;
    cr_assert(spw_run_create(spw_world_system(), &config, NULL, &run) == SPW_OK);
    cr_assert(spw_run_plan(run, &it.config, NULL, &plan) == SPW_OK);
    cr_assert(plan->options.device_bytes == 200000);
    cr_assert(plan->options.link_bytes_per_s == 77);
    cr_assert(plan->options.flops_per_s == model.devices[0].flops_per_s);
    cr_assert(plan->options.launch_ns == 500);
    cr_assert(plan->totals.device_bytes_max <= 200000);
    spw_plan_destroy(plan);
    spw_run_destroy(run);
    bits_case_deinit(&it);
}

Test(sim_run, a_simulation_needs_a_model)
{
    struct spw_run_config config = config_of(2, SPW_POLICY_LRTF, NULL);
    struct spw_error error = {0};
    struct spw_run *run = NULL;
    config.model = NULL;
    cr_assert(spw_run_create(spw_world_system(), &config, &error, &run) == SPW_ERR_ARGUMENT);
    cr_assert(strstr(error.what, "model") != NULL && run == NULL);
}

/* Opening fails cleanly at each allocation. */
Test(sim_run, no_memory_is_a_status)
{
    struct spw_run_config config = config_of(2, SPW_POLICY_LRTF, NULL);
    config.events = (struct spw_run_events){0};
    for (uint64_t at = 1;; at++) {
        struct spw_fault_world fault;
        struct spw_run *run = NULL;
        spw_fault_world_init(&fault, spw_world_system());
        spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = at});
        const enum spw_status status = spw_run_create(&fault.world, &config, NULL, &run);
        const bool struck = spw_fault_world_struck(&fault);
        cr_assert((status == SPW_OK) == !struck, "allocation %d", (int)at);
        spw_run_destroy(run);
        cr_assert(spw_fault_world_clean(&fault), "allocation %d", (int)at);
        if (!struck) {
            cr_assert(at > 20);
            return;
        }
    }
}
