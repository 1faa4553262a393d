/* schedule_lr.c — the learning rate as a function of the step. Tested by
 * tests/bits/test_schedule_lr.c.
 */
#include "runtime/run.h"

#include "base/assert.h"
#include <math.h>

static const double PI = 3.14159265358979323846;

double spw_schedule_lr(const struct spw_schedule_config *schedule, double lr, uint64_t step,
                       uint64_t steps)
{
    SPW_ASSERT(step >= 1);
    const uint64_t warmup = schedule->warmup_steps;
    if (step <= warmup) {
        return lr * (double)step / (double)warmup;
    }
    /* `at` in [0, 1] is how far the decay has come: 0 right after the warm-up, 1 at the last step.
     */
    uint64_t begin = warmup + 1;
    if (schedule->name == SPW_LR_WSD) {
        uint64_t decay = schedule->decay_steps != 0 ? schedule->decay_steps : (steps + 9) / 10;
        const uint64_t free_steps = steps > warmup ? steps - warmup : 0;
        decay = decay < free_steps ? decay : free_steps;
        begin = steps - decay;
    }
    const double at = step <= begin || steps <= begin
                          ? 0.0
                          : fmin(1.0, (double)(step - begin) / (double)(steps - begin));
    const double end = schedule->final;
    switch (schedule->name) {
    case SPW_LR_CONSTANT:
        return lr;
    case SPW_LR_LINEAR:
    case SPW_LR_WSD:
        return lr * (1.0 + (end - 1.0) * at);
    case SPW_LR_COSINE:
        return lr * (end + (1.0 - end) * 0.5 * (1.0 + cos(PI * at)));
    }
    SPW_NEVER("a schedule without a formula");
}
