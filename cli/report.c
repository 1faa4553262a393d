/* report.c — the closing tables. Tested by tests/cli/test_run.py. */
#include "cli/report.h"

#include "cli/progress.h"
#include "cli/table.h"
#include "selection/summary.h"

#include <inttypes.h>
#include <math.h>

#define ROWS_MAX 60

static void add_metric(struct cli_table *table, double value)
{
    if (isfinite(value)) {
        cli_table_add(table, "%.4f", value);
    } else {
        cli_table_add(table, "%s", "");
    }
}

static void add_trial(struct cli_table *table, const struct spw_sweep *sweep, struct spw_run *run,
                      uint32_t index)
{
    char text[32];
    struct spw_job_status status;
    struct spw_text settings;
    const bool is_tokens = spw_dataset_info(sweep->train)->is_tokens;
    spw_job_status(spw_run_job(run, index), &status);
    spw_text_init(&settings, sweep->world);
    spw_trial_describe(&sweep->trials->items[index], &settings);
    cli_table_add(table, "%s", sweep->jobs[index].id);
    cli_table_add(table, "%s", sweep->trials->items[index].model.id);
    cli_table_add(table, "%s", settings.data != NULL ? settings.data : "");
    cli_table_add(table, "%s",
                  spw_format_count((uint64_t)sweep->graphs[index]->parameter_count, text));
    cli_table_add(table, "%" PRIu64, status.step);
    add_metric(table, status.step > 0 ? status.last_loss : NAN);
    add_metric(table, is_tokens ? exp(status.best_eval_loss) : status.best_accuracy);
    add_metric(table, is_tokens ? exp(status.last_eval_loss) : status.last_accuracy);
    const uint64_t now_ns = spw_now_ns(sweep->world);
    const uint64_t end_ns = status.ended_ns != 0 ? status.ended_ns : now_ns;
    cli_table_add(table, "%s",
                  status.started_ns != 0
                      ? cli_clock_text((double)(end_ns - status.started_ns) * 1e-9, text)
                      : "");
    const double rate = spw_summary_rate(&status, now_ns);
    cli_table_add(table, "%s", rate > 0 ? cli_short_count(rate, text) : "");
    cli_table_add(table, "%s", spw_job_state_name(status.state));
    spw_text_deinit(&settings);
}

static void print_trials(const struct spw_sweep *sweep, struct spw_run *run, struct spw_text *out)
{
    const bool is_tokens = spw_dataset_info(sweep->train)->is_tokens;
    const struct cli_column columns[] = {
        {"trial", false, true},
        {"model", false, false},
        {"settings", false, false},
        {"parameters", true, false},
        {"steps", true, false},
        {"loss", true, false},
        {is_tokens ? "best ppl" : "best acc", true, false},
        {is_tokens ? "last ppl" : "last acc", true, false},
        {"time", true, false},
        {"items/s", true, false},
        {"state", false, true},
    };
    struct cli_table table;
    cli_table_init(&table, sweep->world, columns, sizeof(columns) / sizeof(columns[0]));
    for (uint32_t i = 0; i < sweep->trials->count; i++) {
        add_trial(&table, sweep, run, i);
    }
    cli_table_print(&table, ROWS_MAX, cli_output_columns(), out);
    cli_table_deinit(&table);
}

static void add_percent(struct cli_table *table, uint64_t part_ns, uint64_t wall_ns)
{
    cli_table_add(table, "%.1f %%", wall_ns > 0 ? 100.0 * (double)part_ns / (double)wall_ns : 0.0);
}

static void print_devices(const struct spw_sweep *sweep, struct spw_run *run, struct spw_text *out)
{
    static const struct cli_column columns[] = {
        {"device", false, true},     {"compute", true, true}, {"waits: copy", true, true},
        {"waits: work", true, true}, {"units", true, true},   {"evictions", true, true},
        {"in", true, true},          {"out", true, true},
    };
    char text[32];
    struct cli_table table;
    cli_table_init(&table, sweep->world, columns, sizeof(columns) / sizeof(columns[0]));
    for (uint32_t i = 0; i <= spw_run_device_count(run); i++) {
        struct spw_device_stats stats;
        spw_run_device_stats(run, i, &stats);
        cli_table_add(&table, "%s", stats.name);
        add_percent(&table, stats.compute_ns, stats.wall_ns);
        add_percent(&table, stats.waiting_copy_ns, stats.wall_ns);
        add_percent(&table, stats.waiting_work_ns, stats.wall_ns);
        cli_table_add(&table, "%" PRIu64, stats.units);
        cli_table_add(&table, "%" PRIu64, stats.evictions);
        cli_table_add(&table, "%s", spw_format_bytes(stats.bytes_in, text));
        cli_table_add(&table, "%s", spw_format_bytes(stats.bytes_out, text));
    }
    cli_table_print(&table, 0, cli_output_columns(), out);
    cli_table_deinit(&table);
}

/* Why trials failed does not fit a table. */
static void print_failures(const struct spw_sweep *sweep, struct spw_run *run, struct spw_text *out)
{
    for (uint32_t i = 0; i < sweep->trials->count; i++) {
        struct spw_job_status status;
        spw_job_status(spw_run_job(run, i), &status);
        if (status.state == SPW_JOB_FAILED) {
            spw_text_add(out, "%s failed: %s\n", sweep->jobs[i].id, status.error.what);
        }
    }
}

void cli_report_print(const struct spw_sweep *sweep, struct spw_run *run, struct spw_text *out)
{
    char wall[32], home[32];
    struct spw_run_stats stats;
    spw_run_stats(run, &stats);
    print_trials(sweep, run, out);
    print_failures(sweep, run, out);
    spw_text_add(out, "\n");
    print_devices(sweep, run, out);
    spw_text_add(out,
                 "%s in all, %" PRIu64 " decisions (%.2f %% of the time), %s of homes at most\n",
                 cli_clock_text((double)stats.wall_ns * 1e-9, wall), stats.decisions,
                 stats.wall_ns > 0 ? 100.0 * (double)stats.decide_ns / (double)stats.wall_ns : 0.0,
                 spw_format_bytes(stats.home_peak_bytes, home));
}
