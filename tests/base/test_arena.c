/* Tests of base/arena.c. */
#include "base/arena.h"

#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <string.h>

Test(arena, gives_zeroed_aligned_memory_that_does_not_overlap)
{
    struct spw_arena arena;
    spw_arena_init(&arena, spw_world_system());
    unsigned char *taken[400];
    for (uint64_t i = 0; i < 400; i++) {
        cr_assert(spw_arena_take(&arena, i, 3, NULL, &taken[i]) == SPW_OK);
        cr_assert((uintptr_t)taken[i] % 16 == 0);
        for (uint64_t j = 0; j < i * 3; j++) {
            cr_assert(taken[i][j] == 0);
        }
        memset(taken[i], (int)(i % 255 + 1), i * 3);
    }
    for (uint64_t i = 0; i < 400; i++) {
        for (uint64_t j = 0; j < i * 3; j++) {
            cr_assert(taken[i][j] == i % 255 + 1, "piece %u byte %u", (unsigned)i, (unsigned)j);
        }
    }
    cr_assert(arena.used_bytes >= UINT64_C(400) * 399 / 2 * 3);
    spw_arena_deinit(&arena);
}

Test(arena, nothing_has_an_address_of_its_own)
{
    struct spw_arena arena;
    spw_arena_init(&arena, spw_world_system());
    char *a = NULL;
    char *b = NULL;
    cr_assert(spw_arena_take(&arena, 0, 8, NULL, &a) == SPW_OK);
    cr_assert(spw_arena_take(&arena, 8, 0, NULL, &b) == SPW_OK);
    cr_assert(a != NULL && b != NULL && a != b);
    spw_arena_deinit(&arena);
}

Test(arena, takes_more_than_a_chunk)
{
    struct spw_arena arena;
    spw_arena_init(&arena, spw_world_system());
    char *big;
    char *small;
    cr_assert(spw_arena_take(&arena, 5000000, 1, NULL, &big) == SPW_OK);
    memset(big, 1, 5000000);
    cr_assert(spw_arena_take(&arena, 1, 1, NULL, &small) == SPW_OK);
    cr_assert(*small == 0);
    spw_arena_deinit(&arena);
}

Test(arena, refuses_sizes_that_overflow)
{
    struct spw_arena arena;
    spw_arena_init(&arena, spw_world_system());
    struct spw_error error = {0};
    char *out = NULL;
    cr_assert(spw_arena_take(&arena, UINT64_MAX / 2, 3, &error, &out) == SPW_ERR_NO_MEMORY);
    cr_assert(error.status == SPW_ERR_NO_MEMORY && error.what[0] != '\0');
    cr_assert(spw_arena_take(&arena, UINT64_MAX - 8, 1, NULL, &out) == SPW_ERR_NO_MEMORY);
    cr_assert(spw_arena_take(&arena, INT64_MAX, 1, NULL, &out) == SPW_ERR_NO_MEMORY);
    cr_assert(out == NULL, "left alone on failure");
    spw_arena_deinit(&arena);
}

Test(arena, formats_texts)
{
    struct spw_arena arena;
    spw_arena_init(&arena, spw_world_system());
    const char *text = NULL;
    cr_assert(spw_arena_text(&arena, NULL, &text, "layer %d: %s", 7, "linear") == SPW_OK);
    cr_assert_str_eq(text, "layer 7: linear");
    cr_assert(spw_arena_text(&arena, NULL, &text, "%s", "") == SPW_OK);
    cr_assert_str_eq(text, "");
    spw_arena_deinit(&arena);
}

Test(arena, a_failed_allocation_leaves_it_usable_and_nothing_leaks)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    struct spw_arena arena;
    spw_arena_init(&arena, &fault.world);
    char *kept;
    char *out = NULL;
    cr_assert(spw_arena_take(&arena, 4000, 1, NULL, &kept) == SPW_OK);
    memset(kept, 9, 4000);

    spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = 1});
    struct spw_error error = {0};
    cr_assert(spw_arena_take(&arena, 4000, 1, &error, &out) == SPW_ERR_NO_MEMORY);
    cr_assert(out == NULL && kept[3999] == 9);
    cr_assert(spw_arena_take(&arena, 4000, 1, NULL, &out) == SPW_OK);

    spw_arena_deinit(&arena);
    spw_arena_deinit(&arena);
    spw_arena_deinit(NULL);
    cr_assert(spw_fault_world_clean(&fault));
}
