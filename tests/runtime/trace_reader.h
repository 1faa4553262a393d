/* trace_reader.h — reads the traces of runtime/record/ back, for their tests.
 *
 * It knows exactly the fields that ours have and complains about any other, about packets that
 * contradict themselves, spans that overlap on their track, times and counters that fall. It shares
 * nothing with the writer. Tested by tests/runtime/test_trace.c, its user. */
#ifndef SPW_TESTS_RUNTIME_TRACE_READER_H
#define SPW_TESTS_RUNTIME_TRACE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct read_track {
    uint64_t uuid, parent; /* parent 0: none */
    char name[256];
    bool counter;
    uint64_t unit;    /* of a counter */
    uint64_t slices;  /* finished */
    uint64_t busy_ns; /* their sum */
    uint64_t value;   /* of a counter, the last one */
    uint64_t last_ns; /* of the last event */
    int64_t open;     /* index of the slice that has begun and not ended; -1: none */
};

struct read_slice {
    uint64_t track;
    char name[256];
    uint64_t start_ns, end_ns;
    uint64_t step, bytes;
    int64_t micro_batch, piece; /* -1: not said */
};

struct read_trace {
    struct read_track *tracks;
    size_t track_count;
    struct read_slice *slices; /* in order of beginning */
    size_t slice_count;
    size_t open_count; /* slices that have not ended */
    bool cut_off;      /* the last packet is not whole: it was left out */
    size_t counter_events;
    char fault[1024]; /* "" or what is wrong, first of all */
};

/* Reads a file up to its last whole packet; false, and `fault` says why, if anything is wrong.
 * Deinit in any case. */
bool read_trace_init(struct read_trace *trace, const char *path);
void read_trace_deinit(struct read_trace *trace);
/* NULL if there is none, or more than one. */
const struct read_track *read_trace_track(const struct read_trace *trace, const char *name);

#endif
