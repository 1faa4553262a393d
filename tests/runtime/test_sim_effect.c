/* Tests of runtime/device/sim_effect.c: whatever schedule, memory, devices and cuts, jobs end with
 * the hashes of a plain run; and commands that are not ordered, or miss something, are found out.
 */
#include "cases.h"
#include "runtime/device/sim.h"

#include "base/philox.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { JOBS = 4, HASHES_MAX = 3 * 64 + 8 };

static const struct spw_machine_model model = {
    .devices = {{.mem_bytes = 1 << 30,
                 .flops_per_s = 10000000000,
                 .memory_bytes_per_s = 2000000000,
                 .launch_ns = 500,
                 .link = {.bytes_per_s = 500000000},
                 .link_latency_ns = 300}},
    .host = {.mem_bytes = 1 << 30, .cores_bytes_per_s = 3000000000, .cores_launch_ns = 200},
};

/* All that a job leaves behind: hashes of weights and moments, and its losses. */
struct outcome {
    uint64_t hashes[HASHES_MAX];
    double losses[64];
    uint32_t hash_count, loss_count;
};

struct watch {
    struct outcome outcomes[JOBS];
};

static enum spw_status on_state(void *self, struct spw_job *job, enum spw_job_state state,
                                struct spw_error *error)
{
    struct watch *watch = self;
    struct outcome *out = &watch->outcomes[spw_job_index(job)];
    const struct spw_graph *graph = spw_job_config(job)->graph;
    (void)error;
    for (int32_t i = 0; state == SPW_JOB_DONE && i < graph->param_count; i++) {
        for (uint32_t array = 0; array <= spw_job_plan(job)->options.moments; array++) {
            cr_assert(out->hash_count < HASHES_MAX);
            cr_assert(spw_job_hash(job, (enum spw_job_array)array, i,
                                   &out->hashes[out->hash_count++]) == SPW_OK);
        }
    }
    return SPW_OK;
}

static void on_step(void *self, struct spw_job *job, const struct spw_step_result *result)
{
    struct watch *watch = self;
    struct outcome *out = &watch->outcomes[spw_job_index(job)];
    cr_assert(out->loss_count + 2 <= 64);
    out->losses[out->loss_count++] = result->loss;
    out->losses[out->loss_count++] = result->grad_norm;
}

static void on_eval(void *self, struct spw_job *job, const struct spw_eval_result *result)
{
    struct watch *watch = self;
    struct outcome *out = &watch->outcomes[spw_job_index(job)];
    cr_assert(out->loss_count < 64);
    out->losses[out->loss_count++] = result->loss;
}

/* How a run is made. */
struct setting {
    enum spw_policy_name policy;
    uint32_t devices;
    uint64_t mem_bytes; /* 0: plenty */
    int32_t prefetch, update_place, keep;
    int64_t unit_micro_batches;
    bool no_residency;
};

static uint64_t least_memory(const struct bits_case *it, const struct spw_run_config *like)
{
    struct spw_run_config config = *like;
    struct spw_run *run = NULL;
    uint64_t bytes = 0;
    config.plan_only = true;
    config.events = (struct spw_run_events){0};
    cr_assert(spw_run_create(spw_world_system(), &config, NULL, &run) == SPW_OK);
    cr_assert(spw_run_least_memory(run, &it->config, NULL, &bytes) == SPW_OK);
    spw_run_destroy(run);
    return bytes;
}

