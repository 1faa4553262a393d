/* cuts.h — where to cut: the least memory that any cuts need, and good cuts for a given memory.
 *
 * Internal to the partitioner. Tested by tests/partitioner/test_cuts.c. */
#ifndef SPW_PARTITIONER_CUTS_H
#define SPW_PARTITIONER_CUTS_H

#include "partitioner/costs.h"

/* The least memory in which nodes [node, end of the graph) can be run, over all ways to cut them,
 * and where the first shard of such a way ends. */
struct spw_tail {
    uint64_t bytes;
    int32_t next;
};

struct spw_cuts {
    struct spw_costs *costs; /* borrowed */
    struct spw_tail *tails;  /* [node], and one more with 0 bytes */
    uint64_t *floors;        /* working memory, [node + 1] */
    uint64_t *limits;        /* likewise */
};

/* Works out the tails; arrays are taken from `arena`. */
enum spw_status spw_cuts_init(struct spw_arena *arena, struct spw_costs *costs,
                              struct spw_error *error, struct spw_cuts *out);

/* `usual_bytes` is what a unit may take, `most_bytes` what it may take if it holds an op that
 * doesn't go into the former alone. */
struct spw_cut_budget {
    uint64_t usual_bytes, most_bytes;
};

/* Chooses shards [borders[i], borders[i + 1]), i < *count; `borders` has room for node_count + 1.
 * As few shards as a greedy pass finds, then evenly large, then at borders that few bytes cross.
 * Works whenever most_bytes is at least the first tail's. */
enum spw_status spw_cuts_choose(const struct spw_cuts *cuts, const struct spw_cut_budget *budget,
                                struct spw_error *error, int32_t *borders, int32_t *count);

#endif
