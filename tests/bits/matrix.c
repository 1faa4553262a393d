/* matrix.c — promise A: bits do not depend on the schedule.
 *
 * Every cell trains a case under one combination of policy, memory, devices, threads, prefetch,
 * unit ranges, place of UPDATE, recomputation and company, and compares every loss, norm, weight
 * and moment with the oracle's, bit for bit. It also demands that the cell did what it is there
 * for: that bytes moved, blocks were evicted, several devices took part. Compute workers can't read
 * homes, and freed ranges of a device are NaN. `matrix all` runs every cell, `matrix sample N` a
 * fixed part of them. */
#include "cases.h"
#include "oracle.h"

#include "base/philox.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum memory { MEMORY_FITS, MEMORY_HALF, MEMORY_EIGHTH, MEMORY_LEAST, MEMORY_COUNT };
static const char *const MEMORY_NAMES[] = {"fits", "1/2", "1/8", "least"};

/* Room for any of the cases; regions are faulted in at once, so more would only cost time. */
#define FITS_BYTES (UINT64_C(12) << 20)

struct cell {
    int policy; /* enum spw_policy_name, without replay */
    enum memory memory;
    uint32_t devices; /* 1..3 */
    uint32_t threads; /* 1..2 */
    int prefetch;     /* 0, 1 */
    bool company;     /* two other jobs train beside it */
    int ranges;       /* micro-batches per unit: 0 all, 1, 2 */
    int place;        /* of UPDATE: 0 cores, 1 device */
    int keep;         /* 0 recompute, 1 keep */
};

struct watch {
    const struct oracle_result *want;
    struct spw_job *job;
    uint64_t steps;
    int differences;
    uint64_t devices_used; /* bit mask */
    bool done;
    char first[256];
};

static void differ(struct watch *watch, const char *what, int64_t at, double got, double want)
{
    if (watch->differences++ == 0) {
        (void)snprintf(watch->first, sizeof watch->first, "%s[%" PRId64 "]: got %.9g, want %.9g",
                       what, at, got, want);
    }
}

static void on_step(void *self, struct spw_job *job, const struct spw_step_result *result)
{
    struct watch *watch = self;
    if (job != watch->job) {
        return;
    }
    const uint64_t i = result->step - 1;
    watch->steps++;
    if (memcmp(&result->loss, &watch->want->losses[i], sizeof(double)) != 0) {
        differ(watch, "loss", (int64_t)i, result->loss, watch->want->losses[i]);
    }
    if (memcmp(&result->grad_norm, &watch->want->norms[i], sizeof(double)) != 0) {
        differ(watch, "norm", (int64_t)i, result->grad_norm, watch->want->norms[i]);
    }
}

static void on_eval(void *self, struct spw_job *job, const struct spw_eval_result *result)
{
    struct watch *watch = self;
    if (job == watch->job && result->step == watch->want->steps &&
        (result->loss != watch->want->eval_loss ||
         result->accuracy != watch->want->eval_accuracy)) {
        differ(watch, "eval", 0, result->loss, watch->want->eval_loss);
    }
}

static void compare_array(struct watch *watch, enum spw_job_array array, float *const *want,
                          const char *what)
{
    const struct spw_graph *graph = watch->want->graph;
    for (int32_t p = 0; p < graph->param_count; p++) {
        if (want[p] == NULL) {
            continue;
        }
        const size_t bytes = (size_t)graph->params[p].elements * sizeof(float);
        float *got = malloc(bytes);
        if (spw_job_read(watch->job, array, p, got, NULL) != SPW_OK) {
            differ(watch, what, p, NAN, 0);
        } else if (memcmp(got, want[p], bytes) != 0) {
            for (int64_t e = 0; e < graph->params[p].elements; e++) {
                if (memcmp(&got[e], &want[p][e], sizeof(float)) != 0) {
                    differ(watch, graph->params[p].name, e, (double)got[e], (double)want[p][e]);
                    break;
                }
            }
        }
        free(got);
    }
}

