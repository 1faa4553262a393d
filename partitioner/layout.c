/* layout.c — greedy best fit: buffers are placed one by one into the smallest gap between those
 * that are alive with them.
 *
 * Finding the least memory is NP-hard; placing the largest first comes close, and placing them by
 * birth is sometimes better, so both are tried unless the first reaches the floor. Quadratic in the
 * number of buffers, some thousands at most. Tested by tests/partitioner/test_layout.c. */
#include "partitioner/layout.h"

#include <stdbool.h>
#include <string.h>

/* Ties are broken by place in the table. */
static bool larger_first(const struct spw_interval *a, const struct spw_interval *b)
{
    if (a->bytes != b->bytes) {
        return a->bytes > b->bytes;
    }
    return a->first != b->first ? a->first < b->first : a < b;
}

static bool earlier_first(const struct spw_interval *a, const struct spw_interval *b)
{
    if (a->first != b->first) {
        return a->first < b->first;
    }
    return a->bytes != b->bytes ? a->bytes > b->bytes : a < b;
}

typedef bool before_fn(const struct spw_interval *a, const struct spw_interval *b);

/* Binary insertion: the library's qsort may allocate. */
static void insert_sorted(struct spw_interval **order, uint64_t count, struct spw_interval *item,
                          before_fn *before)
{
    uint64_t low = 0;
    uint64_t high = count;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (before(item, order[middle])) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    memmove(&order[low + 1], &order[low], (count - low) * sizeof(struct spw_interval *));
    order[low] = item;
}

static bool alive_together(const struct spw_interval *a, const struct spw_interval *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The smallest gap that is long enough among `placed`, sorted by offset, or the end. */
static uint64_t best_gap(struct spw_interval *const *placed, uint64_t count,
                         const struct spw_interval *wanted)
{
    uint64_t cursor = 0;
    uint64_t best = UINT64_MAX, best_offset = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (!alive_together(placed[i], wanted)) {
            continue;
        }
        if (placed[i]->offset > cursor) {
            const uint64_t gap = placed[i]->offset - cursor;
            if (gap >= wanted->bytes && gap < best) {
                best = gap;
                best_offset = cursor;
            }
        }
        const uint64_t end = placed[i]->offset + placed[i]->bytes;
        cursor = end > cursor ? end : cursor;
    }
    return best != UINT64_MAX ? best_offset : cursor;
}

/* Places order[0 .. count). Placed ones are kept at the front of `order`, sorted by offset. */
static uint64_t place_all(struct spw_interval **order, uint64_t count)
{
    uint64_t total = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct spw_interval *wanted = order[i];
        wanted->offset = best_gap(order, i, wanted);
        uint64_t place = i;
        while (place > 0 && order[place - 1]->offset > wanted->offset) {
            place--;
        }
        memmove(&order[place + 1], &order[place], (i - place) * sizeof(struct spw_interval *));
        order[place] = wanted;
        const uint64_t end = wanted->offset + wanted->bytes;
        total = end > total ? end : total;
    }
    return total;
}

static uint64_t place_in(struct spw_interval *intervals, uint64_t count,
                         struct spw_interval **order, before_fn *before)
{
    for (uint64_t i = 0; i < count; i++) {
        insert_sorted(order, i, &intervals[i], before);
    }
    return place_all(order, count);
}

static bool dies_first(const struct spw_interval *a, const struct spw_interval *b)
{
    return a->last < b->last;
}

uint64_t spw_layout_floor(struct spw_interval *intervals, uint64_t count,
                          struct spw_interval **order)
{
    struct spw_interval **births = order;
    struct spw_interval **deaths = order + count;
    for (uint64_t i = 0; i < count; i++) {
        insert_sorted(births, i, &intervals[i], earlier_first);
        insert_sorted(deaths, i, &intervals[i], dies_first);
    }
    uint64_t floor = 0;
    uint64_t alive = 0;
    uint64_t dead = 0;
    for (uint64_t i = 0; i < count; i++) {
        while (deaths[dead]->last < births[i]->first) {
            alive -= deaths[dead++]->bytes;
        }
        alive += births[i]->bytes;
        floor = alive > floor ? alive : floor;
    }
    return floor;
}

uint64_t spw_layout(struct spw_interval *intervals, uint64_t count, struct spw_interval **order)
{
    if (count == 0) {
        return 0;
    }
    const uint64_t by_size = place_in(intervals, count, order, larger_first);
    if (by_size == spw_layout_floor(intervals, count, order)) {
        return by_size;
    }
    const uint64_t by_time = place_in(intervals, count, order, earlier_first);
    return by_time < by_size ? by_time : place_in(intervals, count, order, larger_first);
}
