/* fault_chaos.c — everything at once, drawn from a seed: devices, memory, policies, unit ranges,
 * jobs of several kinds, full queues, a slow device, a failing command, jobs that come late, wait
 * for host memory, or leave.
 *
 * Whatever happens, the run ends, homes are given back, and every job that nobody took out and no
 * device failed has the oracle's bits. `fault_chaos N` tries N seeds, `fault_chaos N S` from S on,
 * `fault_chaos N S reference` with plain kernels. */
#include "books.h"
#include "cases.h"
#include "fault_backend.h"
#include "guard.h"
#include "watch.h"

#include "base/philox.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KINDS = 4 };
static const int CASES[KINDS] = {0, 1, 3, 5};

struct stage {
    struct bits_case cases[KINDS];
    struct oracle_result want[KINDS];
    uint64_t least_bytes; /* of device memory for all of them */
    uint64_t home_bytes;  /* of the job that takes most */
    bool reference;       /* plain kernels */
};

struct attempt {
    struct stage *stage;
    struct watch watch;
    struct backend_faults faults;
    uint64_t seed, draws;
    uint64_t decisions, leave_at; /* when `leaver` is cancelled; 0: never */
    uint32_t leaver;
    uint32_t late; /* jobs still to be added when others end */
    char why[WATCH_FAULT_BYTES];
    char books[BOOKS_FAULT_BYTES]; /* the first fault of the run's books, or "" */
};

static void audit(struct attempt *attempt)
{
    char fault[BOOKS_FAULT_BYTES];
    if (attempt->books[0] == '\0' && books_fault(attempt->watch.run, fault) != NULL) {
        memcpy(attempt->books, fault, sizeof fault);
    }
}

/* A number in [0, below). */
static uint32_t draw(struct attempt *attempt, uint32_t below)
{
    return spw_random_word(attempt->seed, 17, attempt->draws++) % below;
}

/* ---- the jobs ---- */

static enum spw_status add_job(struct attempt *attempt, struct spw_error *error)
{
    const uint32_t kind = draw(attempt, KINDS);
    struct spw_job_config job = attempt->stage->cases[kind].config;
    job.unit_micro_batches = draw(attempt, 4);
    job.eval_every = draw(attempt, 3);
    return watch_add(&attempt->watch, &job, &attempt->stage->want[kind], error);
}

static enum spw_status on_state(void *self, struct spw_job *job, enum spw_job_state state,
                                struct spw_error *error)
{
    struct attempt *attempt = self;
    (void)job;
    audit(attempt);
    if (state == SPW_JOB_DONE && attempt->late > 0) {
        attempt->late--;
        return add_job(attempt, error);
    }
    return SPW_OK;
}

static void on_decision(void *self, const struct spw_decision *decision)
{
    struct attempt *attempt = self;
    (void)decision;
    audit(attempt);
    if (++attempt->decisions == attempt->leave_at && attempt->leaver < attempt->watch.count) {
        spw_run_cancel(attempt->watch.run, attempt->watch.jobs[attempt->leaver].job);
    }
}

/* ---- the run ---- */

static struct spw_run_config draw_config(struct attempt *attempt)
{
    static const enum spw_policy_name policies[] = {
        SPW_POLICY_RANDOM, SPW_POLICY_RANDOM, SPW_POLICY_LRTF, SPW_POLICY_FIFO, SPW_POLICY_SERIAL};
    static const uint32_t eighths[] = {8, 9, 11, 16, 64};
    const struct stage *stage = attempt->stage;
    struct spw_run_config config = {
        .machine.kind = SPW_MACHINE_HOST,
        .policy_seed = attempt->seed,
        .backend = &fault_backend,
        .guarded_homes = true,
        .reference_kernels = stage->reference,
        .poison = true,
        .events = watch_events(&attempt->watch),
    };
    /* One after the other: in what order an initializer draws is the compiler's choice. */
    config.machine.device_count = 1 + draw(attempt, 4);
    config.machine.threads = 1 + draw(attempt, 2);
    config.machine.mem_bytes = stage->least_bytes * eighths[draw(attempt, 5)] / 8 / 64 * 64;
    config.policy = policies[draw(attempt, 5)];
    config.prefetch = (int32_t)draw(attempt, 2);
    config.update_place = (int32_t)draw(attempt, 2);
    config.keep = (int32_t)draw(attempt, 3) - 1;
    config.no_residency = draw(attempt, 8) == 0;
    /* Room for all, or for one and a half. */
    config.host_bytes = draw(attempt, 2) ? stage->home_bytes * 8 : stage->home_bytes * 3 / 2;
    config.host_bytes = (config.host_bytes + 4095) / 4096 * 4096;
    return config;
}

static void draw_faults(struct attempt *attempt)
{
    static const uint32_t busy[] = {0, 60, 200};
    struct backend_faults *faults = &attempt->faults;
    backend_faults_init(faults);
    faults->busy_of_256 = busy[draw(attempt, 3)];
    faults->late_of_256 = busy[draw(attempt, 3)];
    faults->seed = attempt->seed;
    faults->fail_at = draw(attempt, 3) == 0 ? 1 + draw(attempt, 800) : 0;
    if (draw(attempt, 4) == 0) {
        faults->slow_flops_per_s = UINT64_C(1000000000);
        faults->slow_link_bytes_per_s = UINT64_C(100000000);
    }
    attempt->leave_at = draw(attempt, 2) ? 1 + draw(attempt, 300) : 0;
    attempt->leaver = draw(attempt, 3);
    attempt->late = draw(attempt, 3);
}

