/* Tests of runtime/record/utilization.c: simulated runs in which one cause of idleness is made
 * large, and sums that must hold in all of them. */
#include "cases.h"
#include "runtime/record/utilization.h"
#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { DEVICES_MAX = 4 };

static const struct spw_machine_model model = {
    .devices = {{.mem_bytes = 300000,
                 .flops_per_s = 10000000000,
                 .memory_bytes_per_s = 2000000000,
                 .launch_ns = 500,
                 .link = {.bytes_per_s = 4000000000}}},
    .host = {.mem_bytes = 1 << 30, .cores_bytes_per_s = UINT64_C(50000000000)},
};

/* A run of jobs of one case; the last has more steps. */
struct setting {
    struct spw_machine_model model;
    uint32_t devices;
    int32_t case_number, jobs;
    uint64_t steps, last_steps;
    bool cancel; /* the first job, at its second step */
};

static struct setting usual(void)
{
    return (struct setting){
        .model = model, .devices = 2, .case_number = 0, .jobs = 4, .steps = 3, .last_steps = 3};
}

struct result {
    struct spw_utilization_times times[DEVICES_MAX + 1];
    uint64_t wall_ns;
    uint64_t least_shards;
};

struct watch {
    struct spw_utilization *utilization;
    struct spw_run *run;
    bool cancel;
};

static void on_step(void *self, struct spw_job *job, const struct spw_step_result *result)
{
    struct watch *watch = self;
    spw_utilization_step(watch->utilization, job);
    if (watch->cancel && spw_job_index(job) == 0 && result->step == 2) {
        spw_run_cancel(watch->run, job);
    }
}

static enum spw_status on_state(void *self, struct spw_job *job, enum spw_job_state state,
                                struct spw_error *error)
{
    struct watch *watch = self;
    (void)error;
    spw_utilization_state(watch->utilization, job, state);
    return SPW_OK;
}

static void on_decision(void *self, const struct spw_decision *decision)
{
    spw_utilization_decision(((struct watch *)self)->utilization, decision);
}

static void on_span(void *self, const struct spw_span *span)
{
    spw_utilization_span(((struct watch *)self)->utilization, span);
}

static void add_jobs(struct spw_run *run, const struct setting *setting, const struct bits_case *it,
                     struct result *result)
{
    result->least_shards = UINT64_MAX;
    for (int32_t i = 0; i < setting->jobs; i++) {
        struct spw_job_config config = it->config;
        struct spw_error error = {0};
        struct spw_job *job;
        char id[16];
        (void)snprintf(id, sizeof(id), "job-%d", i);
        config.id = id;
        config.max_steps = i + 1 == setting->jobs ? setting->last_steps : setting->steps;
        cr_assert(spw_run_add(run, &config, &error, &job) == SPW_OK, "%s", error.what);
        const uint64_t shards = (uint64_t)spw_job_plan(job)->shard_count;
        result->least_shards = shards < result->least_shards ? shards : result->least_shards;
    }
}

/* What must hold of every device, whatever the run. */
static void check_sums(struct spw_run *run, struct result *result)
{
    for (uint32_t i = 0; i <= spw_run_device_count(run); i++) {
        const struct spw_utilization_times *times = &result->times[i];
        struct spw_device_stats stats;
        spw_run_device_stats(run, i, &stats);
        cr_assert(times->busy_ns == stats.compute_ns);
        cr_assert(times->useful_ns <= times->busy_ns);
        cr_assert(times->busy_ns + times->waiting_copy_ns + times->waiting_norm_ns +
                          times->no_work_ns + times->tail_ns ==
                      stats.wall_ns,
                  "%s", stats.name);
        cr_assert(times->waiting_copy_ns == stats.waiting_copy_ns, "%s: %llu %llu of %llu",
                  stats.name, (unsigned long long)times->waiting_copy_ns,
                  (unsigned long long)stats.waiting_copy_ns, (unsigned long long)stats.wall_ns);
        result->wall_ns = stats.wall_ns;
    }
}

static struct result simulate(const struct setting *setting)
{
    struct bits_case it;
    struct watch watch = {.cancel = setting->cancel};
    struct result result = {0};
    struct spw_error error = {0};
    bits_case_init(&it, setting->case_number);
    const struct spw_run_config config = {
        .machine = {.kind = SPW_MACHINE_SIM, .device_count = setting->devices, .threads = 1},
        .model = &setting->model,
        .policy = SPW_POLICY_LRTF,
        .prefetch = -1,
        .update_place = -1,
        .keep = 0,
        .events = {.self = &watch,
                   .step = on_step,
                   .state = on_state,
                   .decision = on_decision,
                   .span = on_span},
    };
    struct spw_run *run = NULL;
    cr_assert(spw_run_create(spw_world_system(), &config, &error, &run) == SPW_OK, "%s",
              error.what);
    watch.run = run;
    cr_assert(spw_utilization_create(spw_world_system(), run, &error, &watch.utilization) ==
              SPW_OK);
    add_jobs(run, setting, &it, &result);
    cr_assert(spw_run_execute(run, &error) == SPW_OK, "%s", error.what);
    for (uint32_t i = 0; i <= setting->devices; i++) {
        spw_utilization_times(watch.utilization, i, &result.times[i]);
    }
    check_sums(run, &result);
    spw_utilization_destroy(watch.utilization);
    spw_run_destroy(run);
    bits_case_deinit(&it);
    return result;
}

