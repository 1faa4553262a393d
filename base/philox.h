/* philox.h — counter-based random numbers: Philox 4x32-10.
 *
 * J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. A number is a pure
 * function of (key, counter): no state, so recomputation and any order of execution replay it.
 * Known-answer tests from the paper's Random123 distribution are in tests/base/test_philox.c. */
#ifndef SPW_BASE_PHILOX_H
#define SPW_BASE_PHILOX_H

#include <stdint.h>

/* The four 32-bit outputs of one block. The key's two words are its low and high half; the
 * counter's four are low and high half of counter_low, then of counter_high. */
void spw_philox(uint64_t key, uint64_t counter_low, uint64_t counter_high, uint32_t out[4]);

/* Element `index` of the stream (key, step): word index % 4 of block (index / 4, step). All dropout
 * masks, initial weights and shuffles draw through this one function. */
uint32_t spw_random_word(uint64_t key, uint64_t step, uint64_t index);

/* Elements [first_index, first_index + count) of the stream into `out`, each what spw_random_word()
 * gives; several blocks at a time, for masks and weights. The range must not wrap past 2^64. */
void spw_random_words(uint64_t key, uint64_t step, uint64_t first_index, uint64_t count,
                      uint32_t *out);

/* [0, 1) with 24 bits. */
static inline float spw_unit_float(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f;
}

/* Standard normal number of element `index` (below 2^63): Box-Muller in double precision over words
 * 2 index and 2 index + 1, so that it depends on (key, step, index) alone. */
double spw_random_normal(uint64_t key, uint64_t step, uint64_t index);

/* The key of a named stream: the hash of (seed, name). */
uint64_t spw_stream_key(uint64_t seed, const char *stream_name);

/* Fills `order` with a permutation of [0, count), count at most 2^32: Fisher-Yates from the end;
 * place i draws with 64 bits, words 2 i (low) and 2 i + 1 of (key, 0), by rejection-free
 * multiply-shift (bias below 2^-32). */
void spw_permutation(uint64_t key, uint64_t count, uint32_t *order);

#endif
