/* Fault tests of data/: the N-th allocation or file call fails, for every N, in every format. */
#include "files.h"

#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <string.h>

static struct file images, labels, packed_images, packed_labels, items, item_labels, tokens, text,
    packed_text;

static const struct {
    enum spw_data_format format;
    const char *path, *labels;
    int64_t seq_len;
} requests[] = {
    {SPW_DATA_IDX, "images", "labels", 0},     {SPW_DATA_IDX, "images.gz", "labels.gz", 0},
    {SPW_DATA_NPY, "items", "item_labels", 0}, {SPW_DATA_TOKENS, "tokens", NULL, 5},
    {SPW_DATA_TEXT, "text", NULL, 3},          {SPW_DATA_TEXT, "text.gz", NULL, 3},
};

static uint64_t make_files(struct spw_memory_file files[9])
{
    file_idx(&images, 3, (const uint32_t[]){6, 3, 2});
    file_idx(&labels, 1, (const uint32_t[]){6});
    file_add_gzip(&packed_images, &images);
    file_add_gzip(&packed_labels, &labels);
    file_npy(&items, 1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }",
             (const double[]){1, 2, 3, 4}, 32);
    file_npy(&item_labels, 1, "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }",
             (const int32_t[]){0, 1}, 8);
    file_tokens(&tokens, false, 40, 0);
    file_add_text(&text, "A text of some length.");
    file_add_gzip(&packed_text, &text);
    const struct spw_memory_file all[9] = {
        {"images", images.data, images.bytes},
        {"labels", labels.data, labels.bytes},
        {"images.gz", packed_images.data, packed_images.bytes},
        {"labels.gz", packed_labels.data, packed_labels.bytes},
        {"items", items.data, items.bytes},
        {"item_labels", item_labels.data, item_labels.bytes},
        {"tokens", tokens.data, tokens.bytes},
        {"text", text.data, text.bytes},
        {"text.gz", packed_text.data, packed_text.bytes},
    };
    memcpy(files, all, sizeof(all));
    return 9;
}

/* Opens, makes a cursor, gathers a batch, closes. */
static enum spw_status work(const struct spw_world *world, size_t request, struct spw_error *error)
{
    struct spw_dataset *set;
    enum spw_status status = spw_dataset_open(world, requests[request].format,
                                              requests[request].path, requests[request].labels,
                                              requests[request].seq_len, error, &set);
    if (status != SPW_OK) {
        return status;
    }
    struct spw_cursor *cursor;
    status = spw_cursor_create(world, set, &(struct spw_cursor_config){.shuffle = true, .batch = 2},
                               error, &cursor);
    if (status == SPW_OK) {
        int32_t x[64], targets[64];
        spw_cursor_gather(cursor, 1, 0, 2, x, targets);
        spw_cursor_destroy(cursor);
    }
    spw_dataset_close(set);
    return status;
}

static uint64_t walk(struct spw_fault_world *fault, enum spw_fault_kind kind, size_t request,
                     bool sticky)
{
    for (uint64_t at = 1;; at++) {
        struct spw_error error = {0};
        spw_fault_world_arm(fault, kind, (struct spw_fault_rule){.at = at, .sticky = sticky});
        const enum spw_status status = work(&fault->world, request, &error);
        cr_assert(spw_fault_world_clean(fault), "%s, call %d", requests[request].path, (int)at);
        if (!spw_fault_world_struck(fault)) {
            cr_assert(status == SPW_OK, "%s", error.what);
            return at - 1;
        }
        cr_assert(at < 1000, "it never ends");
        if (kind == SPW_FAULT_ALLOCATION) {
            cr_assert(status == SPW_ERR_NO_MEMORY, "%s, call %d: %s", requests[request].path,
                      (int)at, spw_status_name(status));
        } else {
            /* A close after reading that fails has lost nothing. */
            cr_assert(status == SPW_ERR_IO || status == SPW_OK, "%s, call %d: %s",
                      requests[request].path, (int)at, spw_status_name(status));
        }
        cr_assert(status == SPW_OK || strlen(error.what) > 10);
        cr_assert(error.status == status);
    }
}

Test(faults, every_failing_call_is_reported_and_leaves_nothing_over)
{
    struct spw_memory_file files[9];
    struct spw_memory_world memory;
    struct spw_fault_world fault;
    spw_memory_world_init(&memory, files, make_files(files));
    spw_fault_world_init(&fault, &memory.world);
    uint64_t points = 0;
    for (size_t request = 0; request < sizeof(requests) / sizeof(requests[0]); request++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            points += walk(&fault, SPW_FAULT_ALLOCATION, request, sticky);
            points += walk(&fault, SPW_FAULT_FILE, request, sticky);
        }
    }
    cr_assert(points > 100, "only %d points", (int)points);
    cr_assert(spw_memory_world_clean(&memory));
}
