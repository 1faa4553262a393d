/* issue.c — turns a unit into commands: loads of its blocks, then for each micro-batch (or piece of
 * an UPDATE) copy in, work, copy out, all ordered by waits, so that a device never waits for the
 * executor between them. Stops where a queue is full or an input is still being made elsewhere, and
 * goes on at the next call. */
#include "runtime/schedule/issue.h"

#include "base/assert.h"

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

/* Loads blocks that are new here; accumulators that start afresh need no load. */
static bool issue_loads(struct spw_place *place, struct spw_unit *unit)
{
    for (; unit->loads_issued < unit->reservation.block_count; unit->loads_issued++) {
        struct spw_block *block = unit->reservation.blocks[unit->loads_issued];
        const bool is_new = unit->reservation.is_new[unit->loads_issued];
        const bool grads = block->kind == SPW_BLOCK_GRADS && unit->key.kind == SPW_UNIT_BACKWARD;
        if (is_new && !(grads && unit->key.first_of_group)) {
            struct spw_copy_list list = {0};
            uint64_t ticket;
            spw_copy_list_add(&list, traffic_of(block), block->home, spw_block_offset(place, block),
                              block->bytes);
            if (!send_copies(place, unit, SPW_QUEUE_IN, &list, NULL, 0,
                             (struct spw_command){.what = SPW_COMMAND_LOAD, .block = block},
                             &ticket)) {
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

/* Copy in of the next micro-batch. False if it must wait. */
static bool issue_in(struct spw_place *place, struct spw_unit *unit)
{
    const int64_t index = unit->issued;
    struct spw_copy_list list = {0};
    if (!spw_unit_transfers(place, unit, index, false, &list)) {
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
    spw_executor_note(place, SPW_QUEUE_COMPUTE, ticket,
                      (struct spw_command){.what = SPW_COMMAND_WORK, .unit = unit, .index = index});
    return true;
}

static bool issue_out(struct spw_place *place, struct spw_unit *unit)
{
    const int64_t index = unit->issued;
    const uint64_t slot = (uint64_t)index % unit->slots;
    struct spw_copy_list list = {0};
    (void)spw_unit_transfers(place, unit, index, true, &list);
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
    if (!spw_unit_streams_pieces(unit)) {
        spw_unit_launch_outputs(place, unit, index, ticket);
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
        struct spw_copy_list list = {0};
        struct spw_block *block = NULL;
        if (binding->kind == SPW_BIND_GRADS) {
            block = spw_unit_block(unit, binding);
            spw_copy_list_add(&list, SPW_TRAFFIC_GRADS, block->home, offset, block->bytes);
        } else if (binding->kind == SPW_BIND_NORM && unit->key.last_of_group) {
            spw_copy_list_add(&list, SPW_TRAFFIC_GRADS, unit->job->norms[binding->index], offset,
                              binding->bytes);
        } else {
            continue;
        }
        uint64_t ticket;
        if (!send_copies(place, unit, SPW_QUEUE_OUT, &list, &wait, 1,
                         (struct spw_command){.what = SPW_COMMAND_FINAL, .block = block},
                         &ticket)) {
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
            if (!spw_unit_reserve(run, place, unit)) {
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
