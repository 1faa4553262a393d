/* plan.c — `spillway plan`: what a run would need and take, before anything is started. */
#include "base/text.h"
#include "cli/command.h"
#include "cli/table.h"
#include "selection/sweep.h"

#include <inttypes.h>
#include <string.h>

#define ROWS_MAX 60

struct totals {
    double flops;
    double seconds;      /* of one device */
    double longest;      /* trial */
    uint64_t home_bytes; /* of all trials together */
    uint64_t home_most;  /* of one */
};

static struct totals sum_up(const struct spw_sweep *sweep, struct spw_run *run)
{
    struct totals totals = {0};
    for (uint32_t i = 0; i < sweep->trials->count; i++) {
        const struct spw_plan *plan = spw_job_plan(spw_run_job(run, i));
        const struct spw_sweep_cost cost = spw_sweep_cost(sweep, i, plan);
        const double alone = cost.seconds / (double)sweep->jobs[i].grad_groups;
        totals.flops += cost.flops;
        totals.seconds += cost.seconds;
        totals.longest = alone > totals.longest ? alone : totals.longest;
        totals.home_bytes += plan->totals.home_bytes;
        totals.home_most = plan->totals.home_bytes > totals.home_most ? plan->totals.home_bytes
                                                                      : totals.home_most;
    }
    return totals;
}

/* No schedule beats the sum over the devices, nor the longest trial. */
static double predicted_seconds(const struct totals *totals, uint32_t devices)
{
    const double shared = totals->seconds / devices;
    return shared > totals->longest ? shared : totals->longest;
}

static void add_row(struct cli_table *table, const struct spw_sweep *sweep, uint32_t index,
                    const struct spw_plan *plan)
{
    char a[32], b[32];
    const struct spw_plan_totals *totals = &plan->totals;
    const struct spw_sweep_cost cost = spw_sweep_cost(sweep, index, plan);
    cli_table_add(table, "%s", sweep->jobs[index].id);
    cli_table_add(table, "%s", spw_format_count(totals->parameters, a));
    cli_table_add(table, "%s", spw_format_bytes(totals->state_bytes, a));
    cli_table_add(table, "%d", plan->shard_count);
    cli_table_add(table, "%s", spw_format_bytes(totals->device_bytes_max, a));
    cli_table_add(table, "%s", spw_format_bytes(totals->home_bytes, a));
    cli_table_add(table, "%s", spw_format_bytes(totals->step_in_bytes, a));
    cli_table_add(table, "%s", spw_format_bytes(totals->step_out_bytes, b));
    cli_table_add(table, "%.3g", (double)totals->step_flops);
    cli_table_add(table, "%" PRIu64, cost.steps);
    cli_table_add(table, "%.3g", cost.flops);
    cli_table_add(table, "%s", spw_format_time(totals->step_time_ns, a));
    cli_table_add(table, "%s", spw_format_time((uint64_t)(cost.seconds * 1e9), a));
}

static void print_people(const struct spw_sweep *sweep, struct spw_run *run, struct spw_text *out)
{
    static const struct cli_column columns[] = {
        {"trial", false, true},      {"params", true, false},       {"state", true, false},
        {"shards", true, false},     {"largest unit", true, false}, {"host", true, false},
        {"in/step", true, false},    {"out/step", true, false},     {"FLOP/step", true, false},
        {"steps", true, false},      {"FLOP", true, false},         {"est. step", true, false},
        {"est. alone", true, false},
    };
    char machine[SPW_MACHINE_TEXT_MAX], a[32], b[32];
    struct cli_table table;
    spw_machine_print(spw_run_machine(run), machine);
    const struct spw_machine *devices = spw_run_machine(run);
    spw_text_add(out, "%u trials of %u models on %s (%s per device)\n", sweep->trials->count,
                 sweep->spec->model_count, machine, spw_format_bytes(devices->mem_bytes, a));
    cli_table_init(&table, sweep->world, columns, sizeof(columns) / sizeof(columns[0]));
    for (uint32_t i = 0; i < sweep->trials->count; i++) {
        add_row(&table, sweep, i, spw_job_plan(spw_run_job(run, i)));
    }
    cli_table_print(&table, ROWS_MAX, 0, out);
    cli_table_deinit(&table);
    const struct totals totals = sum_up(sweep, run);
    spw_text_add(out, "host memory: %s for all trials at once, %s for the largest alone\n",
                 spw_format_bytes(totals.home_bytes, a), spw_format_bytes(totals.home_most, b));
    spw_text_add(
        out, "in all: %.4g FLOP, about %s on %u device%s\n", totals.flops,
        spw_format_time((uint64_t)(predicted_seconds(&totals, devices->device_count) * 1e9), a),
        devices->device_count, devices->device_count == 1 ? "" : "s");
}

