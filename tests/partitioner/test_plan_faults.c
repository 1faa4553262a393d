/* test_plan_faults.c — every allocation of planning, printing and reading fails once. */
#include "graphs.h"

#include "tests/support/fault_world.h"

/* One pass over all entry points; the plan that a failure leaves behind is none. */
static enum spw_status plan_all(const struct spw_world *world, const struct spw_graph *graph,
                                struct spw_error *error)
{
    struct spw_plan_options options = options_of(7, 3);
    options.double_buffer = true;
    SPW_TRY(spw_plan_least_memory(world, graph, &options, error, &options.device_bytes));
    options.device_bytes *= 3;
    struct spw_plan *plan = NULL, *back = NULL;
    char *text = NULL;
    enum spw_status status;
    SPW_TRY_GOTO(spw_plan_create(world, graph, &options, error, &plan), out);
    SPW_TRY_GOTO(spw_plan_print(plan, error, world, &text), out);
    SPW_TRY_GOTO(spw_plan_read(world, graph, &options, "plan.txt", text, error, &back), out);
out:
    spw_release(world, text);
    spw_plan_destroy(plan);
    spw_plan_destroy(back);
    return status;
}

Test(plan_faults, failing_allocations_leave_nothing_behind)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct spw_graph *graph = graph_make(spw_world_system(), (enum graph_kind)kind);
        struct spw_fault_world fault;
        spw_fault_world_init(&fault, spw_world_system());
        uint64_t failed = 0;
        for (uint64_t at = 1;; at++) {
            spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION,
                                (struct spw_fault_rule){.at = at, .sticky = at % 2 == 0});
            struct spw_error error = {0};
            const enum spw_status status = plan_all(&fault.world, graph, &error);
            cr_assert(spw_fault_world_clean(&fault), "allocation %d", (int)at);
            if (!spw_fault_world_struck(&fault)) {
                check_ok(status, &error);
                break;
            }
            cr_assert(status == SPW_ERR_NO_MEMORY, "allocation %d: %s", (int)at,
                      spw_status_name(status));
            cr_assert(error.status == SPW_ERR_NO_MEMORY);
            failed++;
        }
        cr_assert(failed > 20, "%d failures", (int)failed);
        spw_graph_destroy(graph);
    }
}
