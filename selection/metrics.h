/* metrics.h — the lines of metrics.jsonl and timing.jsonl.
 *
 * metrics.jsonl holds nothing of clock or machine, so that equal trainings write equal files; nine
 * significant digits tell any two fp32 numbers apart. Tested by tests/selection/test_metrics.c. */
#ifndef SPW_SELECTION_METRICS_H
#define SPW_SELECTION_METRICS_H

#include "runtime/run.h"
#include "selection/lines.h"

/* Room for one formatted number. */
#define SPW_METRIC_BYTES 32
/* Nine significant digits, or "null" for what is not finite; `out` is the return value. */
const char *spw_metric_text(double value, char out[SPW_METRIC_BYTES]);

void spw_metrics_step(struct spw_lines *lines, const struct spw_step_result *result);
/* Token sets report perplexity, others accuracy. */
void spw_metrics_eval(struct spw_lines *lines, const struct spw_eval_result *result,
                      bool is_tokens);

/* `start_ns` is the run's, `before_ns` the end of the step before. */
void spw_timing_step(struct spw_lines *lines, const struct spw_step_result *result,
                     uint64_t start_ns, uint64_t before_ns);
void spw_timing_eval(struct spw_lines *lines, const struct spw_eval_result *result,
                     uint64_t start_ns);

#endif
