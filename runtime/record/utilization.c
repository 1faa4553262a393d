/* utilization.c — see utilization.h.
 *
 * A gap before a work is the time since the work before it. Until the work's unit was chosen the
 * device had nothing to do: because of updates, as far as some job had its updates going on
 * meanwhile, or because there was no work. From then on it waited for copies. How long updates have
 * gone on is one running sum over the whole run, so that a gap's part is a difference of two of its
 * values. Tested by tests/runtime/test_utilization.c. */
#include "runtime/record/utilization.h"

#include "base/assert.h"
#include "base/status.h"
#include "partitioner/rates.h"

/* Units that a device has chosen and whose first work has not ended: more than it is ever promised
 * at once. */
#define CHOSEN_MAX 16

/* A choice, and the sums at that time. */
struct choice {
    struct spw_decision decision;
    int64_t done; /* latest micro-batch that it worked on, or piece; -1: none yet */
    uint64_t at_ns;
    uint64_t updating_ns;
};

struct device_usage {
    struct spw_utilization_times times;
    struct choice chosen[CHOSEN_MAX]; /* the unit that works, and those after it */
    uint32_t chosen_count;
    uint64_t idle_since_ns;
    uint64_t updating_ns; /* the sum when it became idle */
};

/* A job's micro-batches that have gone all the way back in the present step. */
struct job_usage {
    uint64_t backward_done;
    bool is_updating;
    double *recomputed; /* [shard]: share of BACKWARD that is recomputation; NULL: not asked yet */
};

struct spw_utilization {
    const struct spw_world *world;
    struct spw_run *run;          /* borrowed */
    struct device_usage *devices; /* and the host cores */
    uint32_t device_count;
    struct job_usage *jobs;
    uint64_t job_capacity;
    uint64_t begun_ns;
    uint64_t updating_jobs;
    uint64_t updating_ns;      /* how long some job had its updates going on, up to */
    uint64_t updating_seen_ns; /* this time */
    bool failed;               /* no memory: shares of recomputation are not known */
};

enum spw_status spw_utilization_create(const struct spw_world *world, struct spw_run *run,
                                       struct spw_error *error, struct spw_utilization **out)
{
    struct spw_utilization *usage = NULL;
    SPW_TRY(spw_allocate(world, 1, sizeof(*usage), "the devices' usage", error, &usage));
    usage->world = world;
    usage->run = run;
    usage->device_count = spw_run_device_count(run);
    usage->begun_ns = spw_run_now_ns(run);
    usage->updating_seen_ns = usage->begun_ns;
    const enum spw_status status = spw_allocate(world, usage->device_count + 1,
                                                sizeof(*usage->devices), "the devices' usage",
                                                error, &usage->devices);
    if (status != SPW_OK) {
        spw_utilization_destroy(usage);
        return status;
    }
    for (uint32_t i = 0; i <= usage->device_count; i++) {
        usage->devices[i].idle_since_ns = usage->begun_ns;
    }
    *out = usage;
    return SPW_OK;
}

void spw_utilization_destroy(struct spw_utilization *usage)
{
    if (usage == NULL) {
        return;
    }
    for (uint64_t i = 0; i < usage->job_capacity; i++) {
        spw_release(usage->world, usage->jobs[i].recomputed);
    }
    spw_release(usage->world, usage->jobs);
    spw_release(usage->world, usage->devices);
    spw_release(usage->world, usage);
}

/* NULL if there is no memory. */
static struct job_usage *job_of(struct spw_utilization *usage, uint32_t index)
{
    if (spw_grow(usage->world, &usage->jobs, &usage->job_capacity, (uint64_t)index + 1,
                 sizeof(*usage->jobs), "the jobs' usage", NULL) != SPW_OK) {
        usage->failed = true;
        return NULL;
    }
    return &usage->jobs[index];
}

/* ---- updates ---- */

/* How long some job has had its updates going on, up to now. */
static uint64_t updating_ns(struct spw_utilization *usage)
{
    const uint64_t now_ns = spw_run_now_ns(usage->run);
    if (usage->updating_jobs > 0) {
        usage->updating_ns += now_ns - usage->updating_seen_ns;
    }
    usage->updating_seen_ns = now_ns;
    return usage->updating_ns;
}

