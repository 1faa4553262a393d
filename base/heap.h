/* heap.h — a binary min-heap of (key, sequence, item) over storage that the caller gives.
 *
 * Equal keys come out in order of insertion, so that schedules are deterministic. Not thread-safe.
 * Tested by tests/base/test_heap.c. */
#ifndef SPW_BASE_HEAP_H
#define SPW_BASE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

struct spw_heap_entry {
    uint64_t key;
    uint64_t sequence;
    void *item;
};

struct spw_heap {
    struct spw_heap_entry *entries; /* borrowed */
    uint32_t count;
    uint32_t capacity;
    uint64_t next_sequence;
};

void spw_heap_init(struct spw_heap *heap, struct spw_heap_entry *storage, uint32_t capacity);
/* Asserts that there is room. */
void spw_heap_push(struct spw_heap *heap, uint64_t key, void *item);
/* False, leaving *out alone, if the heap is empty. */
bool spw_heap_peek(const struct spw_heap *heap, struct spw_heap_entry *out);
bool spw_heap_pop(struct spw_heap *heap, struct spw_heap_entry *out);

#endif
