/* pool.c — tiles of one call spread over threads that wait nearby.
 *
 * A call lasts some tens of microseconds, so handing out work must cost less than a system call:
 * the tiles of a run are one atomic word, `ticket`, of which each thread takes one at a time. The
 * caller never waits for a worker that took nothing: one that sleeps through a run is not missed.
 * Workers spin for a bounded while after their last tile and then sleep. Tested by
 * tests/base/test_thread.c and, under the thread sanitizer, tests/stress/stress_pool.c. */
#include "base/thread.h"

#include "base/assert.h"
#include "base/status.h"

#include <stdatomic.h>
#include <stdio.h>

/* A pause takes 10 to 50 ns, so this is some 20 us: longer than the gap between two kernels, much
 * shorter than a scheduler's time slice. */
#define SPINS_MAX 800

#define THREADS_MAX 1024

struct worker {
    struct spw_pool *pool;
    uint32_t index; /* from 1: the caller is thread 0 */
    struct spw_thread thread;
};

struct spw_pool {
    const struct spw_world *world;
    uint32_t threads; /* the caller included */
    uint32_t started; /* workers that run */
    struct worker *workers;

    /* What to run; written by the caller while no tile is left, read by whoever holds a tile. */
    void (*tile)(void *context, uint32_t index, uint32_t thread);
    void *context;
    uint32_t tiles;
    uint32_t run_number;

    /* High half: the run's number; low half: tiles of it not yet taken. A thread takes one by a
     * compare-and-swap, which fails if meanwhile the run has changed: a late worker can neither
     * take nor touch anything of a later run by mistake. */
    _Alignas(64) _Atomic uint64_t ticket;
    _Alignas(64) _Atomic uint32_t finished; /* tiles of this run that are done */
    _Alignas(64) _Atomic uint32_t sleepers; /* workers that sleep or are about to */
    _Atomic bool caller_sleeps;
    _Atomic bool stop;

    struct spw_mutex mutex; /* orders sleeping and waking only */
    struct spw_condition work;
    struct spw_condition done;
};

static bool tiles_left(struct spw_pool *pool)
{
    return (uint32_t)atomic_load(&pool->ticket) > 0;
}

static bool all_finished(struct spw_pool *pool)
{
    return atomic_load(&pool->finished) == pool->tiles;
}

/* Takes one tile and runs it as `thread`. False if none was left. */
static bool run_one(struct spw_pool *pool, uint32_t thread)
{
    uint64_t ticket = atomic_load(&pool->ticket);
    do {
        if ((uint32_t)ticket == 0) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&pool->ticket, &ticket, ticket - 1));

    /* While this tile is out, the run can't end, so its fields stay. */
    const uint32_t tiles = pool->tiles;
    pool->tile(pool->context, tiles - (uint32_t)ticket, thread);
    if (atomic_fetch_add(&pool->finished, 1) + 1 == tiles && atomic_load(&pool->caller_sleeps)) {
        spw_mutex_lock(&pool->mutex);
        spw_condition_signal(&pool->done);
        spw_mutex_unlock(&pool->mutex);
    }
    return true;
}

static void sleep_for_work(struct spw_pool *pool)
{
    spw_mutex_lock(&pool->mutex);
    /* Said before looking once more: either we see the tiles, or the caller sees the sleeper. */
    atomic_fetch_add(&pool->sleepers, 1);
    while (!tiles_left(pool) && !atomic_load(&pool->stop)) {
        spw_condition_wait(&pool->work, &pool->mutex);
    }
    atomic_fetch_sub(&pool->sleepers, 1);
    spw_mutex_unlock(&pool->mutex);
}

static void work(void *argument)
{
    const struct worker *worker = argument;
    struct spw_pool *pool = worker->pool;
    uint32_t spins = 0;
    while (!atomic_load(&pool->stop)) {
        if (run_one(pool, worker->index)) {
            spins = 0;
        } else if (spins < SPINS_MAX) {
            spins++;
            spw_thread_pause();
        } else {
            sleep_for_work(pool);
            spins = 0;
        }
    }
}

