/* prepared.h — what a lane has prepared, found again by numbers that describe it.
 *
 * Two ops of the same geometry share one entry, whichever model they come from. Entries live until
 * the lane is destroyed. Not thread-safe. Internal to the kernels box; tested by
 * tests/kernels/test_lane.c. */
#ifndef SPW_KERNELS_HOST_PREPARED_H
#define SPW_KERNELS_HOST_PREPARED_H

#include "base/status.h"
#include "base/world.h"

/* Every bit counts: unused numbers must be 0. */
struct spw_prepared_key {
    int64_t number[12];
};

struct spw_prepared_entry {
    struct spw_prepared_key key;
    void *thing;
    void (*destroy)(const struct spw_world *world, void *thing);
};

struct spw_prepared {
    const struct spw_world *world;
    struct spw_prepared_entry *entries;
    uint64_t count, capacity;
    uint32_t *slots; /* hash table of indices into entries plus one; 0 is free */
    uint64_t slot_count;
};

void spw_prepared_init(struct spw_prepared *prepared, const struct spw_world *world);
void spw_prepared_deinit(struct spw_prepared *prepared);
/* NULL if there is none. Allocates nothing. */
void *spw_prepared_find(const struct spw_prepared *prepared, const struct spw_prepared_key *key);
/* Takes `thing` over, also on failure. The key must be new. */
enum spw_status spw_prepared_keep(struct spw_prepared *prepared, const struct spw_prepared_key *key,
                                  void *thing,
                                  void (*destroy)(const struct spw_world *world, void *thing),
                                  struct spw_error *error);

#endif
