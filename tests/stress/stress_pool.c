/* stress_pool.c — many short runs of one pool, with and without pauses between them. A plain main, so
 * that the thread sanitizer can watch; its last line counts the checks. */
#include "base/philox.h"
#include "base/thread.h"

#include <stdio.h>
#include <string.h>

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

int main(void)
{
    const struct spw_world *world = spw_world_system();
    unsigned passed = 0;
    unsigned failed = 0;
    for (uint32_t threads = 2; threads <= 4; threads++) {
        struct spw_pool *pool;
        if (spw_pool_create(world, threads, NULL, NULL, &pool) != SPW_OK) {
            printf("0 passed, 1 failed\n");
            return 1;
        }
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
            passed += good ? 1 : 0;
            failed += good ? 0 : 1;
        }
        spw_pool_destroy(pool);
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
