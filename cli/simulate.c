/* simulate.c — `spillway simulate`: how long a sweep would take on a machine that is not here. */
#include "base/status.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "runtime/record/trace.h"
#include "selection/machine_file.h"
#include "selection/prediction.h"
#include "selection/summary.h"

#include <inttypes.h>
#include <math.h>

#define ROWS_MAX 60

/* A simulation of the command. */
struct session {
    const struct cli *cli;
    struct spw_spec *spec;
    struct spw_sweep *sweep;
    struct spw_run *run;
    struct spw_utilization *usage;
    struct spw_trace *trace; /* NULL: not asked for */
    struct cli_interrupt interrupt;
    uint64_t begun_ns; /* of the run's clock */
};

/* ---- events ---- */

static void on_step(void *self, struct spw_job *job, const struct spw_step_result *result)
{
    struct session *session = self;
    (void)result;
    spw_utilization_step(session->usage, job);
}

static enum spw_status on_state(void *self, struct spw_job *job, enum spw_job_state state,
                                struct spw_error *error)
{
    struct session *session = self;
    (void)error;
    spw_utilization_state(session->usage, job, state);
    return SPW_OK;
}

static void on_decision(void *self, const struct spw_decision *decision)
{
    struct session *session = self;
    spw_utilization_decision(session->usage, decision);
}

static void on_span(void *self, const struct spw_span *span)
{
    struct session *session = self;
    spw_utilization_span(session->usage, span);
    if (session->trace != NULL) {
        spw_trace_span(session->trace, span);
    }
}

/* ---- the steps ---- */

/* A paced run on host devices has modelled times, which can be simulated as they are. */
static enum spw_status choose_machine(struct session *session, struct spw_error *error)
{
    struct spw_sweep *sweep = session->sweep;
    if (sweep->machine.kind == SPW_MACHINE_HOST && sweep->machine.pace_model) {
        return spw_machine_file_of_paced(session->cli->world, &sweep->machine, error,
                                         &sweep->model);
    }
    if (sweep->machine.kind != SPW_MACHINE_SIM) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "machine '%.80s': only modelled machines can be simulated; give one, such "
                        "as --machine \"sim:h200*8\", or a host with pace=model",
                        session->spec->machine);
    }
    return SPW_OK;
}

static enum spw_status prepare(struct session *session, struct spw_error *error)
{
    const struct cli *cli = session->cli;
    SPW_TRY(cli_load_spec(cli, error, &session->spec));
    SPW_TRY(spw_sweep_open(cli->world, session->spec, error, &session->sweep));
    SPW_TRY(choose_machine(session, error));
    SPW_TRY(cli_interrupt_begin(&session->interrupt, error));
    struct spw_run_config config = spw_sweep_config(session->sweep);
    config.model = &session->sweep->model;
    config.events = (struct spw_run_events){
        .self = session,
        .step = on_step,
        .state = on_state,
        .decision = on_decision,
        .span = on_span,
    };
    SPW_TRY(spw_run_create(cli->world, &config, error, &session->run));
    SPW_TRY(spw_sweep_add(session->sweep, session->run, error));
    SPW_TRY(spw_utilization_create(cli->world, session->run, error, &session->usage));
    session->begun_ns = spw_run_now_ns(session->run);
    if (cli->arguments.trace != NULL) {
        return spw_trace_create(cli->world, cli->arguments.trace, session->run, error,
                                &session->trace);
    }
    return SPW_OK;
}

static enum spw_status simulate(struct session *session, struct spw_error *error)
{
    cli_interrupt_set_run(&session->interrupt, session->run);
    if (cli_interrupt_came(&session->interrupt)) {
        spw_run_interrupt(session->run);
    }
    enum spw_status status = spw_run_execute(session->run, error);
    cli_interrupt_set_run(&session->interrupt, NULL);
    const enum spw_status closed = spw_trace_close(session->trace, error);
    session->trace = NULL;
    return status != SPW_OK ? status : closed;
}

/* ---- for people ---- */

static void print_trials(const struct session *session, struct spw_text *out)
{
    static const struct cli_column columns[] = {
        {"trial", false, true}, {"parameters", true, false}, {"shards", true, false},
        {"steps", true, true},  {"start", true, false},      {"finish", true, true},
        {"state", false, true},
    };
    const struct spw_sweep *sweep = session->sweep;
    struct cli_table table;
    char text[32];
    cli_table_init(&table, sweep->world, columns, sizeof(columns) / sizeof(columns[0]));
    for (uint32_t i = 0; i < sweep->trials->count; i++) {
        const struct spw_job *job = spw_run_job(session->run, i);
        const uint64_t begun_ns = session->begun_ns;
        struct spw_job_status status;
        spw_job_status(job, &status);
        cli_table_add(&table, "%s", sweep->jobs[i].id);
        cli_table_add(&table, "%s",
                      spw_format_count((uint64_t)sweep->jobs[i].graph->parameter_count, text));
        cli_table_add(&table, "%d", spw_job_plan(job)->shard_count);
        cli_table_add(&table, "%" PRIu64, status.step);
        cli_table_add(&table, "%s",
                      status.started_ns >= begun_ns
                          ? spw_format_time(status.started_ns - begun_ns, text)
                          : "");
        cli_table_add(
            &table, "%s",
            status.ended_ns >= begun_ns ? spw_format_time(status.ended_ns - begun_ns, text) : "");
        cli_table_add(&table, "%s", spw_job_state_name(status.state));
    }
    cli_table_print(&table, ROWS_MAX, cli_output_columns(), out);
    cli_table_deinit(&table);
}

