/* metrics.c — formats steps and evaluations as JSON lines. Tested by
 * tests/selection/test_metrics.c. */
#include "selection/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

const char *spw_metric_text(double value, char out[SPW_METRIC_BYTES])
{
    if (isfinite(value)) {
        (void)snprintf(out, SPW_METRIC_BYTES, "%.9g", value);
    } else {
        (void)snprintf(out, SPW_METRIC_BYTES, "null");
    }
    return out;
}

static const char *nonfinite_mark(bool all_finite)
{
    return all_finite ? "" : ", \"nonfinite\": true";
}

void spw_metrics_step(struct spw_lines *lines, const struct spw_step_result *result)
{
    char loss[SPW_METRIC_BYTES], norm[SPW_METRIC_BYTES], lr[SPW_METRIC_BYTES];
    const bool finite = isfinite(result->loss) && isfinite(result->grad_norm);
    spw_lines_add(lines, "{\"step\": %" PRIu64 ", \"loss\": %s, \"grad_norm\": %s, \"lr\": %s%s}\n",
                  result->step, spw_metric_text(result->loss, loss),
                  spw_metric_text(result->grad_norm, norm), spw_metric_text(result->lr, lr),
                  nonfinite_mark(finite));
}

void spw_metrics_eval(struct spw_lines *lines, const struct spw_eval_result *result, bool is_tokens)
{
    char loss[SPW_METRIC_BYTES], second[SPW_METRIC_BYTES];
    const double value = is_tokens ? exp(result->loss) : result->accuracy;
    const bool finite = isfinite(result->loss) && isfinite(value);
    spw_lines_add(lines, "{\"eval\": true, \"step\": %" PRIu64 ", \"loss\": %s, \"%s\": %s%s}\n",
                  result->step, spw_metric_text(result->loss, loss),
                  is_tokens ? "perplexity" : "accuracy", spw_metric_text(value, second),
                  nonfinite_mark(finite));
}

static double seconds_between(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) * 1e-9 : 0;
}

void spw_timing_step(struct spw_lines *lines, const struct spw_step_result *result,
                     uint64_t start_ns, uint64_t before_ns)
{
    const double seconds = seconds_between(before_ns, result->end_ns);
    const double rate = seconds > 0 ? (double)result->items / seconds : 0;
    spw_lines_add(lines,
                  "{\"step\": %" PRIu64 ", \"time_s\": %.6f, \"step_s\": %.6f, \"items\": %" PRIu64
                  ", \"samples_per_second\": %.6g, \"evictions\": %" PRIu64 "}\n",
                  result->step, seconds_between(start_ns, result->end_ns), seconds, result->items,
                  rate, result->evictions);
}

void spw_timing_eval(struct spw_lines *lines, const struct spw_eval_result *result,
                     uint64_t start_ns)
{
    spw_lines_add(
        lines, "{\"eval\": true, \"step\": %" PRIu64 ", \"time_s\": %.6f, \"rows\": %" PRIu64 "}\n",
        result->step, seconds_between(start_ns, result->end_ns), result->rows);
}
