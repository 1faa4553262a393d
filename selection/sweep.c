/* sweep.c — opens what a spec names. Tested by tests/selection/test_sweep.c. */
#include "selection/sweep.h"

#include "base/assert.h"
#include "base/status.h"
#include "selection/build.h"
#include "selection/decisions.h"
#include "selection/machine_file.h"
#include "selection/schema.h"

#include <stdio.h>

/* Passes on what is wrong with a file, with the place of its name in the spec. */
static enum spw_status refuse_file(const struct spw_sweep *sweep, const char *path,
                                   const struct spw_error *inner, struct spw_error *error)
{
    if (inner->status != SPW_ERR_USAGE && inner->status != SPW_ERR_NOT_FOUND) {
        return SPW_FAIL_NATIVE(error, inner->status, inner->native, "%s", inner->what);
    }
    char place[320];
    return SPW_FAIL(error, SPW_ERR_USAGE, "%s: %s: %s",
                    spw_yaml_place(spw_spec_find(sweep->spec, path), place), path, inner->what);
}

static enum spw_status open_set(struct spw_sweep *sweep, const char *path,
                                const struct spw_set_spec *set, struct spw_error *error,
                                struct spw_dataset **out)
{
    struct spw_error inner = {0};
    const enum spw_status status =
        spw_dataset_open(sweep->world, (enum spw_data_format)set->format, set->path, set->labels,
                         (int64_t)sweep->spec->data.seq_len, &inner, out);
    return status == SPW_OK ? SPW_OK : refuse_file(sweep, path, &inner, error);
}

static bool same_items(const struct spw_data_info *a, const struct spw_data_info *b)
{
    bool same = a->is_tokens == b->is_tokens && a->rank == b->rank &&
                a->targets_per_item == b->targets_per_item;
    for (int64_t i = 0; same && i < a->rank; i++) {
        same = a->dim[i] == b->dim[i];
    }
    return same;
}

static enum spw_status open_data(struct spw_sweep *sweep, struct spw_error *error)
{
    const struct spw_data_spec *data = &sweep->spec->data;
    SPW_TRY(open_set(sweep, "data.train", &data->train, error, &sweep->train));
    if (data->valid.path == NULL) {
        return SPW_OK;
    }
    SPW_TRY(open_set(sweep, "data.valid", &data->valid, error, &sweep->valid));
    if (!same_items(spw_dataset_info(sweep->train), spw_dataset_info(sweep->valid))) {
        char place[320];
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: data.valid: its items have another shape than those of data.train; "
                        "give a file of the same kind",
                        spw_yaml_place(spw_spec_find(sweep->spec, "data.valid"), place));
    }
    return SPW_OK;
}

static enum spw_status build_jobs(struct spw_sweep *sweep, struct spw_error *error)
{
    const uint32_t count = sweep->trials->count;
    SPW_TRY(spw_allocate(sweep->world, count, sizeof(struct spw_graph *), "the graphs", error,
                         &sweep->graphs));
    SPW_TRY(
        spw_allocate(sweep->world, count, sizeof(*sweep->jobs), "the jobs", error, &sweep->jobs));
    for (uint32_t i = 0; i < count; i++) {
        const struct spw_trial_spec *trial = &sweep->trials->items[i];
        SPW_TRY(spw_build_graph(sweep->world, sweep->spec, trial, sweep->train, sweep->valid, error,
                                &sweep->graphs[i]));
        sweep->jobs[i] =
            spw_build_job(sweep->spec, trial, sweep->graphs[i], sweep->train, sweep->valid);
    }
    return SPW_OK;
}

static enum spw_status open_sweep(struct spw_sweep *sweep, struct spw_error *error)
{
    char place[340];
    const struct spw_yaml_node *machine = spw_spec_find(sweep->spec, "machine");
    (void)spw_yaml_place(machine, place);
    SPW_TRY(spw_machine_parse(sweep->spec->machine, place, error, &sweep->machine));
    if (sweep->machine.kind == SPW_MACHINE_SIM) {
        /* Names of the command line are relative to where it was typed. */
        SPW_TRY(spw_machine_file_find(sweep->world, &sweep->machine, place,
                                      machine->source->path != NULL ? sweep->spec->folder : "",
                                      error, &sweep->model));
    }
    SPW_TRY(spw_trials_create(sweep->world, sweep->spec, error, &sweep->trials));
    SPW_TRY(open_data(sweep, error));
    SPW_TRY(build_jobs(sweep, error));
    if (sweep->spec->policy.name != SPW_POLICY_REPLAY) {
        return SPW_OK;
    }
    struct spw_error inner = {0};
    const enum spw_status status = spw_decisions_read(sweep->world, sweep->spec->policy.decisions,
                                                      sweep->trials, sweep->machine.device_count,
                                                      &inner, &sweep->replay, &sweep->replay_count);
    return status == SPW_OK ? SPW_OK : refuse_file(sweep, "policy.decisions", &inner, error);
}

