/* test_policy.c — policies are pure: a view in, a choice out. */
#include "runtime/schedule/policy.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct spw_candidate MANY[] = {
    {.job = 0, .remaining_ns = 50, .resident_bytes = 9, .ready_since = 7, .shard = 1},
    {.job = 1, .remaining_ns = 90, .resident_bytes = 0, .ready_since = 3, .shard = 0},
    {.job = 2, .remaining_ns = 90, .resident_bytes = 4, .ready_since = 5, .shard = 2},
    {.job = 3, .remaining_ns = 90, .resident_bytes = 4, .ready_since = 1, .shard = 2},
};

static struct spw_view view_of(uint32_t count)
{
    return (struct spw_view){.candidates = MANY, .count = count, .first_unfinished_job = 2};
}

Test(policy, nobody_is_chosen_from_nothing)
{
    for (int name = SPW_POLICY_WEAVE; name <= SPW_POLICY_REPLAY; name++) {
        const struct spw_view view = view_of(0);
        cr_assert(spw_policy((enum spw_policy_name)name)(&view) == -1);
    }
}

Test(policy, lrtf_takes_the_longest_remaining_time_then_resident_bytes_then_the_older_job)
{
    const struct spw_view view = view_of(4);
    cr_assert(spw_policy(SPW_POLICY_LRTF)(&view) == 2);
    const struct spw_view two = view_of(2);
    cr_assert(spw_policy(SPW_POLICY_LRTF)(&two) == 1);
}

Test(policy, weave_is_lrtf_where_copies_never_bind)
{
    for (uint32_t count = 0; count <= 4; count++) {
        const struct spw_view view = view_of(count);
        cr_assert(spw_policy(SPW_POLICY_WEAVE)(&view) == spw_policy(SPW_POLICY_LRTF)(&view));
    }
}

/* Job 0 begins a step and 1 has begun one, going forward; jobs 2 and 3 go back, 3 being nearer to
 * its end; job 4 is too far ahead of the others. */
Test(policy, weave_takes_what_the_queues_lack_and_of_that_the_furthest)
{
    const struct spw_candidate woven[] = {
        {.job = 0, .remaining_ns = 500, .round_ns = 100, .copy_ns = 9, .compute_ns = 5},
        {.job = 1, .remaining_ns = 490, .round_ns = 90, .copy_ns = 9, .compute_ns = 5},
        {.job = 2, .remaining_ns = 470, .round_ns = 70, .copy_ns = 9, .compute_ns = 15},
        {.job = 3, .remaining_ns = 420, .round_ns = 20, .copy_ns = 9, .compute_ns = 15},
        {.job = 4, .remaining_ns = 299, .round_ns = 1, .copy_ns = 9, .compute_ns = 15},
    };
    struct spw_candidate mixed[5];
    for (int i = 0; i < 5; i++) {
        mixed[i] = woven[i];
        mixed[i].step_ns = 100;
        mixed[i].mixed = true;
    }
    struct spw_view view = {.candidates = mixed, .count = 5, .copy_ns = 30, .compute_ns = 20};
    cr_assert(spw_policy(SPW_POLICY_WEAVE)(&view) == 3, "arithmetic after copies");
    view.compute_ns = 40;
    cr_assert(spw_policy(SPW_POLICY_WEAVE)(&view) == 1, "copies after arithmetic");
    view.count = 2;
    view.copy_ns = 50;
    cr_assert(spw_policy(SPW_POLICY_WEAVE)(&view) == 1,
              "with one kind only, the nearest to a turn");
    mixed[1].round_ns = 100;
    cr_assert(spw_policy(SPW_POLICY_WEAVE)(&view) == 0, "of steps not begun, the longest job's");
    mixed[4].remaining_ns = 300;
    view.count = 5;
    cr_assert(spw_policy(SPW_POLICY_WEAVE)(&view) == 4, "two steps ahead is not too far");
}

Test(policy, fifo_takes_what_was_ready_first)
{
    const struct spw_view view = view_of(4);
    cr_assert(spw_policy(SPW_POLICY_FIFO)(&view) == 3);
}

Test(policy, serial_keeps_to_the_first_unfinished_job)
{
    const struct spw_view view = view_of(4);
    cr_assert(spw_policy(SPW_POLICY_SERIAL)(&view) == 2);
    const struct spw_view early = view_of(2);
    cr_assert(spw_policy(SPW_POLICY_SERIAL)(&early) == -1);
}

Test(policy, random_depends_on_seed_and_sequence_and_reaches_everyone)
{
    int hits[4] = {0};
    for (uint64_t i = 0; i < 4000; i++) {
        struct spw_view view = view_of(4);
        view.seed = 3;
        view.sequence = i;
        const int32_t first = spw_policy(SPW_POLICY_RANDOM)(&view);
        cr_assert(spw_policy(SPW_POLICY_RANDOM)(&view) == first);
        cr_assert(first >= 0 && first < 4);
        hits[first]++;
    }
    for (int i = 0; i < 4; i++) {
        cr_assert(hits[i] > 850 && hits[i] < 1150, "%d of 4000", hits[i]);
    }
}

Test(policy, replay_takes_the_expected_unit_or_waits)
{
    const struct spw_decision want = {.job = 2, .shard = 2};
    struct spw_view view = view_of(4);
    view.expected = &want;
    cr_assert(spw_policy(SPW_POLICY_REPLAY)(&view) == 2);
    view.count = 2;
    cr_assert(spw_policy(SPW_POLICY_REPLAY)(&view) == -1);
    view.expected = NULL;
    view.count = 4;
    cr_assert(spw_policy(SPW_POLICY_REPLAY)(&view) == -1);
}

Test(policy, names_round_trip)
{
    for (int name = SPW_POLICY_WEAVE; name <= SPW_POLICY_REPLAY; name++) {
        enum spw_policy_name got;
        cr_assert(spw_policy_parse(spw_policy_names[name], &got) == SPW_OK);
        cr_assert((int)got == name);
    }
    enum spw_policy_name untouched = SPW_POLICY_FIFO;
    cr_assert(spw_policy_parse("lrft", &untouched) == SPW_ERR_NOT_FOUND);
    cr_assert(untouched == SPW_POLICY_FIFO);
}
