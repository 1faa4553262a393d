/* Tests of runtime/fleet.c: one host is a run; several share jobs and the clock, and nothing else.
 */
#include "cases.h"
#include "runtime/fleet.h"
#include "tests/support/fault_world.h"

#include "base/hash.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { HOSTS_MAX = 4, JOBS_MAX = 16 };

static const struct spw_machine_model model = {
    .devices = {{.mem_bytes = 300000,
                 .flops_per_s = 10000000000,
                 .memory_bytes_per_s = 2000000000,
                 .launch_ns = 500,
                 .link = {.bytes_per_s = 500000000},
                 .link_latency_ns = 300}},
    .host = {.mem_bytes = 1 << 30, .cores_bytes_per_s = 3000000000, .cores_launch_ns = 200},
};

struct watch {
    uint64_t spans, steps, hash;
    struct spw_fleet *interrupt; /* at the first step */
};

static void on_span(void *self, const struct spw_span *span)
{
    struct watch *watch = self;
    const uint64_t words[] = {span->device,          span->queue,
                              span->start_ns,        span->end_ns,
                              span->bytes,           span->job,
                              (uint64_t)span->kind,  span->step,
                              (uint64_t)span->shard, (uint64_t)span->micro_batch};
    watch->hash = spw_hash(words, sizeof(words), watch->hash);
    watch->spans++;
}

static void on_step(void *self, struct spw_job *job, const struct spw_step_result *result)
{
    struct watch *watch = self;
    (void)job;
    (void)result;
    watch->steps++;
    if (watch->interrupt != NULL) {
        spw_fleet_interrupt(watch->interrupt);
    }
}

static struct spw_run_config config_of(uint32_t devices, uint32_t hosts)
{
    return (struct spw_run_config){
        .machine = {.kind = SPW_MACHINE_SIM, .device_count = devices, .threads = 1, .hosts = hosts},
        .model = &model,
        .policy = SPW_POLICY_LRTF,
        .prefetch = -1,
        .update_place = -1,
        .keep = -1,
    };
}

static struct spw_run_events events_of(struct watch *watch)
{
    return (struct spw_run_events){.self = watch, .span = on_span, .step = on_step};
}

static struct spw_job_config job_of(const struct bits_case *it, int index, char id[16])
{
    struct spw_job_config config = it->config;
    (void)snprintf(id, 16, "job-%d", index);
    config.id = id;
    config.max_steps = 2 + (uint64_t)index % 3;
    return config;
}

static uint64_t wall_of(struct spw_run *run)
{
    struct spw_run_stats stats;
    spw_run_stats(run, &stats);
    return stats.wall_ns;
}

static struct spw_fleet *make_fleet(const struct spw_run_config *config, struct watch *watches,
                                    const struct bits_case *it, int jobs)
{
    static char ids[JOBS_MAX][16];
    struct spw_run_events events[HOSTS_MAX];
    struct spw_error error = {0};
    struct spw_fleet *fleet = NULL;
    for (int i = 0; i < HOSTS_MAX; i++) {
        events[i] = events_of(&watches[i]);
    }
    cr_assert(spw_fleet_create(spw_world_system(), config, events, &error, &fleet) == SPW_OK, "%s",
              error.what);
    for (int i = 0; i < jobs; i++) {
        const struct spw_job_config job = job_of(it, i, ids[i]);
        cr_assert(spw_fleet_add(fleet, &job, &error) == SPW_OK, "%s", error.what);
    }
    cr_assert(spw_fleet_job_count(fleet) == (uint32_t)jobs);
    return fleet;
}

