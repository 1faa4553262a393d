/* memory_limits.c — /proc/meminfo, and the memory files of control groups, versions 1 and 2.
 *
 * A group is limited by itself and by each of its parents. In a container the path that the kernel
 * tells may not exist below /sys/fs/cgroup, as only the container's own group is mounted there, at
 * the root: so the walk towards the root ends at the root itself in any case.
 * Tested by tests/runtime/test_memory_limits.c. */
#include "runtime/device/memory_limits.h"

#include "base/status.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define PATH_BYTES 1024
#define FILE_BYTES_MAX (UINT64_C(1) << 20)

/* The names that the two versions give to the same things. */
struct version {
    const char *mount;
    const char *limit;
    const char *usage;
    const char *inactive; /* line of memory.stat: file pages that can be dropped at once */
};
static const struct version version1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                        "memory.usage_in_bytes", "total_inactive_file "};
static const struct version version2 = {"/sys/fs/cgroup", "memory.max", "memory.current",
                                        "inactive_file "};

/* The digits at `place` as a number; false if there are none or too many. */
static bool number_at(const char *place, uint64_t *value)
{
    char digits[24];
    size_t length = strspn(place, "0123456789");
    if (length >= sizeof(digits)) {
        return false;
    }
    memcpy(digits, place, length);
    digits[length] = '\0';
    return spw_parse_unsigned(digits, UINT64_MAX, value);
}

/* The number after `label` at the beginning of a line. */
static bool number_of_line(const char *text, const char *label, uint64_t *value)
{
    const size_t length = strlen(label);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, label, length) == 0) {
            line += length;
            return number_at(line + strspn(line, " \t"), value);
        }
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    return false;
}

/* The number in a file: after `label`, or the first thing in it (NULL). "max" is none. */
static bool number_of_file(const struct spw_world *world, const char *path, const char *label,
                           uint64_t *value)
{
    char *text;
    uint64_t bytes;
    if (spw_read_file(world, path, FILE_BYTES_MAX, NULL, &text, &bytes) != SPW_OK) {
        return false;
    }
    const bool found = label == NULL ? number_at(text, value) : number_of_line(text, label, value);
    spw_release(world, text);
    return found;
}

static void lower(uint64_t *value, uint64_t limit)
{
    *value = limit < *value ? limit : *value;
}

/* Takes the limit of one group into account, if it has one. */
static void apply_group(const struct spw_world *world, const char *folder,
                        const struct version *version, struct spw_memory_limits *limits)
{
    char path[PATH_BYTES + 64];
    uint64_t limit;
    uint64_t usage = 0;
    uint64_t inactive = 0;
    (void)snprintf(path, sizeof(path), "%s/%s", folder, version->limit);
    if (!number_of_file(world, path, NULL, &limit) || limit >= limits->total_bytes) {
        return; /* version 1 says "no limit" by a huge number */
    }
    (void)snprintf(path, sizeof(path), "%s/%s", folder, version->usage);
    (void)number_of_file(world, path, NULL, &usage);
    (void)snprintf(path, sizeof(path), "%s/memory.stat", folder);
    (void)number_of_file(world, path, version->inactive, &inactive);
    usage -= inactive < usage ? inactive : usage;
    lower(&limits->total_bytes, limit);
    lower(&limits->free_bytes, usage < limit ? limit - usage : 0);
}

/* `group` ("/system.slice/job") and all its parents, the root included. */
static void apply_groups(const struct spw_world *world, const char *root,
                         const struct version *version, const char *group,
                         struct spw_memory_limits *limits)
{
    char folder[PATH_BYTES];
    const int mount_length = snprintf(folder, sizeof(folder), "%s%s", root, version->mount);
    const int length = snprintf(folder, sizeof(folder), "%s%s%s", root, version->mount, group);
    if (mount_length < 0 || length < 0 || (size_t)length >= sizeof(folder)) {
        return;
    }
    for (;;) {
        apply_group(world, folder, version, limits);
        char *slash = strrchr(folder, '/');
        if (slash == NULL || slash < folder + mount_length) {
            return;
        }
        *slash = '\0';
    }
}

/* One line of /proc/self/cgroup: "ID:CONTROLLERS:PATH", with ID 0 and no controllers for version 2.
 */
static void apply_line(const struct spw_world *world, const char *root, const char *line,
                       struct spw_memory_limits *limits)
{
    const char *controllers = strchr(line, ':');
    const char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (path == NULL) {
        return;
    }
    controllers++;
    char list[256];
    (void)snprintf(list, sizeof(list), ",%.*s,", (int)(path - controllers), controllers);
    if (strcmp(list, ",,") == 0) {
        apply_groups(world, root, &version2, path + 1, limits);
    } else if (strstr(list, ",memory,") != NULL) {
        apply_groups(world, root, &version1, path + 1, limits);
    }
}

static void apply_control_groups(const struct spw_world *world, const char *root,
                                 struct spw_memory_limits *limits)
{
    char path[PATH_BYTES];
    char *text;
    uint64_t bytes;
    (void)snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    if (spw_read_file(world, path, FILE_BYTES_MAX, NULL, &text, &bytes) != SPW_OK) {
        return;
    }
    char *line = text;
    while (line != NULL && *line != '\0') {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        apply_line(world, root, line, limits);
        line = end;
    }
    spw_release(world, text);
}

enum spw_status spw_memory_limits_read(const struct spw_world *world, const char *root,
                                       struct spw_error *error, struct spw_memory_limits *out)
{
    char path[PATH_BYTES];
    char *text;
    uint64_t bytes;
    (void)snprintf(path, sizeof(path), "%s/proc/meminfo", root);
    SPW_TRY(spw_read_file(world, path, FILE_BYTES_MAX, error, &text, &bytes));
    uint64_t total_kib;
    uint64_t free_kib;
    const bool good = number_of_line(text, "MemTotal:", &total_kib) &&
                      number_of_line(text, "MemAvailable:", &free_kib) &&
                      total_kib <= UINT64_MAX >> 10 && free_kib <= UINT64_MAX >> 10;
    spw_release(world, text);
    if (!good) {
        return SPW_FAIL(error, SPW_ERR_IO, "%s: lines MemTotal and MemAvailable are missing", path);
    }
    struct spw_memory_limits limits = {.total_bytes = total_kib << 10,
                                       .free_bytes = free_kib << 10};
    apply_control_groups(world, root, &limits);
    *out = limits;
    return SPW_OK;
}
