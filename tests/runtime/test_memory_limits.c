/* Tests of runtime/device/memory_limits.c, on trees like those of real machines and containers. */
#include "runtime/device/memory_limits.h"

#include "tests/support/temporary.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define GIB (UINT64_C(1) << 30)

static struct spw_temporary tree_of(const char *meminfo)
{
    struct spw_temporary tree;
    spw_temporary_init(&tree);
    char path[512];
    const char *const folders[] = {"proc", "proc/self", "sys", "sys/fs", "sys/fs/cgroup"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        cr_assert(mkdir(spw_temporary_path(&tree, folders[i], path), 0700) == 0);
    }
    if (meminfo != NULL) {
        spw_temporary_write(&tree, "proc/meminfo", meminfo, strlen(meminfo));
    }
    return tree;
}

static void add(const struct spw_temporary *tree, const char *name, const char *text)
{
    char path[512];
    for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        char folder[256];
        (void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - name), name);
        (void)mkdir(spw_temporary_path(tree, folder, path), 0700);
    }
    spw_temporary_write(tree, name, text, strlen(text));
}

/* Reads the tree, removes it. */
static struct spw_memory_limits limits_of(struct spw_temporary *tree)
{
    struct spw_memory_limits limits = {0};
    struct spw_error error = {0};
    cr_assert(spw_memory_limits_read(spw_world_system(), tree->path, &error, &limits) == SPW_OK,
              "%s", error.what);
    spw_temporary_deinit(tree);
    return limits;
}

static const char machine[] = "MemTotal:       33554432 kB\n"
                              "MemFree:         1048576 kB\n"
                              "MemAvailable:   16777216 kB\n"
                              "Buffers:             512 kB\n";

Test(memory_limits, are_the_machines_without_groups)
{
    struct spw_temporary tree = tree_of(machine);
    const struct spw_memory_limits limits = limits_of(&tree);
    cr_assert(limits.total_bytes == 32 * GIB && limits.free_bytes == 16 * GIB);
}

Test(memory_limits, of_version_2)
{
    struct spw_temporary tree = tree_of(machine);
    add(&tree, "proc/self/cgroup", "0::/user.slice/job\n");
    add(&tree, "sys/fs/cgroup/user.slice/job/memory.max", "8589934592\n");
    add(&tree, "sys/fs/cgroup/user.slice/job/memory.current", "3221225472\n");
    add(&tree, "sys/fs/cgroup/user.slice/job/memory.stat",
        "anon 2147483648\nfile 1073741824\ninactive_file 1073741824\nactive_file 0\n");
    const struct spw_memory_limits limits = limits_of(&tree);
    cr_assert(limits.total_bytes == 8 * GIB);
    cr_assert(limits.free_bytes == 6 * GIB, "file pages can be dropped");
}

Test(memory_limits, of_a_parent_count)
{
    struct spw_temporary tree = tree_of(machine);
    add(&tree, "proc/self/cgroup", "0::/a/b\n");
    add(&tree, "sys/fs/cgroup/a/b/memory.max", "max\n");
    add(&tree, "sys/fs/cgroup/a/b/memory.current", "1\n");
    add(&tree, "sys/fs/cgroup/a/memory.max", "4294967296\n");
    add(&tree, "sys/fs/cgroup/a/memory.current", "1073741824\n");
    const struct spw_memory_limits limits = limits_of(&tree);
    cr_assert(limits.total_bytes == 4 * GIB && limits.free_bytes == 3 * GIB);
}

/* A container sees the path outside, but only its own group, mounted at the root. */
Test(memory_limits, of_a_container)
{
    struct spw_temporary tree = tree_of(machine);
    add(&tree, "proc/self/cgroup", "0::/docker/0123456789abcdef\n");
    add(&tree, "sys/fs/cgroup/memory.max", "2147483648\n");
    add(&tree, "sys/fs/cgroup/memory.current", "1073741824\n");
    const struct spw_memory_limits limits = limits_of(&tree);
    cr_assert(limits.total_bytes == 2 * GIB && limits.free_bytes == 1 * GIB);
}

Test(memory_limits, of_version_1)
{
    struct spw_temporary tree = tree_of(machine);
    add(&tree, "proc/self/cgroup", "12:cpu,cpuacct:/other\n5:memory:/job\n1:name=systemd:/\n");
    add(&tree, "sys/fs/cgroup/memory/job/memory.limit_in_bytes", "8589934592\n");
    add(&tree, "sys/fs/cgroup/memory/job/memory.usage_in_bytes", "2147483648\n");
    add(&tree, "sys/fs/cgroup/memory/job/memory.stat",
        "inactive_file 1\ntotal_inactive_file 1073741824\n");
    add(&tree, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    const struct spw_memory_limits limits = limits_of(&tree);
    cr_assert(limits.total_bytes == 8 * GIB && limits.free_bytes == 7 * GIB);
}

Test(memory_limits, a_full_group_has_nothing_free)
{
    struct spw_temporary tree = tree_of(machine);
    add(&tree, "proc/self/cgroup", "0::/\n");
    add(&tree, "sys/fs/cgroup/memory.max", "1073741824\n");
    add(&tree, "sys/fs/cgroup/memory.current", "1073745920\n");
    const struct spw_memory_limits limits = limits_of(&tree);
    cr_assert(limits.total_bytes == 1 * GIB && limits.free_bytes == 0);
}

/* A group may allow more than the machine has left. */
Test(memory_limits, are_never_more_than_the_machine_has)
{
    struct spw_temporary tree = tree_of(machine);
    add(&tree, "proc/self/cgroup", "0::/\n");
    add(&tree, "sys/fs/cgroup/memory.max", "32212254720\n");
    add(&tree, "sys/fs/cgroup/memory.current", "4096\n");
    const struct spw_memory_limits limits = limits_of(&tree);
    cr_assert(limits.total_bytes == 30 * GIB && limits.free_bytes == 16 * GIB);
}

Test(memory_limits, nonsense_in_group_files_limits_nothing)
{
    const char *const lines[] = {"", "\n", "0", "0:", "0::", "::::\n", "0::/x\n\n", "memory\n"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct spw_temporary tree = tree_of(machine);
        add(&tree, "proc/self/cgroup", lines[i]);
        add(&tree, "sys/fs/cgroup/x/memory.max", "99999999999999999999999999999999\n");
        add(&tree, "sys/fs/cgroup/memory.max", "lots\n");
        const struct spw_memory_limits limits = limits_of(&tree);
        cr_assert(limits.total_bytes == 32 * GIB, "line %d", (int)i);
        cr_assert(limits.free_bytes == 16 * GIB, "line %d", (int)i);
    }
}

Test(memory_limits, need_meminfo)
{
    const char *const texts[] = {NULL, "", "MemTotal: 5 kB\n", "MemTotal: x\nMemAvailable: 1 kB\n",
                                 "MemTotal: 99999999999999999999 kB\nMemAvailable: 1 kB\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct spw_temporary tree = tree_of(texts[i]);
        struct spw_memory_limits limits;
        struct spw_error error = {0};
        cr_assert(spw_memory_limits_read(spw_world_system(), tree.path, &error, &limits) ==
                  (i == 0 ? SPW_ERR_NOT_FOUND : SPW_ERR_IO));
        cr_assert(strstr(error.what, "/proc/meminfo") != NULL, "%s", error.what);
        spw_temporary_deinit(&tree);
    }
}
