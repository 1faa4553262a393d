/* finish.c — finished commands, and what a unit's end means for blocks, homes and its job. */
#include "runtime/schedule/issue.h"

#include "base/assert.h"
#include <stdio.h>
#include <string.h>

void spw_executor_note(struct spw_place *place, enum spw_queue queue, uint64_t ticket,
                       struct spw_command command)
{
    SPW_ASSERT(ticket == place->tickets[queue] + 1);
    place->tickets[queue] = ticket;
    place->ring[queue][ticket % COMMAND_RING] = command;
}

struct spw_block *spw_executor_total(const struct spw_job *job, int32_t weight_block)
{
    /* Folding begins with the last use in graph order and the first group (docs/numerics.md). */
    return spw_job_grads(job, weight_block, job->plan->weight_blocks[weight_block].uses - 1, 0);
}

/* ---- the end of a unit ---- */

static void drop_everywhere(struct spw_run *run, const struct spw_place *but,
                            struct spw_block *block)
{
    for (uint32_t i = 0; i < run->device_count; i++) {
        if (&run->places[i] != but) {
            spw_residency_drop(&run->places[i].residency, block);
            run->places[i].blocked = false;
        }
    }
}

static void drop_accumulators(struct spw_run *run, struct spw_job *job, int32_t weight_block)
{
    const int32_t uses = job->plan->weight_blocks[weight_block].uses;
    for (int32_t use = 0; use < uses; use++) {
        for (int64_t group = 0; group < job->config.grad_groups; group++) {
            drop_everywhere(run, NULL, spw_job_grads(job, weight_block, use, group));
        }
    }
}

static void return_spares(struct spw_unit *unit)
{
    struct spw_job *job = unit->job;
    const uint64_t bytes = job->plan->weight_blocks[unit->key.shard].bytes;
    spw_job_give_spare(job, unit->update_weights, bytes);
    for (uint32_t i = 0; i < job->plan->options.moments; i++) {
        spw_job_give_spare(job, unit->update_moments[i], bytes);
    }
}

static void finish_update(struct spw_run *run, struct spw_place *place, struct spw_unit *unit,
                          bool ok)
{
    struct spw_job *job = unit->job;
    struct spw_block *weights = job->weights[unit->key.shard];
    if (ok) {
        spw_job_commit_update(job, unit->key.shard, unit->update_weights, unit->update_moments);
        if (unit->weights_here) {
            weights->at[place->index].version = weights->version; /* updated in place */
        }
    } else {
        return_spares(unit);
    }
    drop_everywhere(run, ok && unit->weights_here ? place : NULL, weights);
    drop_accumulators(run, job, unit->key.shard);
}

/* Copies of an accumulator on other devices are older than what this unit made of it. Here it is
 * of no more use if UPDATE runs elsewhere, and never if it is half made. */
static void finish_backward(struct spw_run *run, struct spw_place *place, struct spw_block **blocks,
                            uint32_t count, const struct spw_unit_key *key, bool ok)
{
    for (uint32_t i = 0; i < count; i++) {
        if (blocks[i]->kind != SPW_BLOCK_GRADS) {
            continue;
        }
        drop_everywhere(run, place, blocks[i]);
        const bool wanted_here = run->update_place == SPW_UPDATE_ON_DEVICE || !key->last_of_group;
        if (!ok || !wanted_here) {
            spw_residency_drop(&place->residency, blocks[i]);
        }
    }
}

static void progress_job(struct spw_run *run, struct spw_unit *unit)
{
    struct spw_job *job = unit->job;
    if (unit->key.kind == SPW_UNIT_REDUCE || unit->key.kind == SPW_UNIT_UPDATE) {
        job->block_completed++;
    } else {
        job->chains[unit->group].completed++;
        job->chains[unit->group].ready_since = run->decisions;
    }
}

/* After the last work nobody reads the weights any more; accumulators are still on their way. */
static void release_weights(struct spw_run *run, struct spw_place *place, struct spw_unit *unit)
{
    if (place->is_cores) {
        return;
    }
    spw_residency_unpin_weights(&place->residency, &unit->reservation, run->config.no_residency);
    place->blocked = false;
}

static void uncommit(struct spw_place *place, const struct spw_unit *unit)
{
    for (uint32_t i = 0; i < place->committed_count; i++) {
        if (place->committed[i] == unit) {
            place->committed_count--;
            memmove(&place->committed[i], &place->committed[i + 1],
                    (place->committed_count - i) * sizeof place->committed[0]);
            return;
        }
    }
    SPW_NEVER("a unit that was not committed ended");
}

