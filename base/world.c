/* world.c — conveniences on top of a world's table: checked allocation and whole files.
 *
 * It knows no system call; those are in world_system.c. Tested by tests/base/test_world.c, with
 * failing calls too. */
#include "base/world.h"

#include "base/assert.h"
#include "base/checked.h"
#include "base/new_file.h"
#include "base/pointer.h"
#include "base/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The first guess at the size of a file that doesn't know its own, such as a pipe. */
#define READ_BYTES_MIN 4096

uint64_t spw_now_ns(const struct spw_world *world)
{
    return world->now_ns(world->self);
}

enum spw_status spw_errno_status(int native)
{
    switch (native) {
    case ENOENT:
    case ENOTDIR:
        return SPW_ERR_NOT_FOUND;
    case EEXIST:
        return SPW_ERR_EXISTS;
    case ENOMEM:
        return SPW_ERR_NO_MEMORY;
    default:
        return SPW_ERR_IO;
    }
}

const char *spw_errno_text(int native, char out[96])
{
    /* The GNU variant may return a constant instead of filling the buffer. */
    const char *text = strerror_r(native, out, 96);
    if (text != out) {
        (void)snprintf(out, 96, "%s", text);
    }
    return out;
}

enum spw_status spw_allocate(const struct spw_world *world, uint64_t count, uint64_t size,
                             const char *what, struct spw_error *error, void *out_pointer)
{
    uint64_t bytes;
    if (!spw_checked_multiply(count, size, &bytes) || bytes > SIZE_MAX) {
        return SPW_FAIL(error, SPW_ERR_NO_MEMORY,
                        "%s: %" PRIu64 " elements of %" PRIu64
                        " bytes are more than can be addressed",
                        what, count, size);
    }
    void *memory = world->allocate(world->self, bytes);
    if (memory == NULL) {
        return SPW_FAIL_NATIVE(error, SPW_ERR_NO_MEMORY, ENOMEM,
                               "%s: %" PRIu64 " bytes of host memory could not be allocated", what,
                               bytes);
    }
    memset(memory, 0, (size_t)bytes);
    spw_store_pointer(out_pointer, memory);
    return SPW_OK;
}

void spw_release(const struct spw_world *world, void *memory)
{
    world->release(world->self, memory);
}

enum spw_status spw_grow(const struct spw_world *world, void *array_pointer, uint64_t *capacity,
                         uint64_t needed, uint64_t size, const char *what, struct spw_error *error)
{
    if (needed <= *capacity) {
        return SPW_OK;
    }
    /* Doubling keeps the cost per element constant. */
    uint64_t grown = *capacity <= UINT64_MAX / 2 ? *capacity * 2 : needed;
    if (grown < needed) {
        grown = needed;
    }
    void *bigger;
    SPW_TRY(spw_allocate(world, grown, size, what, error, &bigger));
    void *old = spw_load_pointer(array_pointer);
    if (old != NULL) {
        memcpy(bigger, old, (size_t)(*capacity * size));
        spw_release(world, old);
    }
    spw_store_pointer(array_pointer, bigger);
    *capacity = grown;
    return SPW_OK;
}

enum spw_status spw_copy_text(const struct spw_world *world, const char *text,
                              struct spw_error *error, char **out)
{
    const uint64_t bytes = strlen(text) + 1;
    char *copy;
    SPW_TRY(spw_allocate(world, bytes, 1, "a text", error, &copy));
    memcpy(copy, text, (size_t)bytes);
    *out = copy;
    return SPW_OK;
}

/* Appends the rest of `file` to *data. The file may grow or shrink meanwhile, and a pipe has no
 * size at all, so only the end of the file counts. */
static enum spw_status read_to_end(const struct spw_world *world, struct spw_file *file,
                                   const char *path, uint64_t bytes_max, struct spw_error *error,
                                   char **data, uint64_t *capacity, uint64_t *bytes)
{
    for (;;) {
        /* One byte more than the limit, to see that there is more; one for the NUL. */
        const uint64_t wanted = *bytes < bytes_max ? *bytes + 2 : bytes_max + 2;
        SPW_TRY(spw_grow(world, data, capacity, wanted, 1, path, error));

        uint64_t room = *capacity - *bytes - 1;
        if (room > bytes_max + 1 - *bytes) {
            room = bytes_max + 1 - *bytes;
        }
        uint64_t got = 0;
        const int native = world->read(world->self, file, *data + *bytes, room, &got);
        if (native != 0) {
            return SPW_FAIL_FILE(error, native, "read", path);
        }
        *bytes += got;
        if (*bytes > bytes_max) {
            return SPW_FAIL(error, SPW_ERR_USAGE, "%s: longer than the %" PRIu64 " bytes allowed",
                            path, bytes_max);
        }
        if (got == 0) {
            (*data)[*bytes] = '\0';
            return SPW_OK;
        }
    }
}

enum spw_status spw_read_file(const struct spw_world *world, const char *path, uint64_t bytes_max,
                              struct spw_error *error, char **out, uint64_t *bytes)
{
    SPW_ASSERT(bytes_max <= UINT64_MAX / 4);
    struct spw_file *file;
    int native = world->open(world->self, path, SPW_OPEN_READ, &file);
    if (native != 0) {
        return SPW_FAIL_FILE(error, native, "open", path);
    }

    enum spw_status status;
    char *data = NULL;
    uint64_t capacity = 0;
    uint64_t got = 0;
    uint64_t size = 0;
    native = world->size(world->self, file, &size);
    if (native != 0) {
        status = SPW_FAIL_FILE(error, native, "find the size of", path);
        goto out;
    }
    /* The size is refused before anything is allocated for it. */
    if (size > bytes_max) {
        status = SPW_FAIL(error, SPW_ERR_USAGE,
                          "%s: %" PRIu64 " bytes long; at most %" PRIu64 " are allowed", path, size,
                          bytes_max);
        goto out;
    }
    if (size < READ_BYTES_MIN) {
        size = READ_BYTES_MIN;
    }
    SPW_TRY_GOTO(spw_grow(world, &data, &capacity, size + 2, 1, path, error), out);
    SPW_TRY_GOTO(read_to_end(world, file, path, bytes_max, error, &data, &capacity, &got), out);

out:
    /* Nothing was written, so a close that fails loses nothing. */
    (void)world->close(world->self, file);
    if (status != SPW_OK) {
        spw_release(world, data);
        return status;
    }
    *out = data;
    *bytes = got;
    return SPW_OK;
}

enum spw_status spw_write_file(const struct spw_world *world, const char *path, const void *data,
                               uint64_t bytes, struct spw_error *error)
{
    struct spw_new_file file;
    SPW_TRY(spw_new_file_open(&file, world, path, error));
    return spw_new_file_close(&file, spw_new_file_write(&file, data, bytes, error), error);
}
