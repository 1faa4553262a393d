/* hash.c — the 64-bit hash. Tested by tests/base/test_hash.c. */
#include "base/hash.h"

#include <string.h>
#include <xxhash.h>

uint64_t spw_hash(const void *data, uint64_t bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, bytes, seed);
}

uint64_t spw_hash_text(const char *text, uint64_t seed)
{
    return spw_hash(text, strlen(text), seed);
}
