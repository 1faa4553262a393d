/* residency.c — see residency.h. Decides only; copies are the executor's business. */
#include "runtime/memory/residency.h"

#include "base/assert.h"

/* Bounds the extent map's node storage; far above what plans produce. */
enum { RANGES_MAX = 1 << 15 };

enum spw_status spw_residency_init(struct spw_residency *residency, const struct spw_world *world,
                                   struct spw_device *device, uint32_t device_index, bool poison,
                                   struct spw_error *error)
{
    *residency = (struct spw_residency){
        .device = device,
        .device_index = device_index,
        .poison = poison && device->backend->poison != NULL,
    };
    spw_list_init(&residency->resident);
    return spw_extent_map_create(world, device->caps.region_bytes, SPW_DEVICE_ALIGNMENT, RANGES_MAX,
                                 error, &residency->extents);
}

void spw_residency_deinit(struct spw_residency *residency)
{
    spw_extent_map_destroy(residency->extents);
    residency->extents = NULL;
}

static struct spw_residence *copy_of(const struct spw_residency *residency, struct spw_block *block)
{
    return &block->at[residency->device_index];
}

static bool is_evictable(const struct spw_residence *copy)
{
    return copy->state == SPW_RESIDENCE_CLEAN && copy->pins == 0;
}

static void release_range(struct spw_residency *residency, struct spw_extent extent)
{
    if (residency->poison) {
        residency->device->backend->poison(residency->device, extent.offset_bytes, extent.bytes);
    }
    spw_extent_release(residency->extents, extent);
}

/* Keeps the sum of what eviction could free in step with a change of state or pins. */
static void count_evictable(struct spw_residency *residency, const struct spw_residence *copy,
                            bool before)
{
    const bool after = is_evictable(copy);
    if (before == after) {
        return;
    }
    const uint64_t bytes = spw_extent_round(residency->extents, copy->extent.bytes);
    if (after) {
        residency->resident_clean_bytes += bytes;
    } else {
        SPW_ASSERT(residency->resident_clean_bytes >= bytes);
        residency->resident_clean_bytes -= bytes;
    }
}

void spw_residency_mark(struct spw_residency *residency, struct spw_block *block,
                        enum spw_residence_state state)
{
    struct spw_residence *copy = copy_of(residency, block);
    SPW_ASSERT(copy->state != SPW_RESIDENCE_ABSENT);
    SPW_ASSERT(state != SPW_RESIDENCE_ABSENT);
    const bool before = is_evictable(copy);
    copy->state = state;
    count_evictable(residency, copy, before);
}

void spw_residency_drop(struct spw_residency *residency, struct spw_block *block)
{
    struct spw_residence *copy = copy_of(residency, block);
    SPW_ASSERT(copy->pins == 0);
    if (copy->state == SPW_RESIDENCE_ABSENT) {
        return;
    }
    const bool before = is_evictable(copy);
    copy->state = SPW_RESIDENCE_ABSENT;
    count_evictable(residency, copy, before);
    spw_list_remove(&copy->link);
    release_range(residency, copy->extent);
}

static void pin(struct spw_residency *residency, struct spw_residence *copy)
{
    const bool before = is_evictable(copy);
    copy->pins++;
    count_evictable(residency, copy, before);
}

static void unpin(struct spw_residency *residency, struct spw_residence *copy)
{
    SPW_ASSERT(copy->pins > 0);
    const bool before = is_evictable(copy);
    copy->pins--;
    count_evictable(residency, copy, before);
}

static void evict(struct spw_residency *residency, struct spw_block *block)
{
    spw_residency_drop(residency, block);
    residency->evictions++;
    block->evictions++;
}

/* Order of eviction: furthest next use first, then the higher job, then the higher block, so that
 * the choice never depends on the list's order. */
static bool goes_before(const struct spw_block *a, uint64_t a_next, const struct spw_block *b,
                        uint64_t b_next)
{
    if (a_next != b_next) {
        return a_next > b_next;
    }
    if (a->job_index != b->job_index) {
        return a->job_index > b->job_index;
    }
    return a > b; /* one job's blocks are one array */
}

/* Drops the unpinned clean copy whose next use is furthest. False if there is none. */
static bool evict_one(struct spw_residency *residency, spw_next_use_fn next_use, void *context)
{
    struct spw_block *victim = NULL;
    uint64_t victim_next = 0;
    SPW_LIST_EACH (item, &residency->resident) {
        struct spw_residence *copy = spw_container_of(item, struct spw_residence, link);
        if (!is_evictable(copy)) {
            continue;
        }
        const uint64_t next = next_use(context, copy->block);
        if (victim == NULL || goes_before(copy->block, next, victim, victim_next)) {
            victim = copy->block;
            victim_next = next;
        }
    }
    if (victim == NULL) {
        return false;
    }
    evict(residency, victim);
    return true;
}

/* Finds room for one range, evicting as needed. */
static bool make_room(struct spw_residency *residency, uint64_t bytes, spw_next_use_fn next_use,
                      void *context, struct spw_extent *out)
{
    while (spw_extent_acquire(residency->extents, bytes, out) != SPW_OK) {
        if (!evict_one(residency, next_use, context)) {
            return false;
        }
    }
    return true;
}

