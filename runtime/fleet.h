/* fleet.h — simulated runs on several hosts, on one clock.
 *
 * Each host has a run of its own, with its homes, its devices and its executor, as real hosts would
 * have: a job stays on the host that holds its state. Jobs are dealt out before the run begins, the
 * longest first, each to the host with the least to do. One host is a fleet too, and then the same
 * as a run. Not for real devices. Tested by tests/runtime/test_fleet.c. */
#ifndef SPW_RUNTIME_FLEET_H
#define SPW_RUNTIME_FLEET_H

#include "runtime/run.h"

struct spw_fleet;

/* As spw_run_create() for config->machine, which is a simulated one; host_bytes is of each host.
 * `events` (NULL: those of the config for all) has one entry per host, so that a host knows itself.
 * The caller destroys *out. */
enum spw_status spw_fleet_create(const struct spw_world *world, const struct spw_run_config *config,
                                 const struct spw_run_events *events, struct spw_error *error,
                                 struct spw_fleet **out);
void spw_fleet_destroy(struct spw_fleet *fleet);

uint32_t spw_fleet_hosts(const struct spw_fleet *fleet);
/* The run of a host; owned by the fleet. */
struct spw_run *spw_fleet_run(const struct spw_fleet *fleet, uint32_t host);
/* What is simulated: the whole machine. */
const struct spw_machine *spw_fleet_machine(const struct spw_fleet *fleet);

/* Plans a job and notes it; its number is the order of adding. `config` is copied, but for what it
 * points to. */
enum spw_status spw_fleet_add(struct spw_fleet *fleet, const struct spw_job_config *config,
                              struct spw_error *error);
uint32_t spw_fleet_job_count(const struct spw_fleet *fleet);

/* Deals the jobs out and trains all of them to the end, as spw_run_execute(). Once only. */
enum spw_status spw_fleet_execute(struct spw_fleet *fleet, struct spw_error *error);
/* From any thread or a signal handler, as spw_run_interrupt(). */
void spw_fleet_interrupt(struct spw_fleet *fleet);

/* A job by its number, once jobs have been dealt out; *host (or NULL) is where it went. */
struct spw_job *spw_fleet_job(const struct spw_fleet *fleet, uint32_t index, uint32_t *host);

#endif
