/* plan.h — the partitioner's result: shards, cuts, blocks, programs, bytes and times of one model.
 *
 * A plan is a pure function of (graph, options): equal input gives an equal plan. It is made and
 * printed before anything is allocated, and it proves that every unit alone fits the device. Its
 * text form can be read back. Tested by tests/partitioner/. */
#ifndef SPW_PARTITIONER_PLAN_H
#define SPW_PARTITIONER_PLAN_H

#include "kernels/update.h"
#include "partitioner/program.h"

/* Every range on a device is rounded up to this. */
#define SPW_DEVICE_ALIGNMENT 64

enum spw_update_place { SPW_UPDATE_ON_CORES, SPW_UPDATE_ON_DEVICE };

struct spw_plan_options {
    uint64_t device_bytes;   /* the smallest device's region; 0: no limit, one shard */
    int64_t micro_batch;     /* items per pass */
    int64_t micro_batches;   /* per full batch: ceil(batch / micro_batch) */
    int64_t batch;           /* items per step */
    int64_t grad_groups;
    uint32_t moments;        /* arrays per parameter that the optimizer keeps */
    uint32_t ring_slots;     /* r >= 2 */
    uint32_t threads;        /* of a device's compute lane: workspaces depend on it */
    bool double_buffer;      /* leave room for the next unit where that is possible */
    bool least_memory;       /* cut at every op: finds the smallest device that works */
    enum spw_update_place update_place;
    uint64_t link_bytes_per_s; /* for keep-or-recompute and for printed times */
    uint64_t flops_per_s;      /* of one device, where no measurement is at hand */
    /* Likewise: of its own memory, 0: guessed from flops_per_s; and of each kernel call. */
    uint64_t memory_bytes_per_s, launch_ns;
    /* Measures one op's time in nanoseconds, or NULL. */
    uint64_t (*measure)(void *context, const struct spw_op_desc *desc, int64_t items,
                        enum spw_pass pass);
    void *measure_context;
    /* Cut before these nodes instead of choosing (tests, and plans read back); NULL: choose.
     * Copied; a finished plan's options have none. */
    const int32_t *cuts;
    int32_t cut_count;
    int32_t keep; /* -1: choose; 0: recompute everything inside a shard; 1: keep everything */
};

/* A parameter's place within a weight block. */
struct spw_segment {
    int32_t param;
    uint64_t offset_bytes; /* within the block, a multiple of 64 */
    uint64_t elements;
    uint64_t norm_offset;  /* index of its first partial sum within the block's */
};

/* The parameters that are loaded, updated and written together: the untied ones of one shard, or
 * one tied parameter. Its weights, each gradient accumulator and each moment are blocks of
 * `bytes`. */
struct spw_weight_block {
    struct spw_segment *segments;
    int32_t segment_count;
    uint64_t bytes;        /* > 0 */
    int32_t uses;          /* accumulators per group: 1, or one per use of the tied parameter */
    int32_t *use_shard;    /* shard of each use, in graph order */
    uint64_t norm_partials;
    bool reduced;          /* its accumulators (uses x groups > 1) are added up by a REDUCE unit,
                              which also takes the norm; otherwise BACKWARD's epilogue takes it */
};

/* One tensor within a pack. */
struct spw_packed {
    int32_t tensor;        /* node index or SPW_GRAPH_DATA */
    bool saved;            /* kept packs: the node's side output instead of its tensor */
    uint64_t offset_bytes; /* a multiple of 64 */
    uint64_t bytes;        /* of a full micro-batch */
};

/* The tensors that cross a border, laid out for one micro-batch. Its gradient pack has the same
 * layout. A short micro-batch fills the front of each tensor's place; packs are copied whole. */
struct spw_pack {
    struct spw_packed *tensors;
    int32_t tensor_count;
    uint64_t bytes;
    bool has_gradients;    /* cuts: some tensor's gradient crosses the border backwards */
};

/* Part of a weight block: [offset, offset + bytes). REDUCE: its partial sums are
 * [norm_first, norm_first + norm_count) of the block's. */
struct spw_piece {
    uint64_t offset_bytes, bytes;
    uint64_t norm_first, norm_count;
};

enum spw_unit_kind {
    SPW_UNIT_FORWARD,
    SPW_UNIT_BACKWARD, /* of the last shard: forward, loss and backward in one */
    SPW_UNIT_EVAL,
    SPW_UNIT_REDUCE,   /* `shard` is a weight block here */
    SPW_UNIT_UPDATE,   /* likewise */
};
/* "forward", ...: what each is called in logs, traces and displays; ends in NULL. */
extern const char *const spw_unit_names[];

/* Device memory of one unit. Everything is reserved at once. */
struct spw_unit_plan {
    enum spw_unit_kind kind;
    int32_t shard; /* or weight block */
    struct spw_program program; /* empty for REDUCE and UPDATE */
    /* Bytes of one ring slot: all inputs of a micro-batch side by side, then all outputs, in the
     * order of the program's bindings, each rounded to the alignment. UPDATE: 2 + moments arrays
     * of `piece_bytes` (weights, gradient, moments). REDUCE: uses x groups arrays of
     * `piece_bytes`, then the partial sums of a piece. */
    uint64_t slot_bytes;
    uint32_t slots;
    uint64_t scratch_bytes;
    uint64_t weights_bytes; /* rounded weight blocks */
    uint64_t grads_bytes;   /* rounded accumulators */
    uint64_t norm_bytes;
    uint64_t device_bytes;  /* the sum: what an empty region must offer */
    uint64_t in_bytes, out_bytes; /* copied for a full micro-batch (packs only) */
    /* REDUCE and UPDATE stream these pieces of their weight block through the slots. */
    struct spw_piece *pieces;
    uint64_t piece_count;
    uint64_t piece_bytes;   /* of the longest piece, rounded: distance of arrays within a slot */
};

