/* trace.c — see trace.h. Field numbers are those of Perfetto's trace.proto, track_event.proto,
 * track_descriptor.proto and debug_annotation.proto. */
#include "runtime/record/trace.h"

#include "base/assert.h"
#include "runtime/record/proto.h"
#include <stdio.h>
#include <string.h>

enum {
    TRACE_PACKET = 1,
    PACKET_TIMESTAMP = 8,
    PACKET_SEQUENCE = 10,
    PACKET_EVENT = 11,
    PACKET_DESCRIPTOR = 60,
    DESCRIPTOR_UUID = 1,
    DESCRIPTOR_NAME = 2,
    DESCRIPTOR_PARENT = 5,
    DESCRIPTOR_COUNTER = 8,
    COUNTER_UNIT = 3,
    COUNTER_IN_BYTES = 3,
    EVENT_ANNOTATION = 4,
    EVENT_TYPE = 9,
    EVENT_TRACK = 11,
    EVENT_NAME = 23,
    EVENT_COUNTER = 30,
    ANNOTATION_UINT = 3,
    ANNOTATION_NAME = 10,
    TYPE_BEGIN = 1,
    TYPE_END = 2,
    TYPE_COUNTER = 4,
};

enum { BUFFER_BYTES = 1 << 18, PACKET_MAX = 512, SEQUENCE = 1 };

/* Names are cut to keep packets below PACKET_MAX; their other parts take at most 200 bytes. */
enum { ID_MAX = 96, NAME_MAX = 160 };
_Static_assert(NAME_MAX + 200 <= PACKET_MAX, "a packet has room for a name and all the rest");

/* Tracks are numbered by what they show. Those of devices stay below 2^32, where jobs' begin. */
enum { TRACKS_OF_DEVICE = 16 };

struct spw_trace {
    const struct spw_world *world;
    struct spw_run *run;
    struct spw_file *file;
    char *path;
    uint64_t begun_ns;
    uint32_t described_jobs;
    struct spw_proto proto;
    int failed; /* errno of the first failed write */
    uint64_t bytes[SPW_DEVICES_MAX + 1][SPW_QUEUE_COUNT];
};

static uint64_t device_track(uint32_t device)
{
    return (uint64_t)(device + 1) * TRACKS_OF_DEVICE;
}

static uint64_t queue_track(uint32_t device, enum spw_queue queue)
{
    return device_track(device) + 1 + (uint64_t)queue;
}

static uint64_t counter_track(uint32_t device, enum spw_queue queue)
{
    return device_track(device) + 8 + (uint64_t)queue;
}

static uint64_t job_track(uint32_t job, uint32_t group)
{
    return ((uint64_t)job + 1) << 32 | group;
}

/* A job's id, cut before a character that would not fit whole; returns `out`. */
static const char *short_id(const struct spw_job *job, char out[ID_MAX + 1])
{
    const char *id = spw_job_config(job)->id;
    uint64_t bytes = strlen(id);
    if (bytes > ID_MAX) {
        bytes = ID_MAX;
        while (bytes > 0 && ((uint8_t)id[bytes] & 0xC0) == 0x80) { /* within a UTF-8 character */
            bytes--;
        }
    }
    memcpy(out, id, bytes);
    out[bytes] = '\0';
    return out;
}

static void flush(struct spw_trace *trace)
{
    const struct spw_world *world = trace->world;
    if (trace->failed == 0 && trace->proto.bytes > 0) {
        trace->failed =
            world->write(world->self, trace->file, trace->proto.data, trace->proto.bytes);
    }
    trace->proto.bytes = 0;
}

static uint64_t open_packet(struct spw_trace *trace)
{
    if (trace->proto.bytes + PACKET_MAX > trace->proto.capacity) {
        flush(trace);
    }
    const uint64_t mark = spw_proto_open(&trace->proto, TRACE_PACKET);
    spw_proto_uint(&trace->proto, PACKET_SEQUENCE, SEQUENCE);
    return mark;
}

