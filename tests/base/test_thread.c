/* Tests of base/thread.c and base/pool.c. Races are looked for in tests/stress/. */
#include "base/thread.h"

#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

struct shared {
    struct spw_mutex mutex;
    struct spw_condition condition;
    int turn;
    int count;
    char name[16];
    cpu_set_t cpus;
};

static void shared_init(struct shared *shared)
{
    memset(shared, 0, sizeof(*shared));
    cr_assert(spw_mutex_init(&shared->mutex, NULL) == SPW_OK);
    cr_assert(spw_condition_init(&shared->condition, NULL) == SPW_OK);
}

static void shared_deinit(struct shared *shared)
{
    spw_condition_deinit(&shared->condition);
    spw_mutex_deinit(&shared->mutex);
}

static void count_up(void *argument)
{
    struct shared *shared = argument;
    for (int i = 0; i < 20000; i++) {
        spw_mutex_lock(&shared->mutex);
        shared->count++;
        spw_mutex_unlock(&shared->mutex);
    }
}

Test(thread, a_mutex_lets_one_in_at_a_time)
{
    struct shared shared;
    shared_init(&shared);
    struct spw_thread threads[4];
    for (int i = 0; i < 4; i++) {
        cr_assert(spw_thread_start(&threads[i], "counter", NULL, count_up, &shared, NULL) ==
                  SPW_OK);
    }
    for (int i = 0; i < 4; i++) {
        spw_thread_join(&threads[i]);
    }
    cr_assert(shared.count == 80000);
    shared_deinit(&shared);
}

static void play_odd_turns(void *argument)
{
    struct shared *shared = argument;
    spw_mutex_lock(&shared->mutex);
    while (shared->turn < 1000) {
        if (shared->turn % 2 == 0) {
            spw_condition_wait(&shared->condition, &shared->mutex);
            continue;
        }
        shared->turn++;
        spw_condition_signal(&shared->condition);
    }
    spw_mutex_unlock(&shared->mutex);
}

Test(thread, a_condition_hands_turns_to_and_fro)
{
    struct shared shared;
    shared_init(&shared);
    struct spw_thread thread;
    cr_assert(spw_thread_start(&thread, "ping", NULL, play_odd_turns, &shared, NULL) == SPW_OK);
    spw_mutex_lock(&shared.mutex);
    while (shared.turn < 1000) {
        if (shared.turn % 2 == 1) {
            spw_condition_wait(&shared.condition, &shared.mutex);
            continue;
        }
        shared.turn++;
        spw_condition_broadcast(&shared.condition);
    }
    spw_mutex_unlock(&shared.mutex);
    spw_thread_join(&thread);
    cr_assert(shared.turn == 1000);
    shared_deinit(&shared);
}

static void look_around(void *argument)
{
    struct shared *shared = argument;
    /* The starter names the thread, perhaps after it has begun. */
    spw_mutex_lock(&shared->mutex);
    while (shared->turn == 0) {
        spw_condition_wait(&shared->condition, &shared->mutex);
    }
    spw_mutex_unlock(&shared->mutex);
    (void)pthread_getname_np(pthread_self(), shared->name, sizeof(shared->name));
    (void)sched_getaffinity(0, sizeof(shared->cpus), &shared->cpus);
}

static int first_allowed_cpu(void)
{
    cpu_set_t allowed;
    cr_assert(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET((size_t)cpu, &allowed)) {
            return cpu;
        }
    }
    return -1;
}

Test(thread, gets_its_name_and_its_cpu)
{
    struct shared shared;
    shared_init(&shared);
    const int cpu = first_allowed_cpu();
    const int cpus[] = {cpu + 1, 0};
    struct spw_thread thread;
    cr_assert(spw_thread_start(&thread, "a-name-that-is-too-long", cpus, look_around, &shared,
                               NULL) == SPW_OK);
    spw_mutex_lock(&shared.mutex);
    shared.turn = 1;
    spw_condition_signal(&shared.condition);
    spw_mutex_unlock(&shared.mutex);
    spw_thread_join(&thread);
    cr_assert_str_eq(shared.name, "a-name-that-is-");
    cr_assert(CPU_COUNT(&shared.cpus) == 1 && CPU_ISSET((size_t)cpu, &shared.cpus));
    shared_deinit(&shared);
}

Test(thread, a_cpu_that_does_not_exist_is_an_error)
{
    const int cpus[] = {CPU_SETSIZE + 5, 0};
    struct spw_thread thread;
    struct shared shared;
    struct spw_error error = {0};
    cr_assert(spw_thread_start(&thread, "nowhere", cpus, count_up, &shared, &error) ==
              SPW_ERR_INTERNAL);
    cr_assert(strstr(error.what, "nowhere") != NULL);
}

struct tally {
    _Atomic uint32_t runs[4096];
    uint32_t order[4096];
    _Atomic uint32_t count;
    _Atomic uint32_t threads_seen; /* a bit each */
    uint32_t busy_ns;
};

