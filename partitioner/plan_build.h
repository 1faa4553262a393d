/* plan_build.h — the making of plans, for plan.c and plan_read.c. Internal to the partitioner. */
#ifndef SPW_PARTITIONER_PLAN_BUILD_H
#define SPW_PARTITIONER_PLAN_BUILD_H

#include "partitioner/plan.h"

/* What spw_plan_create tries. */
struct spw_plan_choice {
    const bool *kept; /* [shard], for options->cuts; NULL: choose what to keep */
    uint32_t share;   /* units keep to 1/share of the device where their ops allow it */
};
enum spw_status spw_plan_build(const struct spw_world *world, const struct spw_graph *graph,
                               const struct spw_plan_options *options,
                               const struct spw_plan_choice *choice, struct spw_error *error,
                               struct spw_plan **out);

/* The lines of a plan's text that don't depend on its cuts. */
struct spw_text;
void spw_plan_print_header(const struct spw_plan *plan, struct spw_text *text);

/* The words for "does not fit" about nodes [first, end), whose largest unit is `unit`. */
enum spw_status spw_plan_refuse(const struct spw_plan *plan, int32_t first, int32_t end,
                                const struct spw_unit_plan *unit, struct spw_error *error);

#endif
