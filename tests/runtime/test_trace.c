/* test_trace.c — what a trace file says, read back field by field: of made-up spans, of a real run,
 * and of files that can't be written. */
#include "cases.h"
#include "runtime/record/trace.h"
#include "tests/support/fault_world.h"
#include "tests/support/temporary.h"
#include "trace_reader.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A run with two devices that nothing is trained on, and a trace of it in a directory. */
struct fixture {
    struct spw_temporary directory;
    char path[512];
    struct spw_run *run;
    struct bits_case model;
};

static struct spw_run *open_run(struct spw_run_config config)
{
    struct spw_error error = {0};
    struct spw_run *run = NULL;
    config.machine.kind = SPW_MACHINE_HOST;
    config.machine.threads = 1;
    config.prefetch = -1;
    config.host_bytes = UINT64_C(256) << 20;
    cr_assert(spw_run_create(spw_world_system(), &config, &error, &run) == SPW_OK, "%s",
              error.what);
    return run;
}

static struct spw_job *add(struct spw_run *run, const struct bits_case *model, const char *id,
                           int64_t grad_groups)
{
    struct spw_error error = {0};
    struct spw_job *job = NULL;
    struct spw_job_config config = model->config;
    config.id = id;
    config.grad_groups = grad_groups;
    config.batch = grad_groups > 3 ? grad_groups : config.batch;
    config.micro_batch = grad_groups > 3 ? 1 : config.micro_batch;
    cr_assert(spw_run_add(run, &config, &error, &job) == SPW_OK, "%s", error.what);
    return job;
}

static void fixture_init(struct fixture *fixture)
{
    spw_temporary_init(&fixture->directory);
    (void)spw_temporary_path(&fixture->directory, "trace.pftrace", fixture->path);
    fixture->run = open_run(
        (struct spw_run_config){.machine = {.device_count = 2, .mem_bytes = UINT64_C(4) << 20}});
    bits_case_init(&fixture->model, 0);
}

static void fixture_deinit(struct fixture *fixture)
{
    spw_run_destroy(fixture->run);
    bits_case_deinit(&fixture->model);
    spw_temporary_deinit(&fixture->directory);
}

static struct spw_trace *create(const struct spw_world *world, const char *path,
                                struct spw_run *run)
{
    struct spw_error error = {0};
    struct spw_trace *trace = NULL;
    cr_assert(spw_trace_create(world, path, run, &error, &trace) == SPW_OK, "%s", error.what);
    return trace;
}

static void close_whole(struct spw_trace *trace)
{
    struct spw_error error = {0};
    cr_assert(spw_trace_close(trace, &error) == SPW_OK, "%s", error.what);
}

static void read_whole(struct read_trace *read, const char *path)
{
    cr_assert(read_trace_init(read, path), "%s", read->fault);
    cr_assert(read->open_count == 0, "%zu spans never end", read->open_count);
    cr_assert(!read->cut_off, "the last packet is cut off");
}

static const struct read_track *track_of(const struct read_trace *read, const char *name)
{
    const struct read_track *track = read_trace_track(read, name);
    cr_assert(track != NULL, "there is no track '%s', or there are two", name);
    return track;
}

/* ---- tracks ---- */