static void tally_tile(void *context, uint32_t index, uint32_t thread)
{
    struct tally *tally = context;
    const uint32_t place = atomic_fetch_add(&tally->count, 1);
    tally->order[place] = index;
    atomic_fetch_add(&tally->runs[index], 1);
    atomic_fetch_or(&tally->threads_seen, UINT32_C(1) << thread);
    if (tally->busy_ns > 0) {
        const struct spw_world *world = spw_world_system();
        world->sleep_until(world->self, spw_now_ns(world) + tally->busy_ns);
    }
}

static struct tally tally; /* one process per test: always fresh */

Test(thread, a_pool_runs_every_tile_once)
{
    for (uint32_t threads = 1; threads <= 5; threads++) {
        struct spw_pool *pool;
        cr_assert(spw_pool_create(spw_world_system(), threads, NULL, NULL, &pool) == SPW_OK);
        cr_assert(spw_pool_threads(pool) == threads);
        for (uint32_t run = 0; run < 300; run++) {
            const uint32_t tiles = run * 7 % 97;
            memset(&tally, 0, sizeof(tally));
            spw_pool_run(pool, tiles, tally_tile, &tally);
            cr_assert(atomic_load(&tally.count) == tiles);
            for (uint32_t i = 0; i < tiles; i++) {
                cr_assert(atomic_load(&tally.runs[i]) == 1, "tile %u of %u", i, tiles);
            }
            cr_assert(atomic_load(&tally.threads_seen) >> threads == 0);
        }
        spw_pool_destroy(pool);
    }
    spw_pool_destroy(NULL);
}

Test(thread, a_pool_of_several_uses_them)
{
    struct spw_pool *pool;
    cr_assert(spw_pool_create(spw_world_system(), 3, NULL, NULL, &pool) == SPW_OK);
    tally.busy_ns = 2000000;
    spw_pool_run(pool, 30, tally_tile, &tally);
    cr_assert(atomic_load(&tally.threads_seen) == 7, "threads %x",
              atomic_load(&tally.threads_seen));
    spw_pool_destroy(pool);
}

/* The workers fall asleep between the runs, and must be woken. */
Test(thread, a_pool_wakes_up_again)
{
    struct spw_pool *pool;
    cr_assert(spw_pool_create(spw_world_system(), 2, NULL, NULL, &pool) == SPW_OK);
    const struct spw_world *world = spw_world_system();
    for (int run = 0; run < 10; run++) {
        world->sleep_until(world->self, spw_now_ns(world) + 3000000);
        memset(&tally, 0, sizeof(tally));
        tally.busy_ns = 3000000;
        spw_pool_run(pool, 6, tally_tile, &tally);
        cr_assert(atomic_load(&tally.threads_seen) == 3, "run %d", run);
    }
    spw_pool_destroy(pool);
}

Test(thread, one_thread_runs_tiles_in_order_on_the_caller)
{
    struct spw_pool *one;
    cr_assert(spw_pool_create(spw_world_system(), 1, NULL, NULL, &one) == SPW_OK);
    struct spw_pool *const pools[] = {one, NULL};
    for (int i = 0; i < 2; i++) {
        memset(&tally, 0, sizeof(tally));
        spw_pool_run(pools[i], 100, tally_tile, &tally);
        for (uint32_t place = 0; place < 100; place++) {
            cr_assert(tally.order[place] == place);
        }
        cr_assert(atomic_load(&tally.threads_seen) == 1);
        cr_assert(spw_pool_threads(pools[i]) == 1);
    }
    spw_pool_destroy(one);
}

Test(thread, a_pool_says_what_it_can_not_do)
{
    struct spw_pool *pool = NULL;
    struct spw_error error = {0};
    cr_assert(spw_pool_create(spw_world_system(), 0, NULL, &error, &pool) == SPW_ERR_ARGUMENT);
    cr_assert(spw_pool_create(spw_world_system(), 100000, NULL, NULL, &pool) == SPW_ERR_ARGUMENT);
    const int nowhere[] = {CPU_SETSIZE + 5, 0};
    cr_assert(spw_pool_create(spw_world_system(), 3, nowhere, NULL, &pool) == SPW_ERR_INTERNAL);
    cr_assert(pool == NULL && error.what[0] != '\0');
}

Test(thread, a_pool_that_can_not_be_made_leaves_nothing)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    for (uint64_t at = 1; at <= 2; at++) {
        struct spw_pool *pool = NULL;
        spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = at});
        cr_assert(spw_pool_create(&fault.world, 3, NULL, NULL, &pool) == SPW_ERR_NO_MEMORY);
        cr_assert(spw_fault_world_clean(&fault) && pool == NULL);
    }
    spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = 3});
    struct spw_pool *pool;
    cr_assert(spw_pool_create(&fault.world, 3, NULL, NULL, &pool) == SPW_OK);
    cr_assert(!spw_fault_world_struck(&fault), "two allocations, and no more");
    spw_pool_destroy(pool);
    cr_assert(spw_fault_world_clean(&fault));
}
