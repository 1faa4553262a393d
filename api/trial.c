/* trial.c — one model in training within a session: how it is added, how it ends, what came of it.
 * Tested by tests/api/test_trial.c. */
#include "api/trial.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FUNCTION "spw_session_add"

/* ---- adding ---- */

/* Names are how people and messages tell trials apart; two that save to one file would lose a
 * training. */
static enum spw_status check_unique(const struct spw_session *session, const char *name,
                                    const char *save)
{
    struct spw_error *error = &session->context->error;
    for (uint64_t i = 0; i < session->trial_count; i++) {
        const struct spw_trial *other = session->trials[i];
        if (strcmp(other->name, name) == 0) {
            return SPW_FAIL(error, SPW_ERR_EXISTS,
                            FUNCTION ": the session has a trial %s already; give another name",
                            name);
        }
        if (save != NULL && other->save != NULL && strcmp(other->save, save) == 0) {
            return SPW_FAIL(error, SPW_ERR_EXISTS,
                            FUNCTION ": trial %s: save is %s, as of trial %s; give another path",
                            name, save, other->name);
        }
    }
    return SPW_OK;
}

/* A folder that is not there would be noticed only after the training. */
static enum spw_status check_save(const struct spw_session *session, const char *name,
                                  const char *save)
{
    struct spw_context *context = session->context;
    const struct spw_world *world = context->world;
    if (save[0] == '\0') {
        return SPW_REFUSE(context,
                          FUNCTION ": trial %s: save is empty; name a file, or set it to "
                                   "NULL",
                          name);
    }
    char *folder;
    SPW_TRY(spw_copy_text(world, save, &context->error, &folder));
    char *slash = strrchr(folder, '/');
    const char *asked = ".";
    if (slash != NULL) {
        slash[slash == folder ? 1 : 0] = '\0';
        asked = folder;
    }
    enum spw_status status = SPW_OK;
    bool is_directory = false;
    int native = world->exists(world->self, asked, &is_directory);
    if (native == 0 && !is_directory) {
        native = ENOTDIR;
    }
    if (native != 0) {
        char text[96];
        status = SPW_FAIL_NATIVE(&context->error, spw_errno_status(native), native,
                                 FUNCTION ": trial %s: save is %s, but %s: %s; make the folder "
                                          "first",
                                 name, save, asked, spw_errno_text(native, text));
    }
    is_directory = false;
    if (status == SPW_OK && world->exists(world->self, save, &is_directory) == 0 && is_directory) {
        status = SPW_REFUSE(context,
                            FUNCTION ": trial %s: save is %s, which is a folder; name a "
                                     "file",
                            name, save);
    }
    spw_release(world, folder);
    return status;
}

static enum spw_status fill_trial(struct spw_trial *trial, struct spw_job_config *config,
                                  const char *save)
{
    struct spw_session *session = trial->session;
    struct spw_context *context = session->context;
    SPW_TRY(spw_copy_text(context->world, config->id, &context->error, &trial->name));
    if (save != NULL) {
        SPW_TRY(spw_copy_text(context->world, save, &context->error, &trial->save));
    }
    SPW_TRY(spw_grow(context->world, &session->trials, &session->trial_capacity,
                     session->trial_count + 1, sizeof(struct spw_trial *), "the trials",
                     &context->error));
    SPW_TRY(spw_run_add(session->run, config, &context->error, &trial->job));
    struct spw_job_status status;
    spw_job_status(trial->job, &status);
    trial->steps = status.steps;
    return SPW_OK;
}

static void free_trial(struct spw_trial *trial)
{
    const struct spw_world *world = trial->session->context->world;
    spw_release(world, trial->save);
    spw_release(world, trial->name);
    spw_release(world, trial);
}