static void print_trial_json(const struct spw_sweep *sweep, uint32_t index,
                             const struct spw_plan *plan, struct spw_text *out)
{
    const struct spw_plan_totals *totals = &plan->totals;
    const struct spw_sweep_cost cost = spw_sweep_cost(sweep, index, plan);
    spw_text_add(out,
                 "  {\"id\": \"%s\", \"model\": \"%s\", \"parameters\": %" PRIu64
                 ", \"state_bytes\": %" PRIu64 ", \"shards\": %d, \"largest_unit_bytes\": %" PRIu64
                 ", \"least_device_bytes\": %" PRIu64 ", \"home_bytes\": %" PRIu64
                 ", \"step_in_bytes\": %" PRIu64 ", \"step_out_bytes\": %" PRIu64,
                 sweep->jobs[index].id, sweep->trials->items[index].model.id, totals->parameters,
                 totals->state_bytes, plan->shard_count, totals->device_bytes_max,
                 totals->device_bytes_min, totals->home_bytes, totals->step_in_bytes,
                 totals->step_out_bytes);
    spw_text_add(out,
                 ", \"step_flops\": %" PRIu64 ", \"step_useful_flops\": %" PRIu64
                 ", \"steps\": %" PRIu64 ", \"items\": %" PRIu64 ", \"eval_items\": %" PRIu64
                 ", \"flops\": %.9g, \"step_s\": %.6g, \"seconds\": %.6g}",
                 totals->step_flops, totals->step_useful_flops, cost.steps, cost.items,
                 cost.eval_items, cost.flops, (double)totals->step_time_ns * 1e-9, cost.seconds);
}

static void print_json(const struct spw_sweep *sweep, struct spw_run *run, struct spw_text *out)
{
    char machine[SPW_MACHINE_TEXT_MAX];
    const struct totals totals = sum_up(sweep, run);
    spw_machine_print(spw_run_machine(run), machine);
    spw_text_add(
        out, "{\"schema\": 1, \"machine\": \"%s\", \"device_bytes\": %" PRIu64 ", \"trials\": [\n",
        machine, spw_run_machine(run)->mem_bytes);
    for (uint32_t i = 0; i < sweep->trials->count; i++) {
        print_trial_json(sweep, i, spw_job_plan(spw_run_job(run, i)), out);
        spw_text_add(out, "%s\n", i + 1 < sweep->trials->count ? "," : "");
    }
    spw_text_add(out, "], \"home_bytes\": %" PRIu64 ", \"flops\": %.9g, \"seconds\": %.6g}\n",
                 totals.home_bytes, totals.flops,
                 predicted_seconds(&totals, spw_run_machine(run)->device_count));
}

/* ---- --min-memory ---- */

/* Trials of one model that differ in nothing that needs memory have one answer. */
static bool same_needs(const struct spw_job_config *a, const struct spw_job_config *b)
{
    return strcmp(a->graph->name, b->graph->name) == 0 &&
           a->graph->parameter_count == b->graph->parameter_count &&
           a->graph->node_count == b->graph->node_count && a->batch == b->batch &&
           a->micro_batch == b->micro_batch && a->grad_groups == b->grad_groups &&
           spw_optimizer_moments(&a->optimizer) == spw_optimizer_moments(&b->optimizer);
}

static enum spw_status least_memory(const struct spw_sweep *sweep, struct spw_run *run,
                                    uint64_t *bytes, uint64_t *most, struct spw_error *error)
{
    *most = 0;
    for (uint32_t i = 0; i < sweep->trials->count; i++) {
        if (i > 0 && same_needs(&sweep->jobs[i], &sweep->jobs[i - 1])) {
            bytes[i] = bytes[i - 1];
        } else {
            SPW_TRY(spw_run_least_memory(run, &sweep->jobs[i], error, &bytes[i]));
        }
        *most = bytes[i] > *most ? bytes[i] : *most;
    }
    return SPW_OK;
}

