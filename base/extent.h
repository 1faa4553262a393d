/* extent.h — hands out byte ranges of one region, such as a device's memory.
 *
 * It only does arithmetic and never touches the region, so one code serves a GPU, a host region and
 * a simulated device, and "does it fit" has one answer everywhere. Best fit; freed ranges merge
 * with their neighbours. Not thread-safe: the executor is the sole caller. Nodes come from storage
 * given at the start; nothing allocates later. Tested by tests/base/test_extent.c. */
#ifndef SPW_BASE_EXTENT_H
#define SPW_BASE_EXTENT_H

#include "base/world.h"

struct spw_extent {
    uint64_t offset_bytes;
    uint64_t bytes; /* as asked for, before rounding */
};

struct spw_extent_map; /* opaque */

/* A map over [0, bytes) with every range aligned to `alignment` (a power of two). Holds at most
 * `ranges_max` ranges at once. The caller destroys it. */
enum spw_status spw_extent_map_create(const struct spw_world *world, uint64_t bytes,
                                      uint64_t alignment, uint32_t ranges_max,
                                      struct spw_error *error, struct spw_extent_map **out);
void spw_extent_map_destroy(struct spw_extent_map *map);

/* Takes `bytes` (> 0, rounded up to the alignment) from the shortest free range that is long
 * enough, lowest offset first among equals. SPW_ERR_NO_SPACE if there is none, even when the free
 * total would do; *out is then left alone. The caller releases the range. */
enum spw_status spw_extent_acquire(struct spw_extent_map *map, uint64_t bytes,
                                   struct spw_extent *out) SPW_MUST_CHECK;
void spw_extent_release(struct spw_extent_map *map, struct spw_extent extent);

uint64_t spw_extent_used_bytes(const struct spw_extent_map *map); /* rounded sizes */
uint64_t spw_extent_peak_bytes(const struct spw_extent_map *map); /* highest used so far */
uint64_t spw_extent_largest_free(const struct spw_extent_map *map);
uint64_t spw_extent_round(const struct spw_extent_map *map, uint64_t bytes);

#endif
