/* trial_check.c — what only a complete trial can tell: settings that don't go together. What single
 * keys may be is in the schema, and what a model makes of its data in build.c.
 * Tested by tests/selection/test_trials.c. */
#include "selection/trial_check.h"

#include "base/assert.h"
#include "base/status.h"
#include "runtime/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One trial under examination. */
struct exam {
    const struct spw_key_context *context;
    const struct spw_spec *spec;
    const struct spw_trial_spec *trial;
};

/* Where the trial's value of `path` stands: in a search, the model's own keys, or the common ones.
 */
static const struct spw_yaml_node *place_of(const struct exam *exam, const char *path)
{
    const struct spw_trial_spec *trial = exam->trial;
    for (uint32_t i = 0; i < trial->assignment_count; i++) {
        if (strcmp(trial->assignments[i].path, path) == 0) {
            return trial->assignments[i].value;
        }
    }
    return spw_spec_find_for(exam->spec, &trial->model, path);
}

/* "FILE:L:C: trial ID: WHY", at the setting `path` of the trial; NULL: at the model. */
static enum spw_status refuse(const struct exam *exam, const char *path, const char *why)
{
    char name[80];
    (void)snprintf(name, sizeof(name), "trial %.70s", exam->trial->id);
    return SPW_KEY_REFUSE(exam->context,
                          path != NULL ? place_of(exam, path) : exam->trial->model.node, name, "%s",
                          why);
}

static enum spw_status check_batches(const struct exam *exam)
{
    const struct spw_train_spec *train = &exam->trial->train;
    const uint64_t passes = (train->batch + train->micro_batch - 1) / train->micro_batch;
    char why[200];
    if (train->micro_batch > train->batch) {
        (void)snprintf(why, sizeof(why),
                       "micro_batch %" PRIu64 " is larger than batch %" PRIu64
                       "; lower one or raise the other",
                       train->micro_batch, train->batch);
        return refuse(exam, "train.micro_batch", why);
    }
    if (train->grad_groups > passes) {
        (void)snprintf(why, sizeof(why),
                       "grad_groups is %" PRIu64 ", but a batch has %" PRIu64
                       " micro-batches; lower grad_groups or micro_batch",
                       train->grad_groups, passes);
        return refuse(exam, "train.grad_groups", why);
    }
    return SPW_OK;
}

static bool assigns(const struct spw_assignment *assignments, uint32_t count, const char *path)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(assignments[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

/* Who gave a setting its value: the later, the more specific. */
enum giver { COMMON, OWN, SEARCH };

static enum giver giver_of(const struct exam *exam, const char *path)
{
    const struct spw_trial_spec *trial = exam->trial;
    if (assigns(trial->assignments, trial->assignment_count, path)) {
        return SEARCH;
    }
    return assigns(trial->model.overrides, trial->model.override_count, path) ? OWN : COMMON;
}

/* Whether `setting`, which the chosen `name` has no use for, was given to go with it. Not so if the
 * name came later than the setting, or is searched: each name takes what it knows. */
static bool goes_with(const struct exam *exam, const char *setting, const char *name)
{
    const enum giver chose = giver_of(exam, name);
    return chose != SEARCH && giver_of(exam, setting) >= chose;
}

static enum spw_status check_optimizer(const struct exam *exam)
{
    const struct spw_optimizer_spec *optimizer = &exam->trial->train.optimizer;
    if (optimizer->name == SPW_CHOICE_ADAMW && optimizer->momentum != 0 &&
        goes_with(exam, "train.optimizer.momentum", "train.optimizer.name")) {
        return refuse(exam, "train.optimizer.momentum",
                      "adamw has no momentum; set betas, or name: sgd");
    }
    return SPW_OK;
}

static enum spw_status check_schedule(const struct exam *exam)
{
    const struct spw_schedule_spec *schedule = &exam->trial->train.schedule;
    if (schedule->name != SPW_LR_WSD && schedule->decay_steps != 0 &&
        goes_with(exam, "train.schedule.decay_steps", "train.schedule.name")) {
        return refuse(exam, "train.schedule.decay_steps",
                      "only wsd has a decay of its own; leave decay_steps out, or name: wsd");
    }
    return SPW_OK;
}

static enum spw_status check_model(const struct exam *exam)
{
    const struct spw_model_spec *model = &exam->trial->model;
    switch (model->source) {
    case SPW_MODEL_MLP:
        return model->hidden.values != NULL
                   ? SPW_OK
                   : refuse(exam, NULL, "hidden is missing; give a list such as [512, 512]");
    case SPW_MODEL_CNN:
        return model->channels.count > 0
                   ? SPW_OK
                   : refuse(exam, NULL, "channels is missing; give a list such as [16, 32]");
    case SPW_MODEL_RESNET:
        return model->blocks.count > 0 && model->width > 0
                   ? SPW_OK
                   : refuse(exam, NULL,
                            "blocks or width is missing; give for instance blocks: "
                            "[2, 2, 2], width: 32");
    case SPW_MODEL_GPT2:
        return model->config.n_embd % model->config.n_head == 0
                   ? SPW_OK
                   : refuse(exam, NULL, "n_embd is no multiple of n_head; change one");
    case SPW_MODEL_LAYERS:
    case SPW_MODEL_FROM:
        return SPW_OK;
    }
    SPW_NEVER("a source of models");
}

enum spw_status spw_trial_check(const struct spw_key_context *context, const struct spw_spec *spec,
                                const struct spw_trial_spec *trial)
{
    const struct exam exam = {context, spec, trial};
    SPW_TRY(check_batches(&exam));
    SPW_TRY(check_optimizer(&exam));
    SPW_TRY(check_schedule(&exam));
    return check_model(&exam);
}
