/* bench_pace.c — how near four jobs come to what copies and compute alone would take.
 *
 * Devices are modelled (`pace=model`): kernels and copies take the time of a model, not of this
 * machine, so overlap shows also where cores are few. The bound is max(compute, copies in, copies
 * out): modelled sums of what the run really did, an equal share for each device. The link's speed
 * is chosen so that copies take 0.8, 1.0 and 1.25 times as long as compute, which is where overlap
 * is hardest. What is timed includes the first loads and the last updates. */
#include "jobs.h"
#include "measure.h"

enum { ROUNDS = 5, SETTINGS = 7, PROBES = 4 };

static const struct setting {
    const char *model;
    uint32_t devices;
    double copies_to_compute;
} SETTINGS_OF[SETTINGS] = {
    {"pgpt", 1, 0.5}, {"pgpt", 1, 0.8}, {"pgpt", 1, 1.0}, {"pgpt", 1, 1.25},
    {"pgpt", 1, 2.0}, {"pgpt", 2, 1.0}, {"pmlp", 1, 1.0},
};

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static struct jobs_config config_of(const struct bench_model *model,
                                    const struct bench_options *options, uint32_t devices,
                                    uint64_t link)
{
    return (struct jobs_config){
        .jobs = 4,
        .devices = devices,
        .threads = 1,
        .mem_bytes = model->state_bytes / 8 / 4096 * 4096,
        .link_bytes_per_s = link,
        .steps = options->steps > 0 ? (uint64_t)options->steps : 4,
        .pace_model = true,
        .keep = 0, /* else the plan would depend on the link */
    };
}

static double copied(const struct jobs_result *result)
{
    return larger((double)result->total.bytes_in, (double)result->total.bytes_out);
}

/* The link with which the busier direction takes `ratio` times as long as compute. The plan hangs
 * on the link, and so do the bytes: so it is tried until it agrees with itself. */
static uint64_t choose_link(const struct bench_model *model, const struct bench_options *options,
                            uint32_t devices, double ratio)
{
    uint64_t link = SPW_MACHINE_PACE_LINK_BYTES_PER_S;
    for (int i = 0; i < PROBES; i++) {
        struct jobs_config config = config_of(model, options, devices, link);
        config.steps = 1;
        const struct jobs_result probe = jobs_run(model, &config);
        const double compute_s = (double)probe.total.compute_ns / 1e9;
        link = (uint64_t)(copied(&probe) / (ratio * compute_s));
    }
    return link;
}

static void measure(struct bench_report *report, const struct bench_model *model,
                    const struct bench_options *options, const struct setting *it)
{
    const uint32_t devices = it->devices;
    const double ratio = it->copies_to_compute;
    const int rounds = options->rounds > 0 ? options->rounds : ROUNDS;
    const uint64_t link = choose_link(model, options, devices, ratio);
    const struct jobs_config config = config_of(model, options, devices, link);
    struct bench_samples against = {0}, busy = {0}, copies = {0};
    char setting[64];
    for (int round = 0; round < rounds; round++) {
        const struct jobs_result result = jobs_run(model, &config);
        const double compute_s = (double)result.total.compute_ns / 1e9 / devices;
        const double copies_s = copied(&result) / (double)link / devices;
        bench_sample(&against, result.seconds / larger(compute_s, copies_s));
        bench_sample(&busy, 100 * compute_s / result.seconds);
        bench_sample(&copies, 100 * copies_s / result.seconds);
    }
    (void)snprintf(setting, sizeof setting, "4 jobs, %u device%s, copies %.3gx", devices,
                   devices > 1 ? "s" : "", ratio);
    bench_report_row(report, model->name, setting, "time / max(compute, copies)", &against,
                     BENCH_AT_MOST, 1.05);
    bench_report_row(report, model->name, setting, "compute busy, %", &busy, BENCH_NO_TARGET, 0);
    bench_report_row(report, model->name, setting, "busier direction busy, %", &copies,
                     BENCH_NO_TARGET, 0);
}

int main(int argc, char **argv)
{
    const struct bench_options options = bench_options_read(argc, argv);
    struct bench_report report =
        bench_report_open(&options, "pace", "Modelled devices with an eighth of the state");
    for (int i = 0; i < SETTINGS; i++) {
        if (bench_wants(&options, SETTINGS_OF[i].model)) {
            struct bench_model model;
            bench_model_init(&model, SETTINGS_OF[i].model);
            measure(&report, &model, &options, &SETTINGS_OF[i]);
            bench_model_deinit(&model);
        }
    }
    return bench_report_close(&report);
}
