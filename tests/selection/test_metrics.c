/* test_metrics.c — the lines of metrics.jsonl and timing.jsonl, byte for byte. */
#include "selection/metrics.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Lines that are never written: the buffer is looked at instead. */
static struct spw_lines *open_lines(void)
{
    static struct spw_lines lines;
    static int stand_in;
    lines = (struct spw_lines){.file = (struct spw_file *)(void *)&stand_in};
    return &lines;
}

static const char *written(struct spw_lines *lines)
{
    lines->buffer[lines->used] = '\0';
    return lines->buffer;
}

Test(metrics, a_step_is_one_json_line)
{
    struct spw_lines *lines = open_lines();
    const struct spw_step_result result = {
        .step = 12, .loss = 2.302585093, .grad_norm = 1.0 / 3.0, .lr = 3e-4, .end_ns = 99};
    spw_metrics_step(lines, &result);
    cr_assert(strcmp(written(lines), "{\"step\": 12, \"loss\": 2.30258509, \"grad_norm\": "
                                     "0.333333333, \"lr\": 0.0003}\n") == 0,
              "%s", written(lines));
}

Test(metrics, what_is_not_finite_is_null_with_a_mark)
{
    struct spw_lines *lines = open_lines();
    const struct spw_step_result result = {.step = 1, .loss = NAN, .grad_norm = INFINITY, .lr = 1};
    spw_metrics_step(lines, &result);
    cr_assert(strcmp(written(lines),
                     "{\"step\": 1, \"loss\": null, \"grad_norm\": null, \"lr\": 1, "
                     "\"nonfinite\": true}\n") == 0,
              "%s", written(lines));
}

Test(metrics, evaluations_report_accuracy_or_perplexity)
{
    struct spw_lines *lines = open_lines();
    const struct spw_eval_result result = {.step = 5, .loss = 0.5, .accuracy = 0.875, .rows = 8};
    spw_metrics_eval(lines, &result, false);
    spw_metrics_eval(lines, &result, true);
    cr_assert(
        strcmp(written(lines),
               "{\"eval\": true, \"step\": 5, \"loss\": 0.5, \"accuracy\": 0.875}\n"
               "{\"eval\": true, \"step\": 5, \"loss\": 0.5, \"perplexity\": 1.64872127}\n") == 0,
        "%s", written(lines));
}

Test(metrics, nine_digits_tell_any_two_floats_apart)
{
    char a[SPW_METRIC_BYTES], b[SPW_METRIC_BYTES];
    float value = 0.1f;
    for (int i = 0; i < 100000; i++) {
        const float next = nextafterf(value, 2.0f);
        cr_assert(strcmp(spw_metric_text(value, a), spw_metric_text(next, b)) != 0, "%s", a);
        cr_assert(strtof(a, NULL) == value, "%s", a);
        value = next * 1.00001f;
    }
}

Test(metrics, clocks_go_to_the_other_file)
{
    struct spw_lines *lines = open_lines();
    const struct spw_step_result result = {
        .step = 2, .items = 64, .evictions = 7, .end_ns = 3500000000u};
    spw_timing_step(lines, &result, 1000000000u, 3000000000u);
    cr_assert(strcmp(written(lines), "{\"step\": 2, \"time_s\": 2.500000, \"step_s\": 0.500000, "
                                     "\"items\": 64, \"samples_per_second\": 128, "
                                     "\"evictions\": 7}\n") == 0,
              "%s", written(lines));
}
