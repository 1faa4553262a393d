/* hash.h — the 64-bit hash (XXH3); the only box that names xxHash. */
#ifndef SPW_BASE_HASH_H
#define SPW_BASE_HASH_H

#include <stdint.h>

uint64_t spw_hash(const void *data, uint64_t bytes, uint64_t seed);
uint64_t spw_hash_text(const char *text, uint64_t seed);

#endif
