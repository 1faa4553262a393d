/* test_trials.c — the order, names and settings of trials. */
#include "fixture.h"

#include "base/text.h"
#include "selection/trials.h"

#include <criterion/criterion.h>
#include <string.h>

static struct spw_trials *trials_of(const struct spw_spec *spec)
{
    struct spw_error error = {0};
    struct spw_trials *trials = NULL;
    cr_assert(spw_trials_create(spw_world_system(), spec, &error, &trials) == SPW_OK, "%s",
              error.what);
    return trials;
}

static const char *refusal_of_trials(const char *text)
{
    static struct spw_error error;
    struct spw_spec *spec = spec_of(text);
    struct spw_trials *trials = NULL;
    error = (struct spw_error){0};
    cr_assert(spw_trials_create(spw_world_system(), spec, &error, &trials) == SPW_ERR_USAGE,
              "refused");
    spw_spec_destroy(spec);
    return error.what;
}

Test(trials, one_model_without_search_keeps_its_name)
{
    struct spw_spec *spec = spec_of(SPEC_TEXT);
    struct spw_trials *trials = trials_of(spec);
    cr_assert(trials->count == 1 && strcmp(trials->items[0].id, "small") == 0, "%s",
              trials->items[0].id);
    cr_assert(trials->items[0].train.micro_batch == 2, "the whole batch");
    spw_trials_destroy(trials);
    spw_spec_destroy(spec);
}

Test(trials, the_last_parameter_counts_fastest)
{
    static const char text[] = HEAD_TEXT
        "models:\n"
        "  - {id: a, arch: mlp, hidden: [8], search: {parameters: {hidden: [[4], [5, 6]]}}}\n"
        "  - {id: b, arch: mlp, hidden: [9], train: {lr: 7, optimizer: sgd}}\n" DATA_TEXT TRAIN_TEXT
        "search: {parameters: {train.lr: [1, 2], seed: [3, 4]}}\n";
    static const struct {
        const char *id;
        double lr;
        uint64_t seed;
        uint32_t layers;
        int64_t first;
    } wanted[] = {
        {"a-1", 1, 3, 1, 4}, {"a-2", 1, 3, 2, 5}, {"a-3", 1, 4, 1, 4}, {"a-4", 1, 4, 2, 5},
        {"a-5", 2, 3, 1, 4}, {"a-6", 2, 3, 2, 5}, {"a-7", 2, 4, 1, 4}, {"a-8", 2, 4, 2, 5},
        {"b-1", 1, 3, 1, 9}, {"b-2", 1, 4, 1, 9}, {"b-3", 2, 3, 1, 9}, {"b-4", 2, 4, 1, 9},
    };
    struct spw_spec *spec = spec_of(text);
    struct spw_trials *trials = trials_of(spec);
    cr_assert(trials->count == 12, "%u trials", trials->count);
    for (uint32_t i = 0; i < 12; i++) {
        const struct spw_trial_spec *trial = &trials->items[i];
        cr_assert(strcmp(trial->id, wanted[i].id) == 0, "%u: %s", i, trial->id);
        cr_assert(trial->train.lr == wanted[i].lr && trial->seed == wanted[i].seed, "%u", i);
        cr_assert(trial->model.hidden.count == wanted[i].layers, "%u", i);
        cr_assert(trial->model.hidden.values[0] == wanted[i].first, "%u", i);
        cr_assert(trial->train.optimizer.name == (i < 8 ? SPW_CHOICE_ADAMW : SPW_CHOICE_SGD),
                  "%u: own optimizer", i);
    }
    spw_trials_destroy(trials);
    spw_spec_destroy(spec);
}

Test(trials, a_models_own_values_replace_the_common_ones)
{
    static const char text[] = HEAD_TEXT
        "models:\n"
        "  - {id: a, arch: mlp, hidden: [8], search: {parameters: {train.lr: [5]}}}\n"
        "  - {id: b, arch: mlp, hidden: [8]}\n" DATA_TEXT TRAIN_TEXT
        "search: {parameters: {train.lr: [1, 2]}}\n";
    struct spw_spec *spec = spec_of(text);
    struct spw_trials *trials = trials_of(spec);
    cr_assert(trials->count == 3 && trials->items[0].train.lr == 5, "%u", trials->count);
    cr_assert(strcmp(trials->items[0].id, "a") == 0, "one trial has no number");
    spw_trials_destroy(trials);
    spw_spec_destroy(spec);
}

Test(trials, epochs_of_a_model_replace_common_steps)
{
    static const char text[] = HEAD_TEXT
        "models:\n  - {id: a, arch: mlp, hidden: [8], train: {epochs: 4}}\n" DATA_TEXT TRAIN_TEXT;
    struct spw_spec *spec = spec_of(text);
    struct spw_trials *trials = trials_of(spec);
    cr_assert(trials->items[0].train.epochs == 4 && trials->items[0].train.max_steps == 0,
              "epochs");
    spw_trials_destroy(trials);
    spw_spec_destroy(spec);
}

