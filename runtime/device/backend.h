/* backend.h — the device contract: one constant table per kind of device.
 *
 * A device is a fixed region of memory and three ordered queues. The executor decides; it never
 * launches op by op: it enqueues copies and whole programs, each of which may wait for commands of
 * the same device's other queues, and sleeps in one place only, the gate.
 *
 * Rules
 *  1. Enqueuing never waits in secret: it queues the command or returns SPW_ERR_BUSY.
 *  2. The region never grows; library workspaces come out of it (operands named by the program).
 *  3. Nothing allocates between open and close but `prepare`, and a vendor's library inside its own
 *     calls where it can't be told otherwise (oneDNN's matrix product: kernels/host/dnnl.h).
 *  4. Commands of one queue run in order; between queues there is no order but by waits.
 *  5. A failed command is reported by its record; later commands still run (their results are void,
 *     and the executor discards the job); a lost device fails every command.
 *  6. The compute queue touches the region and nothing else. Homes are for the copy queues.
 *  7. One thread, the executor, calls a device; `gate` is the only place where it sleeps. */
#ifndef SPW_RUNTIME_DEVICE_BACKEND_H
#define SPW_RUNTIME_DEVICE_BACKEND_H

#include "kernels/update.h"
#include "partitioner/plan.h"

enum spw_queue { SPW_QUEUE_COMPUTE, SPW_QUEUE_IN, SPW_QUEUE_OUT, SPW_QUEUE_COUNT };

/* Waits until command `ticket` of `queue` of the same device has finished; ticket 0: no wait. */
struct spw_wait {
    enum spw_queue queue;
    uint64_t ticket;
};
#define SPW_WAITS_MAX 4

/* One contiguous copy between a home and the region; the queue gives the direction. */
struct spw_copy {
    void *home; /* a home address: see runtime/memory/home.h */
    uint64_t region_offset;
    uint64_t bytes;
};
#define SPW_COPIES_MAX 8

enum spw_work_kind {
    SPW_WORK_PROGRAM, /* all instructions, for one micro-batch */
    SPW_WORK_UPDATE,  /* optimizer over one piece */
    SPW_WORK_REDUCE,  /* fold accumulators of one piece, then partial sums of squares */
    SPW_WORK_GATHER,  /* cores only: the next batch out of the data set */
};

struct spw_cursor;

/* Everything that one submission needs, copied at the call. Offsets are into the region. */
struct spw_work {
    enum spw_work_kind kind;
    uint64_t model_ns; /* estimate, for pace=model and the simulator */
    union {
        struct {
            const struct spw_program *program;
            uint64_t binding_offset[SPW_BINDINGS_MAX];
            int64_t items;
            uint64_t step;
            uint64_t item_offset;
            float loss_scale;
            bool training;      /* dropout on */
            bool accumulate_dw; /* not the group's first micro-batch */
            bool epilogue;      /* the batch's last micro-batch: run the epilogue too */
            bool check;         /* diagnosis, EVAL programs only: fail with SPW_ERR_NUMERIC and the
                                   node as native code at the first output that is not finite */
        } program;
        struct {
            /* [0] with decay, [1] without; `segment_decays` chooses. */
            struct spw_update_scalars scalars[2];
            const struct spw_weight_block *block;
            const bool *param_decays; /* by parameter index */
            struct spw_piece piece; /* of the block; offsets below are of the piece's first byte */
            uint64_t weights, grads, moments[2];  /* inputs */
            uint64_t weights_out, moments_out[2]; /* may equal the inputs */
        } update;
        struct {
            const struct spw_weight_block *block;
            struct spw_piece piece;
            uint32_t accumulators; /* uses x the groups that have micro-batches */
            uint64_t *grads; /* offset of each, in the order of folding; borrowed until done */
            uint32_t uses, groups; /* grads[use * groups + group]; uses in REVERSE graph order */
            uint64_t grads_out;    /* may equal grads[0] */
            uint64_t norm_out;     /* fp64 partials of the piece */
        } reduce;
        struct {
            struct spw_cursor *cursor;
            uint64_t step;
            int64_t first, count; /* items */
            int64_t micro_batch;  /* packs are per micro-batch, strides below */
            uint64_t x, x_stride_bytes;
            uint64_t targets, targets_stride_bytes;
        } gather;
    };
};