static enum spw_status on_state(void *self, struct spw_job *job, enum spw_job_state state,
                                struct spw_error *error)
{
    struct watch *watch = self;
    (void)error;
    if (job == watch->job && state == SPW_JOB_DONE) {
        watch->done = true;
        compare_array(watch, SPW_JOB_WEIGHTS, watch->want->weights, "weights");
        compare_array(watch, SPW_JOB_MOMENT0, watch->want->moments[0], "moment 0");
        compare_array(watch, SPW_JOB_MOMENT1, watch->want->moments[1], "moment 1");
    }
    return SPW_OK;
}

static void on_decision(void *self, const struct spw_decision *decision)
{
    struct watch *watch = self;
    if (watch->job != NULL && decision->job == spw_job_index(watch->job)) {
        watch->devices_used |= UINT64_C(1) << decision->device;
    }
}

/* Reports one cell's failure in one line that can be found again. */
static bool complain(const struct bits_case *it, const struct cell *cell, const char *why)
{
    printf("FAIL %s policy=%s memory=%s devices=%u threads=%u prefetch=%d company=%d ranges=%d "
           "place=%d keep=%d: %s\n",
           it->name, spw_policy_names[cell->policy], MEMORY_NAMES[cell->memory], cell->devices,
           cell->threads, cell->prefetch, cell->company, cell->ranges, cell->place, cell->keep,
           why);
    return false;
}

static bool reference_kernels; /* set once, by main */
/* Whether a job changes devices hangs on timing, so it is demanded of the cells together. */
static int could_change_devices, did_change_devices;

static struct spw_run_config run_config(const struct cell *cell, struct watch *watch)
{
    return (struct spw_run_config){
        .machine = {.kind = SPW_MACHINE_HOST,
                    .device_count = cell->devices,
                    .threads = cell->threads},
        .policy = (enum spw_policy_name)cell->policy,
        .policy_seed = 7,
        .host_bytes = UINT64_C(256) << 20,
        .prefetch = cell->prefetch,
        .update_place = cell->place,
        .keep = cell->keep,
        .reference_kernels = reference_kernels,
        .guarded_homes = true,
        .poison = true,
        .events = {.self = watch,
                   .step = on_step,
                   .eval = on_eval,
                   .state = on_state,
                   .decision = on_decision},
    };
}