static void describe(struct spw_trace *trace, uint64_t uuid, uint64_t parent, const char *name,
                     bool counter)
{
    struct spw_proto *proto = &trace->proto;
    const uint64_t packet = open_packet(trace);
    const uint64_t descriptor = spw_proto_open(proto, PACKET_DESCRIPTOR);
    spw_proto_uint(proto, DESCRIPTOR_UUID, uuid);
    spw_proto_text(proto, DESCRIPTOR_NAME, name);
    if (parent != 0) {
        spw_proto_uint(proto, DESCRIPTOR_PARENT, parent);
    }
    if (counter) {
        const uint64_t mark = spw_proto_open(proto, DESCRIPTOR_COUNTER);
        spw_proto_uint(proto, COUNTER_UNIT, COUNTER_IN_BYTES);
        spw_proto_close(proto, mark);
    }
    spw_proto_close(proto, descriptor);
    spw_proto_close(proto, packet);
}

static void describe_devices(struct spw_trace *trace)
{
    static const char *const QUEUES[] = {"compute", "copy in", "copy out"};
    const uint32_t count = spw_run_device_count(trace->run);
    for (uint32_t i = 0; i <= count; i++) {
        struct spw_device_stats stats;
        spw_run_device_stats(trace->run, i, &stats);
        describe(trace, device_track(i), 0, stats.name, false);
        const int queues = i < count ? SPW_QUEUE_COUNT : 1; /* the host cores only compute */
        for (int queue = 0; queue < queues; queue++) {
            char name[64];
            (void)snprintf(name, sizeof name, "%s %s", stats.name, QUEUES[queue]);
            describe(trace, queue_track(i, (enum spw_queue)queue), device_track(i), name, false);
            if (queue != SPW_QUEUE_COMPUTE) {
                (void)snprintf(name, sizeof name, "%s bytes %s", stats.name, QUEUES[queue]);
                describe(trace, counter_track(i, (enum spw_queue)queue), device_track(i), name,
                         true);
            }
        }
    }
}

/* Those added since the last call. */
static void describe_jobs(struct spw_trace *trace)
{
    for (; trace->described_jobs < spw_run_job_count(trace->run); trace->described_jobs++) {
        const struct spw_job *job = spw_run_job(trace->run, trace->described_jobs);
        const int64_t groups = spw_job_config(job)->grad_groups;
        char id[ID_MAX + 1], name[NAME_MAX];
        (void)short_id(job, id);
        for (int64_t group = 0; group < groups; group++) {
            (void)snprintf(name, sizeof name, groups > 1 ? "%s group %d" : "%s", id, (int)group);
            describe(trace, job_track(trace->described_jobs, (uint32_t)group), 0, name, false);
        }
    }
}

enum spw_status spw_trace_create(const struct spw_world *world, const char *path,
                                 struct spw_run *run, struct spw_error *error,
                                 struct spw_trace **out)
{
    struct spw_trace *trace = NULL;
    SPW_TRY(spw_allocate(world, 1, sizeof *trace, "a trace", error, &trace));
    *trace = (struct spw_trace){
        .world = world,
        .run = run,
        .begun_ns = spw_run_now_ns(run),
        .proto.capacity = BUFFER_BYTES,
    };
    enum spw_status status;
    SPW_TRY_GOTO(
        spw_allocate(world, BUFFER_BYTES, 1, "a trace's buffer", error, &trace->proto.data), fail);
    SPW_TRY_GOTO(spw_copy_text(world, path, error, &trace->path), fail);
    const int native = world->open(world->self, path, SPW_OPEN_CREATE, &trace->file);
    if (native != 0) {
        status = SPW_FAIL_FILE(error, native, "create", path);
        goto fail;
    }
    describe_devices(trace);
    describe_jobs(trace);
    *out = trace;
    return SPW_OK;
fail:
    spw_release(world, trace->proto.data);
    spw_release(world, trace->path);
    spw_release(world, trace);
    return status;
}

