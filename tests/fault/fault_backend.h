/* fault_backend.h — the host backend behind a wrapper that misbehaves on command: the N-th command
 * fails, queues claim to be full at random, records come late, devices differ in speed. It can hold
 * the order of commands against what they touch (order.h).
 *
 * A backend's functions know their device only, so the settings come in through the world: give
 * &faults.world to spw_run_create() and &fault_backend to its configuration. A failed command has
 * run all the same: its record lies, as a device may fail after the fact. Tested by its users. */
#ifndef SPW_TESTS_FAULT_BACKEND_H
#define SPW_TESTS_FAULT_BACKEND_H

#include "order.h"

struct backend_faults {
    struct spw_world world;
    uint64_t fail_at;    /* the number, from 1, of the command that fails; 0: none does */
    int32_t fail_device; /* only commands of this device are counted; -1: of all */
    int32_t fail_work;   /* only works of this kind are counted; -1: copies and works of any */
    bool sticky;         /* all later commands of its device fail too: the device is lost */
    bool silent;         /* a device that has failed hands out no more records, while this is set */
    int32_t full_in;     /* the device whose copy-in queue is full, without an end; -1: none */
    uint32_t busy_of_256; /* how often an enqueuing claims that the queue is full */
    uint32_t late_of_256; /* how often a record that is there is not handed out yet */
    uint64_t seed;        /* of both */
    /* Device 1's compute and links are modelled ones of this speed; 0: as fast as the others. */
    uint64_t slow_flops_per_s, slow_link_bytes_per_s;

    struct order *order; /* borrowed; NULL: order is not looked at */

    /* Counted by the executor's thread. */
    uint64_t commands, failed, refused, draws; /* `refused` by full_in */
};

/* All well; set what should not be. The struct must not move afterwards. */
void backend_faults_init(struct backend_faults *faults);

extern const struct spw_backend fault_backend;

#endif
