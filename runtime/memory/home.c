/* home.c — ranges of one reservation of addresses, each with memory of its own while it is taken.
 *
 * The range map gives out addresses; `taken` remembers them in order, so that a range knows its
 * neighbours. The pages that it shares with none of them are its own: they get memory when it is
 * taken and lose it when it is given back. So the resident set follows what is taken, without a
 * count per page. Not for steady state: taking and giving back ask the kernel. Tested by
 * tests/runtime/test_home.c. */
#include "runtime/memory/home.h"

#include "base/assert.h"
#include "base/checked.h"
#include "base/status.h"
#include "base/text.h"
#include "runtime/memory/pages.h"

#include <inttypes.h>
#include <string.h>

#define HOME_ALIGNMENT 64
#define HOME_RANGES_MAX 65536
/* Addresses per byte of budget. Best fit wastes far less than half; addresses cost nothing. */
#define HOME_SPREAD 4
/* Where homes without memory begin: no processor of ours maps anything there. */
#define HOME_NOWHERE (UINT64_C(1) << 56)

struct range {
    uint64_t begin;
    uint64_t end; /* a multiple of the alignment */
};

struct spw_home {
    const struct spw_world *world;
    uint64_t budget_bytes;
    uint64_t region_bytes;
    uint64_t page_bytes;
    uint64_t resident_bytes;
    char *base;        /* the memory; NULL: there is none */
    char *circulating; /* addresses that circulate: base, or a reservation that never gets memory,
                          or no addresses of this machine */
    struct spw_shadow *shadow; /* NULL: none */
    struct spw_shadow_faults *faults;
    struct spw_extent_map *map;
    struct range *taken; /* sorted by begin */
    uint64_t taken_capacity;
    uint64_t taken_count;
};

static enum spw_status reserve(struct spw_home *home, bool guarded, struct spw_error *error)
{
    void *base;
    void *circulating;
    SPW_TRY(spw_pages_reserve(home->region_bytes, "the homes", error, &base));
    circulating = base;
    if (guarded) {
        const enum spw_status status =
            spw_pages_reserve(home->region_bytes, "the guard of the homes", error, &circulating);
        if (status != SPW_OK) {
            spw_pages_drop(base, home->region_bytes);
            return status;
        }
    }
    home->base = base;
    home->circulating = circulating;
    return SPW_OK;
}

/* Bytes of addresses for a budget; false if no machine has them. */
static bool region_for(uint64_t budget_bytes, uint64_t page_bytes, uint64_t *out)
{
    uint64_t bytes;
    if (!spw_checked_multiply(budget_bytes, HOME_SPREAD, &bytes) || bytes > INT64_MAX) {
        return false;
    }
    *out = spw_round_up(bytes, page_bytes);
    return true;
}

/* All but the addresses. */
static enum spw_status create(const struct spw_world *world, uint64_t budget_bytes,
                              struct spw_error *error, struct spw_home **out)
{
    const uint64_t page_bytes = spw_pages_size();
    uint64_t region_bytes;
    if (budget_bytes == 0 || !region_for(budget_bytes, page_bytes, &region_bytes)) {
        return SPW_FAIL(error, SPW_ERR_ARGUMENT, "a budget of %" PRIu64 " bytes for homes",
                        budget_bytes);
    }
    struct spw_home *home;
    SPW_TRY(spw_allocate(world, 1, sizeof(*home), "the homes", error, &home));
    home->world = world;
    home->budget_bytes = budget_bytes;
    home->region_bytes = region_bytes;
    home->page_bytes = page_bytes;
    const enum spw_status status = spw_extent_map_create(world, region_bytes, HOME_ALIGNMENT,
                                                         HOME_RANGES_MAX, error, &home->map);
    if (status != SPW_OK) {
        spw_home_destroy(home);
        return status;
    }
    *out = home;
    return SPW_OK;
}

enum spw_status spw_home_create(const struct spw_world *world, uint64_t budget_bytes, bool guarded,
                                struct spw_error *error, struct spw_home **out)
{
    struct spw_home *home;
    SPW_TRY(create(world, budget_bytes, error, &home));
    const enum spw_status status = reserve(home, guarded, error);
    if (status != SPW_OK) {
        spw_home_destroy(home);
        return status;
    }
    *out = home;
    return SPW_OK;
}

enum spw_status spw_home_create_addresses(const struct spw_world *world, uint64_t budget_bytes,
                                          struct spw_shadow_faults *faults, struct spw_error *error,
                                          struct spw_home **out)
{
    struct spw_home *home;
    SPW_TRY(create(world, budget_bytes, error, &home));
    home->circulating = (char *)(uintptr_t)HOME_NOWHERE;
    home->faults = faults;
    if (faults != NULL) {
        const enum spw_status status = spw_shadow_create(world, faults, error, &home->shadow);
        if (status != SPW_OK) {
            spw_home_destroy(home);
            return status;
        }
    }
    *out = home;
    return SPW_OK;
}