static void wait_for_last(struct spw_pool *pool)
{
    for (uint32_t spins = 0; spins < SPINS_MAX; spins++) {
        if (all_finished(pool)) {
            return;
        }
        spw_thread_pause();
    }
    spw_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_sleeps, true);
    while (!all_finished(pool)) {
        spw_condition_wait(&pool->done, &pool->mutex);
    }
    atomic_store(&pool->caller_sleeps, false);
    spw_mutex_unlock(&pool->mutex);
}

static void wake_workers(struct spw_pool *pool)
{
    if (atomic_load(&pool->sleepers) > 0) {
        spw_mutex_lock(&pool->mutex);
        spw_condition_broadcast(&pool->work);
        spw_mutex_unlock(&pool->mutex);
    }
}

void spw_pool_run(struct spw_pool *pool, uint32_t tiles,
                  void (*tile)(void *context, uint32_t index, uint32_t thread), void *context)
{
    if (pool == NULL || pool->started == 0 || tiles <= 1) {
        for (uint32_t index = 0; index < tiles; index++) {
            tile(context, index, 0);
        }
        return;
    }
    SPW_ASSERT(!tiles_left(pool)); /* one user at a time */
    pool->tile = tile;
    pool->context = context;
    pool->tiles = tiles;
    pool->run_number++;
    atomic_store(&pool->finished, 0);
    atomic_store(&pool->ticket, (uint64_t)pool->run_number << 32 | tiles);
    wake_workers(pool);
    while (run_one(pool, 0)) {
    }
    wait_for_last(pool);
}

static void stop_workers(struct spw_pool *pool)
{
    atomic_store(&pool->stop, true);
    spw_mutex_lock(&pool->mutex);
    spw_condition_broadcast(&pool->work);
    spw_mutex_unlock(&pool->mutex);
    for (uint32_t i = 0; i < pool->started; i++) {
        spw_thread_join(&pool->workers[i].thread);
    }
    pool->started = 0;
}

static enum spw_status start_workers(struct spw_pool *pool, const int *cpus,
                                     struct spw_error *error)
{
    for (uint32_t i = 0; i + 1 < pool->threads; i++) {
        struct worker *worker = &pool->workers[i];
        worker->pool = pool;
        worker->index = i + 1;
        char name[16];
        (void)snprintf(name, sizeof(name), "spw-pool-%u", (unsigned)worker->index % THREADS_MAX);
        SPW_TRY(spw_thread_start(&worker->thread, name, cpus, work, worker, error));
        pool->started++;
    }
    return SPW_OK;
}

enum spw_status spw_pool_create(const struct spw_world *world, uint32_t threads, const int *cpus,
                                struct spw_error *error, struct spw_pool **out)
{
    if (threads == 0 || threads > THREADS_MAX) {
        return SPW_FAIL(error, SPW_ERR_ARGUMENT, "a pool of %u threads; 1 to %d are possible",
                        (unsigned)threads, THREADS_MAX);
    }
    struct spw_pool *pool;
    SPW_TRY(spw_allocate(world, 1, sizeof(*pool), "a thread pool", error, &pool));
    pool->world = world;
    pool->threads = threads;

    enum spw_status status;
    SPW_TRY_GOTO(spw_allocate(world, threads, sizeof(*pool->workers), "a pool's threads", error,
                              &pool->workers),
                 free_pool);
    SPW_TRY_GOTO(spw_mutex_init(&pool->mutex, error), free_workers);
    SPW_TRY_GOTO(spw_condition_init(&pool->work, error), free_mutex);
    SPW_TRY_GOTO(spw_condition_init(&pool->done, error), free_work);
    SPW_TRY_GOTO(start_workers(pool, cpus, error), free_all);
    *out = pool;
    return SPW_OK;

free_all:
    spw_pool_destroy(pool);
    return status;
free_work:
    spw_condition_deinit(&pool->work);
free_mutex:
    spw_mutex_deinit(&pool->mutex);
free_workers:
    spw_release(world, pool->workers);
free_pool:
    spw_release(world, pool);
    return status;
}

void spw_pool_destroy(struct spw_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    stop_workers(pool);
    spw_condition_deinit(&pool->done);
    spw_condition_deinit(&pool->work);
    spw_mutex_deinit(&pool->mutex);
    spw_release(pool->world, pool->workers);
    spw_release(pool->world, pool);
}

uint32_t spw_pool_threads(const struct spw_pool *pool)
{
    return pool == NULL ? 1 : pool->threads;
}