/* Runs a fleet to its end and returns the makespan. */
static uint64_t run_fleet(const struct spw_run_config *config, struct watch *watches,
                          const struct bits_case *it, int jobs)
{
    memset(watches, 0, HOSTS_MAX * sizeof(*watches));
    struct spw_fleet *fleet = make_fleet(config, watches, it, jobs);
    struct spw_error error = {0};
    cr_assert(spw_fleet_execute(fleet, &error) == SPW_OK, "%s", error.what);
    for (uint32_t i = 0; i < (uint32_t)jobs; i++) {
        struct spw_job_status status;
        uint32_t host = HOSTS_MAX;
        spw_job_status(spw_fleet_job(fleet, i, &host), &status);
        cr_assert(status.state == SPW_JOB_DONE && status.step == 2 + i % 3, "%s",
                  status.error.what);
        cr_assert(host < spw_fleet_hosts(fleet));
    }
    const uint64_t wall_ns = wall_of(spw_fleet_run(fleet, 0));
    for (uint32_t host = 1; host < spw_fleet_hosts(fleet); host++) {
        cr_assert(wall_of(spw_fleet_run(fleet, host)) == wall_ns, "all end together");
    }
    spw_fleet_destroy(fleet);
    return wall_ns;
}

Test(fleet, one_host_is_a_run)
{
    struct bits_case it;
    struct watch watches[HOSTS_MAX], alone = {0};
    struct spw_run *run = NULL;
    struct spw_run_config config = config_of(3, 1);
    bits_case_init(&it, 0);
    const uint64_t fleet_ns = run_fleet(&config, watches, &it, 6);
    config.events = events_of(&alone);
    cr_assert(spw_run_create(spw_world_system(), &config, NULL, &run) == SPW_OK);
    for (int i = 0; i < 6; i++) {
        char id[16];
        struct spw_job *job;
        const struct spw_job_config job_config = job_of(&it, i, id);
        cr_assert(spw_run_add(run, &job_config, NULL, &job) == SPW_OK);
    }
    cr_assert(spw_run_execute(run, NULL) == SPW_OK);
    cr_assert(wall_of(run) == fleet_ns);
    cr_assert(alone.spans > 200, "%d", (int)alone.spans);
    cr_assert(memcmp(&alone, &watches[0], sizeof(alone)) == 0);
    spw_run_destroy(run);
    bits_case_deinit(&it);
}

Test(fleet, hosts_work_side_by_side)
{
    struct bits_case it;
    struct watch one[HOSTS_MAX], four[HOSTS_MAX], again[HOSTS_MAX];
    bits_case_init(&it, 2);
    struct spw_run_config config = config_of(2, 1);
    const uint64_t one_ns = run_fleet(&config, one, &it, 12);
    config = config_of(8, 4);
    const uint64_t four_ns = run_fleet(&config, four, &it, 12);
    cr_assert(run_fleet(&config, again, &it, 12) == four_ns);
    cr_assert(memcmp(four, again, sizeof(four)) == 0, "the same each time");
    cr_assert(one_ns > 3 * four_ns && one_ns < 5 * four_ns, "%llu %llu", (unsigned long long)one_ns,
              (unsigned long long)four_ns);
    for (int i = 0; i < HOSTS_MAX; i++) {
        cr_assert(four[i].steps == 9, "host %d had %d steps", i, (int)four[i].steps);
    }
    bits_case_deinit(&it);
}

/* What hosts have of their own is not shared: a link that binds is four links. */
Test(fleet, links_are_the_hosts_own)
{
    struct bits_case it;
    struct watch watches[HOSTS_MAX];
    struct spw_machine_model narrow = model;
    bits_case_init(&it, 2);
    narrow.devices[0].link.bytes_per_s = 50000000;
    narrow.host.link.bytes_per_s = 50000000;
    struct spw_run_config config = config_of(8, 1);
    config.model = &narrow;
    const uint64_t one_ns = run_fleet(&config, watches, &it, 8);
    config.machine.hosts = 4;
    const uint64_t four_ns = run_fleet(&config, watches, &it, 8);
    cr_assert(one_ns > 2 * four_ns, "%llu %llu", (unsigned long long)one_ns,
              (unsigned long long)four_ns);
    bits_case_deinit(&it);
}

