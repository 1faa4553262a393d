/* order.h — finds commands that touch the same bytes in no order, whether or not it showed.
 *
 * A run's devices tell it of every command that is enqueued and of every record that the executor
 * takes. Two commands are in order if they are in one queue, if the later one waits for the earlier
 * one, directly or through others, or if the executor knew that the earlier one had finished when
 * it enqueued the later one. If one of two commands without order writes what the other touches, in
 * a region or in homes, that is a fault, on every machine and at any load. What the executor itself
 * reads in homes is not seen. Tested by test_order.c. */
#ifndef SPW_TESTS_FAULT_ORDER_H
#define SPW_TESTS_FAULT_ORDER_H

#include "runtime/device/backend.h"
#include "runtime/memory/home.h"

#define ORDER_FAULT_BYTES 256

struct order;

/* NULL if there is no memory. One thread at a time uses it: the executor. */
struct order *order_create(void);
void order_destroy(struct order *order);

/* Adds a device; its number is what the others take. */
uint32_t order_open(struct order *order, const struct spw_home *home, bool is_cores,
                    const char *name);
void order_copy(struct order *order, uint32_t device, enum spw_queue queue,
                const struct spw_copy *copies, uint32_t copy_count, const struct spw_wait *waits,
                uint32_t wait_count, uint64_t ticket);
void order_work(struct order *order, uint32_t device, const struct spw_work *work,
                const struct spw_wait *waits, uint32_t wait_count, uint64_t ticket);
/* The executor has taken the record of `ticket`. */
void order_record(struct order *order, uint32_t device, enum spw_queue queue, uint64_t ticket);
/* The executor overwrites a range of the region, now. */
void order_poison(struct order *order, uint32_t device, uint64_t offset, uint64_t bytes);

/* Pairs that were compared, and the first two that are in no order; NULL if there are none. */
uint64_t order_compared(const struct order *order);
const char *order_fault(const struct order *order);

#endif