static void add_share(struct cli_table *table, uint64_t part_ns, uint64_t wall_ns)
{
    cli_table_add(table, "%.1f %%", wall_ns > 0 ? 100.0 * (double)part_ns / (double)wall_ns : 0.0);
}

static void print_devices(const struct session *session, struct spw_text *out)
{
    static const struct cli_column columns[] = {
        {"device", false, true},     {"busy", true, true},        {"useful", true, true},
        {"waits: copy", true, true}, {"waits: norm", true, true}, {"no work", true, true},
        {"tail", true, true},        {"units", true, false},      {"in", true, false},
        {"out", true, false},        {"peak", true, false},
    };
    struct cli_table table;
    char text[32];
    cli_table_init(&table, session->cli->world, columns, sizeof(columns) / sizeof(columns[0]));
    for (uint32_t i = 0; i <= spw_run_device_count(session->run); i++) {
        struct spw_utilization_times times;
        struct spw_device_stats stats;
        spw_utilization_times(session->usage, i, &times);
        spw_run_device_stats(session->run, i, &stats);
        cli_table_add(&table, "%s", stats.name);
        add_share(&table, times.busy_ns, stats.wall_ns);
        add_share(&table, times.useful_ns, stats.wall_ns);
        add_share(&table, times.waiting_copy_ns, stats.wall_ns);
        add_share(&table, times.waiting_norm_ns, stats.wall_ns);
        add_share(&table, times.no_work_ns, stats.wall_ns);
        add_share(&table, times.tail_ns, stats.wall_ns);
        cli_table_add(&table, "%" PRIu64, stats.units);
        cli_table_add(&table, "%s", spw_format_bytes(stats.bytes_in, text));
        cli_table_add(&table, "%s", spw_format_bytes(stats.bytes_out, text));
        cli_table_add(&table, "%s", spw_format_bytes(stats.peak_bytes, text));
    }
    cli_table_print(&table, ROWS_MAX, cli_output_columns(), out);
    cli_table_deinit(&table);
}

static void print_people(const struct session *session, struct spw_text *out)
{
    struct spw_prediction total;
    char machine[SPW_MACHINE_TEXT_MAX], a[32], b[32];
    spw_prediction_fill(session->sweep, session->run, session->usage, &total);
    spw_machine_print(spw_run_machine(session->run), machine);
    print_trials(session, out);
    spw_text_add(out, "\n");
    print_devices(session, out);
    spw_text_add(out, "%s on %s, policy %s: devices busy %.1f %%, useful %.1f %%",
                 spw_format_time((uint64_t)(total.makespan_s * 1e9), a), machine,
                 spw_policy_names[session->spec->policy.name], 100 * total.busy,
                 100 * total.useful);
    spw_text_add(out, "; %s in device memory, %s in homes at most",
                 spw_format_bytes(total.device_peak_bytes, a),
                 spw_format_bytes(total.home_peak_bytes, b));
    if (!isnan(total.joules)) {
        spw_text_add(out, "; %.3g kWh", total.joules / 3.6e6);
    }
    if (!isnan(total.dollars)) {
        spw_text_add(out, "; $%.2f", total.dollars);
    }
    spw_text_add(out, "\n");
}

static bool report(const struct session *session)
{
    struct spw_text text;
    spw_text_init(&text, session->cli->world);
    if (session->cli->arguments.json) {
        spw_prediction_print(session->sweep, session->run, session->usage, session->begun_ns,
                             &text);
    } else {
        print_people(session, &text);
    }
    const bool printed = cli_print_text(session->cli, &text, stdout);
    spw_text_deinit(&text);
    return printed;
}

static void end(struct session *session)
{
    struct spw_error ignored = {0}; /* the first failure has been reported by now */
    (void)spw_trace_close(session->trace, &ignored);
    spw_utilization_destroy(session->usage);
    spw_run_destroy(session->run);
    cli_interrupt_end(&session->interrupt);
    spw_sweep_close(session->sweep);
    spw_spec_destroy(session->spec);
}

int cli_simulate(const struct cli *cli)
{
    struct spw_error error = {0};
    struct session session = {.cli = cli};
    int code = CLI_DONE;
    if (prepare(&session, &error) != SPW_OK || simulate(&session, &error) != SPW_OK) {
        code = cli_fail(cli, &error);
    } else if (!report(&session)) {
        code = CLI_FAULT;
    }
    end(&session);
    return code;
}
