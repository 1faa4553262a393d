/* issue.c — turns a unit into commands: loads of its blocks, then for each micro-batch (or piece of
 * an UPDATE) copy in, work, copy out, all ordered by waits, so that a device never waits for the
 * executor between them. Stops where a queue is full or an input is still being made elsewhere, and
 * goes on at the next call. */
#include "runtime/schedule/issue.h"

#include "base/assert.h"

enum { COPIES_AHEAD = 2 };

/* Enqueues one copy command. False if the queue is full. */
static bool send_copies(struct spw_place *place, struct spw_unit *unit, enum spw_queue queue,
                        const struct spw_copy_list *list, const struct spw_wait *waits,
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

/* Is something of this block still to be copied in? Accumulators that start afresh need no load. */
static bool needs_load(const struct spw_unit *unit, uint32_t index)
{
    const struct spw_block *block = unit->reservation.blocks[index];
    const bool fresh = block->kind == SPW_BLOCK_GRADS && unit->key.kind == SPW_UNIT_BACKWARD &&
                       unit->key.first_of_group;
    return unit->reservation.is_new[index] && !fresh;
}

static bool loads_are_issued(const struct spw_unit *unit)
{
    return unit->loads_issued >= unit->reservation.block_count; /* weights may be gone again */
}

/* Steps over what needs no load, and past blocks that have been enqueued whole. */
static void pass_loads(struct spw_place *place, struct spw_unit *unit)
{
    while (!loads_are_issued(unit)) {
        struct spw_block *block = unit->reservation.blocks[unit->loads_issued];
        if (needs_load(unit, unit->loads_issued) && unit->load_bytes < block->bytes) {
            return;
        }
        if (block->kind == SPW_BLOCK_GRADS && unit->key.kind == SPW_UNIT_BACKWARD) {
            spw_residency_mark(&place->residency, block, SPW_RESIDENCE_DIRTY);
        }
        unit->loads_issued++;
        unit->load_bytes = 0;
    }
}

/* Enqueues the next chunk of the unit's blocks. False if the queue is full. */
static bool issue_load(struct spw_place *place, struct spw_unit *unit)
{
    struct spw_block *block = unit->reservation.blocks[unit->loads_issued];
    const uint64_t left = block->bytes - unit->load_bytes;
    const uint64_t bytes = left < place->chunk_bytes ? left : place->chunk_bytes;
    struct spw_copy_list list = {0};
    spw_copy_list_add(&list, traffic_of(block), (char *)block->home + unit->load_bytes,
                      spw_block_offset(place, block) + unit->load_bytes, bytes);
    const struct spw_command command = {.what = SPW_COMMAND_LOAD,
                                        .block = bytes == left ? block : NULL};
    if (!send_copies(place, unit, SPW_QUEUE_IN, &list, NULL, 0, command, &unit->in_ticket)) {
        return false;
    }
    unit->load_bytes += bytes;
    pass_loads(place, unit);
    return true;
}

/* Whether a copy enqueued now would start without waiting for these. */
static bool are_over(const struct spw_place *place, const struct spw_wait *waits, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (place->ended[waits[i].queue] < waits[i].ticket) {
            return false;
        }
    }
    return true;
}

static uint64_t under_way(const struct spw_place *place, enum spw_queue queue)
{
    return place->tickets[queue] - place->ended[queue];
}

/* Has some unit a long copy for this queue that could start now? */
static bool has_long_copy(const struct spw_place *place, enum spw_queue queue)
{
    for (uint32_t i = 0; i < place->committed_count; i++) {
        const struct spw_unit *unit = place->committed[i];
        if (unit->job->failing || !(unit->reserved || unit->weights_reserved)) {
            continue;
        }
        if (queue == SPW_QUEUE_IN
                ? !loads_are_issued(unit)
                : unit->reserved && unit->outs == unit->count && !unit->all_issued) {
            return true;
        }
    }
    return false;
}

/* A copy of a micro-batch that would have to wait keeps those behind it in the queue waiting too.
 * So it is enqueued ahead of its time only where there are none. */
static bool may_enqueue(const struct spw_place *place, enum spw_queue queue,
                        const struct spw_wait *waits, uint32_t count)
{
    return are_over(place, waits, count) ||
           (under_way(place, queue) == 0 && !has_long_copy(place, queue));
}

