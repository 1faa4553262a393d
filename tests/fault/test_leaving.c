/* test_leaving.c — jobs that leave at any moment, by themselves or with the whole run, and jobs
 * that come late: the others keep the oracle's bits. */
#include "cases.h"
#include "setting.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <unistd.h>

/* ---- jobs that leave ---- */

struct leaver {
    struct watch watch;
    uint64_t decisions, leave_at; /* the decision at which job 1 is cancelled */
};

static void leave_at_decision(void *self, const struct spw_decision *decision)
{
    struct leaver *leaver = self;
    (void)decision;
    if (++leaver->decisions == leaver->leave_at) {
        spw_run_cancel(leaver->watch.run, leaver->watch.jobs[1].job);
    }
}

/* Whatever is under way when a job is cancelled, gathers included, its neighbour keeps its bits. */
Test(leaving, a_job_may_leave_at_any_decision, .timeout = 120)
{
    struct bits_case it;
    bits_case_init(&it, 3);
    it.config.eval_every = 1;
    struct oracle_result want = oracle_train(&it.config, 1, false);
    const uint64_t memory = setting_least_memory(&it.config) * 5 / 4;
    int left = 0;
    for (uint64_t at = 1; at <= 151; at += 3) {
        struct leaver leaver = {.leave_at = at};
        struct spw_run_config config = setting_config(1 + (uint32_t)at % 2, memory);
        config.update_place = (int32_t)(at / 2 % 2);
        leaver.watch.self = &leaver;
        leaver.watch.on_decision = leave_at_decision;
        setting_open(&leaver.watch, &config);
        setting_add(&leaver.watch, &it.config, &want);
        setting_add(&leaver.watch, &it.config, NULL);
        cr_assert(spw_run_execute(leaver.watch.run, NULL) == SPW_OK);
        setting_expect_right(&leaver.watch, 0, "the one that stays");
        left += watch_status(&leaver.watch, 1).state == SPW_JOB_CANCELLED;
        spw_run_destroy(leaver.watch.run);
    }
    cr_assert(left > 25, "only %d left", left);
    oracle_free(&want);
    bits_case_deinit(&it);
}

static enum spw_status leave_at_start(void *self, struct spw_job *job, enum spw_job_state state,
                                      struct spw_error *error)
{
    struct watch *watch = self;
    (void)error;
    if (state == SPW_JOB_RUNNING && spw_job_index(job) == 1) {
        spw_run_cancel(watch->run, job);
        spw_run_cancel(watch->run, watch->jobs[2].job); /* which still waits */
    }
    return SPW_OK;
}

Test(leaving, jobs_may_leave_before_they_work)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    struct oracle_result want = oracle_train(&it.config, 1, false);
    struct watch watch = {.self = &watch, .on_state = leave_at_start};
    struct spw_run_config config = setting_config(2, SETTING_FITS);
    setting_open(&watch, &config);
    for (int i = 0; i < 3; i++) {
        setting_add(&watch, &it.config, &want);
    }
    cr_assert(spw_run_execute(watch.run, NULL) == SPW_OK);
    setting_expect_right(&watch, 0, "the one that stays");
    for (uint32_t i = 1; i < 3; i++) {
        const struct spw_job_status status = watch_status(&watch, i);
        cr_assert(status.state == SPW_JOB_CANCELLED && status.step == 0);
        cr_assert(status.error.status == SPW_OK, "%s", status.error.what);
    }
    struct spw_run_stats stats;
    spw_run_stats(watch.run, &stats);
    cr_assert(stats.home_bytes == 0);
    spw_run_destroy(watch.run);
    oracle_free(&want);
    bits_case_deinit(&it);
}

static enum spw_job_state refused_state; /* each test is a process of its own */

static enum spw_status refuse_second(void *self, struct spw_job *job, enum spw_job_state state,
                                     struct spw_error *error)
{
    (void)self;
    (void)error;
    return spw_job_index(job) == 1 && state == refused_state ? SPW_ERR_IO : SPW_OK;
}

