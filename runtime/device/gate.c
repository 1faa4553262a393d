/* gate.c — where the executor sleeps, and how devices wake it.
 *
 * A count that only rises, so that a knock between "nothing to do" and "sleep" is never lost:
 * whoever waits says which count they have seen. The gate knows nothing of devices or commands.
 * Tested by tests/runtime/test_gate.c and, under the thread sanitizer, tests/stress/stress_host.c.
 */
#include "base/status.h"
#include "base/thread.h"
#include "runtime/device/backend.h"

#include <stdatomic.h>

struct spw_gate {
    const struct spw_world *world;
    _Atomic uint64_t count;
    _Atomic uint32_t sleepers; /* threads that sleep or are about to */
    struct spw_mutex mutex;    /* orders sleeping and waking only */
    struct spw_condition knocked;
};

enum spw_status spw_gate_create(const struct spw_world *world, struct spw_error *error,
                                struct spw_gate **out)
{
    struct spw_gate *gate;
    SPW_TRY(spw_allocate(world, 1, sizeof(*gate), "the executor's gate", error, &gate));
    gate->world = world;
    enum spw_status status;
    SPW_TRY_GOTO(spw_mutex_init(&gate->mutex, error), free_gate);
    SPW_TRY_GOTO(spw_condition_init(&gate->knocked, error), free_mutex);
    *out = gate;
    return SPW_OK;

free_mutex:
    spw_mutex_deinit(&gate->mutex);
free_gate:
    spw_release(world, gate);
    return status;
}

void spw_gate_destroy(struct spw_gate *gate)
{
    if (gate == NULL) {
        return;
    }
    spw_condition_deinit(&gate->knocked);
    spw_mutex_deinit(&gate->mutex);
    spw_release(gate->world, gate);
}

void spw_gate_knock(struct spw_gate *gate)
{
    /* Both counters are sequentially consistent: either we see the sleeper here, or the sleeper
     * sees the new count before it sleeps. A busy executor costs a knock two atomic operations. */
    atomic_fetch_add(&gate->count, 1);
    if (atomic_load(&gate->sleepers) == 0) {
        return;
    }
    spw_mutex_lock(&gate->mutex);
    spw_condition_broadcast(&gate->knocked);
    spw_mutex_unlock(&gate->mutex);
}

uint64_t spw_gate_count(const struct spw_gate *gate)
{
    return atomic_load(&gate->count);
}

void spw_gate_wait(struct spw_gate *gate, uint64_t seen, uint64_t deadline_ns)
{
    if (atomic_load(&gate->count) != seen) {
        return;
    }
    spw_mutex_lock(&gate->mutex);
    atomic_fetch_add(&gate->sleepers, 1);
    bool in_time = true;
    while (in_time && atomic_load(&gate->count) == seen) {
        if (deadline_ns == 0) {
            spw_condition_wait(&gate->knocked, &gate->mutex);
        } else {
            in_time = spw_condition_wait_until(&gate->knocked, &gate->mutex, deadline_ns);
        }
    }
    atomic_fetch_sub(&gate->sleepers, 1);
    spw_mutex_unlock(&gate->mutex);
}
