/* shadow.c — see shadow.h.
 *
 * A sorted array of ranges that don't overlap, in which neighbours that continue each other are
 * one: then equal contents have equal maps, however they were written. */
#include "runtime/memory/shadow.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct extent {
    uint64_t begin, end;
    uint64_t value, first;
};

struct spw_shadow {
    const struct spw_world *world;
    struct spw_shadow_faults *faults;
    struct extent *extents;
    uint64_t count, capacity;
};

void spw_shadow_report(struct spw_shadow_faults *faults, const char *format, ...)
{
    if (faults->count++ == 0) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(faults->first, sizeof(faults->first), format, arguments);
        va_end(arguments);
    }
}

enum spw_status spw_shadow_create(const struct spw_world *world, struct spw_shadow_faults *faults,
                                  struct spw_error *error, struct spw_shadow **out)
{
    struct spw_shadow *shadow;
    SPW_TRY(spw_allocate(world, 1, sizeof(*shadow), "a shadow", error, &shadow));
    shadow->world = world;
    shadow->faults = faults;
    *out = shadow;
    return SPW_OK;
}

void spw_shadow_destroy(struct spw_shadow *shadow)
{
    if (shadow != NULL) {
        spw_release(shadow->world, shadow->extents);
        spw_release(shadow->world, shadow);
    }
}

/* The first extent that ends after `offset`. */
static uint64_t find(const struct spw_shadow *shadow, uint64_t offset)
{
    uint64_t low = 0;
    uint64_t high = shadow->count;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (shadow->extents[middle].end <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool continues(const struct extent *a, const struct extent *b)
{
    return a->end == b->begin && a->value == b->value && a->first + (a->end - a->begin) == b->first;
}

/* Puts `count` extents in the place of [at, end). */
static void replace(struct spw_shadow *shadow, uint64_t at, uint64_t end,
                    const struct extent *extents, uint64_t count)
{
    const uint64_t needed = shadow->count - (end - at) + count;
    if (spw_grow(shadow->world, &shadow->extents, &shadow->capacity, needed, sizeof(*extents),
                 "a shadow's ranges", NULL) != SPW_OK) {
        spw_shadow_report(shadow->faults, "no memory for the shadow's ranges");
        return;
    }
    if (shadow->extents == NULL) {
        return; /* nothing in the place of nothing */
    }
    memmove(&shadow->extents[at + count], &shadow->extents[end],
            (size_t)(shadow->count - end) * sizeof(*extents));
    if (count > 0) {
        memcpy(&shadow->extents[at], extents, (size_t)count * sizeof(*extents));
    }
    shadow->count = needed;
}

/* Puts `middle` (NULL: nothing) where [begin, end) was, keeping what lies around it. */
static void cut(struct spw_shadow *shadow, uint64_t begin, uint64_t end,
                const struct extent *middle)
{
    uint64_t at = find(shadow, begin);
    uint64_t after = at;
    struct extent kept[3];
    uint64_t count = 0;
    while (after < shadow->count && shadow->extents[after].begin < end) {
        after++;
    }
    if (after > at && shadow->extents[at].begin < begin) {
        kept[count] = shadow->extents[at];
        kept[count++].end = begin;
    }
    if (middle != NULL) {
        kept[count++] = *middle;
    }
    if (after > at && shadow->extents[after - 1].end > end) {
        kept[count] = shadow->extents[after - 1];
        kept[count].first += end - kept[count].begin;
        kept[count++].begin = end;
    }
    if (middle != NULL && at > 0 && continues(&shadow->extents[at - 1], &kept[0])) {
        kept[0].first = shadow->extents[at - 1].first;
        kept[0].begin = shadow->extents[--at].begin;
    }
    if (middle != NULL && after < shadow->count &&
        continues(&kept[count - 1], &shadow->extents[after])) {
        kept[count - 1].end = shadow->extents[after++].end;
    }
    uint64_t used = 0;
    for (uint64_t i = 1; i < count; i++) {
        if (continues(&kept[used], &kept[i])) {
            kept[used].end = kept[i].end;
        } else {
            kept[++used] = kept[i];
        }
    }
    replace(shadow, at, after, kept, count > 0 ? used + 1 : 0);
}

void spw_shadow_write(struct spw_shadow *shadow, uint64_t offset, uint64_t bytes, uint64_t value,
                      uint64_t first)
{
    if (bytes > 0) {
        const struct extent extent = {
            .begin = offset, .end = offset + bytes, .value = value, .first = first};
        cut(shadow, offset, offset + bytes, &extent);
    }
}

void spw_shadow_clear(struct spw_shadow *shadow, uint64_t offset, uint64_t bytes)
{
    if (bytes > 0) {
        cut(shadow, offset, offset + bytes, NULL);
    }
}

struct spw_shadow_run spw_shadow_run(const struct spw_shadow *shadow, uint64_t offset,
                                     uint64_t bytes_max)
{
    const uint64_t at = find(shadow, offset);
    const uint64_t end = offset + bytes_max;
    SPW_ASSERT(bytes_max > 0);
    if (at == shadow->count || shadow->extents[at].begin > offset) {
        const bool last = at == shadow->count || shadow->extents[at].begin > end;
        const uint64_t next = last ? end : shadow->extents[at].begin;
        return (struct spw_shadow_run){.bytes = next - offset};
    }
    const struct extent *extent = &shadow->extents[at];
    return (struct spw_shadow_run){
        .bytes = (extent->end < end ? extent->end : end) - offset,
        .known = true,
        .value = extent->value,
        .first = extent->first + (offset - extent->begin),
    };
}

void spw_shadow_copy(const struct spw_shadow *from, uint64_t from_offset, struct spw_shadow *to,
                     uint64_t to_offset, uint64_t bytes)
{
    for (uint64_t done = 0; done < bytes;) {
        const struct spw_shadow_run run = spw_shadow_run(from, from_offset + done, bytes - done);
        if (run.known) {
            spw_shadow_write(to, to_offset + done, run.bytes, run.value, run.first);
        } else {
            spw_shadow_clear(to, to_offset + done, run.bytes);
        }
        done += run.bytes;
    }
}

uint64_t spw_shadow_mix(uint64_t hash, uint64_t number)
{
    return spw_hash(&number, sizeof(number), hash);
}

uint64_t spw_shadow_hash(const struct spw_shadow *shadow, uint64_t offset, uint64_t bytes,
                         bool *whole)
{
    uint64_t hash = spw_shadow_mix(0, bytes);
    bool known = true;
    for (uint64_t done = 0; done < bytes;) {
        const struct spw_shadow_run run = spw_shadow_run(shadow, offset + done, bytes - done);
        known = known && run.known;
        const uint64_t words[] = {run.bytes, run.known, run.value, run.first};
        hash = spw_hash(words, sizeof(words), hash);
        done += run.bytes;
    }
    if (whole != NULL) {
        *whole = known;
    }
    return hash;
}