Test(trace, every_queue_job_and_counter_has_a_track)
{
    static const char *const names[] = {
        "host:0",         "host:0 compute", "host:0 copy in",  "host:0 copy out", "host:1",
        "host:1 compute", "host:1 copy in", "host:1 copy out", "cores",           "cores compute",
        "alone",          "pair group 0",   "pair group 1",
    };
    static const char *const counters[] = {"host:0 bytes copy in", "host:0 bytes copy out",
                                           "host:1 bytes copy in", "host:1 bytes copy out"};
    const size_t name_count = sizeof names / sizeof names[0];
    struct fixture fixture;
    struct read_trace read;
    fixture_init(&fixture);
    (void)add(fixture.run, &fixture.model, "alone", 1);
    (void)add(fixture.run, &fixture.model, "pair", 2);
    close_whole(create(spw_world_system(), fixture.path, fixture.run));
    read_whole(&read, fixture.path);
    cr_assert(read.track_count == name_count + 4, "%zu tracks", read.track_count);
    for (size_t i = 0; i < name_count; i++) {
        const struct read_track *track = track_of(&read, names[i]);
        const char *colon = strchr(names[i], ' ');
        cr_assert(!track->counter, "%s", names[i]);
        if (i < 10 && colon != NULL) { /* queues belong to their device */
            char device[16] = "";
            memcpy(device, names[i], (size_t)(colon - names[i]));
            cr_assert(track->parent == track_of(&read, device)->uuid, "%s", names[i]);
        } else {
            cr_assert(track->parent == 0, "%s", names[i]);
        }
    }
    for (size_t i = 0; i < 4; i++) {
        const struct read_track *track = track_of(&read, counters[i]);
        cr_assert(track->counter && track->unit == 3, "%s is not in bytes", counters[i]);
        cr_assert(track->parent == track_of(&read, i < 2 ? "host:0" : "host:1")->uuid);
    }
    read_trace_deinit(&read);
    fixture_deinit(&fixture);
}

/* More groups than a table would have room for, and a job added while the trace is written. */
Test(trace, jobs_may_have_many_groups_and_come_late)
{
    enum { GROUPS = 300 };
    struct fixture fixture;
    struct read_trace read;
    char name[64];
    fixture_init(&fixture);
    (void)add(fixture.run, &fixture.model, "first", 1);
    struct spw_trace *trace = create(spw_world_system(), fixture.path, fixture.run);
    (void)add(fixture.run, &fixture.model, "many", GROUPS);
    const uint64_t now = spw_now_ns(spw_world_system());
    for (uint32_t group = 0; group < GROUPS; group++) {
        const uint64_t at = now + UINT64_C(10) * group;
        const struct spw_span span = {.job = 1, .group = group, .start_ns = at, .end_ns = at + 5};
        spw_trace_span(trace, &span);
    }
    close_whole(trace);
    read_whole(&read, fixture.path);
    cr_assert(track_of(&read, "first")->slices == 0);
    cr_assert(track_of(&read, "host:0 compute")->slices == GROUPS);
    for (uint32_t group = 0; group < GROUPS; group++) {
        (void)snprintf(name, sizeof name, "many group %u", group);
        cr_assert(track_of(&read, name)->slices == 1, "group %u", group);
    }
    read_trace_deinit(&read);
    fixture_deinit(&fixture);
}

/* Names are cut where a character ends, and no packet outgrows its bound. */
Test(trace, long_names_are_cut_between_characters)
{
    struct fixture fixture;
    struct read_trace read;
    char ids[3][700] = {"", "", "x"};
    memset(ids[0], 'a', 699);
    for (int i = 0; i < 300; i++) {                        /* characters of two bytes */
        memcpy(&ids[1][2 * (size_t)i], "\xC3\xBC", 2);     /* 96 bytes are 48 of them */
        memcpy(&ids[2][1 + 2 * (size_t)i], "\xC3\xBC", 2); /* 95 bytes are the most */
    }
    fixture_init(&fixture);
    for (int i = 0; i < 3; i++) {
        (void)add(fixture.run, &fixture.model, ids[i], 1);
    }
    struct spw_trace *trace = create(spw_world_system(), fixture.path, fixture.run);
    for (uint32_t i = 0; i < 3; i++) {
        const struct spw_span span = {.device = i,
                                      .job = i,
                                      .start_ns = UINT64_MAX - 9,
                                      .end_ns = UINT64_MAX,
                                      .kind = SPW_UNIT_BACKWARD,
                                      .shard = INT32_MIN,
                                      .step = UINT64_MAX,
                                      .micro_batch = INT64_MAX,
                                      .bytes = UINT64_MAX};
        spw_trace_span(trace, &span);
    }
    close_whole(trace);
    read_whole(&read, fixture.path);
    cr_assert(read.slice_count == 6);
    for (int i = 0; i < 3; i++) {
        const struct read_slice *slice = &read.slices[2 * (size_t)i];
        char id[128] = "", name[160];
        memcpy(id, ids[i], i == 2 ? 95 : 96);
        (void)snprintf(name, sizeof name, "%s backward -2147483648", id);
        cr_assert(track_of(&read, id)->slices == 1, "job %d", i);
        cr_assert(strcmp(slice->name, name) == 0, "%s", slice->name);
        cr_assert(slice->bytes == UINT64_MAX && slice->step == UINT64_MAX);
    }
    read_trace_deinit(&read);
    fixture_deinit(&fixture);
}

