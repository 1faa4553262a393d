/* Tests of data/idx.c: IDX files of unsigned bytes. */
#include "files.h"

#include <criterion/criterion.h>
#include <string.h>

static struct file images, labels, changed;

static struct request request_of(const struct file *path)
{
    return (struct request){.format = SPW_DATA_IDX, .path = path, .labels = &labels};
}

static void make_files(void)
{
    file_idx(&images, 3, (const uint32_t[]){5, 2, 3});
    file_idx(&labels, 1, (const uint32_t[]){5});
}

static void check_shape(uint32_t rank, const uint32_t *dims, int64_t item_rank,
                        const int64_t *item_dims)
{
    file_idx(&images, rank, dims);
    file_idx(&labels, 1, dims);
    struct spw_memory_world memory;
    struct spw_memory_file files[2];
    struct spw_error error = {0};
    struct spw_dataset *set;
    const struct request request = request_of(&images);
    cr_assert(request_open(&request, &memory, files, &error, &set) == SPW_OK, "%s", error.what);
    const struct spw_data_info *info = spw_dataset_info(set);
    cr_assert(info->items == dims[0] && !info->is_tokens && info->targets_per_item == 1);
    cr_assert(info->rank == item_rank);
    uint64_t elements = dims[0];
    for (int64_t axis = 0; axis < item_rank; axis++) {
        cr_assert(info->dim[axis] == item_dims[axis]);
        elements *= (uint64_t)item_dims[axis];
    }
    /* Pixels stay bytes in memory. */
    cr_assert(info->resident_bytes == elements + dims[0]);
    spw_dataset_close(set);
    cr_assert(spw_memory_world_clean(&memory));
}

Test(idx, items_get_one_channel_unless_they_have_channels)
{
    check_shape(2, (const uint32_t[]){4, 7}, 1, (const int64_t[]){7});
    check_shape(3, (const uint32_t[]){4, 2, 3}, 3, (const int64_t[]){1, 2, 3});
    check_shape(4, (const uint32_t[]){4, 3, 2, 5}, 3, (const int64_t[]){3, 2, 5});
}

Test(idx, values_are_scaled_by_1_255)
{
    make_files();
    struct spw_memory_world memory;
    struct spw_memory_file files[2];
    struct spw_error error = {0};
    struct spw_dataset *set;
    struct spw_cursor *cursor;
    const struct request request = request_of(&images);
    cr_assert(request_open(&request, &memory, files, &error, &set) == SPW_OK, "%s", error.what);
    cr_assert(spw_cursor_create(&memory.world, set, &(struct spw_cursor_config){.batch = 5}, &error,
                                &cursor) == SPW_OK);
    float x[30];
    int32_t targets[5];
    spw_cursor_gather(cursor, 1, 0, 5, x, targets);
    for (int index = 0; index < 30; index++) {
        cr_assert(x[index] == (float)index / 255.0f, "element %d", index);
    }
    for (int index = 0; index < 5; index++) {
        cr_assert(targets[index] == index);
    }
    spw_cursor_destroy(cursor);
    spw_dataset_close(set);
}

Test(idx, parses_a_file_in_memory)
{
    make_files();
    struct spw_error error = {0};
    uint64_t rank, dims[4], offset;
    cr_assert(spw_idx_parse("file", images.data, images.bytes, &error, &rank, dims, &offset) ==
              SPW_OK);
    cr_assert(rank == 3 && dims[0] == 5 && dims[1] == 2 && dims[2] == 3 && offset == 16);
    rank = 99;
    cr_assert(spw_idx_parse("file", images.data, images.bytes - 1, &error, &rank, dims, &offset) ==
              SPW_ERR_USAGE);
    cr_assert(strstr(error.what, "file: byte 45: 45 bytes, but the header declares 46") != NULL,
              "%s", error.what);
    cr_assert(rank == 99, "results are left alone on failure");
}

/* Whatever is missing, it is refused, for items and labels alike. */
Test(idx, refuses_every_truncation)
{
    make_files();
    for (uint64_t bytes = 0; bytes < images.bytes; bytes++) {
        struct spw_error error = {0};
        changed = images;
        changed.bytes = bytes;
        const struct request request = request_of(&changed);
        cr_assert(request_try(&request, &error) == SPW_ERR_USAGE, "%d bytes", (int)bytes);
        cr_assert(strncmp(error.what, "path: byte ", 11) == 0, "%s", error.what);
    }
    for (uint64_t bytes = 0; bytes < labels.bytes; bytes++) {
        struct spw_error error = {0};
        changed = labels;
        changed.bytes = bytes;
        const struct request request = {
            .format = SPW_DATA_IDX, .path = &images, .labels = &changed};
        cr_assert(request_try(&request, &error) == SPW_ERR_USAGE, "%d bytes", (int)bytes);
        cr_assert(strncmp(error.what, "labels: byte ", 13) == 0, "%s", error.what);
    }
}

/* No bit of the header may change without being noticed; pixels may be anything. */
Test(idx, refuses_every_flipped_header_bit)
{
    make_files();
    for (uint64_t bit = 0; bit < images.bytes * 8; bit++) {
        struct spw_error error = {0};
        changed = images;
        changed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        const struct request request = request_of(&changed);
        const enum spw_status expected = bit < 128 ? SPW_ERR_USAGE : SPW_OK;
        cr_assert(request_try(&request, &error) == expected, "bit %d: %s", (int)bit, error.what);
    }
}

Test(idx, refuses_every_truncation_and_flip_of_a_compressed_file)
{
    static struct file packed_labels, packed;
    make_files();
    file_add_gzip(&packed_labels, &labels);
    file_add_gzip(&packed, &images);
    struct request request = {
        .format = SPW_DATA_IDX, .path = &packed, .labels = &packed_labels, .compressed = true};
    struct spw_error error = {0};
    cr_assert(request_try(&request, &error) == SPW_OK, "%s", error.what);

    request.path = &changed;
    for (uint64_t bytes = 0; bytes < packed.bytes; bytes++) {
        changed = packed;
        changed.bytes = bytes;
        error = (struct spw_error){0};
        cr_assert(request_try(&request, &error) == SPW_ERR_USAGE, "%d bytes", (int)bytes);
    }
    int accepted = 0;
    for (uint64_t bit = 0; bit < packed.bytes * 8; bit++) {
        changed = packed;
        changed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        error = (struct spw_error){0};
        accepted += request_try(&request, &error) == SPW_OK;
    }
    /* Time (32 bits), extra flags and system (8 each), the text flag, and the 5 padding bits of a
     * stored block say nothing about the data. */
    cr_assert(accepted <= 32 + 8 + 8 + 1 + 5, "%d flips were accepted", accepted);
}

Test(idx, dims_up_to_the_product_of_the_file)
{
    /* Every pair of dims with the right product is taken, no other. */
    for (uint32_t height = 1; height <= 8; height++) {
        for (uint32_t width = 1; width <= 8; width++) {
            struct spw_error error = {0};
            make_files();
            images.data[11] = (uint8_t)height;
            images.data[15] = (uint8_t)width;
            const struct request request = request_of(&images);
            const enum spw_status expected = height * width == 6 ? SPW_OK : SPW_ERR_USAGE;
            cr_assert(request_try(&request, &error) == expected);
        }
    }
}
