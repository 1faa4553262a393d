/* residency.h — which blocks are on which device: reservation, pins, eviction.
 *
 * A block is a persistent byte range of a job (weights or a gradient accumulator of one weight
 * block) whose truth is its home. A device holds copies:
 *
 *     ABSENT --reserve, load--> LOADING --landed--> CLEAN --evict, or newer version--> ABSENT
 *     ABSENT --reserve, fresh-> DIRTY --written home--> CLEAN
 *     CLEAN  --BACKWARD adds to it--> DIRTY
 *
 * UPDATE changes weights that are CLEAN and pinned, and streams them home piece by piece; the copy
 * counts as the new version once that is committed.
 *
 * Only CLEAN, unpinned copies are ever dropped, so eviction never writes. A unit reserves
 * everything at once or nothing, but may begin with its weights. Not thread-safe: the executor is
 * the sole caller. Tested by tests/bits/test_residency.c. */
#ifndef SPW_RUNTIME_MEMORY_RESIDENCY_H
#define SPW_RUNTIME_MEMORY_RESIDENCY_H

#include "base/extent.h"
#include "base/list.h"
#include "runtime/device/backend.h"

enum spw_residence_state {
    SPW_RESIDENCE_ABSENT,
    SPW_RESIDENCE_LOADING, /* being copied in, chunk by chunk, for the oldest unit that pins it;
                              usable by works enqueued after that unit's */
    SPW_RESIDENCE_CLEAN,   /* equals the home */
    SPW_RESIDENCE_DIRTY,   /* being written by a unit; its write-back has not landed */
};

struct spw_block;

/* A block's copy on one device. */
struct spw_residence {
    struct spw_list link; /* in the device's list while not ABSENT */
    struct spw_block *block;
    struct spw_extent extent;
    enum spw_residence_state state;
    uint32_t pins;    /* units that were promised it */
    uint64_t version; /* of the home, when this copy was made */
};

struct spw_job;

enum spw_block_kind { SPW_BLOCK_WEIGHTS, SPW_BLOCK_GRADS };

struct spw_block {
    struct spw_job *job;
    uint32_t job_index; /* in order of adding: ties are broken by it */
    enum spw_block_kind kind;
    int32_t weight_block;
    int32_t use;   /* GRADS: accumulator's use, */
    int32_t group; /* and group */
    uint64_t bytes;
    void *home;               /* current home slot; changes when a new version is committed */
    uint64_t version;         /* committed versions so far */
    uint64_t evictions;       /* of its copies, on all devices */
    struct spw_residence *at; /* [device count] */
};

struct spw_residency {
    struct spw_device *device;
    struct spw_extent_map *extents;
    struct spw_list resident;
    uint32_t device_index;
    bool poison;
    uint64_t evictions;
    uint64_t resident_clean_bytes; /* of unpinned CLEAN copies: what eviction could free */
};

enum spw_status spw_residency_init(struct spw_residency *residency, const struct spw_world *world,
                                   struct spw_device *device, uint32_t device_index, bool poison,
                                   struct spw_error *error);
void spw_residency_deinit(struct spw_residency *residency);

#define SPW_RESERVE_BLOCKS_MAX 24

/* What a unit asks for. */
struct spw_reservation {
    struct spw_block *blocks[SPW_RESERVE_BLOCKS_MAX];
    uint32_t block_count;
    uint64_t work_bytes;    /* ring, scratch and partial sums in one range; may be 0 */
    struct spw_extent work; /* filled */
    /* Filled: blocks[i] was ABSENT and now has room; the caller loads it or marks it fresh. */
    bool is_new[SPW_RESERVE_BLOCKS_MAX];
};

/* Distance, in units of the whole run, to a block's next use; UINT64_MAX: none known. Bigger goes
 * first; ties by job, then block. */
typedef uint64_t (*spw_next_use_fn)(void *context, const struct spw_block *block);

/* Reserves all or nothing, evicting what is used furthest in the future. New blocks are left pinned
 * and LOADING. `alone`: no other unit holds anything here, so that it must succeed if the unit fits
 * an empty region; its own resident blocks are then dropped too if fragments stand in the way.
 * SPW_PENDING if there is no room now. */
enum spw_status spw_residency_reserve(struct spw_residency *residency,
                                      struct spw_reservation *reservation, bool alone,
                                      spw_next_use_fn next_use, void *context);
/* Takes pins and the work range back. Blocks stay where they are. */
void spw_residency_unpin(struct spw_residency *residency, struct spw_reservation *reservation);

/* Takes pins of weights back before the rest, and forgets them in the reservation; with `drop` they
 * don't stay. */
void spw_residency_unpin_weights(struct spw_residency *residency,
                                 struct spw_reservation *reservation, bool drop);

void spw_residency_mark(struct spw_residency *residency, struct spw_block *block,
                        enum spw_residence_state state);
/* Drops an unpinned copy, whatever its state (its job is gone, or a newer version exists). */
void spw_residency_drop(struct spw_residency *residency, struct spw_block *block);
/* Bytes of `block` here that need no copy. */
static inline uint64_t spw_residency_bytes(const struct spw_residency *residency,
                                           const struct spw_block *block)
{
    const struct spw_residence *copy = &block->at[residency->device_index];
    return copy->state == SPW_RESIDENCE_ABSENT ? 0 : block->bytes;
}

#endif
