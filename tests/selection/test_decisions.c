/* test_decisions.c — logs of decisions, written and read back. */
#include "fixture.h"

#include "selection/decisions.h"
#include "tests/support/temporary.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct spw_decision decisions[] = {
    {.sequence = 0, .device = 0, .job = 0, .kind = SPW_UNIT_FORWARD, .step = 1, .micro_batches = 4},
    {.sequence = 1,
     .device = 1,
     .job = 1,
     .group = 3,
     .kind = SPW_UNIT_BACKWARD,
     .shard = 2,
     .step = 1,
     .first_micro_batch = 4,
     .micro_batches = 4},
    {.sequence = 2, .device = 2, .job = 1, .kind = SPW_UNIT_UPDATE, .shard = 7, .step = 1},
    {.sequence = 3, .device = 2, .job = 0, .kind = SPW_UNIT_REDUCE, .shard = 1, .step = 9},
    {.sequence = 4, .device = 1, .job = 0, .kind = SPW_UNIT_EVAL, .shard = 1, .step = 9},
};
#define DECISIONS (sizeof(decisions) / sizeof(decisions[0]))

static struct spw_temporary temporary;
static struct spw_spec *spec;
static struct spw_trials *trials;
static char path[512];

static void begin(void)
{
    spw_temporary_init(&temporary);
    spw_temporary_path(&temporary, "decisions.log", path);
    spec = spec_of(SPEC_TEXT "search: {parameters: {seed: [1, 2]}}\n");
    cr_assert(spw_trials_create(spw_world_system(), spec, NULL, &trials) == SPW_OK, "trials");
}

static void end(void)
{
    spw_trials_destroy(trials);
    spw_spec_destroy(spec);
    spw_temporary_deinit(&temporary);
}

TestSuite(decisions, .init = begin, .fini = end);

Test(decisions, a_log_reads_back_as_it_was)
{
    struct spw_lines lines;
    struct spw_error error = {0};
    cr_assert(spw_lines_open(&lines, spw_world_system(), path, &error) == SPW_OK, "%s", error.what);
    spw_decisions_begin(&lines);
    for (size_t i = 0; i < DECISIONS; i++) {
        spw_decisions_add(&lines, &decisions[i], 2, trials->items[decisions[i].job].id);
    }
    cr_assert(spw_lines_close(&lines, false, &error) == SPW_OK, "%s", error.what);

    struct spw_decision *read = NULL;
    uint64_t count = 0;
    cr_assert(spw_decisions_read(spw_world_system(), path, trials, 2, &error, &read, &count) ==
                  SPW_OK,
              "%s", error.what);
    cr_assert(count == DECISIONS, "%d decisions", (int)count);
    for (size_t i = 0; i < DECISIONS; i++) {
        const struct spw_decision *a = &decisions[i], *b = &read[i];
        cr_assert(a->sequence == b->sequence && a->device == b->device && a->job == b->job &&
                      a->group == b->group && a->kind == b->kind && a->shard == b->shard &&
                      a->step == b->step && a->first_micro_batch == b->first_micro_batch &&
                      a->micro_batches == b->micro_batches,
                  "decision %d differs", (int)i);
    }
    spw_release(spw_world_system(), read);
}

Test(decisions, bad_logs_are_refused_with_their_line)
{
#define HEAD "# spillway decisions 1\n"
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"", ":1: \"\": is empty"},
        {"hello\n", ":1: \"hello\": does not begin with"},
        {HEAD "0 0 small-1 0 forward 0 1 0\n", ":2: \"0\": fewer than nine words"},
        {HEAD "0 0 small-1 0 forward 0 1 0 4 5\n", ":2: \"5\": more than nine words"},
        {HEAD "0 2 small-1 0 forward 0 1 0 4\n", ":2: \"2\": not a number in range"},
        {HEAD "0 -1 small-1 0 forward 0 1 0 4\n", ":2: \"-1\": not a number"},
        {HEAD "0 0 small-3 0 forward 0 1 0 4\n", ":2: \"small-3\": the spec has no such trial"},
        {HEAD "0 0 small-1 0 sideways 0 1 0 4\n", ":2: \"sideways\": not a kind"},
        {HEAD "0 0 small-1 0 forward 0 1 0 99999999999999999999\n", ":2: \"99999999999999999999\""},
        {HEAD "0 0 small-1 0 forward 0 1 0 4", ":2: \"0 0 small-1 0 forward 0 1 0 4\": the last"},
    };
#undef HEAD
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct spw_error error = {0};
        struct spw_decision *read = NULL;
        uint64_t count = 0;
        spw_temporary_write(&temporary, "decisions.log", cases[i].text, strlen(cases[i].text));
        cr_assert(spw_decisions_read(spw_world_system(), path, trials, 2, &error, &read, &count) ==
                      SPW_ERR_USAGE,
                  "case %d", (int)i);
        cr_assert(strstr(error.what, cases[i].words) != NULL, "%s", error.what);
    }
}