static double share(uint64_t ns, const struct result *result)
{
    return (double)ns / (double)result->wall_ns;
}

/* Sums hold for every sort of job, also one that is cancelled in the middle. */
Test(utilization, times_add_up)
{
    static const int32_t numbers[] = {0, 1, 2, 3, 5};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct setting setting = usual();
        setting.case_number = numbers[i];
        setting.cancel = i % 2 == 1;
        (void)simulate(&setting);
    }
}

Test(utilization, a_slow_link_shows_as_waiting_for_copies)
{
    struct setting setting = usual();
    const struct result fast = simulate(&setting);
    setting.model.devices[0].link.bytes_per_s /= 100;
    const struct result slow = simulate(&setting);
    cr_assert(share(slow.times[0].waiting_copy_ns, &slow) > 0.5);
    cr_assert(share(fast.times[0].waiting_copy_ns, &fast) < 0.3);
}

/* Host cores a thousand times slower: devices have nothing to do until they have updated. */
Test(utilization, slow_updates_show_as_waiting_for_the_norm)
{
    struct setting setting = usual();
    setting.model.host.cores_bytes_per_s /= 1000;
    const struct result slow = simulate(&setting);
    cr_assert(share(slow.times[0].waiting_norm_ns, &slow) > 0.5, "%g",
              share(slow.times[0].waiting_norm_ns, &slow));
    cr_assert(share(slow.times[2].busy_ns, &slow) > 0.5, "the cores are busy");
}

/* One job on three devices: two have no work, or nothing but a tail. */
Test(utilization, too_few_jobs_show_as_no_work)
{
    struct setting setting = usual();
    setting.devices = 3;
    setting.jobs = 1;
    const struct result result = simulate(&setting);
    double idle = 0;
    for (int i = 0; i < 3; i++) {
        idle += share(result.times[i].no_work_ns + result.times[i].tail_ns +
                          result.times[i].waiting_norm_ns,
                      &result);
    }
    cr_assert(idle > 1.9 && idle < 3, "%g", idle);
}

Test(utilization, the_longest_job_makes_a_tail)
{
    struct setting setting = usual();
    setting.jobs = 2;
    setting.last_steps = 30;
    const struct result result = simulate(&setting);
    const double first = share(result.times[0].tail_ns, &result);
    const double second = share(result.times[1].tail_ns, &result);
    const double idle = share(result.times[0].no_work_ns + result.times[1].no_work_ns, &result);
    cr_assert(first + second + idle > 0.8, "%g %g %g", first, second, idle);
}

/* What is cut computes again what it did not keep; what is whole does not. */
Test(utilization, recomputation_is_not_useful)
{
    struct setting setting = usual();
    setting.model.devices[0].mem_bytes = 40000;
    const struct result cut = simulate(&setting);
    setting.model.devices[0].mem_bytes = UINT64_C(1) << 30;
    const struct result whole = simulate(&setting);
    cr_assert(cut.least_shards > 1 && whole.least_shards == 1);
    cr_assert(whole.times[0].useful_ns == whole.times[0].busy_ns);
    cr_assert(cut.times[0].useful_ns < cut.times[0].busy_ns * 95 / 100);
    cr_assert(cut.times[0].useful_ns > cut.times[0].busy_ns * 60 / 100);
}

Test(utilization, no_memory_is_a_status)
{
    const struct spw_run_config config = {
        .machine = {.kind = SPW_MACHINE_SIM, .device_count = 2, .threads = 1},
        .model = &model,
        .policy = SPW_POLICY_LRTF,
    };
    struct spw_run *run = NULL;
    cr_assert(spw_run_create(spw_world_system(), &config, NULL, &run) == SPW_OK);
    for (uint64_t at = 1; at <= 2; at++) {
        struct spw_fault_world fault;
        struct spw_utilization *utilization = NULL;
        spw_fault_world_init(&fault, spw_world_system());
        spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = at});
        cr_assert(spw_utilization_create(&fault.world, run, NULL, &utilization) ==
                  SPW_ERR_NO_MEMORY);
        cr_assert(utilization == NULL && spw_fault_world_clean(&fault));
    }
    spw_run_destroy(run);
}