/* ---- spans ---- */

static const char *const KINDS[] = {"forward", "backward", "eval", "reduce", "update"};
static const char *const QUEUES[] = {"compute", "copy in", "copy out"};

/* Span `i` of a made-up sequence that walks over devices, queues, jobs and kinds. */
static struct spw_span made_up_span(uint64_t i, uint64_t begun_ns)
{
    return (struct spw_span){
        .device = (uint32_t)(i % 2),
        .queue = (enum spw_queue)(i / 2 % 3),
        .start_ns = begun_ns + 100 * i,
        .end_ns = begun_ns + 100 * i + i % 100,
        .bytes = i / 2 % 3 == 0 ? 0 : (UINT64_C(1) << 33) + i,
        .job = (uint32_t)(i / 6 % 2),
        .group = 0,
        .kind = (enum spw_unit_kind)(i / 12 % 5),
        .shard = (int32_t)(i / 60 % 7),
        .step = 1 + i / 420,
        .micro_batch = (int64_t)(i % 5) - 1,
    };
}

static void compare_slice(const struct read_trace *read, uint64_t at, const char *track,
                          const char *name, const struct spw_span *span, uint64_t i)
{
    const struct read_slice *slice = &read->slices[at];
    const bool in_pieces = span->kind == SPW_UNIT_REDUCE || span->kind == SPW_UNIT_UPDATE;
    cr_assert(slice->track == track_of(read, track)->uuid, "span %d is not on %s", (int)i, track);
    cr_assert(strcmp(slice->name, name) == 0, "span %d: %s", (int)i, slice->name);
    cr_assert(slice->end_ns - slice->start_ns == span->end_ns - span->start_ns, "span %d", (int)i);
    cr_assert(slice->start_ns - read->slices[0].start_ns == 100 * i, "span %d", (int)i);
    cr_assert(slice->step == span->step && slice->bytes == span->bytes, "span %d", (int)i);
    cr_assert(slice->micro_batch == (in_pieces ? -1 : span->micro_batch), "span %d", (int)i);
    cr_assert(slice->piece == (in_pieces ? span->micro_batch : -1), "span %d", (int)i);
}

