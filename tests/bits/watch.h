/* watch.h — a run whose jobs are held against the oracle, each by itself, while it goes on.
 *
 * Every loss, norm, evaluation, weight and moment must have the oracle's bits. A test may hook into
 * the run's events. Tested by its users. */
#ifndef SPW_TESTS_BITS_WATCH_H
#define SPW_TESTS_BITS_WATCH_H

#include "oracle.h"

#define WATCHED_MAX 8
#define WATCH_FAULT_BYTES 1024

struct watched {
    const struct oracle_result *want;
    struct spw_job *job;
    uint64_t steps; /* reported */
    int differences;
    bool done;
    char first[256]; /* difference */
};

struct watch {
    struct spw_run *run;
    struct watched jobs[WATCHED_MAX];
    uint32_t count;
    /* Of the test; each may be NULL. */
    void *self;
    void (*on_step)(void *self, struct spw_job *job, const struct spw_step_result *result);
    enum spw_status (*on_state)(void *self, struct spw_job *job, enum spw_job_state state,
                                struct spw_error *error);
    void (*on_decision)(void *self, const struct spw_decision *decision);
};

/* The events that feed `watch`. */
struct spw_run_events watch_events(struct watch *watch);
/* Adds a job to watch->run; `want` is borrowed, NULL: its bits are not looked at. */
enum spw_status watch_add(struct watch *watch, const struct spw_job_config *config,
                          const struct oracle_result *want, struct spw_error *error);
struct spw_job_status watch_status(const struct watch *watch, uint32_t index);
/* NULL if the job is done with the oracle's bits, else what is wrong. */
const char *watch_fault(const struct watch *watch, uint32_t index, char out[WATCH_FAULT_BYTES]);

#endif