struct spw_shadow *spw_home_shadow(const struct spw_home *home)
{
    return home->shadow;
}

void spw_home_shadow_write(struct spw_home *home, const void *address, uint64_t bytes,
                           uint64_t value)
{
    spw_shadow_write(home->shadow, spw_home_offset(home, address), bytes, value, 0);
}

uint64_t spw_home_shadow_read(const struct spw_home *home, const void *address, uint64_t bytes,
                              const char *what)
{
    bool whole;
    const uint64_t offset = spw_home_offset(home, address);
    const uint64_t hash = spw_shadow_hash(home->shadow, offset, bytes, &whole);
    if (!whole) {
        spw_shadow_report(home->faults, "%s: nobody wrote all of the %" PRIu64 " bytes at %" PRIu64,
                          what, bytes, offset);
    }
    return hash;
}

bool spw_home_has_memory(const struct spw_home *home)
{
    return home->base != NULL;
}

void spw_home_destroy(struct spw_home *home)
{
    if (home == NULL) {
        return;
    }
    if (home->base != NULL) {
        if (home->circulating != home->base) {
            spw_pages_drop(home->circulating, home->region_bytes);
        }
        spw_pages_drop(home->base, home->region_bytes);
    }
    spw_shadow_destroy(home->shadow);
    spw_release(home->world, home->taken);
    spw_extent_map_destroy(home->map);
    spw_release(home->world, home);
}