/* Enough of them that the buffer is written several times. */
Test(trace, spans_come_back_as_they_were)
{
    enum { COUNT = 6000 };
    static const char *const jobs[] = {"one", "two"};
    struct fixture fixture;
    struct read_trace read;
    uint64_t bytes[2][3] = {{0}}, at = 0;
    fixture_init(&fixture);
    for (int i = 0; i < 2; i++) {
        (void)add(fixture.run, &fixture.model, jobs[i], 1);
    }
    struct spw_trace *trace = create(spw_world_system(), fixture.path, fixture.run);
    const uint64_t begun_ns = spw_now_ns(spw_world_system());
    for (uint64_t i = 0; i < COUNT; i++) {
        const struct spw_span span = made_up_span(i, begun_ns);
        bytes[span.device][span.queue] += span.bytes;
        spw_trace_span(trace, &span);
    }
    close_whole(trace);
    read_whole(&read, fixture.path);
    for (uint64_t i = 0; i < COUNT; i++) {
        const struct spw_span span = made_up_span(i, begun_ns);
        char track[64], name[64];
        (void)snprintf(track, sizeof track, "host:%u %s", span.device, QUEUES[span.queue]);
        (void)snprintf(name, sizeof name, "%s %s %d", jobs[span.job], KINDS[span.kind], span.shard);
        compare_slice(&read, at++, track, name, &span, i);
        if (span.queue == SPW_QUEUE_COMPUTE) {
            compare_slice(&read, at++, jobs[span.job], strchr(name, ' ') + 1, &span, i);
        }
    }
    cr_assert(at == read.slice_count, "%zu spans", read.slice_count);
    cr_assert(3 * read.counter_events == (size_t)2 * COUNT, "%zu counts", read.counter_events);
    cr_assert(track_of(&read, "host:0 bytes copy in")->value == bytes[0][SPW_QUEUE_IN]);
    cr_assert(track_of(&read, "host:1 bytes copy in")->value == bytes[1][SPW_QUEUE_IN]);
    cr_assert(track_of(&read, "host:1 bytes copy out")->value == bytes[1][SPW_QUEUE_OUT]);
    read_trace_deinit(&read);
    fixture_deinit(&fixture);
}

/* ---- a real run ---- */

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
    const struct read_track *compute = track_of(read, name);
    cr_assert(compute->slices == watch->works[index], "%s: %d slices, %d works", name,
              (int)compute->slices, (int)watch->works[index]);
    cr_assert(compute->slices == watch->spans[index], "%s", name);
    cr_assert(compute->busy_ns == stats.compute_ns, "%s: %d ns", name, (int)compute->busy_ns);
    if (index < spw_run_device_count(watch->run)) {
        (void)snprintf(name, sizeof name, "%s bytes copy in", stats.name);
        cr_assert(track_of(read, name)->value == stats.bytes_in, "%s", name);
        (void)snprintf(name, sizeof name, "%s bytes copy out", stats.name);
        cr_assert(track_of(read, name)->value == stats.bytes_out, "%s", name);
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
    watch.run = open_run((struct spw_run_config){
        .machine = {.device_count = 2, .mem_bytes = 160 << 10, .pace_model = pace_model},
        .update_place = (int32_t)place,
        .events = {.self = &watch, .decision = on_decision, .span = on_span}});
    for (int i = 0; i < 3; i++) {
        struct spw_job *job = NULL;
        bits_case_init(&cases[i], indices[i]);
        cr_assert(spw_run_add(watch.run, &cases[i].config, &error, &job) == SPW_OK, "%s",
                  error.what);
    }
    watch.trace = create(spw_world_system(), path, watch.run);
    cr_assert(spw_run_execute(watch.run, &error) == SPW_OK, "%s", error.what);
    close_whole(watch.trace);
    read_whole(&read, path);
    cr_assert(watch.decisions > 50 && read.slice_count > 100, "%zu spans", read.slice_count);
    for (uint32_t i = 0; i <= 2; i++) {
        compare_stats(&read, &watch, i);
    }
    compare_jobs(&read, &watch);
    cr_assert(track_of(&read, "gpt-groups group 2")->slices > 0);
    read_trace_deinit(&read);
    spw_run_destroy(watch.run);
    for (int i = 0; i < 3; i++) {
        bits_case_deinit(&cases[i]);
    }
    spw_temporary_deinit(&directory);
}

Test(trace, a_run_with_updates_on_the_cores_agrees_with_its_decisions_and_statistics)
{
    trace_real_run(SPW_UPDATE_ON_CORES, false);
}

Test(trace, a_run_with_updates_on_devices_agrees_with_its_decisions_and_statistics)
{
    trace_real_run(SPW_UPDATE_ON_DEVICE, false);
}

