/* fault_run.c — a whole small run, with the N-th allocation or file call failing, for every N.
 *
 * Two jobs of different kinds train and are evaluated on two devices with the least memory; spans
 * go to a trace, weights to safetensors files, decisions to a log. One fault each time: an
 * allocation, or a file call, fails once, or from then on (then the disk is full: only what needs
 * room fails). Each attempt must end; leave no memory, open file or temporary; give a reason for
 * whatever is missing; and leave result files that are complete or absent. Faults begin before data
 * and graphs are opened, or after. `fault_run sample N` makes about N attempts of a kind,
 * `fault_run all` every one; a third word `reference` asks for plain kernels. */
#include "cases.h"
#include "guard.h"
#include "judge.h"

#include "base/status.h"
#include "base/text.h"
#include "models/safetensors.h"
#include "runtime/record/trace.h"
#include "tests/support/fault_world.h"
#include "tests/support/temporary.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { JOBS = 2, LOG_MAX = 4096 };
static const int CASES[JOBS] = {0, 3};
static const char *const RESULTS[JOBS] = {"mlp.safetensors", "gpt.safetensors"};

struct stage {
    struct spw_fault_world fault;
    struct spw_temporary folder;
    struct bits_case ready[JOBS]; /* opened outside the world that fails */
    char *good[JOBS];             /* contents of the result files of a good run */
    uint64_t good_bytes[JOBS];
    uint64_t mem_bytes;
    bool reference;
    char why[1024];
};

/* One attempt. */
struct attempt {
    struct stage *stage;
    const struct spw_world *world;
    struct spw_run *run;
    struct spw_trace *trace;
    struct spw_decision log[LOG_MAX];
    uint64_t log_count;
    bool started[JOBS], done[JOBS];
    struct spw_error error; /* of the whole */
    struct spw_job_status status[JOBS];
};

/* ---- events ---- */

static void on_span(void *self, const struct spw_span *span)
{
    struct attempt *attempt = self;
    spw_trace_span(attempt->trace, span);
}

static void on_decision(void *self, const struct spw_decision *decision)
{
    struct attempt *attempt = self;
    if (attempt->log_count == LOG_MAX) {
        abort();
    }
    attempt->log[attempt->log_count++] = *decision;
}

static enum spw_status read_weights(void *self, uint64_t index, uint64_t first, uint64_t count,
                                    float *out, struct spw_error *error)
{
    return spw_job_read_part(self, SPW_JOB_WEIGHTS, (int32_t)index, first, count, out, error);
}

static enum spw_status save(struct attempt *attempt, struct spw_job *job, struct spw_error *error)
{
    const struct spw_graph *graph = spw_job_config(job)->graph;
    const char *names[64];
    struct spw_shape shapes[64];
    char path[512];
    if (graph->param_count > 64) {
        abort();
    }
    for (int32_t i = 0; i < graph->param_count; i++) {
        names[i] = graph->params[i].name;
        shapes[i] = graph->params[i].shape;
    }
    const struct spw_tensor_source source = {.self = job, .read = read_weights};
    (void)spw_temporary_path(&attempt->stage->folder, RESULTS[spw_job_index(job)], path);
    return spw_safetensors_write(attempt->world, path, (uint64_t)graph->param_count, names, shapes,
                                 &source, error);
}

static enum spw_status on_state(void *self, struct spw_job *job, enum spw_job_state state,
                                struct spw_error *error)
{
    return state == SPW_JOB_DONE ? save(self, job, error) : SPW_OK;
}

/* ---- one attempt ---- */

static struct spw_run_config config_of(const struct stage *stage, uint64_t mem_bytes)
{
    return (struct spw_run_config){
        .machine = {.kind = SPW_MACHINE_HOST,
                    .device_count = 2,
                    .threads = 2,
                    .mem_bytes = mem_bytes},
        .host_bytes = UINT64_C(16) << 20,
        .prefetch = -1,
        .update_place = -1,
        .keep = -1,
        .reference_kernels = stage->reference,
    };
}

static enum spw_status write_log(struct attempt *attempt)
{
    struct spw_text text;
    char path[512];
    spw_text_init(&text, attempt->world);
    for (uint64_t i = 0; i < attempt->log_count; i++) {
        const struct spw_decision *it = &attempt->log[i];
        spw_text_add(&text, "%u %u %d %d\n", it->device, it->job, (int)it->kind, it->shard);
    }
    spw_text_add(&text, "end\n");
    enum spw_status status = SPW_OK;
    if (text.failed) {
        status = SPW_FAIL(&attempt->error, SPW_ERR_NO_MEMORY, "no memory for the log");
    } else {
        status = spw_write_file(attempt->world,
                                spw_temporary_path(&attempt->stage->folder, "decisions", path),
                                text.data, text.bytes, &attempt->error);
    }
    spw_text_deinit(&text);
    return status;
}

