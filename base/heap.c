/* heap.c — a binary min-heap over borrowed storage.
 *
 * It doesn't grow and doesn't look into items. Tested by tests/base/test_heap.c. */
#include "base/heap.h"

#include "base/assert.h"

#include <stddef.h>

/* The sequence number breaks ties, so that no two entries are ever equal and the order of equal
 * keys can't depend on the shape of the tree. */
static bool comes_before(const struct spw_heap_entry *a, const struct spw_heap_entry *b)
{
    return a->key != b->key ? a->key < b->key : a->sequence < b->sequence;
}

void spw_heap_init(struct spw_heap *heap, struct spw_heap_entry *storage, uint32_t capacity)
{
    SPW_ASSERT(storage != NULL || capacity == 0);
    heap->entries = storage;
    heap->count = 0;
    heap->capacity = capacity;
    heap->next_sequence = 0;
}

void spw_heap_push(struct spw_heap *heap, uint64_t key, void *item)
{
    SPW_ASSERT(heap->count < heap->capacity);
    const struct spw_heap_entry entry = {
        .key = key, .sequence = heap->next_sequence++, .item = item};

    uint32_t place = heap->count++;
    while (place > 0) {
        const uint32_t parent = (place - 1) / 2;
        if (!comes_before(&entry, &heap->entries[parent])) {
            break;
        }
        heap->entries[place] = heap->entries[parent];
        place = parent;
    }
    heap->entries[place] = entry;
}

bool spw_heap_peek(const struct spw_heap *heap, struct spw_heap_entry *out)
{
    if (heap->count == 0) {
        return false;
    }
    *out = heap->entries[0];
    return true;
}

/* Lets `entry` sink from the root to its place. */
static void sink(struct spw_heap *heap, struct spw_heap_entry entry)
{
    uint32_t place = 0;
    for (;;) {
        /* 64 bits: twice a large place must not wrap. */
        uint64_t child = (uint64_t)place * 2 + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count &&
            comes_before(&heap->entries[child + 1], &heap->entries[child])) {
            child++;
        }
        if (!comes_before(&heap->entries[child], &entry)) {
            break;
        }
        heap->entries[place] = heap->entries[child];
        place = (uint32_t)child;
    }
    heap->entries[place] = entry;
}

bool spw_heap_pop(struct spw_heap *heap, struct spw_heap_entry *out)
{
    if (!spw_heap_peek(heap, out)) {
        return false;
    }
    heap->count--;
    if (heap->count > 0) {
        sink(heap, heap->entries[heap->count]);
    }
    return true;
}
