/* progress_lines.c — progress as whole lines: plain ones for logs, JSON for programs. */
#include "cli/progress.h"
#include "selection/metrics.h"
#include "selection/summary.h"

#include <inttypes.h>
#include <math.h>

void cli_progress_plain_line(struct cli_progress *progress)
{
    char elapsed[32], left[32];
    struct cli_progress_totals totals;
    cli_progress_totals(progress, &totals);
    const double share = totals.steps > 0 ? 100.0 * (double)totals.steps_done / (double)totals.steps
                                          : 0;
    cli_progress_add(progress,
                     "%s  %" PRIu64 "/%" PRIu64 " steps (%.0f %%), %u of %u trials done, busy",
                     cli_clock_text(totals.elapsed_s, elapsed), totals.steps_done, totals.steps,
                     share, totals.done, progress->sweep->trials->count);
    for (uint32_t i = 0; i < spw_run_device_count(progress->run) && i < 8; i++) {
        struct spw_device_stats stats;
        spw_run_device_stats(progress->run, i, &stats);
        const double wall = stats.wall_ns > 0 ? (double)stats.wall_ns : 1;
        cli_progress_add(progress, " %.0f %%", 100.0 * (double)stats.compute_ns / wall);
    }
    cli_progress_add(progress, ", left %s\n", cli_clock_text(totals.left_s, left));
}

void cli_progress_plain_state(struct cli_progress *progress, struct spw_job *job,
                              enum spw_job_state state)
{
    char elapsed[32], took[32];
    struct spw_job_status status;
    const uint32_t index = spw_job_index(job);
    const char *id = progress->sweep->jobs[index].id;
    const uint64_t now_ns = spw_now_ns(progress->world);
    spw_job_status(job, &status);
    cli_progress_add(progress, "%s  %s ", cli_clock_text(cli_progress_elapsed_s(progress), elapsed),
                     id);
    switch (state) {
    case SPW_JOB_WAITING:
        cli_progress_add(progress, "waits\n");
        return;
    case SPW_JOB_RUNNING:
        cli_progress_add(progress, "starts: %" PRIu64 " steps, %d shard%s\n", status.steps,
                         spw_job_plan(job)->shard_count,
                         spw_job_plan(job)->shard_count == 1 ? "" : "s");
        return;
    case SPW_JOB_DONE:
        cli_progress_add(progress, "is done: loss %.4g", progress->trials[index].loss);
        if (isfinite(progress->trials[index].eval)) {
            cli_progress_add(progress, ", %s %.4g", cli_progress_eval_name(progress),
                             progress->trials[index].eval);
        }
        cli_progress_add(progress, ", %s\n",
                         cli_clock_text((double)(now_ns - status.started_ns) * 1e-9, took));
        return;
    case SPW_JOB_FAILED:
        cli_progress_add(progress, "failed after step %" PRIu64 ": %s\n", status.step,
                         status.error.what);
        return;
    case SPW_JOB_CANCELLED:
        cli_progress_add(progress, "was cancelled after step %" PRIu64 "\n", status.step);
        return;
    }
}

void cli_progress_json_line(struct cli_progress *progress)
{
    char left[SPW_METRIC_BYTES];
    struct cli_progress_totals totals;
    cli_progress_totals(progress, &totals);
    cli_progress_add(
        progress,
        "{\"schema\": 1, \"event\": \"progress\", \"time_s\": %.3f, \"steps\": %" PRIu64
        ", \"steps_done\": %" PRIu64
        ", \"running\": %u, \"waiting\": %u, \"done\": %u, \"failed\": %u, "
        "\"left_s\": %s}\n",
        totals.elapsed_s, totals.steps, totals.steps_done, totals.running, totals.waiting,
        totals.done, totals.failed, spw_metric_text(totals.left_s, left));
}

void cli_progress_json_state(struct cli_progress *progress, struct spw_job *job,
                             enum spw_job_state state)
{
    struct spw_job_status status;
    spw_job_status(job, &status);
    cli_progress_add(progress,
                     "{\"schema\": 1, \"event\": \"state\", \"time_s\": %.3f, \"trial\": \"%s\", "
                     "\"state\": \"%s\", \"step\": %" PRIu64 "}\n",
                     cli_progress_elapsed_s(progress), progress->sweep->jobs[spw_job_index(job)].id,
                     spw_job_state_name(state), status.step);
}

void cli_progress_json_eval(struct cli_progress *progress, struct spw_job *job,
                            const struct spw_eval_result *result)
{
    char loss[SPW_METRIC_BYTES], value[SPW_METRIC_BYTES];
    const uint32_t index = spw_job_index(job);
    cli_progress_add(progress,
                     "{\"schema\": 1, \"event\": \"eval\", \"time_s\": %.3f, \"trial\": \"%s\", "
                     "\"step\": %" PRIu64 ", \"loss\": %s, \"%s\": %s}\n",
                     cli_progress_elapsed_s(progress), progress->sweep->jobs[index].id,
                     result->step, spw_metric_text(result->loss, loss),
                     cli_progress_eval_name(progress),
                     spw_metric_text(progress->trials[index].eval, value));
}
