/* job.h — one model in training: its homes, its place in the step, and the order of its units.
 *
 * A step is a fixed sequence. For each gradient group a chain of units runs through the shards and
 * back; then accumulators are reduced, the norm is known, and UPDATE units bring the weights to the
 * next version; evaluation rounds may follow. This file knows the sequence; it decides nothing and
 * enqueues nothing (schedule/ does). Internal to the runtime. */
#ifndef SPW_RUNTIME_JOB_JOB_H
#define SPW_RUNTIME_JOB_JOB_H

#include "runtime/memory/home.h"
#include "runtime/memory/residency.h"
#include "runtime/run.h"

/* Most ring slots that a unit uses. */
#define SPW_SLOTS_MAX 8

enum spw_job_phase {
    SPW_PHASE_FEED,  /* waiting for the batch to be gathered */
    SPW_PHASE_TRAIN, /* chains of FORWARD and BACKWARD units */
    SPW_PHASE_REDUCE,
    SPW_PHASE_UPDATE,
    SPW_PHASE_EVAL,     /* one chain of EVAL units */
    SPW_PHASE_DIAGNOSE, /* EVAL units over one micro-batch, looking for the op that made a NaN */
    SPW_PHASE_OVER,
};

/* Where a pack of one micro-batch stands: whether its home holds it, or which queue will bring it.
 */
struct spw_landing {
    enum { SPW_NOT_MADE, SPW_IN_FLIGHT, SPW_LANDED } state;
    uint32_t device;
    uint64_t ticket; /* of the device's OUT queue */
};

/* Packs of one kind for all micro-batches of a batch: homes side by side. */
struct spw_pack_home {
    void *home;                  /* NULL if there are none */
    uint64_t stride_bytes;       /* per micro-batch */
    struct spw_landing *landing; /* [micro-batches]; NULL: only the executor reads them, later */
};

/* One gradient group's progress through its units of the present round. */
struct spw_chain {
    int64_t first_micro_batch, micro_batches;
    uint32_t units;  /* of this round */
    uint32_t issued; /* units handed to devices */
    uint32_t completed;
    uint32_t device;      /* that took the last issued one */
    uint64_t ready_since; /* decision count when the next unit became ready */
};

/* What a unit is, independent of where it runs. */
struct spw_unit_key {
    enum spw_unit_kind kind;
    int32_t shard; /* or weight block */
    int64_t first_micro_batch, micro_batches;
    bool first_of_group; /* its first micro-batch assigns gradients */
    bool last_of_group;  /* its last micro-batch completes them */
};

/* What a round works on: a training batch, or a batch of evaluation after a training step. */
struct spw_round {
    uint64_t step;       /* from 1 */
    uint64_t eval_round; /* from 1; 0: training */
};

struct spw_feed {
    bool requested, valid;
    void *x, *targets; /* homes, all micro-batches */
};

struct spw_job {
    const struct spw_world *world;
    struct spw_run *run;
    uint32_t index;
    struct spw_job_config config;
    char *id;
    struct spw_plan *plan;
    uint64_t steps; /* to train in all */
    uint64_t eval_rounds;

    enum spw_job_state state;
    enum spw_job_phase phase;
    struct spw_error error;
    bool failing;               /* no more units; it ends when the last command is over, */
    enum spw_job_state ends_as; /* as this */
    uint32_t units_in_flight;
    uint64_t home_bytes; /* taken on admission */

    /* Homes. */
    struct spw_home *home; /* NULL until admitted */
    void *home_range;
    struct spw_residence *residences; /* [block * device count + device] */
    struct spw_block *blocks;         /* weights and accumulators of all weight blocks */
    uint32_t block_count;
    struct spw_block **weights; /* [weight block] */
    struct spw_block **grads;   /* [weight block * accumulators_max + use * groups + group] */
    uint32_t accumulators_max;
    void **moments;           /* [weight block * 2 + moment] */
    struct spw_spare *spares; /* free slots by size */
    uint32_t spare_count;
    void **norms;               /* [weight block]: home of its fp64 partial sums */
    uint64_t *reduce_offsets;   /* of REDUCE works under way: [slot * accumulators + i] */
    struct spw_pack_home *cuts; /* [shard], [0] unused */
    struct spw_pack_home *kept; /* [shard] */
    /* [shard]: gradients of the cut before it. Borders share two ranges in turn: when one is
     * written, the one after the next has been read. */
    struct spw_pack_home *gradients;
    struct spw_pack_home losses;
    struct spw_feed feeds[2];
    uint64_t x_stride_bytes, targets_stride_bytes;
    bool *param_decays;
    const struct spw_segment **param_segment; /* [param] */
    int32_t *param_block;

