/* heap.h — a binary min-heap of nodes that live in what they order, such as timers.
 *
 * Equal keys come out in order of insertion, so that schedules are deterministic. A node knows its
 * place, so it can be taken out from anywhere. The storage is the caller's. Not thread-safe.
 * Tested by tests/base/test_heap.c. */
#ifndef SPW_BASE_HEAP_H
#define SPW_BASE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed before it is first used; a member of whatever is ordered. */
struct spw_heap_node {
    uint64_t key;
    uint64_t sequence;
    uint64_t place; /* from 1; 0: in no heap */
};

struct spw_heap {
    struct spw_heap_node **nodes; /* borrowed; [capacity], the least first */
    uint64_t count;
    uint64_t capacity;
    uint64_t next_sequence;
};

void spw_heap_init(struct spw_heap *heap, struct spw_heap_node **storage, uint64_t capacity);
/* Another storage, which holds the nodes of the old one already. */
void spw_heap_move(struct spw_heap *heap, struct spw_heap_node **storage, uint64_t capacity);
/* Asserts that there is room and that the node is in no heap. */
void spw_heap_push(struct spw_heap *heap, struct spw_heap_node *node, uint64_t key);
/* The least node, which stays; NULL if there is none. */
struct spw_heap_node *spw_heap_least(const struct spw_heap *heap);
/* Takes a node out; nothing happens if it is in no heap. */
void spw_heap_remove(struct spw_heap *heap, struct spw_heap_node *node);

#endif
