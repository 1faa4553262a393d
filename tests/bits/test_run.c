/* test_run.c — what a run promises besides bits: failures stay with their job, jobs can be
 * cancelled, runs interrupted and replayed, memory budgets hold, and counted bytes equal the closed
 * form. */
#include "cases.h"
#include "oracle.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_MAX = 20000 };

struct watch {
    struct spw_run *run;
    struct spw_job *cancel; /* at its second step */
    uint64_t interrupt_after, steps;
    struct spw_decision *log;
    uint64_t log_count;
    float *first_weight; /* of the first parameter of each finished job, by index */
    const struct oracle_result *want;
    struct spw_job *job;
    int differences;
    uint64_t concurrent, concurrent_max;
    uint64_t evictions; /* that steps told of */
};

static void on_step(void *self, struct spw_job *job, const struct spw_step_result *result)
{
    struct watch *watch = self;
    watch->evictions += result->evictions;
    if (job == watch->cancel && result->step == 2) {
        spw_run_cancel(watch->run, job);
    }
    if (++watch->steps == watch->interrupt_after) {
        spw_run_interrupt(watch->run);
    }
    if (watch->want != NULL && job == watch->job) {
        const double want = watch->want->losses[result->step - 1];
        watch->differences += memcmp(&want, &result->loss, sizeof want) != 0;
    }
}

static enum spw_status on_state(void *self, struct spw_job *job, enum spw_job_state state,
                                struct spw_error *error)
{
    struct watch *watch = self;
    (void)job;
    (void)error;
    if (state == SPW_JOB_RUNNING) {
        watch->concurrent++;
        if (watch->concurrent > watch->concurrent_max) {
            watch->concurrent_max = watch->concurrent;
        }
    } else if (watch->concurrent > 0) {
        watch->concurrent--;
    }
    return SPW_OK;
}

static void on_decision(void *self, const struct spw_decision *decision)
{
    struct watch *watch = self;
    if (watch->log != NULL) {
        cr_assert(watch->log_count < LOG_MAX);
        watch->log[watch->log_count++] = *decision;
    }
}

static struct spw_run_config config_of(uint32_t devices, uint64_t mem_bytes, struct watch *watch)
{
    return (struct spw_run_config){
        .machine = {.kind = SPW_MACHINE_HOST,
                    .device_count = devices,
                    .threads = 1,
                    .mem_bytes = mem_bytes},
        .host_bytes = UINT64_C(256) << 20,
        .prefetch = -1,
        .update_place = -1,
        .keep = 0,
        .poison = true,
        .events = {.self = watch, .step = on_step, .state = on_state, .decision = on_decision},
    };
}

static struct spw_run *open_run(const struct spw_run_config *config)
{
    struct spw_error error = {0};
    struct spw_run *run = NULL;
    cr_assert(spw_run_create(spw_world_system(), config, &error, &run) == SPW_OK, "%s", error.what);
    return run;
}

static struct spw_job *add(struct spw_run *run, const struct spw_job_config *config)
{
    struct spw_error error = {0};
    struct spw_job *job = NULL;
    cr_assert(spw_run_add(run, config, &error, &job) == SPW_OK, "%s", error.what);
    return job;
}

static struct spw_job_status status_of(const struct spw_job *job)
{
    struct spw_job_status status;
    spw_job_status(job, &status);
    return status;
}

static uint64_t least_memory(const struct spw_job_config *job)
{
    const struct spw_run_config config = config_of(1, UINT64_C(64) << 20, NULL);
    struct spw_run_config silent = config;
    silent.events = (struct spw_run_events){0};
    struct spw_run *run = open_run(&silent);
    uint64_t least = 0;
    cr_assert(spw_run_least_memory(run, job, NULL, &least) == SPW_OK);
    spw_run_destroy(run);
    return least;
}

/* A job whose loss stops being a number fails with model, step and op; its neighbour's bits do not
 * change. */