static void set_updating(struct spw_utilization *usage, struct job_usage *job, bool is_updating)
{
    if (job->is_updating != is_updating) {
        (void)updating_ns(usage);
        job->is_updating = is_updating;
        usage->updating_jobs += is_updating ? 1 : UINT64_MAX;
    }
}

/* Micro-batches of a step: an epoch's last batch may be short. */
static uint64_t micro_batches_of(const struct spw_job *job, uint64_t step)
{
    const struct spw_job_config *config = spw_job_config(job);
    const uint64_t all = (uint64_t)spw_dataset_info(config->train)->items;
    uint64_t items = (uint64_t)config->batch;
    if (config->max_steps == 0) {
        const uint64_t first = (step - 1) % ((all - 1) / items + 1) * items;
        items = all - first < items ? all - first : items;
    }
    return (items + (uint64_t)config->micro_batch - 1) / (uint64_t)config->micro_batch;
}

void spw_utilization_step(struct spw_utilization *usage, const struct spw_job *job)
{
    struct job_usage *it = job_of(usage, spw_job_index(job));
    if (it != NULL) {
        it->backward_done = 0;
        set_updating(usage, it, false);
    }
}

void spw_utilization_state(struct spw_utilization *usage, const struct spw_job *job,
                           enum spw_job_state state)
{
    struct job_usage *it = job_of(usage, spw_job_index(job));
    if (it != NULL && state != SPW_JOB_RUNNING) {
        set_updating(usage, it, false);
    }
}

/* ---- recomputation ---- */

/* BACKWARD of a shard other than the last runs ops forward only to have again what it did not keep;
 * the last shard's forward pass is in its BACKWARD. */
static double recomputed_share(const struct spw_plan *plan, int32_t shard)
{
    const struct spw_program *program = &plan->shards[shard].backward.program;
    const struct spw_rates rates = spw_rates_of(&plan->options);
    double again_ns = 0, all_ns = 0;
    for (int32_t i = 0; i < program->instruction_count; i++) {
        const struct spw_instruction *instruction = &program->instructions[i];
        const double ns =
            (double)spw_rates_instruction_ns(&rates, instruction, plan->options.micro_batch);
        const bool is_again = shard + 1 < plan->shard_count && instruction->pass == SPW_FORWARD;
        all_ns += ns;
        again_ns += is_again ? ns : 0;
    }
    return all_ns > 0 ? again_ns / all_ns : 0;
}

static const double *shares_of(struct spw_utilization *usage, struct job_usage *it, uint32_t index)
{
    const struct spw_plan *plan = spw_job_plan(spw_run_job(usage->run, index));
    if (it->recomputed == NULL) {
        if (spw_allocate(usage->world, (uint64_t)plan->shard_count, sizeof(double),
                         "shares of recomputation", NULL, &it->recomputed) != SPW_OK) {
            usage->failed = true;
            return NULL;
        }
        for (int32_t shard = 0; shard < plan->shard_count; shard++) {
            it->recomputed[shard] = recomputed_share(plan, shard);
        }
    }
    return it->recomputed;
}

static uint64_t useful_ns(struct spw_utilization *usage, const struct spw_span *span)
{
    const uint64_t ns = span->end_ns - span->start_ns;
    if (span->kind != SPW_UNIT_BACKWARD) {
        return ns;
    }
    struct job_usage *it = job_of(usage, span->job);
    const double *shares = it != NULL ? shares_of(usage, it, span->job) : NULL;
    return shares != NULL ? (uint64_t)((double)ns * (1 - shares[span->shard]) + 0.5) : ns;
}

/* ---- gaps ---- */