/* The first taken range that begins at or after `begin`. */
static uint64_t find(const struct spw_home *home, uint64_t begin)
{
    uint64_t low = 0;
    uint64_t high = home->taken_count;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (home->taken[middle].begin < begin) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The pages of taken range `index` on which no other range lies; begin >= end if there are none. */
static struct range own_pages(const struct spw_home *home, uint64_t index)
{
    const uint64_t page = home->page_bytes;
    const struct range range = home->taken[index];
    struct range own = {.begin = range.begin & ~(page - 1), .end = spw_round_up(range.end, page)};
    if (index > 0) {
        const uint64_t before = spw_round_up(home->taken[index - 1].end, page);
        own.begin = before > own.begin ? before : own.begin;
    }
    if (index + 1 < home->taken_count) {
        const uint64_t after = home->taken[index + 1].begin & ~(page - 1);
        own.end = after < own.end ? after : own.end;
    }
    if (own.end < own.begin) {
        own.end = own.begin;
    }
    return own;
}

/* Calls fill(from, bytes) for what of `range` lies outside its own pages. */
static void fill_edges(const struct spw_home *home, struct range range, struct range own,
                       void (*fill)(char *from, uint64_t bytes))
{
    if (own.begin == own.end) {
        fill(home->base + range.begin, range.end - range.begin);
        return;
    }
    if (own.begin > range.begin) {
        fill(home->base + range.begin, own.begin - range.begin);
    }
    if (own.end < range.end) {
        fill(home->base + own.end, range.end - own.end);
    }
}

static void fill_zero(char *from, uint64_t bytes)
{
    memset(from, 0, (size_t)bytes);
}

static void fill_nan(char *from, uint64_t bytes)
{
    const uint32_t quiet_nan = UINT32_C(0x7fc00000);
    for (uint64_t i = 0; i < bytes; i += sizeof(quiet_nan)) {
        memcpy(from + i, &quiet_nan, sizeof(quiet_nan));
    }
}

static void insert(struct spw_home *home, uint64_t index, struct range range)
{
    memmove(&home->taken[index + 1], &home->taken[index],
            (size_t)(home->taken_count - index) * sizeof(*home->taken));
    home->taken[index] = range;
    home->taken_count++;
}

static void take_out(struct spw_home *home, uint64_t index)
{
    home->taken_count--;
    memmove(&home->taken[index], &home->taken[index + 1],
            (size_t)(home->taken_count - index) * sizeof(*home->taken));
}

static enum spw_status does_not_fit(const struct spw_home *home, uint64_t bytes,
                                    struct spw_error *error)
{
    const uint64_t left = home->budget_bytes - spw_extent_used_bytes(home->map);
    char asked[32];
    char budget[32];
    char free_text[32];
    return SPW_FAIL(
        error, SPW_ERR_DOES_NOT_FIT,
        "a home of %" PRIu64 " bytes (%s) does not fit: of the host memory budget of %s, "
        "%s are left, %" PRIu64 " bytes too few; raise resources.host_memory",
        bytes, spw_format_bytes(bytes, asked), spw_format_bytes(home->budget_bytes, budget),
        spw_format_bytes(left, free_text), bytes - left);
}

/* An extent for `bytes`, a multiple of the alignment, within the budget. */
static enum spw_status acquire(struct spw_home *home, uint64_t bytes, struct spw_error *error,
                               struct spw_extent *out)
{
    if (bytes > home->budget_bytes - spw_extent_used_bytes(home->map)) {
        return does_not_fit(home, bytes, error);
    }
    if (spw_extent_acquire(home->map, bytes, out) == SPW_OK) {
        return SPW_OK;
    }
    if (home->taken_count == HOME_RANGES_MAX) {
        return SPW_FAIL(error, SPW_ERR_DOES_NOT_FIT,
                        "all %d ranges that homes can have are taken; run fewer jobs at once",
                        HOME_RANGES_MAX);
    }
    return SPW_FAIL(error, SPW_ERR_DOES_NOT_FIT,
                    "a home of %" PRIu64 " bytes does not fit between the homes there are; raise "
                    "resources.host_memory",
                    bytes);
}

/* Gives taken range `index` memory, all zeros. */
static enum spw_status commit(struct spw_home *home, uint64_t index, struct spw_error *error)
{
    const struct range own = own_pages(home, index);
    if (own.end > own.begin) {
        SPW_TRY(spw_pages_commit(home->base + own.begin, own.end - own.begin, "homes", error));
        home->resident_bytes += own.end - own.begin;
    }
    fill_edges(home, home->taken[index], own, fill_zero);
    return SPW_OK;
}

static void decommit(struct spw_home *home, uint64_t index)
{
    const struct range own = own_pages(home, index);
    if (own.end > own.begin) {
        spw_pages_decommit(home->base + own.begin, own.end - own.begin);
        home->resident_bytes -= own.end - own.begin;
    }
    if (home->circulating != home->base) {
        fill_edges(home, home->taken[index], own, fill_nan);
    }
}

enum spw_status spw_home_take(struct spw_home *home, uint64_t bytes, struct spw_error *error,
                              void **out)
{
    SPW_ASSERT(bytes > 0);
    /* Compared before rounding, which could wrap. */
    if (bytes > home->budget_bytes) {
        return does_not_fit(home, bytes, error);
    }
    SPW_TRY(spw_grow(home->world, &home->taken, &home->taken_capacity, home->taken_count + 1,
                     sizeof(*home->taken), "the list of homes", error));
    struct spw_extent extent;
    SPW_TRY(acquire(home, spw_round_up(bytes, HOME_ALIGNMENT), error, &extent));

    const struct range range = {.begin = extent.offset_bytes,
                                .end = extent.offset_bytes + extent.bytes};
    const uint64_t index = find(home, range.begin);
    insert(home, index, range);
    const enum spw_status status = home->base != NULL ? commit(home, index, error) : SPW_OK;
    if (status != SPW_OK) {
        take_out(home, index);
        spw_extent_release(home->map, extent);
        return status;
    }
    *out = home->circulating + range.begin;
    return SPW_OK;
}

uint64_t spw_home_offset(const struct spw_home *home, const void *address)
{
    /* Compared as numbers: pointers into different mappings have no order in C. */
    const uint64_t offset = (uint64_t)(uintptr_t)address - (uint64_t)(uintptr_t)home->circulating;
    SPW_ASSERT(offset < home->region_bytes);
    return offset;
}

void spw_home_give_back(struct spw_home *home, void *address)
{
    const uint64_t begin = spw_home_offset(home, address);
    const uint64_t index = find(home, begin);
    SPW_ASSERT(index < home->taken_count && home->taken[index].begin == begin);

    const struct range range = home->taken[index];
    if (home->base != NULL) {
        decommit(home, index);
    }
    if (home->shadow != NULL) {
        spw_shadow_clear(home->shadow, range.begin, range.end - range.begin);
    }
    take_out(home, index);
    spw_extent_release(home->map, (struct spw_extent){.offset_bytes = range.begin,
                                                      .bytes = range.end - range.begin});
}

void *spw_home_open(const struct spw_home *home, const void *address)
{
    SPW_ASSERT(home->base != NULL);
    return home->base + spw_home_offset(home, address);
}

void *spw_home_base(const struct spw_home *home)
{
    return home->base;
}

uint64_t spw_home_region_bytes(const struct spw_home *home)
{
    return home->region_bytes;
}

uint64_t spw_home_used_bytes(const struct spw_home *home)
{
    return spw_extent_used_bytes(home->map);
}

uint64_t spw_home_peak_bytes(const struct spw_home *home)
{
    return spw_extent_peak_bytes(home->map);
}

uint64_t spw_home_resident_bytes(const struct spw_home *home)
{
    return home->resident_bytes;
}
