/* prediction.c — see prediction.h. */
#include "selection/prediction.h"

#include "models/json.h"
#include "selection/metrics.h"
#include "selection/summary.h"

#include <inttypes.h>
#include <math.h>

/* A milliwatt for a nanosecond. */
#define JOULES 1e-12
/* A millionth of a dollar an hour, for a nanosecond. */
#define DOLLARS (1e-6 / 3600e9)

static void add_device(const struct spw_run *run, const struct spw_utilization *usage,
                       uint32_t index, struct spw_prediction *out)
{
    struct spw_utilization_times times;
    struct spw_device_stats stats;
    spw_utilization_times(usage, index, &times);
    spw_run_device_stats(run, index, &stats);
    out->busy += (double)times.busy_ns;
    out->useful += (double)times.useful_ns;
    out->waiting_copy += (double)times.waiting_copy_ns;
    out->waiting_norm += (double)times.waiting_norm_ns;
    out->no_work += (double)times.no_work_ns;
    out->tail += (double)times.tail_ns;
    out->units += stats.units;
    out->evictions += stats.evictions;
    out->bytes_in += stats.bytes_in;
    out->bytes_out += stats.bytes_out;
    out->device_peak_bytes = stats.peak_bytes > out->device_peak_bytes ? stats.peak_bytes
                                                                       : out->device_peak_bytes;
}

static void add_costs(const struct spw_simulation *simulation, double wall_ns,
                      struct spw_prediction *out)
{
    const struct spw_machine *machine = spw_fleet_machine(simulation->fleet);
    const struct spw_machine_model *model = &simulation->sweep->model;
    const uint32_t hosts = spw_fleet_hosts(simulation->fleet);
    const uint32_t devices = machine->device_count / hosts;
    double milliwatts_ns = (double)hosts * (double)model->host.mw * wall_ns;
    double price = 0;
    bool has_price = true;
    for (uint32_t i = 0; i < machine->device_count; i++) {
        const struct spw_device_model *device = &model->devices[spw_machine_part_of(machine, i)];
        struct spw_utilization_times times;
        spw_utilization_times(simulation->utilizations[i / devices], i % devices, &times);
        const double busy_ns = (double)times.busy_ns;
        milliwatts_ns += busy_ns * (double)device->busy_mw;
        milliwatts_ns += (wall_ns - busy_ns) * (double)device->idle_mw;
        price += (double)device->microdollars_per_h;
        has_price = has_price && device->microdollars_per_h > 0;
    }
    out->joules = milliwatts_ns > 0 ? milliwatts_ns * JOULES : NAN;
    out->dollars = has_price ? price * wall_ns * DOLLARS : NAN;
}

void spw_prediction_fill(const struct spw_simulation *simulation, struct spw_prediction *out)
{
    const struct spw_fleet *fleet = simulation->fleet;
    uint64_t wall_ns = 0;
    *out = (struct spw_prediction){0};
    for (uint32_t host = 0; host < spw_fleet_hosts(fleet); host++) {
        const struct spw_run *run = spw_fleet_run(fleet, host);
        struct spw_run_stats stats;
        spw_run_stats(run, &stats);
        wall_ns = stats.wall_ns; /* of all: they end together */
        out->home_peak_bytes = stats.home_peak_bytes > out->home_peak_bytes ? stats.home_peak_bytes
                                                                            : out->home_peak_bytes;
        for (uint32_t i = 0; i < spw_run_device_count(run); i++) {
            add_device(run, simulation->utilizations[host], i, out);
        }
    }
    const double all_ns = (double)wall_ns * spw_fleet_machine(fleet)->device_count;
    double *const shares[] = {&out->busy,         &out->useful,  &out->waiting_copy,
                              &out->waiting_norm, &out->no_work, &out->tail};
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        *shares[i] /= all_ns > 0 ? all_ns : 1;
    }
    out->makespan_s = (double)wall_ns * 1e-9;
    add_costs(simulation, (double)wall_ns, out);
}

/* ---- as JSON ---- */

static void add_number(struct spw_text *out, const char *name, double value)
{
    char text[SPW_METRIC_BYTES];
    spw_text_add(out, "\"%s\": %s, ", name, spw_metric_text(value, text));
}

