/* issue.h — shared between the files that turn a unit into commands: reserve.c (memory),
 * transfers.c (what is copied), works.c (what is computed), issue.c (the order of it all). */
#ifndef SPW_RUNTIME_SCHEDULE_ISSUE_H
#define SPW_RUNTIME_SCHEDULE_ISSUE_H

#include "runtime/schedule/executor.h"

/* Copies of one command. */
struct spw_copy_list {
    struct spw_copy copies[SPW_COPIES_MAX];
    uint32_t count;
    uint64_t bytes;
    uint64_t out_ticket; /* of this device's OUT queue: the inputs' way home; 0: landed long ago */
    uint64_t kind_bytes[4];
};

/* UPDATE and REDUCE stream pieces of a weight block; all others stream micro-batches. */
static inline bool spw_unit_streams_pieces(const struct spw_unit *unit)
{
    return unit->key.kind == SPW_UNIT_REDUCE || unit->key.kind == SPW_UNIT_UPDATE;
}

/* Bindings that lie in a ring slot, as against those that last for the whole unit. */
static inline bool spw_binding_in_slot(enum spw_binding_kind kind)
{
    return kind != SPW_BIND_WEIGHTS && kind != SPW_BIND_GRADS && kind != SPW_BIND_NORM &&
           kind != SPW_BIND_SCRATCH;
}

/* Ring slot of micro-batch or piece `index`, as an offset from slot 0. */
static inline uint64_t spw_unit_slot(const struct spw_unit *unit, int64_t index)
{
    return (uint64_t)index % unit->slots * unit->slot_bytes;
}

/* Region offset of array `array` of piece `index`. UPDATE: weights, gradients, moments. REDUCE: the
 * accumulators, then the partial sums. */
static inline uint64_t spw_unit_piece_array(const struct spw_unit *unit, int64_t index,
                                            uint32_t array)
{
    return unit->reservation.work.offset_bytes + spw_unit_slot(unit, index) +
           array * unit->plan->piece_bytes;
}

/* Region offset of a resident block. */
static inline uint64_t spw_block_offset(const struct spw_place *place,
                                        const struct spw_block *block)
{
    return block->at[place->index].extent.offset_bytes;
}

/* The resident block behind a WEIGHTS or GRADS binding; NULL for other kinds. */
struct spw_block *spw_unit_block(const struct spw_unit *unit, const struct spw_binding *binding);

/* reserve.c: takes the unit's memory. False if there is no room now; it may have got its weights.
 */
bool spw_unit_reserve(struct spw_run *run, struct spw_place *place, struct spw_unit *unit);

/* transfers.c: lists the copies of micro-batch or piece `index`: its inputs, or its outputs. False
 * if an input is being made on another device and has not landed. */
bool spw_unit_transfers(const struct spw_place *place, struct spw_unit *unit, int64_t index,
                        bool outputs, struct spw_copy_list *list);
void spw_copy_list_add(struct spw_copy_list *list, enum spw_traffic_kind kind, void *home,
                       uint64_t region_offset, uint64_t bytes);
/* Marks the outputs of a micro-batch as on their way home under an OUT ticket of this place. */
void spw_unit_launch_outputs(const struct spw_place *place, struct spw_unit *unit, int64_t index,
                             uint64_t ticket);

/* works.c: the work of micro-batch or piece `index`. */
struct spw_work spw_unit_work(const struct spw_place *place, const struct spw_unit *unit,
                              int64_t index);
/* Accumulators of a REDUCE in the order of folding: uses in reverse graph order, then groups. */
struct spw_block *spw_unit_accumulator(const struct spw_unit *unit, uint32_t i);
uint32_t spw_unit_accumulator_count(const struct spw_unit *unit);

#endif
