/* Tests of base/world.c and base/world_system.c, with every file call and allocation failing once.
 */
#include "base/world.h"

#include "base/status.h"
#include "tests/support/fault_world.h"
#include "tests/support/temporary.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static struct spw_temporary temporary; /* one process per test */

static void set_up(void)
{
    spw_temporary_init(&temporary);
}

static void tear_down(void)
{
    spw_temporary_deinit(&temporary);
}

TestSuite(world, .init = set_up, .fini = tear_down);

static const char *at(const char *name, char out[512])
{
    return spw_temporary_path(&temporary, name, out);
}

Test(world, clocks_run)
{
    const struct spw_world *world = spw_world_system();
    const uint64_t start_ns = spw_now_ns(world);
    const uint64_t deadline_ns = start_ns + 5000000;
    world->sleep_until(world->self, deadline_ns);
    cr_assert(spw_now_ns(world) >= deadline_ns);
    world->sleep_until(world->self, start_ns); /* already past: returns at once */
    /* After 2020: nanoseconds, not some other unit. */
    cr_assert(world->wall_ns(world->self) > UINT64_C(1577836800000000000));
}

Test(world, memory_is_aligned_and_impossible_sizes_are_refused)
{
    const struct spw_world *world = spw_world_system();
    for (uint64_t bytes = 0; bytes < 300; bytes += 7) {
        unsigned char *memory = world->allocate(world->self, bytes);
        cr_assert(memory != NULL && (uintptr_t)memory % 64 == 0);
        memset(memory, 1, bytes);
        world->release(world->self, memory);
    }
    cr_assert(world->allocate(world->self, UINT64_MAX) == NULL);
    cr_assert(world->allocate(world->self, UINT64_MAX / 2 - 100) == NULL);
    world->release(world->self, NULL);
}

Test(world, allocate_zeroes_and_checks_overflow)
{
    const struct spw_world *world = spw_world_system();
    unsigned char *memory = NULL;
    cr_assert(spw_allocate(world, 1000, 3, "bytes", NULL, &memory) == SPW_OK);
    for (int i = 0; i < 3000; i++) {
        cr_assert(memory[i] == 0);
    }
    spw_release(world, memory);

    struct spw_error error = {0};
    memory = NULL;
    cr_assert(spw_allocate(world, UINT64_MAX / 2, 3, "the block table", &error, &memory) ==
              SPW_ERR_NO_MEMORY);
    cr_assert(memory == NULL && strstr(error.what, "the block table") != NULL);
    spw_error_clear(&error);
    cr_assert(spw_allocate(world, UINT64_C(1) << 62, 1, "a universe", &error, &memory) ==
              SPW_ERR_NO_MEMORY);
    cr_assert(strstr(error.what, "4611686018427387904 bytes") != NULL, "%s", error.what);
}

Test(world, grow_keeps_what_is_there_and_doubles)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    const struct spw_world *world = &fault.world;
    uint32_t *numbers = NULL;
    uint64_t capacity = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        cr_assert(spw_grow(world, &numbers, &capacity, i + 1, sizeof(*numbers), "numbers", NULL) ==
                  SPW_OK);
        cr_assert(numbers[i] == 0);
        numbers[i] = i;
    }
    cr_assert(capacity == 1024);
    cr_assert(atomic_load(&fault.calls[SPW_FAULT_ALLOCATION]) == 11);
    for (uint32_t i = 0; i < 1000; i++) {
        cr_assert(numbers[i] == i);
    }

    uint32_t *const before = numbers;
    cr_assert(spw_grow(world, &numbers, &capacity, UINT64_MAX / 2, sizeof(*numbers), "numbers",
                       NULL) == SPW_ERR_NO_MEMORY);
    cr_assert(numbers == before && capacity == 1024 && numbers[999] == 999);
    spw_release(world, numbers);
    cr_assert(spw_fault_world_clean(&fault));
}

Test(world, copies_texts)
{
    char *copy;
    cr_assert(spw_copy_text(spw_world_system(), "spill", NULL, &copy) == SPW_OK);
    cr_assert_str_eq(copy, "spill");
    spw_release(spw_world_system(), copy);
}