static void annotate(struct spw_proto *proto, const char *name, uint64_t value)
{
    const uint64_t mark = spw_proto_open(proto, EVENT_ANNOTATION);
    spw_proto_text(proto, ANNOTATION_NAME, name);
    spw_proto_uint(proto, ANNOTATION_UINT, value);
    spw_proto_close(proto, mark);
}

static void annotate_span(struct spw_proto *proto, const struct spw_span *span)
{
    const bool in_pieces = span->kind == SPW_UNIT_REDUCE || span->kind == SPW_UNIT_UPDATE;
    annotate(proto, "step", span->step);
    if (span->micro_batch >= 0) {
        annotate(proto, in_pieces ? "piece" : "micro_batch", (uint64_t)span->micro_batch);
    }
    if (span->bytes > 0) {
        annotate(proto, "bytes", span->bytes);
    }
}

struct open_event {
    uint64_t packet, event;
};

static struct open_event open_event(struct spw_trace *trace, uint64_t time_ns, uint32_t type,
                                    uint64_t track)
{
    struct spw_proto *proto = &trace->proto;
    struct open_event marks = {.packet = open_packet(trace)};
    /* Times before the trace began can't be: devices start with their first command. */
    spw_proto_uint(proto, PACKET_TIMESTAMP,
                   time_ns > trace->begun_ns ? time_ns - trace->begun_ns : 0);
    marks.event = spw_proto_open(proto, PACKET_EVENT);
    spw_proto_uint(proto, EVENT_TYPE, type);
    spw_proto_uint(proto, EVENT_TRACK, track);
    return marks;
}

static void close_event(struct spw_trace *trace, struct open_event marks)
{
    spw_proto_close(&trace->proto, marks.event);
    spw_proto_close(&trace->proto, marks.packet);
}

static void slice(struct spw_trace *trace, uint64_t track, const char *name,
                  const struct spw_span *span)
{
    const struct open_event begin = open_event(trace, span->start_ns, TYPE_BEGIN, track);
    spw_proto_text(&trace->proto, EVENT_NAME, name);
    annotate_span(&trace->proto, span);
    close_event(trace, begin);
    close_event(trace, open_event(trace, span->end_ns, TYPE_END, track));
}

static void count_bytes(struct spw_trace *trace, const struct spw_span *span)
{
    uint64_t *bytes = &trace->bytes[span->device][span->queue];
    *bytes += span->bytes;
    const struct open_event counter =
        open_event(trace, span->end_ns, TYPE_COUNTER, counter_track(span->device, span->queue));
    spw_proto_uint(&trace->proto, EVENT_COUNTER, *bytes);
    close_event(trace, counter);
}

void spw_trace_span(struct spw_trace *trace, const struct spw_span *span)
{
    SPW_ASSERT(span->device <= SPW_DEVICES_MAX);
    SPW_ASSERT(span->end_ns >= span->start_ns);
    if (span->job >= trace->described_jobs) {
        describe_jobs(trace);
    }
    const char *kind = spw_unit_names[span->kind];
    char id[ID_MAX + 1], name[NAME_MAX];
    (void)snprintf(name, sizeof name, "%s %s %d", short_id(spw_run_job(trace->run, span->job), id),
                   kind, span->shard);
    slice(trace, queue_track(span->device, span->queue), name, span);
    if (span->queue == SPW_QUEUE_COMPUTE) {
        (void)snprintf(name, sizeof name, "%s %d", kind, span->shard);
        slice(trace, job_track(span->job, span->group), name, span);
    } else {
        count_bytes(trace, span);
    }
}

enum spw_status spw_trace_close(struct spw_trace *trace, struct spw_error *error)
{
    if (trace == NULL) {
        return SPW_OK;
    }
    const struct spw_world *world = trace->world;
    flush(trace);
    const int closed = world->close(world->self, trace->file);
    const int native = trace->failed != 0 ? trace->failed : closed;
    enum spw_status status = SPW_OK;
    if (native != 0) {
        status = SPW_FAIL_FILE(error, native, "write", trace->path);
    }
    spw_release(world, trace->proto.data);
    spw_release(world, trace->path);
    spw_release(world, trace);
    return status;
}
