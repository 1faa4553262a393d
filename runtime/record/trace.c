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
    EVENT_ANNOTATION = 4,
    EVENT_TYPE = 9,
    EVENT_TRACK = 11,
    EVENT_NAME = 23,
    EVENT_DOUBLE = 44,
    ANNOTATION_UINT = 3,
    ANNOTATION_NAME = 10,
    TYPE_BEGIN = 1,
    TYPE_END = 2,
    TYPE_COUNTER = 4,
};

enum { BUFFER_BYTES = 1 << 18, PACKET_MAX = 1024, SEQUENCE = 1 };

/* Tracks are numbered by what they show. */
enum { TRACKS_OF_DEVICE = 16, JOBS_FROM = 1 << 20, GROUPS_MAX = 64 };

struct spw_trace {
    const struct spw_world *world;
    struct spw_run *run;
    struct spw_file *file;
    char *path;
    uint64_t begun_ns;
    struct spw_proto proto;
    int failed; /* errno of the first failed write */
    uint64_t bytes[SPW_DEVICES_MAX + 1][SPW_QUEUE_COUNT];
};

static const char *const KIND_NAMES[] = {"forward", "backward", "eval", "reduce", "update"};

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
    return JOBS_FROM + (uint64_t)job * GROUPS_MAX + group % GROUPS_MAX;
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
        spw_proto_close(proto, spw_proto_open(proto, DESCRIPTOR_COUNTER));
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

static void describe_jobs(struct spw_trace *trace)
{
    for (uint32_t i = 0; i < spw_run_job_count(trace->run); i++) {
        const struct spw_job_config *config = spw_job_config(spw_run_job(trace->run, i));
        for (int64_t group = 0; group < config->grad_groups && group < GROUPS_MAX; group++) {
            char name[160];
            (void)snprintf(name, sizeof name, config->grad_groups > 1 ? "%s group %d" : "%s",
                           config->id, (int)group);
            describe(trace, job_track(i, (uint32_t)group), 0, name, false);
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
        .begun_ns = spw_now_ns(world),
        .proto.capacity = BUFFER_BYTES,
    };
    enum spw_status status;
    SPW_TRY_GOTO(
        spw_allocate(world, BUFFER_BYTES, 1, "a trace's buffer", error, &trace->proto.data), fail);
    SPW_TRY_GOTO(spw_copy_text(world, path, error, &trace->path), fail);
    const int native = world->open(world->self, path, SPW_OPEN_CREATE, &trace->file);
    if (native != 0) {
        status = SPW_FAIL_NATIVE(error, SPW_ERR_IO, native, "%s: cannot be created: %s", path,
                                 strerror(native));
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

/* One event; a span is a BEGIN and an END. `annotated` may be NULL. */
static void event(struct spw_trace *trace, uint64_t time_ns, uint32_t type, uint64_t track,
                  const char *name, const struct spw_span *annotated, double counter)
{
    struct spw_proto *proto = &trace->proto;
    const uint64_t packet = open_packet(trace);
    /* Times before the trace began can't be: devices start with their first command. */
    spw_proto_uint(proto, PACKET_TIMESTAMP,
                   time_ns > trace->begun_ns ? time_ns - trace->begun_ns : 0);
    const uint64_t mark = spw_proto_open(proto, PACKET_EVENT);
    spw_proto_uint(proto, EVENT_TYPE, type);
    spw_proto_uint(proto, EVENT_TRACK, track);
    if (name != NULL) {
        spw_proto_text(proto, EVENT_NAME, name);
    }
    if (annotated != NULL) {
        annotate(proto, "step", annotated->step);
        if (annotated->micro_batch >= 0) {
            annotate(proto, "micro_batch", (uint64_t)annotated->micro_batch);
        }
        if (annotated->bytes > 0) {
            annotate(proto, "bytes", annotated->bytes);
        }
    }
    if (type == TYPE_COUNTER) {
        spw_proto_double(proto, EVENT_DOUBLE, counter);
    }
    spw_proto_close(proto, mark);
    spw_proto_close(proto, packet);
}

static void slice(struct spw_trace *trace, uint64_t track, const char *name,
                  const struct spw_span *span)
{
    event(trace, span->start_ns, TYPE_BEGIN, track, name, span, 0);
    event(trace, span->end_ns, TYPE_END, track, NULL, NULL, 0);
}

void spw_trace_span(struct spw_trace *trace, const struct spw_span *span)
{
    SPW_ASSERT(span->device <= SPW_DEVICES_MAX);
    char name[128];
    const char *kind = KIND_NAMES[span->kind];
    const struct spw_job *job = spw_run_job(trace->run, span->job);
    (void)snprintf(name, sizeof name, "%.80s %s %d", spw_job_config(job)->id, kind, span->shard);
    slice(trace, queue_track(span->device, span->queue), name, span);
    if (span->queue == SPW_QUEUE_COMPUTE) {
        (void)snprintf(name, sizeof name, "%s %d", kind, span->shard);
        slice(trace, job_track(span->job, span->group), name, span);
        return;
    }
    uint64_t *bytes = &trace->bytes[span->device][span->queue];
    *bytes += span->bytes;
    event(trace, span->end_ns, TYPE_COUNTER, counter_track(span->device, span->queue), NULL, NULL,
          (double)*bytes);
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
        status = SPW_FAIL_NATIVE(error, SPW_ERR_IO, native, "%s: cannot be written: %s",
                                 trace->path, strerror(native));
    }
    spw_release(world, trace->proto.data);
    spw_release(world, trace->path);
    spw_release(world, trace);
    return status;
}
