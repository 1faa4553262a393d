/* test_trace.c — what a trace file says, read back field by field: of made-up spans, and of files
 * that can't be written. Real runs are test_trace_run.c's. */
#include "runtime/record/trace.h"
#include "tests/support/fault_world.h"
#include "trace_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

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
    struct trace_fixture fixture;
    struct read_trace read;
    trace_fixture_init(&fixture);
    (void)trace_add(fixture.run, &fixture.model, "alone", 1);
    (void)trace_add(fixture.run, &fixture.model, "pair", 2);
    trace_close_whole(trace_create(spw_world_system(), fixture.path, fixture.run));
    trace_read_whole(&read, fixture.path);
    cr_assert(read.track_count == name_count + 4, "%zu tracks", read.track_count);
    for (size_t i = 0; i < name_count; i++) {
        const struct read_track *track = trace_track(&read, names[i]);
        const char *colon = strchr(names[i], ' ');
        cr_assert(!track->counter, "%s", names[i]);
        if (i < 10 && colon != NULL) { /* queues belong to their device */
            char device[16] = "";
            memcpy(device, names[i], (size_t)(colon - names[i]));
            cr_assert(track->parent == trace_track(&read, device)->uuid, "%s", names[i]);
        } else {
            cr_assert(track->parent == 0, "%s", names[i]);
        }
    }
    for (size_t i = 0; i < 4; i++) {
        const struct read_track *track = trace_track(&read, counters[i]);
        cr_assert(track->counter && track->unit == 3, "%s is not in bytes", counters[i]);
        cr_assert(track->parent == trace_track(&read, i < 2 ? "host:0" : "host:1")->uuid);
    }
    read_trace_deinit(&read);
    trace_fixture_deinit(&fixture);
}

/* More groups than a table would have room for, and a job added while the trace is written. */
Test(trace, jobs_may_have_many_groups_and_come_late)
{
    enum { GROUPS = 300 };
    struct trace_fixture fixture;
    struct read_trace read;
    char name[64];
    trace_fixture_init(&fixture);
    (void)trace_add(fixture.run, &fixture.model, "first", 1);
    struct spw_trace *trace = trace_create(spw_world_system(), fixture.path, fixture.run);
    (void)trace_add(fixture.run, &fixture.model, "many", GROUPS);
    const uint64_t now = spw_now_ns(spw_world_system());
    for (uint32_t group = 0; group < GROUPS; group++) {
        const uint64_t at = now + UINT64_C(10) * group;
        const struct spw_span span = {.job = 1, .group = group, .start_ns = at, .end_ns = at + 5};
        spw_trace_span(trace, &span);
    }
    trace_close_whole(trace);
    trace_read_whole(&read, fixture.path);
    cr_assert(trace_track(&read, "first")->slices == 0);
    cr_assert(trace_track(&read, "host:0 compute")->slices == GROUPS);
    for (uint32_t group = 0; group < GROUPS; group++) {
        (void)snprintf(name, sizeof name, "many group %u", group);
        cr_assert(trace_track(&read, name)->slices == 1, "group %u", group);
    }
    read_trace_deinit(&read);
    trace_fixture_deinit(&fixture);
}