/* Runs JOBS jobs of one case with seeds of their own. */
static void run_case(const struct bits_case *it, const struct setting *setting, struct watch *watch,
                     struct spw_shadow_faults *faults)
{
    struct spw_error error = {0};
    struct spw_run *run = NULL;
    struct spw_run_config config = {
        .machine = {.kind = SPW_MACHINE_SIM, .device_count = setting->devices, .threads = 1},
        .model = &model,
        .policy = setting->policy,
        .policy_seed = 3,
        .prefetch = setting->prefetch,
        .update_place = setting->update_place,
        .keep = setting->keep,
        .no_residency = setting->no_residency,
        .poison = true,
        .shadow = true,
        .events = {.self = watch, .state = on_state, .step = on_step, .eval = on_eval},
    };
    if (setting->mem_bytes != 0) {
        config.machine.mem_bytes = least_memory(it, &config) * setting->mem_bytes / 4;
    }
    cr_assert(spw_run_create(spw_world_system(), &config, &error, &run) == SPW_OK, "%s",
              error.what);
    for (int i = 0; i < JOBS; i++) {
        struct spw_job_config job_config = it->config;
        struct spw_job *job;
        char id[16];
        (void)snprintf(id, sizeof(id), "job-%d", i);
        job_config.id = id;
        job_config.seed = 100 + (uint64_t)i;
        job_config.eval_every = 2;
        job_config.unit_micro_batches = setting->unit_micro_batches;
        cr_assert(spw_run_add(run, &job_config, &error, &job) == SPW_OK, "%s", error.what);
    }
    cr_assert(spw_run_execute(run, &error) == SPW_OK, "%s", error.what);
    for (uint32_t i = 0; i < JOBS; i++) {
        struct spw_job_status status;
        spw_job_status(spw_run_job(run, i), &status);
        cr_assert(status.state == SPW_JOB_DONE, "%s", status.error.what);
    }
    *faults = *spw_run_faults(run);
    spw_run_destroy(run);
}

static struct setting draw_setting(uint64_t number)
{
    static const enum spw_policy_name policies[] = {SPW_POLICY_WEAVE, SPW_POLICY_LRTF,
                                                    SPW_POLICY_FIFO, SPW_POLICY_RANDOM};
    const uint32_t draw = spw_random_word(9, 0, number);
    return (struct setting){
        .policy = policies[draw % 4],
        .devices = 1 + (draw >> 2) % 3,
        .mem_bytes = (draw >> 4) % 3 == 0 ? 0 : 4 + (draw >> 6) % 8, /* quarters of the least */
        .prefetch = (int32_t)((draw >> 9) % 2),
        .update_place = (int32_t)((draw >> 10) % 2),
        .keep = (int32_t)((draw >> 11) % 3) - 1,
        .unit_micro_batches = (draw >> 13) % 3,
        .no_residency = (draw >> 16) % 4 == 0,
    };
}

/* One job after the other, whole, on one device, against any other way. */
static void check_case(int number)
{
    static struct watch want, got;
    static const struct setting plain = {.policy = SPW_POLICY_SERIAL, .devices = 1, .keep = 1};
    struct bits_case it;
    struct spw_shadow_faults faults;
    bits_case_init(&it, number);
    memset(&want, 0, sizeof(want));
    run_case(&it, &plain, &want, &faults);
    cr_assert(faults.count == 0, "%s", faults.first);
    cr_assert(want.outcomes[0].hash_count > 4 && want.outcomes[0].loss_count > 4);
    cr_assert(memcmp(&want.outcomes[0], &want.outcomes[1], sizeof(struct outcome)) != 0,
              "jobs differ");
    for (uint64_t i = 0; i < 40; i++) {
        const struct setting setting = draw_setting((uint64_t)number * 1000 + i);
        memset(&got, 0, sizeof(got));
        run_case(&it, &setting, &got, &faults);
        cr_assert(faults.count == 0, "case %d setting %u: %u faults, %s", number, (unsigned)i,
                  (unsigned)faults.count, faults.first);
        for (int job = 0; job < JOBS; job++) {
            cr_assert(memcmp(&want.outcomes[job], &got.outcomes[job], sizeof(struct outcome)) == 0,
                      "case %d setting %u job %d", number, (unsigned)i, job);
        }
    }
    bits_case_deinit(&it);
}

Test(sim_effect, an_mlp_ends_with_its_hashes)
{
    check_case(0);
}

Test(sim_effect, a_cnn_ends_with_its_hashes)
{
    check_case(1);
}

Test(sim_effect, a_resnet_ends_with_its_hashes)
{
    check_case(2);
}

Test(sim_effect, a_gpt_ends_with_its_hashes)
{
    check_case(3);
}

Test(sim_effect, a_gpt_with_a_large_head_ends_with_its_hashes)
{
    check_case(4);
}

Test(sim_effect, gradient_groups_end_with_their_hashes)
{
    check_case(5);
}