static enum spw_status run_jobs(struct attempt *attempt, const struct bits_case *cases)
{
    struct stage *stage = attempt->stage;
    struct spw_error *error = &attempt->error;
    char path[512];
    struct spw_run_config config = config_of(stage, stage->mem_bytes);
    config.events = (struct spw_run_events){
        .self = attempt, .state = on_state, .decision = on_decision, .span = on_span};
    SPW_TRY(spw_run_create(attempt->world, &config, error, &attempt->run));
    for (int i = 0; i < JOBS; i++) {
        struct spw_job *job = NULL;
        SPW_TRY(spw_run_add(attempt->run, &cases[i].config, error, &job));
        attempt->started[i] = true;
    }
    SPW_TRY(spw_trace_create(attempt->world, spw_temporary_path(&stage->folder, "trace", path),
                             attempt->run, error, &attempt->trace));
    SPW_TRY(spw_run_execute(attempt->run, error));
    return write_log(attempt);
}

static enum spw_status train_all(struct attempt *attempt, bool open_inside)
{
    struct stage *stage = attempt->stage;
    struct bits_case inside[JOBS] = {0};
    enum spw_status status = SPW_OK;
    for (int i = 0; i < JOBS && open_inside && status == SPW_OK; i++) {
        status = bits_case_open(attempt->world, CASES[i], &attempt->error, &inside[i]);
    }
    if (status == SPW_OK) {
        status = run_jobs(attempt, open_inside ? inside : stage->ready);
    }
    struct spw_error late = {0};
    const enum spw_status closed = spw_trace_close(attempt->trace, &late);
    if (status == SPW_OK && closed != SPW_OK) {
        status = closed;
        attempt->error = late;
    }
    for (uint32_t i = 0; i < JOBS; i++) {
        if (attempt->started[i]) {
            spw_job_status(spw_run_job(attempt->run, i), &attempt->status[i]);
            attempt->done[i] = attempt->status[i].state == SPW_JOB_DONE;
        }
    }
    spw_run_destroy(attempt->run);
    for (int i = 0; i < JOBS && open_inside; i++) {
        bits_case_deinit(&inside[i]);
    }
    return status;
}

/* ---- judging it ---- */

static bool fault(struct stage *stage, const char *why)
{
    (void)snprintf(stage->why, sizeof stage->why, "%s", why);
    return false;
}

/* A result file is there, whole, if and only if its job is done. */
static bool judge_result(struct attempt *attempt, int job)
{
    struct stage *stage = attempt->stage;
    char path[512];
    uint64_t bytes = 0;
    char *data = judge_read(spw_temporary_path(&stage->folder, RESULTS[job], path), &bytes);
    bool ok = true;
    if (attempt->done[job] != (data != NULL)) {
        ok = fault(stage, data != NULL ? "a result of a job that is not done"
                                       : "a job is done without a result");
    } else if (data != NULL &&
               (bytes != stage->good_bytes[job] || memcmp(data, stage->good[job], bytes) != 0)) {
        ok = fault(stage, "a result that differs from the good run's");
    }
    if (attempt->started[job] && attempt->status[job].state == SPW_JOB_FAILED &&
        attempt->status[job].error.what[0] == '\0') {
        ok = fault(stage, "a job failed without a reason");
    }
    free(data);
    return ok;
}

static bool judge_files(struct attempt *attempt, enum spw_status status)
{
    struct stage *stage = attempt->stage;
    char path[512];
    uint64_t bytes = 0;
    char *log = judge_read(spw_temporary_path(&stage->folder, "decisions", path), &bytes);
    bool ok = true;
    if (log != NULL && (bytes < 4 || memcmp(log + bytes - 4, "end\n", 4) != 0)) {
        ok = fault(stage, "half a log of decisions");
    }
    if (status == SPW_OK && log == NULL) {
        ok = fault(stage, "the log of decisions is missing");
    }
    const int files = (log != NULL) + attempt->done[0] + attempt->done[1];
    free(log);
    char *trace = judge_read(spw_temporary_path(&stage->folder, "trace", path), &bytes);
    if (trace != NULL && !judge_packets(trace, bytes, status == SPW_OK)) {
        ok = fault(stage, "the trace does not read");
    }
    if (spw_temporary_count(&stage->folder) != files + (trace != NULL)) {
        ok = fault(stage, "a file is left over");
    }
    free(trace);
    return ok;
}

static bool judge(struct attempt *attempt, enum spw_status status, enum spw_fault_kind kind)
{
    struct stage *stage = attempt->stage;
    const bool complete = status == SPW_OK && attempt->done[0] && attempt->done[1];
    if (!spw_fault_world_clean(&stage->fault)) {
        return fault(stage, "memory or an open file is left over");
    }
    if ((status != SPW_OK) != (attempt->error.status != SPW_OK) ||
        (status != SPW_OK && attempt->error.what[0] == '\0')) {
        return fault(stage, "a failure without a reason");
    }
    if (spw_fault_world_struck(&stage->fault) ? complete && kind == SPW_FAULT_ALLOCATION
                                              : !complete) {
        return fault(stage, complete ? "a failed allocation went unnoticed" : attempt->error.what);
    }
    return judge_result(attempt, 0) && judge_result(attempt, 1) && judge_files(attempt, status);
}

