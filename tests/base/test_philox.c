/* Tests of base/philox.c. */
#include "base/philox.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Known answers of Philox 4x32-10 from the Random123 distribution: zeros, ones, and digits of pi.
 */
static const struct {
    uint64_t key;
    uint64_t counter_low;
    uint64_t counter_high;
    uint32_t expected[4];
} known[] = {
    {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {UINT64_C(0x299f31d0a4093822),
     UINT64_C(0x85a308d3243f6a88),
     UINT64_C(0x0370734413198a2e),
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

Test(philox, known_answers)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        uint32_t out[4];
        spw_philox(known[i].key, known[i].counter_low, known[i].counter_high, out);
        for (int word = 0; word < 4; word++) {
            cr_assert(out[word] == known[i].expected[word], "case %u word %d: %08x", (unsigned)i,
                      word, out[word]);
        }
    }
}

Test(philox, a_word_is_its_place_in_the_block)
{
    for (uint64_t index = 0; index < 40; index++) {
        uint32_t block[4];
        spw_philox(99, index / 4, 7, block);
        cr_assert(spw_random_word(99, 7, index) == block[index % 4]);
    }
}

static void expect_bulk_equals_single(uint64_t first, uint64_t count)
{
    const uint64_t key = UINT64_C(0x0123456789abcdef);
    const uint64_t step = UINT64_C(0x500000003);
    uint32_t *words = malloc((size_t)(count + 2) * sizeof(*words));
    cr_assert(words != NULL);
    memset(words, 0xAB, (size_t)(count + 2) * sizeof(*words));
    spw_random_words(key, step, first, count, words + 1);
    cr_assert(words[0] == 0xABABABAB && words[count + 1] == 0xABABABAB, "wrote outside");
    for (uint64_t i = 0; i < count; i++) {
        cr_assert(words[i + 1] == spw_random_word(key, step, first + i), "first %llu, word %llu",
                  (unsigned long long)first, (unsigned long long)i);
    }
    free(words);
}

/* All the ways in which a range can start and end within blocks and groups of blocks. */
Test(philox, bulk_equals_word_by_word)
{
    for (uint64_t first = 0; first < 9; first++) {
        for (uint64_t count = 0; count < 280; count++) {
            expect_bulk_equals_single(first, count);
        }
    }
    /* The low word of the block number carries into the high one. */
    expect_bulk_equals_single((UINT64_C(1) << 34) - 130, 400);
    expect_bulk_equals_single(UINT64_MAX - 400, 400);
}

Test(philox, unit_floats_stay_below_one)
{
    cr_assert(spw_unit_float(0) == 0.0f);
    cr_assert(spw_unit_float(UINT32_MAX) < 1.0f);
    cr_assert(spw_unit_float(UINT32_C(1) << 31) == 0.5f);
}

Test(philox, normal_numbers_have_the_moments_of_one)
{
    const uint64_t count = 200000;
    double sum = 0;
    double squares = 0;
    double fourths = 0;
    for (uint64_t i = 0; i < count; i++) {
        const double x = spw_random_normal(11, 0, i);
        cr_assert(isfinite(x));
        sum += x;
        squares += x * x;
        fourths += x * x * x * x;
    }
    const double n = (double)count;
    /* Four standard errors: 1, sqrt(2) and sqrt(96) over sqrt(n). */
    cr_assert(fabs(sum / n) < 4 * 1 / sqrt(n), "mean %g", sum / n);
    cr_assert(fabs(squares / n - 1) < 4 * sqrt(2 / n), "variance %g", squares / n);
    cr_assert(fabs(fourths / n - 3) < 4 * sqrt(96 / n), "fourth moment %g", fourths / n);
}

Test(philox, neighbouring_normal_numbers_do_not_share_words)
{
    const uint64_t count = 100000;
    double product = 0;
    for (uint64_t i = 0; i < count; i++) {
        product += spw_random_normal(11, 3, i) * spw_random_normal(11, 3, i + 1);
    }
    cr_assert(fabs(product / (double)count) < 4 / sqrt((double)count));
}

Test(philox, streams_differ_by_seed_and_name)
{
    const uint64_t key = spw_stream_key(42, "init/0.weight");
    cr_assert(key == spw_stream_key(42, "init/0.weight"));
    cr_assert(key != spw_stream_key(43, "init/0.weight"));
    cr_assert(key != spw_stream_key(42, "init/0.bias"));
}

static void expect_permutation(uint64_t key, uint32_t count)
{
    uint32_t *order = malloc((count + 1) * sizeof(*order));
    unsigned char *seen = calloc(count + 1, 1);
    cr_assert(order != NULL && seen != NULL);
    order[count] = 12345;
    spw_permutation(key, count, order);
    cr_assert(order[count] == 12345, "wrote outside");
    for (uint32_t i = 0; i < count; i++) {
        cr_assert(order[i] < count && !seen[order[i]], "count %u place %u", count, i);
        seen[order[i]] = 1;
    }
    free(order);
    free(seen);
}

Test(philox, permutations_hold_every_number_once)
{
    for (uint32_t count = 0; count < 300; count++) {
        expect_permutation(count, count);
    }
    expect_permutation(1, 60000);
}

/* The definition in the header, written out one draw at a time. */
Test(philox, a_permutation_is_what_the_header_says)
{
    enum { COUNT = 1000 };
    const uint64_t key = 31;
    static uint32_t order[COUNT];
    static uint32_t expected[COUNT];
    spw_permutation(key, COUNT, order);
    for (uint32_t i = 0; i < COUNT; i++) {
        expected[i] = i;
    }
    for (uint64_t i = COUNT - 1; i > 0; i--) {
        const uint64_t draw = spw_random_word(key, 0, 2 * i) |
                              (uint64_t)spw_random_word(key, 0, 2 * i + 1) << 32;
        const uint64_t j = (uint64_t)(((unsigned __int128)draw * (i + 1)) >> 64);
        const uint32_t moved = expected[i];
        expected[i] = expected[j];
        expected[j] = moved;
    }
    cr_assert(memcmp(order, expected, sizeof(order)) == 0);
}

/* Chi-squared over the 24 orders of four numbers: 23 degrees of freedom, 49.7 is exceeded once in a
 * thousand. The keys are fixed, so the test gives one answer for ever. */
Test(philox, permutations_are_equally_likely)
{
    int counts[256] = {0};
    const int draws = 24000;
    for (int i = 0; i < draws; i++) {
        uint32_t order[4];
        spw_permutation((uint64_t)i, 4, order);
        counts[order[0] | order[1] << 2 | order[2] << 4 | order[3] << 6]++;
    }
    double chi = 0;
    int kinds = 0;
    for (int i = 0; i < 256; i++) {
        if (counts[i] > 0) {
            kinds++;
            chi += (counts[i] - 1000.0) * (counts[i] - 1000.0) / 1000.0;
        }
    }
    cr_assert(kinds == 24);
    cr_assert(chi < 49.7, "chi-squared %g", chi);
}