void spw_utilization_decision(struct spw_utilization *usage, const struct spw_decision *decision)
{
    struct device_usage *device = &usage->devices[decision->device];
    if (device->chosen_count == CHOSEN_MAX) {
        /* Units that were given up without a work: the oldest is surely one. */
        for (uint32_t i = 1; i < CHOSEN_MAX; i++) {
            device->chosen[i - 1] = device->chosen[i];
        }
        device->chosen_count--;
    }
    device->chosen[device->chosen_count++] = (struct choice){
        .decision = *decision,
        .done = -1,
        .at_ns = spw_run_now_ns(usage->run),
        .updating_ns = updating_ns(usage),
    };
}

/* Two rounds of an evaluation have units that are alike; each begins with its first micro-batch. */
static bool is_of(const struct spw_span *span, const struct choice *choice)
{
    const struct spw_decision *decision = &choice->decision;
    const bool in_pieces = span->kind == SPW_UNIT_REDUCE || span->kind == SPW_UNIT_UPDATE;
    const int64_t end = decision->first_micro_batch + decision->micro_batches;
    return span->job == decision->job && span->group == decision->group &&
           span->kind == decision->kind && span->shard == decision->shard &&
           span->step == decision->step && span->micro_batch > choice->done &&
           (in_pieces ||
            (span->micro_batch >= decision->first_micro_batch && span->micro_batch < end));
}

/* The choice that a work comes from: units work in the order in which they were chosen, so those
 * before it are over. NULL: not known. */
static const struct choice *choice_of(struct device_usage *device, const struct spw_span *span)
{
    uint32_t at = 0;
    while (at < device->chosen_count && !is_of(span, &device->chosen[at])) {
        at++;
    }
    if (at == device->chosen_count) {
        return NULL;
    }
    for (uint32_t i = at; i < device->chosen_count; i++) {
        device->chosen[i - at] = device->chosen[i];
    }
    device->chosen_count -= at;
    device->chosen[0].done = span->micro_batch;
    return &device->chosen[0];
}

static void count_gap(struct device_usage *device, const struct choice *choice, uint64_t start_ns)
{
    struct spw_utilization_times *times = &device->times;
    const uint64_t since_ns = device->idle_since_ns;
    if (start_ns <= since_ns) {
        return;
    }
    const uint64_t at_ns = choice != NULL ? choice->at_ns : since_ns;
    const uint64_t chosen_ns = at_ns < since_ns ? since_ns : at_ns > start_ns ? start_ns : at_ns;
    const uint64_t without_ns = chosen_ns - since_ns;
    uint64_t norm_ns = without_ns > 0 ? choice->updating_ns - device->updating_ns : 0;
    norm_ns = norm_ns < without_ns ? norm_ns : without_ns;
    times->waiting_norm_ns += norm_ns;
    times->no_work_ns += without_ns - norm_ns;
    times->waiting_copy_ns += start_ns - chosen_ns;
}

void spw_utilization_span(struct spw_utilization *usage, const struct spw_span *span)
{
    if (span->queue != SPW_QUEUE_COMPUTE) {
        return;
    }
    struct device_usage *device = &usage->devices[span->device];
    count_gap(device, choice_of(device, span), span->start_ns);
    device->times.busy_ns += span->end_ns - span->start_ns;
    device->times.useful_ns += useful_ns(usage, span);
    device->idle_since_ns = span->end_ns;
    if (span->kind == SPW_UNIT_BACKWARD && span->shard == 0) {
        struct job_usage *it = job_of(usage, span->job);
        const struct spw_job *job = spw_run_job(usage->run, span->job);
        if (it != NULL && ++it->backward_done == micro_batches_of(job, span->step)) {
            set_updating(usage, it, true);
        }
    }
    device->updating_ns = updating_ns(usage);
}

void spw_utilization_times(const struct spw_utilization *usage, uint32_t index,
                           struct spw_utilization_times *out)
{
    SPW_ASSERT(index <= usage->device_count);
    const struct device_usage *device = &usage->devices[index];
    const uint64_t now_ns = spw_run_now_ns(usage->run);
    *out = device->times;
    const uint64_t rest_ns = now_ns > device->idle_since_ns ? now_ns - device->idle_since_ns : 0;
    /* One that never worked was not done before the others. */
    *(out->busy_ns > 0 ? &out->tail_ns : &out->no_work_ns) += rest_ns;
}
