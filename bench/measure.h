/* measure.h — what every benchmark needs: samples with median and spread, one line of a table that
 * also goes to a CSV file, options, and an end when something fails.
 *
 * Not part of the library: benchmarks may print and exit. */
#ifndef SPW_BENCH_MEASURE_H
#define SPW_BENCH_MEASURE_H

#include "base/status.h"
#include <stdio.h>

enum { BENCH_SAMPLES_MAX = 64 };

struct bench_samples {
    double values[BENCH_SAMPLES_MAX];
    int count;
};
void bench_sample(struct bench_samples *samples, double value);
double bench_median(const struct bench_samples *samples); /* NaN of none */
double bench_min(const struct bench_samples *samples);
double bench_max(const struct bench_samples *samples);

/* --rounds N --steps N --threads N --model NAME --csv FOLDER; what is not given is 0 or NULL. Ends
 * the program with 2 and a line of help for anything else. */
struct bench_options {
    int rounds, steps, threads;
    const char *model; /* NULL: all */
    const char *csv;   /* folder, NULL: no file */
};
struct bench_options bench_options_read(int argc, char **argv);
bool bench_wants(const struct bench_options *options, const char *model);

enum bench_target { BENCH_NO_TARGET, BENCH_AT_LEAST, BENCH_AT_MOST };

/* Rows go to the standard output and, if a folder was given, to FOLDER/<name>.csv. */
struct bench_report {
    FILE *csv;
    int missed; /* targets */
};
struct bench_report bench_report_open(const struct bench_options *options, const char *name,
                                      const char *title);
void bench_report_row(struct bench_report *report, const char *model, const char *setting,
                      const char *what, const struct bench_samples *samples,
                      enum bench_target target, double bound);
void bench_report_value(struct bench_report *report, const char *model, const char *setting,
                        const char *what, double value);
/* The program's exit status: 0, also if a target was missed, as machines differ; the rows say it.
 */
int bench_report_close(struct bench_report *report);

/* Ends the program, saying what failed. */
void bench_fail(const char *what, const struct spw_error *error);
#define BENCH_MUST(expression, error)                                                              \
    do {                                                                                           \
        if ((expression) != SPW_OK) {                                                              \
            bench_fail(#expression, (error));                                                      \
        }                                                                                          \
    } while (0)

#endif