void spw_executor_retire(struct spw_run *run, struct spw_place *place, struct spw_unit *unit)
{
    SPW_ASSERT(unit->outstanding == 0);
    struct spw_job *job = unit->job;
    const bool ok = unit->all_issued && !unit->failed;
    if ((unit->reserved || unit->weights_reserved) && !place->is_cores) {
        struct spw_block *blocks[SPW_RESERVE_BLOCKS_MAX];
        const uint32_t count = unit->reservation.block_count;
        memcpy(blocks, unit->reservation.blocks, count * sizeof blocks[0]);
        spw_residency_unpin(&place->residency, &unit->reservation);
        if (unit->key.kind == SPW_UNIT_BACKWARD) {
            finish_backward(run, place, blocks, count, &unit->key, ok);
        }
        for (uint32_t i = 0; i < count; i++) {
            const struct spw_residence *copy = &blocks[i]->at[place->index];
            /* LOADING without a pin: abandoned before its load was enqueued. */
            const bool void_copy = copy->state == SPW_RESIDENCE_LOADING || run->config.no_residency;
            if (copy->pins == 0 && void_copy) {
                spw_residency_drop(&place->residency, blocks[i]);
            }
        }
    }
    if (unit->reserved && unit->key.kind == SPW_UNIT_UPDATE) {
        finish_update(run, place, unit, ok);
    }
    if (unit->key.kind == SPW_UNIT_REDUCE) {
        drop_accumulators(run, job, unit->key.shard);
    }
    if (ok) {
        progress_job(run, unit);
        place->stats.units++;
        place->stats.job_switches += place->last_job != NULL && place->last_job != job;
        place->last_job = job;
    }
    uncommit(place, unit);
    place->blocked = false;
    unit->in_use = false;
    job->units_in_flight--;
}

/* ---- failures ---- */

/* What a failed command was to do, for messages; `out` is the return value. */
static const char *describe_command(const struct spw_job *job, const struct spw_command *command,
                                    const struct spw_record *record, char out[160])
{
    const struct spw_graph *graph = job->config.graph;
    if (command->what == SPW_COMMAND_GATHER) {
        (void)snprintf(out, 160, "reading a batch");
    } else if (command->what != SPW_COMMAND_WORK) {
        const bool in = command->what == SPW_COMMAND_LOAD || command->what == SPW_COMMAND_IN;
        (void)snprintf(out, 160, "a copy %s", in ? "to the device" : "from the device");
    } else if (command->unit->key.kind == SPW_UNIT_UPDATE) {
        (void)snprintf(out, 160, "the update of weight block %d", command->unit->key.shard);
    } else if (command->unit->key.kind == SPW_UNIT_REDUCE) {
        (void)snprintf(out, 160, "adding up the gradients of weight block %d",
                       command->unit->key.shard);
    } else if (record->native >= 0 && record->native < graph->node_count) {
        const struct spw_node *node = &graph->nodes[record->native];
        (void)snprintf(out, 160, "op %.100s (%s)", node->name, spw_op_name(node->desc.op));
    } else {
        (void)snprintf(out, 160, "an op");
    }
    return out;
}

/* The first failure of a job is its reason; what a cancelled one does on its way out is nobody's.
 */
static void record_failure(struct spw_run *run, const struct spw_place *place, struct spw_job *job,
                           const struct spw_command *command, const struct spw_record *record)
{
    const unsigned long long step = (unsigned long long)job->now.step;
    char what[160];
    (void)describe_command(job, command, record, what);
    if (job->failing) {
        return;
    }
    if (record->status == SPW_ERR_NUMERIC) {
        (void)SPW_FAIL_NATIVE(&job->error, SPW_ERR_NUMERIC, record->native,
                              "trial %s, step %llu: the loss is not finite; the first output that "
                              "is not is that of %s; lower lr or set grad_clip",
                              job->id, step, what);
    } else {
        (void)SPW_FAIL_NATIVE(&job->error, record->status, record->native,
                              "trial %s, step %llu: %s failed on %s: %s", job->id, step, what,
                              place->device->name, spw_status_text(record->status));
    }
    spw_executor_stop(run, job, SPW_JOB_FAILED);
}

/* ---- statistics ---- */

/* The gap before a work is waiting for work while no unit was chosen, and waiting for copies after.
 */
static void count_work(struct spw_place *place, const struct spw_unit *unit,
                       const struct spw_record *record)
{
    const uint64_t idle_from = place->compute_end_ns;
    if (record->start_ns > idle_from) {
        uint64_t chosen = unit->chosen_ns > idle_from ? unit->chosen_ns : idle_from;
        chosen = chosen < record->start_ns ? chosen : record->start_ns;
        place->stats.waiting_work_ns += chosen - idle_from;
        place->stats.waiting_copy_ns += record->start_ns - chosen;
    }
    place->stats.compute_ns += record->end_ns - record->start_ns;
    place->compute_end_ns = record->end_ns;
    unit->job->busy_ns += record->end_ns - record->start_ns;
}

static void report_span(struct spw_run *run, const struct spw_place *place, enum spw_queue queue,
                        const struct spw_command *command, const struct spw_record *record)
{
    if (run->config.events.span == NULL || command->unit == NULL) {
        return;
    }
    const struct spw_unit *unit = command->unit;
    const bool packs = command->what == SPW_COMMAND_IN || command->what == SPW_COMMAND_WORK ||
                       command->what == SPW_COMMAND_OUT;
    const struct spw_span span = {
        .device = place->index,
        .queue = queue,
        .start_ns = record->start_ns,
        .end_ns = record->end_ns,
        .bytes = command->bytes,
        .job = unit->job->index,
        .group = unit->group,
        .kind = unit->key.kind,
        .shard = unit->key.shard,
        .step = unit->job->now.step,
        .micro_batch = packs ? unit->key.first_micro_batch + command->index : -1,
    };
    run->config.events.span(run->config.events.self, &span);
}

