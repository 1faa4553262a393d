/* progress.c — keeps what the faces show, and says when. Tested by tests/cli/test_progress.c. */
#include "cli/progress.h"

#include "base/status.h"
#include "selection/summary.h"

#include <math.h>
#include <stdarg.h>

#define BUFFER_BYTES 65536
#define PLAIN_EVERY_NS 30000000000u
#define JSON_EVERY_NS 1000000000u

static enum cli_progress_mode choose_mode(const struct cli *cli)
{
    if (cli->arguments.progress != CLI_PROGRESS_AUTO) {
        return cli->arguments.progress;
    }
    return cli->terminal.is_tty ? CLI_PROGRESS_TTY : CLI_PROGRESS_PLAIN;
}

enum spw_status cli_progress_create(const struct cli *cli, const struct spw_sweep *sweep,
                                    struct spw_run *run, struct spw_error *error,
                                    struct cli_progress **out)
{
    struct cli_progress *progress = NULL;
    SPW_TRY(spw_allocate(cli->world, 1, sizeof(*progress), "the display", error, &progress));
    *progress = (struct cli_progress){
        .world = cli->world,
        .sweep = sweep,
        .run = run,
        .mode = choose_mode(cli),
        .terminal = cli->terminal,
        .out = stderr,
        .start_ns = spw_now_ns(cli->world),
    };
    progress->tick_ns = progress->line_ns = progress->start_ns;
    enum spw_status status = spw_allocate(cli->world, sweep->trials->count,
                                          sizeof(*progress->trials), "the display", error,
                                          &progress->trials);
    if (status == SPW_OK) {
        status = spw_allocate(cli->world, spw_run_device_count(run) + 1u,
                              sizeof(*progress->devices), "the display", error, &progress->devices);
    }
    if (status == SPW_OK) {
        status = spw_allocate(cli->world, BUFFER_BYTES, 1, "the display", error, &progress->buffer);
    }
    if (status != SPW_OK) {
        cli_progress_destroy(progress);
        return status;
    }
    for (uint32_t i = 0; i < sweep->trials->count; i++) {
        progress->trials[i] = (struct cli_trial_view){.loss = NAN, .eval = NAN};
    }
    *out = progress;
    return SPW_OK;
}

void cli_progress_destroy(struct cli_progress *progress)
{
    if (progress == NULL) {
        return;
    }
    if (progress->mode == CLI_PROGRESS_TTY && progress->buffer != NULL) {
        cli_progress_clear_block(progress);
        cli_progress_flush(progress);
    }
    spw_release(progress->world, progress->trials);
    spw_release(progress->world, progress->devices);
    spw_release(progress->world, progress->buffer);
    spw_release(progress->world, progress);
}

/* ---- figures ---- */

const char *cli_progress_eval_name(const struct cli_progress *progress)
{
    return spw_dataset_info(progress->sweep->train)->is_tokens ? "perplexity" : "accuracy";
}

double cli_progress_elapsed_s(const struct cli_progress *progress)
{
    return (double)(spw_now_ns(progress->world) - progress->start_ns) * 1e-9;
}

void cli_progress_totals(const struct cli_progress *progress, struct cli_progress_totals *out)
{
    *out = (struct cli_progress_totals){0};
    double work = 0, work_done = 0; /* in expected compute, so that big trials count more */
    for (uint32_t i = 0; i < progress->sweep->trials->count; i++) {
        struct spw_job *job = spw_run_job(progress->run, i);
        struct spw_job_status status;
        spw_job_status(job, &status);
        const double step_cost = (double)spw_job_plan(job)->totals.step_flops;
        out->steps += status.steps;
        out->steps_done += status.step;
        out->done += status.state == SPW_JOB_DONE;
        out->failed += status.state == SPW_JOB_FAILED || status.state == SPW_JOB_CANCELLED;
        out->running += status.state == SPW_JOB_RUNNING;
        out->waiting += status.state == SPW_JOB_WAITING;
        const bool over = status.state != SPW_JOB_RUNNING && status.state != SPW_JOB_WAITING;
        work_done += (double)status.step * step_cost;
        work += (double)(over ? status.step : status.steps) * step_cost;
    }
    out->elapsed_s = cli_progress_elapsed_s(progress);
    out->left_s = work_done > 0 ? out->elapsed_s * (work - work_done) / work_done : NAN;
}

const char *cli_clock_text(double seconds, char out[32])
{
    if (!isfinite(seconds) || seconds < 0 || seconds > 1e9) {
        (void)snprintf(out, 32, "-");
        return out;
    }
    const uint64_t whole = (uint64_t)(seconds + 0.5);
    const unsigned hours = (unsigned)(whole / 3600), minutes = (unsigned)(whole / 60 % 60);
    if (hours > 0) {
        (void)snprintf(out, 32, "%u:%02u:%02u", hours, minutes, (unsigned)(whole % 60));
    } else {
        (void)snprintf(out, 32, "%u:%02u", minutes, (unsigned)(whole % 60));
    }
    return out;
}

