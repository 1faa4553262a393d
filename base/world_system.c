/* world_system.c — the real world: glibc's allocator, POSIX files, the kernel's clocks.
 *
 * It keeps no state and retries nothing but interrupted calls. Tested by tests/base/test_world.c.
 */
#include "base/world.h"

#include "base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A cache line, and the widest vector register. */
#define MEMORY_ALIGNMENT 64

/* Linux moves at most about 2 GiB per call anyway; a smaller bound keeps ssize_t out of trouble. */
#define TRANSFER_BYTES_MAX (UINT64_C(1) << 30)

struct spw_file {
    int descriptor;
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    SPW_ASSERT(clock_gettime(clock, &time) == 0);
    return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

static uint64_t system_now_ns(void *self)
{
    (void)self;
    return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t system_wall_ns(void *self)
{
    (void)self;
    return clock_ns(CLOCK_REALTIME);
}

static void system_sleep_until(void *self, uint64_t deadline_ns)
{
    (void)self;
    const struct timespec deadline = {
        .tv_sec = (time_t)(deadline_ns / UINT64_C(1000000000)),
        .tv_nsec = (long)(deadline_ns % UINT64_C(1000000000)),
    };
    /* An absolute deadline: an interrupted sleep continues without drift. */
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR) {
    }
}

static void *system_allocate(void *self, uint64_t bytes)
{
    (void)self;
    if (bytes > PTRDIFF_MAX) {
        return NULL;
    }
    void *memory = NULL;
    const size_t wanted = bytes > 0 ? (size_t)bytes : 1;
    return posix_memalign(&memory, MEMORY_ALIGNMENT, wanted) == 0 ? memory : NULL;
}

static void system_release(void *self, void *memory)
{
    (void)self;
    free(memory);
}

static int open_flags(enum spw_open_mode mode)
{
    switch (mode) {
    case SPW_OPEN_READ:
        /* Without O_NONBLOCK, opening a FIFO that nobody writes to would hang for ever. */
        return O_RDONLY | O_NONBLOCK;
    case SPW_OPEN_CREATE:
        return O_WRONLY | O_CREAT | O_EXCL;
    case SPW_OPEN_APPEND:
        return O_WRONLY | O_CREAT | O_APPEND;
    }
    SPW_NEVER("an open mode");
}

/* What open() alone lets through: a directory opens for reading, and O_NONBLOCK sticks. */
static int check_opened(int descriptor, enum spw_open_mode mode)
{
    if (mode != SPW_OPEN_READ) {
        return 0;
    }
    struct stat status;
    if (fstat(descriptor, &status) != 0) {
        return errno;
    }
    if (S_ISDIR(status.st_mode)) {
        return EISDIR;
    }
    const int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK) < 0) {
        return errno;
    }
    return 0;
}

static int system_open(void *self, const char *path, enum spw_open_mode mode, struct spw_file **out)
{
    (void)self;
    int descriptor;
    do {
        descriptor = open(path, open_flags(mode) | O_CLOEXEC, 0666);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0) {
        return errno;
    }

    int native = check_opened(descriptor, mode);
    struct spw_file *file = NULL;
    if (native == 0) {
        file = malloc(sizeof(*file));
        native = file == NULL ? ENOMEM : 0;
    }
    if (native != 0) {
        (void)close(descriptor);
        return native;
    }
    file->descriptor = descriptor;
    *out = file;
    return 0;
}

static int system_read(void *self, struct spw_file *file, void *into, uint64_t bytes, uint64_t *got)
{
    (void)self;
    const size_t wanted = (size_t)(bytes < TRANSFER_BYTES_MAX ? bytes : TRANSFER_BYTES_MAX);
    ssize_t count;
    do {
        count = read(file->descriptor, into, wanted);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        return errno;
    }
    *got = (uint64_t)count;
    return 0;
}

static int system_write(void *self, struct spw_file *file, const void *from, uint64_t bytes)
{
    (void)self;
    const char *next = from;
    while (bytes > 0) {
        const size_t wanted = (size_t)(bytes < TRANSFER_BYTES_MAX ? bytes : TRANSFER_BYTES_MAX);
        const ssize_t count = write(file->descriptor, next, wanted);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return errno;
        }
        if (count == 0) {
            return EIO; /* No progress and no reason: better an error than a loop. */
        }
        next += count;
        bytes -= (uint64_t)count;
    }
    return 0;
}

static int system_seek(void *self, struct spw_file *file, uint64_t offset)
{
    (void)self;
    if (offset > INT64_MAX) {
        return EOVERFLOW;
    }
    return lseek(file->descriptor, (off_t)offset, SEEK_SET) < 0 ? errno : 0;
}

static int system_size(void *self, struct spw_file *file, uint64_t *bytes)
{
    (void)self;
    struct stat status;
    if (fstat(file->descriptor, &status) != 0) {
        return errno;
    }
    *bytes = (uint64_t)status.st_size;
    return 0;
}

static int system_sync(void *self, struct spw_file *file)
{
    (void)self;
    /* Pipes and terminals have nothing to sync; that is no failure. */
    return fsync(file->descriptor) != 0 && errno != EINVAL ? errno : 0;
}

static int system_close(void *self, struct spw_file *file)
{
    (void)self;
    /* After EINTR the descriptor is gone on Linux; a second close could hit somebody else's. */
    const int native = close(file->descriptor) != 0 && errno != EINTR ? errno : 0;
    free(file);
    return native;
}

static int system_make_directory(void *self, const char *path)
{
    (void)self;
    return mkdir(path, 0777) != 0 ? errno : 0;
}

static int system_rename(void *self, const char *from, const char *to)
{
    (void)self;
    return rename(from, to) != 0 ? errno : 0;
}

static int system_remove(void *self, const char *path)
{
    (void)self;
    return remove(path) != 0 ? errno : 0;
}

static int system_exists(void *self, const char *path, bool *is_directory)
{
    (void)self;
    struct stat status;
    if (stat(path, &status) != 0) {
        return errno;
    }
    *is_directory = S_ISDIR(status.st_mode);
    return 0;
}

static const struct spw_world system_world = {
    .self = NULL,
    .now_ns = system_now_ns,
    .wall_ns = system_wall_ns,
    .sleep_until = system_sleep_until,
    .allocate = system_allocate,
    .release = system_release,
    .open = system_open,
    .read = system_read,
    .write = system_write,
    .seek = system_seek,
    .size = system_size,
    .sync = system_sync,
    .close = system_close,
    .make_directory = system_make_directory,
    .rename = system_rename,
    .remove = system_remove,
    .exists = system_exists,
};

const struct spw_world *spw_world_system(void)
{
    return &system_world;
}