Test(trials, they_are_described_by_what_was_searched)
{
    static const char text[] = HEAD_TEXT
        "models:\n  - {id: a, arch: mlp}\n" DATA_TEXT TRAIN_TEXT
        "search: {parameters: {train.lr: [1e-3], train.optimizer.name: [sgd], hidden: [[4, 5]]}}\n";
    struct spw_spec *spec = spec_of(text);
    struct spw_trials *trials = trials_of(spec);
    struct spw_text description;
    spw_text_init(&description, spw_world_system());
    spw_trial_describe(&trials->items[0], &description);
    cr_assert(strcmp(description.data, "lr=1e-3 optimizer=sgd hidden=[4,5]") == 0, "%s",
              description.data);
    spw_text_deinit(&description);
    spw_trials_destroy(trials);
    spw_spec_destroy(spec);
}

Test(trials, settings_that_do_not_go_together_are_refused)
{
    const char *message =
        refusal_of_trials(SPEC_TEXT "search: {parameters: {train.micro_batch: [1, 3]}}\n");
    cr_assert(strstr(message, "trial small-2: micro_batch 3 is larger than batch 2") != NULL, "%s",
              message);
    cr_assert(strstr(message, ":10:46:") != NULL, "it points at the 3: %s", message);
    message = refusal_of_trials(SPEC_TEXT "  optimizer: {momentum: 0.5}\n");
    cr_assert(strstr(message, "adamw has no momentum") != NULL, "%s", message);
}

/* Steps and epochs are two lengths of one training; whichever blocks name them, one must go. */
Test(trials, steps_and_epochs_are_not_searched_at_once)
{
    static const char *const texts[] = {
        SPEC_TEXT "search: {parameters: {train.max_steps: [3, 4], train.epochs: [1]}}\n",
        HEAD_TEXT
        "models:\n"
        "  - {id: a, arch: mlp, hidden: [8], search: {parameters: {train.epochs: [2]}}}\n" DATA_TEXT
            TRAIN_TEXT "search: {parameters: {train.max_steps: [3]}}\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *message = refusal_of_trials(texts[i]);
        cr_assert(strstr(message, "spec.yaml:") != NULL, "%zu: %s", i, message);
        cr_assert(strstr(message, "search: both train.max_steps and train.epochs are searched; "
                                  "keep one") != NULL,
                  "%zu: %s", i, message);
    }
}

/* A decay that the trial's schedule has no use for is refused, wherever it was given. */
Test(trials, only_wsd_takes_decay_steps)
{
    static const char *const texts[] = {
        SPEC_TEXT "  schedule: {name: cosine, decay_steps: 2}\n",
        SPEC_TEXT "search: {parameters: {train.schedule.decay_steps: [1, 2]}}\n",
        HEAD_TEXT
        "models:\n"
        "  - {id: a, arch: mlp, hidden: [8], train: {schedule: {decay_steps: 2}}}\n" DATA_TEXT
            TRAIN_TEXT,
        SPEC_TEXT "  schedule: wsd\n"
                  "search: {parameters: {train.schedule.decay_steps: [2]}}\n",
    };
    for (size_t i = 0; i < 3; i++) {
        const char *message = refusal_of_trials(texts[i]);
        cr_assert(strstr(message, "only wsd has a decay of its own") != NULL, "%zu: %s", i,
                  message);
    }
    struct spw_spec *spec = spec_of(texts[3]);
    struct spw_trials *trials = trials_of(spec);
    cr_assert(trials->items[0].train.schedule.decay_steps == 2, "wsd takes it");
    spw_trials_destroy(trials);
    spw_spec_destroy(spec);
}

/* What the common part gives for its own schedule or optimizer is no mistake of a model that chose
 * another. */
Test(trials, a_model_that_chooses_another_name_leaves_common_settings_unused)
{
    struct spw_spec *spec = spec_of(
        HEAD_TEXT "models:\n"
                  "  - {id: a, arch: mlp, hidden: [8]}\n"
                  "  - {id: b, arch: mlp, hidden: [8], train: {schedule: cosine, optimizer: "
                  "adamw}}\n" DATA_TEXT TRAIN_TEXT "  schedule: {name: wsd, decay_steps: 2}\n"
                  "  optimizer: {name: sgd, momentum: 0.9}\n");
    struct spw_trials *trials = trials_of(spec);
    cr_assert(trials->items[0].train.schedule.name == SPW_LR_WSD, "the common schedule");
    cr_assert(trials->items[1].train.schedule.name == SPW_LR_COSINE, "its own");
    spw_trials_destroy(trials);
    spw_spec_destroy(spec);
}

Test(trials, a_searched_optimizer_takes_its_own_settings)
{
    struct spw_spec *spec = spec_of(SPEC_TEXT
                                    "  optimizer: {momentum: 0.5}\n"
                                    "search: {parameters: {train.optimizer.name: [sgd, adamw]}}\n");
    struct spw_trials *trials = trials_of(spec);
    cr_assert(trials->count == 2, "%u", trials->count);
    spw_trials_destroy(trials);
    spw_spec_destroy(spec);
}
