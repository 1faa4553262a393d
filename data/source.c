/* source.c — the bytes of one data file in order, plain or compressed.
 *
 * It knows no format. Tested by tests/data/test_gzip.c. */
#include "data/source.h"

#include "base/assert.h"
#include "base/checked.h"
#include "base/status.h"
#include "data/gzip.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* A user can mend these by giving another path, so they are usage, not I/O. */
static bool path_is_at_fault(int native)
{
    switch (native) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EACCES:
    case EPERM:
    case ELOOP:
    case ENAMETOOLONG:
    case ENXIO:
    case EINVAL:
        return true;
    default:
        return false;
    }
}

enum spw_status spw_source_fail(struct spw_error *error, int native, const char *action,
                                const char *path)
{
    char reason[96];
    (void)spw_errno_text(native, reason);
    if (path_is_at_fault(native)) {
        return SPW_FAIL_NATIVE(error, SPW_ERR_USAGE, native,
                               "%s: cannot %s: %s; check the path under `data:`", path, action,
                               reason);
    }
    return SPW_FAIL_NATIVE(error, spw_errno_status(native), native, "%s: cannot %s: %s", path,
                           action, reason);
}

static bool ends_in(const char *text, const char *suffix)
{
    const size_t length = strlen(text);
    const size_t suffix_length = strlen(suffix);
    return length >= suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

enum spw_status spw_source_open(const struct spw_world *world, const char *path,
                                struct spw_error *error, struct spw_source *source)
{
    *source = (struct spw_source){.world = world, .path = path};
    int native = world->open(world->self, path, SPW_OPEN_READ, &source->file);
    if (native != 0) {
        source->file = NULL;
        return spw_source_fail(error, native, "open", path);
    }

    enum spw_status status = SPW_OK;
    native = world->size(world->self, source->file, &source->file_bytes);
    if (native != 0) {
        status = spw_source_fail(error, native, "find the size of", path);
    } else if (source->file_bytes == 0) {
        status = SPW_FAIL(error, SPW_ERR_USAGE,
                          "%s: byte 0: the file is empty, or a pipe or device, whose size isn't "
                          "known; give a regular file",
                          path);
    } else if (ends_in(path, ".gz")) {
        status = spw_gunzip_create(world, source->file, path, error, &source->gunzip);
    }
    if (status != SPW_OK) {
        spw_source_close(source);
    }
    return status;
}

void spw_source_close(struct spw_source *source)
{
    spw_gunzip_destroy(source->gunzip);
    source->gunzip = NULL;
    if (source->file != NULL) {
        /* Nothing was written, so a close that fails loses nothing. */
        (void)source->world->close(source->world->self, source->file);
        source->file = NULL;
    }
}

bool spw_source_is_compressed(const struct spw_source *source)
{
    return source->gunzip != NULL;
}

static enum spw_status read_plain(struct spw_source *source, uint8_t *into, uint64_t bytes,
                                  struct spw_error *error, uint64_t *got)
{
    const struct spw_world *world = source->world;
    uint64_t done = 0;
    while (done < bytes) {
        uint64_t part = 0;
        const int native = world->read(world->self, source->file, into + done, bytes - done, &part);
        if (native != 0) {
            return spw_source_fail(error, native, "read", source->path);
        }
        if (part == 0) {
            break;
        }
        done += part;
    }
    *got = done;
    return SPW_OK;
}

/* From the file itself, past the head. */
static enum spw_status read_file(struct spw_source *source, uint8_t *into, uint64_t bytes,
                                 struct spw_error *error, uint64_t *got)
{
    return source->gunzip != NULL ? spw_gunzip_read(source->gunzip, into, bytes, error, got)
                                  : read_plain(source, into, bytes, error, got);
}

enum spw_status spw_source_peek(struct spw_source *source, uint64_t bytes, struct spw_error *error,
                                const uint8_t **out, uint64_t *got)
{
    SPW_ASSERT(bytes <= SPW_SOURCE_PEEK_MAX);
    SPW_ASSERT(source->position == 0);
    if (bytes > source->head_bytes) {
        uint64_t more = 0;
        SPW_TRY(read_file(source, source->head + source->head_bytes, bytes - source->head_bytes,
                          error, &more));
        source->head_bytes += more;
    }
    *out = source->head;
    *got = bytes < source->head_bytes ? bytes : source->head_bytes;
    return SPW_OK;
}

enum spw_status spw_source_declare(struct spw_source *source, uint64_t bytes,
                                   struct spw_error *error)
{
    const uint64_t file_bytes = source->file_bytes;
    if (source->gunzip != NULL) {
        uint64_t most;
        if (spw_checked_multiply(file_bytes, SPW_GUNZIP_RATIO_MAX, &most) && bytes > most) {
            return SPW_FAIL(error, SPW_ERR_USAGE,
                            "%s: byte 0: the header declares %" PRIu64 " bytes, but %" PRIu64
                            " compressed bytes can hold at most %" PRIu64
                            ": the header is wrong or the file truncated; get the file again",
                            source->path, bytes, file_bytes, most);
        }
    } else if (bytes > file_bytes) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": the file ends here, but its header declares %" PRIu64
                        " bytes: the header is wrong or the file truncated; get the file again",
                        source->path, file_bytes, bytes);
    } else if (bytes < file_bytes) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": the data end here by the header, but %" PRIu64
                        " bytes follow: the header is wrong or the file of another kind; get the "
                        "file again",
                        source->path, bytes, file_bytes - bytes);
    }
    source->declared_bytes = bytes;
    return SPW_OK;
}

