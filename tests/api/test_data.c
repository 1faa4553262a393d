/* test_data.c — opening data sets: what is delivered, and what is refused in which words. */
#include "fixture.h"

Test(data, says_what_it_holds)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    cr_assert(spw_data_items(fixture.images) == API_ITEMS);
    cr_assert(spw_data_classes(fixture.images) == API_CLASSES);
    cr_assert(spw_data_items(fixture.text) > 10);
    cr_assert(spw_data_classes(fixture.text) == 256);
    api_fixture_deinit(&fixture);
}

Test(data, null_is_refused_or_ignored)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    const struct spw_data_options options = {.format = "text", .path = "x", .seq_len = 4};
    struct spw_data *data = NULL;
    cr_assert(spw_data_open(NULL, &options, &data) == SPW_ERR_ARGUMENT);
    api_expect(fixture.context, spw_data_open(fixture.context, NULL, &data), SPW_ERR_ARGUMENT,
               "options is NULL");
    api_expect(fixture.context, spw_data_open(fixture.context, &options, NULL), SPW_ERR_ARGUMENT,
               "out is NULL");
    spw_data_close(NULL);
    cr_assert(spw_data_items(NULL) == 0 && spw_data_classes(NULL) == 0);
    cr_assert(data == NULL);
    api_fixture_deinit(&fixture);
}

Test(data, wrong_options_are_refused_with_a_cure)
{
    static const struct {
        struct spw_data_options options;
        const char *part;
    } cases[] = {
        {{.path = "f", .labels = "l"}, "format is NULL; give \"idx\""},
        {{.format = "idxx", .path = "f", .labels = "l"}, "did you mean \"idx\"?"},
        {{.format = "parquet", .path = "f"}, "known are idx, npy, tokens and text"},
        {{.format = "idx", .labels = "l"}, "path is NULL"},
        {{.format = "idx", .path = "", .labels = "l"}, "path is empty"},
        {{.format = "idx", .path = "f"}, "f: labels is NULL; name the file"},
        {{.format = "npy", .path = "f"}, "f: labels is NULL; name the file"},
        {{.format = "idx", .path = "f", .labels = "l", .seq_len = 3}, "seq_len is 3"},
        {{.format = "text", .path = "f", .labels = "l", .seq_len = 3}, "set labels to NULL"},
        {{.format = "text", .path = "f"}, "seq_len is 0; it must be 1 or more"},
        {{.format = "tokens", .path = "f", .seq_len = -5}, "seq_len is -5"},
    };
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct spw_data *data = NULL;
        api_expect(fixture.context, spw_data_open(fixture.context, &cases[i].options, &data),
                   SPW_ERR_ARGUMENT, cases[i].part);
        cr_assert(data == NULL);
    }
    api_fixture_deinit(&fixture);
}

/* What is wrong with a file is said by its reader, with the file's name. */
Test(data, bad_files_are_named)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_data *data = NULL;
    char path[512];
    const struct spw_data_options missing = {
        .format = "text",
        .path = spw_temporary_path(&fixture.folder, "nothing", path),
        .seq_len = 4,
    };
    api_expect(fixture.context, spw_data_open(fixture.context, &missing, &data), SPW_ERR_USAGE,
               path);
    const struct spw_data_options wrong = {
        .format = "npy",
        .path = spw_temporary_path(&fixture.folder, "text", path),
        .labels = path,
    };
    api_expect(fixture.context, spw_data_open(fixture.context, &wrong, &data), SPW_ERR_USAGE, path);
    cr_assert(data == NULL);
    api_fixture_deinit(&fixture);
}
