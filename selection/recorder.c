/* recorder.c — a run's growing files and final weights. Tested by tests/selection/test_rundir.c. */
#include "selection/recorder.h"

#include "base/assert.h"
#include "base/status.h"
#include "base/text.h"
#include "models/safetensors.h"
#include "selection/decisions.h"
#include "selection/metrics.h"

#include <errno.h>

/* "<folder>/trials/<id>/<name>"; the caller releases *out. */
static enum spw_status trial_path(const struct spw_recorder *recorder, const char *id,
                                  const char *name, struct spw_error *error, char **out)
{
    return spw_format_text(recorder->world, error, out, "%s/trials/%s/%s", recorder->path, id,
                           name);
}

/* "<folder>/trials", or one of a trial in it. */
static enum spw_status make_folder(const struct spw_recorder *recorder, const char *id,
                                   struct spw_error *error)
{
    char *path = NULL;
    SPW_TRY(spw_format_text(recorder->world, error, &path, "%s/trials%s%s", recorder->path,
                            id != NULL ? "/" : "", id != NULL ? id : ""));
    const int native = recorder->world->make_directory(recorder->world->self, path);
    enum spw_status status = SPW_OK;
    if (native != 0 && native != EEXIST) {
        status = SPW_FAIL_FILE(error, native, "make the folder", path);
    }
    spw_release(recorder->world, path);
    return status;
}

/* ---- trials ---- */

static enum spw_status close_trial(struct spw_recorder *recorder, uint32_t index,
                                   struct spw_error *error)
{
    struct spw_trial_files *files = recorder->files[index];
    if (files == NULL) {
        return SPW_OK;
    }
    enum spw_status status = spw_lines_close(&files->metrics, true, error);
    const enum spw_status timing_status = spw_lines_close(&files->timing, false, error);
    spw_release(recorder->world, files->metrics_path);
    spw_release(recorder->world, files->timing_path);
    spw_release(recorder->world, files);
    recorder->files[index] = NULL;
    return status != SPW_OK ? status : timing_status;
}

static enum spw_status open_trial(struct spw_recorder *recorder, uint32_t index,
                                  struct spw_error *error)
{
    const char *id = recorder->sweep->jobs[index].id;
    struct spw_trial_files *files = NULL;
    SPW_TRY(make_folder(recorder, id, error));
    SPW_TRY(spw_allocate(recorder->world, 1, sizeof(*files), "a trial's files", error, &files));
    recorder->files[index] = files;
    files->before_ns = spw_now_ns(recorder->world);
    SPW_TRY(trial_path(recorder, id, "metrics.jsonl", error, &files->metrics_path));
    SPW_TRY(trial_path(recorder, id, "timing.jsonl", error, &files->timing_path));
    SPW_TRY(spw_lines_open(&files->metrics, recorder->world, files->metrics_path, error));
    return spw_lines_open(&files->timing, recorder->world, files->timing_path, error);
}

static enum spw_status read_weights(void *self, uint64_t index, uint64_t first, uint64_t count,
                                    float *out, struct spw_error *error)
{
    return spw_job_read_part(self, SPW_JOB_WEIGHTS, (int32_t)index, first, count, out, error);
}

static enum spw_status write_weights(struct spw_recorder *recorder, struct spw_job *job,
                                     const char *path, struct spw_error *error)
{
    const struct spw_graph *graph = spw_job_config(job)->graph;
    const uint64_t count = (uint64_t)graph->param_count;
    const char **names = NULL;
    struct spw_shape *shapes = NULL;
    SPW_TRY(spw_allocate(recorder->world, count + 1, sizeof(*names), "names", error, &names));
    enum spw_status status =
        spw_allocate(recorder->world, count + 1, sizeof(*shapes), "shapes", error, &shapes);
    if (status == SPW_OK) {
        for (uint64_t i = 0; i < count; i++) {
            names[i] = graph->params[i].name;
            shapes[i] = graph->params[i].shape;
        }
        const struct spw_tensor_source source = {.self = job, .read = read_weights};
        status = spw_safetensors_write(recorder->world, path, count, names, shapes, &source, error);
    }
    spw_release(recorder->world, shapes);
    spw_release(recorder->world, names);
    return status;
}

static enum spw_status finish_trial(struct spw_recorder *recorder, struct spw_job *job,
                                    struct spw_error *error)
{
    const uint32_t index = spw_job_index(job);
    SPW_TRY(close_trial(recorder, index, error));
    char *path = NULL;
    SPW_TRY(
        trial_path(recorder, recorder->sweep->jobs[index].id, "model.safetensors", error, &path));
    const enum spw_status status = write_weights(recorder, job, path, error);
    spw_release(recorder->world, path);
    return status;
}

/* ---- the whole ---- */

