/* progress_block.c — the live block of a terminal: devices, then trials. */
#include "cli/progress.h"
#include "selection/summary.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define LINE_BYTES 256
#define BAR_CELLS 12

/* One line of the block, cut to the screen's width. */
static void put_line(struct cli_progress *progress, uint32_t columns, const char *text, bool bold)
{
    const bool colours = bold && progress->terminal.colours;
    cli_progress_add(progress, "\x1b[2K%s%.*s%s\n", colours ? "\x1b[1m" : "", (int)columns - 1,
                     text, colours ? "\x1b[0m" : "");
    progress->lines_drawn++;
}

void cli_progress_clear_block(struct cli_progress *progress)
{
    if (progress->lines_drawn > 0) {
        cli_progress_add(progress, "\x1b[%uA\x1b[J", progress->lines_drawn);
        progress->lines_drawn = 0;
    }
}

static void device_line(const struct cli_progress *progress, uint32_t index, char *out)
{
    struct spw_device_stats stats;
    const struct cli_device_view *view = &progress->devices[index];
    char in[32], sent[32], unit[96] = "-", bar[BAR_CELLS + 1];
    spw_run_device_stats(progress->run, index, &stats);
    if (stats.job >= 0) {
        (void)snprintf(unit, sizeof(unit), "%s %.40s/%d", spw_unit_names[stats.kind],
                       progress->sweep->jobs[stats.job].id, stats.shard);
    }
    const int full = (int)(view->busy * BAR_CELLS + 0.5);
    memset(bar, '.', BAR_CELLS);
    memset(bar, '#', full > BAR_CELLS ? BAR_CELLS : (size_t)(full > 0 ? full : 0));
    bar[BAR_CELLS] = '\0';
    (void)snprintf(out, LINE_BYTES, "%-7s [%s] %3.0f %%  in %5sB/s  out %5sB/s  %s", stats.name,
                   bar, view->busy * 100, cli_short_count(view->in_per_s, in),
                   cli_short_count(view->out_per_s, sent), unit);
}

static void trial_line(const struct cli_progress *progress, uint32_t index, int id_width, char *out)
{
    struct spw_job_status status;
    const struct cli_trial_view *view = &progress->trials[index];
    const struct spw_data_info *info = spw_dataset_info(progress->sweep->train);
    char loss[32] = "-", eval[32] = "-", rate[32], left[32], step[48];
    spw_job_status(spw_run_job(progress->run, index), &status);
    const uint64_t now_ns = spw_now_ns(progress->world);
    const double items = spw_summary_rate(&status, now_ns);
    const double per_second = items * (info->is_tokens ? (double)info->targets_per_item : 1);
    if (isfinite(view->loss)) {
        (void)snprintf(loss, sizeof(loss), "%.4f", view->loss);
    }
    if (isfinite(view->eval)) {
        (void)snprintf(eval, sizeof(eval), "%.4f", view->eval);
    }
    double left_s = NAN;
    if (status.state == SPW_JOB_RUNNING && status.step > 0) {
        left_s = (double)(now_ns - status.started_ns) * 1e-9 *
                 (double)(status.steps - status.step) / (double)status.step;
    }
    (void)snprintf(step, sizeof(step), "%" PRIu64 "/%" PRIu64, status.step, status.steps);
    (void)snprintf(out, LINE_BYTES, "%-*s  %13s  %9s  %9s  %8s  %8s  %s", id_width,
                   progress->sweep->jobs[index].id, step, loss, eval,
                   cli_short_count(per_second, rate), cli_clock_text(left_s, left),
                   status.state == SPW_JOB_RUNNING ? "" : spw_job_state_name(status.state));
}

/* Running trials first, then the others, as far as there is room. */
static void put_trials(struct cli_progress *progress, uint32_t columns, uint32_t room)
{
    char line[LINE_BYTES];
    const uint32_t count = progress->sweep->trials->count;
    const bool all = count <= room;
    const uint32_t shown_max = all ? count : (room > 1 ? room - 1 : 1);
    int id_width = 5;
    for (uint32_t i = 0; i < count; i++) {
        const int width = (int)strlen(progress->sweep->jobs[i].id);
        id_width = width > id_width ? (width > 30 ? 30 : width) : id_width;
    }
    (void)snprintf(line, sizeof(line), "%-*s  %13s  %9s  %9s  %8s  %8s", id_width, "trial", "step",
                   "loss", cli_progress_eval_name(progress),
                   spw_dataset_info(progress->sweep->train)->is_tokens ? "tokens/s" : "items/s",
                   "left");
    put_line(progress, columns, line, true);
    uint32_t shown = 0;
    for (int pass = all ? 1 : 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < count && shown < shown_max; i++) {
            const bool running = progress->trials[i].state == SPW_JOB_RUNNING;
            if (all || running == (pass == 0)) {
                trial_line(progress, i, id_width, line);
                put_line(progress, columns, line, false);
                shown++;
            }
        }
    }
    if (shown < count) {
        (void)snprintf(line, sizeof(line), "... and %u more", count - shown);
        put_line(progress, columns, line, false);
    }
}

void cli_progress_draw_block(struct cli_progress *progress)
{
    char line[LINE_BYTES], elapsed[32], left[32];
    uint32_t columns, rows;
    struct cli_progress_totals totals;
    const uint32_t devices = spw_run_device_count(progress->run);
    cli_terminal_size(&columns, &rows);
    cli_progress_totals(progress, &totals);
    cli_progress_clear_block(progress);
    (void)snprintf(line, sizeof(line),
                   "%.40s  %s  %" PRIu64 "/%" PRIu64
                   " steps  %u running, %u waiting, %u done%s  left %s",
                   progress->sweep->spec->name, cli_clock_text(totals.elapsed_s, elapsed),
                   totals.steps_done, totals.steps, totals.running, totals.waiting, totals.done,
                   totals.failed > 0 ? ", some failed" : "", cli_clock_text(totals.left_s, left));
    put_line(progress, columns, line, true);
    const uint32_t devices_shown = devices + 1 < rows / 3 ? devices + 1 : rows / 3;
    for (uint32_t i = 0; i < devices_shown; i++) {
        device_line(progress, i, line);
        put_line(progress, columns, line, false);
    }
    const uint32_t used = devices_shown + 4;
    put_trials(progress, columns, rows > used + 2 ? rows - used : 2);
}
