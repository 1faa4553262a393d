/* fault_device.c — a device that fails or is busy hurts as little as it can.
 *
 * Two jobs of different kinds train on two devices near the least memory. For each N the N-th
 * command of the run fails: its job must end with the reason, and the other one with the oracle's
 * bits. A device that is lost may take both down, but not the run. Queues that claim to be full at
 * random change nothing at all. All the time the run's books are right, and commands that touch the
 * same bytes are in order. `fault_device sample N` makes about N attempts of a kind,
 * `fault_device all 0` every one; a third word `reference` asks for plain kernels. */
#include "books.h"
#include "cases.h"
#include "fault_backend.h"
#include "guard.h"
#include "watch.h"

#include "base/philox.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOBS = 2 };

struct stage {
    struct bits_case cases[JOBS];
    struct oracle_result want[JOBS];
    uint64_t mem_bytes;
    bool reference;
    struct watch watch;
    char books[BOOKS_FAULT_BYTES]; /* the first fault of the run's books, or "" */
    char why[WATCH_FAULT_BYTES];
};

/* ---- watching the run ---- */

static void audit(struct stage *stage)
{
    char fault[BOOKS_FAULT_BYTES];
    if (stage->books[0] == '\0' && books_fault(stage->watch.run, fault) != NULL) {
        memcpy(stage->books, fault, sizeof fault);
    }
}

static void on_decision(void *self, const struct spw_decision *decision)
{
    (void)decision;
    audit(self);
}

static enum spw_status on_state(void *self, struct spw_job *job, enum spw_job_state state,
                                struct spw_error *error)
{
    (void)job;
    (void)state;
    (void)error;
    audit(self);
    return SPW_OK;
}

/* ---- settings ---- */

static struct spw_run_config config_of(const struct stage *stage, uint64_t mem_bytes,
                                       uint64_t variant)
{
    return (struct spw_run_config){
        .machine = {.kind = SPW_MACHINE_HOST,
                    .device_count = 2,
                    .threads = 1,
                    .mem_bytes = mem_bytes},
        .host_bytes = UINT64_C(16) << 20,
        .prefetch = -1,
        .update_place = variant % 2 == 0 ? SPW_UPDATE_ON_CORES : SPW_UPDATE_ON_DEVICE,
        .keep = variant / 2 % 2 == 0 ? 0 : 1,
        .reference_kernels = stage->reference,
        .poison = true,
    };
}

static void open_stage(struct stage *stage)
{
    static const int cases[JOBS] = {0, 5};
    const struct spw_run_config config = config_of(stage, UINT64_C(8) << 20, 1);
    struct spw_run *run = NULL;
    if (spw_run_create(spw_world_system(), &config, NULL, &run) != SPW_OK) {
        abort();
    }
    for (int i = 0; i < JOBS; i++) {
        uint64_t least = 0;
        bits_case_init(&stage->cases[i], cases[i]);
        stage->want[i] = oracle_train(&stage->cases[i].config, 1, stage->reference);
        if (spw_run_least_memory(run, &stage->cases[i].config, NULL, &least) != SPW_OK) {
            abort();
        }
        stage->mem_bytes = least > stage->mem_bytes ? least : stage->mem_bytes;
    }
    stage->mem_bytes = stage->mem_bytes * 5 / 4 / 64 * 64;
    spw_run_destroy(run);
}

static void close_stage(struct stage *stage)
{
    for (int i = 0; i < JOBS; i++) {
        oracle_free(&stage->want[i]);
        bits_case_deinit(&stage->cases[i]);
    }
}

/* Trains both jobs; false, with stage->why, if the run itself could not. The run stays open. */
static bool train(struct stage *stage, struct backend_faults *faults, uint64_t variant)
{
    struct spw_error error = {0};
    struct spw_run_config config = config_of(stage, stage->mem_bytes, variant);
    stage->watch = (struct watch){.self = stage, .on_state = on_state, .on_decision = on_decision};
    stage->books[0] = '\0';
    faults->order = order_create();
    config.backend = &fault_backend;
    config.events = watch_events(&stage->watch);
    enum spw_status status = spw_run_create(&faults->world, &config, &error, &stage->watch.run);
    for (int i = 0; i < JOBS && status == SPW_OK; i++) {
        struct spw_job_config job = stage->cases[i].config;
        job.unit_micro_batches = (int64_t)(variant / 4 % 2);
        status = watch_add(&stage->watch, &job, &stage->want[i], &error);
    }
    if (status == SPW_OK) {
        status = spw_run_execute(stage->watch.run, &error);
    }
    (void)snprintf(stage->why, sizeof stage->why, "the run: %s", error.what);
    return status == SPW_OK;
}