Test(trace, a_run_on_modelled_time_agrees_with_its_decisions_and_statistics)
{
    trace_real_run(SPW_UPDATE_ON_CORES, true);
}

/* ---- files that can't be written ---- */

Test(trace, a_file_that_exists_is_left_alone)
{
    struct fixture fixture;
    struct spw_error error = {0};
    struct spw_trace *trace = NULL;
    char text[8] = "";
    fixture_init(&fixture);
    spw_temporary_write(&fixture.directory, "trace.pftrace", "kept", 4);
    cr_assert(spw_trace_create(spw_world_system(), fixture.path, fixture.run, &error, &trace) ==
              SPW_ERR_EXISTS);
    cr_assert(trace == NULL && strstr(error.what, fixture.path) != NULL, "%s", error.what);
    FILE *file = fopen(fixture.path, "rb");
    cr_assert(file != NULL && fread(text, 1, 8, file) == 4 && strcmp(text, "kept") == 0);
    (void)fclose(file);
    fixture_deinit(&fixture);
}

Test(trace, closing_nothing_is_allowed)
{
    struct spw_error error = {0};
    cr_assert(spw_trace_close(NULL, &error) == SPW_OK && error.status == SPW_OK);
}

/* Traces some spans in a world that fails; false if nothing failed. */
static bool trace_with_faults(const struct fixture *fixture, struct spw_fault_world *fault,
                              const char *path)
{
    struct spw_error error = {0};
    struct spw_trace *trace = NULL;
    enum spw_status status = spw_trace_create(&fault->world, path, fixture->run, &error, &trace);
    if (status == SPW_OK) {
        const uint64_t begun_ns = spw_now_ns(&fault->world);
        for (uint64_t i = 0; i < 5000; i++) {
            const struct spw_span span = made_up_span(i, begun_ns);
            spw_trace_span(trace, &span);
        }
        status = spw_trace_close(trace, &error);
    }
    const bool struck = spw_fault_world_struck(fault);
    cr_assert((status != SPW_OK) == struck, "status %d, struck %d", (int)status, struck);
    cr_assert(error.status == status, "an error that is not the one returned");
    cr_assert(spw_fault_world_clean(fault), "memory or a file is left over");
    return struck;
}

/* Every file call and every allocation fails once, or from then on; a failing write may get half of
 * its bytes into the file, which stays readable. */
Test(trace, failures_are_reported_and_what_was_written_stays_readable)
{
    struct fixture fixture;
    fixture_init(&fixture);
    (void)add(fixture.run, &fixture.model, "one", 1);
    (void)add(fixture.run, &fixture.model, "two", 1);
    for (int kind = 0; kind < SPW_FAULT_KINDS; kind++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            uint64_t at = 0;
            bool struck = true;
            while (struck) {
                struct spw_fault_world fault;
                struct read_trace read;
                char path[512], name[64];
                at++;
                (void)snprintf(name, sizeof name, "%d-%d-%d", kind, sticky, (int)at);
                (void)spw_temporary_path(&fixture.directory, name, path);
                spw_fault_world_init(&fault, spw_world_system());
                spw_fault_world_arm(
                    &fault, (enum spw_fault_kind)kind,
                    (struct spw_fault_rule){.at = at, .sticky = sticky != 0, .native = ENOSPC});
                struck = trace_with_faults(&fixture, &fault, path);
                if (kind == SPW_FAULT_FILE && at > 1) { /* the file exists */
                    cr_assert(read_trace_init(&read, path), "%s: %s", name, read.fault);
                    read_trace_deinit(&read);
                }
            }
            /* open, several writes, close; the struct, its buffer and its path */
            cr_assert(at > (kind == SPW_FAULT_FILE ? 5 : 3), "only %d calls failed", (int)at - 1);
        }
    }
    fixture_deinit(&fixture);
}
