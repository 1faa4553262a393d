/* bench_sched.c — the executor's own time per unit: choosing, reserving, evicting, enqueuing, and
 * taking finished commands, with 1, 8 and 64 jobs of a model so small that little else happens. */
#include "jobs.h"
#include "measure.h"

enum { ROUNDS = 5, COUNTS = 3 };

static const uint32_t JOBS[COUNTS] = {1, 8, 64};

int main(int argc, char **argv)
{
    const struct bench_options options = bench_options_read(argc, argv);
    const int rounds = options.rounds > 0 ? options.rounds : ROUNDS;
    struct bench_report report =
        bench_report_open(&options, "sched",
                          "The executor's own time, two devices at the least "
                          "memory and half as much again");
    struct bench_model model;
    struct bench_samples per_unit[COUNTS] = {0}, cpu_per_unit[COUNTS] = {0};
    uint64_t units[COUNTS] = {0}, evictions[COUNTS] = {0};
    bench_model_init(&model, "tiny");
    struct jobs_config config = {.devices = 2,
                                 .threads = 1,
                                 .mem_bytes = UINT64_C(64) << 20,
                                 .steps = options.steps > 0 ? (uint64_t)options.steps : 20,
                                 .keep = -1};
    config.mem_bytes = jobs_least_memory(&model, &config) * 3 / 2;
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < COUNTS; i++) {
            config.jobs = JOBS[i];
            const struct jobs_result result = jobs_run(&model, &config);
            units[i] = result.total.units + result.cores_units;
            evictions[i] = result.total.evictions;
            bench_sample(&per_unit[i], (double)result.decide_ns / 1e3 / (double)units[i]);
            bench_sample(&cpu_per_unit[i], (double)result.executor_cpu_ns / 1e3 / (double)units[i]);
        }
    }
    for (int i = 0; i < COUNTS; i++) {
        char setting[32];
        (void)snprintf(setting, sizeof setting, "%u job%s", JOBS[i], JOBS[i] > 1 ? "s" : "");
        bench_report_row(&report, model.name, setting, "microseconds per unit", &per_unit[i],
                         BENCH_AT_MOST, 50);
        bench_report_row(&report, model.name, setting, "processor time, microseconds",
                         &cpu_per_unit[i], BENCH_NO_TARGET, 0);
        bench_report_value(&report, model.name, setting, "units", (double)units[i]);
        bench_report_value(&report, model.name, setting, "evictions", (double)evictions[i]);
    }
    bench_model_deinit(&model);
    return bench_report_close(&report);
}
