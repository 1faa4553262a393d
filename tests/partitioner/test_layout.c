/* test_layout.c — buffers that are alive together never share a byte, and little is wasted. */
#include "partitioner/layout.h"

#include "base/philox.h"

#include <criterion/criterion.h>
#include <string.h>

#define COUNT_MAX 512

static uint64_t lay(struct spw_interval *intervals, uint64_t count)
{
    struct spw_interval *order[2 * COUNT_MAX];
    return spw_layout(intervals, count, order);
}

static void check_apart(const struct spw_interval *intervals, uint64_t count, uint64_t total)
{
    for (uint64_t i = 0; i < count; i++) {
        const struct spw_interval *a = &intervals[i];
        cr_assert(a->offset % 64 == 0);
        cr_assert(a->offset + a->bytes <= total);
        for (uint64_t k = 0; k < i; k++) {
            const struct spw_interval *b = &intervals[k];
            const bool together = a->first <= b->last && b->first <= a->last;
            const bool shared = a->offset < b->offset + b->bytes &&
                                b->offset < a->offset + a->bytes;
            cr_assert(!together || !shared, "buffers %d and %d", (int)k, (int)i);
        }
    }
}

Test(layout, nothing_takes_nothing)
{
    cr_assert(lay(NULL, 0) == 0);
}

/* The output of an instruction may not lie on its inputs, so two of three buffers alternate. */
Test(layout, a_chain_needs_two_buffers)
{
    struct spw_interval chain[10];
    for (int32_t i = 0; i < 10; i++) {
        chain[i] = (struct spw_interval){.bytes = 128, .first = i, .last = i + 1};
    }
    const uint64_t total = lay(chain, 10);
    cr_assert(total == 256, "%d bytes", (int)total);
    check_apart(chain, 10, total);
}

Test(layout, a_gap_is_filled_by_what_fits_best)
{
    struct spw_interval intervals[] = {
        {.bytes = 640, .first = 0, .last = 9}, {.bytes = 320, .first = 0, .last = 2},
        {.bytes = 192, .first = 0, .last = 9}, {.bytes = 128, .first = 3, .last = 9},
        {.bytes = 192, .first = 3, .last = 9},
    };
    const uint64_t total = lay(intervals, 5);
    cr_assert(total == 640 + 320 + 192, "%d bytes", (int)total);
    check_apart(intervals, 5, total);
}

static uint64_t random_layout(uint64_t seed, struct spw_interval *intervals, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        const uint32_t first = spw_random_word(seed, 0, i) % 200;
        const uint32_t length = spw_random_word(seed, 1, i) % (i % 8 == 0 ? 100 : 6);
        intervals[i] = (struct spw_interval){
            .bytes = 64 + spw_random_word(seed, 2, i) % 40 * 64,
            .first = (int32_t)first,
            .last = (int32_t)(first + length),
        };
    }
    return lay(intervals, count);
}

/* At every birth, by counting. */
static uint64_t most_alive(const struct spw_interval *intervals, uint64_t count)
{
    uint64_t most = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t alive = 0;
        for (uint64_t k = 0; k < count; k++) {
            const bool here = intervals[k].first <= intervals[i].first &&
                              intervals[i].first <= intervals[k].last;
            alive += here ? intervals[k].bytes : 0;
        }
        most = alive > most ? alive : most;
    }
    return most;
}

Test(layout, random_lifetimes_stay_apart_and_waste_little)
{
    static struct spw_interval intervals[COUNT_MAX];
    double waste = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        const uint64_t count = 1 + spw_random_word(seed, 3, 0) % (COUNT_MAX - 1);
        const uint64_t total = random_layout(seed, intervals, count);
        check_apart(intervals, count, total);
        struct spw_interval *order[2 * COUNT_MAX];
        const uint64_t floor = spw_layout_floor(intervals, count, order);
        cr_assert(floor == most_alive(intervals, count));
        cr_assert(floor <= total);
        waste += (double)total / (double)floor - 1;
    }
    cr_assert(waste / 40 < 0.1, "%.3f of memory are gaps", waste / 40);
}

Test(layout, equal_input_gives_equal_offsets)
{
    static struct spw_interval a[COUNT_MAX], b[COUNT_MAX];
    cr_assert(random_layout(5, a, 300) == random_layout(5, b, 300));
    for (int i = 0; i < 300; i++) {
        cr_assert(a[i].offset == b[i].offset);
    }
}