enum spw_status spw_source_read(struct spw_source *source, void *into, uint64_t bytes,
                                struct spw_error *error, uint64_t *got)
{
    uint64_t done = source->head_bytes - source->head_used;
    if (done > bytes) {
        done = bytes;
    }
    memcpy(into, source->head + source->head_used, (size_t)done);
    source->head_used += done;

    uint64_t more = 0;
    if (done < bytes) {
        SPW_TRY(read_file(source, (uint8_t *)into + done, bytes - done, error, &more));
    }
    source->position += done + more;
    *got = done + more;
    return SPW_OK;
}

enum spw_status spw_source_read_all(struct spw_source *source, void *into, uint64_t bytes,
                                    struct spw_error *error)
{
    uint64_t got;
    SPW_TRY(spw_source_read(source, into, bytes, error, &got));
    if (got == bytes) {
        return SPW_OK;
    }
    if (source->gunzip != NULL) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": the decompressed data end here, but the header "
                        "declares %" PRIu64 " bytes; get the file again",
                        source->path, source->position, source->declared_bytes);
    }
    return SPW_FAIL(error, SPW_ERR_USAGE,
                    "%s: byte %" PRIu64 ": the file ends here, but was %" PRIu64
                    " bytes long when it was opened: something changes it; wait until it is whole",
                    source->path, source->position, source->file_bytes);
}

enum spw_status spw_source_skip(struct spw_source *source, uint64_t bytes, struct spw_error *error)
{
    uint8_t scratch[256];
    while (bytes > 0) {
        const uint64_t part = bytes < sizeof(scratch) ? bytes : sizeof(scratch);
        SPW_TRY(spw_source_read_all(source, scratch, part, error));
        bytes -= part;
    }
    return SPW_OK;
}

enum spw_status spw_source_rewind(struct spw_source *source, struct spw_error *error)
{
    const int native = source->world->seek(source->world->self, source->file, 0);
    if (native != 0) {
        return spw_source_fail(error, native, "go back to the start of", source->path);
    }
    if (source->gunzip != NULL) {
        spw_gunzip_destroy(source->gunzip);
        source->gunzip = NULL;
        SPW_TRY(
            spw_gunzip_create(source->world, source->file, source->path, error, &source->gunzip));
    }
    source->position = 0;
    source->head_used = 0;
    source->head_bytes = 0;
    return SPW_OK;
}

enum spw_status spw_source_finish(struct spw_source *source, struct spw_error *error)
{
    uint8_t extra;
    uint64_t got;
    const uint64_t end = source->position;
    SPW_TRY(spw_source_read(source, &extra, 1, error, &got));
    if (got == 0) {
        return SPW_OK;
    }
    if (source->gunzip != NULL) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": the data end here by the header, but the file "
                        "decompresses to more; get the file again",
                        source->path, end);
    }
    return SPW_FAIL(error, SPW_ERR_USAGE,
                    "%s: byte %" PRIu64 ": the file goes on, but was %" PRIu64
                    " bytes long when it was opened: something changes it; wait until it is whole",
                    source->path, end, source->file_bytes);
}

enum spw_status spw_source_allocate(const struct spw_source *source, uint64_t count, uint64_t size,
                                    struct spw_error *error, void *out_pointer)
{
    const struct spw_world *world = source->world;
    uint64_t bytes;
    void *memory = NULL;
    if (spw_checked_multiply(count, size, &bytes)) {
        memory = world->allocate(world->self, bytes);
    }
    if (memory == NULL) {
        return SPW_FAIL_NATIVE(error, SPW_ERR_NO_MEMORY, ENOMEM,
                               "%s: no host memory for its %" PRIu64 " elements of %" PRIu64
                               " bytes",
                               source->path, count, size);
    }
    memcpy(out_pointer, &memory, sizeof(memory));
    return SPW_OK;
}