/* A report that fails, even without a word, fails its job and no other. */
Test(leaving, a_failing_reporter_fails_its_job)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    struct oracle_result want = oracle_train(&it.config, 1, false);
    const enum spw_job_state states[] = {SPW_JOB_RUNNING, SPW_JOB_DONE};
    for (int i = 0; i < 2; i++) {
        struct watch watch = {.on_state = refuse_second};
        struct spw_run_config config = setting_config(2, SETTING_FITS);
        refused_state = states[i];
        setting_open(&watch, &config);
        for (int k = 0; k < 3; k++) {
            setting_add(&watch, &it.config, &want);
        }
        cr_assert(spw_run_execute(watch.run, NULL) == SPW_OK);
        setting_expect_right(&watch, 0, "before it");
        setting_expect_right(&watch, 2, "after it");
        const struct spw_job_status status = watch_status(&watch, 1);
        cr_assert(status.state == SPW_JOB_FAILED);
        cr_assert(status.error.status == SPW_ERR_IO && status.error.what[0] != '\0',
                  "state %d: \"%s\"", (int)states[i], status.error.what);
        spw_run_destroy(watch.run);
    }
    oracle_free(&want);
    bits_case_deinit(&it);
}

static void *interrupt_soon(void *argument)
{
    struct watch *watch = argument;
    (void)usleep((useconds_t)watch->count * 300); /* the count is how many rounds there were */
    spw_run_interrupt(watch->run);
    return NULL;
}

Test(leaving, another_thread_may_interrupt)
{
    struct bits_case it;
    bits_case_init(&it, 3);
    it.config.max_steps = 100000; /* it would take minutes */
    for (uint32_t round = 0; round < 30; round++) {
        struct watch watch = {0};
        struct watch timer = {.count = round};
        struct spw_run_config config = setting_config(2, setting_least_memory(&it.config));
        pthread_t thread;
        setting_open(&watch, &config);
        setting_add(&watch, &it.config, NULL);
        setting_add(&watch, &it.config, NULL);
        timer.run = watch.run;
        cr_assert(pthread_create(&thread, NULL, interrupt_soon, &timer) == 0);
        cr_assert(spw_run_execute(watch.run, NULL) == SPW_ERR_CANCELLED);
        cr_assert(pthread_join(thread, NULL) == 0);
        for (uint32_t i = 0; i < 2; i++) {
            cr_assert(watch_status(&watch, i).state == SPW_JOB_CANCELLED);
        }
        struct spw_run_stats stats;
        spw_run_stats(watch.run, &stats);
        cr_assert(stats.home_bytes == 0);
        spw_run_destroy(watch.run);
    }
    bits_case_deinit(&it);
}

/* ---- jobs that come ---- */

struct adder {
    struct watch watch;
    const struct spw_job_config *job;
    const struct oracle_result *want;
};

static enum spw_status add_another(void *self, struct spw_job *job, enum spw_job_state state,
                                   struct spw_error *error)
{
    struct adder *adder = self;
    (void)job;
    if (state == SPW_JOB_DONE && adder->watch.count < 6) {
        return watch_add(&adder->watch, adder->job, adder->want, error);
    }
    return SPW_OK;
}

/* From a callback, and after a first execution. */
Test(leaving, jobs_may_come_late)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    struct oracle_result want = oracle_train(&it.config, 1, false);
    struct adder adder = {.job = &it.config, .want = &want};
    struct spw_run_config config = setting_config(2, SETTING_FITS);
    adder.watch.self = &adder;
    adder.watch.on_state = add_another;
    setting_open(&adder.watch, &config);
    setting_add(&adder.watch, &it.config, &want);
    cr_assert(spw_run_execute(adder.watch.run, NULL) == SPW_OK);
    cr_assert(adder.watch.count == 6);
    setting_add(&adder.watch, &it.config, &want);
    cr_assert(spw_run_execute(adder.watch.run, NULL) == SPW_OK);
    cr_assert(spw_run_execute(adder.watch.run, NULL) == SPW_OK);
    for (uint32_t i = 0; i < 7; i++) {
        setting_expect_right(&adder.watch, i, "late jobs");
    }
    spw_run_destroy(adder.watch.run);
    oracle_free(&want);
    bits_case_deinit(&it);
}
