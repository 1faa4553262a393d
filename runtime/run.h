/* run.h — training many jobs on the devices of one machine: the runtime's whole interface.
 *
 * A run owns the devices, the homes, the residency of blocks and the executor. Jobs are planned,
 * added, and then trained to the end by spw_run_execute() on the calling thread; events are
 * callbacks on that thread. One thread uses a run; only spw_run_interrupt() may come from another
 * thread or a signal handler. */
#ifndef SPW_RUNTIME_RUN_H
#define SPW_RUNTIME_RUN_H

#include "data/data.h"
#include "partitioner/plan.h"
#include "runtime/device/backend.h"
#include "runtime/device/machine_model.h"

/* ---- what a job is ---- */

enum spw_lr_schedule { SPW_LR_CONSTANT, SPW_LR_LINEAR, SPW_LR_COSINE, SPW_LR_WSD };

struct spw_schedule_config {
    enum spw_lr_schedule name;
    uint64_t warmup_steps; /* lr rises linearly from lr / warmup_steps */
    uint64_t decay_steps;  /* wsd: length of the final decay; 0: a tenth of all steps */
    double final;          /* last lr as a fraction of lr (linear, cosine, wsd) */
};
/* Learning rate of step `step` (from 1) of `steps`. */
double spw_schedule_lr(const struct spw_schedule_config *schedule, double lr, uint64_t step,
                       uint64_t steps);

struct spw_job_config {
    const char *id;                  /* "small-1"; copied */
    const struct spw_graph *graph;   /* borrowed until the run is destroyed */
    const struct spw_dataset *train; /* borrowed */
    const struct spw_dataset *valid; /* borrowed, or NULL */
    struct spw_optimizer_config optimizer;
    struct spw_schedule_config schedule;
    double lr;
    uint64_t seed;
    bool shuffle;
    int64_t batch;       /* items per step */
    int64_t micro_batch; /* items per pass */
    int64_t grad_groups;
    uint64_t max_steps; /* 0: epochs */
    uint64_t epochs;
    uint64_t eval_every;   /* steps; 0: only after the last */
    uint64_t eval_batches; /* 0: all */
    /* Micro-batches per unit; 0: the whole group. Tests of unit ranges. */
    int64_t unit_micro_batches;
};

enum spw_job_state {
    SPW_JOB_WAITING, /* owns nothing yet */
    SPW_JOB_RUNNING,
    SPW_JOB_DONE,
    SPW_JOB_FAILED,
    SPW_JOB_CANCELLED,
};

/* A simulated run computes nothing: losses, norms and accuracies are NaN, and everything else is as
 * if they were good. */
struct spw_step_result {
    uint64_t step;    /* from 1 */
    double loss;      /* mean over the batch, before the update */
    double grad_norm; /* before clipping */
    double lr;
    uint64_t items;     /* of the batch */
    uint64_t evictions; /* of this job's blocks, since the step before was told of */
    uint64_t end_ns;    /* world's clock */
};

struct spw_eval_result {
    uint64_t step;   /* after which update */
    double loss;     /* mean over all rows */
    double accuracy; /* correct rows / rows */
    uint64_t rows;
    uint64_t end_ns;
};

struct spw_job_status {
    enum spw_job_state state;
    uint64_t step, steps; /* finished, planned */
    double last_loss;
    double best_eval_loss, best_accuracy; /* NaN before the first */
    double last_eval_loss, last_accuracy;
    uint64_t items_done; /* trained on */
    uint64_t started_ns, ended_ns;
    uint64_t busy_ns;       /* of compute, all devices and host cores */
    struct spw_error error; /* why it failed */
};

/* ---- the run ---- */

enum spw_policy_name {
    SPW_POLICY_WEAVE,
    SPW_POLICY_LRTF,
    SPW_POLICY_FIFO,
    SPW_POLICY_RANDOM,
    SPW_POLICY_SERIAL,
    SPW_POLICY_REPLAY, /* the last: those before it need nothing but their name */
};
/* "weave", ...: what each is called, everywhere; ends in NULL. */
extern const char *const spw_policy_names[];