static void give_new_room(struct spw_residency *residency, struct spw_block *block,
                          struct spw_extent extent)
{
    struct spw_residence *copy = copy_of(residency, block);
    copy->block = block;
    copy->version = block->version;
    copy->extent = extent;
    copy->state = SPW_RESIDENCE_LOADING;
    copy->pins = 1;
    spw_list_init(&copy->link);
    spw_list_insert(&residency->resident, &copy->link);
}

/* One attempt; on failure everything taken by it is given back. */
static bool try_reserve(struct spw_residency *residency, struct spw_reservation *reservation,
                        spw_next_use_fn next_use, void *context)
{
    for (uint32_t i = 0; i < reservation->block_count; i++) {
        struct spw_residence *copy = copy_of(residency, reservation->blocks[i]);
        reservation->is_new[i] = copy->state == SPW_RESIDENCE_ABSENT;
        if (!reservation->is_new[i]) {
            SPW_ASSERT(copy->version == reservation->blocks[i]->version); /* never a stale copy */
            pin(residency, copy);
        }
    }
    bool ok = true;
    bool have_work = false;
    if (reservation->work_bytes > 0) {
        have_work =
            make_room(residency, reservation->work_bytes, next_use, context, &reservation->work);
        ok = have_work;
    }
    uint32_t placed = 0;
    for (; ok && placed < reservation->block_count; placed++) {
        struct spw_extent extent;
        if (!reservation->is_new[placed]) {
            continue;
        }
        if (!make_room(residency, reservation->blocks[placed]->bytes, next_use, context, &extent)) {
            ok = false;
            break;
        }
        give_new_room(residency, reservation->blocks[placed], extent);
    }
    if (ok) {
        return true;
    }
    for (uint32_t i = 0; i < reservation->block_count; i++) {
        if (!reservation->is_new[i]) {
            unpin(residency, copy_of(residency, reservation->blocks[i]));
        } else if (i < placed) {
            unpin(residency, copy_of(residency, reservation->blocks[i]));
            spw_residency_drop(residency, reservation->blocks[i]);
        }
    }
    if (have_work) {
        release_range(residency, reservation->work);
    }
    return false;
}

/* False if room is short even after dropping all that may be dropped: then nothing is disturbed. */
static bool could_fit(const struct spw_residency *residency,
                      const struct spw_reservation *reservation, uint64_t region_bytes)
{
    uint64_t need = spw_extent_round(residency->extents, reservation->work_bytes);
    uint64_t own_clean = 0;
    for (uint32_t i = 0; i < reservation->block_count; i++) {
        const struct spw_block *block = reservation->blocks[i];
        const struct spw_residence *copy = &block->at[residency->device_index];
        if (copy->state == SPW_RESIDENCE_ABSENT) {
            need += spw_extent_round(residency->extents, block->bytes);
        } else if (is_evictable(copy)) {
            own_clean += spw_extent_round(residency->extents, block->bytes);
        }
    }
    const uint64_t used = spw_extent_used_bytes(residency->extents);
    const uint64_t held = used - residency->resident_clean_bytes + own_clean;
    return need <= region_bytes && held <= region_bytes - need;
}

enum spw_status spw_residency_reserve(struct spw_residency *residency,
                                      struct spw_reservation *reservation, bool alone,
                                      spw_next_use_fn next_use, void *context)
{
    const uint64_t region_bytes = residency->device->caps.region_bytes &
                                  ~(uint64_t)(SPW_DEVICE_ALIGNMENT - 1);
    if (!could_fit(residency, reservation, region_bytes)) {
        return SPW_PENDING;
    }
    if (try_reserve(residency, reservation, next_use, context)) {
        return SPW_OK;
    }
    if (!alone) {
        return SPW_PENDING;
    }
    /* Fragments: with nothing else held here, an empty region takes the unit, as the plan proved.
     */
    for (uint32_t i = 0; i < reservation->block_count; i++) {
        struct spw_residence *copy = copy_of(residency, reservation->blocks[i]);
        if (copy->pins == 0 && copy->state == SPW_RESIDENCE_CLEAN) {
            evict(residency, reservation->blocks[i]);
        }
    }
    return try_reserve(residency, reservation, next_use, context) ? SPW_OK : SPW_PENDING;
}

void spw_residency_unpin(struct spw_residency *residency, struct spw_reservation *reservation)
{
    for (uint32_t i = 0; i < reservation->block_count; i++) {
        unpin(residency, copy_of(residency, reservation->blocks[i]));
    }
    if (reservation->work_bytes > 0) {
        release_range(residency, reservation->work);
    }
    reservation->block_count = 0;
    reservation->work_bytes = 0;
}

void spw_residency_unpin_weights(struct spw_residency *residency,
                                 struct spw_reservation *reservation, bool drop)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < reservation->block_count; i++) {
        struct spw_block *block = reservation->blocks[i];
        struct spw_residence *copy = copy_of(residency, block);
        if (block->kind != SPW_BLOCK_WEIGHTS) {
            reservation->blocks[kept++] = block;
            continue;
        }
        unpin(residency, copy);
        if (drop && copy->pins == 0) {
            spw_residency_drop(residency, block);
        }
    }
    reservation->block_count = kept;
}
