/* trace_reader.c — see trace_reader.h. */
#include "trace_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A part of the file. */
struct view {
    const uint8_t *at, *end;
};

/* One field: a number, or bytes. */
struct field {
    uint32_t number;
    bool is_bytes;
    uint64_t value;
    struct view bytes;
};

/* What a packet says of an event. */
struct event {
    uint64_t time_ns, type, track, counter;
    bool has_track, has_counter;
    struct read_slice slice;
};

/* Keeps the first fault; false. A macro, so that analysers see that it is false. */
#define complain(trace, ...)                                                                       \
    ((trace)->fault[0] != '\0'                                                                     \
         ? (void)0                                                                                 \
         : (void)snprintf((trace)->fault, sizeof(trace)->fault, __VA_ARGS__),                      \
     false)

static bool get_varint(struct view *view, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 70 && view->at < view->end; shift += 7) {
        const uint8_t byte = *view->at++;
        *value |= (uint64_t)(byte & 0x7F) << (shift < 64 ? shift : 63);
        if ((byte & 0x80) == 0) {
            return true;
        }
    }
    return false;
}

static bool get_field(struct read_trace *trace, struct view *view, struct field *field)
{
    uint64_t key, bytes;
    if (!get_varint(view, &key)) {
        return complain(trace, "a key is cut off");
    }
    *field = (struct field){.number = (uint32_t)(key >> 3), .is_bytes = (key & 7) == 2};
    if ((key & 7) == 0) {
        return get_varint(view, &field->value) ? true : complain(trace, "a number is cut off");
    }
    if (!field->is_bytes) {
        return complain(trace, "wire type %u", (unsigned)(key & 7));
    }
    if (!get_varint(view, &bytes) || bytes > (uint64_t)(view->end - view->at)) {
        return complain(trace, "field %u is cut off", field->number);
    }
    field->bytes = (struct view){view->at, view->at + bytes};
    view->at += bytes;
    return true;
}

static bool get_text(struct read_trace *trace, const struct field *field, char out[256])
{
    const size_t bytes = (size_t)(field->bytes.end - field->bytes.at);
    if (bytes == 0 || bytes > 255 || memchr(field->bytes.at, 0, bytes) != NULL) {
        return complain(trace, "a text of %zu bytes", bytes);
    }
    memcpy(out, field->bytes.at, bytes);
    out[bytes] = '\0';
    return true;
}

static struct read_track *find_track(struct read_trace *trace, uint64_t uuid)
{
    for (size_t i = 0; i < trace->track_count; i++) {
        if (trace->tracks[i].uuid == uuid) {
            return &trace->tracks[i];
        }
    }
    return NULL;
}

/* ---- descriptors ---- */

static bool read_counter(struct read_trace *trace, struct view view, struct read_track *track)
{
    track->counter = true;
    while (view.at < view.end) {
        struct field field;
        if (!get_field(trace, &view, &field)) {
            return false;
        }
        if (field.number != 3 || field.is_bytes) {
            return complain(trace, "field %u in a counter", field.number);
        }
        track->unit = field.value;
    }
    return true;
}

static bool read_descriptor(struct read_trace *trace, struct view view)
{
    struct read_track track = {.open = -1};
    while (view.at < view.end) {
        struct field field;
        if (!get_field(trace, &view, &field)) {
            return false;
        }
        if (field.number == 1 && !field.is_bytes) {
            track.uuid = field.value;
        } else if (field.number == 2 && field.is_bytes) {
            if (!get_text(trace, &field, track.name)) {
                return false;
            }
        } else if (field.number == 5 && !field.is_bytes) {
            track.parent = field.value;
        } else if (field.number == 8 && field.is_bytes) {
            if (!read_counter(trace, field.bytes, &track)) {
                return false;
            }
        } else {
            return complain(trace, "field %u in a descriptor", field.number);
        }
    }
    if (track.uuid == 0 || track.name[0] == '\0') {
        return complain(trace, "a track without name or number");
    }
    if (find_track(trace, track.uuid) != NULL) {
        return complain(trace, "track %s is described again", track.name);
    }
    if (track.parent != 0 && find_track(trace, track.parent) == NULL) {
        return complain(trace, "track %s comes before its parent", track.name);
    }
    trace->tracks = realloc(trace->tracks, (trace->track_count + 1) * sizeof track);
    trace->tracks[trace->track_count++] = track;
    return true;
}

