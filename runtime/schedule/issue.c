/* issue.c — reserves a unit's memory and turns it into commands: loads of its blocks, then for each
 * micro-batch (or piece of an UPDATE) copy in, work, copy out, all ordered by waits, so that a device
 * never waits for the executor between them. Stops where a queue is full or an input is still being
 * made elsewhere, and goes on at the next call. */
#include "runtime/schedule/executor.h"

#include "base/assert.h"
#include "base/checked.h"

/* ---- reservation ---- */

static uint64_t next_use(void *context, const struct spw_block *block)
{
    const struct spw_run *run = context;
    const uint64_t own = spw_job_units_until(block->job, block);
    if (own == UINT64_MAX) {
        return own;
    }
    /* Between two units of a job, each of the other jobs gets its turn on one of the devices. */
    const uint64_t turns = run->running_jobs > run->device_count ? run->running_jobs : run->device_count;
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

static struct spw_block *block_of(const struct spw_unit *unit, const struct spw_binding *binding)
{
    if (binding->kind == SPW_BIND_WEIGHTS) {
        return unit->job->weights[binding->index];
    }
    if (binding->kind == SPW_BIND_GRADS) {
        return spw_job_grads(unit->job, binding->index, binding->use, unit->group);
    }
    return NULL;
}

static bool streams_pieces(const struct spw_unit *unit)
{
    return unit->key.kind == SPW_UNIT_REDUCE || unit->key.kind == SPW_UNIT_UPDATE;
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
        struct spw_block *block = block_of(unit, &plan->program.bindings[i]);
        if (block != NULL) {
            want_block(&want, block);
        }
    }
    return want;
}

static uint64_t block_offset(const struct spw_place *place, const struct spw_block *block)
{
    return block->at[place->index].extent.offset_bytes;
}

static bool lies_in_slot(enum spw_binding_kind kind)
{
    return kind != SPW_BIND_WEIGHTS && kind != SPW_BIND_GRADS && kind != SPW_BIND_NORM &&
           kind != SPW_BIND_SCRATCH;
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
        const struct spw_block *block = block_of(unit, binding);
        const uint64_t bytes = spw_round_up(binding->bytes, SPW_DEVICE_ALIGNMENT);
        if (block != NULL) {
            unit->binding_offset[i] = block_offset(place, block);
        } else if (lies_in_slot(binding->kind)) {
            unit->binding_offset[i] = in_slot;
            in_slot += bytes;
        } else {
            unit->binding_offset[i] = behind;
            behind += bytes;
        }
    }
    SPW_ASSERT(in_slot - base <= plan->slot_bytes);
    SPW_ASSERT(behind - base <= plan->slots * plan->slot_bytes + plan->norm_bytes + plan->scratch_bytes);
}

static uint64_t count_of(const struct spw_place *place, const struct spw_unit *unit)
{
    if (!streams_pieces(unit)) {
        return (uint64_t)unit->key.micro_batches;
    }
    return place->is_cores ? 1 : unit->plan->piece_count; /* the cores take a block whole */
}

