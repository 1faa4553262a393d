/* Tests of base/text.c. */
#include "base/text.h"

#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <string.h>

Test(text, grows_as_it_is_added_to)
{
    struct spw_text text;
    spw_text_init(&text, spw_world_system());
    cr_assert(text.data == NULL && text.bytes == 0);
    for (int i = 0; i < 1000; i++) {
        spw_text_add(&text, "%d,", i % 10);
    }
    cr_assert(!text.failed && text.bytes == 2000);
    cr_assert(strlen(text.data) == 2000);
    cr_assert(strncmp(text.data, "0,1,2,3,4,5,6,7,8,9,0,1,", 24) == 0);
    spw_text_deinit(&text);
}

Test(text, takes_bytes_as_they_are)
{
    struct spw_text text;
    spw_text_init(&text, spw_world_system());
    spw_text_add_bytes(&text, NULL, 0);
    cr_assert(text.data != NULL && text.data[0] == '\0');
    spw_text_add_bytes(&text, "a\0b", 3);
    spw_text_add(&text, "%s", "");
    cr_assert(text.bytes == 3 && memcmp(text.data, "a\0b", 4) == 0);
    spw_text_deinit(&text);
}

Test(text, a_failed_append_changes_nothing_and_is_remembered)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    struct spw_text text;
    spw_text_init(&text, &fault.world);
    spw_text_add(&text, "kept");

    char big[500];
    memset(big, 'x', sizeof(big));
    spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = 1});
    spw_text_add_bytes(&text, big, sizeof(big));
    cr_assert(text.failed);
    cr_assert_str_eq(text.data, "kept");

    spw_text_add_bytes(&text, big, UINT64_MAX - 2);
    cr_assert_str_eq(text.data, "kept");
    spw_text_deinit(&text);
    spw_text_deinit(&text);
    spw_text_deinit(NULL);
    cr_assert(spw_fault_world_clean(&fault));
}

static const char *const names[] = {"linear", "conv2d",    "maxpool2d", "avgpool2d",
                                    "relu",   "layernorm", "lr",        NULL};

Test(text, finds_the_name_that_was_meant)
{
    cr_assert_str_eq(spw_nearest_name("liner", names), "linear");
    cr_assert_str_eq(spw_nearest_name("lienar", names), "linear");
    cr_assert_str_eq(spw_nearest_name("linearr", names), "linear");
    cr_assert_str_eq(spw_nearest_name("conv3d", names), "conv2d");
    cr_assert_str_eq(spw_nearest_name("relu", names), "relu");
    cr_assert_str_eq(spw_nearest_name("layer_norm", names), "layernorm");
}

Test(text, a_swap_of_neighbours_is_one_mistake)
{
    /* Two replacements would be two thirds of the length; one swap is a third. */
    static const char *const short_names[] = {"abc", NULL};
    cr_assert_str_eq(spw_nearest_name("acb", short_names), "abc");
    cr_assert(spw_nearest_name("axy", short_names) == NULL);
}

Test(text, offers_nothing_that_is_far_away)
{
    static const char *const none[] = {NULL};
    cr_assert(spw_nearest_name("embedding", names) == NULL);
    cr_assert(spw_nearest_name("", names) == NULL);
    cr_assert(spw_nearest_name("linear", none) == NULL);
    char long_name[200];
    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    cr_assert(spw_nearest_name(long_name, names) == NULL);
}

Test(text, joins_names)
{
    char out[32];
    cr_assert_str_eq(spw_join_names(names, 0, "or", out, sizeof out), "");
    cr_assert_str_eq(spw_join_names(names, 1, "or", out, sizeof out), "linear");
    cr_assert_str_eq(spw_join_names(names, 2, "or", out, sizeof out), "linear or conv2d");
    cr_assert_str_eq(spw_join_names(names + 4, 9, "and", out, sizeof out),
                     "relu, layernorm and lr");
    cr_assert_str_eq(spw_join_names(names, 9, "or", out, 10), "linear, c");
}

Test(text, formats_one_text_or_says_why_not)
{
    struct spw_fault_world fault;
    struct spw_error error = {0};
    spw_fault_world_init(&fault, spw_world_system());
    char *out = NULL;
    cr_assert(spw_format_text(&fault.world, &error, &out, "%s/%d", "a", 7) == SPW_OK);
    cr_assert_str_eq(out, "a/7");
    spw_release(&fault.world, out);
    spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = 1});
    out = NULL;
    cr_assert(spw_format_text(&fault.world, &error, &out, "%s", "a") == SPW_ERR_NO_MEMORY);
    cr_assert(out == NULL && error.status == SPW_ERR_NO_MEMORY);
    cr_assert(spw_fault_world_clean(&fault));
}
