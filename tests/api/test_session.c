/* test_session.c — machines, policies, callbacks, stopping, and what devices report. */
#include "fixture.h"

#include "api/objects.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

Test(session, machines_and_policies_are_checked)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_context *context = fixture.context;
    struct spw_session *session = NULL;
    cr_assert(spw_session_create(NULL, "host", NULL, &session) == SPW_ERR_ARGUMENT);
    api_expect(context, spw_session_create(context, NULL, NULL, &session), SPW_ERR_ARGUMENT,
               "machine is NULL; name one");
    api_expect(context, spw_session_create(context, "host", NULL, NULL), SPW_ERR_ARGUMENT,
               "out is NULL");
    api_expect(context, spw_session_create(context, "host*0", NULL, &session), SPW_ERR_USAGE,
               "spw_session_create: machine 'host*0'");
    api_expect(context, spw_session_create(context, "cuda*1", NULL, &session), SPW_ERR_USAGE,
               "not served yet");
    api_expect(context, spw_session_create(context, "host", "lrft", &session), SPW_ERR_ARGUMENT,
               "did you mean \"lrtf\"?");
    api_expect(context, spw_session_create(context, "host", "replay", &session), SPW_ERR_ARGUMENT,
               "known are weave, lrtf, fifo, random and serial");
    cr_assert(session == NULL);
    static const char *const policies[] = {"weave", "lrtf", "fifo", "random", "serial", NULL};
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        api_ok(context, spw_session_create(context, "host*3 mem=64KiB", policies[i], &session));
        cr_assert(spw_session_devices(session) == 3);
        api_ok(context, spw_session_run(session)); /* of nothing */
        spw_session_destroy(session);
    }
    api_fixture_deinit(&fixture);
}

Test(session, null_is_refused_or_ignored)
{
    cr_assert(spw_session_run(NULL) == SPW_ERR_ARGUMENT);
    cr_assert(spw_session_devices(NULL) == 0);
    spw_session_destroy(NULL);
    spw_session_stop(NULL);
    spw_session_on_step(NULL, NULL, NULL);
    struct spw_usage usage = {.units = 7};
    spw_session_usage(NULL, 0, &usage);
    spw_session_usage(NULL, 0, NULL);
    cr_assert(usage.units == 0 && usage.device != NULL);
}

/* A session with two trials of different models on two devices that hold neither. */
struct pair {
    struct api_fixture fixture;
    struct spw_session *session;
    struct spw_model *models[2];
    struct spw_trial *trials[2];

    /* What the callback saw and shall do. */
    uint64_t steps_seen[2];
    double losses[2][16];
    uint64_t stop_at; /* steps of both */
    enum spw_status status_within;
    pthread_t stopper;
};

static void on_step(void *self, const struct spw_trial *trial, const struct spw_step *step)
{
    struct pair *pair = self;
    const int which = trial == pair->trials[1];
    cr_assert(trial == pair->trials[which]);
    cr_assert(step->step == ++pair->steps_seen[which]);
    cr_assert(step->steps == (which == 0 ? 6 : 10) && isfinite(step->grad_norm));
    pair->losses[which][step->step - 1] = step->loss;
    if (pair->steps_seen[0] + pair->steps_seen[1] == pair->stop_at) {
        spw_session_stop(pair->session);
    }
}

static void pair_init(struct pair *pair, const char *machine)
{
    memset(pair, 0, sizeof(*pair));
    api_fixture_init(&pair->fixture);
    struct spw_context *context = pair->fixture.context;
    const struct spw_data *images = pair->fixture.images;
    const int64_t hidden[] = {48, 48, 48};
    api_ok(context, spw_session_create(context, machine, "lrtf", &pair->session));
    struct spw_train train = api_short_train();
    for (int i = 0; i < 2; i++) {
        api_ok(context, spw_model_mlp(context, "net", images, hidden, 2 + i, API_CLASSES, 1,
                                      &pair->models[i]));
        api_ok(context, spw_session_add(pair->session, i == 0 ? "a" : "b", pair->models[i], images,
                                        images, &train, &pair->trials[i]));
        train.steps = 10;
    }
    spw_session_on_step(pair->session, on_step, pair);
}

static void pair_deinit(struct pair *pair)
{
    spw_session_destroy(pair->session);
    spw_model_destroy(pair->models[1]);
    spw_model_destroy(pair->models[0]);
    api_fixture_deinit(&pair->fixture);
}

