/* prepared.c — an open-addressing hash table that only grows. See prepared.h. */
#include "kernels/host/prepared.h"

#include "base/assert.h"
#include "base/hash.h"

#include <string.h>

void spw_prepared_init(struct spw_prepared *prepared, const struct spw_world *world)
{
    *prepared = (struct spw_prepared){.world = world};
}

void spw_prepared_deinit(struct spw_prepared *prepared)
{
    for (uint64_t i = 0; i < prepared->count; i++) {
        prepared->entries[i].destroy(prepared->world, prepared->entries[i].thing);
    }
    if (prepared->world != NULL) {
        spw_release(prepared->world, prepared->entries);
        spw_release(prepared->world, prepared->slots);
    }
    *prepared = (struct spw_prepared){0};
}

/* The slot that holds the key, or the free one where it belongs. */
static uint64_t slot_of(const struct spw_prepared *prepared, const struct spw_prepared_key *key)
{
    uint64_t slot = spw_hash(key, sizeof *key, 0) & (prepared->slot_count - 1);
    for (;;) {
        uint32_t index = prepared->slots[slot];
        if (index == 0 || memcmp(&prepared->entries[index - 1].key, key, sizeof *key) == 0) {
            return slot;
        }
        slot = (slot + 1) & (prepared->slot_count - 1);
    }
}

void *spw_prepared_find(const struct spw_prepared *prepared, const struct spw_prepared_key *key)
{
    if (prepared->slot_count == 0) {
        return NULL;
    }
    uint32_t index = prepared->slots[slot_of(prepared, key)];
    return index == 0 ? NULL : prepared->entries[index - 1].thing;
}

/* Keeps at least half of the slots free, so that searches are short and end. */
static enum spw_status grow_slots(struct spw_prepared *prepared, struct spw_error *error)
{
    if (prepared->slot_count >= 2 * (prepared->count + 1)) {
        return SPW_OK;
    }
    uint64_t slot_count = prepared->slot_count == 0 ? 16 : 2 * prepared->slot_count;
    uint32_t *slots;
    SPW_TRY(spw_allocate(prepared->world, slot_count, sizeof *slots, "prepared kernels", error,
                         &slots));
    spw_release(prepared->world, prepared->slots);
    prepared->slots = slots;
    prepared->slot_count = slot_count;
    for (uint64_t i = 0; i < prepared->count; i++) {
        slots[slot_of(prepared, &prepared->entries[i].key)] = (uint32_t)(i + 1);
    }
    return SPW_OK;
}

enum spw_status spw_prepared_keep(struct spw_prepared *prepared, const struct spw_prepared_key *key,
                                  void *thing,
                                  void (*destroy)(const struct spw_world *world, void *thing),
                                  struct spw_error *error)
{
    enum spw_status status = grow_slots(prepared, error);
    if (status == SPW_OK) {
        status = spw_grow(prepared->world, &prepared->entries, &prepared->capacity,
                          prepared->count + 1, sizeof *prepared->entries, "prepared kernels",
                          error);
    }
    if (status != SPW_OK) {
        destroy(prepared->world, thing);
        return status;
    }
    uint64_t slot = slot_of(prepared, key);
    SPW_ASSERT(prepared->slots[slot] == 0);
    prepared->entries[prepared->count] =
        (struct spw_prepared_entry){.key = *key, .thing = thing, .destroy = destroy};
    prepared->count++;
    prepared->slots[slot] = (uint32_t)prepared->count;
    return SPW_OK;
}
