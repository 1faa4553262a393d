/* new_file.c — see new_file.h. */
#include "base/new_file.h"

#include "base/status.h"

#include <errno.h>
#include <string.h>

/* A temporary that an earlier, killed run left behind is in nobody's use. */
static int open_temporary(const struct spw_world *world, const char *path, struct spw_file **file)
{
    int native = world->open(world->self, path, SPW_OPEN_CREATE, file);
    if (native == EEXIST) {
        native = world->remove(world->self, path);
        if (native == 0) {
            native = world->open(world->self, path, SPW_OPEN_CREATE, file);
        }
    }
    return native;
}

enum spw_status spw_new_file_open(struct spw_new_file *file, const struct spw_world *world,
                                  const char *path, struct spw_error *error)
{
    static const char suffix[] = ".tmp";
    const uint64_t length = strlen(path);
    *file = (struct spw_new_file){.world = world, .path = path};
    SPW_TRY(
        spw_allocate(world, length + sizeof(suffix), 1, "a file name", error, &file->temporary));
    memcpy(file->temporary, path, (size_t)length);
    memcpy(file->temporary + length, suffix, sizeof(suffix));
    const int native = open_temporary(world, file->temporary, &file->file);
    if (native != 0) {
        spw_release(world, file->temporary);
        return SPW_FAIL_FILE(error, native, "create", path);
    }
    return SPW_OK;
}

enum spw_status spw_new_file_write(struct spw_new_file *file, const void *from, uint64_t bytes,
                                   struct spw_error *error)
{
    const int native = file->world->write(file->world->self, file->file, from, bytes);
    return native == 0 ? SPW_OK : SPW_FAIL_FILE(error, native, "write", file->path);
}

enum spw_status spw_new_file_close(struct spw_new_file *file, enum spw_status status,
                                   struct spw_error *error)
{
    const struct spw_world *world = file->world;
    int native = status == SPW_OK ? world->sync(world->self, file->file) : 0;
    if (native != 0) {
        status = SPW_FAIL_FILE(error, native, "sync", file->path);
    }
    /* Closed in every case; some file systems report a failed write only here. */
    native = world->close(world->self, file->file);
    if (native != 0 && status == SPW_OK) {
        status = SPW_FAIL_FILE(error, native, "close", file->path);
    }
    if (status == SPW_OK) {
        native = world->rename(world->self, file->temporary, file->path);
        if (native != 0) {
            status = SPW_FAIL_FILE(error, native, "rename the finished", file->path);
        }
    }
    if (status != SPW_OK) {
        (void)world->remove(world->self, file->temporary);
    }
    spw_release(world, file->temporary);
    return status;
}
