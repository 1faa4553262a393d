/* graphs.h — small models with every feature that a cut could spoil, and what the tests of
 * partitioner/ share. */
#ifndef SPW_TESTS_PARTITIONER_GRAPHS_H
#define SPW_TESTS_PARTITIONER_GRAPHS_H

#include "models/arch.h"
#include "partitioner/plan.h"

#include <criterion/criterion.h>

static inline void check_ok(enum spw_status status, const struct spw_error *error)
{
    cr_assert(status == SPW_OK, "%s: %s (%s:%d)", spw_status_name(status), error->what,
              error->file != NULL ? error->file : "?", error->line);
}

/* Models by number, so that tests can loop over them. */
enum graph_kind {
    GRAPH_MLP, /* with dropout */
    GRAPH_CNN,
    GRAPH_RESNET,   /* residuals, also around strided convolutions */
    GRAPH_GPT,      /* tied head, all dropouts */
    GRAPH_GPT_XENT, /* the same with a fused head of 4,096 tokens */
    GRAPH_TANGLE, /* tied layers, a tensor added to itself, long residuals, late use of the data */
    GRAPH_KINDS
};
const char *graph_name(enum graph_kind kind);
/* The caller destroys it. */
struct spw_graph *graph_make(const struct spw_world *world, enum graph_kind kind);
/* The same, but reporting failures: for worlds that fail on command. */
enum spw_status graph_try(const struct spw_world *world, enum graph_kind kind,
                          struct spw_error *error, struct spw_graph **out);

/* A chain of `layers` linear layers of width `width`, each followed by a relu. */
struct spw_graph *graph_chain(int64_t layers, int64_t width);
/* GPT-2 with 2 heads and dropouts of 0.1. */
struct spw_graph *graph_gpt(int64_t vocabulary, int64_t seq_len, int64_t width, int64_t layers);

/* Options with the usual values: a batch of `batch` in micro-batches of `micro_batch`, AdamW. */
struct spw_plan_options options_of(int64_t batch, int64_t micro_batch);

/* spw_plan_create that must succeed. */
struct spw_plan *plan_make(const struct spw_graph *graph, const struct spw_plan_options *options);

#endif
