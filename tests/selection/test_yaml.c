/* test_yaml.c — trees, places, quotes and limits. Malformed files are in tests/bad/spec. */
#include "base/text.h"
#include "selection/yaml.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct spw_arena arena;
static const struct spw_yaml_source source = {.path = "a.yaml"};
static struct spw_error error;

static void begin(void)
{
    spw_arena_init(&arena, spw_world_system());
}

static void end(void)
{
    spw_arena_deinit(&arena);
}

TestSuite(yaml, .init = begin, .fini = end);

static struct spw_yaml_node *parse(const char *text)
{
    struct spw_yaml_node *root = NULL;
    const enum spw_status status =
        spw_yaml_parse(&arena, &source, text, strlen(text), &error, &root);
    cr_assert(status == SPW_OK, "%s", error.what);
    return root;
}

static const char *refusal(const char *text, size_t bytes)
{
    struct spw_yaml_node *root = NULL;
    error = (struct spw_error){0};
    const enum spw_status status = spw_yaml_parse(&arena, &source, text, bytes, &error, &root);
    cr_assert(status == SPW_ERR_USAGE, "status %s", spw_status_name(status));
    return error.what;
}

Test(yaml, keeps_text_quotes_and_places)
{
    char place[320];
    const struct spw_yaml_node *root = parse("a: 1e-4\nb:\n  - 'x'\n  - [y, {z: \"\"}]\n");
    cr_assert(root->kind == SPW_YAML_MAP && root->count == 2, "two keys");
    const struct spw_yaml_node *a = spw_yaml_member(root, "a");
    cr_assert(strcmp(a->text, "1e-4") == 0 && !a->quoted, "a number stays a text");
    cr_assert(a->line == 1 && a->column == 4, "%u:%u", a->line, a->column);
    const struct spw_yaml_node *b = spw_yaml_member(root, "b");
    cr_assert(b->kind == SPW_YAML_LIST && b->count == 2, "a list of two");
    cr_assert(spw_yaml_item(b, 0)->quoted, "quotes are kept");
    const struct spw_yaml_node *map = spw_yaml_item(spw_yaml_item(b, 1), 1);
    const struct spw_yaml_node *z = spw_yaml_member(map, "z");
    cr_assert(strcmp(z->text, "") == 0 && z->quoted, "an empty text");
    cr_assert(strcmp(spw_yaml_place(z, place), "a.yaml:4:13") == 0, "%s", place);
    cr_assert(spw_yaml_member(root, "c") == NULL, "no such key");
}

Test(yaml, json_is_accepted)
{
    const struct spw_yaml_node *root = parse("{\"a\": [1, true], \"b\": null}");
    cr_assert(spw_yaml_member(root, "a")->count == 2, "a list");
    cr_assert(strcmp(spw_yaml_member(root, "b")->text, "null") == 0, "raw text");
}

Test(yaml, aliases_share_a_node)
{
    const struct spw_yaml_node *root = parse("a: &x [1, 2]\nb: *x\n");
    cr_assert(spw_yaml_member(root, "a") == spw_yaml_member(root, "b"), "one node");
    /* The map, two keys, the list of two, and the list of two again. */
    cr_assert(root->nodes == 1 + 2 + 3 + 3, "%u nodes", root->nodes);
}

Test(yaml, limits_are_exact)
{
    char text[200];
    memset(text, '[', 32);
    memset(text + 32, ']', 32);
    text[64] = '\0';
    (void)parse(text);
    memset(text, '[', 33);
    memset(text + 33, ']', 33);
    cr_assert(strstr(refusal(text, 66), "a.yaml:1:33: nested deeper than 32") != NULL, "%s",
              error.what);

    struct spw_text many;
    spw_text_init(&many, spw_world_system());
    spw_text_add(&many, "[");
    for (uint32_t i = 0; i + 1 < SPW_YAML_NODES_MAX; i++) {
        spw_text_add(&many, "1,");
    }
    spw_text_add(&many, "]");
    const struct spw_yaml_node *root = parse(many.data);
    cr_assert(root->nodes == SPW_YAML_NODES_MAX, "%u nodes", root->nodes);
    many.data[many.bytes - 1] = ' ';
    spw_text_add(&many, "1]");
    cr_assert(strstr(refusal(many.data, many.bytes), "more than 10000 values") != NULL, "%s",
              error.what);
    spw_text_deinit(&many);
}

Test(yaml, files_over_a_mebibyte_are_refused)
{
    const size_t bytes = SPW_YAML_BYTES_MAX + 1;
    char *text = malloc(bytes);
    memset(text, '#', bytes);
    cr_assert(strstr(refusal(text, bytes), "longer than 1 MiB") != NULL, "%s", error.what);
    free(text);
}

Test(yaml, deep_flow_text_of_a_mebibyte_is_refused_quickly)
{
    char *text = malloc(SPW_YAML_BYTES_MAX);
    memset(text, '[', SPW_YAML_BYTES_MAX);
    const uint64_t before_ns = spw_now_ns(spw_world_system());
    (void)refusal(text, SPW_YAML_BYTES_MAX);
    const uint64_t took_ns = spw_now_ns(spw_world_system()) - before_ns;
    cr_assert(took_ns < 2000000000u, "%llu ns", (unsigned long long)took_ns);
    free(text);
}

Test(yaml, overrides_are_named_as_typed)
{
    char place[320];
    const struct spw_yaml_source word = {.override_index = 2, .override_text = "train.lr=[1"};
    struct spw_yaml_node *root = NULL;
    cr_assert(spw_yaml_parse(&arena, &word, "[1", 2, &error, &root) == SPW_ERR_USAGE, "refused");
    cr_assert(strstr(error.what, "override 2: train.lr=[1: not valid YAML") == error.what, "%s",
              error.what);
    cr_assert(spw_yaml_parse(&arena, &word, "1", 1, NULL, &root) == SPW_OK, "good");
    cr_assert(strcmp(spw_yaml_place(root, place), "override 2: train.lr=[1") == 0, "%s", place);
}

Test(yaml, texts_read_back_as_they_were)
{
    static const char *const texts[] = {"plain",       "with space",     "-dash",    "true",
                                        "null",        "1e-4",           "",         "a: b",
                                        "x#y",         "\"q\"",          "\\",       "tab\there",
                                        "line\nbreak", "ümlaut",         "/a/b-c.d", "~",
                                        "*x",          "host*2 mem=8MiB"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct spw_text text;
        spw_text_init(&text, spw_world_system());
        spw_text_add(&text, "a: ");
        spw_yaml_add_text(&text, texts[i]);
        const struct spw_yaml_node *root = parse(text.data);
        cr_assert(strcmp(spw_yaml_member(root, "a")->text, texts[i]) == 0, "%s became %s", texts[i],
                  text.data);
        spw_text_deinit(&text);
    }
}
