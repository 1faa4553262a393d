/* sim.h — what the files of the simulated backend share, and how a run sets it up.
 *
 *   sim.c         the table: devices, their queues, what may be enqueued
 *   sim_clock.c   the simulator: virtual time, timers, the world and the gate that run on it
 *   sim_cost.c    how long commands take
 *
 * No thread, no data, no real clock: time is an integer of nanoseconds that moves on only when the
 * executor would sleep, to the next command that ends. So the same input gives the same trace, byte
 * for byte. All devices of a run share one simulator. */
#ifndef SPW_RUNTIME_DEVICE_SIM_H
#define SPW_RUNTIME_DEVICE_SIM_H

#include "base/heap.h"
#include "runtime/device/backend.h"
#include "runtime/device/machine_model.h"

/* ---- for a run ---- */

/* `world`: for memory and files; borrowed. The caller destroys it after all devices. */
enum spw_status spw_simulator_create(const struct spw_world *world, struct spw_error *error,
                                     struct spw_simulator **out);
void spw_simulator_destroy(struct spw_simulator *simulator);
/* The world of a simulated run: its clock is virtual, begins at a second and passes in sleep_until;
 * the rest is that of the world above. */
const struct spw_world *spw_simulator_world(const struct spw_simulator *simulator);
/* Has `gate` let virtual time pass. */
void spw_simulator_drive(struct spw_simulator *simulator, struct spw_gate *gate);
/* Commands that have ended so far. */
uint64_t spw_simulator_events(const struct spw_simulator *simulator);

/* ---- timers: sim_clock.c ---- */

/* Something that happens at a time. Of those at the same time the one armed first goes first. */
struct spw_sim_timer {
    struct spw_heap_node node; /* first; its key is the time */
    void (*ring)(void *self);
    void *self;
};

/* Makes room for `count` more timers, so that arming never allocates. */
enum spw_status spw_sim_reserve(struct spw_simulator *simulator, uint64_t count,
                                struct spw_error *error);
void spw_sim_arm(struct spw_simulator *simulator, struct spw_sim_timer *timer, uint64_t at_ns);
void spw_sim_disarm(struct spw_simulator *simulator, struct spw_sim_timer *timer);
uint64_t spw_sim_now_ns(const struct spw_simulator *simulator);
/* A command has ended: the executor is to wake. */
void spw_sim_knock(struct spw_simulator *simulator);
struct spw_sim_costs *spw_sim_costs(struct spw_simulator *simulator);

/* ---- times of commands: sim_cost.c ---- */

/* Times of programs, worked out when they are prepared and looked up when they run. */
struct spw_sim_cost_entry;
struct spw_sim_costs {
    const struct spw_world *world;
    struct spw_sim_cost_entry *entries; /* open addressing; [capacity], a power of two */
    uint64_t capacity, count;
};
void spw_sim_costs_deinit(struct spw_sim_costs *costs);
enum spw_status spw_sim_costs_prepare(struct spw_sim_costs *costs,
                                      const struct spw_device_model *model,
                                      const struct spw_program *program, int64_t items,
                                      struct spw_error *error);
/* Time of a work on a device, or on the host cores. A program that was not prepared takes its
 * model_ns. */
uint64_t spw_sim_work_ns(const struct spw_sim_costs *costs, const struct spw_machine_model *model,
                         bool is_cores, const struct spw_work *work);
uint64_t spw_sim_copy_ns(const struct spw_device_model *model, const struct spw_copy *copies,
                         uint32_t count);

#endif
