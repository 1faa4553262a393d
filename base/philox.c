/* philox.c — Philox 4x32-10 and what is drawn from it.
 *
 * The bulk function computes many independent blocks side by side, which compilers turn into vector
 * code; it and the single-word function are held equal by tests/base/test_philox.c. */
#include "base/philox.h"

#include "base/assert.h"
#include "base/clones.h"
#include "base/hash.h"

#include <math.h>
#include <string.h>

/* The paper's constants: two multipliers, and the Weyl increments of the key (golden ratio and
 * sqrt(3) - 1, as 32-bit fractions). */
#define MULTIPLIER_0 UINT32_C(0xD2511F53)
#define MULTIPLIER_1 UINT32_C(0xCD9E8D57)
#define WEYL_0 UINT32_C(0x9E3779B9)
#define WEYL_1 UINT32_C(0xBB67AE85)
#define ROUNDS 10

#define WORDS_PER_BLOCK UINT64_C(4)

/* Blocks computed side by side: one 512-bit register of 32-bit words. */
#define LANES UINT64_C(16)

void spw_philox(uint64_t key, uint64_t counter_low, uint64_t counter_high, uint32_t out[4])
{
    uint32_t k0 = (uint32_t)key;
    uint32_t k1 = (uint32_t)(key >> 32);
    uint32_t c0 = (uint32_t)counter_low;
    uint32_t c1 = (uint32_t)(counter_low >> 32);
    uint32_t c2 = (uint32_t)counter_high;
    uint32_t c3 = (uint32_t)(counter_high >> 32);
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t p0 = (uint64_t)MULTIPLIER_0 * c0;
        const uint64_t p1 = (uint64_t)MULTIPLIER_1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += WEYL_0;
        k1 += WEYL_1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint32_t spw_random_word(uint64_t key, uint64_t step, uint64_t index)
{
    uint32_t words[WORDS_PER_BLOCK];
    spw_philox(key, index / WORDS_PER_BLOCK, step, words);
    return words[index % WORDS_PER_BLOCK];
}

/* Whole blocks [first_block, first_block + LANES * groups) of (key, step) into `out`. Each 64-bit
 * lane carries a 32-bit word, because the multiplication that vector units have is 32 x 32 to 64
 * bits. */
SPW_CLONES
static void fill_groups(uint64_t key, uint64_t step, uint64_t first_block, uint64_t groups,
                        uint32_t *restrict out)
{
    for (uint64_t group = 0; group < groups; group++) {
        uint64_t c0[LANES];
        uint64_t c1[LANES];
        uint64_t c2[LANES];
        uint64_t c3[LANES];
        for (uint64_t lane = 0; lane < LANES; lane++) {
            const uint64_t block = first_block + group * LANES + lane;
            c0[lane] = (uint32_t)block;
            c1[lane] = block >> 32;
            c2[lane] = (uint32_t)step;
            c3[lane] = step >> 32;
        }
        uint32_t k0 = (uint32_t)key;
        uint32_t k1 = (uint32_t)(key >> 32);
        for (int round = 0; round < ROUNDS; round++) {
            for (uint64_t lane = 0; lane < LANES; lane++) {
                const uint64_t p0 = MULTIPLIER_0 * (c0[lane] & UINT32_MAX);
                const uint64_t p1 = MULTIPLIER_1 * (c2[lane] & UINT32_MAX);
                c0[lane] = (p1 >> 32) ^ c1[lane] ^ k0;
                c1[lane] = p1 & UINT32_MAX;
                c2[lane] = (p0 >> 32) ^ c3[lane] ^ k1;
                c3[lane] = p0 & UINT32_MAX;
            }
            k0 += WEYL_0;
            k1 += WEYL_1;
        }
        for (uint64_t lane = 0; lane < LANES; lane++) {
            /* Two words per 64-bit store; the host is little-endian, as all our formats are. */
            const uint64_t low = c0[lane] | c1[lane] << 32;
            const uint64_t high = c2[lane] | c3[lane] << 32;
            memcpy(out + lane * WORDS_PER_BLOCK, &low, sizeof(low));
            memcpy(out + lane * WORDS_PER_BLOCK + 2, &high, sizeof(high));
        }
        out += LANES * WORDS_PER_BLOCK;
    }
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fill_groups() stores pairs of words");

void spw_random_words(uint64_t key, uint64_t step, uint64_t first_index, uint64_t count,
                      uint32_t *out)
{
    const uint64_t group_words = LANES * WORDS_PER_BLOCK;
    uint64_t done = 0;
    while (done < count) {
        const uint64_t index = first_index + done;
        const uint64_t skip = index % WORDS_PER_BLOCK;
        const uint64_t left = count - done;
        if (skip == 0 && left >= group_words) {
            const uint64_t groups = left / group_words;
            fill_groups(key, step, index / WORDS_PER_BLOCK, groups, out + done);
            done += groups * group_words;
        } else {
            /* The few words before the first whole block and after the last whole group. */
            uint32_t words[WORDS_PER_BLOCK];
            spw_philox(key, index / WORDS_PER_BLOCK, step, words);
            const uint64_t whole = WORDS_PER_BLOCK - skip;
            const uint64_t used = left < whole ? left : whole;
            memcpy(out + done, words + skip, (size_t)used * sizeof(*out));
            done += used;
        }
    }
}

double spw_random_normal(uint64_t key, uint64_t step, uint64_t index)
{
    uint32_t words[WORDS_PER_BLOCK];
    spw_philox(key, index / 2, step, words);
    const uint32_t *pair = words + (index % 2) * 2;
    /* (0, 1] for the logarithm, [0, 1) for the angle. */
    const double radius_draw = ((double)pair[0] + 1.0) * 0x1p-32;
    const double angle_draw = (double)pair[1] * 0x1p-32;
    const double two_pi = 6.283185307179586476925;
    return sqrt(-2.0 * log(radius_draw)) * cos(two_pi * angle_draw);
}

uint64_t spw_stream_key(uint64_t seed, const char *stream_name)
{
    return spw_hash_text(stream_name, seed);
}

void spw_permutation(uint64_t key, uint64_t count, uint32_t *order)
{
    SPW_ASSERT(count <= UINT64_C(1) << 32);
    for (uint64_t i = 0; i < count; i++) {
        order[i] = (uint32_t)i;
    }
    uint32_t words[256];
    const uint64_t draws_max = sizeof(words) / sizeof(words[0]) / 2;
    /* Place i swaps with a place in [0, i]. Draws are made for a run of places at a time. */
    for (uint64_t end = count; end > 1;) {
        const uint64_t draws = end < draws_max ? end : draws_max;
        const uint64_t first = end - draws;
        spw_random_words(key, 0, first * 2, draws * 2, words);
        for (uint64_t i = end; i-- > first && i > 0;) {
            const uint64_t low = words[(i - first) * 2];
            const uint64_t draw = low | (uint64_t)words[(i - first) * 2 + 1] << 32;
            const uint64_t j = (uint64_t)(((unsigned __int128)draw * (i + 1)) >> 64);
            const uint32_t moved = order[i];
            order[i] = order[j];
            order[j] = moved;
        }
        end = first;
    }
}