Test(world, files_open_as_the_mode_says)
{
    const struct spw_world *world = spw_world_system();
    char path[512];
    struct spw_file *file = NULL;
    at("file", path);
    cr_assert(world->open(world->self, path, SPW_OPEN_READ, &file) == ENOENT);
    cr_assert(world->open(world->self, temporary.path, SPW_OPEN_READ, &file) == EISDIR);
    cr_assert(file == NULL);

    cr_assert(world->open(world->self, path, SPW_OPEN_CREATE, &file) == 0);
    cr_assert(world->write(world->self, file, "one", 3) == 0);
    cr_assert(world->sync(world->self, file) == 0);
    cr_assert(world->close(world->self, file) == 0);
    cr_assert(world->open(world->self, path, SPW_OPEN_CREATE, &file) == EEXIST);

    cr_assert(world->open(world->self, path, SPW_OPEN_APPEND, &file) == 0);
    cr_assert(world->write(world->self, file, "two", 3) == 0);
    cr_assert(world->close(world->self, file) == 0);

    cr_assert(world->open(world->self, path, SPW_OPEN_READ, &file) == 0);
    uint64_t size = 0;
    uint64_t got = 0;
    char data[10] = {0};
    cr_assert(world->size(world->self, file, &size) == 0 && size == 6);
    cr_assert(world->seek(world->self, file, 2) == 0);
    cr_assert(world->read(world->self, file, data, sizeof(data), &got) == 0 && got == 4);
    cr_assert_str_eq(data, "etwo");
    cr_assert(world->read(world->self, file, data, sizeof(data), &got) == 0 && got == 0);
    cr_assert(world->seek(world->self, file, UINT64_MAX) == EOVERFLOW);
    cr_assert(world->close(world->self, file) == 0);
}

Test(world, names_can_be_made_moved_and_removed)
{
    const struct spw_world *world = spw_world_system();
    char path[512];
    char other[512];
    bool is_directory = false;
    at("directory", path);
    at("renamed", other);
    cr_assert(world->exists(world->self, path, &is_directory) == ENOENT);
    cr_assert(world->make_directory(world->self, path) == 0);
    cr_assert(world->make_directory(world->self, path) == EEXIST);
    cr_assert(world->exists(world->self, path, &is_directory) == 0 && is_directory);
    cr_assert(world->rename(world->self, path, other) == 0);
    cr_assert(world->exists(world->self, path, &is_directory) == ENOENT);
    cr_assert(world->remove(world->self, other) == 0);
    cr_assert(world->remove(world->self, other) == ENOENT);
    spw_temporary_write(&temporary, "file", "x", 1);
    cr_assert(world->exists(world->self, at("file", path), &is_directory) == 0 && !is_directory);
}

/* Nobody writes to it: neither opening nor reading may wait for ever. */
Test(world, a_fifo_does_not_hang, .timeout = 5)
{
    char path[512];
    cr_assert(mkfifo(at("fifo", path), 0600) == 0);
    char *data;
    uint64_t bytes;
    cr_assert(spw_read_file(spw_world_system(), path, 100, NULL, &data, &bytes) == SPW_OK);
    cr_assert(bytes == 0);
    spw_release(spw_world_system(), data);
}

Test(world, a_file_is_read_whole_and_terminated)
{
    static char content[100000];
    for (size_t i = 0; i < sizeof(content); i++) {
        content[i] = (char)(i * 7 % 251);
    }
    static const uint64_t sizes[] = {0, 1, 4095, 4096, 4097, 4098, 8192, 100000};
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    for (int limit = 0; limit < 2; limit++) {
        fault.read_bytes_max = limit == 0 ? 0 : 97;
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            char path[512];
            spw_temporary_write(&temporary, "file", content, sizes[i]);
            char *data;
            uint64_t bytes;
            /* Exactly as long as is allowed. */
            cr_assert(spw_read_file(&fault.world, at("file", path), sizes[i], NULL, &data,
                                    &bytes) == SPW_OK);
            cr_assert(bytes == sizes[i] && data[bytes] == '\0');
            cr_assert(memcmp(data, content, bytes) == 0);
            spw_release(&fault.world, data);
        }
    }
    cr_assert(spw_fault_world_clean(&fault));
}

Test(world, reading_says_what_is_wrong)
{
    char path[512];
    char *data = NULL;
    uint64_t bytes = 0;
    struct spw_error error = {0};
    cr_assert(spw_read_file(spw_world_system(), at("missing", path), 100, &error, &data, &bytes) ==
              SPW_ERR_NOT_FOUND);
    cr_assert(error.native == ENOENT && strstr(error.what, path) != NULL);
    cr_assert(strstr(error.what, "cannot open") != NULL, "%s", error.what);

    spw_temporary_write(&temporary, "file", "0123456789", 10);
    spw_error_clear(&error);
    cr_assert(spw_read_file(spw_world_system(), at("file", path), 9, &error, &data, &bytes) ==
              SPW_ERR_USAGE);
    cr_assert(strstr(error.what, "10 bytes long") != NULL, "%s", error.what);
    cr_assert(spw_read_file(spw_world_system(), temporary.path, 9, NULL, &data, &bytes) ==
              SPW_ERR_IO);
    cr_assert(data == NULL && bytes == 0);
}

