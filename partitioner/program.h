/* program.h — a unit lowered to kernel calls over offsets: what a device runs for one micro-batch.
 *
 * A program names memory through bindings. At submission each binding gets a base offset within the
 * device's region; an operand is (binding, offset). The same program serves every micro-batch, step
 * and device. Pure data: made once by the partitioner, then read only. */
#ifndef SPW_PARTITIONER_PROGRAM_H
#define SPW_PARTITIONER_PROGRAM_H

#include "models/graph.h"

enum spw_binding_kind {
    SPW_BIND_WEIGHTS,  /* weight block `index` */
    SPW_BIND_GRADS,    /* gradient accumulator `use` of weight block `index` */
    SPW_BIND_IN,       /* this micro-batch's pack of the cut before the shard (cut 0: the data) */
    SPW_BIND_TARGETS,  /* int32 targets, last shard only */
    SPW_BIND_OUT,      /* pack of the cut after the shard (FORWARD, EVAL) */
    SPW_BIND_KEPT,     /* activations kept for BACKWARD: FORWARD's output, BACKWARD's input */
    SPW_BIND_GRAD_IN,  /* gradient pack of the cut after the shard (BACKWARD) */
    SPW_BIND_GRAD_OUT, /* gradient pack of the cut before the shard (BACKWARD, shard > 0) */
    SPW_BIND_LOSS,     /* one struct spw_loss (last shard) */
    SPW_BIND_NORM,     /* fp64 partial sums of squares of weight block `index`'s gradient */
    SPW_BIND_SCRATCH,  /* activations, gradients and workspace that live within one micro-batch */
};

/* No program has more bindings than this: a shard that would need more is cut. */
#define SPW_BINDINGS_MAX 32

/* A program binds what its calls touch, in this order: weights, gradients, inputs, outputs, partial
 * sums, scratch. All weight blocks of the shard are bound, whether its calls need them or not; the
 * rest only if used: a shard whose backward pass needs no activation binds no IN. */
struct spw_binding {
    enum spw_binding_kind kind;
    int32_t index;  /* weight block, else 0 */
    int32_t use;    /* GRADS: which accumulator, else 0 */
    uint64_t bytes; /* for a full micro-batch */
};

#define SPW_NO_OPERAND (-1)
struct spw_operand {
    int32_t binding; /* or SPW_NO_OPERAND */
    uint64_t offset_bytes;
};

enum spw_instruction_kind {
    SPW_INSTRUCTION_CALL, /* spw_lane_run of (desc, pass) */
    SPW_INSTRUCTION_NORM, /* spw_norm_partials of dw[0], `elements` long, into loss (see below) */
};

struct spw_instruction {
    enum spw_instruction_kind kind;
    const struct spw_op_desc *desc; /* owned by graph or plan */
    int32_t node;                   /* of the graph, for messages; -1 for COPY */
    enum spw_pass pass;
    uint32_t flags; /* SPW_CALL_ACCUMULATE_DX*; TRAINING, ACCUMULATE_DW are added per submission */
    struct spw_operand x[SPW_OP_INPUTS_MAX];
    struct spw_operand w[SPW_OP_PARAMS_MAX];
    struct spw_operand y, saved, dy;
    struct spw_operand dx[SPW_OP_INPUTS_MAX];
    struct spw_operand dw[SPW_OP_PARAMS_MAX];
    struct spw_operand targets, loss, workspace;
    /* NORM: gradient in dw[0], result (fp64) in y. */
    uint64_t elements;
};

struct spw_program {
    struct spw_binding *bindings;
    int32_t binding_count;
    struct spw_instruction *instructions; /* run for every micro-batch */
    int32_t instruction_count;
    struct spw_instruction *epilogue; /* run once, after the last micro-batch of the batch */
    int32_t epilogue_count;
    uint64_t flops;   /* of one full micro-batch */
    uint64_t time_ns; /* estimate for one full micro-batch, from costs or the pilot run */
};

#endif
