/* Tests of base/extent.c. The oracle of the random test is a map of single bytes. */
#include "base/extent.h"

#include "base/philox.h"
#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct spw_extent_map *map_of(uint64_t bytes, uint64_t alignment)
{
    struct spw_extent_map *map = NULL;
    cr_assert(spw_extent_map_create(spw_world_system(), bytes, alignment, 64, NULL, &map) ==
              SPW_OK);
    return map;
}

static struct spw_extent acquired(struct spw_extent_map *map, uint64_t bytes)
{
    struct spw_extent extent = {0};
    cr_assert(spw_extent_acquire(map, bytes, &extent) == SPW_OK, "%u bytes", (unsigned)bytes);
    return extent;
}

/* A request that does not fit is refused without disturbing what is already placed. */
Test(extent, refuses_what_does_not_fit)
{
    struct spw_extent_map *map = map_of(1024, 1);
    const struct spw_extent kept = acquired(map, 768);
    struct spw_extent refused = {.offset_bytes = 77, .bytes = 88};
    cr_assert(spw_extent_acquire(map, 512, &refused) == SPW_ERR_NO_SPACE);
    cr_assert(refused.offset_bytes == 77 && refused.bytes == 88);
    cr_assert(spw_extent_used_bytes(map) == 768);
    cr_assert(spw_extent_largest_free(map) == 256);
    spw_extent_release(map, kept);
    cr_assert(spw_extent_largest_free(map) == 1024);
    spw_extent_map_destroy(map);
}

Test(extent, rounds_to_the_alignment_and_keeps_the_asked_size)
{
    struct spw_extent_map *map = map_of(1000, 64);
    cr_assert(spw_extent_round(map, 1) == 64);
    cr_assert(spw_extent_round(map, 64) == 64);
    cr_assert(spw_extent_largest_free(map) == 960, "the region itself is rounded down");
    const struct spw_extent a = acquired(map, 1);
    const struct spw_extent b = acquired(map, 65);
    cr_assert(a.bytes == 1 && b.bytes == 65);
    cr_assert(a.offset_bytes == 0 && b.offset_bytes == 64);
    cr_assert(spw_extent_used_bytes(map) == 64 + 128);
    spw_extent_release(map, a);
    spw_extent_release(map, b);
    cr_assert(spw_extent_used_bytes(map) == 0);
    cr_assert(spw_extent_peak_bytes(map) == 192);
    spw_extent_map_destroy(map);
}

Test(extent, takes_the_shortest_range_that_fits_and_the_lowest_among_equals)
{
    struct spw_extent_map *map = map_of(1000, 1);
    const struct spw_extent hole_100 = acquired(map, 100);
    (void)acquired(map, 10);
    const struct spw_extent hole_40 = acquired(map, 40);
    (void)acquired(map, 10);
    const struct spw_extent other_40 = acquired(map, 40);
    (void)acquired(map, 800);
    spw_extent_release(map, hole_100);
    spw_extent_release(map, other_40);
    spw_extent_release(map, hole_40);

    cr_assert(acquired(map, 40).offset_bytes == hole_40.offset_bytes);
    cr_assert(acquired(map, 30).offset_bytes == other_40.offset_bytes);
    cr_assert(acquired(map, 41).offset_bytes == hole_100.offset_bytes);
    spw_extent_map_destroy(map);
}

Test(extent, merges_with_both_neighbours)
{
    /* Releasing the middle one last, first, and in between must all end in one whole range. */
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int i = 0; i < 6; i++) {
        struct spw_extent_map *map = map_of(96, 32);
        struct spw_extent extents[3];
        for (int j = 0; j < 3; j++) {
            extents[j] = acquired(map, 32);
        }
        cr_assert(spw_extent_largest_free(map) == 0);
        for (int j = 0; j < 3; j++) {
            spw_extent_release(map, extents[orders[i][j]]);
        }
        cr_assert(spw_extent_largest_free(map) == 96, "order %d", i);
        spw_extent_map_destroy(map);
    }
}

Test(extent, free_total_is_not_enough)
{
    struct spw_extent_map *map = map_of(100, 1);
    const struct spw_extent a = acquired(map, 40);
    (void)acquired(map, 20);
    const struct spw_extent c = acquired(map, 40);
    spw_extent_release(map, a);
    spw_extent_release(map, c);
    struct spw_extent out;
    cr_assert(spw_extent_acquire(map, 41, &out) == SPW_ERR_NO_SPACE);
    cr_assert(spw_extent_acquire(map, 40, &out) == SPW_OK);
    spw_extent_map_destroy(map);
}

Test(extent, holds_no_more_ranges_than_it_was_made_for)
{
    struct spw_extent_map *map;
    cr_assert(spw_extent_map_create(spw_world_system(), 100, 1, 3, NULL, &map) == SPW_OK);
    const struct spw_extent first = acquired(map, 1);
    (void)acquired(map, 1);
    (void)acquired(map, 1);
    struct spw_extent out;
    cr_assert(spw_extent_acquire(map, 1, &out) == SPW_ERR_NO_SPACE);
    spw_extent_release(map, first);
    cr_assert(spw_extent_acquire(map, 1, &out) == SPW_OK);
    spw_extent_map_destroy(map);
}

Test(extent, huge_requests_do_not_wrap)
{
    struct spw_extent_map *map = map_of(1024, 256);
    struct spw_extent out;
    cr_assert(spw_extent_acquire(map, UINT64_MAX, &out) == SPW_ERR_NO_SPACE);
    cr_assert(spw_extent_acquire(map, UINT64_MAX - 255, &out) == SPW_ERR_NO_SPACE);
    spw_extent_map_destroy(map);
}

