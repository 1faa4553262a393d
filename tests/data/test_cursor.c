/* Tests of data/cursor.c: every epoch is a permutation that depends on (seed, epoch) alone, however
 * it is asked for. The data set is a token file with sequences of one token, so that the item that
 * was gathered can be read off: item i is token i with target i + 1. */
#include "files.h"

#include "base/philox.h"
#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS_MAX 1000

static struct fixture {
    struct file tokens;
    struct spw_memory_file file;
    struct spw_memory_world memory;
    struct spw_fault_world fault;
    struct spw_dataset *set;
} fixture;

static void open_set(int64_t items)
{
    struct spw_error error = {0};
    file_tokens(&fixture.tokens, false, (uint32_t)items + 1, 0);
    fixture.file = (struct spw_memory_file){"path", fixture.tokens.data, fixture.tokens.bytes};
    spw_memory_world_init(&fixture.memory, &fixture.file, 1);
    spw_fault_world_init(&fixture.fault, &fixture.memory.world);
    cr_assert(spw_dataset_open(&fixture.fault.world, SPW_DATA_TOKENS, "path", NULL, 1, &error,
                               &fixture.set) == SPW_OK,
              "%s", error.what);
    cr_assert(spw_dataset_info(fixture.set)->items == items);
}

static void close_set(void)
{
    spw_dataset_close(fixture.set);
    cr_assert(spw_fault_world_clean(&fixture.fault));
}

static struct spw_cursor *make_cursor(const struct spw_cursor_config *config)
{
    struct spw_error error = {0};
    struct spw_cursor *cursor;
    cr_assert(spw_cursor_create(&fixture.fault.world, fixture.set, config, &error, &cursor) ==
                  SPW_OK,
              "%s", error.what);
    return cursor;
}

/* The items of [first, first + count) of a step. */
static void gather(struct spw_cursor *cursor, uint64_t step, int64_t first, int64_t count,
                   int32_t *items)
{
    static int32_t targets[4 * ITEMS_MAX];
    spw_cursor_gather(cursor, step, first, count, items, targets);
    for (int64_t index = 0; index < count; index++) {
        cr_assert(targets[index] == items[index] + 1);
    }
}

static void check_permutation(const int32_t *items, int64_t count, uint64_t epoch)
{
    static bool seen[ITEMS_MAX];
    memset(seen, 0, sizeof(seen));
    for (int64_t index = 0; index < count; index++) {
        cr_assert(items[index] >= 0 && items[index] < count && !seen[items[index]],
                  "epoch %" PRIu64 ", place %" PRId64, epoch, index);
        seen[items[index]] = true;
    }
}

/* Lines up the items of all steps of `epochs` epochs; returns their number. */
static int64_t gather_epochs(struct spw_cursor *cursor, int64_t items, uint64_t epochs,
                             int32_t *stream)
{
    int64_t total = 0;
    for (uint64_t step = 1; total < items * (int64_t)epochs; step++) {
        const int64_t count = spw_cursor_items(cursor, step);
        gather(cursor, step, 0, count, stream + total);
        total += count;
    }
    return total;
}

/* The order as docs/numerics.md says: the permutation of the stream "shuffle/<epoch>". */
static void check_order(const int32_t *stream, int64_t items, uint64_t seed, uint64_t epoch,
                        bool shuffle)
{
    static uint32_t order[ITEMS_MAX];
    char name[32];
    (void)snprintf(name, sizeof(name), "shuffle/%" PRIu64, epoch);
    spw_permutation(spw_stream_key(seed, name), (uint64_t)items, order);
    for (int64_t index = 0; index < items; index++) {
        const int64_t expected = shuffle ? (int64_t)order[index] : index;
        cr_assert(stream[index] == expected, "epoch %" PRIu64 ", place %" PRId64, epoch, index);
    }
}

static const int64_t item_counts[] = {1, 2, 3, 7, 64, 100, 101};
static const int64_t batches[] = {1, 2, 3, 8, 64, 99, 100, 250};

Test(cursor, every_epoch_is_the_permutation_of_its_stream)
{
    static int32_t stream[8 * ITEMS_MAX];
    for (size_t i = 0; i < sizeof(item_counts) / sizeof(item_counts[0]); i++) {
        const int64_t items = item_counts[i];
        open_set(items);
        for (size_t j = 0; j < sizeof(batches) / sizeof(batches[0]); j++) {
            for (int way = 0; way < 4; way++) {
                const struct spw_cursor_config config = {
                    .seed = 42, .shuffle = way & 1, .by_epoch = way & 2, .batch = batches[j]};
                struct spw_cursor *cursor = make_cursor(&config);
                cr_assert(gather_epochs(cursor, items, 5, stream) >= 5 * items);
                for (uint64_t epoch = 0; epoch < 5; epoch++) {
                    const int32_t *part = stream + (int64_t)epoch * items;
                    check_permutation(part, items, epoch);
                    check_order(part, items, 42, epoch, config.shuffle);
                }
                spw_cursor_destroy(cursor);
            }
        }
        close_set();
    }
}

