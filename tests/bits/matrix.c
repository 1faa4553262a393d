/* matrix.c — promise A: bits do not depend on the schedule.
 *
 * Every cell trains a case under one combination of policy, memory, devices, threads, prefetch,
 * unit ranges, place of UPDATE, recomputation and company, and compares every loss, norm, weight
 * and moment of every job with the oracle's, bit for bit. It also demands that the cell did what it
 * is there for (demand.c): that bytes moved, blocks were evicted, several devices took part.
 * Compute workers can't read homes, and freed ranges of a device are NaN. `matrix all` runs every
 * cell, `matrix sample N` a fixed part of them. */
#include "cases.h"
#include "demand.h"
#include "watch.h"

#include "base/philox.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    JOBS = 3,   /* with company */
    TRIES = 20, /* of a cell until a job has changed devices */
};

/* What a case's cells have in common: its jobs, and what each must become. */
struct stage {
    struct bits_case it;
    struct spw_job_config jobs[JOBS];
    struct oracle_result want[JOBS];
    bool reference_kernels;
};

/* One run of a cell. */
struct attempt {
    const struct stage *stage;
    const struct cell *cell;
    struct watch watch;
    struct ledger ledger;
    bool moved; /* a job from device to device */
    char why[WATCH_FAULT_BYTES];
};

static void open_stage(struct stage *stage, int index, bool reference_kernels)
{
    bits_case_init(&stage->it, index);
    stage->reference_kernels = reference_kernels;
    for (int i = 0; i < JOBS; i++) {
        stage->jobs[i] = stage->it.config;
        if (i > 0) {
            stage->jobs[i].seed = 99 + (uint64_t)i;
            stage->jobs[i].lr /= 2;
        }
        stage->want[i] = oracle_train(&stage->jobs[i], 1, reference_kernels);
    }
}

static void close_stage(struct stage *stage)
{
    for (int i = 0; i < JOBS; i++) {
        oracle_free(&stage->want[i]);
    }
    bits_case_deinit(&stage->it);
}

static void on_decision(void *self, const struct spw_decision *decision)
{
    struct attempt *attempt = self;
    ledger_note(&attempt->ledger, decision);
}

static struct spw_run_config run_config(const struct stage *stage, const struct cell *cell)
{
    return (struct spw_run_config){
        .machine = {.kind = SPW_MACHINE_HOST,
                    .device_count = cell->devices,
                    .threads = cell->threads},
        .policy = cell->policy,
        .policy_seed = 7,
        .host_bytes = UINT64_C(256) << 20,
        .prefetch = cell->prefetch,
        .update_place = cell->place,
        .keep = cell->keep,
        .reference_kernels = stage->reference_kernels,
        .guarded_homes = true,
        .poison = true,
    };
}

/* The device memory a cell asks for; never below what a job needs at all. */
static uint64_t memory_bytes(const struct stage *stage, const struct spw_job_config *job,
                             const struct cell *cell)
{
    struct spw_run_config config = run_config(stage, cell);
    struct spw_run *run = NULL;
    uint64_t least = 0;
    config.machine.mem_bytes = FITS_BYTES;
    if (spw_run_create(spw_world_system(), &config, NULL, &run) != SPW_OK ||
        spw_run_least_memory(run, job, NULL, &least) != SPW_OK) {
        abort();
    }
    spw_run_destroy(run);
    const uint64_t moments = spw_optimizer_moments(&job->optimizer);
    const uint64_t state = (uint64_t)job->graph->parameter_count * (2 + moments) * sizeof(float);
    const uint64_t wanted[] = {FITS_BYTES, state / 2, state / 8, 0};
    return wanted[cell->memory] > least ? wanted[cell->memory] : least;
}

static enum spw_status train(struct attempt *attempt, struct spw_error *error)
{
    const struct stage *stage = attempt->stage;
    struct spw_run_config config = run_config(stage, attempt->cell);
    struct spw_job_config job = stage->jobs[0];
    job.unit_micro_batches = attempt->cell->ranges;
    config.machine.mem_bytes = memory_bytes(stage, &job, attempt->cell);
    config.events = watch_events(&attempt->watch);
    SPW_TRY(spw_run_create(spw_world_system(), &config, error, &attempt->watch.run));
    for (int i = 0; i < (attempt->cell->company ? JOBS : 1); i++) {
        job = stage->jobs[i];
        job.unit_micro_batches = attempt->cell->ranges;
        SPW_TRY(watch_add(&attempt->watch, &job, &stage->want[i], error));
    }
    return spw_run_execute(attempt->watch.run, error);
}

static bool is_right(struct attempt *attempt)
{
    for (uint32_t i = 0; i < attempt->watch.count; i++) {
        if (watch_fault(&attempt->watch, i, attempt->why) != NULL) {
            return false;
        }
    }
    struct demand demand = {.cell = attempt->cell,
                            .run = attempt->watch.run,
                            .ledger = &attempt->ledger,
                            .steps = attempt->stage->want[0].steps};
    if (!demand_is_met(&demand)) {
        (void)snprintf(attempt->why, sizeof attempt->why, "%s", demand.why);
        return false;
    }
    attempt->moved = !demand_wants_moves(&demand) ||
                     ledger_moves(&attempt->ledger, attempt->watch.run) > 0;
    return true;
}

/* Reports a cell's failure in one line that can be found again. */
static bool run_cell(const struct stage *stage, const struct cell *cell)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);
    bool ok = true, moved = false;
    char text[CELL_TEXT_BYTES];
    for (int i = 0; i < TRIES && ok && !moved; i++) {
        struct spw_error error = {0};
        *attempt = (struct attempt){.stage = stage, .cell = cell};
        attempt->watch.self = attempt;
        attempt->watch.on_decision = on_decision;
        ok = train(attempt, &error) == SPW_OK;
        if (!ok) {
            (void)snprintf(attempt->why, sizeof attempt->why, "%.1000s", error.what);
        }
        ok = ok && is_right(attempt);
        moved = attempt->moved;
        spw_run_destroy(attempt->watch.run);
        ledger_free(&attempt->ledger);
    }
    if (ok && !moved) {
        (void)snprintf(attempt->why, sizeof attempt->why, "no job changed devices in %d runs",
                       TRIES);
        ok = false;
    }
    if (!ok) {
        printf("FAIL %s %s: %s\n", stage->it.name, cell_text(cell, text), attempt->why);
    }
    free(attempt);
    return ok;
}

int main(int argc, char **argv)
{
    /* A sample takes every cell whose number draws below the share. */
    const bool all = argc > 1 && strcmp(argv[1], "all") == 0;
    const uint64_t share = argc > 2 ? strtoull(argv[2], NULL, 10) : 40;
    const char *only = argc > 3 && strcmp(argv[3], "any") != 0 ? argv[3] : NULL;
    const bool reference_kernels = argc > 4 && strcmp(argv[4], "reference") == 0;
    int passed = 0, failed = 0;
    for (int c = 0; c < CASE_COUNT; c++) {
        struct stage stage;
        open_stage(&stage, c, reference_kernels);
        for (uint64_t i = 0; i < CELL_COUNT && (only == NULL || strcmp(only, stage.it.name) == 0);
             i++) {
            const struct cell cell = cell_at(i);
            if (all || (uint64_t)spw_random_word(99, (uint64_t)c, i) % CELL_COUNT < share) {
                const bool ok = run_cell(&stage, &cell);
                passed += ok;
                failed += !ok;
            }
        }
        close_stage(&stage);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
