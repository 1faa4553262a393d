/* cuts.c — the search for cuts.
 *
 * The cost of a shard mostly grows with it, but not always: a border where much crosses can cost
 * more than what lies behind it. So the least memory comes from dynamic programming over all
 * borders, cut short by bounds: with the exact cost of every pair a thousand nodes would take
 * minutes. Choosing within a given memory is greedy, and goes on only where the rest is known to
 * fit. Tested by tests/partitioner/test_cuts.c. */
#include "partitioner/cuts.h"

#include "base/assert.h"

#include <string.h>

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static enum spw_status find_tail(const struct spw_cuts *cuts, int32_t first,
                                 struct spw_error *error)
{
    const int32_t nodes = cuts->costs->flow->node_count;
    struct spw_tail best = {UINT64_MAX, first + 1};
    struct spw_cost_floor floor = spw_cost_floor_of(cuts->costs, first);
    while (floor.end < nodes) {
        spw_cost_floor_extend(&floor);
        if (floor.state_bytes >= best.bytes) {
            break; /* it only grows */
        }
        const uint64_t rest = cuts->tails[floor.end].bytes;
        if (larger(floor.bytes, rest) >= best.bytes) {
            continue;
        }
        uint64_t bytes;
        SPW_TRY(spw_costs_of(cuts->costs, first, floor.end, error, &bytes));
        if (larger(bytes, rest) < best.bytes) {
            best = (struct spw_tail){larger(bytes, rest), floor.end};
        }
    }
    cuts->tails[first] = best;
    return SPW_OK;
}

enum spw_status spw_cuts_init(struct spw_arena *arena, struct spw_costs *costs,
                              struct spw_error *error, struct spw_cuts *out)
{
    const int32_t nodes = costs->flow->node_count;
    const uint64_t count = (uint64_t)nodes + 1;
    struct spw_cuts cuts = {.costs = costs};
    SPW_TRY(spw_arena_take(arena, count, sizeof(*cuts.tails), error, &cuts.tails));
    SPW_TRY(spw_arena_take(arena, count, sizeof(*cuts.floors), error, &cuts.floors));
    SPW_TRY(spw_arena_take(arena, count, sizeof(*cuts.limits), error, &cuts.limits));
    for (int32_t first = nodes - 1; first >= 0; first--) {
        SPW_TRY(find_tail(&cuts, first, error));
    }
    *out = cuts;
    return SPW_OK;
}

/* What a shard may take: a little more than an op that is too large anyway, if it holds one, so
 * that the small ops around it need no shards of their own. */
static uint64_t limit_of(const struct spw_cut_budget *budget, uint64_t usual, uint64_t largest_op)
{
    if (largest_op <= budget->usual_bytes) {
        return usual;
    }
    return smaller(budget->most_bytes, largest_op + largest_op / 8);
}

/* Bounds and limits of all shards from `first` on; returns the end of the longest one worth a look.
 */
static enum spw_status scan(const struct spw_cuts *cuts, const struct spw_cut_budget *budget,
                            uint64_t usual, int32_t first, struct spw_error *error, int32_t *end)
{
    struct spw_costs *costs = cuts->costs;
    struct spw_cost_floor floor = spw_cost_floor_of(costs, first);
    uint64_t largest_op = 0;
    *end = first;
    while (floor.end < costs->flow->node_count) {
        uint64_t op_bytes;
        SPW_TRY(spw_costs_of(costs, floor.end, floor.end + 1, error, &op_bytes));
        largest_op = larger(largest_op, op_bytes);
        spw_cost_floor_extend(&floor);
        if (floor.state_bytes > budget->most_bytes) {
            break;
        }
        *end = floor.end;
        cuts->floors[floor.end] = floor.bytes;
        cuts->limits[floor.end] = limit_of(budget, usual, largest_op);
    }
    return SPW_OK;
}

/* The longest shard from `first` on that is within its limit and leaves a rest that can be cut;
 * *end is `first` if there is none. After some misses, where shards turn out larger than their
 * bounds by some bytes, those with less than half of that to spare are passed over. */
static enum spw_status furthest(const struct spw_cuts *cuts, const struct spw_cut_budget *budget,
                                uint64_t usual, int32_t first, struct spw_error *error,
                                int32_t *end)
{
    enum { MISSES_MAX = 16 };
    const bool strict = budget->usual_bytes == budget->most_bytes;
    int misses = 0;
    int32_t candidate;
    SPW_TRY(scan(cuts, budget, usual, first, error, &candidate));
    uint64_t margin = 0;
    for (; candidate > first; candidate--) {
        const uint64_t limit = cuts->limits[candidate];
        const bool sure = candidate == first + 1 || candidate == cuts->tails[first].next;
        if (cuts->floors[candidate] + (sure ? 0 : margin) > limit ||
            (strict && cuts->tails[candidate].bytes > usual)) {
            continue;
        }
        uint64_t bytes;
        SPW_TRY(spw_costs_of(cuts->costs, first, candidate, error, &bytes));
        if (bytes <= limit) {
            break;
        }
        if (++misses >= MISSES_MAX && bytes < UINT64_MAX) {
            margin = (bytes - cuts->floors[candidate]) / 2;
        }
    }
    *end = candidate;
    return SPW_OK;
}

/* Cuts greedily. *largest is the largest shard within the usual budget; *done tells if all went
 * well. */
