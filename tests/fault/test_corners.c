/* test_corners.c — schedules at their edges: devices of unlike speeds, logs of decisions that do
 * not fit. What can't be trained must end, with a reason. */
#include "cases.h"
#include "fault_backend.h"
#include "setting.h"

#include <criterion/criterion.h>
#include <string.h>

/* Diagnosis runs evaluation programs, which a job without a validation set uses for nothing else.
 */
Test(corners, a_nan_is_found_without_a_validation_set)
{
    for (int c = 0; c < CASE_COUNT; c++) {
        struct bits_case it;
        bits_case_init(&it, c);
        it.config.valid = NULL;
        it.config.optimizer = (struct spw_optimizer_config){.name = SPW_SGD};
        it.config.lr = 1e32;
        it.config.schedule = (struct spw_schedule_config){.name = SPW_LR_CONSTANT};
        it.config.max_steps = 8;
        it.config.epochs = 0;
        struct watch watch = {0};
        struct spw_run_config config = setting_config(2, setting_least_memory(&it.config));
        setting_open(&watch, &config);
        setting_add(&watch, &it.config, NULL);
        cr_assert(spw_run_execute(watch.run, NULL) == SPW_OK);
        const struct spw_job_status status = watch_status(&watch, 0);
        cr_assert(status.state == SPW_JOB_FAILED, "%s", it.name);
        cr_assert(status.error.status == SPW_ERR_NUMERIC, "%s: %s", it.name, status.error.what);
        spw_run_destroy(watch.run);
        bits_case_deinit(&it);
    }
}

enum { LOG_MAX = 4000 };
struct log {
    uint64_t count;
    struct spw_decision decisions[LOG_MAX];
};

static void write_log(void *self, const struct spw_decision *decision)
{
    struct log *log = self;
    cr_assert(log->count < LOG_MAX);
    log->decisions[log->count++] = *decision;
}

/* The log of another run, or the first part of the right one, is refused and not waited for. */
Test(corners, a_log_that_does_not_fit_ends_the_run)
{
    struct bits_case it;
    bits_case_init(&it, 3);
    struct oracle_result want = oracle_train(&it.config, 1, false);
    static struct log log;
    struct watch watch = {.self = &log, .on_decision = write_log};
    struct spw_run_config config = setting_config(2, setting_least_memory(&it.config));
    setting_open(&watch, &config);
    setting_add(&watch, &it.config, &want);
    setting_add(&watch, &it.config, &want);
    cr_assert(spw_run_execute(watch.run, NULL) == SPW_OK);
    spw_run_destroy(watch.run);

    config.policy = SPW_POLICY_REPLAY;
    config.replay = log.decisions;
    for (int part = 0; part <= 4; part++) {
        struct watch again = {0};
        config.replay_count = log.count * (uint64_t)part / 4;
        setting_open(&again, &config);
        setting_add(&again, &it.config, &want);
        setting_add(&again, &it.config, &want);
        cr_assert(spw_run_execute(again.run, NULL) == SPW_OK);
        for (uint32_t i = 0; i < 2; i++) {
            const struct spw_job_status status = watch_status(&again, i);
            if (part == 4) {
                setting_expect_right(&again, i, "the whole log");
            } else {
                cr_assert(status.state != SPW_JOB_DONE || part == 3, "part %d", part);
                cr_assert(status.state == SPW_JOB_DONE ||
                              strstr(status.error.what, "decisions") != NULL,
                          "%s", status.error.what);
            }
        }
        spw_run_destroy(again.run);
    }
    oracle_free(&want);
    bits_case_deinit(&it);
}

/* The second device takes a hundred times longer for everything. */
Test(corners, devices_of_unlike_speeds, .timeout = 120)
{
    struct bits_case it;
    bits_case_init(&it, 5);
    struct oracle_result want = oracle_train(&it.config, 1, false);
    for (int i = 0; i < 8; i++) {
        struct backend_faults faults;
        struct watch watch = {0};
        struct spw_run_config config = setting_config(3, setting_least_memory(&it.config) * 5 / 4);
        backend_faults_init(&faults);
        faults.slow_flops_per_s = 200000000;
        faults.slow_link_bytes_per_s = 50000000;
        config.backend = &fault_backend;
        config.policy = i & 1 ? SPW_POLICY_FIFO : SPW_POLICY_RANDOM;
        config.policy_seed = (uint64_t)i;
        config.update_place = i >> 1 & 1;
        config.prefetch = i >> 2 & 1;
        config.events = watch_events(&watch);
        cr_assert(spw_run_create(&faults.world, &config, NULL, &watch.run) == SPW_OK);
        setting_add(&watch, &it.config, &want);
        setting_add(&watch, &it.config, &want);
        cr_assert(spw_run_execute(watch.run, NULL) == SPW_OK);
        setting_expect_right(&watch, 0, "unlike speeds");
        setting_expect_right(&watch, 1, "unlike speeds");
        uint64_t units[3];
        for (uint32_t device = 0; device < 3; device++) {
            struct spw_device_stats stats;
            spw_run_device_stats(watch.run, device, &stats);
            units[device] = stats.units;
        }
        cr_assert(units[1] > 0 && units[1] < units[0] + units[2], "units: %d %d %d", (int)units[0],
                  (int)units[1], (int)units[2]);
        spw_run_destroy(watch.run);
    }
    oracle_free(&want);
    bits_case_deinit(&it);
}