static void print_least(const struct cli *cli, const struct spw_sweep *sweep, struct spw_run *run,
                        const uint64_t *bytes, uint64_t most, struct spw_text *out)
{
    static const struct cli_column columns[] = {{"trial", false, true},
                                                {"least mem in bytes", true, true}};
    char machine[SPW_MACHINE_TEXT_MAX], text[32];
    struct spw_machine least = *spw_run_machine(run);
    least.mem_bytes = most;
    spw_machine_print(&least, machine);
    if (cli->arguments.json) {
        spw_text_add(out,
                     "{\"schema\": 1, \"least_device_bytes\": %" PRIu64
                     ", \"machine\": \"%s\", \"trials\": [",
                     most, machine);
        for (uint32_t i = 0; i < sweep->trials->count; i++) {
            spw_text_add(out, "%s{\"id\": \"%s\", \"least_device_bytes\": %" PRIu64 "}",
                         i == 0 ? "" : ", ", sweep->jobs[i].id, bytes[i]);
        }
        spw_text_add(out, "]}\n");
        return;
    }
    struct cli_table table;
    cli_table_init(&table, sweep->world, columns, sizeof(columns) / sizeof(columns[0]));
    for (uint32_t i = 0; i < sweep->trials->count; i++) {
        cli_table_add(&table, "%s", sweep->jobs[i].id);
        cli_table_add(&table, "%" PRIu64, bytes[i]);
    }
    cli_table_print(&table, ROWS_MAX, 0, out);
    cli_table_deinit(&table);
    spw_text_add(out, "every trial runs with %s per device: --machine \"%s\"\n",
                 spw_format_bytes(most, text), machine);
}

static enum spw_status print_min_memory(const struct cli *cli, const struct spw_sweep *sweep,
                                        struct spw_run *run, struct spw_text *out,
                                        struct spw_error *error)
{
    uint64_t *bytes = NULL, most = 0;
    SPW_TRY(spw_allocate(cli->world, sweep->trials->count, sizeof(*bytes), "the least sizes", error,
                         &bytes));
    const enum spw_status status = least_memory(sweep, run, bytes, &most, error);
    if (status == SPW_OK) {
        print_least(cli, sweep, run, bytes, most, out);
    }
    spw_release(cli->world, bytes);
    return status;
}

static enum spw_status make_plan(const struct cli *cli, const struct spw_sweep *sweep,
                                 struct spw_text *out, struct spw_error *error)
{
    struct spw_run *run = NULL;
    struct spw_run_config config = spw_sweep_config(sweep);
    config.plan_only = true;
    SPW_TRY(spw_run_create(cli->world, &config, error, &run));
    enum spw_status status = SPW_OK;
    if (cli->arguments.min_memory) {
        status = print_min_memory(cli, sweep, run, out, error);
    } else {
        status = spw_sweep_add(sweep, run, error);
        if (status == SPW_OK && cli->arguments.json) {
            print_json(sweep, run, out);
        } else if (status == SPW_OK) {
            print_people(sweep, run, out);
        }
    }
    spw_run_destroy(run);
    return status;
}

int cli_plan(const struct cli *cli)
{
    struct spw_error error = {0};
    struct spw_spec *spec = NULL;
    struct spw_sweep *sweep = NULL;
    struct spw_text text;
    spw_text_init(&text, cli->world);
    int code = CLI_DONE;
    if (cli_load_spec(cli, &error, &spec) != SPW_OK ||
        spw_sweep_open(cli->world, spec, &error, &sweep) != SPW_OK ||
        make_plan(cli, sweep, &text, &error) != SPW_OK) {
        code = cli_fail(cli, &error);
    } else {
        code = cli_print_text(cli, &text, stdout) ? CLI_DONE : CLI_FAULT;
    }
    spw_text_deinit(&text);
    spw_sweep_close(sweep);
    spw_spec_destroy(spec);
    return code;
}
