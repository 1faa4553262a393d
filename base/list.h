/* list.h — an intrusive doubly linked list with a sentinel. Header only.
 *
 * A member `struct spw_list link` inside the element; spw_container_of() gets back to it.
 * Tested by tests/base/test_list.c. */
#ifndef SPW_BASE_LIST_H
#define SPW_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct spw_list {
    struct spw_list *next;
    struct spw_list *previous;
};

#define spw_container_of(pointer, type, member)                                                    \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void spw_list_init(struct spw_list *head)
{
    head->next = head;
    head->previous = head;
}

static inline bool spw_list_empty(const struct spw_list *head)
{
    return head->next == head;
}

/* Puts `item` before `place`: before the head means at the end. */
static inline void spw_list_insert(struct spw_list *place, struct spw_list *item)
{
    item->next = place;
    item->previous = place->previous;
    place->previous->next = item;
    place->previous = item;
}

/* Takes `item` out and leaves it pointing to itself, so that taking it out again does no harm. */
static inline void spw_list_remove(struct spw_list *item)
{
    item->previous->next = item->next;
    item->next->previous = item->previous;
    spw_list_init(item);
}

#define SPW_LIST_EACH(cursor, head)                                                                \
    for (struct spw_list *cursor = (head)->next; cursor != (head); cursor = cursor->next)

#endif