/* Devices are numbered through the machine; unlike ones are where the machine has them. */
Test(fleet, hosts_have_their_part_of_the_machine)
{
    struct bits_case it;
    struct watch watches[HOSTS_MAX] = {0};
    struct spw_machine_model mixed = model;
    bits_case_init(&it, 0);
    mixed.devices[1] = mixed.devices[0];
    mixed.devices[1].mem_bytes = 600000;
    struct spw_run_config config = config_of(4, 2);
    config.model = &mixed;
    config.machine.part_count = 2;
    config.machine.parts[0] = (struct spw_machine_part){.name = "a", .count = 3};
    config.machine.parts[1] = (struct spw_machine_part){.name = "b", .count = 1};
    struct spw_fleet *fleet = make_fleet(&config, watches, &it, 2);
    static const uint64_t bytes[2][2] = {{300000, 300000}, {300000, 600000}};
    static const char *const names[2][2] = {{"sim:0", "sim:1"}, {"sim:2", "sim:3"}};
    for (uint32_t host = 0; host < 2; host++) {
        cr_assert(spw_run_device_count(spw_fleet_run(fleet, host)) == 2);
        for (uint32_t i = 0; i < 2; i++) {
            struct spw_device_stats stats;
            spw_run_device_stats(spw_fleet_run(fleet, host), i, &stats);
            cr_assert(stats.region_bytes == bytes[host][i]);
            cr_assert(strcmp(stats.name, names[host][i]) == 0);
        }
    }
    cr_assert(spw_fleet_execute(fleet, NULL) == SPW_OK);
    spw_fleet_destroy(fleet);
    bits_case_deinit(&it);
}

Test(fleet, can_be_interrupted)
{
    struct bits_case it;
    struct watch watches[HOSTS_MAX] = {0};
    bits_case_init(&it, 0);
    const struct spw_run_config config = config_of(4, 2);
    struct spw_fleet *fleet = make_fleet(&config, watches, &it, 6);
    watches[1].interrupt = fleet;
    cr_assert(spw_fleet_execute(fleet, NULL) == SPW_ERR_CANCELLED);
    cr_assert(watches[0].steps + watches[1].steps < 18);
    spw_fleet_destroy(fleet);
    bits_case_deinit(&it);
}

Test(fleet, what_does_not_fit_is_refused_when_added)
{
    struct bits_case it;
    char id[16];
    struct spw_machine_model small = model;
    struct spw_fleet *fleet = NULL;
    struct spw_error error = {0};
    bits_case_init(&it, 0);
    small.devices[0].mem_bytes = 4096;
    struct spw_run_config config = config_of(4, 2);
    config.model = &small;
    cr_assert(spw_fleet_create(spw_world_system(), &config, NULL, NULL, &fleet) == SPW_OK);
    const struct spw_job_config job = job_of(&it, 0, id);
    cr_assert(spw_fleet_add(fleet, &job, &error) == SPW_ERR_DOES_NOT_FIT);
    cr_assert(spw_fleet_job_count(fleet) == 0);
    spw_fleet_destroy(fleet);
    config.model = NULL;
    cr_assert(spw_fleet_create(spw_world_system(), &config, NULL, NULL, &fleet) ==
              SPW_ERR_ARGUMENT);
    bits_case_deinit(&it);
}

/* Each allocation of opening, adding and running fails once. */
Test(fleet, no_memory_is_a_status)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    const struct spw_run_config config = config_of(2, 2);
    for (uint64_t at = 1;; at++) {
        struct spw_fault_world fault;
        struct spw_fleet *fleet = NULL;
        char id[16];
        const struct spw_job_config job = job_of(&it, 0, id);
        spw_fault_world_init(&fault, spw_world_system());
        spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = at});
        enum spw_status status = spw_fleet_create(&fault.world, &config, NULL, NULL, &fleet);
        if (status == SPW_OK) {
            status = spw_fleet_add(fleet, &job, NULL);
        }
        if (status == SPW_OK) {
            status = spw_fleet_execute(fleet, NULL);
        }
        const bool struck = spw_fault_world_struck(&fault);
        cr_assert(status == SPW_OK || (struck && status == SPW_ERR_NO_MEMORY), "allocation %d",
                  (int)at);
        spw_fleet_destroy(fleet);
        cr_assert(spw_fault_world_clean(&fault), "allocation %d", (int)at);
        if (!struck) {
            cr_assert(at > 60, "%d", (int)at);
            break;
        }
        at += at > 60 ? 6 : 0; /* planning alone has hundreds */
    }
    bits_case_deinit(&it);
}
