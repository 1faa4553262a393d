/* test_residency.c — reservation is all or nothing, eviction takes clean unpinned copies whose next
 * use is furthest, and freed bytes are poisoned. The device is a table entry without memory. */
#include "runtime/memory/residency.h"

#include <criterion/criterion.h>

enum { REGION = 1024, BLOCKS = 6 };

static uint64_t poisoned;

static void count_poison(struct spw_device *device, uint64_t offset, uint64_t bytes)
{
    (void)device;
    (void)offset;
    poisoned += bytes;
}

static const struct spw_backend NO_BACKEND = {.name = "none", .poison = count_poison};
static struct spw_device device = {.backend = &NO_BACKEND, .caps.region_bytes = REGION};
static struct spw_residency residency;
static struct spw_block blocks[BLOCKS];
static struct spw_residence copies[BLOCKS];
static uint64_t next_uses[BLOCKS];

static uint64_t next_use(void *context, const struct spw_block *block)
{
    (void)context;
    return next_uses[block - blocks];
}

static void setup(void)
{
    cr_assert(spw_residency_init(&residency, spw_world_system(), &device, 0, true, NULL) == SPW_OK);
    for (int i = 0; i < BLOCKS; i++) {
        copies[i] = (struct spw_residence){0};
        blocks[i] = (struct spw_block){.bytes = 256, .weight_block = i, .at = &copies[i]};
        next_uses[i] = (uint64_t)i;
    }
}

static void teardown(void)
{
    spw_residency_deinit(&residency);
}

static enum spw_status reserve(struct spw_reservation *want, bool alone)
{
    return spw_residency_reserve(&residency, want, alone, next_use, NULL);
}

static void make_clean(int i)
{
    struct spw_reservation want = {.blocks = {&blocks[i]}, .block_count = 1};
    cr_assert(reserve(&want, false) == SPW_OK);
    cr_assert(want.is_new[0]);
    cr_assert(copies[i].state == SPW_RESIDENCE_LOADING);
    spw_residency_mark(&residency, &blocks[i], SPW_RESIDENCE_CLEAN);
    spw_residency_unpin(&residency, &want);
}

TestSuite(residency, .init = setup, .fini = teardown);

Test(residency, the_furthest_next_use_goes_first)
{
    for (int i = 0; i < 4; i++) {
        make_clean(i);
    }
    next_uses[1] = 99;
    make_clean(4);
    cr_assert(copies[1].state == SPW_RESIDENCE_ABSENT);
    cr_assert(copies[0].state == SPW_RESIDENCE_CLEAN && copies[2].state == SPW_RESIDENCE_CLEAN &&
              copies[3].state == SPW_RESIDENCE_CLEAN);
    cr_assert(residency.evictions == 1);
    cr_assert(poisoned == 256);
}

Test(residency, equal_next_uses_go_by_block)
{
    for (int i = 0; i < 4; i++) {
        make_clean(i);
        next_uses[i] = 5;
    }
    make_clean(4);
    cr_assert(copies[3].state == SPW_RESIDENCE_ABSENT);
}

Test(residency, what_is_pinned_or_dirty_stays)
{
    struct spw_reservation pinned = {.blocks = {&blocks[0], &blocks[1]}, .block_count = 2};
    cr_assert(reserve(&pinned, false) == SPW_OK);
    make_clean(2);
    make_clean(3);
    spw_residency_mark(&residency, &blocks[0], SPW_RESIDENCE_DIRTY);
    struct spw_reservation large = {.work_bytes = 768};
    cr_assert(reserve(&large, false) == SPW_PENDING);
    cr_assert(copies[2].state == SPW_RESIDENCE_CLEAN && copies[3].state == SPW_RESIDENCE_CLEAN,
              "a request that cannot fit disturbed others");
    struct spw_reservation fits = {.work_bytes = 512};
    cr_assert(reserve(&fits, false) == SPW_OK);
    cr_assert(copies[0].state == SPW_RESIDENCE_DIRTY && copies[1].state == SPW_RESIDENCE_LOADING);
    cr_assert(spw_extent_used_bytes(residency.extents) == REGION);
    spw_residency_unpin(&residency, &fits);
    spw_residency_unpin(&residency, &pinned);
    cr_assert(spw_extent_used_bytes(residency.extents) == 512);
}

Test(residency, a_failed_reservation_leaves_nothing_behind)
{
    struct spw_reservation held = {.work_bytes = 640};
    cr_assert(reserve(&held, false) == SPW_OK);
    struct spw_reservation want = {
        .blocks = {&blocks[0], &blocks[1]}, .block_count = 2, .work_bytes = 64};
    cr_assert(reserve(&want, false) == SPW_PENDING);
    cr_assert(copies[0].state == SPW_RESIDENCE_ABSENT && copies[1].state == SPW_RESIDENCE_ABSENT);
    cr_assert(spw_extent_used_bytes(residency.extents) == 640);
}

/* Room enough in all, but in two pieces: a unit that is alone gives its own block up and loads it
 * again. */
Test(residency, fragments_do_not_stop_a_unit_that_is_alone)
{
    for (int i = 0; i < 4; i++) {
        make_clean(i);
    }
    spw_residency_drop(&residency, &blocks[0]);
    spw_residency_drop(&residency, &blocks[3]);
    struct spw_reservation want = {.blocks = {&blocks[1]}, .block_count = 1, .work_bytes = 768};
    spw_residency_drop(&residency, &blocks[2]);
    cr_assert(copies[1].extent.offset_bytes == 256);
    struct spw_reservation staged = want;
    cr_assert(reserve(&staged, false) == SPW_PENDING);
    cr_assert(copies[1].state == SPW_RESIDENCE_CLEAN && copies[1].pins == 0);
    cr_assert(reserve(&want, true) == SPW_OK);
    cr_assert(want.is_new[0]);
    cr_assert(spw_extent_used_bytes(residency.extents) == REGION);
}

Test(residency, resident_blocks_are_not_loaded_again)
{
    make_clean(0);
    struct spw_reservation want = {.blocks = {&blocks[0], &blocks[1]}, .block_count = 2};
    cr_assert(reserve(&want, false) == SPW_OK);
    cr_assert(!want.is_new[0] && want.is_new[1]);
    cr_assert(spw_residency_bytes(&residency, &blocks[0]) == 256);
    cr_assert(spw_residency_bytes(&residency, &blocks[2]) == 0);
}
