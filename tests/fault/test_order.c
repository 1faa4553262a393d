/* test_order.c — the checker of order.c finds what is in no order, and nothing else. No device runs
 * here: commands are made up. */
#include "order.h"

#include <criterion/criterion.h>
#include <string.h>

enum { A, B };

/* Two devices, and 4 KiB of homes that commands name by offset. */
struct fixture {
    struct spw_home *home;
    char *base;
    struct order *order;
    uint64_t tickets[2][SPW_QUEUE_COUNT];
};

static struct fixture open_fixture(void)
{
    struct fixture it = {.order = order_create()};
    void *base = NULL;
    cr_assert(it.order != NULL);
    cr_assert(spw_home_create(spw_world_system(), 4096, false, NULL, &it.home) == SPW_OK);
    cr_assert(spw_home_take(it.home, 4096, NULL, &base) == SPW_OK);
    it.base = base;
    cr_assert(order_open(it.order, it.home, false, "a") == A);
    cr_assert(order_open(it.order, it.home, false, "b") == B);
    return it;
}

static void close_fixture(struct fixture *it)
{
    order_destroy(it->order);
    spw_home_give_back(it->home, it->base);
    spw_home_destroy(it->home);
}

/* 64 bytes between homes and region; waits for `wait`. Returns its ticket. */
static uint64_t copy(struct fixture *it, uint32_t device, enum spw_queue queue, uint64_t home,
                     uint64_t region, struct spw_wait wait)
{
    const struct spw_copy what = {.home = it->base + home, .region_offset = region, .bytes = 64};
    const uint64_t ticket = ++it->tickets[device][queue];
    order_copy(it->order, device, queue, &what, 1, &wait, 1, ticket);
    return ticket;
}

/* An update of 16 elements in place, at `region`. */
static uint64_t work(struct fixture *it, uint32_t device, uint64_t region, struct spw_wait wait)
{
    const struct spw_work what = {.kind = SPW_WORK_UPDATE,
                                  .update = {.piece = {.bytes = 64},
                                             .weights = region,
                                             .weights_out = region,
                                             .grads = region + 64}};
    const uint64_t ticket = ++it->tickets[device][SPW_QUEUE_COMPUTE];
    order_work(it->order, device, &what, &wait, 1, ticket);
    return ticket;
}

static const struct spw_wait NO_WAIT = {SPW_QUEUE_IN, 0};

static void expect_order(const struct fixture *it)
{
    cr_assert(order_fault(it->order) == NULL, "%s", order_fault(it->order));
}

static void expect_fault(const struct fixture *it, const char *a, const char *b)
{
    const char *fault = order_fault(it->order);
    cr_assert(fault != NULL, "nothing was found of %s and %s", a, b);
    cr_assert(strstr(fault, a) != NULL && strstr(fault, b) != NULL, "%s", fault);
}

Test(order, waits_order_queues)
{
    struct fixture it = open_fixture();
    const uint64_t in = copy(&it, A, SPW_QUEUE_IN, 0, 128, NO_WAIT);
    const uint64_t ran = work(&it, A, 128, (struct spw_wait){SPW_QUEUE_IN, in});
    (void)copy(&it, A, SPW_QUEUE_OUT, 64, 128, (struct spw_wait){SPW_QUEUE_COMPUTE, ran});
    expect_order(&it);
    cr_assert(order_compared(it.order) == 0); /* all is ordered before bytes are looked at */
    close_fixture(&it);
}

Test(order, a_work_that_does_not_wait_for_its_input_is_found)
{
    struct fixture it = open_fixture();
    (void)copy(&it, A, SPW_QUEUE_IN, 0, 128, NO_WAIT);
    (void)work(&it, A, 256, NO_WAIT);
    expect_order(&it); /* other bytes */
    (void)work(&it, A, 64, NO_WAIT);
    expect_fault(&it, "a in 1", "a compute 2"); /* its gradients are at 128 */
    close_fixture(&it);
}

