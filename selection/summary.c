/* summary.c — the closing figures of a run. Tested by tests/selection/test_rundir.c. */
#include "selection/summary.h"

#include "base/assert.h"
#include "base/status.h"
#include "models/json.h"
#include "selection/metrics.h"

#include <inttypes.h>
#include <math.h>

const char *spw_job_state_name(enum spw_job_state state)
{
    switch (state) {
    case SPW_JOB_WAITING:
        return "waiting";
    case SPW_JOB_RUNNING:
        return "running";
    case SPW_JOB_DONE:
        return "done";
    case SPW_JOB_FAILED:
        return "failed";
    case SPW_JOB_CANCELLED:
        return "cancelled";
    }
    SPW_NEVER("a state");
}

double spw_summary_rate(const struct spw_job_status *status, uint64_t now_ns)
{
    const uint64_t end_ns = status->ended_ns != 0 ? status->ended_ns : now_ns;
    if (status->started_ns == 0 || end_ns <= status->started_ns) {
        return 0;
    }
    return (double)status->items_done / ((double)(end_ns - status->started_ns) * 1e-9);
}

static void add_number(struct spw_text *out, const char *name, double value)
{
    char text[SPW_METRIC_BYTES];
    spw_text_add(out, "\"%s\": %s, ", name, spw_metric_text(value, text));
}

static void add_settings(const struct spw_trial_spec *trial, struct spw_text *out)
{
    struct spw_text text;
    spw_text_init(&text, out->world);
    spw_trial_describe(trial, &text);
    spw_text_add(out, "\"settings\": ");
    spw_json_add_string(out, text.data != NULL ? text.data : "");
    out->failed = out->failed || text.failed;
    spw_text_deinit(&text);
}

static void print_trial(const struct spw_sweep *sweep, struct spw_run *run, uint32_t index,
                        struct spw_text *out)
{
    struct spw_job *job = spw_run_job(run, index);
    struct spw_job_status status;
    spw_job_status(job, &status);
    const uint64_t now_ns = spw_now_ns(sweep->world);
    const uint64_t end_ns = status.ended_ns != 0 ? status.ended_ns : now_ns;
    const double seconds = status.started_ns != 0 ? (double)(end_ns - status.started_ns) * 1e-9 : 0;
    spw_text_add(out,
                 "    {\"id\": \"%s\", \"model\": \"%s\", \"parameters\": %" PRId64
                 ", \"state\": \"%s\", \"steps\": %" PRIu64 ", ",
                 sweep->jobs[index].id, sweep->trials->items[index].model.id,
                 sweep->jobs[index].graph->parameter_count, spw_job_state_name(status.state),
                 status.step);
    const bool stepped = status.step > 0;
    add_number(out, "last_loss", stepped ? status.last_loss : NAN);
    add_number(out, "best_eval", status.best_eval_loss);
    add_number(out, "best_accuracy", status.best_accuracy);
    add_number(out, "last_eval", status.last_eval_loss);
    add_number(out, "last_accuracy", status.last_accuracy);
    add_number(out, "samples_per_second", spw_summary_rate(&status, now_ns));
    add_number(out, "seconds", seconds);
    add_settings(&sweep->trials->items[index], out);
    if (status.error.status != SPW_OK) {
        spw_text_add(out, ", \"error\": ");
        spw_json_add_string(out, status.error.what);
    }
    spw_text_add(out, "}");
}

static void print_device(struct spw_run *run, uint32_t index, struct spw_text *out)
{
    struct spw_device_stats stats;
    spw_run_device_stats(run, index, &stats);
    const double wall = stats.wall_ns > 0 ? (double)stats.wall_ns : 1;
    spw_text_add(out, "    {\"name\": \"%s\", ", stats.name);
    add_number(out, "busy", (double)stats.compute_ns / wall);
    add_number(out, "waiting_copy", (double)stats.waiting_copy_ns / wall);
    add_number(out, "waiting_work", (double)stats.waiting_work_ns / wall);
    spw_text_add(out,
                 "\"units\": %" PRIu64 ", \"evictions\": %" PRIu64 ", \"job_switches\": %" PRIu64
                 ", \"bytes_in\": %" PRIu64 ", \"bytes_out\": %" PRIu64
                 ", \"region_bytes\": %" PRIu64 ", \"peak_bytes\": %" PRIu64 "}",
                 stats.units, stats.evictions, stats.job_switches, stats.bytes_in, stats.bytes_out,
                 stats.region_bytes, stats.peak_bytes);
}

void spw_summary_print(const struct spw_sweep *sweep, struct spw_run *run, bool interrupted,
                       struct spw_text *out)
{
    struct spw_run_stats stats;
    char machine[SPW_MACHINE_TEXT_MAX];
    spw_run_stats(run, &stats);
    spw_machine_print(spw_run_machine(run), machine);
    spw_text_add(out, "{\n  \"schema\": 1,\n  \"name\": \"%s\",\n  \"trials\": [\n",
                 sweep->spec->name);
    for (uint32_t i = 0; i < sweep->trials->count; i++) {
        print_trial(sweep, run, i, out);
        spw_text_add(out, "%s\n", i + 1 < sweep->trials->count ? "," : "");
    }
    spw_text_add(out, "  ],\n  \"devices\": [\n");
    const uint32_t devices = spw_run_device_count(run);
    for (uint32_t i = 0; i <= devices; i++) { /* the host cores are the last */
        print_device(run, i, out);
        spw_text_add(out, "%s\n", i < devices ? "," : "");
    }
    spw_text_add(out, "  ],\n  ");
    add_number(out, "wall_s", (double)stats.wall_ns * 1e-9);
    add_number(out, "decide_s", (double)stats.decide_ns * 1e-9);
    spw_text_add(out, "\"decisions\": %" PRIu64 ", \"home_peak_bytes\": %" PRIu64 ",\n  ",
                 stats.decisions, stats.home_peak_bytes);
    spw_text_add(out, "\"policy\": \"%s\", \"machine\": \"%s\", \"interrupted\": %s\n}\n",
                 spw_policy_names[sweep->spec->policy.name], machine,
                 interrupted ? "true" : "false");
}

enum spw_status spw_summary_write(const struct spw_sweep *sweep, struct spw_run *run,
                                  const char *path, bool interrupted, struct spw_error *error)
{
    struct spw_text text;
    char *file = NULL;
    SPW_TRY(spw_format_text(sweep->world, error, &file, "%s/summary.json", path));
    spw_text_init(&text, sweep->world);
    spw_summary_print(sweep, run, interrupted, &text);
    enum spw_status status = SPW_OK;
    if (text.failed) {
        status = SPW_FAIL(error, SPW_ERR_NO_MEMORY, "no memory for the summary");
    } else {
        status = spw_write_file(sweep->world, file, text.data, text.bytes, error);
    }
    spw_text_deinit(&text);
    spw_release(sweep->world, file);
    return status;
}
