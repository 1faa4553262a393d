/* test_trial.c — the end of a trial: results, saved weights, and failures that stay its own. */
#include "fixture.h"

#include "api/objects.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct spw_session *open_session(const struct api_fixture *fixture)
{
    struct spw_session *session = NULL;
    api_ok(fixture->context,
           spw_session_create(fixture->context, "host*1 mem=16KiB", "lrtf", &session));
    return session;
}

static struct spw_result train_one(struct api_fixture *fixture, struct spw_model *model,
                                   const struct spw_train *train)
{
    struct spw_session *session = open_session(fixture);
    struct spw_trial *trial = NULL;
    api_ok(fixture->context,
           spw_session_add(session, "t", model, fixture->images, fixture->images, train, &trial));
    api_ok(fixture->context, spw_session_run(session));
    struct spw_result result;
    spw_trial_result(trial, &result);
    cr_assert(result.finished, "%s", result.why);
    result.why = NULL; /* it goes with the trial */
    spw_session_destroy(session);
    return result;
}

Test(trial, null_is_ignored)
{
    struct spw_result result;
    spw_trial_result(NULL, &result);
    spw_trial_result(NULL, NULL);
    cr_assert(!result.finished && result.why[0] != '\0' && isnan(result.last_loss));
    cr_assert_str_eq(spw_trial_name(NULL), "");
    cr_assert(spw_trial_shards(NULL) == 0 && spw_trial_device_bytes(NULL) == 0);
}

Test(trial, learns)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_model *model = api_small_model(&fixture, "m");
    struct spw_train train = api_short_train();
    train.steps = 0;
    train.epochs = 10;
    const struct spw_result result = train_one(&fixture, model, &train);
    cr_assert(result.steps == 10 * API_ITEMS / 8);
    cr_assert(result.accuracy == 1.0, "%g", result.accuracy);
    spw_model_destroy(model);
    api_fixture_deinit(&fixture);
}

/* Saved weights, taken up by another model, evaluate to the same bits. */
Test(trial, saves_weights_that_can_be_taken_up)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    char path[512];
    struct spw_train train = api_short_train();
    train.save = spw_temporary_path(&fixture.folder, "w.safetensors", path);
    struct spw_model *model = api_small_model(&fixture, "first");
    const struct spw_result first = train_one(&fixture, model, &train);
    spw_model_destroy(model);
    cr_assert(access(path, R_OK) == 0);
    cr_assert(spw_temporary_count(&fixture.folder) == 4, "a temporary file was left");

    model = api_small_model(&fixture, "second");
    api_ok(fixture.context, spw_model_init_from(model, path));
    train.save = NULL;
    train.steps = 1;
    train.lr = 0.0; /* a step that changes nothing */
    train.seed = 99;
    const struct spw_result second = train_one(&fixture, model, &train);
    cr_assert(second.eval_loss == first.eval_loss, "%.17g %.17g", second.eval_loss,
              first.eval_loss);
    cr_assert(second.accuracy == first.accuracy);
    spw_model_destroy(model);
    api_fixture_deinit(&fixture);
}

/* Equal weights are equal files, whatever the machine. */
Test(trial, replaces_a_file_by_the_same_bytes)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    char path[512];
    struct spw_train train = api_short_train();
    train.save = spw_temporary_path(&fixture.folder, "w.safetensors", path);
    struct spw_model *model = api_small_model(&fixture, "m");
    char *bytes[2];
    uint64_t counts[2];
    for (int i = 0; i < 2; i++) {
        (void)train_one(&fixture, model, &train);
        cr_assert(spw_read_file(spw_world_system(), path, 1 << 20, NULL, &bytes[i], &counts[i]) ==
                  SPW_OK);
    }
    cr_assert(counts[0] == counts[1] && memcmp(bytes[0], bytes[1], counts[0]) == 0);
    spw_release(spw_world_system(), bytes[0]);
    spw_release(spw_world_system(), bytes[1]);
    spw_model_destroy(model);
    api_fixture_deinit(&fixture);
}

/* Refused when it is added, with the bytes; the session goes on without it. */
Test(trial, that_does_not_fit_is_refused_with_the_bytes)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    const int64_t hidden[] = {512};
    struct spw_model *wide = NULL;
    api_ok(fixture.context, spw_model_mlp(fixture.context, "wide", fixture.images, hidden, 1,
                                          API_CLASSES, 1, &wide));
    struct spw_model *model = api_small_model(&fixture, "m");
    struct spw_session *session = open_session(&fixture);
    const struct spw_train train = api_short_train();
    struct spw_trial *trial = NULL;
    api_expect(fixture.context,
               spw_session_add(session, "w", wide, fixture.images, NULL, &train, &trial),
               SPW_ERR_DOES_NOT_FIT, "bytes are missing; set mem=");
    cr_assert(trial == NULL);
    spw_model_destroy(wide); /* nobody uses it */
    api_ok(fixture.context,
           spw_session_add(session, "t", model, fixture.images, NULL, &train, &trial));
    api_ok(fixture.context, spw_session_run(session));
    struct spw_result result;
    spw_trial_result(trial, &result);
    cr_assert(result.finished, "%s", result.why);
    spw_session_destroy(session);
    spw_model_destroy(model);
    api_fixture_deinit(&fixture);
}

