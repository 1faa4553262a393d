/* test_giving_back.c — what a job held when it failed, others can have: device memory that was
 * promised but not filled, spare slots of an update, homes of a job that could not start. Each at
 * the one moment at which it matters; fault_device.c fails every command. */
#include "books.h"
#include "cases.h"
#include "fault_backend.h"
#include "setting.h"

#include "tests/support/fault_world.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* A run whose books are held right, and its faults. */
struct trial {
    struct watch watch;
    struct backend_faults faults;
    uint32_t audits_at_end; /* of a job that failed */
};

static void audit(const struct trial *trial)
{
    char fault[BOOKS_FAULT_BYTES];
    cr_assert(books_fault(trial->watch.run, fault) == NULL, "%s", fault);
}

static enum spw_status audit_state(void *self, struct spw_job *job, enum spw_job_state state,
                                   struct spw_error *error)
{
    struct trial *trial = self;
    (void)job;
    (void)error;
    audit(trial);
    trial->audits_at_end += state == SPW_JOB_FAILED;
    return SPW_OK;
}

static struct trial *open_trial(void)
{
    struct trial *trial = calloc(1, sizeof *trial);
    backend_faults_init(&trial->faults);
    trial->watch.self = trial;
    trial->watch.on_state = audit_state;
    return trial;
}

static void open_run(struct trial *trial, struct spw_run_config config)
{
    struct spw_error error = {0};
    config.backend = &fault_backend;
    config.events = watch_events(&trial->watch);
    cr_assert(spw_run_create(&trial->faults.world, &config, &error, &trial->watch.run) == SPW_OK,
              "%s", error.what);
}

static void close_trial(struct trial *trial)
{
    struct spw_run_stats stats;
    audit(trial);
    spw_run_stats(trial->watch.run, &stats);
    cr_assert(stats.home_bytes == 0);
    spw_run_destroy(trial->watch.run);
    free(trial);
}

/* ---- device memory ---- */

/* Device 0 can be filled from the moment at which the second job is given its memory. */
static void open_queue(void *self, const struct spw_decision *decision)
{
    struct trial *trial = self;
    if (decision->job == 1) {
        trial->faults.full_in = -1;
    }
    audit(trial);
}

/* Device 1 speaks again once the second job has trained a step. */
static void end_silence(void *self, struct spw_job *job, const struct spw_step_result *result)
{
    struct trial *trial = self;
    (void)result;
    trial->faults.silent = trial->faults.silent && spw_job_index(job) != 1;
}

/* A job has a group on either device. On device 0 a unit has got its memory, but its load finds the
 * queue full; on device 1 the first command fails, and the rest is not over for a long time. So the
 * first unit is taken back while its job is not over yet; and the other job, which needs every byte
 * of device 0 for its largest unit, must get it. */
Test(giving_back, memory_that_was_never_filled_is_free_at_once)
{
    struct bits_case it;
    bits_case_init(&it, 3); /* its first shard has weights */
    struct oracle_result want = oracle_train(&it.config, 1, false);
    struct spw_job_config pair = it.config;
    pair.id = "pair";
    pair.grad_groups = 2;
    pair.max_steps = 500; /* so long that the policy prefers it */
    struct trial *trial = open_trial();
    trial->faults.full_in = 0;
    trial->faults.fail_device = 1;
    trial->faults.fail_at = 1;
    trial->faults.silent = true;
    trial->watch.on_decision = open_queue;
    trial->watch.on_step = end_silence;
    struct spw_run_config config = setting_config(2, setting_least_memory(&it.config));
    config.prefetch = 0;
    config.update_place = SPW_UPDATE_ON_DEVICE;
    open_run(trial, config);
    setting_add(&trial->watch, &pair, NULL);
    setting_add(&trial->watch, &it.config, &want);
    cr_assert(spw_run_execute(trial->watch.run, NULL) == SPW_OK);
    cr_assert(trial->faults.refused > 0 && trial->faults.failed == 1 && !trial->faults.silent);
    cr_assert(watch_status(&trial->watch, 0).state == SPW_JOB_FAILED);
    cr_assert(watch_status(&trial->watch, 0).step == 0);
    setting_expect_right(&trial->watch, 1, "the one that stays");
    struct spw_device_stats stats[2];
    spw_run_device_stats(trial->watch.run, 0, &stats[0]);
    spw_run_device_stats(trial->watch.run, 1, &stats[1]);
    cr_assert(stats[0].units > 0 && stats[1].units == 0, "the one that stays trains on device 0");
    close_trial(trial);
    oracle_free(&want);
    bits_case_deinit(&it);
}

