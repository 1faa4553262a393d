/* jobs.h — trains copies of one model through the runtime and says how long it took. */
#ifndef SPW_BENCH_JOBS_H
#define SPW_BENCH_JOBS_H

#include "models.h"

struct jobs_config {
    uint32_t jobs, devices, threads;
    uint64_t mem_bytes;        /* per device */
    uint64_t link_bytes_per_s; /* 0: as fast as memory is */
    uint64_t steps;            /* of each job */
    bool pace_model;
    bool no_prefetch;
    bool on_device; /* UPDATE runs on the devices, not on host cores */
    int32_t keep;   /* as spw_run_config.keep */
};

struct jobs_result {
    double seconds; /* from the first decision, all jobs admitted, to the end of the last step */
    double first_loss, last_loss, last_norm; /* of the first job */
    struct spw_run_stats run;
    uint64_t decide_ns;       /* the executor's own time since that first decision */
    uint64_t executor_cpu_ns; /* its thread's processor time in these seconds */
    struct spw_device_stats devices[8];
    struct spw_device_stats total; /* over the devices, host cores not counted */
    uint64_t cores_units;
    uint64_t shards;
};

/* Jobs differ in lr only; the first is `model->job`. Ends the program on any failure. */
struct jobs_result jobs_run(const struct bench_model *model, const struct jobs_config *config);

/* The plan that such a run makes; the caller destroys it. */
struct spw_plan *jobs_plan(const struct bench_model *model, const struct jobs_config *config);
uint64_t jobs_least_memory(const struct bench_model *model, const struct jobs_config *config);

#endif
