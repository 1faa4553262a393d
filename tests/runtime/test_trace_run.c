/* test_trace_run.c — the trace of a real run agrees with its decisions and statistics. */
#include "trace_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct watch {
    struct spw_run *run;
    struct spw_trace *trace;
    uint64_t works[4]; /* computed commands that the decisions imply, by device; cores last */
    uint64_t spans[4]; /* that came, on compute queues */
    uint64_t decisions;
};

static void on_decision(void *self, const struct spw_decision *decision)
{
    struct watch *watch = self;
    const struct spw_plan *plan = spw_job_plan(spw_run_job(watch->run, decision->job));
    const bool in_pieces = decision->kind == SPW_UNIT_REDUCE || decision->kind == SPW_UNIT_UPDATE;
    uint64_t works = (uint64_t)decision->micro_batches;
    if (in_pieces) {
        works = decision->device == spw_run_device_count(watch->run)
                    ? 1
                    : spw_plan_pieces(plan, decision->kind, decision->shard);
    }
    watch->decisions++;
    watch->works[decision->device] += works;
}

static void on_span(void *self, const struct spw_span *span)
{
    struct watch *watch = self;
    watch->spans[span->device] += span->queue == SPW_QUEUE_COMPUTE;
    spw_trace_span(watch->trace, span);
}

static void compare_stats(const struct read_trace *read, const struct watch *watch, uint32_t index)
{
    struct spw_device_stats stats;
    char name[64];
    spw_run_device_stats(watch->run, index, &stats);
    (void)snprintf(name, sizeof name, "%s compute", stats.name);
    const struct read_track *compute = trace_track(read, name);
    cr_assert(compute->slices == watch->works[index], "%s: %d slices, %d works", name,
              (int)compute->slices, (int)watch->works[index]);
    cr_assert(compute->slices == watch->spans[index], "%s", name);
    cr_assert(compute->busy_ns == stats.compute_ns, "%s: %d ns", name, (int)compute->busy_ns);
    if (index < spw_run_device_count(watch->run)) {
        (void)snprintf(name, sizeof name, "%s bytes copy in", stats.name);
        cr_assert(trace_track(read, name)->value == stats.bytes_in, "%s", name);
        (void)snprintf(name, sizeof name, "%s bytes copy out", stats.name);
        cr_assert(trace_track(read, name)->value == stats.bytes_out, "%s", name);
        cr_assert(compute->slices > 0 && stats.bytes_in > 0 && stats.bytes_out > 0,
                  "%s took no part", stats.name);
    }
}

/* Tracks of jobs share out what the compute tracks hold. */
static void compare_jobs(const struct read_trace *read, const struct watch *watch)
{
    uint64_t of_jobs = 0, of_devices = 0, busy_ns = 0;
    for (size_t i = 0; i < read->track_count; i++) {
        const struct read_track *track = &read->tracks[i];
        if (track->parent == 0) {
            of_jobs += track->slices;
            busy_ns += track->busy_ns;
        }
    }
    for (uint32_t i = 0; i <= spw_run_device_count(watch->run); i++) {
        of_devices += watch->works[i];
    }
    cr_assert(of_jobs == of_devices, "%d of jobs, %d of devices", (int)of_jobs, (int)of_devices);
    uint64_t expected_ns = 0;
    for (uint32_t i = 0; i < spw_run_job_count(watch->run); i++) {
        struct spw_job_status status;
        spw_job_status(spw_run_job(watch->run, i), &status);
        cr_assert(status.state == SPW_JOB_DONE);
        expected_ns += status.busy_ns;
    }
    cr_assert(busy_ns == expected_ns);
}

/* Three jobs, one of them in gradient groups, that fit neither of two devices whole. */
static void trace_real_run(enum spw_update_place place, bool pace_model)
{
    static const int indices[] = {0, 1, 5};
    struct bits_case cases[3];
    struct watch watch = {0};
    struct spw_temporary directory;
    struct read_trace read;
    char path[512];
    struct spw_error error = {0};
    spw_temporary_init(&directory);
    (void)spw_temporary_path(&directory, "run.pftrace", path);
    watch.run = trace_open_run((struct spw_run_config){
        .machine = {.device_count = 2, .mem_bytes = 160 << 10, .pace_model = pace_model},
        .update_place = (int32_t)place,
        .events = {.self = &watch, .decision = on_decision, .span = on_span}});
    for (int i = 0; i < 3; i++) {
        struct spw_job *job = NULL;
        bits_case_init(&cases[i], indices[i]);
        cr_assert(spw_run_add(watch.run, &cases[i].config, &error, &job) == SPW_OK, "%s",
                  error.what);
    }
    watch.trace = trace_create(spw_world_system(), path, watch.run);
    cr_assert(spw_run_execute(watch.run, &error) == SPW_OK, "%s", error.what);
    trace_close_whole(watch.trace);
    trace_read_whole(&read, path);
    cr_assert(watch.decisions > 50 && read.slice_count > 100, "%zu spans", read.slice_count);
    for (uint32_t i = 0; i <= 2; i++) {
        compare_stats(&read, &watch, i);
    }
    compare_jobs(&read, &watch);
    cr_assert(trace_track(&read, "gpt-groups group 2")->slices > 0);
    read_trace_deinit(&read);
    spw_run_destroy(watch.run);
    for (int i = 0; i < 3; i++) {
        bits_case_deinit(&cases[i]);
    }
    spw_temporary_deinit(&directory);
}

Test(trace_run, a_run_with_updates_on_the_cores_agrees_with_its_decisions_and_statistics)
{
    trace_real_run(SPW_UPDATE_ON_CORES, false);
}

Test(trace_run, a_run_with_updates_on_devices_agrees_with_its_decisions_and_statistics)
{
    trace_real_run(SPW_UPDATE_ON_DEVICE, false);
}

Test(trace_run, a_run_on_modelled_time_agrees_with_its_decisions_and_statistics)
{
    trace_real_run(SPW_UPDATE_ON_CORES, true);
}
