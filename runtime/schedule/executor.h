/* executor.h — the executor's own state: places, committed units, commands under way.
 *
 * One loop (executor.c): take finished commands (finish.c), move jobs on (advance.c), let the
 * policy choose (choose.c), reserve and enqueue (issue.c), sleep at the gate. Internal to the
 * runtime. */
#ifndef SPW_RUNTIME_SCHEDULE_EXECUTOR_H
#define SPW_RUNTIME_SCHEDULE_EXECUTOR_H

#include "runtime/device/topology.h"
#include "runtime/job/job.h"
#include "runtime/schedule/policy.h"

#include <stdatomic.h>

enum {
    COMMITTED_MAX = 4,   /* the unit that runs, and those staged behind it */
    COMMAND_RING = 2048, /* commands under way per queue: more than any device queues */
};

enum spw_command_what {
    SPW_COMMAND_LOAD, /* a block comes in */
    SPW_COMMAND_IN,   /* packs or pieces of one micro-batch come in */
    SPW_COMMAND_WORK,
    SPW_COMMAND_OUT,    /* packs or pieces of one micro-batch go home */
    SPW_COMMAND_FINAL,  /* gradients and partial sums go home */
    SPW_COMMAND_GATHER, /* a batch is gathered; no unit */
};

struct spw_unit;

struct spw_command {
    enum spw_command_what what;
    struct spw_unit *unit;   /* NULL for GATHER */
    struct spw_block *block; /* LOAD, FINAL */
    struct spw_job *job;     /* GATHER */
    int64_t index;           /* micro-batch, piece, or feed */
    uint64_t bytes;
};

/* Bytes copied, by what they are. */
enum spw_traffic_kind {
    SPW_TRAFFIC_WEIGHTS,
    SPW_TRAFFIC_GRADS,
    SPW_TRAFFIC_MOMENTS,
    SPW_TRAFFIC_PACKS
};

struct spw_unit {
    struct spw_job *job;
    uint32_t group;
    struct spw_unit_key key;
    const struct spw_unit_plan *plan;
    bool in_use, failed;
    bool reserved;         /* has all its memory */
    bool weights_reserved; /* has at least its weights */
    bool all_issued;       /* every command has been enqueued */
    struct spw_reservation reservation;
    uint32_t loads_issued;                     /* blocks, and of the one after them, */
    uint64_t load_bytes;                       /* bytes */
    uint64_t binding_offset[SPW_BINDINGS_MAX]; /* of slot 0 where a binding lies in a slot */
    uint64_t slot_bytes;
    uint32_t slots;
    int64_t count;            /* micro-batches or pieces, and how many of them have */
    int64_t ins, works, outs; /* been enqueued: copies in, works, copies out */
    uint32_t finals_issued;   /* bindings written home after the last micro-batch, and of the */
    uint64_t final_bytes;     /* one after them, bytes */
    uint32_t outstanding;     /* commands under way */
    uint64_t in_ticket;       /* latest */
    uint64_t work_ticket[SPW_SLOTS_MAX], out_ticket[SPW_SLOTS_MAX];
    void *update_weights, *update_moments[2]; /* spare slots being filled */
    bool weights_here, grads_here;            /* UPDATE works on the resident copies */
    uint64_t chosen_ns;
};

struct spw_place {
    struct spw_device *device;
    uint32_t index;
    bool is_cores;
    struct spw_residency residency; /* not of the cores */
    struct spw_unit units[COMMITTED_MAX];
    struct spw_unit *committed[COMMITTED_MAX]; /* oldest first */
    uint32_t committed_count;
    bool blocked; /* a reservation failed and nothing has been given back since */
    struct spw_command *ring[SPW_QUEUE_COUNT];
    uint64_t tickets[SPW_QUEUE_COUNT]; /* last one enqueued, */
    uint64_t ended[SPW_QUEUE_COUNT];   /* and last one that has ended */
    uint64_t chunk_bytes;              /* of a long copy that others may want to get between */
    uint64_t replay_at;                /* next decision of the log to look at */
    uint64_t copy_ns, compute_ns;      /* of the units promised lately: sums that fade by a quarter
                                          with each unit */
    /* statistics */
    uint64_t compute_end_ns; /* of the last finished work */
    struct spw_device_stats stats;
    const struct spw_job *last_job;
};

