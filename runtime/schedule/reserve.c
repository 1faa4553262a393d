/* reserve.c — what a unit needs on its device, taken all at once or not at all, and where its
 * bindings then lie. */
#include "runtime/schedule/issue.h"

#include "base/assert.h"
#include "base/checked.h"

static uint64_t next_use(void *context, const struct spw_block *block)
{
    const struct spw_run *run = context;
    const uint64_t own = spw_job_units_until(block->job, block);
    if (own == UINT64_MAX) {
        return own;
    }
    /* Between two units of a job, each of the other jobs gets its turn on one of the devices. */
    const uint64_t turns = run->running_jobs > run->device_count ? run->running_jobs
                                                                 : run->device_count;
    return own * turns / run->device_count;
}

static void want_block(struct spw_reservation *reservation, struct spw_block *block)
{
    for (uint32_t i = 0; i < reservation->block_count; i++) {
        if (reservation->blocks[i] == block) {
            return;
        }
    }
    SPW_ASSERT(reservation->block_count < SPW_RESERVE_BLOCKS_MAX);
    reservation->blocks[reservation->block_count++] = block;
}

struct spw_block *spw_unit_block(const struct spw_unit *unit, const struct spw_binding *binding)
{
    if (binding->kind == SPW_BIND_WEIGHTS) {
        return unit->job->weights[binding->index];
    }
    if (binding->kind == SPW_BIND_GRADS) {
        return spw_job_grads(unit->job, binding->index, binding->use, unit->group);
    }
    return NULL;
}

/* What the unit reserves. UPDATE and REDUCE stream through their slots; they pin what happens to be
 * resident, if `with_blocks`. */
static struct spw_reservation wanted(const struct spw_place *place, const struct spw_unit *unit,
                                     bool with_blocks)
{
    const struct spw_unit_plan *plan = unit->plan;
    struct spw_reservation want = {
        .work_bytes = plan->slots * plan->slot_bytes + plan->norm_bytes + plan->scratch_bytes,
    };
    if (unit->key.kind == SPW_UNIT_UPDATE && with_blocks) {
        struct spw_block *blocks[] = {unit->job->weights[unit->key.shard],
                                      spw_executor_total(unit->job, unit->key.shard)};
        for (int i = 0; i < 2; i++) {
            if (spw_residency_bytes(&place->residency, blocks[i]) > 0) {
                want_block(&want, blocks[i]);
            }
        }
    }
    for (int32_t i = 0; i < plan->program.binding_count; i++) {
        struct spw_block *block = spw_unit_block(unit, &plan->program.bindings[i]);
        if (block != NULL) {
            want_block(&want, block);
        }
    }
    return want;
}

/* The work range holds the slots, then the partial sums, then scratch. */
static void bind(const struct spw_place *place, struct spw_unit *unit)
{
    const struct spw_unit_plan *plan = unit->plan;
    const uint64_t base = unit->reservation.work.offset_bytes;
    uint64_t in_slot = base;
    uint64_t behind = base + plan->slots * plan->slot_bytes;
    SPW_ASSERT(plan->program.binding_count <= SPW_BINDINGS_MAX);
    for (int32_t i = 0; i < plan->program.binding_count; i++) {
        const struct spw_binding *binding = &plan->program.bindings[i];
        const struct spw_block *block = spw_unit_block(unit, binding);
        const uint64_t bytes = spw_round_up(binding->bytes, SPW_DEVICE_ALIGNMENT);
        if (block != NULL) {
            unit->binding_offset[i] = spw_block_offset(place, block);
        } else if (spw_binding_in_slot(binding->kind)) {
            unit->binding_offset[i] = in_slot;
            in_slot += bytes;
        } else {
            unit->binding_offset[i] = behind;
            behind += bytes;
        }
    }
    SPW_ASSERT(in_slot - base <= plan->slot_bytes);
    SPW_ASSERT(behind - base <=
               plan->slots * plan->slot_bytes + plan->norm_bytes + plan->scratch_bytes);
}

static uint64_t count_of(const struct spw_place *place, const struct spw_unit *unit)
{
    if (!spw_unit_streams_pieces(unit)) {
        return (uint64_t)unit->key.micro_batches;
    }
    return place->is_cores ? 1 : unit->plan->piece_count; /* the cores take a block whole */
}

/* Weights come before what else a program binds. */
static uint32_t weights_first(struct spw_reservation *want)
{
    uint32_t weights = 0;
    for (uint32_t i = 0; i < want->block_count; i++) {
        struct spw_block *block = want->blocks[i];
        if (block->kind == SPW_BLOCK_WEIGHTS) {
            want->blocks[i] = want->blocks[weights];
            want->blocks[weights++] = block;
        }
    }
    return weights;
}