Test(run, a_nan_loss_fails_that_job_alone)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    struct oracle_result want = oracle_train(&it.config, 1, false);
    struct watch watch = {.want = &want};
    struct spw_run_config config = config_of(2, UINT64_C(1) << 20, &watch);
    struct spw_run *run = open_run(&config);
    struct spw_job_config bad = it.config;
    bad.id = "bad";
    bad.optimizer = (struct spw_optimizer_config){.name = SPW_SGD};
    bad.lr = 1e30;
    struct spw_job *failing = add(run, &bad);
    watch.job = add(run, &it.config);
    cr_assert(spw_run_execute(run, NULL) == SPW_OK);
    const struct spw_job_status status = status_of(failing);
    cr_assert(status.state == SPW_JOB_FAILED);
    cr_assert(status.error.status == SPW_ERR_NUMERIC);
    cr_assert(strstr(status.error.what, "trial bad, step ") != NULL, "%s", status.error.what);
    cr_assert(strstr(status.error.what, "op ") != NULL, "%s", status.error.what);
    cr_assert(status_of(watch.job).state == SPW_JOB_DONE);
    cr_assert(watch.differences == 0);
    cr_assert(watch.steps > want.steps, "the failing job finished no step");
    spw_run_destroy(run);
    oracle_free(&want);
    bits_case_deinit(&it);
}

/* No later loss would show what the last update did. */
Test(run, weights_that_the_last_update_ruined_fail_the_job)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    struct watch watch = {0};
    struct spw_run_config config = config_of(1, UINT64_C(1) << 20, &watch);
    struct spw_run *run = open_run(&config);
    struct spw_job_config bad = it.config;
    bad.optimizer = (struct spw_optimizer_config){.name = SPW_SGD};
    bad.lr = 1e42; /* beyond fp32: every weight becomes infinite or NaN */
    bad.max_steps = 1;
    bad.valid = NULL;
    bad.schedule = (struct spw_schedule_config){.name = SPW_LR_CONSTANT};
    struct spw_job *job = add(run, &bad);
    cr_assert(spw_run_execute(run, NULL) == SPW_OK);
    const struct spw_job_status status = status_of(job);
    cr_assert(status.state == SPW_JOB_FAILED);
    cr_assert(status.error.status == SPW_ERR_NUMERIC);
    cr_assert(strstr(status.error.what, "parameter ") != NULL, "%s", status.error.what);
    spw_run_destroy(run);
    bits_case_deinit(&it);
}

Test(run, a_cancelled_job_leaves_and_the_others_finish)
{
    struct bits_case it;
    bits_case_init(&it, 1);
    struct watch watch = {0};
    struct spw_run_config config = config_of(2, UINT64_C(1) << 20, &watch);
    watch.run = open_run(&config);
    struct spw_job *kept = add(watch.run, &it.config);
    watch.cancel = add(watch.run, &it.config);
    cr_assert(spw_run_execute(watch.run, NULL) == SPW_OK);
    cr_assert(status_of(kept).state == SPW_JOB_DONE);
    cr_assert(status_of(watch.cancel).state == SPW_JOB_CANCELLED);
    cr_assert(status_of(watch.cancel).step == 2);
    spw_run_destroy(watch.run);
    bits_case_deinit(&it);
}

Test(run, an_interrupt_ends_every_job)
{
    struct bits_case it;
    bits_case_init(&it, 3);
    struct watch watch = {.interrupt_after = 2};
    struct spw_run_config config = config_of(2, UINT64_C(1) << 20, &watch);
    watch.run = open_run(&config);
    struct spw_job *jobs[3];
    for (int i = 0; i < 3; i++) {
        jobs[i] = add(watch.run, &it.config);
    }
    struct spw_error error = {0};
    cr_assert(spw_run_execute(watch.run, &error) == SPW_ERR_CANCELLED);
    for (int i = 0; i < 3; i++) {
        cr_assert(status_of(jobs[i]).state == SPW_JOB_CANCELLED);
    }
    struct spw_run_stats stats;
    spw_run_stats(watch.run, &stats);
    cr_assert(stats.home_bytes == 0);
    spw_run_destroy(watch.run);
    bits_case_deinit(&it);
}

/* Only what a device takes, in its own order, makes the schedule. */
static uint64_t of_device(const struct spw_decision *log, uint64_t count, uint32_t device,
                          struct spw_decision *out)
{
    uint64_t kept = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (log[i].device == device) {
            out[kept] = log[i];
            out[kept++].sequence = 0;
        }
    }
    return kept;
}

