/* setting.c — see setting.h. */
#include "setting.h"

#include <criterion/criterion.h>

struct spw_run_config setting_config(uint32_t devices, uint64_t mem_bytes)
{
    return (struct spw_run_config){
        .machine = {.kind = SPW_MACHINE_HOST,
                    .device_count = devices,
                    .threads = 1,
                    .mem_bytes = mem_bytes},
        .host_bytes = UINT64_C(64) << 20,
        .prefetch = -1,
        .update_place = -1,
        .keep = -1,
        .guarded_homes = true,
        .poison = true,
    };
}

void setting_open(struct watch *watch, struct spw_run_config *config)
{
    struct spw_error error = {0};
    config->events = watch_events(watch);
    cr_assert(spw_run_create(spw_world_system(), config, &error, &watch->run) == SPW_OK, "%s",
              error.what);
}

void setting_add(struct watch *watch, const struct spw_job_config *job,
                 const struct oracle_result *want)
{
    struct spw_error error = {0};
    cr_assert(watch_add(watch, job, want, &error) == SPW_OK, "%s", error.what);
}

void setting_expect_right(const struct watch *watch, uint32_t index, const char *where)
{
    char why[WATCH_FAULT_BYTES];
    cr_assert(watch_fault(watch, index, why) == NULL, "%s: %s", where, why);
}

uint64_t setting_least_memory(const struct spw_job_config *job)
{
    struct watch watch = {0};
    struct spw_run_config config = setting_config(1, SETTING_FITS);
    struct spw_error error = {0};
    uint64_t least = 0;
    config.update_place = SPW_UPDATE_ON_DEVICE;
    setting_open(&watch, &config);
    cr_assert(spw_run_least_memory(watch.run, job, &error, &least) == SPW_OK, "%s", error.what);
    spw_run_destroy(watch.run);
    return least;
}
