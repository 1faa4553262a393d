/* Tests of data/dataset.c: what may be asked for, and labels against the model's classes. */
#include "files.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct file items, labels;

static void expect_refusal(enum spw_data_format format, const char *labels_path, int64_t seq_len,
                           const char *words)
{
    struct spw_memory_world memory;
    struct spw_error error = {0};
    struct spw_dataset *set = NULL;
    spw_memory_world_init(&memory, NULL, 0);
    cr_assert(spw_dataset_open(&memory.world, format, "path", labels_path, seq_len, &error, &set) ==
              SPW_ERR_USAGE);
    cr_assert(strstr(error.what, words) != NULL, "%s", error.what);
    cr_assert(set == NULL && spw_memory_world_clean(&memory));
}

Test(dataset, refuses_requests_that_make_no_sense)
{
    expect_refusal(SPW_DATA_IDX, NULL, 0, "path: the labels of these items are missing");
    expect_refusal(SPW_DATA_NPY, NULL, 0, "add `labels:` beside `path:`");
    expect_refusal(SPW_DATA_IDX, "labels", 5, "seq_len is for tokens and text");
    expect_refusal(SPW_DATA_TOKENS, "labels", 5, "remove `labels: labels`");
    expect_refusal(SPW_DATA_TEXT, NULL, 0, "seq_len is 0");
    expect_refusal(SPW_DATA_TOKENS, NULL, -3, "seq_len is -3");
    expect_refusal(SPW_DATA_TEXT, NULL, 5, "path: cannot open: No such file or directory");
}

Test(dataset, close_takes_null)
{
    spw_dataset_close(NULL);
    spw_cursor_destroy(NULL);
}

Test(dataset, names_the_first_label_that_is_too_large)
{
    file_idx(&items, 2, (const uint32_t[]){200, 3});
    file_idx(&labels, 1, (const uint32_t[]){200});
    const struct request request = {.format = SPW_DATA_IDX, .path = &items, .labels = &labels};
    struct spw_memory_world memory;
    struct spw_memory_file files[2];
    struct spw_error error = {0};
    struct spw_dataset *set;
    cr_assert(request_open(&request, &memory, files, &error, &set) == SPW_OK, "%s", error.what);
    cr_assert(spw_dataset_info(set)->classes == 200);
    cr_assert(spw_dataset_check_classes(set, 1000, &error) == SPW_OK);
    for (int classes = 1; classes <= 200; classes++) {
        error = (struct spw_error){0};
        const enum spw_status status = spw_dataset_check_classes(set, classes, &error);
        if (classes == 200) {
            cr_assert(status == SPW_OK);
            break;
        }
        char words[128];
        (void)snprintf(
            words, sizeof(words),
            "labels: byte %d (item %d): label %d, but the model has %d classes, 0 to %d;",
            8 + classes, classes, classes, classes, classes - 1);
        cr_assert(status == SPW_ERR_USAGE);
        cr_assert(strncmp(error.what, words, strlen(words)) == 0, "%s", error.what);
        cr_assert(strstr(error.what, "200 outputs") != NULL, "%s", error.what);
    }
    spw_dataset_close(set);
}

Test(dataset, refuses_labels_of_another_set)
{
    file_idx(&items, 2, (const uint32_t[]){4, 3});
    for (uint32_t count = 1; count < 10; count++) {
        file_idx(&labels, 1, &count);
        const struct request request = {.format = SPW_DATA_IDX, .path = &items, .labels = &labels};
        struct spw_error error = {0};
        if (count == 4) {
            cr_assert(request_try(&request, &error) == SPW_OK);
        } else {
            request_refused(&request, "labels for the 4 items of path; give the labels");
        }
    }
}

/* A set for simulations has a shape and a size, and cursors count its steps. */
Test(dataset, an_imagined_set_has_a_shape)
{
    const struct spw_data_info info = {.rank = 3,
                                       .dim = {3, 32, 32},
                                       .targets_per_item = 1,
                                       .items = 50000,
                                       .classes = 10,
                                       .resident_bytes = 5};
    struct spw_dataset *set = NULL;
    struct spw_cursor *cursor = NULL;
    cr_assert(spw_dataset_imagine(spw_world_system(), &info, NULL, &set) == SPW_OK);
    cr_assert(spw_dataset_info(set)->items == 50000 && spw_dataset_info(set)->dim[2] == 32);
    cr_assert(spw_dataset_info(set)->resident_bytes == 0);
    cr_assert(spw_dataset_check_classes(set, 10, NULL) == SPW_OK);
    cr_assert(spw_dataset_check_classes(set, 9, NULL) == SPW_ERR_USAGE);
    const struct spw_cursor_config config = {.batch = 128, .by_epoch = true};
    cr_assert(spw_cursor_create(spw_world_system(), set, &config, NULL, &cursor) == SPW_OK);
    cr_assert(spw_cursor_steps_per_epoch(cursor) == 391);
    cr_assert(spw_cursor_items(cursor, 391) == 80);
    spw_cursor_destroy(cursor);
    spw_dataset_close(set);
}

Test(dataset, a_set_of_nothing_cannot_be_imagined)
{
    const struct spw_data_info good = {
        .rank = 1, .dim = {8}, .targets_per_item = 8, .items = 1, .classes = 2};
    for (int i = 0; i < 5; i++) {
        struct spw_data_info info = good;
        struct spw_dataset *set = NULL;
        info.rank = i == 0 ? 0 : i == 1 ? SPW_DATA_RANK_MAX + 1 : 1;
        info.dim[0] = i == 2 ? 0 : 8;
        info.targets_per_item = i == 3 ? 0 : 8;
        info.items = i == 4 ? 0 : 1;
        cr_assert(spw_dataset_imagine(spw_world_system(), &info, NULL, &set) == SPW_ERR_ARGUMENT,
                  "%d", i);
        cr_assert(set == NULL);
    }
}
