/* lower_state.h — what the parts of lowering share: bindings under construction, where values and
 * gradients lie, and the instructions so far. Included by lower*.c only. */
#ifndef SPW_PARTITIONER_LOWER_STATE_H
#define SPW_PARTITIONER_LOWER_STATE_H

#include "partitioner/layout.h"
#include "partitioner/lower.h"

/* A binding of the full table; those that no call touches are dropped at the end. */
struct spw_bound {
    struct spw_binding binding;
    bool used;
};

/* Where a parameter of the shard lies. */
struct spw_param_place {
    bool present;
    int32_t weights;       /* index in the table */
    int32_t grads;         /* of its first use within the shard; others follow */
    int32_t first_use;     /* number of that use among all */
    int32_t norm;          /* or SPW_NO_OPERAND: a REDUCE unit takes the norm */
    uint64_t offset_bytes; /* within its weight block */
    uint64_t norm_offset;
};

struct spw_lowering {
    const struct spw_world *world;
    const struct spw_flow *flow;
    struct spw_arena arena; /* the arrays that never grow */
    struct spw_lower_request request;
    bool is_last; /* the range ends with the loss */

    struct spw_bound *table;
    uint64_t table_count, table_capacity;
    int32_t in, targets, kept, grad_in, out, grad_out, loss, scratch; /* in the table */
    struct spw_param_place *param_places;                             /* [param] */
    int32_t *params;                                                  /* of the shard, ascending */
    int32_t param_count;

    uint64_t *in_offset, *out_offset, *kept_offset; /* [tensor + 1], see pack.h */
    uint64_t *kept_saved;                           /* [node] */

    struct spw_operand *values;    /* [tensor + 1]; no operand: not available */
    struct spw_operand *saved;     /* [node] */
    struct spw_operand *gradients; /* [tensor + 1]; no operand: no contribution yet */
    bool *recompute;               /* [node] */

    struct spw_instruction *instructions;
    uint64_t instruction_count, instruction_capacity;
    struct spw_instruction *epilogue;
    uint64_t epilogue_count, epilogue_capacity;
    struct spw_interval *intervals; /* scratch operands hold an index into it until the end */
    uint64_t interval_count, interval_capacity;
    struct spw_interval **order;
    uint64_t order_capacity;
    struct spw_binding *bindings; /* the result */
    uint64_t binding_capacity;
};

#define SPW_OPERANDS_MAX 14
/* All operands of an instruction, present or not. */
void spw_instruction_operands(struct spw_instruction *instruction,
                              struct spw_operand *out[SPW_OPERANDS_MAX]);

static inline bool spw_operand_is(struct spw_operand operand)
{
    return operand.binding != SPW_NO_OPERAND;
}

/* lower_bind.c: fills the table, the parameters' places and the packs' offsets for the request. */
enum spw_status spw_lower_bind(struct spw_lowering *lowering, struct spw_error *error);
/* lower_forward.c, lower_backward.c: emit the instructions. */
enum spw_status spw_lower_forward(struct spw_lowering *lowering, struct spw_error *error);
enum spw_status spw_lower_backward(struct spw_lowering *lowering, struct spw_error *error);

/* lower.c: an empty instruction, a scratch buffer (none if `bytes` is 0), and emission, which notes
 * lifetimes and uses. */
struct spw_instruction spw_instruction_of(const struct spw_op_desc *desc, int32_t node,
                                          enum spw_pass pass);
enum spw_status spw_lower_scratch(struct spw_lowering *lowering, uint64_t bytes,
                                  struct spw_error *error, struct spw_operand *out);
enum spw_status spw_lower_emit(struct spw_lowering *lowering, struct spw_instruction instruction,
                               struct spw_error *error);
enum spw_status spw_lower_emit_copy(struct spw_lowering *lowering, int32_t tensor,
                                    struct spw_operand from, struct spw_operand to,
                                    struct spw_error *error);
/* lower_forward.c: the forward call of one node, from values[] into `y` and `saved`. */
enum spw_status spw_lower_forward_call(struct spw_lowering *lowering, int32_t node,
                                       struct spw_operand y, struct spw_operand saved,
                                       struct spw_error *error);

#endif