static void print_device(const struct spw_simulation *simulation, uint32_t host, uint32_t index,
                         struct spw_text *out)
{
    const struct spw_run *run = spw_fleet_run(simulation->fleet, host);
    const struct spw_utilization *usage = simulation->utilizations[host];
    struct spw_utilization_times times;
    struct spw_device_stats stats;
    spw_utilization_times(usage, index, &times);
    spw_run_device_stats(run, index, &stats);
    const double wall = stats.wall_ns > 0 ? (double)stats.wall_ns : 1;
    spw_text_add(out, "    {\"name\": \"%s\", \"host\": %u, ", stats.name, host);
    add_number(out, "busy", (double)times.busy_ns / wall);
    add_number(out, "useful", (double)times.useful_ns / wall);
    add_number(out, "waiting_copy", (double)times.waiting_copy_ns / wall);
    add_number(out, "waiting_norm", (double)times.waiting_norm_ns / wall);
    add_number(out, "no_work", (double)times.no_work_ns / wall);
    add_number(out, "tail", (double)times.tail_ns / wall);
    spw_text_add(out,
                 "\"units\": %" PRIu64 ", \"evictions\": %" PRIu64 ", \"bytes_in\": %" PRIu64
                 ", \"bytes_out\": %" PRIu64 ", \"region_bytes\": %" PRIu64
                 ", \"peak_bytes\": %" PRIu64 "}",
                 stats.units, stats.evictions, stats.bytes_in, stats.bytes_out, stats.region_bytes,
                 stats.peak_bytes);
}

static double seconds_after(uint64_t ns, uint64_t begun_ns)
{
    return ns >= begun_ns ? (double)(ns - begun_ns) * 1e-9 : NAN;
}

static void print_trial(const struct spw_simulation *simulation, uint32_t index,
                        struct spw_text *out)
{
    const struct spw_sweep *sweep = simulation->sweep;
    uint32_t host = 0;
    const struct spw_job *job = spw_fleet_job(simulation->fleet, index, &host);
    struct spw_job_status status;
    spw_job_status(job, &status);
    spw_text_add(out,
                 "    {\"id\": \"%s\", \"model\": \"%s\", \"parameters\": %" PRId64
                 ", \"shards\": %d, \"state\": \"%s\", \"steps\": %" PRIu64 ", \"host\": %u, ",
                 sweep->jobs[index].id, sweep->trials->items[index].model.id,
                 sweep->jobs[index].graph->parameter_count, spw_job_plan(job)->shard_count,
                 spw_job_state_name(status.state), status.step, host);
    add_number(out, "start_s", seconds_after(status.started_ns, simulation->begun_ns));
    add_number(out, "finish_s", seconds_after(status.ended_ns, simulation->begun_ns));
    spw_text_add(out, "\"home_bytes\": %" PRIu64 "}", spw_job_plan(job)->totals.home_bytes);
}

static void print_totals(const struct spw_prediction *total, struct spw_text *out)
{
    add_number(out, "makespan_s", total->makespan_s);
    add_number(out, "busy", total->busy);
    add_number(out, "useful", total->useful);
    add_number(out, "waiting_copy", total->waiting_copy);
    add_number(out, "waiting_norm", total->waiting_norm);
    add_number(out, "no_work", total->no_work);
    add_number(out, "tail", total->tail);
    add_number(out, "joules", total->joules);
    add_number(out, "dollars", total->dollars);
    spw_text_add(out,
                 "\"units\": %" PRIu64 ", \"evictions\": %" PRIu64 ", \"bytes_in\": %" PRIu64
                 ", \"bytes_out\": %" PRIu64 ", \"device_peak_bytes\": %" PRIu64
                 ", \"home_peak_bytes\": %" PRIu64,
                 total->units, total->evictions, total->bytes_in, total->bytes_out,
                 total->device_peak_bytes, total->home_peak_bytes);
}

/* Host by host, each with its cores as the last. */
static void print_devices(const struct spw_simulation *simulation, struct spw_text *out)
{
    const uint32_t hosts = spw_fleet_hosts(simulation->fleet);
    for (uint32_t host = 0; host < hosts; host++) {
        const uint32_t devices = spw_run_device_count(spw_fleet_run(simulation->fleet, host));
        for (uint32_t i = 0; i <= devices; i++) {
            print_device(simulation, host, i, out);
            spw_text_add(out, "%s\n", host + 1 < hosts || i < devices ? "," : "");
        }
    }
}

void spw_prediction_print(const struct spw_simulation *simulation, struct spw_text *out)
{
    const struct spw_spec *spec = simulation->sweep->spec;
    const uint32_t trials = simulation->sweep->trials->count;
    struct spw_prediction total;
    char machine[SPW_MACHINE_TEXT_MAX];
    spw_prediction_fill(simulation, &total);
    spw_machine_print(spw_fleet_machine(simulation->fleet), machine);
    spw_text_add(out,
                 "{\n  \"schema\": 1,\n  \"name\": \"%s\", \"machine\": \"%s\", \"policy\": "
                 "\"%s\",\n  ",
                 spec->name, machine, spw_policy_names[spec->policy.name]);
    print_totals(&total, out);
    spw_text_add(out, ",\n  \"trials\": [\n");
    for (uint32_t i = 0; i < trials; i++) {
        print_trial(simulation, i, out);
        spw_text_add(out, "%s\n", i + 1 < trials ? "," : "");
    }
    spw_text_add(out, "  ],\n  \"devices\": [\n");
    print_devices(simulation, out);
    spw_text_add(out, "  ]\n}\n");
}
