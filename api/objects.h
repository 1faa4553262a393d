/* objects.h — what stands behind the public names: data, models, sessions and trials.
 *
 * They hold each other by pointer, as the header promises users: a model uses its data, a trial its
 * model and its data. Each counts its users, so that a closing in the wrong order is found at once.
 * Internal to the api box. */
#ifndef SPW_API_OBJECTS_H
#define SPW_API_OBJECTS_H

#include "api/context.h"
#include "models/arch.h"
#include "runtime/run.h"

#include <stdatomic.h>

/* Longest name of a model or trial, in bytes: they must fit into messages. */
#define SPW_OBJECT_NAME_MAX 127

struct spw_data {
    struct spw_context *context;
    struct spw_dataset *set;
    uint32_t users; /* models and trials */
};

struct spw_model {
    struct spw_context *context;
    struct spw_data *data;
    char *name;
    struct spw_graph *graph; /* NULL until the model is finished */
    uint32_t users;          /* trials */

    /* Between begin and end. */
    struct spw_builder *builder;
    struct spw_built *tensors; /* [tensor_count], by node index */
    uint64_t tensor_count, tensor_capacity;
    struct spw_built at;    /* the present tensor */
    uint32_t position;      /* of the next layer */
    struct spw_error error; /* the first failure; it sticks */
};

struct spw_trial {
    struct spw_session *session;
    char *name;
    char *save; /* NULL: weights are not kept */
    struct spw_model *model;
    struct spw_data *train_data;
    struct spw_data *valid; /* or NULL */
    struct spw_job *job;
    uint64_t steps;                                  /* to train in all */
    char why[sizeof(((struct spw_error *)0)->what)]; /* why it failed */
};

/* "host:63" and the like; the runtime's own length. */
struct spw_device_name {
    char text[32];
};

struct spw_session {
    struct spw_context *context;
    struct spw_run *run;
    struct spw_device_name *device_names; /* [device_count] */
    uint32_t device_count;
    struct spw_trial **trials; /* in order of adding, which is the run's order of jobs */
    uint64_t trial_count, trial_capacity;
    spw_step_fn on_step;
    void *on_step_self;
    bool running;
    atomic_bool stop; /* set from anywhere, read on the session's thread */
};
_Static_assert(ATOMIC_BOOL_LOCK_FREE == 2, "a signal handler may only set what takes no lock");

/* check.c: whether a name can be one. `function` is the public function that asks, `what` says what
 * is named ("model"). */
enum spw_status spw_check_name(struct spw_context *context, const char *function, const char *what,
                               const char *name);

/* check.c: turns a user's wishes into a job of `session`, or says what is wrong with them. Checks
 * the data and the model against each other too. */
enum spw_status spw_check_train(struct spw_session *session, const char *name,
                                const struct spw_model *model, const struct spw_data *train_data,
                                const struct spw_data *valid, const struct spw_train *train,
                                struct spw_job_config *out);

/* weights.c: writes the weights of a job to a safetensors file: tensors in graph order under their
 * own names. The job holds its homes still. */
enum spw_status spw_weights_save(const struct spw_world *world, const struct spw_job *job,
                                 const char *path, struct spw_error *error);

#endif
