/* Tests of base/heap.c. */
#include "base/heap.h"

#include "base/philox.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

Test(heap, empty_gives_nothing)
{
    struct spw_heap heap;
    struct spw_heap_node node = {0};
    spw_heap_init(&heap, NULL, 0);
    cr_assert(spw_heap_least(&heap) == NULL);
    spw_heap_remove(&heap, &node);
    cr_assert(heap.count == 0 && node.place == 0);
}

Test(heap, equal_keys_come_out_in_order_of_insertion)
{
    struct spw_heap_node *storage[50];
    struct spw_heap_node nodes[50] = {0};
    struct spw_heap heap;
    spw_heap_init(&heap, storage, 50);
    for (int i = 0; i < 50; i++) {
        spw_heap_push(&heap, &nodes[i], (uint64_t)(i % 3));
    }
    for (int key = 0; key < 3; key++) {
        for (int i = key; i < 50; i += 3) {
            cr_assert(spw_heap_least(&heap) == &nodes[i], "key %d node %d", key, i);
            spw_heap_remove(&heap, &nodes[i]);
            cr_assert(nodes[i].place == 0);
        }
    }
    cr_assert(spw_heap_least(&heap) == NULL);
}

/* Random pushes and removals, of the least and of others, against a linear search. */
Test(heap, always_gives_the_least)
{
    enum { NODES = 100 };
    struct spw_heap_node *storage[NODES];
    struct spw_heap_node nodes[NODES] = {0};
    struct spw_heap heap;
    spw_heap_init(&heap, storage, NODES);
    for (uint64_t i = 0; i < 30000; i++) {
        const uint32_t draw = spw_random_word(1, 0, i);
        struct spw_heap_node *node = &nodes[(draw >> 2) % NODES];
        if (draw % 4 == 0 && heap.count > 0) {
            node = spw_heap_least(&heap);
        }
        if (node->place == 0) {
            spw_heap_push(&heap, node, (draw >> 16) % 40);
        } else {
            spw_heap_remove(&heap, node);
        }
        const struct spw_heap_node *least = NULL;
        uint64_t count = 0;
        for (int k = 0; k < NODES; k++) {
            if (nodes[k].place == 0) {
                continue;
            }
            count++;
            cr_assert(storage[nodes[k].place - 1] == &nodes[k]);
            if (least == NULL || nodes[k].key < least->key ||
                (nodes[k].key == least->key && nodes[k].sequence < least->sequence)) {
                least = &nodes[k];
            }
        }
        cr_assert(heap.count == count && spw_heap_least(&heap) == least, "event %u", (unsigned)i);
    }
}

Test(heap, keys_use_all_64_bits)
{
    struct spw_heap_node *storage[3];
    struct spw_heap_node nodes[3] = {0};
    const uint64_t keys[] = {UINT64_MAX, 0, UINT64_C(1) << 40};
    const int order[] = {1, 2, 0};
    struct spw_heap heap;
    spw_heap_init(&heap, storage, 3);
    for (int i = 0; i < 3; i++) {
        spw_heap_push(&heap, &nodes[i], keys[i]);
    }
    for (int i = 0; i < 3; i++) {
        cr_assert(spw_heap_least(&heap) == &nodes[order[i]]);
        spw_heap_remove(&heap, &nodes[order[i]]);
    }
}

Test(heap, moves_to_a_larger_storage)
{
    struct spw_heap_node *small[2];
    struct spw_heap_node *large[4];
    struct spw_heap_node nodes[3] = {0};
    struct spw_heap heap;
    spw_heap_init(&heap, small, 2);
    spw_heap_push(&heap, &nodes[0], 5);
    spw_heap_push(&heap, &nodes[1], 3);
    memcpy(large, small, sizeof(small));
    spw_heap_move(&heap, large, 4);
    spw_heap_push(&heap, &nodes[2], 4);
    const int order[] = {1, 2, 0};
    for (int i = 0; i < 3; i++) {
        cr_assert(spw_heap_least(&heap) == &nodes[order[i]]);
        spw_heap_remove(&heap, &nodes[order[i]]);
    }
}

Test(heap, overfilling_is_caught, .signal = SIGABRT)
{
    struct spw_heap_node *storage[1];
    struct spw_heap_node nodes[2] = {0};
    struct spw_heap heap;
    spw_heap_init(&heap, storage, 1);
    spw_heap_push(&heap, &nodes[0], 1);
    spw_heap_push(&heap, &nodes[1], 1);
}

Test(heap, pushing_a_node_twice_is_caught, .signal = SIGABRT)
{
    struct spw_heap_node *storage[2];
    struct spw_heap_node node = {0};
    struct spw_heap heap;
    spw_heap_init(&heap, storage, 2);
    spw_heap_push(&heap, &node, 1);
    spw_heap_push(&heap, &node, 2);
}