static void clear(struct stage *stage)
{
    const char *const names[] = {RESULTS[0], RESULTS[1], "trace", "decisions"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[512];
        (void)unlink(spw_temporary_path(&stage->folder, names[i], path));
    }
}

/* Whether the fault struck: past the last call it doesn't. */
static bool attempt_one(struct stage *stage, bool open_inside, enum spw_fault_kind kind,
                        struct spw_fault_rule rule)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);
    guard_begin("%s, %s %llu fails%s", open_inside ? "from the start" : "after opening",
                kind == SPW_FAULT_FILE ? "file call" : "allocation", (unsigned long long)rule.at,
                rule.sticky ? " and all later ones" : "");
    spw_fault_world_init(&stage->fault, spw_world_system());
    spw_fault_world_arm(&stage->fault, kind, rule);
    attempt->stage = stage;
    attempt->world = &stage->fault.world;
    const enum spw_status status = train_all(attempt, open_inside);
    guard_end(judge(attempt, status, kind), stage->why);
    clear(stage);
    free(attempt);
    return spw_fault_world_struck(&stage->fault);
}

/* ---- all of them ---- */

/* The run that all others are held against; returns how many calls of each kind it makes. */
static void run_well(struct stage *stage, bool open_inside, uint64_t calls[SPW_FAULT_KINDS])
{
    struct attempt *attempt = calloc(1, sizeof *attempt);
    guard_begin("a good run");
    spw_fault_world_init(&stage->fault, spw_world_system());
    attempt->stage = stage;
    attempt->world = &stage->fault.world;
    const enum spw_status status = train_all(attempt, open_inside);
    for (int i = 0; i < JOBS && !open_inside; i++) {
        char path[512];
        stage->good[i] =
            judge_read(spw_temporary_path(&stage->folder, RESULTS[i], path), &stage->good_bytes[i]);
    }
    const bool ok = judge(attempt, status, SPW_FAULT_FILE) && stage->good[0] != NULL;
    for (int kind = 0; kind < SPW_FAULT_KINDS; kind++) {
        calls[kind] = atomic_load(&stage->fault.calls[kind]);
    }
    guard_end(ok, stage->why);
    clear(stage);
    free(attempt);
}

static void fail_each(struct stage *stage, bool open_inside, uint64_t wanted)
{
    uint64_t calls[SPW_FAULT_KINDS];
    run_well(stage, open_inside, calls);
    for (int kind = 0; kind < SPW_FAULT_KINDS; kind++) {
        const uint64_t stride = guard_stride(calls[kind], wanted);
        for (int sticky = 0; sticky < 2; sticky++) {
            struct spw_fault_rule rule = {.at = 1, .sticky = sticky != 0};
            rule.full_disk = sticky && kind == SPW_FAULT_FILE;
            rule.native = rule.full_disk ? ENOSPC : 0;
            while (attempt_one(stage, open_inside, (enum spw_fault_kind)kind, rule)) {
                rule.at += stride;
            }
        }
    }
}

/* The least memory with which both jobs run. */
static uint64_t least_memory(const struct stage *stage)
{
    const struct spw_run_config config = config_of(stage, UINT64_C(8) << 20);
    struct spw_run *run = NULL;
    uint64_t most = 0;
    if (spw_run_create(spw_world_system(), &config, NULL, &run) != SPW_OK) {
        abort();
    }
    for (int i = 0; i < JOBS; i++) {
        uint64_t least = 0;
        if (spw_run_least_memory(run, &stage->ready[i].config, NULL, &least) != SPW_OK) {
            abort();
        }
        most = least > most ? least : most;
    }
    spw_run_destroy(run);
    return most;
}

int main(int argc, char **argv)
{
    const bool all = argc > 1 && strcmp(argv[1], "all") == 0;
    const uint64_t wanted = all ? 0 : argc > 2 ? strtoull(argv[2], NULL, 10) : 20;
    static struct stage stage;
    stage.reference = argc > 3 && strcmp(argv[3], "reference") == 0;
    spw_temporary_init(&stage.folder);
    for (int i = 0; i < JOBS; i++) {
        bits_case_init(&stage.ready[i], CASES[i]);
    }
    stage.mem_bytes = least_memory(&stage);
    fail_each(&stage, false, wanted);
    fail_each(&stage, true, wanted);
    for (int i = 0; i < JOBS; i++) {
        bits_case_deinit(&stage.ready[i]);
        free(stage.good[i]);
    }
    spw_temporary_deinit(&stage.folder);
    return guard_report();
}