enum spw_status spw_sweep_open(const struct spw_world *world, const struct spw_spec *spec,
                               struct spw_error *error, struct spw_sweep **out)
{
    struct spw_sweep *sweep = NULL;
    SPW_TRY(spw_allocate(world, 1, sizeof(*sweep), "the sweep", error, &sweep));
    sweep->world = world;
    sweep->spec = spec;
    const enum spw_status status = open_sweep(sweep, error);
    if (status != SPW_OK) {
        spw_sweep_close(sweep);
        return status;
    }
    *out = sweep;
    return SPW_OK;
}

void spw_sweep_close(struct spw_sweep *sweep)
{
    if (sweep == NULL) {
        return;
    }
    for (uint32_t i = 0; sweep->graphs != NULL && i < sweep->trials->count; i++) {
        spw_graph_destroy(sweep->graphs[i]);
    }
    spw_release(sweep->world, sweep->graphs);
    spw_release(sweep->world, sweep->jobs);
    spw_release(sweep->world, sweep->replay);
    spw_trials_destroy(sweep->trials);
    if (sweep->valid != NULL) {
        spw_dataset_close(sweep->valid);
    }
    if (sweep->train != NULL) {
        spw_dataset_close(sweep->train);
    }
    spw_release(sweep->world, sweep);
}

struct spw_run_config spw_sweep_config(const struct spw_sweep *sweep)
{
    static const int32_t places[] = {
        [SPW_CHOICE_UPDATE_AUTO] = -1,
        [SPW_CHOICE_UPDATE_DEVICE] = SPW_UPDATE_ON_DEVICE,
        [SPW_CHOICE_UPDATE_CORES] = SPW_UPDATE_ON_CORES,
    };
    const struct spw_spec *spec = sweep->spec;
    return (struct spw_run_config){
        .machine = sweep->machine,
        .model = sweep->machine.kind == SPW_MACHINE_SIM ? &sweep->model : NULL,
        .policy = (enum spw_policy_name)spec->policy.name,
        .policy_seed = spec->policy.seed,
        .replay = sweep->replay,
        .replay_count = sweep->replay_count,
        .host_bytes = spec->resources.host_memory,
        .prefetch = -1,
        .update_place = places[spec->resources.update],
        .keep = -1,
        .pilot = true,
    };
}

static enum spw_status refuse_trial(const struct spw_sweep *sweep, uint32_t index,
                                    enum spw_status status, const struct spw_error *inner,
                                    struct spw_error *error)
{
    return SPW_FAIL_NATIVE(error, status, inner->native, "trial %s: %s", sweep->jobs[index].id,
                           inner->what);
}

enum spw_status spw_sweep_add(const struct spw_sweep *sweep, struct spw_run *run,
                              struct spw_error *error)
{
    for (uint32_t i = 0; i < sweep->trials->count; i++) {
        struct spw_error inner = {0};
        struct spw_job *job = NULL;
        const enum spw_status status = spw_run_add(run, &sweep->jobs[i], &inner, &job);
        if (status != SPW_OK) {
            return refuse_trial(sweep, i, status, &inner, error);
        }
        SPW_ASSERT(spw_job_index(job) == i);
    }
    return SPW_OK;
}

enum spw_status spw_sweep_add_fleet(const struct spw_sweep *sweep, struct spw_fleet *fleet,
                                    struct spw_error *error)
{
    for (uint32_t i = 0; i < sweep->trials->count; i++) {
        struct spw_error inner = {0};
        const enum spw_status status = spw_fleet_add(fleet, &sweep->jobs[i], &inner);
        if (status != SPW_OK) {
            return refuse_trial(sweep, i, status, &inner, error);
        }
    }
    return SPW_OK;
}

struct spw_sweep_cost spw_sweep_cost(const struct spw_sweep *sweep, uint32_t trial,
                                     const struct spw_plan *plan)
{
    const struct spw_job_config *job = &sweep->jobs[trial];
    const uint64_t batch = (uint64_t)job->batch;
    struct spw_sweep_cost cost = {.steps = spw_build_steps(job)};
    /* Epochs end in a short batch; counted steps wrap round. */
    cost.items = job->max_steps != 0
                     ? cost.steps * batch
                     : job->epochs * (uint64_t)spw_dataset_info(sweep->train)->items;
    const double share = (double)cost.items / (double)batch;
    cost.flops = share * (double)plan->totals.step_flops;
    cost.seconds = share * (double)plan->totals.step_time_ns * 1e-9;
    if (sweep->valid == NULL || plan->totals.step_flops == 0) {
        return cost;
    }
    uint64_t items = (uint64_t)spw_dataset_info(sweep->valid)->items;
    if (job->eval_batches != 0 && job->eval_batches * batch < items) {
        items = job->eval_batches * batch;
    }
    const uint64_t between = job->eval_every != 0 ? cost.steps / job->eval_every : 0;
    const bool last_counted = job->eval_every != 0 && cost.steps % job->eval_every == 0;
    cost.eval_items = items * (between + (last_counted ? 0 : 1));
    const double eval_flops =
        (double)spw_graph_cost(job->graph, 1).forward_flops * (double)cost.eval_items;
    /* An evaluation goes as fast as training does, per FLOP. */
    cost.seconds +=
        eval_flops / (double)plan->totals.step_flops * (double)plan->totals.step_time_ns * 1e-9;
    cost.flops += eval_flops;
    return cost;
}
