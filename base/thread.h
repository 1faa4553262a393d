/* thread.h — mutexes, conditions, threads and a pool for shape-fixed tiles.
 *
 * The only box that names pthreads. Tested by tests/base/test_thread.c, tests/stress/. */
#ifndef SPW_BASE_THREAD_H
#define SPW_BASE_THREAD_H

#include "base/world.h"
#include <pthread.h>

struct spw_mutex {
    pthread_mutex_t native;
};
struct spw_condition {
    pthread_cond_t native;
};
struct spw_thread {
    pthread_t native;
};

enum spw_status spw_mutex_init(struct spw_mutex *mutex, struct spw_error *error);
void spw_mutex_deinit(struct spw_mutex *mutex);
void spw_mutex_lock(struct spw_mutex *mutex);
void spw_mutex_unlock(struct spw_mutex *mutex);

enum spw_status spw_condition_init(struct spw_condition *condition, struct spw_error *error);
void spw_condition_deinit(struct spw_condition *condition);
void spw_condition_signal(struct spw_condition *condition);
void spw_condition_broadcast(struct spw_condition *condition);
void spw_condition_wait(struct spw_condition *condition, struct spw_mutex *mutex);

/* Starts a thread named `name` (shown by top and gdb, 15 characters are kept), bound to the CPUs in
 * `cpus` (a zero-terminated list of CPU numbers plus one; NULL: not bound). */
enum spw_status spw_thread_start(struct spw_thread *thread, const char *name, const int *cpus,
                                 void (*run)(void *), void *argument, struct spw_error *error);
void spw_thread_join(struct spw_thread *thread);

/* One turn of waiting without sleep, some 10 to 50 ns: tells the core that others may have it. */
static inline void spw_thread_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("" ::: "memory");
#endif
}

/* A pool that runs `tile(context, index, thread)` for index in [0, tiles) on `threads` threads, the
 * caller being one of them (thread 0). Which thread runs which tile is not fixed: `thread`, in
 * [0, threads), may choose scratch memory only, and a tile's result may depend on its index alone.
 * A pool of one thread runs the tiles in order on the caller. One user at a time. The workers may
 * run on any of `cpus` (as for spw_thread_start()); where the caller runs is its own affair. */
struct spw_pool;
enum spw_status spw_pool_create(const struct spw_world *world, uint32_t threads, const int *cpus,
                                struct spw_error *error, struct spw_pool **out);
void spw_pool_destroy(struct spw_pool *pool);
uint32_t spw_pool_threads(const struct spw_pool *pool); /* a NULL pool has one */
void spw_pool_run(struct spw_pool *pool, uint32_t tiles,
                  void (*tile)(void *context, uint32_t index, uint32_t thread),
                  void *context); /* a NULL pool runs in place */

#endif
