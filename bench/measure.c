/* measure.c — see measure.h. */
#include "measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void bench_fail(const char *what, const struct spw_error *error)
{
    (void)fprintf(stderr, "bench: %s failed: %s\n", what, error != NULL ? error->what : "");
    exit(1);
}

/* ---- samples ---- */

void bench_sample(struct bench_samples *samples, double value)
{
    if (samples->count == BENCH_SAMPLES_MAX) {
        bench_fail("a sample too many", NULL);
    }
    samples->values[samples->count++] = value;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct bench_samples sorted(const struct bench_samples *samples)
{
    struct bench_samples copy = *samples;
    qsort(copy.values, (size_t)copy.count, sizeof copy.values[0], compare);
    return copy;
}

double bench_median(const struct bench_samples *samples)
{
    const struct bench_samples s = sorted(samples);
    if (s.count == 0) {
        return NAN;
    }
    return s.count % 2 != 0 ? s.values[s.count / 2]
                            : 0.5 * (s.values[s.count / 2 - 1] + s.values[s.count / 2]);
}

double bench_min(const struct bench_samples *samples)
{
    return samples->count == 0 ? NAN : sorted(samples).values[0];
}

double bench_max(const struct bench_samples *samples)
{
    return samples->count == 0 ? NAN : sorted(samples).values[samples->count - 1];
}

/* ---- options ---- */

static int positive(const char *text)
{
    char *end;
    const long value = strtol(text, &end, 10);
    return *end == '\0' && value > 0 && value < 1000000 ? (int)value : 0;
}

static bool read_option(struct bench_options *options, const char *name, const char *value)
{
    const struct {
        const char *name;
        int *number;
        const char **text;
    } known[] = {
        {"--rounds", &options->rounds, NULL},   {"--steps", &options->steps, NULL},
        {"--threads", &options->threads, NULL}, {"--model", NULL, &options->model},
        {"--csv", NULL, &options->csv},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(name, known[i].name) == 0) {
            if (known[i].text != NULL) {
                *known[i].text = value;
                return true;
            }
            return (*known[i].number = positive(value)) > 0;
        }
    }
    return false;
}

struct bench_options bench_options_read(int argc, char **argv)
{
    struct bench_options options = {0};
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || !read_option(&options, argv[i], argv[i + 1])) {
            (void)fprintf(stderr,
                          "usage: %s [--rounds N] [--steps N] [--threads N] [--model NAME] "
                          "[--csv FOLDER]\n",
                          argv[0]);
            exit(2);
        }
    }
    if (options.rounds > BENCH_SAMPLES_MAX) {
        options.rounds = BENCH_SAMPLES_MAX;
    }
    return options;
}

bool bench_wants(const struct bench_options *options, const char *model)
{
    return options->model == NULL || strcmp(options->model, model) == 0;
}

/* ---- reports ---- */

struct bench_report bench_report_open(const struct bench_options *options, const char *name,
                                      const char *title)
{
    struct bench_report report = {0};
    if (options->csv != NULL) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s.csv", options->csv, name);
        report.csv = fopen(path, "w");
        if (report.csv == NULL) {
            bench_fail(path, NULL);
        }
        (void)fprintf(report.csv, "model,setting,what,median,min,max,samples,target,met\n");
    }
    printf("%s\n%-6s %-34s %-28s %10s  %s\n", title, "model", "setting", "what", "median",
           "min .. max, target");
    return report;
}

void bench_report_row(struct bench_report *report, const char *model, const char *setting,
                      const char *what, const struct bench_samples *samples,
                      enum bench_target target, double bound)
{
    const double median = bench_median(samples);
    const bool met = target == BENCH_AT_LEAST ? median >= bound : median <= bound;
    const char *const sign = target == BENCH_AT_LEAST ? ">=" : "<=";
    char goal[64] = "";
    if (target != BENCH_NO_TARGET) {
        (void)snprintf(goal, sizeof goal, "%s %g", sign, bound);
        report->missed += !met;
    }
    printf("%-6s %-34s %-28s %10.4g  %.4g .. %.4g%s%s%s\n", model, setting, what, median,
           bench_min(samples), bench_max(samples), goal[0] != '\0' ? ", " : "", goal,
           target == BENCH_NO_TARGET ? ""
           : met                     ? ": met"
                                     : ": MISSED");
    (void)fflush(stdout);
    if (report->csv != NULL) {
        (void)fprintf(report->csv, "%s,%s,%s,%.6g,%.6g,%.6g,%d,%s,%s\n", model, setting, what,
                      median, bench_min(samples), bench_max(samples), samples->count, goal,
                      target == BENCH_NO_TARGET ? ""
                      : met                     ? "yes"
                                                : "no");
        (void)fflush(report->csv);
    }
}

void bench_report_value(struct bench_report *report, const char *model, const char *setting,
                        const char *what, double value)
{
    const struct bench_samples one = {.values = {value}, .count = 1};
    bench_report_row(report, model, setting, what, &one, BENCH_NO_TARGET, 0);
}

int bench_report_close(struct bench_report *report)
{
    if (report->missed > 0) {
        printf("%d of the targets missed\n", report->missed);
    }
    printf("\n");
    return report->csv != NULL && fclose(report->csv) != 0;
}