/* The device memory a cell asks for; never below what the job needs at all. */
static uint64_t memory_bytes(const struct spw_job_config *job, const struct cell *cell)
{
    struct spw_run_config config = run_config(cell, NULL);
    struct spw_run *run = NULL;
    uint64_t least = 0;
    config.machine.mem_bytes = FITS_BYTES;
    config.events = (struct spw_run_events){0};
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

static bool check_work(const struct bits_case *it, const struct cell *cell, struct spw_run *run,
                       const struct watch *watch)
{
    struct spw_device_stats sum = {0};
    for (uint32_t i = 0; i < cell->devices; i++) {
        struct spw_device_stats stats;
        spw_run_device_stats(run, i, &stats);
        sum.bytes_in += stats.bytes_in;
        sum.bytes_out += stats.bytes_out;
        sum.evictions += stats.evictions;
        if (stats.peak_bytes > stats.region_bytes) {
            return complain(it, cell, "a region overflowed");
        }
    }
    if (sum.bytes_in == 0 || sum.bytes_out == 0) {
        return complain(it, cell, "no bytes moved");
    }
    if (cell->memory == MEMORY_LEAST && spw_job_plan(watch->job)->shard_count < 2) {
        return complain(it, cell, "the least memory holds the whole model");
    }
    const bool one_device = cell->devices == 1 && !cell->company;
    if (cell->memory == MEMORY_LEAST && one_device && sum.evictions == 0) {
        return complain(it, cell, "nothing was evicted");
    }
    const uint64_t devices = watch->devices_used & ((UINT64_C(1) << cell->devices) - 1);
    const bool many = (devices & (devices - 1)) != 0;
    if (cell->devices > 1 && cell->company && cell->memory == MEMORY_LEAST) {
        could_change_devices++;
        did_change_devices += many;
    }
    return true;
}

static bool run_cell(const struct bits_case *it, const struct oracle_result *want,
                     const struct cell *cell)
{
    struct watch watch = {.want = want};
    struct spw_run_config config = run_config(cell, &watch);
    struct spw_job_config job = it->config;
    struct spw_error error = {0};
    struct spw_run *run = NULL;
    job.unit_micro_batches = cell->ranges;
    config.machine.mem_bytes = memory_bytes(&job, cell);
    if (spw_run_create(spw_world_system(), &config, &error, &run) != SPW_OK) {
        return complain(it, cell, error.what);
    }
    bool ok = spw_run_add(run, &job, &error, &watch.job) == SPW_OK;
    for (int i = 0; ok && cell->company && i < 2; i++) {
        struct spw_job *other;
        struct spw_job_config beside = job;
        beside.seed = 100 + (uint64_t)i;
        beside.lr = job.lr / 2;
        ok = spw_run_add(run, &beside, &error, &other) == SPW_OK;
    }
    ok = ok && spw_run_execute(run, &error) == SPW_OK;
    if (!ok) {
        complain(it, cell, error.what);
    } else if (!watch.done) {
        struct spw_job_status status;
        spw_job_status(watch.job, &status);
        ok = complain(it, cell, status.error.what);
    } else if (watch.differences > 0) {
        ok = complain(it, cell, watch.first);
    } else if (watch.steps != want->steps) {
        ok = complain(it, cell, "not every step was reported");
    } else {
        ok = check_work(it, cell, run, &watch);
    }
    spw_run_destroy(run);
    return ok;
}

/* Cell `index` of the full product; false past the end. */
static bool cell_at(uint64_t index, struct cell *out)
{
    const uint64_t sizes[] = {4, MEMORY_COUNT, 3, 2, 2, 2, 3, 2, 2};
    uint64_t digits[9];
    for (int i = 0; i < 9; i++) {
        digits[i] = index % sizes[i];
        index /= sizes[i];
    }
    *out = (struct cell){
        .policy = (int)digits[0],
        .memory = (enum memory)digits[1],
        .devices = 1 + (uint32_t)digits[2],
        .threads = 1 + (uint32_t)digits[3],
        .prefetch = (int)digits[4],
        .company = digits[5] != 0,
        .ranges = (int)digits[6],
        .place = (int)digits[7],
        .keep = (int)digits[8],
    };
    return index == 0;
}

int main(int argc, char **argv)
{
    /* 4608 cells for each case; a sample takes every cell whose number draws below the share. */
    const uint64_t cells = UINT64_C(4) * MEMORY_COUNT * 3 * 2 * 2 * 2 * 3 * 2 * 2;
    const bool all = argc > 1 && strcmp(argv[1], "all") == 0;
    const uint64_t share = argc > 2 ? strtoull(argv[2], NULL, 10) : 40;
    const char *only = argc > 3 && strcmp(argv[3], "any") != 0 ? argv[3] : NULL;
    reference_kernels = argc > 4 && strcmp(argv[4], "reference") == 0;
    int passed = 0, failed = 0;
    for (int c = 0; c < CASE_COUNT; c++) {
        struct bits_case it;
        bits_case_init(&it, c);
        if (only == NULL || strcmp(only, it.name) == 0) {
            struct oracle_result want = oracle_train(&it.config, 1, reference_kernels);
            for (uint64_t i = 0; i < cells; i++) {
                struct cell cell;
                const uint64_t draw = (uint64_t)spw_random_word(99, (uint64_t)c, i) % cells;
                if (!cell_at(i, &cell)) {
                    break;
                }
                if (all || draw < share) {
                    const bool ok = run_cell(&it, &want, &cell);
                    passed += ok;
                    failed += !ok;
                }
            }
            oracle_free(&want);
        }
        bits_case_deinit(&it);
    }
    if (did_change_devices == 0 && could_change_devices >= 8) {
        printf("FAIL jobs changed devices in %d of %d cells\n", did_change_devices,
               could_change_devices);
        failed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