static enum spw_status open_trace(struct spw_recorder *recorder, struct spw_error *error)
{
    if (!recorder->sweep->spec->run.trace) {
        return SPW_OK;
    }
    char *path = NULL;
    SPW_TRY(spw_format_text(recorder->world, error, &path, "%s/trace.pftrace", recorder->path));
    const enum spw_status status =
        spw_trace_create(recorder->world, path, recorder->run, error, &recorder->trace);
    spw_release(recorder->world, path);
    return status;
}

enum spw_status spw_recorder_open(struct spw_recorder *recorder, const struct spw_sweep *sweep,
                                  struct spw_run *run, const char *path, struct spw_error *error)
{
    *recorder = (struct spw_recorder){
        .world = sweep->world,
        .sweep = sweep,
        .run = run,
        .path = path,
        .start_ns = spw_now_ns(sweep->world),
    };
    SPW_TRY(spw_allocate(sweep->world, sweep->trials->count, sizeof(struct spw_trial_files *),
                         "the trials' files", error, &recorder->files));
    SPW_TRY(make_folder(recorder, NULL, error));
    SPW_TRY(spw_format_text(recorder->world, error, &recorder->decisions_path, "%s/decisions.log",
                            path));
    SPW_TRY(spw_lines_open(&recorder->decisions, sweep->world, recorder->decisions_path, error));
    spw_decisions_begin(&recorder->decisions);
    return open_trace(recorder, error);
}

enum spw_status spw_recorder_close(struct spw_recorder *recorder, struct spw_error *error)
{
    if (recorder->world == NULL) {
        return SPW_OK;
    }
    enum spw_status status = SPW_OK;
    for (uint32_t i = 0; recorder->files != NULL && i < recorder->sweep->trials->count; i++) {
        const enum spw_status one = close_trial(recorder, i, error);
        status = status == SPW_OK ? one : status;
    }
    const enum spw_status decisions = spw_lines_close(&recorder->decisions, false, error);
    status = status == SPW_OK ? decisions : status;
    const enum spw_status trace = spw_trace_close(recorder->trace, error);
    status = status == SPW_OK ? trace : status;
    spw_release(recorder->world, recorder->files);
    spw_release(recorder->world, recorder->decisions_path);
    *recorder = (struct spw_recorder){0};
    return status;
}

void spw_recorder_step(struct spw_recorder *recorder, struct spw_job *job,
                       const struct spw_step_result *result)
{
    struct spw_trial_files *files = recorder->files[spw_job_index(job)];
    if (files == NULL) {
        return;
    }
    spw_metrics_step(&files->metrics, result);
    spw_timing_step(&files->timing, result, recorder->start_ns, files->before_ns);
    files->before_ns = result->end_ns;
}

void spw_recorder_eval(struct spw_recorder *recorder, struct spw_job *job,
                       const struct spw_eval_result *result)
{
    struct spw_trial_files *files = recorder->files[spw_job_index(job)];
    if (files == NULL) {
        return;
    }
    const bool is_tokens = spw_dataset_info(recorder->sweep->train)->is_tokens;
    spw_metrics_eval(&files->metrics, result, is_tokens);
    spw_timing_eval(&files->timing, result, recorder->start_ns);
}

enum spw_status spw_recorder_state(struct spw_recorder *recorder, struct spw_job *job,
                                   enum spw_job_state state, struct spw_error *error)
{
    const uint32_t index = spw_job_index(job);
    switch (state) {
    case SPW_JOB_WAITING:
        return SPW_OK;
    case SPW_JOB_RUNNING:
        return open_trial(recorder, index, error);
    case SPW_JOB_DONE:
        return finish_trial(recorder, job, error);
    case SPW_JOB_FAILED:
    case SPW_JOB_CANCELLED:
        return close_trial(recorder, index, error);
    }
    SPW_NEVER("a state");
}

void spw_recorder_decision(struct spw_recorder *recorder, const struct spw_decision *decision)
{
    spw_decisions_add(&recorder->decisions, decision, spw_run_device_count(recorder->run),
                      recorder->sweep->jobs[decision->job].id);
}

void spw_recorder_span(struct spw_recorder *recorder, const struct spw_span *span)
{
    if (recorder->trace != NULL) {
        spw_trace_span(recorder->trace, span);
    }
}

void spw_recorder_tick(struct spw_recorder *recorder)
{
    /* A failure is kept and fails the trial, or the run, when its file is closed. */
    for (uint32_t i = 0; i < recorder->sweep->trials->count; i++) {
        if (recorder->files[i] != NULL) {
            (void)spw_lines_flush(&recorder->files[i]->metrics, NULL);
            (void)spw_lines_flush(&recorder->files[i]->timing, NULL);
        }
    }
}
