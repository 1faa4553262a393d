/* checked.h — overflow-safe arithmetic on sizes. Each returns false on overflow, leaving *out
 * alone. */
#ifndef SPW_BASE_CHECKED_H
#define SPW_BASE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

static inline bool spw_checked_add(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *out = sum;
    return true;
}

static inline bool spw_checked_multiply(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product)) {
        return false;
    }
    *out = product;
    return true;
}

/* `bytes` rounded up to a multiple of `alignment`, a power of two; the caller knows it fits. */
static inline uint64_t spw_round_up(uint64_t bytes, uint64_t alignment)
{
    return (bytes + alignment - 1) & ~(alignment - 1);
}

#endif
