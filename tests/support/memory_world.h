/* memory_world.h — a world whose files are byte arrays: for parsers that see thousands of them.
 *
 * Files can be read, not written. Memory comes from the system's allocator, each piece with its
 * size counted, so that a test can show that a lying header never gets much of it. Not thread-safe.
 * Tested by its users. */
#ifndef SPW_TESTS_SUPPORT_MEMORY_WORLD_H
#define SPW_TESTS_SUPPORT_MEMORY_WORLD_H

#include "base/world.h"

struct spw_memory_file {
    const char *path;
    const void *data;
    uint64_t bytes;
};

struct spw_memory_world {
    struct spw_world world;              /* give &memory->world to the code under test */
    const struct spw_memory_file *files; /* [file_count], borrowed */
    uint64_t file_count;
    uint64_t allocation_bytes_max; /* a larger allocation fails; UINT64_MAX at first */

    uint64_t largest_allocation; /* asked for so far, in bytes, refused or not */
    int64_t live_allocations;
    int64_t open_files;
};

/* The struct must not move afterwards: its table points back to it. */
void spw_memory_world_init(struct spw_memory_world *memory, const struct spw_memory_file *files,
                           uint64_t file_count);
/* No memory and no file is left open. */
bool spw_memory_world_clean(const struct spw_memory_world *memory);

#endif
