/* cursor.c — the order in which one job sees a data set.
 *
 * The order of an epoch is a function of (seed, epoch) alone, and the items of a step a function of
 * the step alone, so a job that is resumed or moved sees what it would have seen. The only state is
 * a cache of two epochs' orders: a batch that wraps round touches two. Tested by
 * tests/data/test_cursor.c. */
#include "data/data.h"

#include "base/assert.h"
#include "base/checked.h"
#include "base/hash.h"
#include "base/philox.h"
#include "base/status.h"
#include "data/dataset.h"

#include <inttypes.h>
#include <stdio.h>

#define ORDERS_CACHED 2

struct order {
    uint64_t epoch;
    bool filled;
    uint32_t *items; /* [items]; NULL if the cursor doesn't shuffle */
};

struct spw_cursor {
    const struct spw_world *world;
    const struct spw_dataset *set; /* borrowed */
    struct spw_cursor_config config;
    uint64_t items;
    uint64_t batch;
    uint64_t steps_per_epoch;
    uint64_t item_elements;
    uint64_t targets_per_item;
    struct order orders[ORDERS_CACHED]; /* epoch e is kept in orders[e % ORDERS_CACHED] */
};

enum spw_status spw_cursor_create(const struct spw_world *world, const struct spw_dataset *set,
                                  const struct spw_cursor_config *config, struct spw_error *error,
                                  struct spw_cursor **out)
{
    if (config->batch < 1) {
        return SPW_FAIL(error, SPW_ERR_ARGUMENT,
                        "a batch of %" PRId64 " items; a batch has 1 item or more", config->batch);
    }
    struct spw_cursor *cursor;
    SPW_TRY(spw_allocate(world, 1, sizeof(*cursor), "a data cursor", error, &cursor));
    const struct spw_data_info *info = spw_dataset_info(set);
    cursor->world = world;
    cursor->set = set;
    cursor->config = *config;
    cursor->items = (uint64_t)info->items;
    cursor->batch = (uint64_t)config->batch;
    cursor->steps_per_epoch = (cursor->items - 1) / cursor->batch + 1;
    cursor->targets_per_item = (uint64_t)info->targets_per_item;
    cursor->item_elements = 1;
    for (int64_t axis = 0; axis < info->rank; axis++) {
        cursor->item_elements *= (uint64_t)info->dim[axis];
    }
    for (size_t index = 0; config->shuffle && index < ORDERS_CACHED; index++) {
        const enum spw_status status = spw_allocate(world, cursor->items, sizeof(uint32_t),
                                                    "the order of a data set", error,
                                                    &cursor->orders[index].items);
        if (status != SPW_OK) {
            spw_cursor_destroy(cursor);
            return status;
        }
    }
    *out = cursor;
    return SPW_OK;
}

void spw_cursor_destroy(struct spw_cursor *cursor)
{
    if (cursor != NULL) {
        for (size_t index = 0; index < ORDERS_CACHED; index++) {
            spw_release(cursor->world, cursor->orders[index].items);
        }
        spw_release(cursor->world, cursor);
    }
}

uint64_t spw_cursor_key(const struct spw_cursor *cursor)
{
    const uint64_t words[] = {
        cursor->items,          cursor->item_elements,  cursor->targets_per_item,
        cursor->config.seed,    cursor->config.shuffle, cursor->batch,
        cursor->config.by_epoch};
    return spw_hash(words, sizeof(words), 0);
}

uint64_t spw_cursor_x_bytes(const struct spw_cursor *cursor)
{
    return cursor->item_elements * sizeof(float); /* int32 is equally long */
}

uint64_t spw_cursor_targets_bytes(const struct spw_cursor *cursor)
{
    return cursor->targets_per_item * sizeof(int32_t);
}

uint64_t spw_cursor_steps_per_epoch(const struct spw_cursor *cursor)
{
    return cursor->steps_per_epoch;
}

int64_t spw_cursor_items(const struct spw_cursor *cursor, uint64_t step)
{
    SPW_ASSERT(step > 0);
    uint64_t items = cursor->batch;
    if (cursor->config.by_epoch) {
        const uint64_t first = (step - 1) % cursor->steps_per_epoch * cursor->batch;
        const uint64_t left = cursor->items - first;
        items = left < items ? left : items;
    }
    return (int64_t)items;
}

/* A position in the endless sequence of epochs. */
struct place {
    uint64_t epoch;
    uint64_t index; /* in [0, items) */
};

static struct place find_place(const struct spw_cursor *cursor, uint64_t step, uint64_t first)
{
    uint64_t position;
    if (cursor->config.by_epoch) {
        const uint64_t step_of_epoch = (step - 1) % cursor->steps_per_epoch;
        return (struct place){
            .epoch = (step - 1) / cursor->steps_per_epoch,
            .index = step_of_epoch * cursor->batch + first,
        };
    }
    SPW_ASSERT(spw_checked_multiply(step - 1, cursor->batch, &position));
    SPW_ASSERT(spw_checked_add(position, first, &position));
    return (struct place){.epoch = position / cursor->items, .index = position % cursor->items};
}

/* The order of an epoch, computed if it is not the cached one. NULL: file order. */
static const uint32_t *find_order(struct spw_cursor *cursor, uint64_t epoch)
{
    if (!cursor->config.shuffle) {
        return NULL;
    }
    struct order *order = &cursor->orders[epoch % ORDERS_CACHED];
    if (!order->filled || order->epoch != epoch) {
        char stream[32];
        (void)snprintf(stream, sizeof(stream), "shuffle/%" PRIu64, epoch);
        spw_permutation(spw_stream_key(cursor->config.seed, stream), cursor->items, order->items);
        order->epoch = epoch;
        order->filled = true;
    }
    return order->items;
}

void spw_cursor_gather(struct spw_cursor *cursor, uint64_t step, int64_t first, int64_t count,
                       void *x, int32_t *targets)
{
    const int64_t step_items = spw_cursor_items(cursor, step);
    SPW_ASSERT(first >= 0 && first <= step_items);
    SPW_ASSERT(count >= 0 && count <= step_items - first);

    /* fp32 and int32 are equally long. */
    const uint64_t x_bytes = cursor->item_elements * sizeof(float);
    struct place place = find_place(cursor, step, (uint64_t)first);
    const uint32_t *order = find_order(cursor, place.epoch);
    uint8_t *into = x;
    for (int64_t done = 0; done < count; done++) {
        if (place.index == cursor->items) {
            place = (struct place){.epoch = place.epoch + 1, .index = 0};
            order = find_order(cursor, place.epoch);
        }
        const uint64_t item = order != NULL ? order[place.index] : place.index;
        spw_dataset_item(cursor->set, item, into, targets);
        into += x_bytes;
        targets += cursor->targets_per_item;
        place.index++;
    }
}
