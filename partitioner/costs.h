/* costs.h — device bytes of a would-be shard, and a bound that needs no lowering.
 *
 * The cost of nodes [first, end) is what its largest unit reserves with the fewest ring slots.
 * Answers are remembered. Internal to the partitioner. Tested by tests/partitioner/test_cuts.c. */
#ifndef SPW_PARTITIONER_COSTS_H
#define SPW_PARTITIONER_COSTS_H

#include "partitioner/lower.h"

struct spw_cost_entry {
    uint64_t key; /* 0: free */
    uint64_t bytes;
};

struct spw_costs {
    const struct spw_world *world;
    const struct spw_flow *flow;
    struct spw_lowering *lowering; /* borrowed */
    bool keep;
    uint32_t slots;
    struct spw_cost_entry *entries; /* open addressing, a power of two */
    uint64_t entry_count, entry_capacity;
};

void spw_costs_init(struct spw_costs *costs, const struct spw_world *world,
                    const struct spw_flow *flow, struct spw_lowering *lowering);
void spw_costs_deinit(struct spw_costs *costs);

/* UINT64_MAX for a shard that no program can serve. */
enum spw_status spw_costs_of(struct spw_costs *costs, int32_t first, int32_t end,
                             struct spw_error *error, uint64_t *bytes);

/* Bounds from below for growing ranges [first, end), one node at a time. */
struct spw_cost_floor {
    const struct spw_costs *costs;
    int32_t first, end;
    uint64_t weights_bytes, grads_bytes; /* so far */
    uint64_t own_chunks;
    uint64_t live_bytes;      /* what the backward pass reads and the shard makes */
    uint64_t workspace_bytes; /* largest of a backward call */
    bool reads_in;            /* a backward call reads the pack before the shard */
    uint64_t state_bytes;     /* weights, gradients, partial sums: only grows with the range */
    uint64_t bytes;           /* the bound: at most the cost */
};
struct spw_cost_floor spw_cost_floor_of(const struct spw_costs *costs, int32_t first);
/* Takes in node `end`. */
void spw_cost_floor_extend(struct spw_cost_floor *floor);

#endif
