/* fault_backend.h — the host backend behind a wrapper that misbehaves on command: the N-th command
 * fails, queues claim to be full at random, devices differ in speed.
 *
 * A backend's functions know their device only, so the settings come in through the world: give
 * &faults.world to spw_run_create() and &fault_backend to its configuration. A failed command has
 * run all the same: its record lies, as a device may fail after the fact. Tested by its users. */
#ifndef SPW_TESTS_FAULT_BACKEND_H
#define SPW_TESTS_FAULT_BACKEND_H

#include "runtime/device/backend.h"

#include <stdatomic.h>

struct backend_faults {
    struct spw_world world;
    uint64_t fail_at;     /* the number of the command, of all devices, from 1; 0: none fails */
    bool sticky;          /* all later commands of its device fail too: the device is lost */
    uint32_t busy_of_256; /* how often an enqueuing claims that the queue is full */
    uint64_t busy_seed;
    /* Device 1's compute and links are modelled ones of this speed; 0: as fast as the others. */
    uint64_t slow_flops_per_s, slow_link_bytes_per_s;

    /* Counted by the executor's thread. */
    uint64_t commands, failed, draws;
};

/* All well; set what should not be. The struct must not move afterwards. */
void backend_faults_init(struct backend_faults *faults);

extern const struct spw_backend fault_backend;

#endif
