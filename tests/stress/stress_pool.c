/* stress_pool.c — many short runs of one pool, with and without pauses between them. A plain main,
 * so that the thread sanitizer can watch; its last line counts the checks. */
#include "base/philox.h"
#include "base/thread.h"

#include <stdio.h>

#define TILES_MAX 64

struct run {
    uint32_t values[TILES_MAX]; /* plain memory: a missing happens-before is a race here */
    uint32_t factor;
};

static void tile(void *context, uint32_t index, uint32_t thread)
{
    struct run *run = context;
    (void)thread;
    run->values[index] = (index + 1) * run->factor;
}

/* 3000 runs with random numbers of tiles. Returns the number of runs with a wrong result. */
static unsigned count_wrong_runs(struct spw_pool *pool, uint32_t threads)
{
    const struct spw_world *world = spw_world_system();
    unsigned wrong = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        const uint32_t draw = spw_random_word(threads, 0, i);
        const uint32_t tiles = draw % (TILES_MAX + 1);
        struct run run = {.factor = i + 1};
        /* Sometimes the workers spin, sometimes they have just gone to sleep. */
        if (draw >> 24 < 16) {
            world->sleep_until(world->self, spw_now_ns(world) + (draw >> 8) % 60000);
        }
        spw_pool_run(pool, tiles, tile, &run);
        bool good = true;
        for (uint32_t j = 0; j < TILES_MAX; j++) {
            good = good && run.values[j] == (j < tiles ? (j + 1) * run.factor : 0);
        }
        wrong += good ? 0 : 1;
    }
    return wrong;
}

int main(void)
{
    unsigned passed = 0;
    unsigned failed = 0;
    for (uint32_t threads = 2; threads <= 4; threads++) {
        struct spw_pool *pool;
        unsigned wrong = 1;
        if (spw_pool_create(spw_world_system(), threads, NULL, NULL, &pool) == SPW_OK) {
            wrong = count_wrong_runs(pool, threads);
            spw_pool_destroy(pool);
        }
        passed += wrong == 0 ? 1 : 0;
        failed += wrong == 0 ? 0 : 1;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
