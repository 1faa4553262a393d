/* Tests of data/gzip.c and data/source.c: members, short reads, the end, and what isn't a file. */
#include "data/source.h"
#include "files.h"

#include "tests/support/fault_world.h"
#include "tests/support/temporary.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>

static struct file content, packed;

static void make_content(uint64_t bytes)
{
    content.bytes = bytes;
    for (uint64_t index = 0; index < bytes; index++) {
        content.data[index] = (uint8_t)(index * 7 + index / 256);
    }
}

/* Reads all of "path.gz" in parts of `part` bytes and compares. */
static void read_in_parts(const struct spw_world *world, uint64_t part, uint64_t peek,
                          const struct file *expected)
{
    struct spw_source source;
    struct spw_error error = {0};
    static uint8_t got[FILE_BYTES_MAX + 1];
    uint64_t total = 0, count;
    const uint8_t *head;
    cr_assert(spw_source_open(world, "path.gz", &error, &source) == SPW_OK, "%s", error.what);
    cr_assert(spw_source_peek(&source, peek, &error, &head, &count) == SPW_OK, "%s", error.what);
    cr_assert(count == (peek < expected->bytes ? peek : expected->bytes));
    cr_assert(memcmp(head, expected->data, count) == 0);
    do {
        cr_assert(spw_source_read(&source, got + total, part, &error, &count) == SPW_OK, "%s",
                  error.what);
        total += count;
    } while (count == part);
    cr_assert(total == expected->bytes && memcmp(got, expected->data, total) == 0);
    cr_assert(spw_source_finish(&source, &error) == SPW_OK);

    cr_assert(spw_source_rewind(&source, &error) == SPW_OK, "%s", error.what);
    cr_assert(spw_source_read_all(&source, got, expected->bytes, &error) == SPW_OK);
    cr_assert(memcmp(got, expected->data, expected->bytes) == 0);
    spw_source_close(&source);
}

Test(gzip, reads_in_parts_of_any_size)
{
    make_content(3000);
    file_add_gzip(&packed, &content);
    const struct spw_memory_file file = {"path.gz", packed.data, packed.bytes};
    struct spw_memory_world memory;
    spw_memory_world_init(&memory, &file, 1);
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, &memory.world);
    static const uint64_t parts[] = {1, 2, 7, 100, 2999, 3001, 9999};
    for (size_t index = 0; index < sizeof(parts) / sizeof(parts[0]); index++) {
        for (uint64_t read_bytes_max = 0; read_bytes_max < 20; read_bytes_max += 3) {
            fault.read_bytes_max = read_bytes_max;
            read_in_parts(&fault.world, parts[index], parts[index], &content);
            read_in_parts(&fault.world, parts[index], 0, &content);
        }
    }
    cr_assert(spw_fault_world_clean(&fault) && spw_memory_world_clean(&memory));
}

Test(gzip, members_follow_one_another)
{
    static struct file all;
    for (uint64_t bytes = 0; bytes < 40; bytes += 13) {
        make_content(bytes);
        file_add_gzip(&packed, &content);
        file_add(&all, content.data, content.bytes);
    }
    const struct spw_memory_file file = {"path.gz", packed.data, packed.bytes};
    struct spw_memory_world memory;
    spw_memory_world_init(&memory, &file, 1);
    read_in_parts(&memory.world, 1, 5, &all);
    read_in_parts(&memory.world, 50, 50, &all);
    cr_assert(spw_memory_world_clean(&memory));
}

static void expect_refusal(const struct spw_world *world, const char *path, const char *words)
{
    struct spw_source source;
    struct spw_error error = {0};
    cr_assert(spw_source_open(world, path, &error, &source) == SPW_ERR_USAGE);
    cr_assert(strstr(error.what, path) == error.what, "%s", error.what);
    cr_assert(strstr(error.what, words) != NULL, "%s", error.what);
}

Test(source, refuses_what_is_no_file)
{
    struct spw_temporary temporary;
    char path[512];
    spw_temporary_init(&temporary);
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    expect_refusal(&fault.world, temporary.path, "Is a directory");
    expect_refusal(&fault.world, spw_temporary_path(&temporary, "none", path), "No such file");
    /* Nobody writes to the pipe: opening it must not wait. */
    cr_assert(mkfifo(spw_temporary_path(&temporary, "pipe.gz", path), 0600) == 0);
    expect_refusal(&fault.world, path, "a pipe or device");
    expect_refusal(&fault.world, "/dev/zero", "a pipe or device");
    spw_temporary_write(&temporary, "file", "x", 1);
    expect_refusal(&fault.world, spw_temporary_path(&temporary, "file/inside", path),
                   "Not a directory");
    cr_assert(spw_fault_world_clean(&fault));
    spw_temporary_deinit(&temporary);
}

/* A file that shrinks or grows between its opening and its end. */
Test(source, notices_a_file_that_changes)
{
    make_content(100);
    struct spw_memory_file file = {"path", content.data, 100};
    struct spw_memory_world memory;
    spw_memory_world_init(&memory, &file, 1);
    for (int way = 0; way < 2; way++) {
        struct spw_source source;
        struct spw_error error = {0};
        uint8_t got[100];
        file.bytes = 100;
        cr_assert(spw_source_open(&memory.world, "path", &error, &source) == SPW_OK);
        cr_assert(spw_source_declare(&source, 100, &error) == SPW_OK);
        file.bytes = way == 0 ? 99 : 101;
        enum spw_status status = spw_source_read_all(&source, got, 100, &error);
        if (way == 1) {
            cr_assert(status == SPW_OK);
            status = spw_source_finish(&source, &error);
        }
        cr_assert(status == SPW_ERR_USAGE);
        cr_assert(strstr(error.what, "something changes it") != NULL, "%s", error.what);
        spw_source_close(&source);
    }
    cr_assert(spw_memory_world_clean(&memory));
}