/* ---- spare slots ---- */

/* Whichever update fails, on the cores or on a device. */
Test(giving_back, spare_slots_come_back_from_an_update_that_fails)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    struct oracle_result want = oracle_train(&it.config, 1, false);
    for (int i = 0; i < 24; i++) {
        struct trial *trial = open_trial();
        trial->faults.fail_work = SPW_WORK_UPDATE;
        trial->faults.fail_at = 1 + (uint64_t)i / 2;
        struct spw_run_config config = setting_config(2, setting_least_memory(&it.config));
        config.update_place = i % 2;
        open_run(trial, config);
        setting_add(&trial->watch, &it.config, &want);
        setting_add(&trial->watch, &it.config, &want);
        cr_assert(spw_run_execute(trial->watch.run, NULL) == SPW_OK);
        const bool first = watch_status(&trial->watch, 0).state == SPW_JOB_FAILED;
        cr_assert(trial->faults.failed == 1 && trial->audits_at_end == 1, "update %d", i / 2);
        cr_assert(strstr(watch_status(&trial->watch, first ? 0 : 1).error.what, "the update of") !=
                  NULL);
        setting_expect_right(&trial->watch, first ? 1 : 0, "the one that stays");
        close_trial(trial);
    }
    oracle_free(&want);
    bits_case_deinit(&it);
}

/* ---- homes ---- */

/* Runs two jobs, one after the other as homes have room for one, with allocation `at` of them
 * failing; false if they made fewer. */
static bool start_with_a_fault(const struct bits_case *it, struct spw_fault_world *fault,
                               uint64_t home_bytes, const struct oracle_result *want, uint64_t at)
{
    struct watch watch = {0};
    struct spw_run_config config = setting_config(2, SETTING_FITS);
    struct spw_error error = {0};
    char books[BOOKS_FAULT_BYTES];
    uint32_t failed = 0;
    config.host_bytes = home_bytes * 3 / 2 / 4096 * 4096;
    config.events = watch_events(&watch);
    spw_fault_world_arm(fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){0});
    cr_assert(spw_run_create(&fault->world, &config, &error, &watch.run) == SPW_OK, "%s",
              error.what);
    setting_add(&watch, &it->config, want);
    setting_add(&watch, &it->config, want);
    spw_fault_world_arm(fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = at});
    cr_assert(spw_run_execute(watch.run, NULL) == SPW_OK);
    const bool struck = spw_fault_world_struck(fault);
    for (uint32_t i = 0; i < 2; i++) {
        const struct spw_job_status status = watch_status(&watch, i);
        if (status.state == SPW_JOB_FAILED) {
            cr_assert(status.error.status == SPW_ERR_NO_MEMORY, "%s", status.error.what);
            failed++;
        } else {
            setting_expect_right(&watch, i, "the other one");
        }
    }
    cr_assert(failed == struck, "allocation %d: %u failed", (int)at, failed);
    cr_assert(books_fault(watch.run, books) == NULL, "allocation %d: %s", (int)at, books);
    spw_run_destroy(watch.run);
    return struck;
}

static uint64_t home_bytes_of(const struct spw_job_config *job)
{
    struct watch watch = {0};
    struct spw_run_config config = setting_config(2, SETTING_FITS);
    setting_open(&watch, &config);
    setting_add(&watch, job, NULL);
    const uint64_t bytes = spw_job_plan(watch.jobs[0].job)->totals.home_bytes;
    spw_run_destroy(watch.run);
    return bytes;
}

Test(giving_back, a_job_that_cannot_start_leaves_its_homes_to_the_next)
{
    struct spw_fault_world fault;
    struct bits_case it;
    uint64_t at = 1;
    spw_fault_world_init(&fault, spw_world_system());
    /* The one whose ops must be prepared: that fails last. */
    cr_assert(bits_case_open(&fault.world, 1, NULL, &it) == SPW_OK);
    const uint64_t home_bytes = home_bytes_of(&it.config);
    struct oracle_result want = oracle_train(&it.config, 1, false);
    while (start_with_a_fault(&it, &fault, home_bytes, &want, at)) {
        at++;
    }
    cr_assert(at > 8, "only %d allocations failed", (int)at - 1);
    oracle_free(&want);
    bits_case_deinit(&it);
    cr_assert(spw_fault_world_clean(&fault), "memory is left over");
}
