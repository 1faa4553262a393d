/* transfers.c — which bytes of a unit go where: packs of a micro-batch, pieces of a weight block.
 */
#include "runtime/schedule/issue.h"

#include "base/assert.h"

void spw_copy_list_add(struct spw_copy_list *list, enum spw_traffic_kind kind, void *home,
                       uint64_t region_offset, uint64_t bytes)
{
    SPW_ASSERT(list->count < SPW_COPIES_MAX);
    list->copies[list->count++] =
        (struct spw_copy){.home = home, .region_offset = region_offset, .bytes = bytes};
    list->bytes += bytes;
    list->kind_bytes[kind] += bytes;
}

/* True if the pack is home or on its way there through this device. */
static bool is_coming(const struct spw_place *place, const struct spw_landing *landing,
                      struct spw_copy_list *list)
{
    if (landing->state == SPW_LANDED) {
        return true;
    }
    if (landing->state == SPW_NOT_MADE || landing->device != place->index) {
        return false;
    }
    list->out_ticket = landing->ticket > list->out_ticket ? landing->ticket : list->out_ticket;
    return true;
}

static void *micro_home(void *home, uint64_t stride_bytes, int64_t micro_batch)
{
    return (char *)home + stride_bytes * (uint64_t)micro_batch;
}

/* The pack behind an input or output binding; NULL for feeds, which need no landing. */
static struct spw_pack_home *pack_of(struct spw_job *job, const struct spw_unit_key *key,
                                     enum spw_binding_kind kind)
{
    switch (kind) {
    case SPW_BIND_IN:
        return key->shard > 0 ? &job->cuts[key->shard] : NULL;
    case SPW_BIND_OUT:
        return &job->cuts[key->shard + 1];
    case SPW_BIND_KEPT:
        return &job->kept[key->shard];
    case SPW_BIND_GRAD_IN:
        return &job->gradients[key->shard + 1];
    case SPW_BIND_GRAD_OUT:
        return &job->gradients[key->shard];
    case SPW_BIND_LOSS:
        return &job->losses;
    case SPW_BIND_TARGETS:
    case SPW_BIND_WEIGHTS:
    case SPW_BIND_GRADS:
    case SPW_BIND_NORM:
    case SPW_BIND_SCRATCH:
        return NULL;
    }
    SPW_NEVER("a binding of no kind");
}

static bool is_output(const struct spw_unit_key *key, enum spw_binding_kind kind)
{
    return kind == SPW_BIND_OUT || kind == SPW_BIND_GRAD_OUT || kind == SPW_BIND_LOSS ||
           (kind == SPW_BIND_KEPT && key->kind == SPW_UNIT_FORWARD);
}

/* Copies of micro-batch `index`: its inputs, or its outputs. False if an input is made elsewhere
 * and has not landed. */
static bool list_packs(const struct spw_place *place, struct spw_unit *unit, int64_t index,
                       bool outputs, struct spw_copy_list *list)
{
    struct spw_job *job = unit->job;
    const int64_t micro_batch = unit->key.first_micro_batch + index;
    const uint64_t slot = spw_unit_slot(unit, index);
    const struct spw_feed *feed = &job->feeds[job->round % 2];
    const struct spw_program *program = &unit->plan->program;
    for (int32_t i = 0; i < program->binding_count; i++) {
        const struct spw_binding *binding = &program->bindings[i];
        if (!spw_binding_in_slot(binding->kind) ||
            is_output(&unit->key, binding->kind) != outputs) {
            continue;
        }
        struct spw_pack_home *pack = pack_of(job, &unit->key, binding->kind);
        void *home;
        if (pack != NULL) {
            home = micro_home(pack->home, pack->stride_bytes, micro_batch);
        } else if (binding->kind == SPW_BIND_TARGETS) {
            home = micro_home(feed->targets, job->targets_stride_bytes, micro_batch);
        } else {
            home = micro_home(feed->x, job->x_stride_bytes, micro_batch);
        }
        if (!outputs && pack != NULL && !is_coming(place, &pack->landing[micro_batch], list)) {
            return false;
        }
        spw_copy_list_add(list, SPW_TRAFFIC_PACKS, home, unit->binding_offset[i] + slot,
                          binding->bytes);
    }
    return true;
}