const char *cli_short_count(double count, char out[32])
{
    static const char units[] = {' ', 'k', 'M', 'G', 'T', 'P'};
    uint32_t unit = 0;
    while (count >= 999.5 && unit + 1 < sizeof(units)) {
        count /= 1000;
        unit++;
    }
    if (unit == 0) {
        (void)snprintf(out, 32, count < 10 && count > 0 ? "%.1f" : "%.0f", count);
    } else {
        (void)snprintf(out, 32, "%.3g%c", count, units[unit]);
    }
    return out;
}

/* ---- output ---- */

void cli_progress_add(struct cli_progress *progress, const char *format, ...)
{
    const size_t room = BUFFER_BYTES - progress->used;
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(progress->buffer + progress->used, room, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < room) {
        progress->used += (size_t)length;
    }
}

void cli_progress_flush(struct cli_progress *progress)
{
    (void)fwrite(progress->buffer, 1, progress->used, progress->out);
    (void)fflush(progress->out);
    progress->used = 0;
}

/* ---- events ---- */

void cli_progress_step(struct cli_progress *progress, struct spw_job *job,
                       const struct spw_step_result *result)
{
    progress->trials[spw_job_index(job)].loss = result->loss;
}

void cli_progress_eval(struct cli_progress *progress, struct spw_job *job,
                       const struct spw_eval_result *result)
{
    const bool is_tokens = spw_dataset_info(progress->sweep->train)->is_tokens;
    progress->trials[spw_job_index(job)].eval = is_tokens ? exp(result->loss) : result->accuracy;
    if (progress->mode == CLI_PROGRESS_JSON) {
        cli_progress_json_eval(progress, job, result);
        cli_progress_flush(progress);
    }
}

void cli_progress_state(struct cli_progress *progress, struct spw_job *job,
                        enum spw_job_state state)
{
    progress->trials[spw_job_index(job)].state = state;
    switch (progress->mode) {
    case CLI_PROGRESS_TTY:
        /* What became of a trial stays above the block. */
        if (state == SPW_JOB_FAILED) {
            cli_progress_clear_block(progress);
            cli_progress_plain_state(progress, job, state);
        }
        break;
    case CLI_PROGRESS_PLAIN:
        cli_progress_plain_state(progress, job, state);
        break;
    case CLI_PROGRESS_JSON:
        cli_progress_json_state(progress, job, state);
        break;
    case CLI_PROGRESS_AUTO:
    case CLI_PROGRESS_NONE:
        break;
    }
    cli_progress_flush(progress);
}

static void look_at_devices(struct cli_progress *progress, uint64_t now_ns)
{
    const double seconds = (double)(now_ns - progress->tick_ns) * 1e-9;
    if (seconds <= 0) {
        return;
    }
    for (uint32_t i = 0; i <= spw_run_device_count(progress->run); i++) {
        struct spw_device_stats stats;
        struct cli_device_view *view = &progress->devices[i];
        spw_run_device_stats(progress->run, i, &stats);
        const double busy = (double)(stats.compute_ns - view->compute_ns) * 1e-9 / seconds;
        view->busy = busy < 1 ? busy : 1; /* a long unit is counted when it ends */
        view->in_per_s = (double)(stats.bytes_in - view->bytes_in) / seconds;
        view->out_per_s = (double)(stats.bytes_out - view->bytes_out) / seconds;
        view->compute_ns = stats.compute_ns;
        view->bytes_in = stats.bytes_in;
        view->bytes_out = stats.bytes_out;
    }
    progress->tick_ns = now_ns;
}

void cli_progress_tick(struct cli_progress *progress)
{
    const uint64_t now_ns = spw_now_ns(progress->world);
    switch (progress->mode) {
    case CLI_PROGRESS_TTY:
        look_at_devices(progress, now_ns);
        cli_progress_draw_block(progress);
        cli_progress_flush(progress);
        return;
    case CLI_PROGRESS_PLAIN:
        if (now_ns - progress->line_ns >= PLAIN_EVERY_NS) {
            progress->line_ns = now_ns;
            cli_progress_plain_line(progress);
            cli_progress_flush(progress);
        }
        return;
    case CLI_PROGRESS_JSON:
        if (now_ns - progress->line_ns >= JSON_EVERY_NS) {
            progress->line_ns = now_ns;
            cli_progress_json_line(progress);
            cli_progress_flush(progress);
        }
        return;
    case CLI_PROGRESS_AUTO:
    case CLI_PROGRESS_NONE:
        return;
    }
}
