/* thread.c — thin, checked wrappers of pthreads; the pool is in pool.c.
 *
 * Failures that only a programmer's error can cause (unlocking what isn't locked) are assertions.
 * Tested by tests/base/test_thread.c. */
#include "base/thread.h"

#include "base/assert.h"
#include "base/status.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>

static enum spw_status thread_failure(struct spw_error *error, int native, const char *what)
{
    char text[96];
    return SPW_FAIL_NATIVE(
        error, native == ENOMEM || native == EAGAIN ? SPW_ERR_NO_MEMORY : SPW_ERR_INTERNAL, native,
        "%s: %s", what, spw_errno_text(native, text));
}

enum spw_status spw_mutex_init(struct spw_mutex *mutex, struct spw_error *error)
{
    const int native = pthread_mutex_init(&mutex->native, NULL);
    return native == 0 ? SPW_OK : thread_failure(error, native, "a mutex could not be made");
}

void spw_mutex_deinit(struct spw_mutex *mutex)
{
    SPW_ASSERT(pthread_mutex_destroy(&mutex->native) == 0);
}

void spw_mutex_lock(struct spw_mutex *mutex)
{
    SPW_ASSERT(pthread_mutex_lock(&mutex->native) == 0);
}

void spw_mutex_unlock(struct spw_mutex *mutex)
{
    SPW_ASSERT(pthread_mutex_unlock(&mutex->native) == 0);
}

enum spw_status spw_condition_init(struct spw_condition *condition, struct spw_error *error)
{
    const int native = pthread_cond_init(&condition->native, NULL);
    return native == 0 ? SPW_OK : thread_failure(error, native, "a condition could not be made");
}

void spw_condition_deinit(struct spw_condition *condition)
{
    SPW_ASSERT(pthread_cond_destroy(&condition->native) == 0);
}

void spw_condition_signal(struct spw_condition *condition)
{
    SPW_ASSERT(pthread_cond_signal(&condition->native) == 0);
}

void spw_condition_broadcast(struct spw_condition *condition)
{
    SPW_ASSERT(pthread_cond_broadcast(&condition->native) == 0);
}

void spw_condition_wait(struct spw_condition *condition, struct spw_mutex *mutex)
{
    SPW_ASSERT(pthread_cond_wait(&condition->native, &mutex->native) == 0);
}

/* Lives on the starter's stack until the new thread has read it, so that starting allocates nothing
 * of ours. */
struct start {
    void (*run)(void *);
    void *argument;
    sem_t taken;
};

static void *enter(void *argument)
{
    struct start *start = argument;
    void (*const run)(void *) = start->run;
    void *const run_argument = start->argument;
    (void)sem_post(&start->taken); /* `start` is gone from here on */
    run(run_argument);
    return NULL;
}

/* `cpus` holds CPU numbers plus one and ends with a zero. */
static int set_cpus(pthread_attr_t *attributes, const int *cpus)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (; *cpus != 0; cpus++) {
        const int cpu = *cpus - 1;
        if (cpu < 0 || cpu >= CPU_SETSIZE) {
            return EINVAL;
        }
        CPU_SET((size_t)cpu, &set);
    }
    return pthread_attr_setaffinity_np(attributes, sizeof(set), &set);
}

static int start_native(pthread_t *thread, const int *cpus, struct start *start)
{
    pthread_attr_t attributes;
    int native = pthread_attr_init(&attributes);
    if (native != 0) {
        return native;
    }
    if (cpus != NULL) {
        native = set_cpus(&attributes, cpus);
    }
    if (native == 0) {
        native = pthread_create(thread, &attributes, enter, start);
    }
    (void)pthread_attr_destroy(&attributes);
    return native;
}

enum spw_status spw_thread_start(struct spw_thread *thread, const char *name, const int *cpus,
                                 void (*run)(void *), void *argument, struct spw_error *error)
{
    struct start start = {.run = run, .argument = argument};
    SPW_ASSERT(sem_init(&start.taken, 0, 0) == 0);
    pthread_t native_thread;
    const int native = start_native(&native_thread, cpus, &start);
    if (native == 0) {
        while (sem_wait(&start.taken) != 0) {
            SPW_ASSERT(errno == EINTR);
        }
    }
    (void)sem_destroy(&start.taken);
    if (native != 0) {
        char what[80];
        (void)snprintf(what, sizeof(what), "thread %s could not be started", name);
        return thread_failure(error, native, what);
    }
    /* The kernel keeps 15 characters and refuses longer names. A thread without a name still works,
     * so a failure here is none. */
    char kept[16];
    (void)snprintf(kept, sizeof(kept), "%s", name);
    (void)pthread_setname_np(native_thread, kept);
    thread->native = native_thread;
    return SPW_OK;
}

void spw_thread_join(struct spw_thread *thread)
{
    SPW_ASSERT(pthread_join(thread->native, NULL) == 0);
}
