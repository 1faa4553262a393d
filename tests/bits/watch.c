/* watch.c — see watch.h. */
#include "watch.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct watched *watched_of(struct watch *watch, const struct spw_job *job)
{
    for (uint32_t i = 0; i < watch->count; i++) {
        if (watch->jobs[i].job == job && watch->jobs[i].want != NULL) {
            return &watch->jobs[i];
        }
    }
    return NULL;
}

static void differ(struct watched *it, const char *what, uint64_t at, double got, double want)
{
    if (it->differences++ == 0) {
        (void)snprintf(it->first, sizeof it->first, "%s[%" PRIu64 "]: got %.9g, want %.9g", what,
                       at, got, want);
    }
}

static void expect(struct watched *it, const char *what, uint64_t at, double got, double want)
{
    if (memcmp(&got, &want, sizeof got) != 0) {
        differ(it, what, at, got, want);
    }
}

static void on_step(void *self, struct spw_job *job, const struct spw_step_result *result)
{
    struct watch *watch = self;
    struct watched *it = watched_of(watch, job);
    if (it != NULL) {
        it->steps++;
        expect(it, "loss", result->step, result->loss, it->want->losses[result->step - 1]);
        expect(it, "norm", result->step, result->grad_norm, it->want->norms[result->step - 1]);
    }
    if (watch->on_step != NULL) {
        watch->on_step(watch->self, job, result);
    }
}

static void on_eval(void *self, struct spw_job *job, const struct spw_eval_result *result)
{
    struct watched *it = watched_of(self, job);
    if (it != NULL && result->step == it->want->steps) {
        expect(it, "evaluated loss", result->step, result->loss, it->want->eval_loss);
        expect(it, "accuracy", result->step, result->accuracy, it->want->eval_accuracy);
    }
}

/* The first element whose bits differ, or `count`. */
static uint64_t first_different(const float *got, const float *want, uint64_t count)
{
    uint64_t at = 0;
    while (at < count && memcmp(&got[at], &want[at], sizeof got[at]) == 0) {
        at++;
    }
    return at;
}

static void compare_array(struct watched *it, enum spw_job_array array, float *const *want)
{
    static const char *const arrays[] = {"", "moment 0 of ", "moment 1 of "};
    const struct spw_graph *graph = it->want->graph;
    char what[128];
    for (int32_t p = 0; p < graph->param_count; p++) {
        if (want[p] == NULL) {
            continue;
        }
        const uint64_t count = (uint64_t)graph->params[p].elements;
        float *got = malloc(count * sizeof *got);
        if (spw_job_read(it->job, array, p, got, NULL) != SPW_OK) {
            differ(it, "unreadable parameter", (uint64_t)p, NAN, 0);
        } else {
            const uint64_t at = first_different(got, want[p], count);
            if (at < count) {
                (void)snprintf(what, sizeof what, "%s%s", arrays[array], graph->params[p].name);
                differ(it, what, at, (double)got[at], (double)want[p][at]);
            }
        }
        free(got);
    }
}

static enum spw_status on_state(void *self, struct spw_job *job, enum spw_job_state state,
                                struct spw_error *error)
{
    struct watch *watch = self;
    struct watched *it = watched_of(watch, job);
    if (it != NULL && state == SPW_JOB_DONE) {
        it->done = true;
        compare_array(it, SPW_JOB_WEIGHTS, it->want->weights);
        compare_array(it, SPW_JOB_MOMENT0, it->want->moments[0]);
        compare_array(it, SPW_JOB_MOMENT1, it->want->moments[1]);
    }
    return watch->on_state == NULL ? SPW_OK : watch->on_state(watch->self, job, state, error);
}

static void on_decision(void *self, const struct spw_decision *decision)
{
    struct watch *watch = self;
    if (watch->on_decision != NULL) {
        watch->on_decision(watch->self, decision);
    }
}

struct spw_run_events watch_events(struct watch *watch)
{
    return (struct spw_run_events){.self = watch,
                                   .step = on_step,
                                   .eval = on_eval,
                                   .state = on_state,
                                   .decision = on_decision};
}

enum spw_status watch_add(struct watch *watch, const struct spw_job_config *config,
                          const struct oracle_result *want, struct spw_error *error)
{
    if (watch->count == WATCHED_MAX) {
        abort();
    }
    struct spw_job *job = NULL;
    SPW_TRY(spw_run_add(watch->run, config, error, &job));
    watch->jobs[watch->count++] = (struct watched){.want = want, .job = job};
    return SPW_OK;
}

struct spw_job_status watch_status(const struct watch *watch, uint32_t index)
{
    struct spw_job_status status;
    spw_job_status(watch->jobs[index].job, &status);
    return status;
}

const char *watch_fault(const struct watch *watch, uint32_t index, char out[WATCH_FAULT_BYTES])
{
    const struct watched *it = &watch->jobs[index];
    const struct spw_job_status status = watch_status(watch, index);
    if (!it->done || status.state != SPW_JOB_DONE) {
        (void)snprintf(out, WATCH_FAULT_BYTES, "job %" PRIu32 " is not done: %s", index,
                       status.error.what);
    } else if (it->differences > 0) {
        (void)snprintf(out, WATCH_FAULT_BYTES, "job %" PRIu32 ": %s", index, it->first);
    } else if (it->steps != it->want->steps) {
        (void)snprintf(out, WATCH_FAULT_BYTES, "job %" PRIu32 ": not every step was reported",
                       index);
    } else {
        return NULL;
    }
    return out;
}