/* /dev/zero has size 0 and no end: only the limit stops the reader. */
Test(world, an_endless_file_is_refused)
{
    char *data = NULL;
    uint64_t bytes = 0;
    cr_assert(spw_read_file(spw_world_system(), "/dev/zero", 10000, NULL, &data, &bytes) ==
              SPW_ERR_USAGE);
}

static void expect_content(const char *name, const char *content)
{
    char path[512];
    char *data;
    uint64_t bytes;
    cr_assert(spw_read_file(spw_world_system(), at(name, path), 1000, NULL, &data, &bytes) ==
              SPW_OK);
    cr_assert_str_eq(data, content);
    spw_release(spw_world_system(), data);
}

Test(world, a_file_is_written_whole_and_replaces_the_old_one)
{
    char path[512];
    at("file", path);
    cr_assert(spw_write_file(spw_world_system(), path, "first", 5, NULL) == SPW_OK);
    expect_content("file", "first");
    /* A temporary that a killed run left behind is no obstacle. */
    spw_temporary_write(&temporary, "file.tmp", "half", 4);
    cr_assert(spw_write_file(spw_world_system(), path, "second", 6, NULL) == SPW_OK);
    expect_content("file", "second");
    cr_assert(spw_temporary_count(&temporary) == 1);
}

/* The N-th call fails, for every N: the old file is complete or the new one is, nothing else is
 * left on the disk, in memory or open. */
Test(world, writing_survives_every_failing_call)
{
    char path[512];
    at("file", path);
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    for (int kind = 0; kind < SPW_FAULT_KINDS; kind++) {
        uint64_t struck = 0;
        for (uint64_t n = 1;; n++) {
            spw_temporary_write(&temporary, "file", "old", 3);
            spw_fault_world_arm(&fault, (enum spw_fault_kind)kind,
                                (struct spw_fault_rule){.at = n, .native = ENOSPC});
            struct spw_error error = {0};
            const enum spw_status status =
                spw_write_file(&fault.world, path, "new content", 11, &error);
            cr_assert(spw_fault_world_clean(&fault), "kind %d call %u", kind, (unsigned)n);
            cr_assert(spw_temporary_count(&temporary) == 1, "kind %d call %u", kind, (unsigned)n);
            if (!spw_fault_world_struck(&fault)) {
                cr_assert(status == SPW_OK);
                expect_content("file", "new content");
                break;
            }
            cr_assert(status != SPW_OK && error.status == status && error.what[0] != '\0');
            expect_content("file", "old");
            struck++;
        }
        /* One allocation; open, write, sync, close, rename. */
        cr_assert(struck == (kind == SPW_FAULT_ALLOCATION ? 1 : 5), "kind %d: %u", kind,
                  (unsigned)struck);
    }
}

Test(world, reading_survives_every_failing_call)
{
    char path[512];
    at("file", path);
    spw_temporary_write(&temporary, "file", "content", 7);
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    for (int kind = 0; kind < SPW_FAULT_KINDS; kind++) {
        uint64_t struck = 0;
        for (uint64_t n = 1;; n++) {
            spw_fault_world_arm(&fault, (enum spw_fault_kind)kind,
                                (struct spw_fault_rule){.at = n});
            struct spw_error error = {0};
            char *data = NULL;
            uint64_t bytes = 0;
            const enum spw_status status =
                spw_read_file(&fault.world, path, 100, &error, &data, &bytes);
            if (status == SPW_OK) {
                cr_assert(bytes == 7 && strcmp(data, "content") == 0);
            } else {
                cr_assert(data == NULL && error.status == status);
            }
            spw_release(&fault.world, data);
            cr_assert(spw_fault_world_clean(&fault), "kind %d call %u", kind, (unsigned)n);
            if (!spw_fault_world_struck(&fault)) {
                break;
            }
            struck++;
        }
        cr_assert(struck >= 1);
    }
}

Test(world, errno_values_become_statuses_and_sentences)
{
    char text[96];
    cr_assert(spw_errno_status(ENOENT) == SPW_ERR_NOT_FOUND);
    cr_assert(spw_errno_status(EEXIST) == SPW_ERR_EXISTS);
    cr_assert(spw_errno_status(ENOMEM) == SPW_ERR_NO_MEMORY);
    cr_assert(spw_errno_status(ENOSPC) == SPW_ERR_IO);
    cr_assert_str_eq(spw_errno_text(ENOSPC, text), "No space left on device");
    cr_assert(spw_errno_text(99999, text)[0] != '\0');
}