static enum spw_status cut_greedily(const struct spw_cuts *cuts,
                                    const struct spw_cut_budget *budget, uint64_t usual,
                                    struct spw_error *error, int32_t *borders, int32_t *count,
                                    uint64_t *largest, bool *done)
{
    const int32_t nodes = cuts->costs->flow->node_count;
    *count = 0;
    *largest = 0;
    *done = false;
    int32_t end;
    for (int32_t first = 0; first < nodes; first = end) {
        borders[(*count)++] = first;
        SPW_TRY(furthest(cuts, budget, usual, first, error, &end));
        if (end == first) {
            return SPW_OK;
        }
        uint64_t bytes;
        SPW_TRY(spw_costs_of(cuts->costs, first, end, error, &bytes));
        *largest = bytes <= usual ? larger(*largest, bytes) : *largest;
    }
    borders[*count] = nodes;
    *done = true;
    return SPW_OK;
}

/* The same number of shards, the largest as small as a binary search finds. */
static enum spw_status balance(const struct spw_cuts *cuts, const struct spw_cut_budget *budget,
                               uint64_t largest, struct spw_error *error, int32_t *borders,
                               int32_t *trial, int32_t *count)
{
    uint64_t low = 0;
    uint64_t high = largest;
    while (*count > 1 && high - low > largest / 64) {
        const uint64_t middle = low + (high - low) / 2;
        int32_t trial_count;
        uint64_t trial_largest;
        bool done;
        SPW_TRY(
            cut_greedily(cuts, budget, middle, error, trial, &trial_count, &trial_largest, &done));
        if (!done || trial_count > *count) {
            low = middle;
            continue;
        }
        memcpy(borders, trial, ((uint64_t)trial_count + 1) * sizeof(*borders));
        *count = trial_count;
        high = smaller(middle, larger(trial_largest, low));
    }
    return SPW_OK;
}

/* May nodes [first, end) be a shard? */
static enum spw_status is_allowed(const struct spw_cuts *cuts, const struct spw_cut_budget *budget,
                                  int32_t first, int32_t end, struct spw_error *error, bool *out)
{
    uint64_t largest_op = 0;
    for (int32_t node = first; node < end; node++) {
        uint64_t bytes;
        SPW_TRY(spw_costs_of(cuts->costs, node, node + 1, error, &bytes));
        largest_op = larger(largest_op, bytes);
    }
    uint64_t bytes;
    SPW_TRY(spw_costs_of(cuts->costs, first, end, error, &bytes));
    *out = bytes <= limit_of(budget, budget->usual_bytes, largest_op);
    return SPW_OK;
}

/* The untried place in (first, end) that the fewest bytes cross, nearest to `here` among equals;
 * `here` if nowhere fewer cross. */
static int32_t next_narrower(const struct spw_cuts *cuts, int32_t first, int32_t end, int32_t here,
                             const bool *tried)
{
    const uint64_t *crossing = cuts->costs->flow->border_bytes;
    int32_t best = here;
    for (int32_t place = first + 1; place < end; place++) {
        const int32_t distance = place > here ? place - here : here - place;
        const int32_t best_distance = best > here ? best - here : here - best;
        const bool narrower =
            crossing[place] < crossing[best] ||
            (crossing[place] == crossing[best] && best != here && distance < best_distance);
        if (!tried[place] && narrower) {
            best = place;
        }
    }
    return best;
}

/* Moves borders to where fewer bytes cross, as far as both neighbours allow. */
static enum spw_status slide(const struct spw_cuts *cuts, const struct spw_cut_budget *budget,
                             bool *tried, struct spw_error *error, int32_t *borders, int32_t count)
{
    enum { TRIES_MAX = 8 };
    for (int32_t i = 1; i < count; i++) {
        const int32_t first = borders[i - 1];
        const int32_t end = borders[i + 1];
        memset(tried, 0, (uint64_t)cuts->costs->flow->node_count * sizeof(*tried));
        for (int tries = 0; tries < TRIES_MAX; tries++) {
            const int32_t place = next_narrower(cuts, first, end, borders[i], tried);
            if (place == borders[i]) {
                break;
            }
            tried[place] = true;
            bool left, right = false;
            SPW_TRY(is_allowed(cuts, budget, first, place, error, &left));
            if (left) {
                SPW_TRY(is_allowed(cuts, budget, place, end, error, &right));
            }
            if (left && right) {
                borders[i] = place;
                break;
            }
        }
    }
    return SPW_OK;
}

enum spw_status spw_cuts_choose(const struct spw_cuts *cuts, const struct spw_cut_budget *budget,
                                struct spw_error *error, int32_t *borders, int32_t *count)
{
    SPW_ASSERT(cuts->tails[0].bytes <= budget->most_bytes);
    const struct spw_costs *costs = cuts->costs;
    const uint64_t nodes = (uint64_t)costs->flow->node_count;
    int32_t *trial;
    SPW_TRY(spw_allocate(costs->world, nodes + 1, sizeof(*trial), "the planner", error, &trial));
    uint64_t largest;
    bool done;
    struct spw_cut_budget used = *budget;
    enum spw_status status;
    SPW_TRY_GOTO(
        cut_greedily(cuts, &used, used.usual_bytes, error, borders, count, &largest, &done), out);
    if (!done) {
        /* An op fits only together with its neighbours, if at all. */
        used.usual_bytes = used.most_bytes;
        SPW_TRY_GOTO(
            cut_greedily(cuts, &used, used.usual_bytes, error, borders, count, &largest, &done),
            out);
        SPW_ASSERT(done);
    }
    SPW_TRY_GOTO(balance(cuts, &used, largest, error, borders, trial, count), out);
    SPW_TRY_GOTO(slide(cuts, &used, (bool *)(void *)trial, error, borders, *count), out);
out:
    spw_release(costs->world, trial);
    return status;
}
