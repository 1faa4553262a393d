/* simulate.c — `spillway simulate`: how long a sweep would take on a machine that is not here.
 * It writes nothing but a trace, so ^C may end it as it ends any program.
 * Tested by tests/cli/test_simulate.py. */
#include "base/status.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/table.h"
#include "runtime/record/trace.h"
#include "selection/machine_file.h"
#include "selection/prediction.h"
#include "selection/summary.h"

#include <inttypes.h>
#include <math.h>

#define ROWS_MAX 60

/* A host of the simulated machine, as the events of its run see it. */
struct host {
    struct spw_utilization *utilization;
    struct spw_trace *trace; /* NULL: not asked for */
};

/* A simulation of the command. */
struct session {
    const struct cli *cli;
    struct spw_spec *spec;
    struct spw_sweep *sweep;
    struct spw_fleet *fleet;
    struct host *hosts;
    struct spw_run_events *events;         /* of each host */
    struct spw_utilization **utilizations; /* likewise, once more */
    uint64_t begun_ns;                     /* of the fleet's clock */
};

/* ---- events ---- */

static void on_step(void *self, struct spw_job *job, const struct spw_step_result *result)
{
    const struct host *host = self;
    (void)result;
    spw_utilization_step(host->utilization, job);
}

static enum spw_status on_state(void *self, struct spw_job *job, enum spw_job_state state,
                                struct spw_error *error)
{
    const struct host *host = self;
    (void)error;
    spw_utilization_state(host->utilization, job, state);
    return SPW_OK;
}

static void on_decision(void *self, const struct spw_decision *decision)
{
    const struct host *host = self;
    spw_utilization_decision(host->utilization, decision);
}

static void on_span(void *self, const struct spw_span *span)
{
    const struct host *host = self;
    spw_utilization_span(host->utilization, span);
    if (host->trace != NULL) {
        spw_trace_span(host->trace, span);
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

static enum spw_status make_hosts(struct session *session, struct spw_error *error)
{
    const struct spw_world *world = session->cli->world;
    const uint32_t count = session->sweep->machine.hosts;
    SPW_TRY(
        spw_allocate(world, count, sizeof(*session->hosts), "the hosts", error, &session->hosts));
    SPW_TRY(
        spw_allocate(world, count, sizeof(*session->events), "the hosts", error, &session->events));
    SPW_TRY(spw_allocate(world, count, sizeof(struct spw_utilization *), "the hosts", error,
                         &session->utilizations));
    for (uint32_t host = 0; host < count; host++) {
        session->events[host] = (struct spw_run_events){
            .self = &session->hosts[host],
            .step = on_step,
            .state = on_state,
            .decision = on_decision,
            .span = on_span,
        };
    }
    return SPW_OK;
}

static enum spw_status watch_hosts(struct session *session, struct spw_error *error)
{
    const struct cli *cli = session->cli;
    const uint32_t count = spw_fleet_hosts(session->fleet);
    for (uint32_t host = 0; host < count; host++) {
        struct spw_run *run = spw_fleet_run(session->fleet, host);
        SPW_TRY(spw_utilization_create(cli->world, run, error, &session->hosts[host].utilization));
        session->utilizations[host] = session->hosts[host].utilization;
    }
    session->begun_ns = spw_run_now_ns(spw_fleet_run(session->fleet, 0));
    if (cli->arguments.trace == NULL) {
        return SPW_OK;
    }
    if (count > 1) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "--trace: traces of several hosts are not served yet; leave it out, or "
                        "simulate one host");
    }
    return spw_trace_create(cli->world, cli->arguments.trace, spw_fleet_run(session->fleet, 0),
                            error, &session->hosts[0].trace);
}

static enum spw_status prepare(struct session *session, struct spw_error *error)
{
    const struct cli *cli = session->cli;
    SPW_TRY(cli_load_spec(cli, error, &session->spec));
    SPW_TRY(spw_sweep_open(cli->world, session->spec, error, &session->sweep));
    SPW_TRY(choose_machine(session, error));
    SPW_TRY(make_hosts(session, error));
    struct spw_run_config config = spw_sweep_config(session->sweep);
    config.model = &session->sweep->model;
    SPW_TRY(spw_fleet_create(cli->world, &config, session->events, error, &session->fleet));
    SPW_TRY(spw_sweep_add_fleet(session->sweep, session->fleet, error));
    return watch_hosts(session, error);
}

static enum spw_status simulate(struct session *session, struct spw_error *error)
{
    const enum spw_status status = spw_fleet_execute(session->fleet, error);
    const enum spw_status closed = spw_trace_close(session->hosts[0].trace, error);
    session->hosts[0].trace = NULL;
    return status != SPW_OK ? status : closed;
}

/* ---- for people ---- */

static const char *time_text(const struct session *session, uint64_t ns, char out[32])
{
    out[0] = '\0';
    return ns >= session->begun_ns ? spw_format_time(ns - session->begun_ns, out) : out;
}