enum spw_status spw_session_add(struct spw_session *session, const char *name,
                                struct spw_model *model, const struct spw_data *train_data,
                                const struct spw_data *valid, const struct spw_train *train,
                                struct spw_trial **out)
{
    if (session == NULL) {
        return SPW_ERR_ARGUMENT;
    }
    struct spw_context *context = session->context;
    SPW_TRY(spw_check_name(context, FUNCTION, "trial", name));
    if (session->running) {
        return SPW_REFUSE(context,
                          FUNCTION ": trial %s: the session is running; add trials before "
                                   "spw_session_run() or after it",
                          name);
    }
    struct spw_job_config config;
    SPW_TRY(spw_check_train(session, name, model, train_data, valid, train, &config));
    SPW_TRY(check_unique(session, name, train->save));
    if (train->save != NULL) {
        SPW_TRY(check_save(session, name, train->save));
    }

    struct spw_trial *trial;
    SPW_TRY(spw_allocate(context->world, 1, sizeof(*trial), "a trial", &context->error, &trial));
    trial->session = session;
    const enum spw_status status = fill_trial(trial, &config, train->save);
    if (status != SPW_OK) {
        free_trial(trial);
        return status;
    }
    /* Only their users are counted through these. */
    trial->model = model;
    trial->train_data = (struct spw_data *)train_data;
    trial->valid = (struct spw_data *)valid;
    trial->model->users++;
    trial->train_data->users++;
    if (valid != NULL) {
        trial->valid->users++;
    }
    session->trials[session->trial_count++] = trial;
    if (out != NULL) {
        *out = trial;
    }
    return SPW_OK;
}

void spw_trial_destroy(struct spw_trial *trial)
{
    trial->model->users--;
    trial->train_data->users--;
    if (trial->valid != NULL) {
        trial->valid->users--;
    }
    free_trial(trial);
}

/* ---- its end ---- */

enum spw_status spw_trial_enter(struct spw_trial *trial, enum spw_job_state state,
                                struct spw_error *error)
{
    if (state == SPW_JOB_DONE && trial->save != NULL) {
        SPW_TRY(spw_weights_save(trial->session->context->world, trial->job, trial->save, error));
    }
    if (state == SPW_JOB_FAILED) {
        (void)snprintf(trial->why, sizeof(trial->why), "%s", error->what);
    }
    return SPW_OK;
}

/* ---- questions ---- */

const char *spw_trial_name(const struct spw_trial *trial)
{
    return trial != NULL ? trial->name : "";
}

static const char *why_not_finished(const struct spw_trial *trial, enum spw_job_state state)
{
    switch (state) {
    case SPW_JOB_WAITING:
        return "it has not started";
    case SPW_JOB_RUNNING:
        return "it is still training";
    case SPW_JOB_DONE:
        return "";
    case SPW_JOB_FAILED:
        return trial->why;
    case SPW_JOB_CANCELLED:
        return "the session was stopped";
    }
    return "";
}

void spw_trial_result(const struct spw_trial *trial, struct spw_result *out)
{
    if (out == NULL) {
        return;
    }
    if (trial == NULL) {
        *out = (struct spw_result){
            .why = "there is no trial", .last_loss = NAN, .eval_loss = NAN, .accuracy = NAN};
        return;
    }
    struct spw_job_status status;
    spw_job_status(trial->job, &status);
    uint64_t time_ns = 0;
    if (status.started_ns != 0) {
        const struct spw_world *world = trial->session->context->world;
        const bool over = status.state != SPW_JOB_RUNNING;
        time_ns = (over ? status.ended_ns : spw_now_ns(world)) - status.started_ns;
    }
    *out = (struct spw_result){
        .finished = status.state == SPW_JOB_DONE,
        .why = why_not_finished(trial, status.state),
        .steps = status.step,
        .last_loss = status.last_loss,
        .eval_loss = status.last_eval_loss,
        .accuracy = status.last_accuracy,
        .seconds = (double)time_ns * 1e-9,
    };
}

int32_t spw_trial_shards(const struct spw_trial *trial)
{
    return trial != NULL ? spw_job_plan(trial->job)->shard_count : 0;
}

uint64_t spw_trial_device_bytes(const struct spw_trial *trial)
{
    return trial != NULL ? spw_job_plan(trial->job)->totals.device_bytes_max : 0;
}
