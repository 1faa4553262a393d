/* trace_fixture.c — see trace_fixture.h. */
#include "trace_fixture.h"

#include <criterion/criterion.h>

struct spw_run *trace_open_run(struct spw_run_config config)
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

struct spw_job *trace_add(struct spw_run *run, const struct bits_case *model, const char *id,
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

void trace_fixture_init(struct trace_fixture *fixture)
{
    spw_temporary_init(&fixture->directory);
    (void)spw_temporary_path(&fixture->directory, "trace.pftrace", fixture->path);
    fixture->run = trace_open_run(
        (struct spw_run_config){.machine = {.device_count = 2, .mem_bytes = UINT64_C(4) << 20}});
    bits_case_init(&fixture->model, 0);
}

void trace_fixture_deinit(struct trace_fixture *fixture)
{
    spw_run_destroy(fixture->run);
    bits_case_deinit(&fixture->model);
    spw_temporary_deinit(&fixture->directory);
}

struct spw_trace *trace_create(const struct spw_world *world, const char *path, struct spw_run *run)
{
    struct spw_error error = {0};
    struct spw_trace *trace = NULL;
    cr_assert(spw_trace_create(world, path, run, &error, &trace) == SPW_OK, "%s", error.what);
    return trace;
}

void trace_close_whole(struct spw_trace *trace)
{
    struct spw_error error = {0};
    cr_assert(spw_trace_close(trace, &error) == SPW_OK, "%s", error.what);
}

void trace_read_whole(struct read_trace *read, const char *path)
{
    cr_assert(read_trace_init(read, path), "%s", read->fault);
    cr_assert(read->open_count == 0, "%zu spans never end", read->open_count);
    cr_assert(!read->cut_off, "the last packet is cut off");
}

const struct read_track *trace_track(const struct read_trace *read, const char *name)
{
    const struct read_track *track = read_trace_track(read, name);
    cr_assert(track != NULL, "there is no track '%s', or there are two", name);
    return track;
}
