/* test_steady.c — nothing allocates in steady state: from the last job's admission to the first
 * job's end, training, evaluating, evicting and tracing, no thread asks the world for memory or
 * gives any back. */
#include "cases.h"

#include "runtime/record/trace.h"
#include "tests/support/fault_world.h"
#include "tests/support/temporary.h"
#include <criterion/criterion.h>

enum { JOBS = 4 };

struct meter {
    struct spw_fault_world fault;
    struct spw_trace *trace;
    int running;
    uint64_t steps, evals;
    uint64_t allocations; /* when the last job had been admitted */
    int64_t live;
    int64_t grown, grown_live; /* at the first job's end, since then; -1: not yet */
};

static enum spw_status on_state(void *self, struct spw_job *job, enum spw_job_state state,
                                struct spw_error *error)
{
    struct meter *meter = self;
    (void)job;
    (void)error;
    const uint64_t allocations = atomic_load(&meter->fault.calls[SPW_FAULT_ALLOCATION]);
    const int64_t live = atomic_load(&meter->fault.live_allocations);
    if (state == SPW_JOB_RUNNING && ++meter->running == JOBS) {
        meter->allocations = allocations;
        meter->live = live;
    }
    if (state == SPW_JOB_DONE && meter->grown < 0) {
        meter->grown = (int64_t)(allocations - meter->allocations);
        meter->grown_live = live - meter->live;
    }
    return SPW_OK;
}

static void on_step(void *self, struct spw_job *job, const struct spw_step_result *result)
{
    struct meter *meter = self;
    (void)job;
    (void)result;
    meter->steps += meter->running == JOBS && meter->grown < 0;
}

static void on_eval(void *self, struct spw_job *job, const struct spw_eval_result *result)
{
    struct meter *meter = self;
    (void)job;
    (void)result;
    meter->evals += meter->running == JOBS && meter->grown < 0;
}

static void on_span(void *self, const struct spw_span *span)
{
    struct meter *meter = self;
    spw_trace_span(meter->trace, span);
}

static void measure(int32_t update_place, int32_t keep, uint32_t threads)
{
    static const int cases[JOBS] = {0, 1, 3, 5};
    struct spw_temporary folder;
    struct bits_case its[JOBS];
    struct meter meter = {.grown = -1};
    char path[512];
    spw_temporary_init(&folder);
    spw_fault_world_init(&meter.fault, spw_world_system());
    struct spw_run_config config = {
        .machine = {.kind = SPW_MACHINE_HOST, .device_count = 2, .threads = threads},
        .host_bytes = UINT64_C(64) << 20,
        .prefetch = -1,
        .update_place = update_place,
        .keep = keep,
        .events =
            {.self = &meter, .step = on_step, .eval = on_eval, .state = on_state, .span = on_span},
    };
    struct spw_run *run = NULL;
    config.machine.mem_bytes = UINT64_C(8) << 20;
    cr_assert(spw_run_create(spw_world_system(), &config, NULL, &run) == SPW_OK);
    uint64_t mem_bytes = 0;
    for (int i = 0; i < JOBS; i++) {
        uint64_t least = 0;
        bits_case_init(&its[i], cases[i]);
        its[i].config.max_steps = 6;
        its[i].config.eval_every = 2;
        cr_assert(spw_run_least_memory(run, &its[i].config, NULL, &least) == SPW_OK);
        mem_bytes = least > mem_bytes ? least : mem_bytes;
    }
    spw_run_destroy(run);

    config.machine.mem_bytes = mem_bytes;
    cr_assert(spw_run_create(&meter.fault.world, &config, NULL, &run) == SPW_OK);
    for (int i = 0; i < JOBS; i++) {
        struct spw_job *job = NULL;
        cr_assert(spw_run_add(run, &its[i].config, NULL, &job) == SPW_OK);
    }
    cr_assert(spw_trace_create(&meter.fault.world, spw_temporary_path(&folder, "trace", path), run,
                               NULL, &meter.trace) == SPW_OK);
    cr_assert(spw_run_execute(run, NULL) == SPW_OK);
    cr_assert(spw_trace_close(meter.trace, NULL) == SPW_OK);
    struct spw_device_stats stats;
    spw_run_device_stats(run, 0, &stats);
    cr_assert(stats.evictions > 0);
    spw_run_destroy(run);
    cr_assert(meter.steps >= 6 && meter.evals >= 2, "%d steps, %d evaluations", (int)meter.steps,
              (int)meter.evals);
    cr_assert(meter.grown == 0, "%d allocations in steady state", (int)meter.grown);
    cr_assert(meter.grown_live == 0, "%d fewer are alive", (int)-meter.grown_live);
    for (int i = 0; i < JOBS; i++) {
        bits_case_deinit(&its[i]);
    }
    spw_temporary_deinit(&folder);
}

Test(steady, nothing_allocates_between_steps)
{
    for (int i = 0; i < 8; i++) {
        measure(i & 1, i >> 1 & 1, 1 + ((uint32_t)i >> 2));
    }
}
