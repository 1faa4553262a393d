/* arena.h — a bump allocator over chunks from the world; everything is freed at once.
 *
 * For things that live as long as their owner: a graph, a plan, a parsed file. Not thread-safe.
 * Tested by tests/base/test_arena.c. */
#ifndef SPW_BASE_ARENA_H
#define SPW_BASE_ARENA_H

#include "base/world.h"

struct spw_arena_chunk;
struct spw_arena {
    const struct spw_world *world;
    struct spw_arena_chunk *last;
    uint64_t used_bytes; /* handed out in all, for reports */
};

void spw_arena_init(struct spw_arena *arena, const struct spw_world *world);
void spw_arena_deinit(struct spw_arena *arena);
/* Zeroed memory for `count` elements of `size` bytes, aligned to 16. SPW_ERR_NO_MEMORY is recorded.
 */
enum spw_status spw_arena_take(struct spw_arena *arena, uint64_t count, uint64_t size,
                               struct spw_error *error, void *out_pointer);
/* A formatted, NUL-terminated text that lives as long as the arena. */
enum spw_status spw_arena_text(struct spw_arena *arena, struct spw_error *error, const char **out,
                               const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
