/* trace.h — a run's timeline as a Perfetto trace (TrackEvent protobuf), openable at
 * ui.perfetto.dev.
 *
 * One track for each queue of each device, one for each job and gradient group, and counters of
 * bytes copied. The file is append-only and readable up to its last whole packet, whatever happens
 * to the writer. Memory is a fixed buffer. Tested by tests/runtime/test_trace.c and
 * tests/cli/test_trace_svg.py. */
#ifndef SPW_RUNTIME_RECORD_TRACE_H
#define SPW_RUNTIME_RECORD_TRACE_H

#include "runtime/run.h"

struct spw_trace;

/* Creates `path`, which must not exist. Tracks are named after the run's devices and jobs, whenever
 * these are added; `run` is borrowed until close. */
enum spw_status spw_trace_create(const struct spw_world *world, const char *path,
                                 struct spw_run *run, struct spw_error *error,
                                 struct spw_trace **out);
/* Writes one finished command. A file error is kept and reported by close. */
void spw_trace_span(struct spw_trace *trace, const struct spw_span *span);
/* Flushes and closes. NULL is allowed. */
enum spw_status spw_trace_close(struct spw_trace *trace, struct spw_error *error);

#endif
