/* memory_world.c — a world whose files are byte arrays. */
#include "tests/support/memory_world.h"

#include <errno.h>
#include <string.h>

struct spw_file {
    const struct spw_memory_file *file;
    uint64_t position;
};

static void *memory_allocate(void *self, uint64_t bytes)
{
    struct spw_memory_world *memory = self;
    if (bytes > memory->largest_allocation) {
        memory->largest_allocation = bytes;
    }
    if (bytes > memory->allocation_bytes_max) {
        return NULL;
    }
    const struct spw_world *system = spw_world_system();
    void *result = system->allocate(system->self, bytes);
    memory->live_allocations += result != NULL;
    return result;
}

static void memory_release(void *self, void *pointer)
{
    struct spw_memory_world *memory = self;
    const struct spw_world *system = spw_world_system();
    memory->live_allocations -= pointer != NULL;
    system->release(system->self, pointer);
}

static const struct spw_memory_file *find(const struct spw_memory_world *memory, const char *path)
{
    for (uint64_t index = 0; index < memory->file_count; index++) {
        if (strcmp(memory->files[index].path, path) == 0) {
            return &memory->files[index];
        }
    }
    return NULL;
}

static int memory_open(void *self, const char *path, enum spw_open_mode mode, struct spw_file **out)
{
    struct spw_memory_world *memory = self;
    if (mode != SPW_OPEN_READ) {
        return EROFS;
    }
    const struct spw_memory_file *found = find(memory, path);
    if (found == NULL) {
        return ENOENT;
    }
    /* Handles aren't counted as memory of the code under test. */
    const struct spw_world *system = spw_world_system();
    struct spw_file *file = system->allocate(system->self, sizeof(*file));
    if (file == NULL) {
        return ENOMEM;
    }
    *file = (struct spw_file){.file = found};
    memory->open_files++;
    *out = file;
    return 0;
}

static int memory_read(void *self, struct spw_file *file, void *into, uint64_t bytes, uint64_t *got)
{
    (void)self;
    const uint64_t size = file->file->bytes;
    const uint64_t left = file->position < size ? size - file->position : 0;
    const uint64_t part = bytes < left ? bytes : left;
    if (part > 0) {
        memcpy(into, (const uint8_t *)file->file->data + file->position, (size_t)part);
    }
    file->position += part;
    *got = part;
    return 0;
}

static int memory_write(void *self, struct spw_file *file, const void *from, uint64_t bytes)
{
    (void)self;
    (void)file;
    (void)from;
    (void)bytes;
    return EROFS;
}

static int memory_seek(void *self, struct spw_file *file, uint64_t offset)
{
    (void)self;
    file->position = offset;
    return 0;
}

static int memory_size(void *self, struct spw_file *file, uint64_t *bytes)
{
    (void)self;
    *bytes = file->file->bytes;
    return 0;
}

static int memory_sync(void *self, struct spw_file *file)
{
    (void)self;
    (void)file;
    return EROFS;
}

static int memory_close(void *self, struct spw_file *file)
{
    struct spw_memory_world *memory = self;
    const struct spw_world *system = spw_world_system();
    memory->open_files--;
    system->release(system->self, file);
    return 0;
}

static int memory_change(void *self, const char *path)
{
    (void)self;
    (void)path;
    return EROFS;
}

static int memory_rename(void *self, const char *from, const char *to)
{
    (void)self;
    (void)from;
    (void)to;
    return EROFS;
}

static int memory_exists(void *self, const char *path, bool *is_directory)
{
    *is_directory = false;
    return find(self, path) != NULL ? 0 : ENOENT;
}

static uint64_t memory_now_ns(void *self)
{
    (void)self;
    return spw_now_ns(spw_world_system());
}

static uint64_t memory_wall_ns(void *self)
{
    (void)self;
    const struct spw_world *system = spw_world_system();
    return system->wall_ns(system->self);
}

static void memory_sleep_until(void *self, uint64_t deadline_ns)
{
    (void)self;
    const struct spw_world *system = spw_world_system();
    system->sleep_until(system->self, deadline_ns);
}

void spw_memory_world_init(struct spw_memory_world *memory, const struct spw_memory_file *files,
                           uint64_t file_count)
{
    *memory = (struct spw_memory_world){
        .world =
            {
                .self = memory,
                .now_ns = memory_now_ns,
                .wall_ns = memory_wall_ns,
                .sleep_until = memory_sleep_until,
                .allocate = memory_allocate,
                .release = memory_release,
                .open = memory_open,
                .read = memory_read,
                .write = memory_write,
                .seek = memory_seek,
                .size = memory_size,
                .sync = memory_sync,
                .close = memory_close,
                .make_directory = memory_change,
                .rename = memory_rename,
                .remove = memory_change,
                .exists = memory_exists,
            },
        .files = files,
        .file_count = file_count,
        .allocation_bytes_max = UINT64_MAX,
    };
}

bool spw_memory_world_clean(const struct spw_memory_world *memory)
{
    return memory->live_allocations == 0 && memory->open_files == 0;
}