/* Names are cut where a character ends, and no packet outgrows its bound. */
Test(trace, long_names_are_cut_between_characters)
{
    struct trace_fixture fixture;
    struct read_trace read;
    char ids[3][700] = {"", "", "x"};
    memset(ids[0], 'a', 699);
    for (int i = 0; i < 300; i++) {                        /* characters of two bytes */
        memcpy(&ids[1][2 * (size_t)i], "\xC3\xBC", 2);     /* 96 bytes are 48 of them */
        memcpy(&ids[2][1 + 2 * (size_t)i], "\xC3\xBC", 2); /* 95 bytes are the most */
    }
    trace_fixture_init(&fixture);
    for (int i = 0; i < 3; i++) {
        (void)trace_add(fixture.run, &fixture.model, ids[i], 1);
    }
    struct spw_trace *trace = trace_create(spw_world_system(), fixture.path, fixture.run);
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
    trace_close_whole(trace);
    trace_read_whole(&read, fixture.path);
    cr_assert(read.slice_count == 6);
    for (int i = 0; i < 3; i++) {
        const struct read_slice *slice = &read.slices[2 * (size_t)i];
        char id[128] = "", name[160];
        memcpy(id, ids[i], i == 2 ? 95 : 96);
        (void)snprintf(name, sizeof name, "%s backward -2147483648", id);
        cr_assert(trace_track(&read, id)->slices == 1, "job %d", i);
        cr_assert(strcmp(slice->name, name) == 0, "%s", slice->name);
        cr_assert(slice->bytes == UINT64_MAX && slice->step == UINT64_MAX);
    }
    read_trace_deinit(&read);
    trace_fixture_deinit(&fixture);
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
    cr_assert(slice->track == trace_track(read, track)->uuid, "span %d is not on %s", (int)i,
              track);
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
    struct trace_fixture fixture;
    struct read_trace read;
    uint64_t bytes[2][3] = {{0}}, at = 0;
    trace_fixture_init(&fixture);
    for (int i = 0; i < 2; i++) {
        (void)trace_add(fixture.run, &fixture.model, jobs[i], 1);
    }
    struct spw_trace *trace = trace_create(spw_world_system(), fixture.path, fixture.run);
    const uint64_t begun_ns = spw_now_ns(spw_world_system());
    for (uint64_t i = 0; i < COUNT; i++) {
        const struct spw_span span = made_up_span(i, begun_ns);
        bytes[span.device][span.queue] += span.bytes;
        spw_trace_span(trace, &span);
    }
    trace_close_whole(trace);
    trace_read_whole(&read, fixture.path);
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
    cr_assert(trace_track(&read, "host:0 bytes copy in")->value == bytes[0][SPW_QUEUE_IN]);
    cr_assert(trace_track(&read, "host:1 bytes copy in")->value == bytes[1][SPW_QUEUE_IN]);
    cr_assert(trace_track(&read, "host:1 bytes copy out")->value == bytes[1][SPW_QUEUE_OUT]);
    read_trace_deinit(&read);
    trace_fixture_deinit(&fixture);
}

/* ---- files that can't be written ---- */

Test(trace, a_file_that_exists_is_left_alone)
{
    struct trace_fixture fixture;
    struct spw_error error = {0};
    struct spw_trace *trace = NULL;
    char text[8] = "";
    trace_fixture_init(&fixture);
    spw_temporary_write(&fixture.directory, "trace.pftrace", "kept", 4);
    cr_assert(spw_trace_create(spw_world_system(), fixture.path, fixture.run, &error, &trace) ==
              SPW_ERR_EXISTS);
    cr_assert(trace == NULL && strstr(error.what, fixture.path) != NULL, "%s", error.what);
    FILE *file = fopen(fixture.path, "rb");
    cr_assert(file != NULL && fread(text, 1, 8, file) == 4 && strcmp(text, "kept") == 0);
    (void)fclose(file);
    trace_fixture_deinit(&fixture);
}

Test(trace, closing_nothing_is_allowed)
{
    struct spw_error error = {0};
    cr_assert(spw_trace_close(NULL, &error) == SPW_OK && error.status == SPW_OK);
}

/* Traces some spans in a world that fails; false if nothing failed. */
static bool trace_with_faults(const struct trace_fixture *fixture, struct spw_fault_world *fault,
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
    struct trace_fixture fixture;
    trace_fixture_init(&fixture);
    (void)trace_add(fixture.run, &fixture.model, "one", 1);
    (void)trace_add(fixture.run, &fixture.model, "two", 1);
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
    trace_fixture_deinit(&fixture);
}