Test(cursor, counts_steps_and_items)
{
    open_set(10);
    struct spw_cursor *cursor =
        make_cursor(&(struct spw_cursor_config){.batch = 4, .by_epoch = true});
    cr_assert(spw_cursor_steps_per_epoch(cursor) == 3);
    static const int64_t by_epoch[] = {4, 4, 2, 4, 4, 2, 4};
    for (uint64_t step = 1; step <= 7; step++) {
        cr_assert(spw_cursor_items(cursor, step) == by_epoch[step - 1]);
    }
    spw_cursor_destroy(cursor);

    cursor = make_cursor(&(struct spw_cursor_config){.batch = 4});
    cr_assert(spw_cursor_steps_per_epoch(cursor) == 3);
    for (uint64_t step = 1; step <= 7; step++) {
        cr_assert(spw_cursor_items(cursor, step) == 4);
    }
    /* Items 8 and 9, then round to 0 and 1. */
    int32_t items[4];
    gather(cursor, 3, 0, 4, items);
    cr_assert(items[0] == 8 && items[1] == 9 && items[2] == 0 && items[3] == 1);
    spw_cursor_destroy(cursor);

    cursor = make_cursor(&(struct spw_cursor_config){.batch = 25, .by_epoch = true});
    cr_assert(spw_cursor_steps_per_epoch(cursor) == 1 && spw_cursor_items(cursor, 9) == 10);
    spw_cursor_destroy(cursor);
    close_set();
}

/* Resumed, moved, cut into micro-batches, asked twice or backwards: the same items. */
Test(cursor, the_way_of_asking_changes_nothing)
{
    enum { ITEMS = 101, STEPS = 60 };
    open_set(ITEMS);
    for (int way = 0; way < 4; way++) {
        for (size_t j = 0; j < sizeof(batches) / sizeof(batches[0]); j++) {
            const struct spw_cursor_config config = {
                .seed = 7, .shuffle = way & 1, .by_epoch = way & 2, .batch = batches[j]};
            struct spw_cursor *straight = make_cursor(&config);
            struct spw_cursor *jumping = make_cursor(&config);
            srand(1);
            for (int turn = 0; turn < STEPS; turn++) {
                int32_t whole[256], parts[256];
                const uint64_t step = (uint64_t)(rand() % STEPS) + 1;
                const int64_t count = spw_cursor_items(straight, step);
                gather(straight, step, 0, count, whole);
                int64_t end = count; /* from the back, in random pieces */
                while (end > 0) {
                    const int64_t piece = rand() % end + 1;
                    gather(jumping, step, end - piece, piece, parts + end - piece);
                    end -= piece;
                }
                cr_assert(memcmp(whole, parts, (size_t)count * sizeof(*whole)) == 0);
            }
            spw_cursor_destroy(straight);
            spw_cursor_destroy(jumping);
        }
    }
    close_set();
}

Test(cursor, seeds_and_epochs_have_orders_of_their_own)
{
    enum { ITEMS = 1000 };
    static int32_t first[2 * ITEMS], second[2 * ITEMS];
    open_set(ITEMS);
    struct spw_cursor *one =
        make_cursor(&(struct spw_cursor_config){.seed = 1, .shuffle = true, .batch = ITEMS});
    struct spw_cursor *two =
        make_cursor(&(struct spw_cursor_config){.seed = 2, .shuffle = true, .batch = ITEMS});
    (void)gather_epochs(one, ITEMS, 2, first);
    (void)gather_epochs(two, ITEMS, 2, second);
    int same_seed = 0, same_epoch = 0;
    for (int index = 0; index < ITEMS; index++) {
        same_seed += first[index] == second[index];
        same_epoch += first[index] == first[ITEMS + index];
    }
    /* Two random permutations agree in one place on average. */
    cr_assert(same_seed < 10 && same_epoch < 10, "%d and %d", same_seed, same_epoch);
    spw_cursor_destroy(one);
    spw_cursor_destroy(two);
    close_set();
}

Test(cursor, gathering_allocates_nothing)
{
    static int32_t stream[4 * ITEMS_MAX];
    open_set(100);
    struct spw_cursor *cursor =
        make_cursor(&(struct spw_cursor_config){.seed = 3, .shuffle = true, .batch = 33});
    const uint64_t before = atomic_load(&fixture.fault.calls[SPW_FAULT_ALLOCATION]);
    (void)gather_epochs(cursor, 100, 20, stream);
    cr_assert(atomic_load(&fixture.fault.calls[SPW_FAULT_ALLOCATION]) == before);
    spw_cursor_destroy(cursor);
    close_set();
}

Test(cursor, far_steps_are_as_good_as_near_ones)
{
    open_set(101);
    struct spw_cursor *cursor =
        make_cursor(&(struct spw_cursor_config){.seed = 5, .shuffle = true, .batch = 50});
    int32_t items[101];
    /* Step 101 * 10^14 + 1 begins epoch 50 * 10^14. */
    gather(cursor, UINT64_C(10100000000000001), 0, 50, items);
    gather(cursor, UINT64_C(10100000000000002), 0, 50, items + 50);
    gather(cursor, UINT64_C(10100000000000003), 0, 1, items + 100);
    check_order(items, 101, 5, UINT64_C(5000000000000000), true);
    spw_cursor_destroy(cursor);
    close_set();
}

Test(cursor, refuses_an_empty_batch)
{
    open_set(5);
    for (int64_t batch = -1; batch <= 0; batch++) {
        struct spw_error error = {0};
        struct spw_cursor *cursor = NULL;
        cr_assert(spw_cursor_create(&fixture.fault.world, fixture.set,
                                    &(struct spw_cursor_config){.batch = batch}, &error,
                                    &cursor) == SPW_ERR_ARGUMENT);
        cr_assert(cursor == NULL && strstr(error.what, "1 item or more") != NULL);
    }
    close_set();
}

Test(cursor, steps_count_from_1, .signal = SIGABRT)
{
    open_set(5);
    struct spw_cursor *cursor = make_cursor(&(struct spw_cursor_config){.batch = 2});
    (void)spw_cursor_items(cursor, 0);
}

Test(cursor, a_step_has_no_more_items_than_its_batch, .signal = SIGABRT)
{
    open_set(5);
    struct spw_cursor *cursor = make_cursor(&(struct spw_cursor_config){.batch = 2});
    int32_t items[3], targets[3];
    spw_cursor_gather(cursor, 1, 1, 2, items, targets);
}
