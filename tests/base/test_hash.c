/* Tests of base/hash.c. The known answers are XXH3's of the empty input and of "abc". The streams
 * of random numbers hang on them: another hash would be another run. */
#include "base/hash.h"

#include <criterion/criterion.h>
#include <string.h>

Test(hash, known_answers)
{
    cr_assert(spw_hash("", 0, 0) == UINT64_C(0x2d06800538d394c2));
    cr_assert(spw_hash("abc", 3, 0) == UINT64_C(0x78af5f94892f3950));
    cr_assert(spw_hash("spillway", 8, 0) == spw_hash_text("spillway", 0));
    cr_assert(spw_hash_text("", 0) == spw_hash("", 0, 0));
}

Test(hash, depends_on_the_seed_and_on_every_bit)
{
    unsigned char data[100];
    memset(data, 7, sizeof(data));
    const uint64_t whole = spw_hash(data, sizeof(data), 1);
    cr_assert(spw_hash(data, sizeof(data), 2) != whole);
    cr_assert(spw_hash(data, sizeof(data) - 1, 1) != whole);
    for (int bit = 0; bit < 800; bit++) {
        data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        cr_assert(spw_hash(data, sizeof(data), 1) != whole, "bit %d", bit);
        data[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    cr_assert(spw_hash(data, sizeof(data), 1) == whole);
}