static void print_trials(const struct session *session, struct spw_text *out)
{
    static const struct cli_column columns[] = {
        {"trial", false, true}, {"parameters", true, false}, {"shards", true, false},
        {"steps", true, true},  {"host", true, false},       {"start", true, false},
        {"finish", true, true}, {"state", false, true},
    };
    const struct spw_sweep *sweep = session->sweep;
    struct cli_table table;
    char text[32];
    cli_table_init(&table, sweep->world, columns, sizeof(columns) / sizeof(columns[0]));
    for (uint32_t i = 0; i < sweep->trials->count; i++) {
        uint32_t host = 0;
        const struct spw_job *job = spw_fleet_job(session->fleet, i, &host);
        const uint64_t parameters = (uint64_t)sweep->jobs[i].graph->parameter_count;
        struct spw_job_status status;
        spw_job_status(job, &status);
        cli_table_add(&table, "%s", sweep->jobs[i].id);
        cli_table_add(&table, "%s", spw_format_count(parameters, text));
        cli_table_add(&table, "%d", spw_job_plan(job)->shard_count);
        cli_table_add(&table, "%" PRIu64, status.step);
        cli_table_add(&table, "%u", host);
        cli_table_add(&table, "%s", time_text(session, status.started_ns, text));
        cli_table_add(&table, "%s", time_text(session, status.ended_ns, text));
        cli_table_add(&table, "%s", spw_job_state_name(status.state));
    }
    cli_table_print(&table, ROWS_MAX, cli_output_columns(), out);
    cli_table_deinit(&table);
}

static void add_share(struct cli_table *table, uint64_t part_ns, uint64_t wall_ns)
{
    cli_table_add(table, "%.1f %%", wall_ns > 0 ? 100.0 * (double)part_ns / (double)wall_ns : 0.0);
}

static void add_device(struct cli_table *table, const struct session *session, uint32_t host,
                       uint32_t index)
{
    struct spw_utilization_times times;
    struct spw_device_stats stats;
    char text[32];
    spw_utilization_times(session->utilizations[host], index, &times);
    spw_run_device_stats(spw_fleet_run(session->fleet, host), index, &stats);
    cli_table_add(table, "%s", stats.name);
    add_share(table, times.busy_ns, stats.wall_ns);
    add_share(table, times.useful_ns, stats.wall_ns);
    add_share(table, times.waiting_copy_ns, stats.wall_ns);
    add_share(table, times.waiting_norm_ns, stats.wall_ns);
    add_share(table, times.no_work_ns, stats.wall_ns);
    add_share(table, times.tail_ns, stats.wall_ns);
    cli_table_add(table, "%" PRIu64, stats.units);
    cli_table_add(table, "%s", spw_format_bytes(stats.bytes_in, text));
    cli_table_add(table, "%s", spw_format_bytes(stats.bytes_out, text));
    cli_table_add(table, "%s", spw_format_bytes(stats.peak_bytes, text));
}

/* Host by host, each with its cores as the last. */
static void print_devices(const struct session *session, struct spw_text *out)
{
    static const struct cli_column columns[] = {
        {"device", false, true},     {"busy", true, true},        {"useful", true, true},
        {"waits: copy", true, true}, {"waits: norm", true, true}, {"no work", true, true},
        {"tail", true, true},        {"units", true, false},      {"in", true, false},
        {"out", true, false},        {"peak", true, false},
    };
    struct cli_table table;
    cli_table_init(&table, session->cli->world, columns, sizeof(columns) / sizeof(columns[0]));
    for (uint32_t host = 0; host < spw_fleet_hosts(session->fleet); host++) {
        const uint32_t devices = spw_run_device_count(spw_fleet_run(session->fleet, host));
        for (uint32_t i = 0; i <= devices; i++) {
            add_device(&table, session, host, i);
        }
    }
    cli_table_print(&table, ROWS_MAX, cli_output_columns(), out);
    cli_table_deinit(&table);
}

static struct spw_simulation simulation_of(const struct session *session)
{
    return (struct spw_simulation){
        .sweep = session->sweep,
        .fleet = session->fleet,
        .utilizations = session->utilizations,
        .begun_ns = session->begun_ns,
    };
}

static void print_people(const struct session *session, struct spw_text *out)
{
    const struct spw_simulation simulation = simulation_of(session);
    struct spw_prediction total;
    char machine[SPW_MACHINE_TEXT_MAX], a[32], b[32];
    spw_prediction_fill(&simulation, &total);
    spw_machine_print(spw_fleet_machine(session->fleet), machine);
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
        const struct spw_simulation simulation = simulation_of(session);
        spw_prediction_print(&simulation, &text);
    } else {
        print_people(session, &text);
    }
    const bool printed = cli_print_text(session->cli, &text, stdout);
    spw_text_deinit(&text);
    return printed;
}

static void end(struct session *session)
{
    const struct spw_world *world = session->cli->world;
    const uint32_t hosts = session->fleet != NULL ? spw_fleet_hosts(session->fleet) : 0;
    for (uint32_t host = 0; host < hosts; host++) {
        struct spw_error ignored = {0}; /* the first failure has been reported by now */
        (void)spw_trace_close(session->hosts[host].trace, &ignored);
        spw_utilization_destroy(session->hosts[host].utilization);
    }
    spw_fleet_destroy(session->fleet);
    spw_release(world, session->hosts);
    spw_release(world, session->events);
    spw_release(world, (void *)session->utilizations);
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