Test(run, a_decision_log_replays)
{
    struct bits_case it;
    bits_case_init(&it, 3);
    static struct spw_decision first[LOG_MAX], second[LOG_MAX], a[LOG_MAX], b[LOG_MAX];
    struct watch watch = {.log = first};
    struct spw_run_config config = config_of(2, least_memory(&it.config), &watch);
    config.policy = SPW_POLICY_RANDOM;
    config.policy_seed = 3;
    struct watch again = {.log = second};
    for (int round = 0; round < 2; round++) {
        struct spw_run *run = open_run(&config);
        for (int i = 0; i < 3; i++) {
            (void)add(run, &it.config);
        }
        cr_assert(spw_run_execute(run, NULL) == SPW_OK);
        spw_run_destroy(run);
        config.policy = SPW_POLICY_REPLAY;
        config.replay = first;
        config.replay_count = watch.log_count;
        config.events.self = &again;
    }
    cr_assert(watch.log_count > 100);
    cr_assert(again.log_count == watch.log_count);
    for (uint32_t device = 0; device < 3; device++) {
        const uint64_t count = of_device(first, watch.log_count, device, a);
        cr_assert(of_device(second, again.log_count, device, b) == count);
        for (uint64_t i = 0; i < count; i++) {
            cr_assert(a[i].job == b[i].job && a[i].kind == b[i].kind && a[i].shard == b[i].shard &&
                          a[i].step == b[i].step,
                      "decision %d of device %u", (int)i, device);
        }
    }
    bits_case_deinit(&it);
}

/* Waiting jobs own nothing: with room for one, jobs run one after the other. */
Test(run, jobs_wait_for_host_memory)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    struct watch watch = {0};
    struct spw_run_config config = config_of(1, UINT64_C(1) << 20, &watch);
    struct spw_run *probe = open_run(&config);
    (void)add(probe, &it.config);
    cr_assert(spw_run_execute(probe, NULL) == SPW_OK);
    struct spw_run_stats stats;
    spw_run_stats(probe, &stats);
    spw_run_destroy(probe);

    config.host_bytes = (stats.home_peak_bytes * 3 / 2 + 4095) / 4096 * 4096;
    watch = (struct watch){0};
    struct spw_run *run = open_run(&config);
    struct spw_job *jobs[3];
    for (int i = 0; i < 3; i++) {
        jobs[i] = add(run, &it.config);
    }
    cr_assert(spw_run_execute(run, NULL) == SPW_OK);
    for (int i = 0; i < 3; i++) {
        cr_assert(status_of(jobs[i]).state == SPW_JOB_DONE);
    }
    cr_assert(watch.concurrent_max == 1, "%d jobs at once", (int)watch.concurrent_max);
    spw_run_stats(run, &stats);
    cr_assert(stats.home_peak_bytes <= config.host_bytes);
    spw_run_destroy(run);

    config.host_bytes = stats.home_peak_bytes / 2 / 4096 * 4096;
    run = open_run(&config);
    struct spw_error error = {0};
    struct spw_job *job;
    cr_assert(spw_run_add(run, &it.config, &error, &job) == SPW_ERR_DOES_NOT_FIT);
    cr_assert(strstr(error.what, "host_memory") != NULL, "%s", error.what);
    spw_run_destroy(run);
    bits_case_deinit(&it);
}

Test(run, the_least_memory_works_and_one_byte_less_does_not)
{
    for (int c = 0; c < CASE_COUNT; c++) {
        struct bits_case it;
        bits_case_init(&it, c);
        const uint64_t least = least_memory(&it.config);
        struct watch watch = {0};
        struct spw_run_config config = config_of(1, least, &watch);
        struct spw_run *run = open_run(&config);
        struct spw_job *job = add(run, &it.config);
        cr_assert(spw_run_execute(run, NULL) == SPW_OK);
        cr_assert(status_of(job).state == SPW_JOB_DONE, "%s: %s", it.name,
                  status_of(job).error.what);
        spw_run_destroy(run);

        config.machine.mem_bytes = least - 1;
        run = open_run(&config);
        struct spw_error error = {0};
        cr_assert(spw_run_add(run, &it.config, &error, &job) == SPW_ERR_DOES_NOT_FIT, "%s",
                  it.name);
        cr_assert(strstr(error.what, "mem") != NULL, "%s", error.what);
        spw_run_destroy(run);
        bits_case_deinit(&it);
    }
}

/* With nothing behind the last step, what the steps of all jobs tell is all there was. */
Test(run, evictions_of_the_steps_add_up_to_those_of_the_devices)
{
    for (int on_device = 0; on_device < 2; on_device++) {
        struct bits_case it;
        bits_case_init(&it, 0);
        it.config.valid = NULL;
        struct watch watch = {0};
        struct spw_run_config config = config_of(2, least_memory(&it.config) * 5 / 4, &watch);
        config.update_place = on_device ? SPW_UPDATE_ON_DEVICE : SPW_UPDATE_ON_CORES;
        struct spw_run *run = open_run(&config);
        for (int i = 0; i < 3; i++) {
            (void)add(run, &it.config);
        }
        cr_assert(spw_run_execute(run, NULL) == SPW_OK);
        uint64_t evictions = 0;
        for (uint32_t i = 0; i < 2; i++) {
            struct spw_device_stats stats;
            spw_run_device_stats(run, i, &stats);
            evictions += stats.evictions;
        }
        cr_assert(evictions > 0 && watch.evictions == evictions, "%d told of, %d in all",
                  (int)watch.evictions, (int)evictions);
        spw_run_destroy(run);
        bits_case_deinit(&it);
    }
}

