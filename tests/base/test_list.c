/* Tests of base/list.h. */
#include "base/list.h"

#include <criterion/criterion.h>

struct element {
    int number;
    struct spw_list link;
};

static void expect(const struct spw_list *head, const int *numbers, int count)
{
    int i = 0;
    SPW_LIST_EACH (cursor, head) {
        cr_assert(i < count);
        cr_assert(spw_container_of(cursor, struct element, link)->number == numbers[i], "place %d",
                  i);
        i++;
    }
    cr_assert(i == count, "%d elements, not %d", i, count);
}

Test(list, inserts_and_removes_anywhere)
{
    struct spw_list head;
    struct element elements[4];
    spw_list_init(&head);
    cr_assert(spw_list_empty(&head));
    for (int i = 0; i < 4; i++) {
        elements[i].number = i;
        spw_list_insert(&head, &elements[i].link);
    }
    expect(&head, (const int[]){0, 1, 2, 3}, 4);

    spw_list_remove(&elements[2].link);
    expect(&head, (const int[]){0, 1, 3}, 3);
    spw_list_insert(&elements[0].link, &elements[2].link);
    expect(&head, (const int[]){2, 0, 1, 3}, 4);
    spw_list_remove(&elements[3].link);
    expect(&head, (const int[]){2, 0, 1}, 3);
}

Test(list, removing_twice_does_no_harm)
{
    struct spw_list head;
    struct element elements[2] = {{.number = 0}, {.number = 1}};
    spw_list_init(&head);
    spw_list_insert(&head, &elements[0].link);
    spw_list_insert(&head, &elements[1].link);
    spw_list_remove(&elements[0].link);
    spw_list_remove(&elements[0].link);
    expect(&head, (const int[]){1}, 1);
    spw_list_remove(&elements[1].link);
    cr_assert(spw_list_empty(&head));
}
