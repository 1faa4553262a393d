/* Tests of tests/support/fault_world.c: an injector that doesn't inject makes every fault test
 * pass. */
#include "tests/support/fault_world.h"

#include "tests/support/temporary.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(fault_world, fails_exactly_the_named_allocation)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = 3});
    for (int call = 1; call <= 6; call++) {
        void *memory = fault.world.allocate(fault.world.self, 10);
        cr_assert((memory == NULL) == (call == 3), "call %d", call);
        fault.world.release(fault.world.self, memory);
    }
    cr_assert(spw_fault_world_struck(&fault));
    cr_assert(atomic_load(&fault.failed[SPW_FAULT_ALLOCATION]) == 1);
}

Test(fault_world, a_sticky_rule_fails_from_then_on)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    spw_fault_world_arm(&fault, SPW_FAULT_FILE,
                        (struct spw_fault_rule){.at = 2, .sticky = true, .native = ENOSPC});
    bool is_directory;
    cr_assert(fault.world.exists(fault.world.self, "/", &is_directory) == 0);
    for (int i = 0; i < 3; i++) {
        cr_assert(fault.world.exists(fault.world.self, "/", &is_directory) == ENOSPC);
    }
    spw_fault_world_arm(&fault, SPW_FAULT_FILE, (struct spw_fault_rule){0});
    cr_assert(fault.world.exists(fault.world.self, "/", &is_directory) == 0);
    cr_assert(!spw_fault_world_struck(&fault));
}

Test(fault_world, a_full_disk_fails_only_what_needs_room)
{
    struct spw_temporary temporary;
    struct spw_fault_world fault;
    struct spw_file *file;
    char old_path[512], new_path[512];
    spw_temporary_init(&temporary);
    spw_temporary_write(&temporary, "old", "abc", 3);
    (void)spw_temporary_path(&temporary, "old", old_path);
    (void)spw_temporary_path(&temporary, "new", new_path);
    spw_fault_world_init(&fault, spw_world_system());
    spw_fault_world_arm(
        &fault, SPW_FAULT_FILE,
        (struct spw_fault_rule){.at = 1, .sticky = true, .full_disk = true, .native = ENOSPC});
    const struct spw_world *world = &fault.world;
    cr_assert(world->open(world->self, new_path, SPW_OPEN_CREATE, &file) == ENOSPC);
    cr_assert(world->open(world->self, new_path, SPW_OPEN_APPEND, &file) == ENOSPC);
    cr_assert(world->make_directory(world->self, new_path) == ENOSPC);
    cr_assert(world->open(world->self, old_path, SPW_OPEN_READ, &file) == 0);
    cr_assert(world->close(world->self, file) == 0);
    cr_assert(world->rename(world->self, old_path, new_path) == 0);
    cr_assert(world->remove(world->self, new_path) == 0);
    cr_assert(spw_fault_world_clean(&fault));
    spw_temporary_deinit(&temporary);
}

Test(fault_world, sees_what_is_left_over)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    spw_temporary_write(&temporary, "file", "abc", 3);
    char path[512];
    spw_temporary_path(&temporary, "file", path);

    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    cr_assert(spw_fault_world_clean(&fault));
    void *memory = fault.world.allocate(fault.world.self, 10);
    cr_assert(!spw_fault_world_clean(&fault));
    fault.world.release(fault.world.self, memory);
    fault.world.release(fault.world.self, NULL);
    cr_assert(spw_fault_world_clean(&fault));

    struct spw_file *file;
    cr_assert(fault.world.open(fault.world.self, path, SPW_OPEN_READ, &file) == 0);
    cr_assert(!spw_fault_world_clean(&fault));
    /* A close that fails has closed all the same. */
    spw_fault_world_arm(&fault, SPW_FAULT_FILE, (struct spw_fault_rule){.at = 1});
    cr_assert(fault.world.close(fault.world.self, file) == EIO);
    cr_assert(spw_fault_world_clean(&fault));
    spw_temporary_deinit(&temporary);
}

Test(fault_world, can_read_a_little_at_a_time)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    spw_temporary_write(&temporary, "file", "abcdefghij", 10);
    char path[512];
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    fault.read_bytes_max = 3;
    struct spw_file *file;
    cr_assert(fault.world.open(fault.world.self, spw_temporary_path(&temporary, "file", path),
                               SPW_OPEN_READ, &file) == 0);
    char data[10];
    uint64_t got;
    uint64_t total = 0;
    do {
        cr_assert(fault.world.read(fault.world.self, file, data, sizeof(data), &got) == 0);
        cr_assert(got <= 3);
        total += got;
    } while (got > 0);
    cr_assert(total == 10);
    cr_assert(fault.world.close(fault.world.self, file) == 0);
    spw_temporary_deinit(&temporary);
}