/* Every job is done with the oracle's bits. */
static bool all_right(struct stage *stage)
{
    for (uint32_t i = 0; i < JOBS; i++) {
        if (watch_fault(&stage->watch, i, stage->why) != NULL) {
            return false;
        }
    }
    return true;
}

/* Jobs that failed say so in full; the others have the oracle's bits. */
static bool failed_decently(struct stage *stage, uint32_t failed_max, bool some_must)
{
    uint32_t failed = 0;
    for (uint32_t i = 0; i < JOBS; i++) {
        const struct spw_job_status status = watch_status(&stage->watch, i);
        if (status.state != SPW_JOB_FAILED) {
            if (watch_fault(&stage->watch, i, stage->why) != NULL) {
                return false;
            }
            continue;
        }
        failed++;
        if (status.error.status != SPW_ERR_DEVICE || strstr(status.error.what, "trial ") == NULL ||
            strstr(status.error.what, " failed on ") == NULL) {
            (void)snprintf(stage->why, sizeof stage->why, "a poor reason: %s", status.error.what);
            return false;
        }
    }
    (void)snprintf(stage->why, sizeof stage->why, "%u jobs failed", failed);
    return failed <= failed_max && (failed > 0 || !some_must);
}

/* Nothing of the jobs is left in the homes once all have ended, and the books were always right. */
static bool all_in_order(struct stage *stage, const struct backend_faults *faults)
{
    struct spw_run_stats stats;
    spw_run_stats(stage->watch.run, &stats);
    if (stats.home_bytes > 0) {
        (void)snprintf(stage->why, sizeof stage->why, "%llu bytes of homes are left",
                       (unsigned long long)stats.home_bytes);
        return false;
    }
    audit(stage);
    const char *fault = stage->books[0] != '\0' ? stage->books : order_fault(faults->order);
    if (fault != NULL) {
        (void)snprintf(stage->why, sizeof stage->why, "%s", fault);
    }
    return fault == NULL;
}

static void end_attempt(struct stage *stage, struct backend_faults *faults, bool ok)
{
    spw_run_destroy(stage->watch.run);
    order_destroy(faults->order);
    guard_end(ok, stage->why);
}

static void fail_command(struct stage *stage, uint64_t at, bool sticky)
{
    struct backend_faults faults;
    backend_faults_init(&faults);
    faults.fail_at = at;
    faults.sticky = sticky;
    const uint64_t variant = spw_random_word(3, 0, at);
    /* Every other time in a crowd of refusals, so that units stand half issued when it strikes. */
    faults.busy_of_256 = variant & 8 ? 0 : 100;
    faults.seed = at;
    guard_begin("command %llu%s", (unsigned long long)at, sticky ? " and all later ones" : "");
    bool ok = train(stage, &faults, variant);
    ok = ok && failed_decently(stage, sticky ? JOBS : 1, faults.failed > 0);
    ok = ok && all_in_order(stage, &faults);
    end_attempt(stage, &faults, ok);
}

static void be_busy(struct stage *stage, uint32_t busy_of_256, uint64_t seed)
{
    struct backend_faults faults;
    backend_faults_init(&faults);
    faults.busy_of_256 = busy_of_256;
    faults.seed = seed;
    guard_begin("busy %u of 256, seed %llu", busy_of_256, (unsigned long long)seed);
    const bool ok = train(stage, &faults, seed) && all_right(stage) && all_in_order(stage, &faults);
    end_attempt(stage, &faults, ok);
}

/* The number of commands of a good run, more or less: it hangs on timing. */
static uint64_t count_commands(struct stage *stage)
{
    struct backend_faults faults;
    backend_faults_init(&faults);
    guard_begin("a good run");
    const bool ok = train(stage, &faults, 0) && all_right(stage) && all_in_order(stage, &faults);
    end_attempt(stage, &faults, ok);
    return faults.commands;
}

int main(int argc, char **argv)
{
    const bool all = argc > 1 && strcmp(argv[1], "all") == 0;
    const uint64_t wanted = all ? 0 : argc > 2 ? strtoull(argv[2], NULL, 10) : 40;
    static struct stage stage;
    stage.reference = argc > 3 && strcmp(argv[3], "reference") == 0;
    open_stage(&stage);
    const uint64_t commands = count_commands(&stage);
    for (int sticky = 0; sticky < 2; sticky++) {
        for (uint64_t at = 1; at <= commands; at += guard_stride(commands, wanted)) {
            fail_command(&stage, at, sticky != 0);
        }
    }
    for (uint64_t seed = 0; seed < (all ? 200 : wanted / 4); seed++) {
        be_busy(&stage, 30 + (uint32_t)(seed % 4) * 70, seed);
    }
    close_stage(&stage);
    return guard_report();
}
