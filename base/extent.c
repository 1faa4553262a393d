/* extent.c — best fit over two sorted arrays of the free ranges.
 *
 * One array is sorted by offset, to find a freed range's neighbours; the other by length, to find
 * the best fit. Both searches are binary; keeping the order moves at most a few tens of kilobytes,
 * which is faster than walking a tree of some thousand nodes. Used ranges are not kept: whoever
 * took one brings it back. Tested by tests/base/test_extent.c. */
#include "base/extent.h"

#include "base/assert.h"
#include "base/checked.h"
#include "base/status.h"

#include <string.h>

struct range {
    uint64_t offset;
    uint64_t bytes;
};

struct spw_extent_map {
    const struct spw_world *world;
    uint64_t bytes; /* of the region, a multiple of the alignment */
    uint64_t alignment;
    uint64_t used_bytes;
    uint64_t peak_bytes;
    uint32_t used_count;
    uint32_t used_count_max;
    uint32_t free_count; /* at most used_count + 1, as neighbours merge */
    struct range *by_offset;
    struct range *by_bytes; /* equal lengths by offset */
};

static bool offset_before(const struct range *a, const struct range *b)
{
    return a->offset < b->offset;
}

static bool bytes_before(const struct range *a, const struct range *b)
{
    return a->bytes != b->bytes ? a->bytes < b->bytes : a->offset < b->offset;
}

/* The first place whose range does not come before `wanted`; `count` if there is none. */
static uint32_t lower_bound(const struct range *ranges, uint32_t count, struct range wanted,
                            bool (*before)(const struct range *, const struct range *))
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (before(&ranges[middle], &wanted)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void insert_at(struct range *ranges, uint32_t count, uint32_t place, struct range range)
{
    memmove(&ranges[place + 1], &ranges[place], (count - place) * sizeof(*ranges));
    ranges[place] = range;
}

static void remove_at(struct range *ranges, uint32_t count, uint32_t place)
{
    memmove(&ranges[place], &ranges[place + 1], (count - place - 1) * sizeof(*ranges));
}

static void add_free(struct spw_extent_map *map, struct range range)
{
    SPW_ASSERT(map->free_count <= map->used_count_max);
    const uint32_t count = map->free_count;
    insert_at(map->by_offset, count, lower_bound(map->by_offset, count, range, offset_before),
              range);
    insert_at(map->by_bytes, count, lower_bound(map->by_bytes, count, range, bytes_before), range);
    map->free_count++;
}

static void remove_free(struct spw_extent_map *map, struct range range)
{
    const uint32_t count = map->free_count;
    const uint32_t at_offset = lower_bound(map->by_offset, count, range, offset_before);
    const uint32_t at_bytes = lower_bound(map->by_bytes, count, range, bytes_before);
    SPW_ASSERT(at_offset < count && map->by_offset[at_offset].offset == range.offset);
    SPW_ASSERT(at_bytes < count && map->by_bytes[at_bytes].offset == range.offset);
    remove_at(map->by_offset, count, at_offset);
    remove_at(map->by_bytes, count, at_bytes);
    map->free_count--;
}

enum spw_status spw_extent_map_create(const struct spw_world *world, uint64_t bytes,
                                      uint64_t alignment, uint32_t ranges_max,
                                      struct spw_error *error, struct spw_extent_map **out)
{
    SPW_ASSERT(alignment > 0 && (alignment & (alignment - 1)) == 0);
    SPW_ASSERT(ranges_max > 0 && ranges_max < UINT32_MAX);

    struct spw_extent_map *map;
    SPW_TRY(spw_allocate(world, 1, sizeof(*map), "a range map", error, &map));
    const uint64_t free_max = (uint64_t)ranges_max + 1;
    enum spw_status status = spw_allocate(world, 2 * free_max, sizeof(struct range),
                                          "the ranges of a range map", error, &map->by_offset);
    if (status != SPW_OK) {
        spw_release(world, map);
        return status;
    }
    map->by_bytes = map->by_offset + free_max;
    map->world = world;
    map->bytes = bytes & ~(alignment - 1);
    map->alignment = alignment;
    map->used_count_max = ranges_max;
    if (map->bytes > 0) {
        add_free(map, (struct range){.offset = 0, .bytes = map->bytes});
    }
    *out = map;
    return SPW_OK;
}

void spw_extent_map_destroy(struct spw_extent_map *map)
{
    if (map == NULL) {
        return;
    }
    const struct spw_world *world = map->world;
    spw_release(world, map->by_offset);
    spw_release(world, map);
}

enum spw_status spw_extent_acquire(struct spw_extent_map *map, uint64_t bytes,
                                   struct spw_extent *out)
{
    SPW_ASSERT(bytes > 0);
    /* Compared before rounding, which could wrap. */
    if (bytes > map->bytes || map->used_count == map->used_count_max) {
        return SPW_ERR_NO_SPACE;
    }
    const struct range wanted = {.offset = 0, .bytes = spw_round_up(bytes, map->alignment)};
    const uint32_t place = lower_bound(map->by_bytes, map->free_count, wanted, bytes_before);
    if (place == map->free_count) {
        return SPW_ERR_NO_SPACE;
    }

    const struct range found = map->by_bytes[place];
    remove_free(map, found);
    if (found.bytes > wanted.bytes) {
        add_free(map, (struct range){.offset = found.offset + wanted.bytes,
                                     .bytes = found.bytes - wanted.bytes});
    }
    map->used_count++;
    map->used_bytes += wanted.bytes;
    if (map->used_bytes > map->peak_bytes) {
        map->peak_bytes = map->used_bytes;
    }
    *out = (struct spw_extent){.offset_bytes = found.offset, .bytes = bytes};
    return SPW_OK;
}

void spw_extent_release(struct spw_extent_map *map, struct spw_extent extent)
{
    SPW_ASSERT(map->used_count > 0);
    SPW_ASSERT(extent.bytes > 0 && extent.bytes <= map->bytes);
    SPW_ASSERT((extent.offset_bytes & (map->alignment - 1)) == 0);
    struct range freed = {.offset = extent.offset_bytes,
                          .bytes = spw_round_up(extent.bytes, map->alignment)};
    SPW_ASSERT(freed.offset <= map->bytes - freed.bytes);
    map->used_count--;
    map->used_bytes -= freed.bytes;

    /* A range that touches a free one was released twice, or never taken. */
    const uint32_t place = lower_bound(map->by_offset, map->free_count, freed, offset_before);
    if (place < map->free_count) {
        const struct range after = map->by_offset[place];
        SPW_ASSERT(freed.offset + freed.bytes <= after.offset);
        if (freed.offset + freed.bytes == after.offset) {
            remove_free(map, after);
            freed.bytes += after.bytes;
        }
    }
    if (place > 0) {
        const struct range before = map->by_offset[place - 1];
        SPW_ASSERT(before.offset + before.bytes <= freed.offset);
        if (before.offset + before.bytes == freed.offset) {
            remove_free(map, before);
            freed.offset = before.offset;
            freed.bytes += before.bytes;
        }
    }
    add_free(map, freed);
}

uint64_t spw_extent_used_bytes(const struct spw_extent_map *map)
{
    return map->used_bytes;
}

uint64_t spw_extent_peak_bytes(const struct spw_extent_map *map)
{
    return map->peak_bytes;
}

uint64_t spw_extent_largest_free(const struct spw_extent_map *map)
{
    return map->free_count > 0 ? map->by_bytes[map->free_count - 1].bytes : 0;
}

uint64_t spw_extent_round(const struct spw_extent_map *map, uint64_t bytes)
{
    return spw_round_up(bytes, map->alignment);
}