static bool judge_job(struct attempt *attempt, uint32_t index, uint32_t *failed)
{
    const struct spw_job_status status = watch_status(&attempt->watch, index);
    if (status.state == SPW_JOB_FAILED) {
        (void)snprintf(attempt->why, sizeof attempt->why, "job %" PRIu32 " failed: %.900s", index,
                       status.error.what);
        ++*failed;
        return attempt->faults.failed > 0 && status.error.status == SPW_ERR_DEVICE;
    }
    if (status.state == SPW_JOB_CANCELLED && attempt->leave_at > 0 && index == attempt->leaver) {
        return true;
    }
    return watch_fault(&attempt->watch, index, attempt->why) == NULL;
}

static bool judge(struct attempt *attempt, enum spw_status status, const struct spw_error *error)
{
    uint32_t failed = 0;
    if (status != SPW_OK) {
        (void)snprintf(attempt->why, sizeof attempt->why, "the run: %s", error->what);
        return false;
    }
    if (order_fault(attempt->faults.order) != NULL) {
        (void)snprintf(attempt->why, sizeof attempt->why, "%s", order_fault(attempt->faults.order));
        return false;
    }
    audit(attempt);
    if (attempt->books[0] != '\0') {
        (void)snprintf(attempt->why, sizeof attempt->why, "%s", attempt->books);
        return false;
    }
    for (uint32_t i = 0; i < attempt->watch.count; i++) {
        if (!judge_job(attempt, i, &failed)) {
            return false;
        }
    }
    struct spw_run_stats stats;
    spw_run_stats(attempt->watch.run, &stats);
    (void)snprintf(attempt->why, sizeof attempt->why, "%u jobs failed, %d bytes of homes are left",
                   failed, (int)stats.home_bytes);
    return failed <= 1 && stats.home_bytes == 0;
}

static void try_seed(struct stage *stage, uint64_t seed)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);
    struct spw_error error = {0};
    attempt->stage = stage;
    attempt->seed = seed;
    attempt->watch.self = attempt;
    attempt->watch.on_state = on_state;
    attempt->watch.on_decision = on_decision;
    const struct spw_run_config config = draw_config(attempt);
    draw_faults(attempt);
    attempt->faults.order = order_create();
    const uint32_t jobs = 1 + draw(attempt, 5);
    guard_begin("seed %" PRIu64, seed);
    enum spw_status status =
        spw_run_create(&attempt->faults.world, &config, &error, &attempt->watch.run);
    for (uint32_t i = 0; i < jobs && status == SPW_OK; i++) {
        status = add_job(attempt, &error);
    }
    if (status == SPW_OK) {
        status = spw_run_execute(attempt->watch.run, &error);
    }
    const bool ok = judge(attempt, status, &error);
    spw_run_destroy(attempt->watch.run);
    order_destroy(attempt->faults.order);
    guard_end(ok, attempt->why);
    free(attempt);
}

/* ---- all of them ---- */

static struct spw_run *open_wide(void)
{
    const struct spw_run_config config = {
        .machine = {.kind = SPW_MACHINE_HOST,
                    .device_count = 1,
                    .threads = 2,
                    .mem_bytes = UINT64_C(8) << 20},
        .host_bytes = UINT64_C(64) << 20,
        .prefetch = 1,
        .update_place = SPW_UPDATE_ON_DEVICE,
        .keep = 1,
    };
    struct spw_run *run = NULL;
    if (spw_run_create(spw_world_system(), &config, NULL, &run) != SPW_OK) {
        abort();
    }
    return run;
}

static void open_stage(struct stage *stage)
{
    for (int i = 0; i < KINDS; i++) {
        bits_case_init(&stage->cases[i], CASES[i]);
        stage->want[i] = oracle_train(&stage->cases[i].config, 1, stage->reference);
        struct spw_run *run = open_wide();
        struct spw_job *job = NULL;
        struct spw_run_stats stats;
        uint64_t least = 0;
        if (spw_run_least_memory(run, &stage->cases[i].config, NULL, &least) != SPW_OK ||
            spw_run_add(run, &stage->cases[i].config, NULL, &job) != SPW_OK ||
            spw_run_execute(run, NULL) != SPW_OK) {
            abort();
        }
        spw_run_stats(run, &stats);
        spw_run_destroy(run);
        stage->least_bytes = least > stage->least_bytes ? least : stage->least_bytes;
        if (stats.home_peak_bytes > stage->home_bytes) {
            stage->home_bytes = stats.home_peak_bytes;
        }
    }
    /* Kept activations and many cuts take more host memory than the one plan that was tried. */
    stage->home_bytes *= 2;
}

int main(int argc, char **argv)
{
    const uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 60;
    const uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    static struct stage stage;
    stage.reference = argc > 3 && strcmp(argv[3], "reference") == 0;
    open_stage(&stage);
    for (uint64_t seed = first; seed < first + count; seed++) {
        try_seed(&stage, seed);
    }
    for (int i = 0; i < KINDS; i++) {
        oracle_free(&stage.want[i]);
        bits_case_deinit(&stage.cases[i]);
    }
    return guard_report();
}
