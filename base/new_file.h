/* new_file.h — a file that appears whole or not at all: written under a temporary name beside its
 * place, brought to the disk, and only then given its own name.
 *
 * For a whole text at once there is spw_write_file(). Tested by tests/base/test_world.c and
 * tests/models/test_safetensors_write.c, with failing calls too. */
#ifndef SPW_BASE_NEW_FILE_H
#define SPW_BASE_NEW_FILE_H

#include "base/world.h"

struct spw_new_file {
    const struct spw_world *world;
    const char *path; /* borrowed; messages name it */
    char *temporary;
    struct spw_file *file;
};

/* A temporary that an earlier, killed run left behind is replaced. */
enum spw_status spw_new_file_open(struct spw_new_file *file, const struct spw_world *world,
                                  const char *path, struct spw_error *error);
enum spw_status spw_new_file_write(struct spw_new_file *file, const void *from, uint64_t bytes,
                                   struct spw_error *error);
/* Ends it in every case. If `status` is SPW_OK, the result of what was written so far, the file
 * gets its name, replacing one that is there; else, and if that fails, nothing is left of it. */
enum spw_status spw_new_file_close(struct spw_new_file *file, enum spw_status status,
                                   struct spw_error *error);

#endif