/* The copy out waits for a later work, which waited for the copy in. */
Test(order, waits_reach_through_others)
{
    struct fixture it = open_fixture();
    const uint64_t in = copy(&it, A, SPW_QUEUE_IN, 0, 128, NO_WAIT);
    (void)work(&it, A, 512, (struct spw_wait){SPW_QUEUE_IN, in});
    const uint64_t ran = work(&it, A, 1024, NO_WAIT);
    (void)copy(&it, A, SPW_QUEUE_OUT, 64, 128, (struct spw_wait){SPW_QUEUE_COMPUTE, ran});
    expect_order(&it);
    (void)copy(&it, A, SPW_QUEUE_IN, 256, 128, NO_WAIT);
    expect_fault(&it, "a out 1", "a in 2");
    close_fixture(&it);
}

Test(order, homes_are_shared_by_devices)
{
    struct fixture it = open_fixture();
    (void)copy(&it, A, SPW_QUEUE_OUT, 0, 128, NO_WAIT);
    (void)copy(&it, B, SPW_QUEUE_IN, 64, 128, NO_WAIT); /* regions are not */
    expect_order(&it);
    (void)copy(&it, B, SPW_QUEUE_IN, 32, 128, (struct spw_wait){SPW_QUEUE_OUT, 0});
    expect_fault(&it, "a out 1", "b in 2");
    close_fixture(&it);
}

/* Of a command that the executor has seen the end of, and of all before that. */
Test(order, a_record_orders_what_comes_after_it)
{
    struct fixture it = open_fixture();
    const uint64_t out = copy(&it, A, SPW_QUEUE_OUT, 0, 128, NO_WAIT);
    const uint64_t in = copy(&it, A, SPW_QUEUE_IN, 64, 512, (struct spw_wait){SPW_QUEUE_OUT, out});
    order_record(it.order, A, SPW_QUEUE_IN, in);
    (void)copy(&it, B, SPW_QUEUE_IN, 0, 128, NO_WAIT);
    (void)copy(&it, A, SPW_QUEUE_IN, 64, 128, NO_WAIT);
    expect_order(&it);
    close_fixture(&it);
}

Test(order, readers_need_no_order)
{
    struct fixture it = open_fixture();
    (void)copy(&it, A, SPW_QUEUE_IN, 0, 128, NO_WAIT);
    (void)copy(&it, B, SPW_QUEUE_IN, 0, 128, NO_WAIT);
    expect_order(&it);
    cr_assert(order_compared(it.order) == 1);
    close_fixture(&it);
}

Test(order, a_range_that_is_overwritten_must_be_nobodys)
{
    struct fixture it = open_fixture();
    const uint64_t out = copy(&it, A, SPW_QUEUE_OUT, 0, 128, NO_WAIT);
    order_poison(it.order, B, 128, 64);
    order_poison(it.order, A, 192, 64);
    expect_order(&it);
    order_poison(it.order, A, 64, 65);
    expect_fault(&it, "a out 1", "the executor");
    order_record(it.order, A, SPW_QUEUE_OUT, out);
    close_fixture(&it);
}

/* A queue's ring goes round; waits for what was overwritten long ago are waits for nothing. */
Test(order, old_commands_are_forgotten)
{
    struct fixture it = open_fixture();
    for (uint64_t i = 0; i < 5000; i++) {
        const uint64_t in = copy(&it, A, SPW_QUEUE_IN, 0, 128, NO_WAIT);
        order_record(it.order, A, SPW_QUEUE_IN, in);
    }
    (void)work(&it, A, 128, (struct spw_wait){SPW_QUEUE_IN, 1});
    expect_order(&it);
    (void)copy(&it, A, SPW_QUEUE_IN, 0, 128, NO_WAIT);
    expect_fault(&it, "a compute 1", "a in 5001");
    close_fixture(&it);
}