static void *piece_home(void *home, const struct spw_piece *piece)
{
    return (char *)home + piece->offset_bytes;
}

static void list_update_piece(const struct spw_unit *unit, int64_t index,
                              const struct spw_piece *piece, bool outputs,
                              struct spw_copy_list *list, const struct spw_place *place)
{
    struct spw_job *job = unit->job;
    const int32_t b = unit->key.shard;
    struct spw_block *weights = job->weights[b];
    const uint64_t here = unit->weights_here
                              ? spw_block_offset(place, weights) + piece->offset_bytes
                              : spw_unit_piece_array(unit, index, 0);
    if (outputs) {
        spw_copy_list_add(list, SPW_TRAFFIC_WEIGHTS, piece_home(unit->update_weights, piece), here,
                          piece->bytes);
    } else {
        struct spw_block *grads = spw_executor_total(job, b);
        if (!unit->weights_here) {
            spw_copy_list_add(list, SPW_TRAFFIC_WEIGHTS, piece_home(weights->home, piece), here,
                              piece->bytes);
        }
        if (!unit->grads_here) {
            spw_copy_list_add(list, SPW_TRAFFIC_GRADS, piece_home(grads->home, piece),
                              spw_unit_piece_array(unit, index, 1), piece->bytes);
        }
    }
    for (uint32_t i = 0; i < job->plan->options.moments; i++) {
        void *home = outputs ? unit->update_moments[i] : job->moments[2 * b + (int32_t)i];
        spw_copy_list_add(list, SPW_TRAFFIC_MOMENTS, piece_home(home, piece),
                          spw_unit_piece_array(unit, index, 2 + i), piece->bytes);
    }
}

static void list_reduce_piece(const struct spw_unit *unit, int64_t index,
                              const struct spw_piece *piece, bool outputs,
                              struct spw_copy_list *list)
{
    const uint32_t count = spw_unit_accumulator_count(unit);
    for (uint32_t i = 0; i < (outputs ? 1 : count); i++) {
        spw_copy_list_add(list, SPW_TRAFFIC_GRADS,
                          piece_home(spw_unit_accumulator(unit, i)->home, piece),
                          spw_unit_piece_array(unit, index, i), piece->bytes);
    }
    if (outputs) {
        char *norms = unit->job->norms[unit->key.shard];
        spw_copy_list_add(list, SPW_TRAFFIC_GRADS, norms + piece->norm_first * sizeof(double),
                          spw_unit_piece_array(unit, index, count),
                          piece->norm_count * sizeof(double));
    }
}

bool spw_unit_transfers(const struct spw_place *place, struct spw_unit *unit, int64_t index,
                        bool outputs, struct spw_copy_list *list)
{
    if (!spw_unit_streams_pieces(unit)) {
        return list_packs(place, unit, index, outputs, list);
    }
    const struct spw_piece piece = unit->plan->pieces[index];
    if (unit->key.kind == SPW_UNIT_UPDATE) {
        list_update_piece(unit, index, &piece, outputs, list, place);
    } else {
        list_reduce_piece(unit, index, &piece, outputs, list);
    }
    return true;
}

/* Marks the outputs of a micro-batch as on their way home. */
void spw_unit_launch_outputs(const struct spw_place *place, struct spw_unit *unit, int64_t index,
                             uint64_t ticket)
{
    const int64_t micro_batch = unit->key.first_micro_batch + index;
    const struct spw_program *program = &unit->plan->program;
    for (int32_t i = 0; i < program->binding_count; i++) {
        const enum spw_binding_kind kind = program->bindings[i].kind;
        if (!spw_binding_in_slot(kind) || !is_output(&unit->key, kind)) {
            continue;
        }
        const struct spw_pack_home *pack = pack_of(unit->job, &unit->key, kind);
        if (pack->landing != NULL) {
            pack->landing[micro_batch] = (struct spw_landing){SPW_IN_FLIGHT, place->index, ticket};
        }
    }
}
