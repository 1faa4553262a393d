/* gate.c — where the executor sleeps, and how devices wake it.
 *
 * A count that only rises, so that a knock between "nothing to do" and "sleep" is never lost: who
 * waits says which count they have seen. One thread waits, any may knock. A semaphore and not a
 * condition, as a signal handler may post one: Ctrl-C knocks too. The gate knows nothing of devices
 * or commands. In virtual time nobody sleeps: waiting lets time pass. Tested by
 * tests/runtime/test_gate.c and, under the thread sanitizer, tests/stress/stress_host.c. */
#include "base/assert.h"
#include "base/status.h"
#include "runtime/device/backend.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

struct spw_gate {
    const struct spw_world *world;
    _Atomic uint64_t count;
    _Atomic bool sleeping; /* somebody sleeps or is about to, and nobody has posted for it yet */
    sem_t bell;            /* at most one post per sleep, and one stale one */
    void (*advance)(void *self, uint64_t deadline_ns); /* NULL: time passes by itself */
    void *driver;
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_BOOL_LOCK_FREE == 2,
               "signal handlers use both atomics");

enum spw_status spw_gate_create(const struct spw_world *world, struct spw_error *error,
                                struct spw_gate **out)
{
    struct spw_gate *gate;
    SPW_TRY(spw_allocate(world, 1, sizeof(*gate), "the executor's gate", error, &gate));
    gate->world = world;
    SPW_ASSERT(sem_init(&gate->bell, 0, 0) == 0); /* fails for wrong arguments only */
    *out = gate;
    return SPW_OK;
}

void spw_gate_destroy(struct spw_gate *gate)
{
    if (gate == NULL) {
        return;
    }
    SPW_ASSERT(sem_destroy(&gate->bell) == 0);
    spw_release(gate->world, gate);
}

void spw_gate_knock(struct spw_gate *gate)
{
    /* Sequentially consistent: either we see the sleeper here, or the sleeper sees the new count
     * before it sleeps. While the executor is busy a knock is two atomic operations. */
    atomic_fetch_add(&gate->count, 1);
    if (atomic_load(&gate->sleeping) && atomic_exchange(&gate->sleeping, false)) {
        (void)sem_post(&gate->bell);
    }
}

uint64_t spw_gate_count(const struct spw_gate *gate)
{
    return atomic_load(&gate->count);
}

/* Until a post, stale or not, or the deadline; false after the deadline. */
static bool sleep_once(struct spw_gate *gate, uint64_t deadline_ns)
{
    if (deadline_ns == 0) {
        SPW_ASSERT(sem_wait(&gate->bell) == 0 || errno == EINTR);
        return true;
    }
    const struct timespec deadline = {
        .tv_sec = (time_t)(deadline_ns / UINT64_C(1000000000)),
        .tv_nsec = (long)(deadline_ns % UINT64_C(1000000000)),
    };
    if (sem_clockwait(&gate->bell, CLOCK_MONOTONIC, &deadline) == 0) {
        return true;
    }
    SPW_ASSERT(errno == ETIMEDOUT || errno == EINTR);
    return errno == EINTR;
}

void spw_gate_drive(struct spw_gate *gate, void (*advance)(void *self, uint64_t deadline_ns),
                    void *self)
{
    gate->advance = advance;
    gate->driver = self;
}

void spw_gate_wait(struct spw_gate *gate, uint64_t seen, uint64_t deadline_ns)
{
    while (gate->advance != NULL && atomic_load(&gate->count) == seen) {
        if (deadline_ns != 0 && spw_now_ns(gate->world) >= deadline_ns) {
            return;
        }
        gate->advance(gate->driver, deadline_ns);
    }
    bool in_time = true;
    while (in_time && atomic_load(&gate->count) == seen) {
        atomic_store(&gate->sleeping, true);
        if (atomic_load(&gate->count) == seen) {
            in_time = sleep_once(gate, deadline_ns);
        }
    }
    atomic_store(&gate->sleeping, false);
}