/* ---- events ---- */

static bool read_annotation(struct read_trace *trace, struct view view, struct read_slice *slice)
{
    char name[256] = "";
    uint64_t value = 0;
    while (view.at < view.end) {
        struct field field;
        if (!get_field(trace, &view, &field)) {
            return false;
        }
        if (field.number == 10 && field.is_bytes) {
            if (!get_text(trace, &field, name)) {
                return false;
            }
        } else if (field.number == 3 && !field.is_bytes) {
            value = field.value;
        } else {
            return complain(trace, "field %u in an annotation", field.number);
        }
    }
    if (strcmp(name, "step") == 0) {
        slice->step = value;
    } else if (strcmp(name, "bytes") == 0) {
        slice->bytes = value;
    } else if (strcmp(name, "micro_batch") == 0) {
        slice->micro_batch = (int64_t)value;
    } else if (strcmp(name, "piece") == 0) {
        slice->piece = (int64_t)value;
    } else {
        return complain(trace, "an annotation '%s'", name);
    }
    return true;
}

static bool read_event(struct read_trace *trace, struct view view, struct event *event)
{
    while (view.at < view.end) {
        struct field field;
        if (!get_field(trace, &view, &field)) {
            return false;
        }
        if (field.number == 9 && !field.is_bytes) {
            event->type = field.value;
        } else if (field.number == 11 && !field.is_bytes) {
            event->track = field.value;
            event->has_track = true;
        } else if (field.number == 30 && !field.is_bytes) {
            event->counter = field.value;
            event->has_counter = true;
        } else if (field.number == 23 && field.is_bytes) {
            if (!get_text(trace, &field, event->slice.name)) {
                return false;
            }
        } else if (field.number == 4 && field.is_bytes) {
            if (!read_annotation(trace, field.bytes, &event->slice)) {
                return false;
            }
        } else {
            return complain(trace, "field %u in an event", field.number);
        }
    }
    return true;
}

static bool begin_slice(struct read_trace *trace, struct read_track *track, struct event *event)
{
    if (track->counter || event->has_counter || event->slice.name[0] == '\0') {
        return complain(trace, "a span on counter %s, or without a name", track->name);
    }
    if (track->open >= 0) {
        return complain(trace, "%s: '%s' begins within '%s'", track->name, event->slice.name,
                        trace->slices[track->open].name);
    }
    if ((trace->slice_count & (trace->slice_count - 1)) == 0) { /* room doubles at powers of two */
        const size_t room = trace->slice_count == 0 ? 1 : 2 * trace->slice_count;
        trace->slices = realloc(trace->slices, room * sizeof *trace->slices);
    }
    track->open = (int64_t)trace->slice_count;
    trace->open_count++;
    event->slice.track = event->track;
    event->slice.start_ns = event->time_ns;
    trace->slices[trace->slice_count++] = event->slice;
    return true;
}

static bool end_slice(struct read_trace *trace, struct read_track *track, const struct event *event)
{
    if (track->open < 0 || event->has_counter || event->slice.name[0] != '\0') {
        return complain(trace, "%s: an end without a beginning", track->name);
    }
    struct read_slice *slice = &trace->slices[track->open];
    slice->end_ns = event->time_ns;
    track->slices++;
    track->busy_ns += slice->end_ns - slice->start_ns;
    track->open = -1;
    trace->open_count--;
    return true;
}

