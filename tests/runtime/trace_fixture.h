/* trace_fixture.h — what the suites about traces share: runs to trace, traces written and read
 * back. Everything asserts by itself. Tested by its users. */
#ifndef SPW_TESTS_RUNTIME_TRACE_FIXTURE_H
#define SPW_TESTS_RUNTIME_TRACE_FIXTURE_H

#include "cases.h"
#include "runtime/record/trace.h"
#include "tests/support/temporary.h"
#include "trace_reader.h"

/* A run with two devices that nothing is trained on, and a trace of it in a directory. */
struct trace_fixture {
    struct spw_temporary directory;
    char path[512];
    struct spw_run *run;
    struct bits_case model;
};

void trace_fixture_init(struct trace_fixture *fixture);
void trace_fixture_deinit(struct trace_fixture *fixture);

/* Opens a run on host devices of one thread; the rest is as in `config`. */
struct spw_run *trace_open_run(struct spw_run_config config);
/* Adds a job of the model, with at least an item for each of its groups. */
struct spw_job *trace_add(struct spw_run *run, const struct bits_case *model, const char *id,
                          int64_t grad_groups);

struct spw_trace *trace_create(const struct spw_world *world, const char *path,
                               struct spw_run *run);
void trace_close_whole(struct spw_trace *trace);
/* Reads a trace that was closed: nothing of it may be cut off or open. The caller deinits it. */
void trace_read_whole(struct read_trace *read, const char *path);
/* The one track of that name. */
const struct read_track *trace_track(const struct read_trace *read, const char *name);

#endif