static bool take(struct spw_run *run, struct spw_place *place, struct spw_reservation *want,
                 bool alone)
{
    return spw_residency_reserve(&place->residency, want, alone, next_use, run) == SPW_OK;
}

/* The weights of a unit that must wait for the rest of its memory: accumulators before it are still
 * on their way home, but the weights before it are not needed any more. */
static void take_weights(struct spw_run *run, struct spw_place *place, struct spw_unit *unit,
                         const struct spw_reservation *want, uint32_t weights)
{
    struct spw_reservation only = *want;
    only.block_count = weights;
    only.work_bytes = 0;
    if (weights > 0 && take(run, place, &only, false)) {
        unit->reservation = only;
        unit->weights_reserved = true;
    }
}

/* The rest, for a unit that has its weights. */
static bool take_rest(struct spw_run *run, struct spw_place *place, struct spw_unit *unit,
                      const struct spw_reservation *want, uint32_t weights)
{
    struct spw_reservation *have = &unit->reservation;
    struct spw_reservation rest = {.work_bytes = want->work_bytes};
    for (uint32_t i = weights; i < want->block_count; i++) {
        rest.blocks[rest.block_count++] = want->blocks[i];
    }
    if (!take(run, place, &rest, false)) {
        return false;
    }
    for (uint32_t i = 0; i < rest.block_count; i++) {
        have->blocks[have->block_count] = rest.blocks[i];
        have->is_new[have->block_count++] = rest.is_new[i];
    }
    have->work_bytes = rest.work_bytes;
    have->work = rest.work;
    return true;
}

/* Gives the weights back, as they lie where they are in the way of the rest. Nothing is under way,
 * so those that are half loaded can go. */
static void return_weights(struct spw_place *place, struct spw_unit *unit)
{
    struct spw_reservation weights = unit->reservation;
    spw_residency_unpin(&place->residency, &unit->reservation);
    for (uint32_t i = 0; i < weights.block_count; i++) {
        if (weights.blocks[i]->at[place->index].state == SPW_RESIDENCE_LOADING) {
            spw_residency_drop(&place->residency, weights.blocks[i]);
        }
    }
    unit->weights_reserved = false;
    unit->loads_issued = 0;
    unit->load_bytes = 0;
}

/* All that the unit wants, or its weights for a start if others still hold the rest. */
static bool reserve(struct spw_run *run, struct spw_place *place, struct spw_unit *unit)
{
    const bool alone = place->committed[0] == unit;
    const bool update = unit->key.kind == SPW_UNIT_UPDATE;
    struct spw_reservation want = wanted(place, unit, true);
    const uint32_t weights = weights_first(&want);
    if (unit->weights_reserved) {
        if (take_rest(run, place, unit, &want, weights)) {
            return true;
        }
        if (!alone || unit->outstanding > 0) {
            return false; /* others hold it, or fragments are in the way and loads under way */
        }
        return_weights(place, unit);
    }
    bool done = take(run, place, &want, alone);
    if (!done && alone && update) {
        want = wanted(place, unit, false);
        done = take(run, place, &want, alone);
    }
    if (done) {
        unit->reservation = want;
        return true;
    }
    SPW_ASSERT(!alone); /* the plan proved that every unit fits an empty region */
    if (!spw_unit_streams_pieces(unit)) {
        take_weights(run, place, unit, &want, weights);
    }
    return false;
}

bool spw_unit_reserve(struct spw_run *run, struct spw_place *place, struct spw_unit *unit)
{
    struct spw_job *job = unit->job;
    if (!place->is_cores) {
        if (!reserve(run, place, unit)) {
            return false;
        }
        unit->slots = unit->plan->slots < SPW_SLOTS_MAX ? unit->plan->slots : SPW_SLOTS_MAX;
        unit->slot_bytes = unit->plan->slot_bytes;
        bind(place, unit);
    } else {
        unit->slots = 1;
    }
    unit->count = (int64_t)count_of(place, unit);
    if (unit->key.kind == SPW_UNIT_UPDATE) {
        const uint64_t bytes = job->plan->weight_blocks[unit->key.shard].bytes;
        unit->update_weights = spw_job_take_spare(job, bytes);
        for (uint32_t i = 0; i < job->plan->options.moments; i++) {
            unit->update_moments[i] = spw_job_take_spare(job, bytes);
        }
        for (uint32_t i = 0; i < unit->reservation.block_count; i++) {
            const bool weights = unit->reservation.blocks[i]->kind == SPW_BLOCK_WEIGHTS;
            unit->weights_here = unit->weights_here || weights;
            unit->grads_here = unit->grads_here || !weights;
        }
    }
    unit->reserved = true;
    return true;
}
