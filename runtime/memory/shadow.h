/* shadow.h — what bytes hold, without the bytes: a map from ranges to values.
 *
 * A value is a 64-bit hash of how some bytes came about, and a byte is the so-manieth of a value.
 * So a copy copies the map, in pieces of any size, and two places hold the same if and only if
 * their maps say the same. What nobody wrote has no value: reading it is a fault. Simulated devices
 * and homes have shadows in tests; a run that loses, doubles or tears a write then ends with
 * another hash, or reports a fault at once. Not thread-safe. Tested by tests/runtime/test_shadow.c.
 */
#ifndef SPW_RUNTIME_MEMORY_SHADOW_H
#define SPW_RUNTIME_MEMORY_SHADOW_H

#include "base/world.h"

/* What went wrong in the shadows of a run: how often, and the first in words. */
struct spw_shadow_faults {
    uint64_t count;
    char first[256];
};
void spw_shadow_report(struct spw_shadow_faults *faults, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct spw_shadow;

/* `faults` is borrowed; no memory for the map is a fault too. The caller destroys *out. */
enum spw_status spw_shadow_create(const struct spw_world *world, struct spw_shadow_faults *faults,
                                  struct spw_error *error, struct spw_shadow **out);
void spw_shadow_destroy(struct spw_shadow *shadow);

/* [offset, offset + bytes) holds `value` from its byte `first` on. */
void spw_shadow_write(struct spw_shadow *shadow, uint64_t offset, uint64_t bytes, uint64_t value,
                      uint64_t first);
/* Nobody knows what is there. */
void spw_shadow_clear(struct spw_shadow *shadow, uint64_t offset, uint64_t bytes);
/* What has no value at `from` has none at `to` afterwards. The ranges don't overlap. */
void spw_shadow_copy(const struct spw_shadow *from, uint64_t from_offset, struct spw_shadow *to,
                     uint64_t to_offset, uint64_t bytes);

/* Bytes of one value, one after the other. */
struct spw_shadow_run {
    uint64_t bytes;
    bool known;            /* else they have no value */
    uint64_t value, first; /* the first of them is byte `first` of `value` */
};
/* The longest such run that begins at `offset`, at most `bytes_max` (> 0) long. */
struct spw_shadow_run spw_shadow_run(const struct spw_shadow *shadow, uint64_t offset,
                                     uint64_t bytes_max);
/* Hash of what a range holds; *whole (or NULL) says whether all of it has a value. */
uint64_t spw_shadow_hash(const struct spw_shadow *shadow, uint64_t offset, uint64_t bytes,
                         bool *whole);
/* Two numbers into one, the order counting. */
uint64_t spw_shadow_mix(uint64_t hash, uint64_t number);

#endif
