/* sim.h — what the files of the simulated backend share, and how a run sets it up.
 *
 *   sim.c         the table: devices, their queues, what may be enqueued
 *   sim_clock.c   the simulator: virtual time, timers, the world and the gate that run on it
 *   sim_cost.c    how long commands take
 *   sim_flow.c    what several devices of a host share: links and memory
 *   sim_effect.c  what commands do to what places hold, where that is followed
 *
 * No thread, no data, no real clock: time is an integer of nanoseconds that moves on only when the
 * executor would sleep, to the next command that ends. So the same input gives the same trace, byte
 * for byte. All devices of a run share one simulator. */
#ifndef SPW_RUNTIME_DEVICE_SIM_H
#define SPW_RUNTIME_DEVICE_SIM_H

#include "base/heap.h"
#include "runtime/device/backend.h"
#include "runtime/device/machine_model.h"
#include "runtime/device/sim_effect.h"

/* ---- for a run ---- */

/* `world`: for memory and files; borrowed. The machine's own mem and link win over the model's.
 * SPW_ERR_ARGUMENT if the model can't be. The caller destroys it after all devices. */
enum spw_status spw_simulator_create(const struct spw_world *world,
                                     const struct spw_machine *machine,
                                     const struct spw_machine_model *model, struct spw_error *error,
                                     struct spw_simulator **out);
void spw_simulator_destroy(struct spw_simulator *simulator);
/* The world of a simulated run: its clock is virtual, begins at a second and passes in sleep_until;
 * the rest is that of the world above. */
const struct spw_world *spw_simulator_world(const struct spw_simulator *simulator);
/* Has `gate` let virtual time pass. */
void spw_simulator_drive(struct spw_simulator *simulator, struct spw_gate *gate);
/* Lets it pass without a gate: on to the next command that ends. */
void spw_simulator_advance(struct spw_simulator *simulator);
/* What is simulated, as it was given, with the machine's own numbers in the model. */
const struct spw_machine *spw_simulator_machine(const struct spw_simulator *simulator);
const struct spw_machine_model *spw_simulator_model(const struct spw_simulator *simulator);
/* What commands do to shadows, where homes have one. */
struct spw_sim_effects *spw_simulator_effects(struct spw_simulator *simulator);
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
/* Counts a command that has ended. */
void spw_sim_count(struct spw_simulator *simulator);
struct spw_sim_costs *spw_sim_costs(struct spw_simulator *simulator);
struct spw_sim_host *spw_sim_host(const struct spw_simulator *simulator, uint32_t index);

/* ---- hosts and what is on its way in them: sim_flow.c ---- */

struct spw_sim_host;

/* Bytes on their way. Filled in by who begins it, but for the last two. */
#define SPW_SIM_RESOURCES_MAX 3
struct spw_sim_flow {
    uint64_t most_bytes_per_s; /* > 0: what it could do alone */
    uint32_t resources[SPW_SIM_RESOURCES_MAX];
    uint32_t resource_count; /* 0: it shares nothing, and needs no flow */
    void (*ended)(void *self);
    void *self;
    unsigned __int128 left; /* billionths of a byte */
    uint64_t bytes_per_s;   /* at present */
};

/* A host with `device_count` devices. The caller destroys it. */
enum spw_status spw_sim_host_create(struct spw_simulator *simulator, const struct spw_world *world,
                                    const struct spw_host_model *model, uint32_t device_count,
                                    struct spw_error *error, struct spw_sim_host **out);
void spw_sim_host_destroy(struct spw_sim_host *host);
/* One more thing that flows share. */
enum spw_status spw_sim_host_share(struct spw_sim_host *host, uint64_t bytes_per_s,
                                   struct spw_error *error, uint32_t *resource);
/* Makes room for `count` more flows at once, so that beginning one never allocates. */
enum spw_status spw_sim_host_reserve(struct spw_sim_host *host, uint64_t count,
                                     struct spw_error *error);
/* What a copy of device `device` of the host shares with others, and a work of the host cores. */
void spw_sim_flow_init_copy(const struct spw_sim_host *host, uint32_t device, bool out,
                            struct spw_sim_flow *flow);
void spw_sim_flow_init_cores(const struct spw_sim_host *host, struct spw_sim_flow *flow);
/* `flow` stays where it is until it has ended. */
void spw_sim_flow_begin(struct spw_sim_host *host, struct spw_sim_flow *flow, uint64_t bytes);
/* Ends one without a word; nothing happens if it isn't under way. */
void spw_sim_flow_drop(struct spw_sim_host *host, const struct spw_sim_flow *flow);

/* ---- times of commands: sim_cost.c ---- */

/* Times of programs, worked out when they are prepared and looked up when they run. */
struct spw_sim_cost_entry;
struct spw_sim_costs {
    const struct spw_world *world;
    struct spw_sim_cost_entry *entries; /* open addressing; [capacity], a power of two */
    uint64_t capacity, count;
};
void spw_sim_costs_deinit(struct spw_sim_costs *costs);
/* `part`: which of the machine's sorts of devices, of which `model` is the one. */
enum spw_status spw_sim_costs_prepare(struct spw_sim_costs *costs, uint32_t part,
                                      const struct spw_device_model *model,
                                      const struct spw_program *program, int64_t items,
                                      struct spw_error *error);

/* A command: a time during which nothing of what is shared is used, then bytes, read and written,
 * that go at a rate. */
struct spw_sim_cost {
    uint64_t ns;
    uint64_t bytes;
    uint64_t bytes_per_s;
};
/* A program that was not prepared takes its model_ns. */
struct spw_sim_cost spw_sim_cost_device(const struct spw_sim_costs *costs, uint32_t part,
                                        const struct spw_device_model *model,
                                        const struct spw_work *work);
struct spw_sim_cost spw_sim_cost_cores(const struct spw_host_model *model,
                                       const struct spw_work *work);
struct spw_sim_cost spw_sim_cost_copy(const struct spw_device_model *model,
                                      const struct spw_copy *copies, uint32_t count);

#endif
