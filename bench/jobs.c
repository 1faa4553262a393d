/* jobs.c — see jobs.h. */
#include "jobs.h"

#include "measure.h"
#include <string.h>
#include <time.h>

struct watch {
    const struct spw_world *world;
    struct spw_run *run;
    uint64_t begin_ns, end_ns;
    uint64_t begin_decide_ns; /* the executor's time so far: admission */
    uint64_t begin_cpu_ns, end_cpu_ns;
    uint64_t steps;
    struct jobs_result *result;
};

/* Of this thread, which is the executor's. */
static uint64_t cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void on_decision(void *self, const struct spw_decision *decision)
{
    struct watch *watch = self;
    (void)decision;
    if (watch->begin_ns == 0) {
        struct spw_run_stats stats;
        spw_run_stats(watch->run, &stats);
        watch->begin_ns = spw_now_ns(watch->world);
        watch->begin_decide_ns = stats.decide_ns;
        watch->begin_cpu_ns = cpu_ns();
    }
}

static void on_step(void *self, struct spw_job *job, const struct spw_step_result *result)
{
    struct watch *watch = self;
    watch->end_ns = result->end_ns;
    watch->end_cpu_ns = cpu_ns();
    watch->steps++;
    if (spw_job_index(job) == 0) {
        if (result->step == 1) {
            watch->result->first_loss = result->loss;
        }
        watch->result->last_loss = result->loss;
        watch->result->last_norm = result->grad_norm;
    }
}

static struct spw_run *open_run(const struct jobs_config *config, struct watch *watch)
{
    struct spw_error error = {0};
    struct spw_run *run = NULL;
    struct spw_run_config it = {
        .machine = {.kind = SPW_MACHINE_HOST,
                    .device_count = config->devices,
                    .threads = config->threads,
                    .mem_bytes = config->mem_bytes,
                    .link_bytes_per_s = config->link_bytes_per_s,
                    .pace_model = config->pace_model},
        .policy = SPW_POLICY_WEAVE,
        .prefetch = config->no_prefetch ? 0 : -1,
        .update_place = config->on_device ? SPW_UPDATE_ON_DEVICE : -1,
        .keep = config->keep,
    };
    if (config->pace_model && it.machine.link_bytes_per_s == 0) {
        it.machine.link_bytes_per_s = SPW_MACHINE_PACE_LINK_BYTES_PER_S;
    }
    if (watch != NULL) {
        it.events =
            (struct spw_run_events){.self = watch, .step = on_step, .decision = on_decision};
    }
    BENCH_MUST(spw_run_create(spw_world_system(), &it, &error, &run), &error);
    return run;
}

static struct spw_job_config job_config(const struct bench_model *model,
                                        const struct jobs_config *config, uint32_t index)
{
    struct spw_job_config job = model->job;
    job.max_steps = config->steps;
    job.lr = model->job.lr / (1.0 + index);
    return job;
}

static void add_stats(struct spw_device_stats *total, const struct spw_device_stats *one)
{
    total->compute_ns += one->compute_ns;
    total->waiting_copy_ns += one->waiting_copy_ns;
    total->waiting_work_ns += one->waiting_work_ns;
    total->units += one->units;
    total->evictions += one->evictions;
    total->bytes_in += one->bytes_in;
    total->bytes_out += one->bytes_out;
}

static void collect(struct spw_run *run, const struct watch *watch, struct jobs_result *result)
{
    const uint32_t devices = spw_run_device_count(run);
    struct spw_device_stats stats;
    result->seconds = (double)(watch->end_ns - watch->begin_ns) / 1e9;
    spw_run_stats(run, &result->run);
    result->executor_cpu_ns = watch->end_cpu_ns - watch->begin_cpu_ns;
    result->decide_ns = result->run.decide_ns - watch->begin_decide_ns;
    for (uint32_t i = 0; i < devices; i++) {
        spw_run_device_stats(run, i, &stats);
        add_stats(&result->total, &stats);
        if (i < sizeof result->devices / sizeof result->devices[0]) {
            result->devices[i] = stats;
        }
    }
    spw_run_device_stats(run, devices, &stats);
    result->cores_units = stats.units;
    result->shards = (uint64_t)spw_job_plan(spw_run_job(run, 0))->shard_count;
}

struct jobs_result jobs_run(const struct bench_model *model, const struct jobs_config *config)
{
    struct jobs_result result = {0};
    struct watch watch = {.world = spw_world_system(), .result = &result};
    struct spw_error error = {0};
    struct spw_run *run = open_run(config, &watch);
    watch.run = run;
    for (uint32_t i = 0; i < config->jobs; i++) {
        const struct spw_job_config job = job_config(model, config, i);
        struct spw_job *added;
        BENCH_MUST(spw_run_add(run, &job, &error, &added), &error);
    }
    BENCH_MUST(spw_run_execute(run, &error), &error);
    if (watch.steps != config->jobs * config->steps) {
        struct spw_job_status status;
        spw_job_status(spw_run_job(run, 0), &status);
        bench_fail("a job did not finish", &status.error);
    }
    collect(run, &watch, &result);
    spw_run_destroy(run);
    return result;
}

struct spw_plan *jobs_plan(const struct bench_model *model, const struct jobs_config *config)
{
    const struct spw_job_config job = job_config(model, config, 0);
    struct spw_error error = {0};
    struct spw_plan *plan = NULL;
    struct spw_run *run = open_run(config, NULL);
    BENCH_MUST(spw_run_plan(run, &job, &error, &plan), &error);
    spw_run_destroy(run);
    return plan;
}

uint64_t jobs_least_memory(const struct bench_model *model, const struct jobs_config *config)
{
    const struct spw_job_config job = job_config(model, config, 0);
    struct spw_error error = {0};
    uint64_t bytes = 0;
    struct spw_run *run = open_run(config, NULL);
    BENCH_MUST(spw_run_least_memory(run, &job, &error, &bytes), &error);
    spw_run_destroy(run);
    return bytes;
}
