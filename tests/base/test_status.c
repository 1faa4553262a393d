/* Tests of base/status.c and base/assert.c. */
#include "base/assert.h"
#include "base/status.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

Test(status, names_and_texts_follow_the_map)
{
    cr_assert_str_eq(spw_status_name(SPW_OK), "OK");
    cr_assert_str_eq(spw_status_name(SPW_ERR_IO), "ERR_IO");
    cr_assert_str_eq(spw_status_text(SPW_ERR_CANCELLED), "cancelled");
    cr_assert_str_eq(spw_status_name(SPW_ERR_INTERNAL), "ERR_INTERNAL");
}

Test(status, a_value_out_of_range_has_a_name_too)
{
    cr_assert_str_eq(spw_status_name((enum spw_status)999), "UNKNOWN");
    cr_assert_str_eq(spw_status_text((enum spw_status) - 1), "an unknown status");
}

Test(status, records_what_and_where)
{
    struct spw_error error = {0};
    const int line = __LINE__ + 1;
    const enum spw_status status = SPW_FAIL_NATIVE(&error, SPW_ERR_IO, 5, "copy %d of %s", 3, "x");
    cr_assert(status == SPW_ERR_IO);
    cr_assert(error.status == SPW_ERR_IO);
    cr_assert(error.native == 5);
    cr_assert(error.line == line, "line %d, not %d", error.line, line);
    cr_assert(strstr(error.file, "test_status.c") != NULL);
    cr_assert_str_eq(error.what, "copy 3 of x");
}

Test(status, the_first_failure_wins)
{
    struct spw_error error = {0};
    cr_assert(SPW_FAIL(&error, SPW_ERR_IO, "first") == SPW_ERR_IO);
    cr_assert(SPW_FAIL(&error, SPW_ERR_BUSY, "second") == SPW_ERR_BUSY);
    cr_assert(error.status == SPW_ERR_IO);
    cr_assert_str_eq(error.what, "first");

    spw_error_clear(&error);
    cr_assert(error.status == SPW_OK);
    (void)SPW_FAIL(&error, SPW_ERR_BUSY, "third");
    cr_assert_str_eq(error.what, "third");
}

Test(status, no_record_is_no_obstacle)
{
    cr_assert(SPW_FAIL(NULL, SPW_ERR_IO, "nobody listens") == SPW_ERR_IO);
    spw_error_clear(NULL);
}

Test(status, a_long_text_is_cut_and_terminated)
{
    char text[2000];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct spw_error error = {0};
    (void)SPW_FAIL(&error, SPW_ERR_IO, "%s", text);
    cr_assert(strlen(error.what) == sizeof(error.what) - 1);
}

static enum spw_status passes_on(enum spw_status status, int *reached)
{
    SPW_TRY(status);
    (*reached)++;
    return SPW_OK;
}

static enum spw_status cleans_up(enum spw_status inner, int *cleaned)
{
    enum spw_status status;
    SPW_TRY_GOTO(inner, out);
out:
    (*cleaned)++;
    return status;
}

Test(status, try_returns_failures_and_passes_success)
{
    int reached = 0;
    cr_assert(passes_on(SPW_OK, &reached) == SPW_OK);
    cr_assert(passes_on(SPW_ERR_BUSY, &reached) == SPW_ERR_BUSY);
    cr_assert(reached == 1);

    int cleaned = 0;
    cr_assert(cleans_up(SPW_OK, &cleaned) == SPW_OK);
    cr_assert(cleans_up(SPW_ERR_IO, &cleaned) == SPW_ERR_IO);
    cr_assert(cleaned == 2);
}

Test(assert, a_true_condition_is_evaluated_once)
{
    int count = 0;
    SPW_ASSERT(++count == 1);
    cr_assert(count == 1, "evaluated %d times", count);
}

Test(assert, a_false_condition_aborts, .signal = SIGABRT)
{
    SPW_ASSERT(1 + 1 == 3);
}

Test(assert, what_can_not_be_reached_aborts, .signal = SIGABRT)
{
    SPW_NEVER("here");
}
