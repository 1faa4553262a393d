/* test_json.c — reading JSON with limits, and quoting. */
#include "model_check.h"

#include "models/json.h"
#include <stdio.h>
#include <stdlib.h>

static struct spw_json *parse(const char *text)
{
    struct spw_error error = {0};
    struct spw_json *root = NULL;
    check_ok(spw_json_parse("file", 0, text, strlen(text), &error, &root), &error);
    return root;
}

static void refuse(const char *text, uint64_t count, uint64_t first_byte, const char *part)
{
    struct spw_error error = {0};
    struct spw_json *root = NULL;
    check_refused(spw_json_parse("some/file", first_byte, text, count, &error, &root), &error,
                  part);
    cr_assert(root == NULL && strncmp(error.what, "some/file: byte ", 16) == 0, "%s", error.what);
}

Test(json, reads_every_kind)
{
    struct spw_json *root =
        parse("{\"z\": null, \"b\": true, \"i\": -7, \"r\": 1e-5, \"s\": \"\\u00e9\\n\", "
              "\"l\": [1, 2.5], \"o\": {}}");
    cr_assert(spw_json_kind(root) == SPW_JSON_OBJECT && spw_json_count(root) == 7);
    cr_assert(spw_json_kind(spw_json_member(root, "z")) == SPW_JSON_NULL);
    cr_assert(spw_json_bool(spw_json_member(root, "b")));
    cr_assert(spw_json_integer(spw_json_member(root, "i")) == -7);
    cr_assert(spw_json_number(spw_json_member(root, "r")) == 1e-5);
    cr_assert(spw_json_number(spw_json_member(root, "i")) == -7.0);
    cr_assert_str_eq(spw_json_string(spw_json_member(root, "s")), "\xc3\xa9\n");
    const struct spw_json *list = spw_json_member(root, "l");
    cr_assert(spw_json_count(list) == 2);
    cr_assert(spw_json_kind(spw_json_at(list, 0)) == SPW_JSON_INTEGER);
    cr_assert(spw_json_kind(spw_json_at(list, 1)) == SPW_JSON_REAL);
    cr_assert(spw_json_kind(spw_json_member(root, "o")) == SPW_JSON_OBJECT);
    cr_assert(spw_json_member(root, "none") == NULL);
    spw_json_destroy(root);
}

Test(json, walks_in_the_order_of_the_text)
{
    struct spw_json *root = parse("{\"z\": 0, \"a\": 1, \"m\": 2, \"b\": 3}");
    struct spw_json_cursor cursor = {0};
    char order[8] = "";
    int64_t next = 0;
    while (spw_json_next(root, &cursor)) {
        cr_assert(spw_json_integer(cursor.value) == next++);
        strcat(order, cursor.key);
    }
    cr_assert_str_eq(order, "zamb");
    spw_json_destroy(root);
}

Test(json, refuses_what_is_no_json)
{
    static const char *const texts[] = {
        "",
        "{",
        "{\"a\": 1,}",
        "{\"a\" 1}",
        "[1 2]",
        "{} x",
        "{'a': 1}",
        "{\"a\": 01}",
        "{\"a\": NaN}",
        "{\"a\": 1e999}",
        "{\"a\": 18446744073709551616}",
        "{\"a\": 1, \"a\": 2}",
        "{\"a\": \"\\u0000\"}",
        "{\"a\": \"\xff\"}",
        "{\"a\": \"\x01\"}",
        "{\"a\": +1}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        refuse(texts[i], strlen(texts[i]), 0, "not the JSON");
    }
}

/* Places count from the beginning of the file, and hostile bytes don't reach the terminal. */
Test(json, tells_the_place_and_hides_control_characters)
{
    refuse("{\"a\": \x1b[31m}", 12, 100, "some/file: byte 10");
    struct spw_error error = {0};
    struct spw_json *root = NULL;
    (void)spw_json_parse("f", 0, "{\"a\": \x1b[31m}", 12, &error, &root);
    cr_assert(strchr(error.what, 0x1b) == NULL);
}

Test(json, bounds_the_depth)
{
    char text[256];
    memset(text, '[', 32);
    memset(text + 32, ']', 32);
    struct spw_error error = {0};
    struct spw_json *root = NULL;
    check_ok(spw_json_parse("f", 0, text, 64, &error, &root), &error);
    spw_json_destroy(root);
    memset(text, '[', 33);
    memset(text + 33, ']', 33);
    refuse(text, 66, 8, "byte 40: nested deeper than 32 levels");

    /* Brackets in strings don't count, escaped quotes don't end them. */
    memset(text, '[', 200);
    memcpy(text, "[\"\\\"", 4);
    memcpy(text + 198, "\"]", 2);
    root = NULL;
    check_ok(spw_json_parse("f", 0, text, 200, &error, &root), &error);
    spw_json_destroy(root);

    char *bomb = malloc(1000000);
    memset(bomb, '[', 1000000);
    refuse(bomb, 1000000, 0, "nested deeper");
    free(bomb);
}

Test(json, makes_texts_printable)
{
    char out[SPW_JSON_PRINT_BYTES];
    cr_assert_str_eq(spw_json_printable("a\x1b[1m\n\x7f\xc3\xa9", out), "a?[1m??\xc3\xa9");
    char longer[400];
    memset(longer, 'x', sizeof(longer));
    longer[399] = '\0';
    cr_assert(strlen(spw_json_printable(longer, out)) == SPW_JSON_PRINT_BYTES - 1);
    cr_assert_str_eq(out + SPW_JSON_PRINT_BYTES - 5, "x...");
}

Test(json, quotes_strings)
{
    struct spw_text text;
    spw_text_init(&text, spw_world_system());
    const char *awkward = "a\"b\\c\n\x01 \xc3\xa9/";
    spw_json_add_string(&text, awkward);
    cr_assert(!text.failed);
    cr_assert_str_eq(text.data, "\"a\\\"b\\\\c\\u000a\\u0001 \xc3\xa9/\"");
    char list[64];
    (void)snprintf(list, sizeof(list), "[%s]", text.data);
    struct spw_json *root = parse(list);
    cr_assert_str_eq(spw_json_string(spw_json_at(root, 0)), awkward);
    spw_json_destroy(root);
    spw_text_deinit(&text);
}