struct spw_job;
struct spw_run;

/* One decision, as logged and replayed. */
struct spw_decision {
    uint64_t sequence;
    uint32_t device; /* index; device_count: the host cores */
    uint32_t job;    /* index in order of adding */
    uint32_t group;
    enum spw_unit_kind kind;
    int32_t shard; /* or weight block */
    uint64_t step;
    int64_t first_micro_batch, micro_batches;
};

/* A finished command on a queue, for traces and utilization. */
struct spw_span {
    uint32_t device;
    enum spw_queue queue;
    uint64_t start_ns, end_ns;
    uint64_t bytes; /* copies */
    uint32_t job, group;
    enum spw_unit_kind kind;
    int32_t shard;
    uint64_t step;
    int64_t micro_batch;
};

struct spw_run_events {
    void *self;
    /* Each may be NULL. Called on the executor's thread; must be quick. */
    void (*step)(void *self, struct spw_job *job, const struct spw_step_result *result);
    void (*eval)(void *self, struct spw_job *job, const struct spw_eval_result *result);
    /* WAITING -> RUNNING -> DONE | FAILED | CANCELLED. On DONE the weights can still be read with
     * spw_job_read(); afterwards the job's homes are freed. A failure returned here fails the job.
     */
    enum spw_status (*state)(void *self, struct spw_job *job, enum spw_job_state state,
                             struct spw_error *error);
    void (*decision)(void *self, const struct spw_decision *decision);
    void (*span)(void *self, const struct spw_span *span);
    /* About four times a second, for progress displays. */
    void (*tick)(void *self, struct spw_run *run);
};

struct spw_run_config {
    struct spw_machine machine;
    enum spw_policy_name policy;
    uint64_t policy_seed;              /* random */
    const struct spw_decision *replay; /* borrowed; SPW_POLICY_REPLAY */
    uint64_t replay_count;
    uint64_t host_bytes;  /* budget for homes; 0: 80 % of what is free */
    int32_t prefetch;     /* units staged ahead per device: 0 or 1; -1: default, 1 */
    int32_t update_place; /* enum spw_update_place; -1: default */
    int32_t keep;         /* as spw_plan_options.keep; -1: planner chooses */
    bool least_memory;    /* plans cut as fine as helps */
    const int32_t *cuts;  /* tests: forced cuts for every job */
    int32_t cut_count;
    bool no_residency; /* tests: drop every block after its unit */
    bool reference_kernels;
    bool guarded_homes; /* tests */
    bool poison;        /* tests: freed extents become NaN */
    bool pilot;         /* measure op times before planning */
    bool shadow;        /* tests of simulated runs: follow what every byte holds,
                           as hashes; losses and norms are numbers made of them */
    bool plan_only;     /* open nothing: jobs can be added to see their plans, but
                           spw_run_execute() is refused */
    const struct spw_machine_model *model; /* SPW_MACHINE_SIM, and plans for one: what is simulated;
                                              the machine's own mem and link win; borrowed until
                                              spw_run_create() returns */
    /* One host of several on one clock (runtime/fleet.h); borrowed. NULL: a simulated run makes its
     * own. */
    struct spw_simulator *simulator;
    uint32_t host;
    const struct spw_backend *backend; /* tests: instead of the machine's own; NULL: that */
    struct spw_run_events events;
};

enum spw_status spw_run_create(const struct spw_world *world, const struct spw_run_config *config,
                               struct spw_error *error, struct spw_run **out);
void spw_run_destroy(struct spw_run *run);

/* Plans a job for this run's machine without adding it or allocating devices' memory for it. The
 * caller destroys the plan. SPW_ERR_DOES_NOT_FIT names what is missing. */
enum spw_status spw_run_plan(struct spw_run *run, const struct spw_job_config *config,
                             struct spw_error *error, struct spw_plan **out);
/* The least device memory on which this job runs. */
enum spw_status spw_run_least_memory(struct spw_run *run, const struct spw_job_config *config,
                                     struct spw_error *error, uint64_t *bytes);