static bool count(struct read_trace *trace, struct read_track *track, const struct event *event)
{
    if (!track->counter || !event->has_counter || event->counter < track->value) {
        return complain(trace, "%s: counts %llu after %llu", track->name,
                        (unsigned long long)event->counter, (unsigned long long)track->value);
    }
    track->value = event->counter;
    trace->counter_events++;
    return true;
}

static bool take_event(struct read_trace *trace, struct event *event)
{
    struct read_track *track = event->has_track ? find_track(trace, event->track) : NULL;
    if (track == NULL) {
        return complain(trace, "an event on the unknown track %llu",
                        (unsigned long long)event->track);
    }
    if (event->time_ns < track->last_ns) {
        return complain(trace, "%s: time falls at '%s'", track->name, event->slice.name);
    }
    track->last_ns = event->time_ns;
    switch (event->type) {
    case 1:
        return begin_slice(trace, track, event);
    case 2:
        return end_slice(trace, track, event);
    case 4:
        return count(trace, track, event);
    default:
        return complain(trace, "an event of type %llu", (unsigned long long)event->type);
    }
}

/* ---- packets ---- */

static bool read_packet(struct read_trace *trace, struct view view)
{
    struct event event = {.slice = {.micro_batch = -1, .piece = -1}};
    bool has_event = false, has_time = false;
    uint64_t sequence = 0;
    while (view.at < view.end) {
        struct field field;
        if (!get_field(trace, &view, &field)) {
            return false;
        }
        if (field.number == 10 && !field.is_bytes) {
            sequence = field.value;
        } else if (field.number == 8 && !field.is_bytes) {
            event.time_ns = field.value;
            has_time = true;
        } else if (field.number == 60 && field.is_bytes) {
            if (!read_descriptor(trace, field.bytes)) {
                return false;
            }
        } else if (field.number == 11 && field.is_bytes) {
            has_event = true;
            if (!read_event(trace, field.bytes, &event)) {
                return false;
            }
        } else {
            return complain(trace, "field %u in a packet", field.number);
        }
    }
    if (sequence != 1 || has_event != has_time) {
        return complain(trace, "a packet without sequence, or an event without time");
    }
    return !has_event || take_event(trace, &event);
}

static uint8_t *read_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    (void)fseek(file, 0, SEEK_END);
    const long size = ftell(file);
    rewind(file);
    uint8_t *data = malloc((size_t)size + 1);
    *bytes = fread(data, 1, (size_t)size, file);
    (void)fclose(file);
    return data;
}

bool read_trace_init(struct read_trace *trace, const char *path)
{
    *trace = (struct read_trace){0};
    size_t bytes = 0;
    uint8_t *data = read_file(path, &bytes);
    if (data == NULL) {
        return complain(trace, "%s can't be read", path);
    }
    struct view view = {data, data + bytes};
    bool fine = true;
    while (fine && view.at < view.end && !trace->cut_off) {
        struct view packet = view;
        uint64_t key, length;
        trace->cut_off = !get_varint(&packet, &key) || !get_varint(&packet, &length) ||
                         length > (uint64_t)(packet.end - packet.at);
        if (!trace->cut_off) {
            view.at = packet.at + length;
            packet.end = view.at;
            fine = key == (1 << 3 | 2) ? read_packet(trace, packet)
                                       : complain(trace, "key %d in the file", (int)key);
        }
    }
    free(data);
    return fine;
}

void read_trace_deinit(struct read_trace *trace)
{
    free(trace->tracks);
    free(trace->slices);
    *trace = (struct read_trace){0};
}

const struct read_track *read_trace_track(const struct read_trace *trace, const char *name)
{
    const struct read_track *found = NULL;
    for (size_t i = 0; i < trace->track_count; i++) {
        if (strcmp(trace->tracks[i].name, name) == 0) {
            if (found != NULL) {
                return NULL;
            }
            found = &trace->tracks[i];
        }
    }
    return found;
}
