/* test_schedule_lr.c — learning rates at the places where the formulas bend. */
#include "runtime/run.h"

#include <criterion/criterion.h>
#include <math.h>

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-12 * fmax(fabs(a), fabs(b));
}

Test(schedule_lr, warm_up_is_linear_and_ends_at_lr)
{
    const struct spw_schedule_config constant = {.name = SPW_LR_CONSTANT, .warmup_steps = 4};
    for (uint64_t step = 1; step <= 4; step++) {
        cr_assert(near(spw_schedule_lr(&constant, 0.8, step, 100), 0.2 * (double)step));
    }
    cr_assert(near(spw_schedule_lr(&constant, 0.8, 100, 100), 0.8));
}

Test(schedule_lr, linear_and_cosine_reach_their_final_fraction_at_the_last_step)
{
    const struct spw_schedule_config linear = {
        .name = SPW_LR_LINEAR, .warmup_steps = 10, .final = 0.1};
    const struct spw_schedule_config cosine = {
        .name = SPW_LR_COSINE, .warmup_steps = 10, .final = 0.1};
    cr_assert(near(spw_schedule_lr(&linear, 1.0, 11, 111), 1.0));
    cr_assert(near(spw_schedule_lr(&linear, 1.0, 61, 111), 0.55));
    cr_assert(near(spw_schedule_lr(&linear, 1.0, 111, 111), 0.1));
    cr_assert(near(spw_schedule_lr(&cosine, 1.0, 11, 111), 1.0));
    cr_assert(near(spw_schedule_lr(&cosine, 1.0, 61, 111), 0.55));
    cr_assert(
        near(spw_schedule_lr(&cosine, 1.0, 36, 111), 0.1 + 0.9 * 0.5 * (1 + cos(acos(-1) / 4))));
    cr_assert(near(spw_schedule_lr(&cosine, 1.0, 111, 111), 0.1));
}

Test(schedule_lr, wsd_is_flat_then_falls_over_its_decay_steps)
{
    const struct spw_schedule_config wsd = {
        .name = SPW_LR_WSD, .warmup_steps = 5, .decay_steps = 20, .final = 0.0};
    cr_assert(near(spw_schedule_lr(&wsd, 1.0, 6, 100), 1.0));
    cr_assert(near(spw_schedule_lr(&wsd, 1.0, 80, 100), 1.0));
    cr_assert(near(spw_schedule_lr(&wsd, 1.0, 90, 100), 0.5));
    cr_assert(fabs(spw_schedule_lr(&wsd, 1.0, 100, 100)) < 1e-15);
}

Test(schedule_lr, runs_shorter_than_the_warm_up_stay_in_it)
{
    const struct spw_schedule_config cosine = {.name = SPW_LR_COSINE, .warmup_steps = 10};
    cr_assert(near(spw_schedule_lr(&cosine, 1.0, 3, 3), 0.3));
    const struct spw_schedule_config one = {.name = SPW_LR_LINEAR};
    cr_assert(near(spw_schedule_lr(&one, 1.0, 1, 1), 1.0));
}
