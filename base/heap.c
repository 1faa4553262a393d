/* heap.c — a binary min-heap over borrowed storage.
 *
 * It doesn't grow and doesn't look into what its nodes are part of. Tested by
 * tests/base/test_heap.c. */
#include "base/heap.h"

#include "base/assert.h"

#include <stddef.h>

/* The sequence number breaks ties, so that no two nodes are ever equal and the order of equal keys
 * can't depend on the shape of the tree. */
static bool comes_before(const struct spw_heap_node *a, const struct spw_heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->sequence < b->sequence;
}

void spw_heap_init(struct spw_heap *heap, struct spw_heap_node **storage, uint64_t capacity)
{
    SPW_ASSERT(storage != NULL || capacity == 0);
    *heap = (struct spw_heap){.nodes = storage, .capacity = capacity};
}

void spw_heap_move(struct spw_heap *heap, struct spw_heap_node **storage, uint64_t capacity)
{
    SPW_ASSERT(capacity >= heap->count);
    heap->nodes = storage;
    heap->capacity = capacity;
}

/* Nodes know their place in [1, count]; the children of place p are at 2p and 2p + 1. */
static void put(struct spw_heap *heap, uint64_t place, struct spw_heap_node *node)
{
    heap->nodes[place - 1] = node;
    node->place = place;
}

static struct spw_heap_node *at(const struct spw_heap *heap, uint64_t place)
{
    return heap->nodes[place - 1];
}

static void rise(struct spw_heap *heap, struct spw_heap_node *node, uint64_t place)
{
    while (place > 1 && comes_before(node, at(heap, place / 2))) {
        put(heap, place, at(heap, place / 2));
        place /= 2;
    }
    put(heap, place, node);
}

static void sink(struct spw_heap *heap, struct spw_heap_node *node, uint64_t place)
{
    for (;;) {
        uint64_t child = 2 * place;
        if (child > heap->count) {
            break;
        }
        if (child < heap->count && comes_before(at(heap, child + 1), at(heap, child))) {
            child++;
        }
        if (!comes_before(at(heap, child), node)) {
            break;
        }
        put(heap, place, at(heap, child));
        place = child;
    }
    put(heap, place, node);
}

void spw_heap_push(struct spw_heap *heap, struct spw_heap_node *node, uint64_t key)
{
    SPW_ASSERT(heap->count < heap->capacity);
    SPW_ASSERT(node->place == 0);
    node->key = key;
    node->sequence = heap->next_sequence++;
    heap->count++;
    rise(heap, node, heap->count);
}

struct spw_heap_node *spw_heap_least(const struct spw_heap *heap)
{
    return heap->count > 0 ? heap->nodes[0] : NULL;
}

void spw_heap_remove(struct spw_heap *heap, struct spw_heap_node *node)
{
    const uint64_t place = node->place;
    if (place == 0) {
        return;
    }
    SPW_ASSERT(at(heap, place) == node);
    struct spw_heap_node *last = at(heap, heap->count);
    heap->count--;
    node->place = 0;
    if (last == node) {
        return;
    }
    if (place > 1 && comes_before(last, at(heap, place / 2))) {
        rise(heap, last, place);
    } else {
        sink(heap, last, place);
    }
}