static struct spw_result result_of(const struct spw_trial *trial)
{
    struct spw_result result;
    spw_trial_result(trial, &result);
    return result;
}

Test(session, trains_all_trials_and_reports)
{
    struct pair pair;
    pair_init(&pair, "host*2 mem=48KiB");
    struct spw_result result = result_of(pair.trials[0]);
    cr_assert(!result.finished && isnan(result.last_loss) && result.seconds == 0.0);
    cr_assert_str_eq(result.why, "it has not started");

    api_ok(pair.fixture.context, spw_session_run(pair.session));
    cr_assert(pair.steps_seen[0] == 6 && pair.steps_seen[1] == 10);
    for (int i = 0; i < 2; i++) {
        result = result_of(pair.trials[i]);
        cr_assert(result.finished, "%s", result.why);
        cr_assert(result.why[0] == '\0' && result.seconds > 0.0);
        cr_assert(result.steps == pair.steps_seen[i]);
        cr_assert(result.last_loss == pair.losses[i][result.steps - 1]);
        cr_assert(result.last_loss < pair.losses[i][0]);
        cr_assert(result.accuracy >= 0.0 && result.accuracy <= 1.0 && isfinite(result.eval_loss));
        cr_assert(spw_trial_shards(pair.trials[i]) >= 2);
        cr_assert(spw_trial_device_bytes(pair.trials[i]) <= UINT64_C(48) * 1024);
    }
    cr_assert_str_eq(spw_trial_name(pair.trials[1]), "b");

    uint64_t units = 0;
    uint64_t evictions = 0;
    for (uint32_t i = 0; i < 2; i++) {
        struct spw_usage usage;
        spw_session_usage(pair.session, i, &usage);
        cr_assert_str_eq(usage.device, i == 0 ? "host:0" : "host:1");
        const double sum = usage.busy + usage.waiting_copy + usage.waiting_work;
        cr_assert(sum > 0.9 && sum < 1.1, "%g", sum);
        cr_assert(usage.bytes_in > 0 && usage.bytes_out > 0);
        units += usage.units;
        evictions += usage.evictions;
    }
    cr_assert(units > 0 && evictions > 0);
    struct spw_usage none;
    spw_session_usage(pair.session, 2, &none);
    cr_assert(none.units == 0 && none.device[0] == '\0');
    pair_deinit(&pair);
}

/* Memory, devices and company don't change a bit. */
Test(session, losses_do_not_depend_on_the_machine)
{
    static const char *const machines[] = {"host*1 mem=8MiB", "host*1 mem=48KiB",
                                           "host*2 mem=40KiB threads=2"};
    static double losses[2][16];
    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
        struct pair pair;
        pair_init(&pair, machines[i]);
        api_ok(pair.fixture.context, spw_session_run(pair.session));
        if (i == 0) {
            memcpy(losses, pair.losses, sizeof(losses));
        }
        for (int k = 0; k < 16; k++) {
            cr_assert(losses[0][k] == pair.losses[0][k], "on %s, step %d", machines[i], k + 1);
            cr_assert(losses[1][k] == pair.losses[1][k], "on %s, step %d", machines[i], k + 1);
        }
        cr_assert(pair.steps_seen[0] + pair.steps_seen[1] == 16);
        pair_deinit(&pair);
    }
}

Test(session, can_be_stopped_by_its_callback)
{
    struct pair pair;
    pair_init(&pair, "host*1 mem=48KiB");
    pair.stop_at = 3;
    api_expect(pair.fixture.context, spw_session_run(pair.session), SPW_ERR_CANCELLED,
               "interrupted");
    for (int i = 0; i < 2; i++) {
        const struct spw_result result = result_of(pair.trials[i]);
        cr_assert(!result.finished);
        cr_assert_str_eq(result.why, "the session was stopped");
        cr_assert(result.steps == pair.steps_seen[i]);
    }
    cr_assert(pair.steps_seen[0] + pair.steps_seen[1] < 16);
    /* It stays stopped. */
    api_expect(pair.fixture.context, spw_session_run(pair.session), SPW_ERR_CANCELLED, "");
    pair_deinit(&pair);
}