struct spw_run {
    const struct spw_world *world;       /* a simulation's own, */
    const struct spw_world *outer_world; /* and the one around it */
    struct spw_simulator *simulator;     /* NULL: devices are real */
    bool owns_simulator;
    struct spw_run_config config;
    struct spw_topology topology;
    struct spw_device_caps caps; /* of every device: they are alike */
    struct spw_gate *gate;
    struct spw_home *home;
    struct spw_place *places; /* devices, then the host cores */
    uint32_t device_count;
    uint32_t depth;
    enum spw_update_place update_place;
    spw_policy_fn policy;

    struct spw_job **jobs;
    uint64_t job_count, job_capacity;
    uint64_t first_live;     /* jobs before it are over */
    uint64_t next_admission; /* jobs from here on have not been admitted */
    uint64_t running_jobs;
    struct spw_candidate *candidates;
    uint64_t candidate_capacity;
    struct spw_pilot *pilot;  /* measured op times, or NULL */
    _Atomic bool interrupted; /* set from other threads and signal handlers */
    bool stops_pending;       /* a job was stopped since the loop last looked */

    uint64_t decisions;
    uint64_t begun_ns, wall_ns, next_tick_ns;
    uint64_t active_ns;  /* the executor's own time, */
    uint64_t outside_ns; /* admissions and the callbacks of a step, which are not part of it */
};

/* run.c: spw_run_add() with a plan that is known (shared, not taken over), or NULL. */
enum spw_status spw_run_add_planned(struct spw_run *run, const struct spw_job_config *config,
                                    struct spw_plan *plan, struct spw_error *error,
                                    struct spw_job **out);
/* executor.c: spw_run_execute() in pieces, for who has several runs on one thread: begin, turns as
 * often as the gate has been knocked at, end. */
enum spw_executor_next {
    SPW_EXECUTOR_AGAIN, /* there may be more to do at once */
    SPW_EXECUTOR_WAIT,  /* not before something knocks */
    SPW_EXECUTOR_OVER,
};
enum spw_status spw_executor_begin(struct spw_run *run, struct spw_error *error);
enum spw_executor_next spw_executor_turn(struct spw_run *run);
enum spw_status spw_executor_end(struct spw_run *run, struct spw_error *error);
/* finish.c: takes finished commands of all places. True if there were any. */
bool spw_executor_poll(struct spw_run *run);
/* finish.c: takes a unit off its place, successful, failed or abandoned. */
void spw_executor_retire(struct spw_run *run, struct spw_place *place, struct spw_unit *unit);
/* advance.c: moves a job on as far as it goes: next phase, next round, its end. */
void spw_executor_advance(struct spw_run *run, struct spw_job *job);
/* Stops a job. job->error says why, unless it is cancelled; it ends when its commands have. */
void spw_executor_stop(struct spw_run *run, struct spw_job *job, enum spw_job_state state);
/* admit.c: starts waiting jobs, in order, while the host has memory for them. */
void spw_executor_admit(struct spw_run *run);
/* choose.c: lets the policy fill the places' queues. True if a unit was chosen. */
bool spw_executor_choose(struct spw_run *run);
/* issue.c: reserves and enqueues what can be enqueued now. */
void spw_executor_issue(struct spw_run *run, struct spw_place *place);
/* feed.c: asks the cores for the present batch and the one after it, as far as that is due. */
void spw_executor_feed(struct spw_run *run, struct spw_job *job);
/* The round after `round`; false if the job is over. */
bool spw_executor_next_round(const struct spw_job *job, const struct spw_round *round,
                             struct spw_round *out);
/* The accumulator of a weight block that holds the sum once it is reduced. */
struct spw_block *spw_executor_total(const struct spw_job *job, int32_t weight_block);
/* Notes a command just enqueued under `ticket`. */
void spw_executor_note(struct spw_place *place, enum spw_queue queue, uint64_t ticket,
                       struct spw_command command);

#endif