    /* Data. */
    struct spw_cursor *train_cursor;
    struct spw_cursor *valid_cursor;

    /* Progress. */
    struct spw_round now;                   /* the present round */
    uint64_t round;                         /* its number, from 0: feeds[round % 2] is its data */
    uint32_t gathers;                       /* under way */
    int64_t items;                          /* of the present round */
    int64_t micro_batches;                  /* of the present round */
    struct spw_chain *chains;               /* [grad_groups] */
    uint32_t block_issued, block_completed; /* weight blocks of REDUCE or UPDATE */
    struct spw_update_scalars scalars[2];
    double lr;
    double loss, norm;
    double eval_sum, eval_correct;
    uint64_t eval_rows;
    int64_t bad_micro_batch; /* DIAGNOSE */
    uint64_t steps_done;

    /* Times, estimates in nanoseconds for a full batch. */
    uint64_t *unit_ns;      /* [2 * shards - 1] by position in the chain */
    uint64_t *remaining_ns; /* suffix sums of unit_ns, one more entry, 0 at the end */
    uint64_t update_ns, step_ns, eval_ns;
    bool mixed; /* copies bind some units of the chain, arithmetic binds others */

    /* For reports. */
    double last_loss, best_eval_loss, best_accuracy, last_eval_loss, last_accuracy;
    uint64_t items_done, started_ns, ended_ns, busy_ns;
    uint64_t evictions_told; /* in the steps so far */
};

/* A free home slot of a size, for outputs that replace a committed version. */
struct spw_spare {
    void *home;
    uint64_t bytes;
};

/* ---- life: job.c, homes.c ---- */
/* Takes the plan over if it succeeds. */
enum spw_status spw_job_create(struct spw_run *run, const struct spw_world *world,
                               const struct spw_job_config *config, struct spw_plan *plan,
                               uint32_t index, struct spw_error *error, struct spw_job **out);
void spw_job_destroy(struct spw_job *job);
/* Takes the homes and fills them with initial values. SPW_ERR_DOES_NOT_FIT: nothing was kept. */
enum spw_status spw_job_admit(struct spw_job *job, struct spw_home *home, uint32_t device_count,
                              struct spw_error *error);
void spw_job_release_homes(struct spw_job *job);
/* Home bytes the job takes on admission. */
uint64_t spw_job_home_bytes(struct spw_job *job);

/* ---- sequence: sequence.c ---- */
/* Positions of a chain: unit `position` of group `group` in the present round. */
struct spw_unit_key spw_job_unit(const struct spw_job *job, uint32_t group, uint32_t position);
/* Starts a round over a gathered feed: chains are set up for its items. */
void spw_job_begin_round(struct spw_job *job, enum spw_job_phase phase, int64_t items);
/* True when all chains have completed. */
bool spw_job_chains_done(const struct spw_job *job);
/* Units of this job until `block` is used again, from the present position. */
uint64_t spw_job_units_until(const struct spw_job *job, const struct spw_block *block);

/* ---- step: step.c. What happens between units; each returns a failure of the job. ---- */
enum spw_status spw_job_finish_train(struct spw_job *job);  /* loss; then REDUCE or norm */
enum spw_status spw_job_finish_reduce(struct spw_job *job); /* norm, scalars */
void spw_job_commit_update(struct spw_job *job, int32_t weight_block, void *weights,
                           void *const moments[2]);
void spw_job_finish_eval_round(struct spw_job *job);
/* SPW_ERR_NUMERIC, naming the parameter, if a weight is not finite. */
enum spw_status spw_job_check_weights(struct spw_job *job);
/* Spare slots of `bytes`; never runs out: one UPDATE of a job at a time. */
void *spw_job_take_spare(struct spw_job *job, uint64_t bytes);
void spw_job_give_spare(struct spw_job *job, void *home, uint64_t bytes);

static inline bool spw_job_is_reduced(const struct spw_job *job, int32_t weight_block)
{
    return job->plan->weight_blocks[weight_block].reduced;
}
static inline struct spw_block *spw_job_grads(const struct spw_job *job, int32_t weight_block,
                                              int32_t use, int64_t group)
{
    return job->grads[(uint64_t)weight_block * job->accumulators_max +
                      (uint64_t)(use * job->config.grad_groups + group)];
}

#endif
