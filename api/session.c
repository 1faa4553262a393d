/* session.c — a machine with a policy, and the loop that trains the trials on it.
 *
 * It stands between the user and one run of the runtime: callbacks in, questions out. Trials are
 * made in trial.c. Tested by tests/api/test_session.c. */
#include "api/trial.h"

#include "base/assert.h"
#include "base/text.h"
#include "runtime/schedule/policy.h"

#include <stdio.h>
#include <string.h>

#define FUNCTION "spw_session_create"

/* ---- what the run reports ---- */

static struct spw_trial *trial_of(const struct spw_session *session, const struct spw_job *job)
{
    const uint32_t index = spw_job_index(job);
    SPW_ASSERT(index < session->trial_count);
    return session->trials[index];
}

/* A stop may be asked for by a signal handler, which can do no more than set a flag. The run looks
 * at it here: after steps, and a few times a second. */
static void obey_stop(struct spw_session *session)
{
    if (atomic_load(&session->stop)) {
        spw_run_interrupt(session->run);
    }
}

static void report_step(void *self, struct spw_job *job, const struct spw_step_result *result)
{
    struct spw_session *session = self;
    const struct spw_trial *trial = trial_of(session, job);
    if (session->on_step != NULL) {
        const struct spw_step step = {
            .step = result->step,
            .steps = trial->steps,
            .loss = result->loss,
            .grad_norm = result->grad_norm,
            .lr = result->lr,
        };
        session->on_step(session->on_step_self, trial, &step);
    }
    obey_stop(session);
}

static enum spw_status report_state(void *self, struct spw_job *job, enum spw_job_state state,
                                    struct spw_error *error)
{
    return spw_trial_enter(trial_of(self, job), state, error);
}

static void report_tick(void *self, struct spw_run *run)
{
    (void)run;
    obey_stop(self);
}

/* ---- life ---- */

static enum spw_status find_policy(struct spw_context *context, const char *name,
                                   enum spw_policy_name *out)
{
    /* "replay" needs a log of decisions, which this interface can't give. */
    const char *names[SPW_POLICY_REPLAY + 1] = {NULL};
    memcpy(names, spw_policy_names, SPW_POLICY_REPLAY * sizeof(names[0]));
    enum spw_policy_name parsed = SPW_POLICY_WEAVE;
    if (name == NULL ||
        (spw_policy_parse(name, &parsed) == SPW_OK && parsed != SPW_POLICY_REPLAY)) {
        *out = parsed;
        return SPW_OK;
    }
    const char *near = spw_nearest_name(name, names);
    if (near != NULL) {
        return SPW_REFUSE(context, FUNCTION ": unknown policy \"%.80s\"; did you mean \"%s\"?",
                          name, near);
    }
    char known[80];
    return SPW_REFUSE(context, FUNCTION ": unknown policy \"%.80s\"; known are %s", name,
                      spw_join_names(names, UINT32_MAX, "and", known, sizeof(known)));
}

static enum spw_status open_session(struct spw_session *session,
                                    const struct spw_run_config *config)
{
    const struct spw_world *world = session->context->world;
    struct spw_error *error = &session->context->error;
    SPW_TRY(spw_run_create(world, config, error, &session->run));
    session->device_count = spw_run_device_count(session->run);
    SPW_TRY(spw_allocate(world, session->device_count, sizeof(*session->device_names),
                         "the names of devices", error, &session->device_names));
    for (uint32_t i = 0; i < session->device_count; i++) {
        struct spw_device_stats stats;
        spw_run_device_stats(session->run, i, &stats);
        (void)snprintf(session->device_names[i].text, sizeof(session->device_names[i].text), "%s",
                       stats.name);
    }
    return SPW_OK;
}

enum spw_status spw_session_create(struct spw_context *context, const char *machine,
                                   const char *policy, struct spw_session **out)
{
    if (context == NULL) {
        return SPW_ERR_ARGUMENT;
    }
    if (machine == NULL || out == NULL) {
        return SPW_REFUSE(context, machine == NULL ? FUNCTION
                                       ": machine is NULL; name one, for instance "
                                       "\"host*2 mem=8MiB\""
                                                   : FUNCTION ": out is NULL");
    }
    struct spw_run_config config = {.prefetch = -1, .update_place = -1, .keep = -1};
    SPW_TRY(find_policy(context, policy, &config.policy));
    SPW_TRY(spw_machine_parse(machine, FUNCTION, &context->error, &config.machine));

    struct spw_session *session;
    SPW_TRY(
        spw_allocate(context->world, 1, sizeof(*session), "a session", &context->error, &session));
    session->context = context;
    context->parts++;
    atomic_init(&session->stop, false);
    config.events = (struct spw_run_events){
        .self = session, .step = report_step, .state = report_state, .tick = report_tick};
    const enum spw_status status = open_session(session, &config);
    if (status != SPW_OK) {
        spw_session_destroy(session);
        return status;
    }
    *out = session;
    return SPW_OK;
}

void spw_session_destroy(struct spw_session *session)
{
    if (session == NULL) {
        return;
    }
    SPW_ASSERT(!session->running);
    const struct spw_world *world = session->context->world;
    spw_run_destroy(session->run);
    for (uint64_t i = 0; i < session->trial_count; i++) {
        spw_trial_destroy(session->trials[i]);
    }
    spw_release(world, (void *)session->trials);
    spw_release(world, session->device_names);
    session->context->parts--;
    spw_release(world, session);
}

/* ---- training ---- */

void spw_session_on_step(struct spw_session *session, spw_step_fn function, void *self)
{
    if (session != NULL) {
        session->on_step = function;
        session->on_step_self = self;
    }
}

enum spw_status spw_session_run(struct spw_session *session)
{
    if (session == NULL) {
        return SPW_ERR_ARGUMENT;
    }
    struct spw_error *error = &session->context->error;
    if (session->running) {
        return SPW_FAIL(error, SPW_ERR_ARGUMENT,
                        "spw_session_run: the session is running; call it outside its callbacks");
    }
    obey_stop(session);
    session->running = true;
    const enum spw_status status = spw_run_execute(session->run, error);
    session->running = false;
    return status;
}

void spw_session_stop(struct spw_session *session)
{
    if (session != NULL) {
        atomic_store(&session->stop, true);
    }
}

/* ---- what the devices did ---- */

uint32_t spw_session_devices(const struct spw_session *session)
{
    return session != NULL ? session->device_count : 0;
}

static double fraction(uint64_t part_ns, uint64_t whole_ns)
{
    return whole_ns > 0 ? (double)part_ns / (double)whole_ns : 0.0;
}

void spw_session_usage(const struct spw_session *session, uint32_t device, struct spw_usage *out)
{
    if (out == NULL) {
        return;
    }
    *out = (struct spw_usage){.device = ""};
    if (session == NULL || device >= session->device_count) {
        return;
    }
    struct spw_device_stats stats;
    spw_run_device_stats(session->run, device, &stats);
    *out = (struct spw_usage){
        .device = session->device_names[device].text,
        .busy = fraction(stats.compute_ns, stats.wall_ns),
        .waiting_copy = fraction(stats.waiting_copy_ns, stats.wall_ns),
        .waiting_work = fraction(stats.waiting_work_ns, stats.wall_ns),
        .units = stats.units,
        .evictions = stats.evictions,
        .bytes_in = stats.bytes_in,
        .bytes_out = stats.bytes_out,
    };
}
