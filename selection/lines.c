/* lines.c — buffered lines of a growing file. Tested by tests/selection/test_lines.c. */
#include "selection/lines.h"

#include "base/assert.h"
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

enum spw_status spw_lines_open(struct spw_lines *lines, const struct spw_world *world,
                               const char *path, struct spw_error *error)
{
    lines->world = world;
    lines->path = path;
    lines->file = NULL;
    lines->used = 0;
    lines->failure = (struct spw_error){0};
    const int native = world->open(world->self, path, SPW_OPEN_CREATE, &lines->file);
    if (native != 0) {
        lines->file = NULL;
        return SPW_FAIL_FILE(error, native, "create", path);
    }
    return SPW_OK;
}

static void write_buffer(struct spw_lines *lines)
{
    if (lines->used == 0 || lines->failure.status != SPW_OK) {
        lines->used = 0;
        return;
    }
    const struct spw_world *world = lines->world;
    const int native = world->write(world->self, lines->file, lines->buffer, lines->used);
    lines->used = 0;
    if (native != 0) {
        (void)SPW_FAIL_FILE(&lines->failure, native, "write", lines->path);
    }
}

void spw_lines_add(struct spw_lines *lines, const char *format, ...)
{
    if (lines->file == NULL) {
        return;
    }
    if (SPW_LINES_BUFFER_BYTES - lines->used < SPW_LINE_BYTES_MAX) {
        write_buffer(lines);
    }
    va_list arguments;
    va_start(arguments, format);
    const int length =
        vsnprintf(lines->buffer + lines->used, SPW_LINE_BYTES_MAX, format, arguments);
    va_end(arguments);
    SPW_ASSERT(length >= 0 && length < SPW_LINE_BYTES_MAX);
    lines->used += (uint64_t)length;
}

enum spw_status spw_lines_flush(struct spw_lines *lines, struct spw_error *error)
{
    if (lines->file == NULL) {
        return SPW_OK;
    }
    write_buffer(lines);
    if (lines->failure.status != SPW_OK) {
        return SPW_FAIL_NATIVE(error, lines->failure.status, lines->failure.native, "%s",
                               lines->failure.what);
    }
    return SPW_OK;
}

enum spw_status spw_lines_close(struct spw_lines *lines, bool sync, struct spw_error *error)
{
    if (lines->file == NULL) {
        return SPW_OK;
    }
    const struct spw_world *world = lines->world;
    enum spw_status status = spw_lines_flush(lines, error);
    if (status == SPW_OK && sync) {
        const int native = world->sync(world->self, lines->file);
        if (native != 0) {
            status = SPW_FAIL_FILE(error, native, "sync", lines->path);
        }
    }
    const int native = world->close(world->self, lines->file);
    lines->file = NULL;
    if (native != 0 && status == SPW_OK) {
        status = SPW_FAIL_FILE(error, native, "close", lines->path);
    }
    return status;
}