/* ---- commands ---- */

static void land_outputs(struct spw_unit *unit, int64_t index)
{
    struct spw_job *job = unit->job;
    const struct spw_unit_key *key = &unit->key;
    const int64_t micro_batch = key->first_micro_batch + index;
    const bool last = key->shard == job->plan->shard_count - 1;
    if (key->kind == SPW_UNIT_FORWARD || (key->kind == SPW_UNIT_EVAL && !last)) {
        job->cuts[key->shard + 1].landing[micro_batch].state = SPW_LANDED;
    }
    if (key->kind == SPW_UNIT_FORWARD) {
        job->kept[key->shard].landing[micro_batch].state = SPW_LANDED;
    }
    if (key->kind == SPW_UNIT_BACKWARD && key->shard > 0) {
        job->gradients[key->shard].landing[micro_batch].state = SPW_LANDED;
    }
}

static void finish_gather(struct spw_run *run, struct spw_place *place,
                          const struct spw_command *command, const struct spw_record *record)
{
    struct spw_job *job = command->job;
    job->gathers--;
    if (record->status == SPW_OK) {
        job->feeds[command->index].valid = true;
    } else {
        record_failure(run, place, job, command, record);
    }
    spw_executor_advance(run, job);
}

/* Is an older unit of this one's chain still here? */
static bool is_behind(const struct spw_place *place, const struct spw_unit *unit)
{
    for (uint32_t i = 0; place->committed[i] != unit; i++) {
        const struct spw_unit *older = place->committed[i];
        if (older->job == unit->job && older->group == unit->group) {
            return true;
        }
    }
    return false;
}

/* Ends units that have nothing under way any more. A short unit may be through before an older one
 * has written all its gradients; but the units of a chain end in order. */
static void retire_drained(struct spw_run *run, struct spw_place *place)
{
    for (uint32_t i = 0; i < place->committed_count;) {
        struct spw_unit *unit = place->committed[i];
        struct spw_job *job = unit->job;
        if (unit->outstanding > 0 || !(unit->all_issued || job->failing) ||
            is_behind(place, unit)) {
            i++;
            continue;
        }
        spw_executor_retire(run, place, unit);
        spw_executor_advance(run, job);
        i = 0; /* the job may have taken back others */
    }
}

static void finish_command(struct spw_run *run, struct spw_place *place, enum spw_queue queue,
                           const struct spw_record *record)
{
    const struct spw_command *command = &place->ring[queue][record->ticket % COMMAND_RING];
    place->ended[queue] = record->ticket;
    if (command->what == SPW_COMMAND_GATHER) {
        finish_gather(run, place, command, record);
        return;
    }
    struct spw_unit *unit = command->unit;
    SPW_ASSERT(unit->outstanding > 0);
    unit->outstanding--;
    report_span(run, place, queue, command, record);
    if (record->status != SPW_OK) {
        unit->failed = true;
        record_failure(run, place, unit->job, command, record);
    }
    switch (command->what) {
    case SPW_COMMAND_LOAD:
        if (!unit->reserved && unit->outstanding == 0) {
            place->blocked = false; /* its weights can be given back now: see return_weights */
        }
        if (command->block != NULL &&
            command->block->at[place->index].state == SPW_RESIDENCE_LOADING) {
            spw_residency_mark(&place->residency, command->block, SPW_RESIDENCE_CLEAN);
        }
        break;
    case SPW_COMMAND_WORK:
        count_work(place, unit, record);
        if (command->index + 1 == unit->count && !spw_unit_streams_pieces(unit)) {
            release_weights(run, place, unit);
        }
        break;
    case SPW_COMMAND_OUT:
        land_outputs(unit, command->index);
        break;
    case SPW_COMMAND_FINAL:
        if (command->block != NULL) {
            spw_residency_mark(&place->residency, command->block, SPW_RESIDENCE_CLEAN);
        }
        break;
    case SPW_COMMAND_IN:
    case SPW_COMMAND_GATHER:
        break;
    }
    if (queue == SPW_QUEUE_IN) {
        place->stats.bytes_in += command->bytes;
    } else if (queue == SPW_QUEUE_OUT) {
        place->stats.bytes_out += command->bytes;
    }
    retire_drained(run, place);
}

bool spw_executor_poll(struct spw_run *run)
{
    bool any = false;
    for (uint32_t i = 0; i <= run->device_count; i++) {
        struct spw_place *place = &run->places[i];
        for (int queue = 0; queue < SPW_QUEUE_COUNT; queue++) {
            struct spw_record record;
            while (place->device->backend->poll(place->device, (enum spw_queue)queue, &record)) {
                finish_command(run, place, (enum spw_queue)queue, &record);
                any = true;
            }
        }
    }
    return any;
}
