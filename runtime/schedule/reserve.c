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

bool spw_unit_reserve(struct spw_run *run, struct spw_place *place, struct spw_unit *unit)
{
    struct spw_job *job = unit->job;
    if (!place->is_cores) {
        const bool alone = place->committed[0] == unit;
        unit->reservation = wanted(place, unit, true);
        enum spw_status status =
            spw_residency_reserve(&place->residency, &unit->reservation, alone, next_use, run);
        if (status != SPW_OK && alone && unit->key.kind == SPW_UNIT_UPDATE) {
            unit->reservation = wanted(place, unit, false);
            status =
                spw_residency_reserve(&place->residency, &unit->reservation, alone, next_use, run);
        }
        if (status != SPW_OK) {
            /* The plan proved that every unit fits an empty region. */
            SPW_ASSERT(!alone);
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
