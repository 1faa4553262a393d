/* bench_spill.c — how much of the in-memory speed is left when a device holds an eighth of the
 * training state.
 *
 * Reference: the same plan's programs run in memory (in_memory.h), so with the same recomputation,
 * by the same number of compute threads; of its two orders the faster one counts. Spilled: one job,
 * and four interleaved jobs, on one device; also with nothing loaded ahead, and with UPDATE on the
 * device instead of the host cores. A ratio is in-memory time per step / spilled time per step of
 * one round; all settings take turns within a round. */
#include "in_memory.h"
#include "jobs.h"
#include "measure.h"
#include <stdlib.h>

enum { ROUNDS = 5, SETTINGS = 5 };

static const struct setting {
    const char *name;
    uint32_t jobs;
    bool no_prefetch, on_device;
    double at_least;
} SETTINGS_OF[SETTINGS] = {
    {"1 job", 1, false, false, 0.80},
    {"4 jobs", 4, false, false, 0.90},
    {"1 job, nothing loaded ahead", 1, true, false, 0},
    {"4 jobs, nothing loaded ahead", 4, true, false, 0},
    {"4 jobs, updates on the device", 4, false, true, 0},
};

struct series {
    struct bench_samples memory; /* seconds per step, the faster order's */
    struct bench_samples orders[2];
    struct bench_samples spilled[SETTINGS]; /* seconds per step of one job's share */
    struct bench_samples ratios[SETTINGS];
    struct jobs_result last[SETTINGS];
};

static struct jobs_config config_of(const struct bench_model *model,
                                    const struct bench_options *options,
                                    const struct setting *setting)
{
    return (struct jobs_config){
        .jobs = setting->jobs,
        .devices = 1,
        .threads = options->threads > 0 ? (uint32_t)options->threads : 1,
        .mem_bytes = model->state_bytes / 8 / 4096 * 4096,
        .steps = options->steps > 0 ? (uint64_t)options->steps : 4,
        .no_prefetch = setting->no_prefetch,
        .on_device = setting->on_device,
        .keep = -1,
    };
}

/* Seconds per step in memory, one step to warm up. Demands the runtime's bits. */
static double in_memory_once(const struct bench_model *model, const struct spw_plan *plan,
                             const struct jobs_config *config, enum in_memory_order order,
                             const struct jobs_result *spilled)
{
    struct spw_job_config job = model->job;
    job.max_steps = config->steps;
    struct in_memory *it = in_memory_create(&job, plan, config->threads, order);
    const struct spw_step_result first = in_memory_step(it);
    if (spilled != NULL && first.loss != spilled->first_loss) {
        bench_fail("the spilled run has another loss than the one in memory", NULL);
    }
    const double seconds = in_memory_run(it, config->steps) / (double)config->steps;
    in_memory_destroy(it);
    return seconds;
}

static void one_round(const struct bench_model *model, const struct bench_options *options,
                      const struct spw_plan *plan, struct series *series)
{
    const struct jobs_config base = config_of(model, options, &SETTINGS_OF[0]);
    for (int s = 0; s < SETTINGS; s++) {
        const struct jobs_config config = config_of(model, options, &SETTINGS_OF[s]);
        series->last[s] = jobs_run(model, &config);
        bench_sample(&series->spilled[s],
                     series->last[s].seconds / (double)(config.steps * config.jobs));
    }
    double best = 0;
    for (int order = 0; order < 2; order++) {
        const double seconds =
            in_memory_once(model, plan, &base, (enum in_memory_order)order, &series->last[0]);
        bench_sample(&series->orders[order], seconds);
        best = order == 0 || seconds < best ? seconds : best;
    }
    bench_sample(&series->memory, best);
    for (int s = 0; s < SETTINGS; s++) {
        const int round = series->spilled[s].count - 1;
        bench_sample(&series->ratios[s], best / series->spilled[s].values[round]);
    }
}

static void print_model(struct bench_report *report, const struct bench_model *model,
                        const struct series *series)
{
    const double mib = 1048576.0;
    const struct jobs_result *one = &series->last[0];
    bench_report_value(report, model->name, "", "parameters, millions",
                       (double)model->graph->parameter_count / 1e6);
    bench_report_value(report, model->name, "", "training state, MiB",
                       (double)model->state_bytes / mib);
    bench_report_value(report, model->name, "", "device memory, MiB",
                       (double)one->devices[0].region_bytes / mib);
    bench_report_value(report, model->name, "", "shards", (double)one->shards);
    bench_report_row(report, model->name, "in memory, by shard", "seconds per step",
                     &series->orders[0], BENCH_NO_TARGET, 0);
    bench_report_row(report, model->name, "in memory, by micro-batch", "seconds per step",
                     &series->orders[1], BENCH_NO_TARGET, 0);
    for (int s = 0; s < SETTINGS; s++) {
        const struct setting *setting = &SETTINGS_OF[s];
        const struct jobs_result *last = &series->last[s];
        const double units = (double)(last->total.units + last->cores_units);
        bench_report_row(report, model->name, setting->name, "seconds per step",
                         &series->spilled[s], BENCH_NO_TARGET, 0);
        bench_report_row(
            report, model->name, setting->name, "speed / in memory", &series->ratios[s],
            setting->at_least > 0 ? BENCH_AT_LEAST : BENCH_NO_TARGET, setting->at_least);
        bench_report_value(report, model->name, setting->name, "device busy, %",
                           100.0 * (double)last->total.compute_ns / 1e9 / last->seconds);
        bench_report_value(report, model->name, setting->name, "waiting for copies, %",
                           100.0 * (double)last->total.waiting_copy_ns / 1e9 / last->seconds);
        bench_report_value(report, model->name, setting->name, "executor per unit, us",
                           (double)last->decide_ns / 1e3 / units);
        bench_report_value(report, model->name, setting->name, "executor of the run, %",
                           100.0 * (double)last->decide_ns / 1e9 / last->seconds);
        bench_report_value(report, model->name, setting->name, "executor's processor time, %",
                           100.0 * (double)last->executor_cpu_ns / 1e9 / last->seconds);
    }
}

int main(int argc, char **argv)
{
    const char *const names[] = {"mlp", "cnn", "gpt"};
    const struct bench_options options = bench_options_read(argc, argv);
    const int rounds = options.rounds > 0 ? options.rounds : ROUNDS;
    struct bench_report report =
        bench_report_open(&options, "spill", "Spilled at an eighth of the training state");
    for (int m = 0; m < 3; m++) {
        if (!bench_wants(&options, names[m])) {
            continue;
        }
        struct bench_model model;
        bench_model_init(&model, names[m]);
        const struct jobs_config config = config_of(&model, &options, &SETTINGS_OF[0]);
        struct spw_plan *plan = jobs_plan(&model, &config);
        struct series *series = calloc(1, sizeof *series);
        for (int round = 0; series != NULL && round < rounds; round++) {
            one_round(&model, &options, plan, series);
        }
        print_model(&report, &model, series);
        free(series);
        spw_plan_destroy(plan);
        bench_model_deinit(&model);
    }
    return bench_report_close(&report);
}
