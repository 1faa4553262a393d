/* bench_train.c — our side of the comparison with PyTorch: seconds per step of one model in memory.
 *
 * Three ways: the in-memory executor (exactly `threads` threads) with the model's micro-batches and
 * with the whole batch as one, and the runtime on a device that holds everything, which also uses
 * its copy queues and the host cores. Prints "way seconds", one line each, for bench_pytorch.py. */
#include "in_memory.h"
#include "jobs.h"
#include "measure.h"

enum { STEPS = 5 };
#define MEM_BYTES (UINT64_C(2) << 30)

static void in_memory(const struct bench_model *model, const struct jobs_config *config,
                      const char *way)
{
    struct spw_plan *plan = jobs_plan(model, config);
    struct spw_job_config job = model->job;
    struct bench_samples samples = {0};
    job.max_steps = config->steps + 1;
    struct in_memory *it = in_memory_create(&job, plan, config->threads, IN_MEMORY_BY_MICRO_BATCH);
    (void)in_memory_step(it);
    for (uint64_t i = 0; i < config->steps; i++) {
        bench_sample(&samples, in_memory_run(it, 1));
    }
    printf("%s %.6f\n", way, bench_median(&samples));
    in_memory_destroy(it);
    spw_plan_destroy(plan);
}

int main(int argc, char **argv)
{
    const struct bench_options options = bench_options_read(argc, argv);
    struct bench_model model;
    bench_model_init(&model, options.model != NULL ? options.model : "mlp");
    const struct jobs_config config = {
        .jobs = 1,
        .devices = 1,
        .threads = options.threads > 0 ? (uint32_t)options.threads : 1,
        .mem_bytes = MEM_BYTES,
        .steps = options.steps > 0 ? (uint64_t)options.steps : STEPS,
        .keep = -1,
    };
    const struct jobs_result result = jobs_run(&model, &config);
    printf("run %.6f\n", result.seconds / (double)config.steps);
    in_memory(&model, &config, "micro_batches");
    model.job.micro_batch = model.job.batch;
    in_memory(&model, &config, "whole_batch");
    bench_model_deinit(&model);
    return 0;
}
