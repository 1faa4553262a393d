/* fault_world.c — see the header. Tested by tests/base/test_fault_world.c. */
#include "tests/support/fault_world.h"

#include "base/assert.h"

#include <errno.h>

/* Counts one call and says whether it must fail. */
static bool strikes(struct spw_fault_world *fault, enum spw_fault_kind kind, bool needs_room)
{
    const uint64_t call = atomic_fetch_add(&fault->calls[kind], 1) + 1;
    const struct spw_fault_rule *rule = &fault->rules[kind];
    if (rule->at == 0 || call < rule->at || (call > rule->at && !rule->sticky)) {
        return false;
    }
    if (rule->full_disk && !needs_room) {
        return false;
    }
    atomic_fetch_add(&fault->failed[kind], 1);
    return true;
}

/* 0, or the errno value that this file call must fail with. */
static int strike_file(struct spw_fault_world *fault, bool needs_room)
{
    if (!strikes(fault, SPW_FAULT_FILE, needs_room)) {
        return 0;
    }
    const int native = fault->rules[SPW_FAULT_FILE].native;
    return native != 0 ? native : EIO;
}

static uint64_t fault_now_ns(void *self)
{
    struct spw_fault_world *fault = self;
    return fault->inner->now_ns(fault->inner->self);
}

static uint64_t fault_wall_ns(void *self)
{
    struct spw_fault_world *fault = self;
    return fault->inner->wall_ns(fault->inner->self);
}

static void fault_sleep_until(void *self, uint64_t deadline_ns)
{
    struct spw_fault_world *fault = self;
    fault->inner->sleep_until(fault->inner->self, deadline_ns);
}

static void *fault_allocate(void *self, uint64_t bytes)
{
    struct spw_fault_world *fault = self;
    if (strikes(fault, SPW_FAULT_ALLOCATION, true)) {
        return NULL;
    }
    void *memory = fault->inner->allocate(fault->inner->self, bytes);
    if (memory != NULL) {
        atomic_fetch_add(&fault->live_allocations, 1);
    }
    return memory;
}

static void fault_release(void *self, void *memory)
{
    struct spw_fault_world *fault = self;
    if (memory != NULL) {
        SPW_ASSERT(atomic_fetch_sub(&fault->live_allocations, 1) > 0);
    }
    fault->inner->release(fault->inner->self, memory);
}

static int fault_open(void *self, const char *path, enum spw_open_mode mode, struct spw_file **out)
{
    struct spw_fault_world *fault = self;
    int native = strike_file(fault, mode != SPW_OPEN_READ);
    if (native == 0) {
        native = fault->inner->open(fault->inner->self, path, mode, out);
    }
    if (native == 0) {
        atomic_fetch_add(&fault->open_files, 1);
    }
    return native;
}

static int fault_read(void *self, struct spw_file *file, void *into, uint64_t bytes, uint64_t *got)
{
    struct spw_fault_world *fault = self;
    const int native = strike_file(fault, false);
    if (native != 0) {
        return native;
    }
    if (fault->read_bytes_max > 0 && bytes > fault->read_bytes_max) {
        bytes = fault->read_bytes_max;
    }
    return fault->inner->read(fault->inner->self, file, into, bytes, got);
}

static int fault_write(void *self, struct spw_file *file, const void *from, uint64_t bytes)
{
    struct spw_fault_world *fault = self;
    const int native = strike_file(fault, true);
    if (native == 0) {
        return fault->inner->write(fault->inner->self, file, from, bytes);
    }
    /* A full disk usually takes the first part. */
    (void)fault->inner->write(fault->inner->self, file, from, bytes / 2);
    return native;
}

static int fault_seek(void *self, struct spw_file *file, uint64_t offset)
{
    struct spw_fault_world *fault = self;
    const int native = strike_file(fault, false);
    return native != 0 ? native : fault->inner->seek(fault->inner->self, file, offset);
}

static int fault_size(void *self, struct spw_file *file, uint64_t *bytes)
{
    struct spw_fault_world *fault = self;
    const int native = strike_file(fault, false);
    return native != 0 ? native : fault->inner->size(fault->inner->self, file, bytes);
}

static int fault_sync(void *self, struct spw_file *file)
{
    struct spw_fault_world *fault = self;
    const int native = strike_file(fault, true);
    return native != 0 ? native : fault->inner->sync(fault->inner->self, file);
}

static int fault_close(void *self, struct spw_file *file)
{
    struct spw_fault_world *fault = self;
    /* The contract: the file is gone even when closing fails. */
    const int native = strike_file(fault, false);
    const int inner_native = fault->inner->close(fault->inner->self, file);
    atomic_fetch_sub(&fault->open_files, 1);
    return native != 0 ? native : inner_native;
}

static int fault_make_directory(void *self, const char *path)
{
    struct spw_fault_world *fault = self;
    const int native = strike_file(fault, true);
    return native != 0 ? native : fault->inner->make_directory(fault->inner->self, path);
}

static int fault_rename(void *self, const char *from, const char *to)
{
    struct spw_fault_world *fault = self;
    const int native = strike_file(fault, false);
    return native != 0 ? native : fault->inner->rename(fault->inner->self, from, to);
}

static int fault_remove(void *self, const char *path)
{
    struct spw_fault_world *fault = self;
    const int native = strike_file(fault, false);
    return native != 0 ? native : fault->inner->remove(fault->inner->self, path);
}

static int fault_exists(void *self, const char *path, bool *is_directory)
{
    struct spw_fault_world *fault = self;
    const int native = strike_file(fault, false);
    return native != 0 ? native : fault->inner->exists(fault->inner->self, path, is_directory);
}

void spw_fault_world_init(struct spw_fault_world *fault, const struct spw_world *inner)
{
    *fault = (struct spw_fault_world){
        .inner = inner,
        .world =
            {
                .self = fault,
                .now_ns = fault_now_ns,
                .wall_ns = fault_wall_ns,
                .sleep_until = fault_sleep_until,
                .allocate = fault_allocate,
                .release = fault_release,
                .open = fault_open,
                .read = fault_read,
                .write = fault_write,
                .seek = fault_seek,
                .size = fault_size,
                .sync = fault_sync,
                .close = fault_close,
                .make_directory = fault_make_directory,
                .rename = fault_rename,
                .remove = fault_remove,
                .exists = fault_exists,
            },
    };
}

void spw_fault_world_arm(struct spw_fault_world *fault, enum spw_fault_kind kind,
                         struct spw_fault_rule rule)
{
    for (int i = 0; i < SPW_FAULT_KINDS; i++) {
        fault->rules[i] = (struct spw_fault_rule){0};
        atomic_store(&fault->calls[i], 0);
        atomic_store(&fault->failed[i], 0);
    }
    fault->rules[kind] = rule;
}

bool spw_fault_world_struck(const struct spw_fault_world *fault)
{
    return atomic_load(&fault->failed[SPW_FAULT_ALLOCATION]) > 0 ||
           atomic_load(&fault->failed[SPW_FAULT_FILE]) > 0;
}

bool spw_fault_world_clean(const struct spw_fault_world *fault)
{
    return atomic_load(&fault->live_allocations) == 0 && atomic_load(&fault->open_files) == 0;
}
