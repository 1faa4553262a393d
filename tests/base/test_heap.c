/* Tests of base/heap.c. */
#include "base/heap.h"

#include "base/philox.h"

#include <criterion/criterion.h>
#include <signal.h>

Test(heap, empty_gives_nothing)
{
    struct spw_heap heap;
    struct spw_heap_entry out = {.key = 7};
    spw_heap_init(&heap, NULL, 0);
    cr_assert(!spw_heap_peek(&heap, &out));
    cr_assert(!spw_heap_pop(&heap, &out));
    cr_assert(out.key == 7, "left alone");
}

Test(heap, equal_keys_come_out_in_order_of_insertion)
{
    struct spw_heap_entry storage[50];
    int items[50];
    struct spw_heap heap;
    spw_heap_init(&heap, storage, 50);
    for (int i = 0; i < 50; i++) {
        spw_heap_push(&heap, (uint64_t)(i % 3), &items[i]);
    }
    struct spw_heap_entry out;
    for (int key = 0; key < 3; key++) {
        for (int i = key; i < 50; i += 3) {
            cr_assert(spw_heap_pop(&heap, &out));
            cr_assert(out.key == (uint64_t)key && out.item == &items[i], "key %d item %d", key, i);
        }
    }
    cr_assert(!spw_heap_pop(&heap, &out));
}

/* Random pushes and pops against a linear search for the least. */
Test(heap, always_gives_the_least)
{
    struct spw_heap_entry storage[100];
    struct spw_heap_entry mirror[100];
    uint32_t count = 0;
    uint64_t sequence = 0;
    struct spw_heap heap;
    spw_heap_init(&heap, storage, 100);
    for (uint64_t i = 0; i < 20000; i++) {
        const uint32_t draw = spw_random_word(1, 0, i);
        if (count < 100 && (count == 0 || draw % 2 == 0)) {
            const uint64_t key = (draw >> 8) % 40;
            spw_heap_push(&heap, key, NULL);
            mirror[count++] = (struct spw_heap_entry){.key = key, .sequence = sequence++};
            continue;
        }
        uint32_t least = 0;
        for (uint32_t j = 1; j < count; j++) {
            if (mirror[j].key < mirror[least].key ||
                (mirror[j].key == mirror[least].key &&
                 mirror[j].sequence < mirror[least].sequence)) {
                least = j;
            }
        }
        struct spw_heap_entry peeked;
        struct spw_heap_entry popped;
        cr_assert(spw_heap_peek(&heap, &peeked));
        cr_assert(spw_heap_pop(&heap, &popped));
        cr_assert(peeked.sequence == popped.sequence);
        cr_assert(popped.key == mirror[least].key && popped.sequence == mirror[least].sequence,
                  "event %u", (unsigned)i);
        mirror[least] = mirror[--count];
    }
}

Test(heap, keys_use_all_64_bits)
{
    struct spw_heap_entry storage[3];
    struct spw_heap heap;
    spw_heap_init(&heap, storage, 3);
    spw_heap_push(&heap, UINT64_MAX, NULL);
    spw_heap_push(&heap, 0, NULL);
    spw_heap_push(&heap, UINT64_C(1) << 40, NULL);
    struct spw_heap_entry out;
    cr_assert(spw_heap_pop(&heap, &out) && out.key == 0);
    cr_assert(spw_heap_pop(&heap, &out) && out.key == UINT64_C(1) << 40);
    cr_assert(spw_heap_pop(&heap, &out) && out.key == UINT64_MAX);
}

Test(heap, overfilling_is_caught, .signal = SIGABRT)
{
    struct spw_heap_entry storage[1];
    struct spw_heap heap;
    spw_heap_init(&heap, storage, 1);
    spw_heap_push(&heap, 1, NULL);
    spw_heap_push(&heap, 1, NULL);
}
