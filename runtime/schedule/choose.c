/* choose.c — collects the units that a place may take and lets the policy pick one. */
#include "runtime/schedule/executor.h"

#include "base/assert.h"

_Static_assert(SPW_REDUCE_DEVICE_MAX <= SPW_COPIES_MAX, "one command brings all accumulators");

/* Does the job's next REDUCE or UPDATE run here? */
static bool is_update_place(const struct spw_place *place, const struct spw_job *job)
{
    const enum spw_update_place where =
        job->phase == SPW_PHASE_REDUCE
            ? spw_plan_reduce_place(job->plan, (int32_t)job->block_issued)
            : job->plan->options.update_place;
    return place->is_cores == (where == SPW_UPDATE_ON_CORES);
}

static const struct spw_unit_plan *plan_of(const struct spw_job *job,
                                           const struct spw_unit_key *key)
{
    const struct spw_plan *plan = job->plan;
    switch (key->kind) {
    case SPW_UNIT_FORWARD:
        return &plan->shards[key->shard].forward;
    case SPW_UNIT_BACKWARD:
        return &plan->shards[key->shard].backward;
    case SPW_UNIT_EVAL:
        return &plan->shards[key->shard].eval;
    case SPW_UNIT_REDUCE:
        return &plan->reduces[key->shard];
    case SPW_UNIT_UPDATE:
        return &plan->updates[key->shard];
    }
    SPW_NEVER("a unit of no kind");
}

/* May the chain's next unit be promised to `place`? Ready: all before it have completed. Staged:
 * the one before it is still on this very place, so that their commands order each other. */
static bool chain_offers(const struct spw_run *run, const struct spw_job *job, uint32_t group,
                         const struct spw_place *place, bool *staged)
{
    const struct spw_chain *chain = &job->chains[group];
    if (chain->issued >= chain->units) {
        return false;
    }
    *staged = chain->issued > chain->completed;
    if (!*staged) {
        return true;
    }
    if (chain->device != place->index || chain->issued - chain->completed > run->depth) {
        return false;
    }
    /* A later range adds to gradients that the same shard's unit of the range before it may still
     * be writing home. */
    const struct spw_unit_key key = spw_job_unit(job, group, chain->issued);
    const uint32_t range = 2 * (uint32_t)job->plan->shard_count - 1;
    return !(key.kind == SPW_UNIT_BACKWARD && !key.first_of_group &&
             chain->issued - chain->completed >= range);
}

static uint64_t resident_bytes(const struct spw_place *place, const struct spw_job *job,
                               const struct spw_unit_key *key)
{
    if (place->is_cores) {
        return 0;
    }
    if (key->kind == SPW_UNIT_UPDATE || key->kind == SPW_UNIT_REDUCE) {
        return spw_residency_bytes(&place->residency, job->weights[key->shard]) +
               spw_residency_bytes(&place->residency, spw_executor_total(job, key->shard));
    }
    const struct spw_shard *shard = &job->plan->shards[key->shard];
    uint64_t bytes = 0;
    for (int32_t i = 0; i < shard->weight_block_count; i++) {
        bytes += spw_residency_bytes(&place->residency, job->weights[shard->weight_blocks[i]]);
    }
    return bytes;
}

/* Of the present round, the units on devices not counted. */
static uint64_t round_ns(const struct spw_job *job)
{
    const struct spw_chain *chain = &job->chains[0];
    if (job->phase == SPW_PHASE_FEED || job->phase == SPW_PHASE_TRAIN) {
        const uint32_t length = 2 * (uint32_t)job->plan->shard_count - 1;
        const bool begun = job->phase == SPW_PHASE_TRAIN;
        const bool all_issued = begun && chain->issued == chain->units;
        const uint32_t at = begun && !all_issued ? chain->issued % length : 0;
        return (all_issued ? 0 : job->remaining_ns[at]) + job->update_ns;
    }
    return job->phase == SPW_PHASE_EVAL ? job->eval_ns : job->update_ns;
}

static uint64_t remaining_ns(const struct spw_job *job)
{
    /* While a step is under way it is the present round; after it, evaluation is. */
    const bool training = job->now.eval_round == 0 && job->steps_done < job->steps;
    const uint64_t steps_left = job->steps - job->steps_done - (training ? 1 : 0);
    uint64_t ns = steps_left * job->step_ns + round_ns(job);
    if (job->valid_cursor != NULL) {
        const uint64_t every = job->config.eval_every;
        const uint64_t evals = 1 + (every > 0 ? steps_left / every : 0);
        ns += evals * job->eval_rounds * job->eval_ns;
    }
    return ns;
}