Test(extent, a_region_smaller_than_the_alignment_is_empty)
{
    struct spw_extent_map *map = map_of(100, 128);
    struct spw_extent out;
    cr_assert(spw_extent_largest_free(map) == 0);
    cr_assert(spw_extent_acquire(map, 1, &out) == SPW_ERR_NO_SPACE);
    spw_extent_map_destroy(map);
    spw_extent_map_destroy(NULL);
}

Test(extent, a_second_release_is_caught, .signal = SIGABRT)
{
    struct spw_extent_map *map = map_of(1024, 1);
    const struct spw_extent a = acquired(map, 10);
    (void)acquired(map, 10);
    spw_extent_release(map, a);
    spw_extent_release(map, a);
}

Test(extent, a_release_past_the_end_is_caught, .signal = SIGABRT)
{
    struct spw_extent_map *map = map_of(1024, 1);
    (void)acquired(map, 1024);
    spw_extent_release(map, (struct spw_extent){.offset_bytes = 1000, .bytes = 25});
}

#define REGION 4096
#define RANGES 64

struct oracle {
    unsigned char used[REGION];
    struct spw_extent live[RANGES];
    int count;
};

/* The lengths of all free runs, by looking at every byte. */
static uint64_t longest_free(const struct oracle *oracle, uint64_t at_least, uint64_t *best_fit)
{
    uint64_t longest = 0;
    *best_fit = UINT64_MAX;
    for (uint64_t i = 0; i < REGION;) {
        uint64_t end = i;
        while (end < REGION && !oracle->used[end]) {
            end++;
        }
        longest = end - i > longest ? end - i : longest;
        if (end - i >= at_least && end - i < *best_fit) {
            *best_fit = end - i;
        }
        i = end + 1;
    }
    return longest;
}

/* Length of the free run that starts at `offset`. */
static uint64_t run_at(const struct oracle *oracle, uint64_t offset)
{
    uint64_t end = offset;
    while (end < REGION && !oracle->used[end]) {
        end++;
    }
    return end - offset;
}

Test(extent, agrees_with_a_byte_map_over_random_histories)
{
    static struct oracle oracle;
    struct spw_extent_map *map = map_of(REGION, 16);
    uint64_t refused = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        const uint32_t draw = spw_random_word(5, 0, i * 2);
        const uint32_t size = spw_random_word(5, 0, i * 2 + 1) % 300 + 1;
        if (oracle.count == RANGES || (oracle.count > 0 && draw % 9 < 4)) {
            const int victim = (int)((draw >> 8) % (uint32_t)oracle.count);
            const struct spw_extent extent = oracle.live[victim];
            memset(oracle.used + extent.offset_bytes, 0, spw_extent_round(map, extent.bytes));
            oracle.live[victim] = oracle.live[--oracle.count];
            spw_extent_release(map, extent);
        } else {
            uint64_t best_fit;
            const uint64_t rounded = spw_extent_round(map, size);
            const uint64_t longest = longest_free(&oracle, rounded, &best_fit);
            cr_assert(spw_extent_largest_free(map) == longest, "after %u events", (unsigned)i);
            struct spw_extent extent;
            const enum spw_status status = spw_extent_acquire(map, size, &extent);
            cr_assert((status == SPW_OK) == (longest >= rounded), "event %u", (unsigned)i);
            if (status != SPW_OK) {
                refused++;
                continue;
            }
            cr_assert(run_at(&oracle, extent.offset_bytes) == best_fit, "event %u", (unsigned)i);
            cr_assert(extent.offset_bytes == 0 || oracle.used[extent.offset_bytes - 1]);
            memset(oracle.used + extent.offset_bytes, 1, rounded);
            oracle.live[oracle.count++] = extent;
        }
        uint64_t used = 0;
        for (int j = 0; j < oracle.count; j++) {
            used += spw_extent_round(map, oracle.live[j].bytes);
        }
        cr_assert(spw_extent_used_bytes(map) == used);
    }
    cr_assert(refused > 100, "the history must also be tight; %u refusals", (unsigned)refused);
    while (oracle.count > 0) {
        spw_extent_release(map, oracle.live[--oracle.count]);
    }
    cr_assert(spw_extent_largest_free(map) == REGION);
    spw_extent_map_destroy(map);
}

Test(extent, allocates_at_creation_only_and_survives_its_failure)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    struct spw_extent_map *map = NULL;
    uint64_t attempts = 0;
    for (uint64_t at = 1;; at++) {
        spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = at});
        struct spw_error error = {0};
        const enum spw_status status =
            spw_extent_map_create(&fault.world, 1 << 20, 1, 100, &error, &map);
        attempts++;
        if (!spw_fault_world_struck(&fault)) {
            cr_assert(status == SPW_OK);
            break;
        }
        cr_assert(status == SPW_ERR_NO_MEMORY && error.status == status);
        cr_assert(spw_fault_world_clean(&fault));
    }
    cr_assert(attempts == 3);

    spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){0});
    struct spw_extent extents[100];
    for (int i = 0; i < 100; i++) {
        extents[i] = acquired(map, 100);
    }
    for (int i = 0; i < 100; i++) {
        spw_extent_release(map, extents[i]);
    }
    cr_assert(atomic_load(&fault.calls[SPW_FAULT_ALLOCATION]) == 0);
    spw_extent_map_destroy(map);
    cr_assert(spw_fault_world_clean(&fault));
}