static bool reserve(struct spw_run *run, struct spw_place *place, struct spw_unit *unit)
{
    struct spw_job *job = unit->job;
    if (!place->is_cores) {
        const bool alone = place->committed[0] == unit;
        unit->reservation = wanted(place, unit, true);
        enum spw_status status = spw_residency_reserve(&place->residency, &unit->reservation, alone,
                                                       next_use, run);
        if (status != SPW_OK && alone && unit->key.kind == SPW_UNIT_UPDATE) {
            unit->reservation = wanted(place, unit, false);
            status = spw_residency_reserve(&place->residency, &unit->reservation, alone, next_use, run);
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

/* ---- commands ---- */

struct copy_list {
    struct spw_copy copies[SPW_COPIES_MAX];
    uint32_t count;
    uint64_t bytes;
    uint64_t out_ticket; /* of this device's OUT queue: the inputs' way home; 0: landed long ago */
    uint64_t kind_bytes[4];
};

static void list_copy(struct copy_list *list, enum spw_traffic_kind kind, void *home,
                      uint64_t region_offset, uint64_t bytes)
{
    SPW_ASSERT(list->count < SPW_COPIES_MAX);
    list->copies[list->count++] =
        (struct spw_copy){.home = home, .region_offset = region_offset, .bytes = bytes};
    list->bytes += bytes;
    list->kind_bytes[kind] += bytes;
}

/* Enqueues one copy command. False if the queue is full. */
static bool send_copies(struct spw_place *place, struct spw_unit *unit, enum spw_queue queue,
                        const struct copy_list *list, const struct spw_wait *waits,
                        uint32_t wait_count, struct spw_command command, uint64_t *ticket)
{
    const enum spw_status status = place->device->backend->copy(
        place->device, queue, list->copies, list->count, waits, wait_count, ticket);
    if (status != SPW_OK) {
        return false;
    }
    uint64_t *by_kind = queue == SPW_QUEUE_IN ? place->stats.bytes_in_kind
                                              : place->stats.bytes_out_kind;
    for (int kind = 0; kind < 4; kind++) {
        by_kind[kind] += list->kind_bytes[kind];
    }
    command.unit = unit;
    command.bytes = list->bytes;
    unit->outstanding++;
    spw_executor_note(place, queue, *ticket, command);
    return true;
}

static enum spw_traffic_kind traffic_of(const struct spw_block *block)
{
    return block->kind == SPW_BLOCK_WEIGHTS ? SPW_TRAFFIC_WEIGHTS : SPW_TRAFFIC_GRADS;
}

/* Loads blocks that are new here; accumulators that start afresh need no load. */
static bool issue_loads(struct spw_place *place, struct spw_unit *unit)
{
    for (; unit->loads_issued < unit->reservation.block_count; unit->loads_issued++) {
        struct spw_block *block = unit->reservation.blocks[unit->loads_issued];
        const bool is_new = unit->reservation.is_new[unit->loads_issued];
        const bool grads = block->kind == SPW_BLOCK_GRADS && unit->key.kind == SPW_UNIT_BACKWARD;
        if (is_new && !(grads && unit->key.first_of_group)) {
            struct copy_list list = {0};
            uint64_t ticket;
            list_copy(&list, traffic_of(block), block->home, block_offset(place, block), block->bytes);
            if (!send_copies(place, unit, SPW_QUEUE_IN, &list, NULL, 0,
                             (struct spw_command){.what = SPW_COMMAND_LOAD, .block = block}, &ticket)) {
                return false;
            }
            unit->in_ticket = ticket;
        }
        if (grads) {
            spw_residency_mark(&place->residency, block, SPW_RESIDENCE_DIRTY);
        }
    }
    return true;
}

/* True if the pack is home or on its way there through this device. */
static bool is_coming(const struct spw_place *place, const struct spw_landing *landing,
                      struct copy_list *list)
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
        return &job->gradients[(key->shard + 1) % 2];
    case SPW_BIND_GRAD_OUT:
        return &job->gradients[key->shard % 2];
    case SPW_BIND_LOSS:
        return &job->losses;
    default:
        return NULL;
    }
}

static bool is_output(const struct spw_unit_key *key, enum spw_binding_kind kind)
{
    return kind == SPW_BIND_OUT || kind == SPW_BIND_GRAD_OUT || kind == SPW_BIND_LOSS ||
           (kind == SPW_BIND_KEPT && key->kind == SPW_UNIT_FORWARD);
}

/* Copies of micro-batch `index`: its inputs, or its outputs. False if an input is made elsewhere and
 * has not landed. */
static bool list_packs(const struct spw_place *place, struct spw_unit *unit, int64_t index,
                       bool outputs, struct copy_list *list)
{
    struct spw_job *job = unit->job;
    const int64_t micro_batch = unit->key.first_micro_batch + index;
    const uint64_t slot = (uint64_t)index % unit->slots * unit->slot_bytes;
    const struct spw_feed *feed = &job->feeds[job->round % 2];
    const struct spw_program *program = &unit->plan->program;
    for (int32_t i = 0; i < program->binding_count; i++) {
        const struct spw_binding *binding = &program->bindings[i];
        if (!lies_in_slot(binding->kind) || is_output(&unit->key, binding->kind) != outputs) {
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
        list_copy(list, SPW_TRAFFIC_PACKS, home, unit->binding_offset[i] + slot, binding->bytes);
    }
    return true;
}

/* Marks the outputs of a micro-batch as on their way home. */
static void launch_outputs(const struct spw_place *place, struct spw_unit *unit, int64_t index,
                           uint64_t ticket)
{
    const int64_t micro_batch = unit->key.first_micro_batch + index;
    const struct spw_program *program = &unit->plan->program;
    for (int32_t i = 0; i < program->binding_count; i++) {
        const enum spw_binding_kind kind = program->bindings[i].kind;
        if (lies_in_slot(kind) && is_output(&unit->key, kind)) {
            pack_of(unit->job, &unit->key, kind)->landing[micro_batch] =
                (struct spw_landing){SPW_IN_FLIGHT, place->index, ticket};
        }
    }
}

/* Arrays of an UPDATE piece lie side by side in its slot: weights, gradients, moments. REDUCE: the
 * accumulators, then the partial sums. */
static uint64_t piece_array(const struct spw_unit *unit, int64_t index, uint32_t array)
{
    const uint64_t slot = (uint64_t)index % unit->slots * unit->slot_bytes;
    return unit->reservation.work.offset_bytes + slot + array * unit->plan->piece_bytes;
}

static void *piece_home(void *home, const struct spw_piece *piece)
{
    return (char *)home + piece->offset_bytes;
}

static void list_update_piece(const struct spw_unit *unit, int64_t index,
                              const struct spw_piece *piece, bool outputs, struct copy_list *list,
                              const struct spw_place *place)
{
    struct spw_job *job = unit->job;
    const int32_t b = unit->key.shard;
    struct spw_block *weights = job->weights[b];
    const uint64_t here = unit->weights_here ? block_offset(place, weights) + piece->offset_bytes
                                             : piece_array(unit, index, 0);
    if (outputs) {
        list_copy(list, SPW_TRAFFIC_WEIGHTS, piece_home(unit->update_weights, piece), here, piece->bytes);
    } else {
        struct spw_block *grads = spw_executor_total(job, b);
        if (!unit->weights_here) {
            list_copy(list, SPW_TRAFFIC_WEIGHTS, piece_home(weights->home, piece), here, piece->bytes);
        }
        if (!unit->grads_here) {
            list_copy(list, SPW_TRAFFIC_GRADS, piece_home(grads->home, piece),
                      piece_array(unit, index, 1), piece->bytes);
        }
    }
    for (uint32_t i = 0; i < job->plan->options.moments; i++) {
        void *home = outputs ? unit->update_moments[i] : job->moments[2 * b + (int32_t)i];
        list_copy(list, SPW_TRAFFIC_MOMENTS, piece_home(home, piece), piece_array(unit, index, 2 + i),
                  piece->bytes);
    }
}

/* Accumulators in the order of folding: uses in reverse graph order, then groups. */
static struct spw_block *accumulator(const struct spw_unit *unit, uint32_t i)
{
    const struct spw_job *job = unit->job;
    const uint32_t groups = (uint32_t)job->config.grad_groups;
    const int32_t uses = job->plan->weight_blocks[unit->key.shard].uses;
    return spw_job_grads(job, unit->key.shard, uses - 1 - (int32_t)(i / groups), i % groups);
}

static uint32_t accumulator_count(const struct spw_unit *unit)
{
    return (uint32_t)(unit->job->plan->weight_blocks[unit->key.shard].uses *
                      unit->job->config.grad_groups);
}

static void list_reduce_piece(const struct spw_unit *unit, int64_t index,
                              const struct spw_piece *piece, bool outputs, struct copy_list *list)
{
    const uint32_t count = accumulator_count(unit);
    for (uint32_t i = 0; i < (outputs ? 1 : count); i++) {
        list_copy(list, SPW_TRAFFIC_GRADS, piece_home(accumulator(unit, i)->home, piece),
                  piece_array(unit, index, i), piece->bytes);
    }
    if (outputs) {
        char *norms = unit->job->norms[unit->key.shard];
        list_copy(list, SPW_TRAFFIC_GRADS, norms + piece->norm_first * sizeof(double),
                  piece_array(unit, index, count), piece->norm_count * sizeof(double));
    }
}

static bool list_inputs(const struct spw_place *place, struct spw_unit *unit, int64_t index,
                        bool outputs, struct copy_list *list)
{
    if (!streams_pieces(unit)) {
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

/* ---- works ---- */

static struct spw_work program_work(const struct spw_unit *unit, int64_t index)
{
    const struct spw_job *job = unit->job;
    const struct spw_program *program = &unit->plan->program;
    const int64_t micro_batch = unit->key.first_micro_batch + index;
    const int64_t size = job->config.micro_batch;
    const int64_t first_item = micro_batch * size;
    const int64_t left = job->items - first_item;
    const bool train = job->phase != SPW_PHASE_EVAL;
    const bool last = index + 1 == unit->count;
    const double rows = (double)job->items * (double)job->config.graph->targets_per_item;
    struct spw_work work = {
        .kind = SPW_WORK_PROGRAM,
        .model_ns = program->time_ns,
        .program =
            {
                .program = program,
                .items = left < size ? left : size,
                .step = job->now.step,
                .item_offset = (uint64_t)first_item,
                .loss_scale = (float)(1.0 / rows),
                .training = train,
                .accumulate_dw = !(unit->key.first_of_group && index == 0),
                .epilogue = unit->key.last_of_group && last,
                .check = job->phase == SPW_PHASE_DIAGNOSE,
            },
    };
    const uint64_t slot = (uint64_t)index % unit->slots * unit->slot_bytes;
    for (int32_t i = 0; i < program->binding_count; i++) {
        const bool moves = lies_in_slot(program->bindings[i].kind);
        work.program.binding_offset[i] = unit->binding_offset[i] + (moves ? slot : 0);
    }
    return work;
}

static struct spw_work update_work(const struct spw_place *place, const struct spw_unit *unit,
                                   int64_t index, const struct spw_piece *piece)
{
    const struct spw_job *job = unit->job;
    const int32_t b = unit->key.shard;
    struct spw_work work = {
        .kind = SPW_WORK_UPDATE,
        .model_ns = piece->bytes / sizeof(float),
        .update =
            {
                .scalars = {job->scalars[0], job->scalars[1]},
                .block = &job->plan->weight_blocks[b],
                .param_decays = job->param_decays,
                .piece = *piece,
            },
    };
    const uint32_t moments = job->plan->options.moments;
    if (place->is_cores) {
        const struct spw_home *home = job->home;
        work.update.weights = spw_home_offset(home, job->weights[b]->home);
        work.update.grads = spw_home_offset(home, spw_executor_total(job, b)->home);
        work.update.weights_out = spw_home_offset(home, unit->update_weights);
        for (uint32_t i = 0; i < moments; i++) {
            work.update.moments[i] = spw_home_offset(home, job->moments[2 * b + (int32_t)i]);
            work.update.moments_out[i] = spw_home_offset(home, unit->update_moments[i]);
        }
        return work;
    }
    work.update.weights = unit->weights_here
                              ? block_offset(place, job->weights[b]) + piece->offset_bytes
                              : piece_array(unit, index, 0);
    work.update.grads = unit->grads_here
                            ? block_offset(place, spw_executor_total(job, b)) + piece->offset_bytes
                            : piece_array(unit, index, 1);
    work.update.weights_out = work.update.weights;
    for (uint32_t i = 0; i < moments; i++) {
        work.update.moments[i] = piece_array(unit, index, 2 + i);
        work.update.moments_out[i] = work.update.moments[i];
    }
    return work;
}

static struct spw_work reduce_work(const struct spw_place *place, const struct spw_unit *unit,
                                   int64_t index, const struct spw_piece *piece)
{
    struct spw_job *job = unit->job;
    const int32_t b = unit->key.shard;
    const uint32_t count = accumulator_count(unit);
    /* A short batch may leave the last groups without micro-batches; their accumulators are stale. */
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct spw_block *block = accumulator(unit, i);
        if (job->chains[block->group].micro_batches > 0) {
            job->reduce_offsets[(uint64_t)index % unit->slots * count + used++] =
                place->is_cores ? spw_home_offset(job->home, block->home)
                                : piece_array(unit, index, i);
        }
    }
    SPW_ASSERT(used > 0);
    uint64_t *offsets = job->reduce_offsets + (uint64_t)index % unit->slots * count;
    const uint32_t uses = (uint32_t)job->plan->weight_blocks[b].uses;
    return (struct spw_work){
        .kind = SPW_WORK_REDUCE,
        .model_ns = piece->bytes / sizeof(float),
        .reduce =
            {
                .block = &job->plan->weight_blocks[b],
                .piece = *piece,
                .accumulators = used,
                .grads = offsets,
                .uses = uses,
                .groups = used / uses,
                .grads_out = place->is_cores
                                 ? spw_home_offset(job->home, accumulator(unit, 0)->home)
                                 : piece_array(unit, index, 0),
                .norm_out = place->is_cores ? spw_home_offset(job->home, job->norms[b])
                                            : piece_array(unit, index, count),
            },
    };
}

static struct spw_work work_of(const struct spw_place *place, const struct spw_unit *unit,
                               int64_t index)
{
    if (!streams_pieces(unit)) {
        return program_work(unit, index);
    }
    const struct spw_weight_block *block = &unit->job->plan->weight_blocks[unit->key.shard];
    const struct spw_piece whole = {.bytes = block->bytes, .norm_count = block->norm_partials};
    const struct spw_piece piece = place->is_cores ? whole : unit->plan->pieces[index];
    return unit->key.kind == SPW_UNIT_UPDATE ? update_work(place, unit, index, &piece)
                                             : reduce_work(place, unit, index, &piece);
}

/* ---- enqueuing ---- */

/* Copy in of the next micro-batch. False if it must wait. */
static bool issue_in(struct spw_place *place, struct spw_unit *unit)
{
    const int64_t index = unit->issued;
    struct copy_list list = {0};
    if (!list_inputs(place, unit, index, false, &list)) {
        return false;
    }
    if (list.count == 0) {
        return true;
    }
    const uint64_t slot = (uint64_t)index % unit->slots;
    const struct spw_wait waits[] = {
        /* The slot must have been read, and written home, by its last user. */
        {SPW_QUEUE_COMPUTE, index >= unit->slots ? unit->work_ticket[slot] : 0},
        {SPW_QUEUE_OUT, index >= unit->slots && unit->out_ticket[slot] > list.out_ticket
                            ? unit->out_ticket[slot]
                            : list.out_ticket},
    };
    return send_copies(place, unit, SPW_QUEUE_IN, &list, waits, 2,
                       (struct spw_command){.what = SPW_COMMAND_IN, .index = index},
                       &unit->in_ticket);
}

static bool issue_work(struct spw_place *place, struct spw_unit *unit)
{
    const int64_t index = unit->issued;
    const uint64_t slot = (uint64_t)index % unit->slots;
    const struct spw_work work = work_of(place, unit, index);
    const struct spw_wait waits[] = {
        {SPW_QUEUE_IN, unit->in_ticket},
        {SPW_QUEUE_OUT, index >= unit->slots ? unit->out_ticket[slot] : 0},
    };
    uint64_t ticket;
    if (place->device->backend->submit(place->device, &work, waits, 2, &ticket) != SPW_OK) {
        return false;
    }
    unit->work_ticket[slot] = ticket;
    unit->outstanding++;
    spw_executor_note(place, SPW_QUEUE_COMPUTE, ticket,
                      (struct spw_command){.what = SPW_COMMAND_WORK, .unit = unit, .index = index});
    return true;
}

static bool issue_out(struct spw_place *place, struct spw_unit *unit)
{
    const int64_t index = unit->issued;
    const uint64_t slot = (uint64_t)index % unit->slots;
    struct copy_list list = {0};
    (void)list_inputs(place, unit, index, true, &list);
    if (list.count == 0) {
        return true;
    }
    const struct spw_wait wait = {SPW_QUEUE_COMPUTE, unit->work_ticket[slot]};
    uint64_t ticket;
    if (!send_copies(place, unit, SPW_QUEUE_OUT, &list, &wait, 1,
                     (struct spw_command){.what = SPW_COMMAND_OUT, .index = index}, &ticket)) {
        return false;
    }
    unit->out_ticket[slot] = ticket;
    if (!streams_pieces(unit)) {
        launch_outputs(place, unit, index, ticket);
    }
    return true;
}

/* After the last micro-batch: accumulators, and partial sums once they are complete, go home. */
static bool issue_finals(struct spw_place *place, struct spw_unit *unit)
{
    const struct spw_program *program = &unit->plan->program;
    if (unit->key.kind != SPW_UNIT_BACKWARD) {
        return true;
    }
    const uint64_t slot = (uint64_t)(unit->count - 1) % unit->slots;
    const struct spw_wait wait = {SPW_QUEUE_COMPUTE, unit->work_ticket[slot]};
    for (; unit->finals_issued < (uint32_t)program->binding_count; unit->finals_issued++) {
        const struct spw_binding *binding = &program->bindings[unit->finals_issued];
        const uint64_t offset = unit->binding_offset[unit->finals_issued];
        struct copy_list list = {0};
        struct spw_block *block = NULL;
        if (binding->kind == SPW_BIND_GRADS) {
            block = block_of(unit, binding);
            list_copy(&list, SPW_TRAFFIC_GRADS, block->home, offset, block->bytes);
        } else if (binding->kind == SPW_BIND_NORM && unit->key.last_of_group) {
            list_copy(&list, SPW_TRAFFIC_GRADS, unit->job->norms[binding->index], offset,
                      binding->bytes);
        } else {
            continue;
        }
        uint64_t ticket;
        if (!send_copies(place, unit, SPW_QUEUE_OUT, &list, &wait, 1,
                         (struct spw_command){.what = SPW_COMMAND_FINAL, .block = block}, &ticket)) {
            return false;
        }
    }
    return true;
}

/* Enqueues as much of the unit as goes now. True if all of it has been. */
static bool issue_unit(struct spw_place *place, struct spw_unit *unit)
{
    if (!place->is_cores && !issue_loads(place, unit)) {
        return false;
    }
    while (unit->issued < unit->count) {
        if (!place->is_cores && !unit->in_issued && !issue_in(place, unit)) {
            return false;
        }
        unit->in_issued = true;
        if (!unit->work_issued && !issue_work(place, unit)) {
            return false;
        }
        unit->work_issued = true;
        if (!place->is_cores && !issue_out(place, unit)) {
            return false;
        }
        unit->in_issued = false;
        unit->work_issued = false;
        unit->issued++;
    }
    return place->is_cores || issue_finals(place, unit);
}

void spw_executor_issue(struct spw_run *run, struct spw_place *place)
{
    bool first = true;
    for (uint32_t i = 0; i < place->committed_count; i++) {
        struct spw_unit *unit = place->committed[i];
        if (unit->job->failing || unit->all_issued) {
            continue; /* what is under way drains; nothing is added */
        }
        if (!unit->reserved) {
            if (place->blocked) {
                return;
            }
            if (!reserve(run, place, unit)) {
                place->blocked = true; /* until something is given back */
                return;
            }
        }
        if (first) {
            unit->all_issued = issue_unit(place, unit);
            first = unit->all_issued;
        } else if (!issue_loads(place, unit)) {
            return;
        }
    }
}