/* Copy in of the next micro-batch. False if it must wait: for an input that is made elsewhere, for
 * its slot, or for room in the queue. */
static bool issue_in(struct spw_place *place, struct spw_unit *unit)
{
    const int64_t index = unit->ins;
    const uint64_t slot = (uint64_t)index % unit->slots;
    const bool reused = index >= unit->slots;
    struct spw_copy_list list = {0};
    if (reused && unit->outs <= index - unit->slots) {
        return false;
    }
    if (!spw_unit_transfers(place, unit, index, false, &list)) {
        return false;
    }
    if (list.count > 0) {
        const struct spw_wait waits[] = {
            /* The slot must have been read, and written home, by its last user. */
            {SPW_QUEUE_COMPUTE, reused ? unit->work_ticket[slot] : 0},
            {SPW_QUEUE_OUT, reused && unit->out_ticket[slot] > list.out_ticket
                                ? unit->out_ticket[slot]
                                : list.out_ticket},
        };
        const struct spw_command command = {.what = SPW_COMMAND_IN, .index = index};
        if (!may_enqueue(place, SPW_QUEUE_IN, waits, 2) ||
            !send_copies(place, unit, SPW_QUEUE_IN, &list, waits, 2, command, &unit->in_ticket)) {
            return false;
        }
    }
    unit->ins++;
    return true;
}

static bool issue_work(struct spw_place *place, struct spw_unit *unit)
{
    const int64_t index = unit->works;
    const uint64_t slot = (uint64_t)index % unit->slots;
    const struct spw_work work = spw_unit_work(place, unit, index);
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
    unit->works++;
    spw_executor_note(place, SPW_QUEUE_COMPUTE, ticket,
                      (struct spw_command){.what = SPW_COMMAND_WORK, .unit = unit, .index = index});
    return true;
}

/* Copy out of the next micro-batch. False if it must wait. */
static bool issue_out(struct spw_place *place, struct spw_unit *unit)
{
    const int64_t index = unit->outs;
    const uint64_t slot = (uint64_t)index % unit->slots;
    struct spw_copy_list list = {0};
    if (!place->is_cores) {
        (void)spw_unit_transfers(place, unit, index, true, &list);
    }
    if (list.count > 0) {
        const struct spw_wait wait = {SPW_QUEUE_COMPUTE, unit->work_ticket[slot]};
        const struct spw_command command = {.what = SPW_COMMAND_OUT, .index = index};
        uint64_t ticket;
        if (!may_enqueue(place, SPW_QUEUE_OUT, &wait, 1) ||
            !send_copies(place, unit, SPW_QUEUE_OUT, &list, &wait, 1, command, &ticket)) {
            return false;
        }
        unit->out_ticket[slot] = ticket;
        if (!spw_unit_streams_pieces(unit)) {
            spw_unit_launch_outputs(place, unit, index, ticket);
        }
    }
    unit->outs++;
    return true;
}

/* What the unit's binding writes home after its last micro-batch: accumulators, and partial sums
 * once they are complete. 0 bytes: nothing. */
static uint64_t final_of(const struct spw_unit *unit, const struct spw_binding *binding,
                         struct spw_block **block, char **home)
{
    *block = NULL;
    *home = NULL;
    if (unit->key.kind != SPW_UNIT_BACKWARD) {
        return 0;
    }
    if (binding->kind == SPW_BIND_GRADS) {
        *block = spw_unit_block(unit, binding);
        *home = (*block)->home;
        return (*block)->bytes;
    }
    if (binding->kind == SPW_BIND_NORM && unit->key.last_of_group) {
        *home = unit->job->norms[binding->index];
        return binding->bytes;
    }
    return 0;
}

static bool finals_are_issued(const struct spw_unit *unit)
{
    return unit->finals_issued == (uint32_t)unit->plan->program.binding_count;
}

/* Steps over bindings that write nothing home, and past those that have been enqueued whole. */
static void pass_finals(struct spw_unit *unit)
{
    struct spw_block *block;
    char *home;
    while (!finals_are_issued(unit) &&
           unit->final_bytes ==
               final_of(unit, &unit->plan->program.bindings[unit->finals_issued], &block, &home)) {
        unit->finals_issued++;
        unit->final_bytes = 0;
    }
    unit->all_issued = finals_are_issued(unit);
}