/* Plans and adds a job; it is admitted when there is host memory, in order of adding. */
enum spw_status spw_run_add(struct spw_run *run, const struct spw_job_config *config,
                            struct spw_error *error, struct spw_job **out);

/* Trains all jobs to the end. SPW_OK when no job is left, whatever became of each;
 * SPW_ERR_CANCELLED after spw_run_interrupt(); other statuses are faults of the run itself. May be
 * called again after adding jobs. */
enum spw_status spw_run_execute(struct spw_run *run, struct spw_error *error);
/* Asks the executor to stop soon, now or as soon as it starts; there is no way back. Async-signal-
 * safe. */
void spw_run_interrupt(struct spw_run *run);
/* Takes one job out; the others go on. From event callbacks. */
void spw_run_cancel(struct spw_run *run, struct spw_job *job);

/* ---- looking at it ---- */

uint32_t spw_run_job_count(const struct spw_run *run);
struct spw_job *spw_run_job(struct spw_run *run, uint32_t index);
uint32_t spw_job_index(const struct spw_job *job);
const struct spw_job_config *spw_job_config(const struct spw_job *job);
const struct spw_plan *spw_job_plan(const struct spw_job *job);
void spw_job_status(const struct spw_job *job, struct spw_job_status *out);

/* What spw_job_read() reads of a parameter. */
enum spw_job_array { SPW_JOB_WEIGHTS, SPW_JOB_MOMENT0, SPW_JOB_MOMENT1 };
/* The hash of a parameter's array, where there are hashes instead of data (spw_run_config.shadow);
 * SPW_ERR_NOT_FOUND where there are none, or the homes are freed. */
enum spw_status spw_job_hash(const struct spw_job *job, enum spw_job_array array, int32_t index,
                             uint64_t *hash);
/* Copies parameter `index`'s elements out of the homes; for a job that is running, of the last
 * finished step. SPW_ERR_NOT_FOUND once the homes are freed. */
enum spw_status spw_job_read(const struct spw_job *job, enum spw_job_array array, int32_t index,
                             float *out, struct spw_error *error);
/* The same for its elements [first, first + count), so that large ones need no second copy. */
enum spw_status spw_job_read_part(const struct spw_job *job, enum spw_job_array array,
                                  int32_t index, uint64_t first, uint64_t count, float *out,
                                  struct spw_error *error);

struct spw_device_stats {
    char name[32];
    uint64_t wall_ns;         /* since spw_run_execute() began */
    uint64_t compute_ns;      /* compute queue busy */
    uint64_t waiting_copy_ns; /* idle with a unit chosen, whose copies had not come */
    uint64_t waiting_work_ns; /* idle with no unit chosen */
    uint64_t units, evictions;
    uint64_t job_switches; /* units whose job differs from the unit before */
    uint64_t bytes_in, bytes_out;
    uint64_t bytes_in_kind[4], bytes_out_kind[4]; /* weights, gradients, moments, packs */
    uint64_t region_bytes, peak_bytes;
    /* now, for progress displays */
    int32_t job; /* index, -1: none */
    enum spw_unit_kind kind;
    int32_t shard;
};
uint32_t spw_run_device_count(const struct spw_run *run); /* without the host cores */
/* `index` = device count: the host cores. */
void spw_run_device_stats(const struct spw_run *run, uint32_t index, struct spw_device_stats *out);

struct spw_run_stats {
    uint64_t home_bytes, home_peak_bytes;
    uint64_t decisions;
    uint64_t decide_ns; /* spent deciding, reserving, evicting, enqueuing */
    uint64_t wall_ns;
};
void spw_run_stats(const struct spw_run *run, struct spw_run_stats *out);
/* With a shadow: what went wrong in it; else NULL. */
struct spw_shadow_faults;
const struct spw_shadow_faults *spw_run_faults(const struct spw_run *run);
/* The run's clock: that of its world, or the virtual one of a simulation. */
uint64_t spw_run_now_ns(const struct spw_run *run);
const struct spw_machine *spw_run_machine(const struct spw_run *run);

#endif
