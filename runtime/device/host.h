/* host.h — what the files of the host backend share. Internal: the world sees spw_backend_host.
 *
 *   host.c         the table: opening and closing, what may be enqueued
 *   host_queue.c   a ring of commands and the worker that runs them in order
 *   host_copy.c    copies between homes and the region
 *   host_work.c    programs, on the compute lane
 *   host_update.c  UPDATE, REDUCE and GATHER
 *   host_check.c   diagnosis: where the first number that is not finite came from
 *   host_pace.c    throttled links and modelled time
 *
 * Two threads matter to each queue: the executor, which enqueues and polls, and the queue's worker.
 */
#ifndef SPW_RUNTIME_DEVICE_HOST_H
#define SPW_RUNTIME_DEVICE_HOST_H

#include "base/thread.h"
#include "kernels/lane.h"
#include "runtime/device/backend.h"
#include "runtime/memory/home.h"

#include <semaphore.h>
#include <stdatomic.h>

/* Commands of a queue whose records nobody has polled yet. A power of two. */
#define SPW_HOST_COMMANDS_MAX 1024

struct spw_host_device;

struct spw_host_command {
    bool is_copy;
    uint32_t wait_count;
    uint32_t copy_count;
    struct spw_wait waits[SPW_WAITS_MAX];
    uint64_t enqueued_ns; /* world's clock */
    union {
        struct spw_copy copies[SPW_COPIES_MAX];
        struct spw_work work;
    };
};

/* Something for the compute worker to do between commands, while the executor waits for it. */
struct spw_host_request {
    const struct spw_program *program;
    int64_t items;
    struct spw_error *error;
    enum spw_status status; /* the answer, once the queue's `answered` is posted */
};

/* Ticket t has slot (t - 1) % SPW_HOST_COMMANDS_MAX in all three arrays. A slot is free again once
 * its record is polled, so neither commands nor records can ever overflow. */
struct spw_host_queue {
    struct spw_host_device *device;
    enum spw_queue name;
    struct spw_host_command *commands;
    struct spw_record *records;
    _Atomic uint64_t *ends_ns; /* record.end_ns again, for other queues that waited for it */

    _Alignas(64) _Atomic uint64_t submitted; /* last ticket enqueued; written by the executor */
    uint64_t polled;                         /* last ticket whose record was taken; executor only */
    _Alignas(64) _Atomic uint64_t finished;  /* last ticket done; written by the worker */
    uint64_t free_ns;                        /* end of the last command; worker only */
    uint32_t penalty;                        /* worker only: see host_queue.c */
    uint32_t short_sleeps_wanted;            /* worker only */

    _Alignas(64) _Atomic uint64_t sleeps_for; /* see host_queue.c */
    _Atomic bool stop;
    struct spw_host_request *_Atomic request; /* NULL: none */
    sem_t bell;                               /* the worker sleeps here */
    sem_t answered;                           /* the executor, for a request */
    struct spw_thread thread;
};

struct spw_host_device {
    struct spw_device device; /* first: a backend's caller sees only this */
    const struct spw_world *world;
    struct spw_gate *gate;       /* borrowed */
    const struct spw_home *home; /* borrowed */
    char *region;                /* caps.region_bytes */
    void *mapping;               /* what the region lies in; NULL for the host cores */
    uint64_t mapping_bytes;
    bool is_cores;
    bool fast_strings;         /* `rep movsb` is the fastest way to copy much */
    bool pace_model;           /* every command takes its modelled time */
    uint64_t link_bytes_per_s; /* 0: unthrottled */
    uint64_t flops_per_s;      /* pace_model only */
    struct spw_pool *pool;     /* NULL with one thread */
    struct spw_lane *lane;     /* the compute worker's, also while preparing */
    uint32_t queue_count;      /* queues that are open: 3, host cores 1 */
    struct spw_host_queue queues[SPW_QUEUE_COUNT];
};

/* ---- host_queue.c ---- */

enum spw_status spw_host_queue_open(struct spw_host_device *device, enum spw_queue name,
                                    const int *cpus, struct spw_error *error);
/* Closing, in three rounds over all queues, as one may wait for another or wake it: the worker ends
 * when what is enqueued is done; it has ended; its memory is freed. */
void spw_host_queue_stop(struct spw_host_queue *queue);
void spw_host_queue_join(struct spw_host_queue *queue);
void spw_host_queue_close(struct spw_host_queue *queue);
/* The slot of the next command, or NULL if the queue is full; then push it. Executor only. */
struct spw_host_command *spw_host_queue_slot(struct spw_host_queue *queue);
uint64_t spw_host_queue_push(struct spw_host_queue *queue);
bool spw_host_queue_poll(struct spw_host_queue *queue, struct spw_record *out);
/* Has the worker prepare a program between two commands, and waits for it. Executor only. */
enum spw_status spw_host_queue_request(struct spw_host_queue *queue,
                                       struct spw_host_request *request);

/* ---- what commands do; all run on a queue's worker ---- */

bool spw_host_copy_has_fast_strings(void);
void spw_host_copy_run(const struct spw_host_device *device, enum spw_queue queue,
                       const struct spw_host_command *command);

/* Asserts that the work stays within the region. Executor. */
void spw_host_work_check(const struct spw_host_device *device, const struct spw_work *work);
enum spw_status spw_host_work_prepare(struct spw_host_device *device,
                                      const struct spw_program *program, int64_t items,
                                      struct spw_error *error);
/* SPW_OK, SPW_ERR_DEVICE or SPW_ERR_NUMERIC; then *native is the node of the graph. */
enum spw_status spw_host_work_run(struct spw_host_device *device, const struct spw_work *work,
                                  int *native);

void spw_host_update_run(const struct spw_host_device *device, const struct spw_work *work);
void spw_host_reduce_run(const struct spw_host_device *device, const struct spw_work *work);
void spw_host_gather_run(const struct spw_host_device *device, const struct spw_work *work);

/* Whether what a forward call wrote is finite. */
bool spw_host_check_finite(const struct spw_call *call);

/* ---- host_pace.c ---- */

/* Fills ready_ns and start_ns of a command whose waits are over and which is about to run. */
void spw_host_pace_begin(struct spw_host_queue *queue, const struct spw_host_command *command,
                         struct spw_record *record);
/* Sleeps as long as the model asks; fills end_ns. */
void spw_host_pace_end(struct spw_host_queue *queue, const struct spw_host_command *command,
                       struct spw_record *record);

#endif