/* Enqueues the next chunk of what goes home at the end. False if the queue is full. */
static bool issue_final(struct spw_place *place, struct spw_unit *unit)
{
    struct spw_block *block;
    char *home;
    const uint32_t index = unit->finals_issued;
    const uint64_t left =
        final_of(unit, &unit->plan->program.bindings[index], &block, &home) - unit->final_bytes;
    const uint64_t bytes = left < place->chunk_bytes ? left : place->chunk_bytes;
    const uint64_t slot = (uint64_t)(unit->count - 1) % unit->slots;
    const struct spw_wait wait = {SPW_QUEUE_COMPUTE, unit->work_ticket[slot]};
    const struct spw_command command = {.what = SPW_COMMAND_FINAL,
                                        .block = bytes == left ? block : NULL};
    struct spw_copy_list list = {0};
    uint64_t ticket;
    spw_copy_list_add(&list, SPW_TRAFFIC_GRADS, home + unit->final_bytes,
                      unit->binding_offset[index] + unit->final_bytes, bytes);
    if (!send_copies(place, unit, SPW_QUEUE_OUT, &list, &wait, 1, command, &ticket)) {
        return false;
    }
    unit->final_bytes += bytes;
    pass_finals(unit);
    return true;
}

/* Enqueues as many micro-batches (or pieces) of the unit as go now. */
static void issue_stream(struct spw_place *place, struct spw_unit *unit)
{
    bool moved = true;
    while (moved) {
        moved = false;
        if (unit->outs < unit->works) {
            moved = issue_out(place, unit);
        }
        if (unit->works < unit->ins || (place->is_cores && unit->works < unit->count)) {
            moved = issue_work(place, unit) || moved;
        }
        if (!place->is_cores && unit->ins < unit->count && unit->ins == unit->works) {
            moved = issue_in(place, unit) || moved;
        }
    }
    if (unit->outs == unit->count) {
        pass_finals(unit);
    }
}

/* Reserves for the units of a place, in order, as far as there is room. */
static void reserve_units(struct spw_run *run, struct spw_place *place)
{
    for (uint32_t i = 0; i < place->committed_count && !place->blocked; i++) {
        struct spw_unit *unit = place->committed[i];
        if (unit->reserved || unit->job->failing) {
            continue;
        }
        place->blocked = !spw_unit_reserve(run, place, unit); /* until something is given back */
        if (!place->is_cores && (unit->reserved || unit->weights_reserved)) {
            pass_loads(place, unit);
        }
    }
}

/* The oldest unit that has micro-batches left streams them, once its blocks are on their way. */
static void stream(struct spw_place *place)
{
    for (uint32_t i = 0; i < place->committed_count; i++) {
        struct spw_unit *unit = place->committed[i];
        if (unit->job->failing || unit->all_issued) {
            continue; /* what is under way drains; nothing is added */
        }
        if (!unit->reserved || !loads_are_issued(unit)) {
            return;
        }
        issue_stream(place, unit);
        if (unit->works < unit->count) {
            return;
        }
    }
}

/* Long copies, chunk by chunk, in the order of units: blocks that come in and accumulators that go
 * home. A queue gets no more than two commands ahead, so that what streams can get between. */
static void fill(struct spw_place *place)
{
    for (uint32_t i = 0; i < place->committed_count; i++) {
        struct spw_unit *unit = place->committed[i];
        if (unit->job->failing || !(unit->reserved || unit->weights_reserved)) {
            continue;
        }
        while (!loads_are_issued(unit) && under_way(place, SPW_QUEUE_IN) < COPIES_AHEAD) {
            if (!issue_load(place, unit)) {
                break;
            }
        }
        while (unit->reserved && unit->outs == unit->count && !unit->all_issued &&
               under_way(place, SPW_QUEUE_OUT) < COPIES_AHEAD) {
            if (!issue_final(place, unit)) {
                break;
            }
        }
    }
}

void spw_executor_issue(struct spw_run *run, struct spw_place *place)
{
    reserve_units(run, place);
    stream(place);
    fill(place);
    stream(place); /* a unit whose last load has just been enqueued */
}