/* Trains a case alone and compares the bytes copied with the plan's closed form: equal without
 * residency, never more with it. */
static void compare_traffic(const struct bits_case *it, uint64_t mem_bytes, bool residency,
                            bool on_device)
{
    struct oracle_result oracle = oracle_train(&it->config, 1, false);
    struct watch watch = {.want = &oracle};
    struct spw_run_config config = config_of(1, mem_bytes, &watch);
    config.no_residency = !residency;
    config.prefetch =
        residency ? 1 : 0; /* a staged unit would take over what the one before it holds */
    config.update_place = on_device ? SPW_UPDATE_ON_DEVICE : SPW_UPDATE_ON_CORES;
    struct spw_run *run = open_run(&config);
    struct spw_job *job = add(run, &it->config);
    watch.job = job;
    const struct spw_traffic want = spw_plan_traffic(spw_job_plan(job));
    const uint64_t in[] = {want.in.weights, want.in.grads, want.in.moments, want.in.packs};
    const uint64_t out[] = {want.out.weights, want.out.grads, want.out.moments, want.out.packs};
    cr_assert(spw_run_execute(run, NULL) == SPW_OK);
    cr_assert(status_of(job).state == SPW_JOB_DONE && watch.differences == 0);
    struct spw_device_stats got;
    spw_run_device_stats(run, 0, &got);
    for (int kind = 0; kind < 4; kind++) {
        const uint64_t got_in = got.bytes_in_kind[kind], got_out = got.bytes_out_kind[kind];
        if (residency) {
            cr_assert(got_in <= 4 * in[kind], "%s kind %d: %d > %d in", it->name, kind, (int)got_in,
                      (int)(4 * in[kind]));
            cr_assert(got_out <= 4 * out[kind], "%s kind %d out", it->name, kind);
        } else {
            cr_assert(got_in == 4 * in[kind], "%s kind %d: %d != %d in", it->name, kind,
                      (int)got_in, (int)(4 * in[kind]));
            cr_assert(got_out == 4 * out[kind], "%s kind %d: %d != %d out", it->name, kind,
                      (int)got_out, (int)(4 * out[kind]));
        }
    }
    cr_assert(got.bytes_in == got.bytes_in_kind[0] + got.bytes_in_kind[1] + got.bytes_in_kind[2] +
                                  got.bytes_in_kind[3]);
    spw_run_destroy(run);
    oracle_free(&oracle);
}

static void check_traffic(int c, bool residency, bool on_device)
{
    struct bits_case it;
    bits_case_init(&it, c);
    it.config.valid = NULL;
    it.config.batch = 8;
    it.config.micro_batch = 4;
    it.config.max_steps = 4;
    it.config.epochs = 0;
    it.config.grad_groups = it.config.grad_groups < 2 ? 1 : 2;
    compare_traffic(&it, least_memory(&it.config) * 5 / 4, residency, on_device);
    bits_case_deinit(&it);
}

Test(run, bytes_equal_the_closed_form)
{
    for (int c = 0; c < CASE_COUNT; c++) {
        check_traffic(c, false, false);
        check_traffic(c, false, true);
    }
}

Test(run, residency_only_subtracts)
{
    for (int c = 0; c < CASE_COUNT; c++) {
        check_traffic(c, true, false);
        check_traffic(c, true, true);
    }
}

/* Five groups of a tied weight with two uses make ten accumulators, more than one copy brings: the
 * cores add them up, and the plan counts no bytes for it. Other weights' five come to the device.
 */
Test(run, many_accumulators_are_added_on_the_cores_as_planned)
{
    struct bits_case it;
    bits_case_init(&it, 5);
    it.config.valid = NULL;
    it.config.batch = 10;
    it.config.micro_batch = 2;
    it.config.grad_groups = 5;
    it.config.max_steps = 4;
    compare_traffic(&it, UINT64_C(4) << 20, false, true);
    compare_traffic(&it, UINT64_C(4) << 20, true, true);
    bits_case_deinit(&it);
}
