/* Tests of data/text.c: files of bytes, plain and compressed, and one real text. */
#include "files.h"

#include "tests/support/fault_world.h"
#include "tests/support/temporary.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>

/* Part of base-files, so it is on every Debian and Ubuntu system. */
#define LICENSE_PATH "/usr/share/common-licenses/GPL-3"

static struct file text, packed;

static void check_text(const struct request *request)
{
    struct spw_memory_world memory;
    struct spw_memory_file files[2];
    struct spw_error error = {0};
    struct spw_dataset *set;
    struct spw_cursor *cursor;
    cr_assert(request_open(request, &memory, files, &error, &set) == SPW_OK, "%s", error.what);
    const struct spw_data_info *info = spw_dataset_info(set);
    cr_assert(info->is_tokens && info->classes == 256 && info->items == 2);
    cr_assert(info->resident_bytes == 12 && info->dim[0] == 5 && info->targets_per_item == 5);
    int32_t x[10], targets[10];
    cr_assert(spw_cursor_create(&memory.world, set, &(struct spw_cursor_config){.batch = 2}, &error,
                                &cursor) == SPW_OK);
    spw_cursor_gather(cursor, 1, 0, 2, x, targets);
    for (int index = 0; index < 10; index++) {
        cr_assert(x[index] == text.data[index] && targets[index] == text.data[index + 1]);
    }
    spw_cursor_destroy(cursor);
    spw_dataset_close(set);
    cr_assert(spw_memory_world_clean(&memory));
}

Test(text, bytes_are_tokens)
{
    file_add(&text, "a\0\xff\n\x80zebra 7", 12);
    check_text(&(struct request){.format = SPW_DATA_TEXT, .path = &text, .seq_len = 5});
    file_add_gzip(&packed, &text);
    check_text(&(struct request){
        .format = SPW_DATA_TEXT, .path = &packed, .seq_len = 5, .compressed = true});
}

Test(text, a_small_vocabulary_is_enough_for_a_small_alphabet)
{
    file_add_text(&text, "only ASCII");
    struct spw_memory_world memory;
    struct spw_memory_file files[2];
    struct spw_error error = {0};
    struct spw_dataset *set;
    const struct request request = {.format = SPW_DATA_TEXT, .path = &text, .seq_len = 4};
    cr_assert(request_open(&request, &memory, files, &error, &set) == SPW_OK, "%s", error.what);
    cr_assert(spw_dataset_check_classes(set, 256, &error) == SPW_OK);
    cr_assert(spw_dataset_check_classes(set, 128, &error) == SPW_OK);
    cr_assert(spw_dataset_check_classes(set, 'y', &error) == SPW_ERR_USAGE);
    cr_assert(strstr(error.what,
                     "path: byte 3 (sequence 0, token 3 of the file): token number 121, "
                     "but the model's vocabulary has 121; set its vocab_size to 256") != NULL,
              "%s", error.what);
    spw_dataset_close(set);
}

/* A stored member of 64 KiB of zeros in 11 parts: longer than the buffer that counts it. */
Test(text, counts_compressed_texts_of_many_members)
{
    text.bytes = 1 << 13;
    for (int part = 0; part < 1; part++) {
        file_add_gzip(&packed, &text);
    }
    static uint8_t repeated[12 * FILE_BYTES_MAX];
    for (int part = 0; part < 11; part++) {
        memcpy(repeated + (uint64_t)part * packed.bytes, packed.data, packed.bytes);
    }
    struct spw_memory_world memory;
    const struct spw_memory_file file = {"zeros.gz", repeated, 11 * packed.bytes};
    spw_memory_world_init(&memory, &file, 1);
    struct spw_error error = {0};
    struct spw_dataset *set;
    cr_assert(spw_dataset_open(&memory.world, SPW_DATA_TEXT, "zeros.gz", NULL, 1, &error, &set) ==
                  SPW_OK,
              "%s", error.what);
    cr_assert(spw_dataset_info(set)->items == 11 * (1 << 13) - 1);
    spw_dataset_close(set);
    cr_assert(spw_memory_world_clean(&memory));
}

Test(text, reads_a_real_text)
{
    struct stat status;
    if (stat(LICENSE_PATH, &status) != 0) {
        cr_log_warn("not run: %s is missing, which Debian's base-files holds", LICENSE_PATH);
        return;
    }
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    fault.read_bytes_max = 1000;
    struct spw_error error = {0};
    struct spw_dataset *set;
    cr_assert(spw_dataset_open(&fault.world, SPW_DATA_TEXT, LICENSE_PATH, NULL, 64, &error, &set) ==
                  SPW_OK,
              "%s", error.what);
    cr_assert(spw_dataset_info(set)->items == (status.st_size - 1) / 64);
    cr_assert(spw_dataset_check_classes(set, 256, &error) == SPW_OK);
    struct spw_cursor *cursor;
    int32_t x[64], targets[64];
    cr_assert(spw_cursor_create(&fault.world, set, &(struct spw_cursor_config){.batch = 1}, &error,
                                &cursor) == SPW_OK);
    spw_cursor_gather(cursor, 1, 0, 1, x, targets);
    char start[65] = "";
    for (int index = 0; index < 64; index++) {
        start[index] = (char)x[index];
    }
    cr_assert(strstr(start, "GNU GENERAL PUBLIC LICENSE") != NULL, "%s", start);
    spw_cursor_destroy(cursor);
    spw_dataset_close(set);
    cr_assert(spw_fault_world_clean(&fault));
}