Test(session, can_be_stopped_before_it_runs)
{
    struct pair pair;
    pair_init(&pair, "host*1 mem=48KiB");
    spw_session_stop(pair.session);
    api_expect(pair.fixture.context, spw_session_run(pair.session), SPW_ERR_CANCELLED, "");
    cr_assert(pair.steps_seen[0] + pair.steps_seen[1] == 0);
    cr_assert_str_eq(result_of(pair.trials[0]).why, "the session was stopped");
    pair_deinit(&pair);
}

static void *stop_it(void *session)
{
    spw_session_stop(session);
    return NULL;
}

static void start_stopper(void *self, const struct spw_trial *trial, const struct spw_step *step)
{
    struct pair *pair = self;
    (void)trial;
    if (step->step == 2 && pair->steps_seen[0]++ == 0) {
        cr_assert(pthread_create(&pair->stopper, NULL, stop_it, pair->session) == 0);
    }
}

/* A training that would take hours ends soon after another thread says so. */
Test(session, can_be_stopped_by_another_thread)
{
    struct pair pair;
    pair_init(&pair, "host*1 mem=48KiB");
    struct spw_train train = api_short_train();
    struct spw_trial *endless = NULL;
    train.steps = UINT32_MAX;
    api_ok(pair.fixture.context, spw_session_add(pair.session, "endless", pair.models[0],
                                                 pair.fixture.images, NULL, &train, &endless));
    spw_session_on_step(pair.session, start_stopper, &pair);
    api_expect(pair.fixture.context, spw_session_run(pair.session), SPW_ERR_CANCELLED, "");
    cr_assert(pair.steps_seen[0] > 0);
    cr_assert(pthread_join(pair.stopper, NULL) == 0);
    cr_assert(!result_of(endless).finished);
    pair_deinit(&pair);
}

static struct spw_session *signalled;

static void on_signal(int number)
{
    (void)number;
    spw_session_stop(signalled); /* NOLINT(bugprone-signal-handler): promised by spillway.h */
}

static void raise_signal(void *self, const struct spw_trial *trial, const struct spw_step *step)
{
    (void)self;
    (void)trial;
    if (step->step == 2) {
        cr_assert(raise(SIGUSR1) == 0);
    }
}

Test(session, can_be_stopped_by_a_signal_handler)
{
    struct pair pair;
    pair_init(&pair, "host*1 mem=48KiB");
    signalled = pair.session;
    cr_assert(signal(SIGUSR1, on_signal) != SIG_ERR);
    spw_session_on_step(pair.session, raise_signal, NULL);
    api_expect(pair.fixture.context, spw_session_run(pair.session), SPW_ERR_CANCELLED, "");
    cr_assert(!result_of(pair.trials[1]).finished);
    pair_deinit(&pair);
}

static void change_session(void *self, const struct spw_trial *trial, const struct spw_step *step)
{
    struct pair *pair = self;
    (void)trial;
    if (step->step == 1) {
        const struct spw_train train = api_short_train();
        struct spw_context *context = pair->fixture.context;
        api_expect(context,
                   spw_session_add(pair->session, "c", pair->models[0], pair->fixture.images, NULL,
                                   &train, NULL),
                   SPW_ERR_ARGUMENT, "the session is running");
        api_expect(context, spw_session_run(pair->session), SPW_ERR_ARGUMENT, "is running");
        pair->steps_seen[0]++;
    }
}

Test(session, callbacks_may_only_look)
{
    struct pair pair;
    pair_init(&pair, "host*1 mem=48KiB");
    spw_session_on_step(pair.session, change_session, &pair);
    api_ok(pair.fixture.context, spw_session_run(pair.session));
    cr_assert(pair.steps_seen[0] == 2);
    pair_deinit(&pair);
}

Test(session, takes_more_trials_after_a_run)
{
    struct pair pair;
    pair_init(&pair, "host*2 mem=48KiB");
    api_ok(pair.fixture.context, spw_session_run(pair.session));
    spw_session_on_step(pair.session, NULL, NULL);
    const struct spw_train train = api_short_train();
    struct spw_trial *late = NULL;
    api_ok(pair.fixture.context, spw_session_add(pair.session, "late", pair.models[0],
                                                 pair.fixture.images, NULL, &train, &late));
    api_ok(pair.fixture.context, spw_session_run(pair.session));
    const struct spw_result result = result_of(late);
    cr_assert(result.finished && isnan(result.eval_loss) && isnan(result.accuracy));
    cr_assert(result.last_loss == pair.losses[0][5], "the same job has the same loss");
    pair_deinit(&pair);
}