/* What the unit copies in and computes, by estimate. */
static void estimate(const struct spw_job *job, const struct spw_unit_key *key,
                     struct spw_candidate *candidate)
{
    const struct spw_plan *plan = job->plan;
    uint64_t bytes;
    if (key->kind == SPW_UNIT_UPDATE || key->kind == SPW_UNIT_REDUCE) {
        const uint64_t block = plan->weight_blocks[key->shard].bytes;
        bytes = (2 + plan->options.moments) * block;
        candidate->compute_ns = block / sizeof(float);
    } else {
        const struct spw_unit_plan *unit = plan_of(job, key);
        const uint64_t count = (uint64_t)key->micro_batches;
        bytes = unit->weights_bytes + unit->in_bytes * count;
        candidate->compute_ns = unit->program.time_ns * count;
    }
    bytes -= candidate->resident_bytes < bytes ? candidate->resident_bytes : bytes;
    candidate->copy_ns = spw_plan_link_ns(plan, bytes);
}

static void add_candidate(struct spw_run *run, uint32_t *count, const struct spw_place *place,
                          const struct spw_job *job, uint32_t group, const struct spw_unit_key *key,
                          bool staged)
{
    SPW_ASSERT(*count < run->candidate_capacity);
    struct spw_candidate *candidate = &run->candidates[(*count)++];
    *candidate = (struct spw_candidate){
        .job = job->index,
        .group = group,
        .kind = key->kind,
        .shard = key->shard,
        .step = job->now.step,
        .first_micro_batch = key->first_micro_batch,
        .micro_batches = key->micro_batches,
        .remaining_ns = remaining_ns(job),
        .step_ns = job->step_ns,
        .round_ns = round_ns(job),
        .mixed = job->mixed,
        .resident_bytes = resident_bytes(place, job, key),
        .ready_since = job->chains[group].ready_since,
        .staged = staged,
    };
    estimate(job, key, candidate);
}

static void offer(struct spw_run *run, uint32_t *count, const struct spw_place *place,
                  const struct spw_job *job)
{
    switch (job->phase) {
    case SPW_PHASE_TRAIN:
    case SPW_PHASE_EVAL:
    case SPW_PHASE_DIAGNOSE:
        for (uint32_t group = 0; !place->is_cores && group < job->config.grad_groups; group++) {
            bool staged = false;
            if (chain_offers(run, job, group, place, &staged)) {
                const struct spw_unit_key key = spw_job_unit(job, group, job->chains[group].issued);
                add_candidate(run, count, place, job, group, &key, staged);
            }
        }
        return;
    case SPW_PHASE_REDUCE:
    case SPW_PHASE_UPDATE:
        if (job->block_issued == job->block_completed &&
            job->block_issued < (uint32_t)job->plan->weight_block_count &&
            is_update_place(place, job)) {
            const bool update = job->phase == SPW_PHASE_UPDATE;
            const struct spw_unit_key key = {
                .kind = update ? SPW_UNIT_UPDATE : SPW_UNIT_REDUCE,
                .shard = (int32_t)job->block_issued,
            };
            add_candidate(run, count, place, job, 0, &key, false);
        }
        return;
    case SPW_PHASE_FEED:
    case SPW_PHASE_OVER:
        return;
    }
}

/* The device's next entry of a replayed log. */
static const struct spw_decision *expected_decision(const struct spw_run *run,
                                                    struct spw_place *place)
{
    while (place->replay_at < run->config.replay_count &&
           run->config.replay[place->replay_at].device != place->index) {
        place->replay_at++;
    }
    return place->replay_at < run->config.replay_count ? &run->config.replay[place->replay_at]
                                                       : NULL;
}

static struct spw_unit *free_unit(struct spw_place *place)
{
    for (int i = 0; i < COMMITTED_MAX; i++) {
        if (!place->units[i].in_use) {
            return &place->units[i];
        }
    }
    SPW_NEVER("more units committed than a place has");
}

/* Writes down what the devices must still agree on: the outputs of this unit do not exist yet. */
static void forget_outputs(struct spw_job *job, const struct spw_unit_key *key)
{
    const int64_t end = key->first_micro_batch + key->micro_batches;
    for (int64_t i = key->first_micro_batch; i < end; i++) {
        const bool last = key->shard == job->plan->shard_count - 1;
        if (key->kind == SPW_UNIT_FORWARD || (key->kind == SPW_UNIT_EVAL && !last)) {
            job->cuts[key->shard + 1].landing[i].state = SPW_NOT_MADE;
        }
        if (key->kind == SPW_UNIT_FORWARD) {
            job->kept[key->shard].landing[i].state = SPW_NOT_MADE;
        }
        if (key->kind == SPW_UNIT_BACKWARD && key->shard > 0) {
            job->gradients[key->shard].landing[i].state = SPW_NOT_MADE;
        }
    }
}

