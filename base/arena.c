/* arena.c — a bump allocator over chunks. Tested by tests/base/test_arena.c. */
#include "base/arena.h"

#include "base/assert.h"
#include "base/checked.h"
#include "base/pointer.h"
#include "base/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ALIGNMENT 16
#define CHUNK_BYTES_MIN UINT64_C(4096)
#define CHUNK_BYTES_MAX UINT64_C(1048576)

struct spw_arena_chunk {
    struct spw_arena_chunk *previous;
    uint64_t capacity; /* bytes that follow this header */
    uint64_t used;
};

#define HEADER_BYTES spw_round_up(sizeof(struct spw_arena_chunk), ALIGNMENT)

void spw_arena_init(struct spw_arena *arena, const struct spw_world *world)
{
    SPW_ASSERT(world != NULL);
    *arena = (struct spw_arena){.world = world};
}

void spw_arena_deinit(struct spw_arena *arena)
{
    if (arena == NULL || arena->world == NULL) {
        return;
    }
    struct spw_arena_chunk *chunk = arena->last;
    while (chunk != NULL) {
        struct spw_arena_chunk *previous = chunk->previous;
        spw_release(arena->world, chunk);
        chunk = previous;
    }
    *arena = (struct spw_arena){0};
}

/* A new last chunk with room for `bytes`. What is left of the chunk before it stays unused: chunks
 * double, so that is a bounded fraction. */
static bool add_chunk(struct spw_arena *arena, uint64_t bytes)
{
    uint64_t capacity = CHUNK_BYTES_MIN;
    if (arena->last != NULL) {
        capacity = arena->last->capacity * 2;
    }
    if (capacity > CHUNK_BYTES_MAX) {
        capacity = CHUNK_BYTES_MAX;
    }
    if (capacity < bytes) {
        capacity = bytes;
    }
    uint64_t total;
    if (!spw_checked_add(capacity, HEADER_BYTES, &total)) {
        return false;
    }
    struct spw_arena_chunk *chunk = arena->world->allocate(arena->world->self, total);
    if (chunk == NULL) {
        return false;
    }
    *chunk = (struct spw_arena_chunk){.previous = arena->last, .capacity = capacity};
    arena->last = chunk;
    return true;
}

enum spw_status spw_arena_take(struct spw_arena *arena, uint64_t count, uint64_t size,
                               struct spw_error *error, void *out_pointer)
{
    uint64_t bytes;
    if (!spw_checked_multiply(count, size, &bytes) || bytes > UINT64_MAX / 2) {
        return SPW_FAIL(error, SPW_ERR_NO_MEMORY,
                        "%" PRIu64 " elements of %" PRIu64 " bytes are more than can be addressed",
                        count, size);
    }
    /* Even nothing gets an address of its own. */
    const uint64_t rounded = spw_round_up(bytes > 0 ? bytes : 1, ALIGNMENT);
    if (arena->last == NULL || arena->last->capacity - arena->last->used < rounded) {
        if (!add_chunk(arena, rounded)) {
            return SPW_FAIL(error, SPW_ERR_NO_MEMORY,
                            "%" PRIu64 " bytes of host memory could not be allocated", rounded);
        }
    }
    struct spw_arena_chunk *chunk = arena->last;
    void *memory = (char *)chunk + HEADER_BYTES + chunk->used;
    chunk->used += rounded;
    arena->used_bytes += rounded;
    memset(memory, 0, (size_t)rounded);
    spw_store_pointer(out_pointer, memory);
    return SPW_OK;
}

enum spw_status spw_arena_text(struct spw_arena *arena, struct spw_error *error, const char **out,
                               const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    SPW_ASSERT(length >= 0);

    char *text;
    SPW_TRY(spw_arena_take(arena, (uint64_t)length + 1, 1, error, &text));
    va_start(arguments, format);
    (void)vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    *out = text;
    return SPW_OK;
}