/* A finished command. */
struct spw_record {
    uint64_t ticket;
    uint64_t start_ns, end_ns; /* of the device's clock */
    uint64_t ready_ns;         /* when its waits were over; start - ready is queueing */
    enum spw_status status;
    int native; /* node of the graph for SPW_ERR_NUMERIC and SPW_ERR_DEVICE, else 0 */
};

struct spw_device_caps {
    uint64_t region_bytes;
    uint64_t link_bytes_per_s;   /* each direction; 0 unknown */
    uint64_t flops_per_s;        /* for estimates, as are the next two; */
    uint64_t memory_bytes_per_s; /* 0 unknown */
    uint64_t launch_ns;          /* of each kernel call */
    uint32_t threads;
    bool holds_data; /* results can be read back */
    bool virtual_time;
    bool shared_clock; /* record times compare with spw_now_ns of the world */
};

struct spw_device_config {
    uint32_t index; /* among the run's devices */
    uint64_t region_bytes;
    uint64_t link_bytes_per_s; /* 0: unthrottled */
    uint64_t flops_per_s;      /* pace=model only */
    uint32_t threads;
    bool pace_model;
    bool reference_kernels;
    const int *cpus;       /* to bind to, or NULL */
    struct spw_home *home; /* where `home` addresses belong; borrowed */
    /* Cores only: the region is the home arena itself. */
    bool is_cores;
    struct spw_simulator *simulator; /* sim: what all devices of a run share; borrowed */
};

struct spw_gate;
struct spw_device;
struct spw_simulator;

struct spw_backend {
    const char *name;
    /* What a device opened with `config` would be, without opening it: for planning. */
    void (*describe)(const struct spw_device_config *config, struct spw_device_caps *out);
    enum spw_status (*open)(const struct spw_world *world, const struct spw_device_config *config,
                            struct spw_gate *gate, struct spw_error *error,
                            struct spw_device **out);
    /* Lets queued commands finish, then frees everything. NULL is allowed. */
    void (*close)(struct spw_device *device);
    /* Makes running `program` with up to `items` items free of allocation (also with fewer items:
     * called once per distinct count). Called while a job is admitted, never in steady state. */
    enum spw_status (*prepare)(struct spw_device *device, const struct spw_program *program,
                               int64_t items, struct spw_error *error);
    /* Both return SPW_OK with a ticket (from 1, rising by one per queue) or SPW_ERR_BUSY. */
    enum spw_status (*copy)(struct spw_device *device, enum spw_queue queue,
                            const struct spw_copy *copies, uint32_t copy_count,
                            const struct spw_wait *waits, uint32_t wait_count, uint64_t *ticket);
    enum spw_status (*submit)(struct spw_device *device, const struct spw_work *work,
                              const struct spw_wait *waits, uint32_t wait_count, uint64_t *ticket);
    /* Takes the next finished command of a queue, in order; false if there is none. */
    bool (*poll)(struct spw_device *device, enum spw_queue queue, struct spw_record *out);
    /* Tests: overwrite a free range with NaN. NULL: not possible. */
    void (*poison)(struct spw_device *device, uint64_t offset, uint64_t bytes);
};

/* Every backend's device struct begins with this. */
struct spw_device {
    const struct spw_backend *backend;
    struct spw_device_caps caps;
    char name[32]; /* "host:0" */
};

extern const struct spw_backend spw_backend_host;
extern const struct spw_backend spw_backend_sim;

/* ---- the gate ---- */

/* All devices of a run knock when a command finishes; the executor sleeps here. */
enum spw_status spw_gate_create(const struct spw_world *world, struct spw_error *error,
                                struct spw_gate **out);
void spw_gate_destroy(struct spw_gate *gate);
/* From any thread. Async-signal-safe. */
void spw_gate_knock(struct spw_gate *gate);
uint64_t spw_gate_count(const struct spw_gate *gate); /* knocks so far */
/* Sleeps until the count differs from `seen` or the deadline (monotonic nanoseconds, 0: none) has
 * passed. One thread at a time. */
void spw_gate_wait(struct spw_gate *gate, uint64_t seen, uint64_t deadline_ns);
/* For virtual time: who would sleep lets time pass instead. `advance` moves the world's clock on to
 * the next event, or to the deadline if that comes first, and knocks if a command has finished. */
void spw_gate_drive(struct spw_gate *gate, void (*advance)(void *self, uint64_t deadline_ns),
                    void *self);

#endif