static void commit(struct spw_run *run, struct spw_place *place, const struct spw_candidate *choice)
{
    struct spw_job *job = run->jobs[choice->job];
    struct spw_unit *unit = free_unit(place);
    *unit = (struct spw_unit){
        .in_use = true,
        .job = job,
        .group = choice->group,
        .chosen_ns = spw_now_ns(run->world),
    };
    if (choice->kind == SPW_UNIT_REDUCE || choice->kind == SPW_UNIT_UPDATE) {
        unit->key = (struct spw_unit_key){.kind = choice->kind, .shard = choice->shard};
        job->block_issued++;
    } else {
        struct spw_chain *chain = &job->chains[choice->group];
        unit->key = spw_job_unit(job, choice->group, chain->issued);
        chain->issued++;
        chain->device = place->index;
        chain->ready_since = run->decisions; /* of the one behind it, as staged */
        forget_outputs(job, &unit->key);
    }
    unit->plan = plan_of(job, &unit->key);
    job->units_in_flight++;
    place->copy_ns += choice->copy_ns - place->copy_ns / 4;
    place->compute_ns += choice->compute_ns - place->compute_ns / 4;
    place->committed[place->committed_count++] = unit;
    if (run->config.policy == SPW_POLICY_REPLAY) {
        place->replay_at++;
    }
    const struct spw_decision decision = {
        .sequence = run->decisions++,
        .device = place->index,
        .job = choice->job,
        .group = choice->group,
        .kind = choice->kind,
        .shard = choice->shard,
        .step = choice->step,
        .first_micro_batch = choice->first_micro_batch,
        .micro_batches = choice->micro_batches,
    };
    if (run->config.events.decision != NULL) {
        run->config.events.decision(run->config.events.self, &decision);
    }
}

/* Collects what the place may take. */
static uint32_t collect(struct spw_run *run, const struct spw_place *place)
{
    uint32_t count = 0;
    for (uint64_t i = run->first_live; i < run->next_admission; i++) {
        const struct spw_job *job = run->jobs[i];
        if (job->state == SPW_JOB_RUNNING && !job->failing) {
            offer(run, &count, place, job);
        }
    }
    return count;
}

/* Staging far ahead must not take units that a device with less to do will ask for: of those that
 * any device may take, one for each other device is left. */
static bool takes_from_others(const struct spw_run *run, const struct spw_place *place,
                              uint32_t count)
{
    if (place->committed_count < 2) {
        return false;
    }
    uint32_t for_all = 0;
    for (uint32_t i = 0; i < count; i++) {
        for_all += !run->candidates[i].staged;
    }
    return for_all < run->device_count;
}

static bool choose_one(struct spw_run *run, struct spw_place *place)
{
    const uint32_t count = collect(run, place);
    const bool replay = run->config.policy == SPW_POLICY_REPLAY;
    const struct spw_view view = {
        .candidates = run->candidates,
        .count = count,
        .copy_ns = place->copy_ns,
        .compute_ns = place->compute_ns,
        .first_unfinished_job = (uint32_t)run->first_live,
        .sequence = run->decisions,
        .seed = run->config.policy_seed,
        .expected = replay ? expected_decision(run, place) : NULL,
    };
    const int32_t choice = count > 0 ? run->policy(&view) : -1;
    if (choice < 0) {
        return false;
    }
    SPW_ASSERT((uint32_t)choice < count);
    if (!replay && !run->candidates[choice].staged && takes_from_others(run, place, count)) {
        return false;
    }
    commit(run, place, &run->candidates[choice]);
    return true;
}

bool spw_executor_choose(struct spw_run *run)
{
    bool any = false;
    /* The host cores take one unit at a time: nothing is loaded ahead there. */
    struct spw_place *cores = &run->places[run->device_count];
    if (cores->committed_count == 0) {
        any = choose_one(run, cores);
    }
    /* Level by level, so that no device stages what another could begin. */
    for (uint32_t level = 0; level <= run->depth; level++) {
        for (uint32_t i = 0; i < run->device_count; i++) {
            struct spw_place *place = &run->places[i];
            if (place->committed_count == level) {
                any = choose_one(run, place) || any;
            }
        }
    }
    return any;
}