struct spw_shard {
    int32_t first_node, end_node; /* [first, end) */
    int32_t *weight_blocks;       /* own block first (if it has parameters), then tied ones */
    int32_t weight_block_count;
    struct spw_pack kept;         /* tensors (and side outputs) kept from FORWARD; may be empty */
    struct spw_unit_plan forward; /* unused for the last shard */
    struct spw_unit_plan backward;
    struct spw_unit_plan eval;
};

struct spw_plan_totals {
    uint64_t parameters;
    uint64_t state_bytes;      /* weights + gradients + moments, 4 bytes each, tied ones once */
    uint64_t device_bytes_max; /* largest unit */
    uint64_t device_bytes_min; /* the least device on which some plan works */
    uint64_t home_weights_bytes, home_grads_bytes, home_moments_bytes, home_spare_bytes;
    uint64_t home_cuts_bytes;  /* cut, gradient and kept packs, inputs and results */
    uint64_t home_bytes;       /* the sum */
    uint64_t step_flops;       /* one full batch, recomputation included */
    uint64_t step_useful_flops;
    uint64_t step_in_bytes, step_out_bytes; /* copied per step without residency */
    uint64_t step_time_ns;     /* max(compute, copies) of one device, estimate */
};

struct spw_plan {
    struct spw_arena arena;
    const struct spw_graph *graph; /* borrowed */
    struct spw_plan_options options;
    struct spw_shard *shards;
    int32_t shard_count;
    struct spw_pack *cuts; /* shard_count entries: cuts[s] is before shard s; cuts[0] is the data */
    struct spw_weight_block *weight_blocks;
    int32_t weight_block_count;
    struct spw_unit_plan *reduces; /* one per weight block; no pieces if not reduced */
    struct spw_unit_plan *updates; /* one per weight block */
    uint64_t targets_bytes;        /* of a full micro-batch */
    uint32_t other_owners;         /* see spw_plan_share() */
    uint32_t share;                /* units keep to 1/share of the device where their ops allow it,
                                      so that others come in and go home while one computes */
    struct spw_plan_totals totals;
};

/* Makes a plan. SPW_ERR_DOES_NOT_FIT, naming the op, the bytes it needs, the bytes there are and
 * the setting that would help, if some unit cannot fit. `graph` must outlive the plan. */
enum spw_status spw_plan_create(const struct spw_world *world, const struct spw_graph *graph,
                                const struct spw_plan_options *options, struct spw_error *error,
                                struct spw_plan **out);
void spw_plan_destroy(struct spw_plan *plan);
/* One owner more: each destroys it, and the last one really. Not thread-safe. */
struct spw_plan *spw_plan_share(struct spw_plan *plan);

/* Nanoseconds that the plan expects for copying `bytes` in or out. */
uint64_t spw_plan_link_ns(const struct spw_plan *plan, uint64_t bytes);

/* The fewest device bytes with which spw_plan_create() succeeds: exact, one byte less fails. */
enum spw_status spw_plan_least_memory(const struct spw_world *world, const struct spw_graph *graph,
                                      const struct spw_plan_options *options,
                                      struct spw_error *error, uint64_t *bytes);

/* Number of pieces that `kind` (REDUCE or UPDATE) of a weight block streams, and piece `index`.
 * Pieces cover the block in order, paddings included; every piece starts at a multiple of 64
 * bytes, and those of REDUCE at a norm chunk. Where updates run on the host cores they reserve
 * no device memory. */
uint64_t spw_plan_pieces(const struct spw_plan *plan, enum spw_unit_kind kind,
                         int32_t weight_block);
struct spw_piece spw_plan_piece(const struct spw_plan *plan, enum spw_unit_kind kind,
                                int32_t weight_block, uint64_t index);

/* Accumulators that a REDUCE on a device adds up at most: one copy command brings them all. */
#define SPW_REDUCE_DEVICE_MAX 8
/* Where the REDUCE of a weight block runs: where updates do, but one with more accumulators than
 * that runs on the host cores, which copy nothing, and reserves no device memory. */
enum spw_update_place spw_plan_reduce_place(const struct spw_plan *plan, int32_t weight_block);

/* Home ranges for new versions: an UPDATE writes weights and moments beside the committed ones
 * and all switch together, after which the old ones are spare. One UPDATE of a job runs at a
 * time, so each distinct block size needs 1 + moments spare ranges. Fills `sizes` (room for
 * weight_block_count; may be NULL) with the distinct sizes in order of first block and returns
 * their number. */
uint64_t spw_plan_spare_slots(const struct spw_plan *plan, uint64_t *sizes);

/* Bytes copied in one step of a full batch if nothing stays resident, by what they are. Partial
 * sums of the norm count as gradients; targets and losses as packs. Weights come in once for
 * each FORWARD and BACKWARD unit of each gradient group. */
struct spw_traffic_bytes {
    uint64_t weights, grads, moments, packs;
};
struct spw_traffic {
    struct spw_traffic_bytes in, out;
};
struct spw_traffic spw_plan_traffic(const struct spw_plan *plan);

/* Text form for people and tools; reading it back with the same graph and options gives an equal
 * plan, or SPW_ERR_USAGE with line and reason. */
enum spw_status spw_plan_print(const struct spw_plan *plan, struct spw_error *error,
                               const struct spw_world *world, char **text);
enum spw_status spw_plan_read(const struct spw_world *world, const struct spw_graph *graph,
                              const struct spw_plan_options *options, const char *path,
                              const char *text, struct spw_error *error, struct spw_plan **out);

#endif
