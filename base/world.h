/* world.h — the outside world behind one replaceable table: time, memory, files.
 *
 * Everything in Spillway that tells the time, allocates, or touches a file goes through a
 * `struct spw_world`, so that tests can make the N-th allocation or file call fail, count calls, or
 * run on virtual time. Production code uses spw_world_system(). Thread-safe if the table's
 * functions are; the system's are. Tested by tests/base/test_world.c and tests/fault/. */
#ifndef SPW_BASE_WORLD_H
#define SPW_BASE_WORLD_H

#include "base/status.h"
#include <spillway.h>

struct spw_file; /* an open file; owned by the world that opened it */

enum spw_open_mode {
    SPW_OPEN_READ,   /* must exist */
    SPW_OPEN_CREATE, /* must not exist */
    SPW_OPEN_APPEND, /* created if missing, writes go to the end */
};

struct spw_world {
    void *self;

    /* Monotonic nanoseconds. */
    uint64_t (*now_ns)(void *self);
    /* Wall clock, nanoseconds since 1970 UTC; for time stamps in reports only, never for decisions.
     */
    uint64_t (*wall_ns)(void *self);
    /* Sleeps until now_ns() >= deadline_ns. */
    void (*sleep_until)(void *self, uint64_t deadline_ns);

    /* `bytes` of memory aligned to 64, contents undefined; NULL if there is none. */
    void *(*allocate)(void *self, uint64_t bytes);
    void (*release)(void *self, void *memory); /* NULL is allowed */

    /* Files. Each returns 0 or an errno value. */
    int (*open)(void *self, const char *path, enum spw_open_mode mode, struct spw_file **out);
    /* Reads up to `bytes`; *got is 0 at the end of the file. */
    int (*read)(void *self, struct spw_file *file, void *into, uint64_t bytes, uint64_t *got);
    int (*write)(void *self, struct spw_file *file, const void *from, uint64_t bytes);
    int (*seek)(void *self, struct spw_file *file, uint64_t offset);
    int (*size)(void *self, struct spw_file *file, uint64_t *bytes);
    int (*sync)(void *self, struct spw_file *file);
    /* Frees `file` even when it reports an error. */
    int (*close)(void *self, struct spw_file *file);
    int (*make_directory)(void *self, const char *path);
    int (*rename)(void *self, const char *from, const char *to);
    int (*remove)(void *self, const char *path); /* a file or an empty directory */
    int (*exists)(void *self, const char *path, bool *is_directory); /* 0, ENOENT, or another */
};

/* The real world. A constant; never NULL. */
const struct spw_world *spw_world_system(void);

/* Conveniences on top of the table; `world` is never NULL. */
uint64_t spw_now_ns(const struct spw_world *world);
/* Zeroed memory for `count` elements of `size` bytes, overflow checked; SPW_ERR_NO_MEMORY is
 * recorded with `what` ("the block table"). The caller releases with spw_release(). */
enum spw_status spw_allocate(const struct spw_world *world, uint64_t count, uint64_t size,
                             const char *what, struct spw_error *error, void *out_pointer);
void spw_release(const struct spw_world *world, void *memory);
/* Grows an array to hold `needed` elements, at least doubling; zeroes the new part. `array_pointer`
 * is the address of the element pointer. On failure nothing changes. */
enum spw_status spw_grow(const struct spw_world *world, void *array_pointer, uint64_t *capacity,
                         uint64_t needed, uint64_t size, const char *what, struct spw_error *error);
/* A copy of `text`, released with spw_release(). */
enum spw_status spw_copy_text(const struct spw_world *world, const char *text,
                              struct spw_error *error, char **out);
/* The whole file, NUL-terminated past its end, at most `bytes_max` bytes (more is SPW_ERR_USAGE).
 * SPW_ERR_NOT_FOUND if it is missing. The caller releases *out. */
enum spw_status spw_read_file(const struct spw_world *world, const char *path, uint64_t bytes_max,
                              struct spw_error *error, char **out, uint64_t *bytes);
/* Writes a whole file so that it is either complete or absent: temporary name, write, sync, rename.
 * On failure the temporary is removed. */
enum spw_status spw_write_file(const struct spw_world *world, const char *path, const void *data,
                               uint64_t bytes, struct spw_error *error);

/* For callers that use the file functions of the table directly. */

/* The status for an errno value: ENOENT and ENOTDIR are SPW_ERR_NOT_FOUND, EEXIST is
 * SPW_ERR_EXISTS, ENOMEM is SPW_ERR_NO_MEMORY, the rest SPW_ERR_IO. */
enum spw_status spw_errno_status(int native);
/* The sentence for an errno value; returns `out`. Thread-safe. */
const char *spw_errno_text(int native, char out[96]);
/* Records "PATH: cannot ACTION: reason", as in SPW_FAIL_FILE(error, native, "open", path), and is
 * the status. */
#define SPW_FAIL_FILE(error, native, action, path)                                                 \
    SPW_FAIL_NATIVE((error), spw_errno_status(native), (native), "%s: cannot %s: %s", (path),      \
                    (action), spw_errno_text((native), (char[96]){0}))

#endif