/* A trial whose loss is no number any more fails alone, and says where. */
Test(trial, that_diverges_harms_no_other)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_model *model = api_small_model(&fixture, "m");
    struct spw_train train = api_short_train();
    const struct spw_result alone = train_one(&fixture, model, &train);

    struct spw_session *session = open_session(&fixture);
    struct spw_trial *good = NULL;
    struct spw_trial *bad = NULL;
    api_ok(fixture.context,
           spw_session_add(session, "good", model, fixture.images, fixture.images, &train, &good));
    train.sgd = true;
    train.weight_decay = 0.0;
    train.lr = 1e30;
    api_ok(fixture.context,
           spw_session_add(session, "bad", model, fixture.images, NULL, &train, &bad));
    api_ok(fixture.context, spw_session_run(session));
    struct spw_result result;
    spw_trial_result(bad, &result);
    cr_assert(!result.finished);
    cr_assert(strstr(result.why, "trial bad, step ") != NULL, "%s", result.why);
    cr_assert(strstr(result.why, "not finite") != NULL, "%s", result.why);
    spw_trial_result(good, &result);
    cr_assert(result.finished && result.last_loss == alone.last_loss);
    cr_assert(result.eval_loss == alone.eval_loss);
    spw_session_destroy(session);
    spw_model_destroy(model);
    api_fixture_deinit(&fixture);
}

static void fail_files(void *self, const struct spw_trial *trial, const struct spw_step *step)
{
    (void)trial;
    if (step->step == step->steps) {
        spw_fault_world_arm(self, SPW_FAULT_FILE, (struct spw_fault_rule){.at = 2, .sticky = true});
    }
}

/* Weights that can't be written are a failure of the trial; half a file is not left behind. */
Test(trial, that_can_not_save_has_failed)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_model *model = api_small_model(&fixture, "m");
    struct spw_session *session = open_session(&fixture);
    struct spw_trial *trial = NULL;
    char path[512];
    struct spw_train train = api_short_train();
    train.save = spw_temporary_path(&fixture.folder, "w.safetensors", path);
    api_ok(fixture.context,
           spw_session_add(session, "t", model, fixture.images, NULL, &train, &trial));
    spw_session_on_step(session, fail_files, &fixture.fault);
    api_ok(fixture.context, spw_session_run(session));
    cr_assert(spw_fault_world_struck(&fixture.fault));
    spw_fault_world_arm(&fixture.fault, SPW_FAULT_FILE, (struct spw_fault_rule){0});
    struct spw_result result;
    spw_trial_result(trial, &result);
    cr_assert(!result.finished && result.steps == train.steps);
    cr_assert(strstr(result.why, path) != NULL, "%s", result.why);
    cr_assert(access(path, F_OK) != 0);
    spw_session_destroy(session);
    spw_model_destroy(model);
    api_fixture_deinit(&fixture);
}

/* Tensors may be added to themselves, and the data to what was made of them; on a small device and
 * on a large one alike. */
Test(trial, trains_unusual_residual_connections)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_model *model = NULL;
    api_ok(fixture.context, spw_model_begin(fixture.context, "net", fixture.images, 1, &model));
    spw_model_conv2d(model, 1, 3, 1, 1, false);
    spw_model_add(model, -1, 0.5); /* the data */
    spw_model_flatten(model);
    spw_model_linear(model, 128, true);
    spw_model_add(model, spw_model_here(model), -0.25); /* itself */
    spw_model_gelu(model);
    spw_model_linear(model, API_CLASSES, true);
    api_ok(fixture.context, spw_model_end(model, API_CLASSES));

    struct spw_train train = api_short_train();
    train.epochs = 5;
    train.steps = 0;
    double losses[2];
    static const char *const machines[] = {"host*1 mem=4MiB", "host*1 mem=96KiB"};
    for (int i = 0; i < 2; i++) {
        struct spw_session *session = NULL;
        struct spw_trial *trial = NULL;
        api_ok(fixture.context, spw_session_create(fixture.context, machines[i], "lrtf", &session));
        api_ok(fixture.context, spw_session_add(session, "t", model, fixture.images, fixture.images,
                                                &train, &trial));
        api_ok(fixture.context, spw_session_run(session));
        struct spw_result result;
        spw_trial_result(trial, &result);
        cr_assert(result.finished, "%s", result.why);
        cr_assert(result.accuracy > 0.9, "%g", result.accuracy);
        cr_assert((spw_trial_shards(trial) > 1) == (i == 1));
        losses[i] = result.eval_loss;
        spw_session_destroy(session);
    }
    cr_assert(losses[0] == losses[1], "%.17g %.17g", losses[0], losses[1]);
    spw_model_destroy(model);
    api_fixture_deinit(&fixture);
}
