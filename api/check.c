/* check.c — a user's wishes for a training, held against each other, the model and the data.
 *
 * Refused here, in the words of the interface, is what would go wrong later or be silently without
 * effect. Tested by tests/api/test_check.c. */
#include "api/objects.h"

#include "base/checked.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define FUNCTION "spw_session_add"

/* PyTorch's defaults. */
#define BETA1 0.9
#define BETA2 0.999
#define EPS 1e-8

#define BATCH_MAX INT64_C(0x7fffffff)
/* Every micro-batch of a batch has its place in the tables of each shard. */
#define MICRO_BATCHES_MAX 65536

enum spw_status spw_check_name(struct spw_context *context, const char *function, const char *what,
                               const char *name)
{
    if (name == NULL || name[0] == '\0') {
        return SPW_REFUSE(context, "%s: name is %s; messages and files need a name for the %s",
                          function, name == NULL ? "NULL" : "empty", what);
    }
    if (strnlen(name, SPW_OBJECT_NAME_MAX + 1) > SPW_OBJECT_NAME_MAX) {
        return SPW_REFUSE(context,
                          "%s: the %s's name \"%.40s...\" is longer than %d bytes; shorten it",
                          function, what, name, SPW_OBJECT_NAME_MAX);
    }
    return SPW_OK;
}

/* What every check needs. */
struct check {
    struct spw_context *context;
    const char *name; /* of the trial */
};

#define REFUSE(check, format, ...)                                                                 \
    SPW_REFUSE((check)->context, FUNCTION ": trial %s: " format, (check)->name, __VA_ARGS__)

/* ---- single numbers ---- */

static enum spw_status want_number(const struct check *check, const char *field, double value)
{
    if (value >= 0.0 && isfinite(value)) {
        return SPW_OK;
    }
    return REFUSE(check, "%s is %g; it must be a finite number of 0 or more", field, value);
}

static enum spw_status check_optimizer(const struct check *check, const struct spw_train *train)
{
    SPW_TRY(want_number(check, "lr", train->lr));
    SPW_TRY(want_number(check, "weight_decay", train->weight_decay));
    SPW_TRY(want_number(check, "grad_clip", train->grad_clip));
    SPW_TRY(want_number(check, "momentum", train->momentum));
    if (train->momentum > 0.0 && !train->sgd) {
        return REFUSE(check, "momentum is %g, but AdamW has none; set sgd to true or momentum to 0",
                      train->momentum);
    }
    if (train->momentum >= 1.0) {
        return REFUSE(check, "momentum is %g; it must be below 1", train->momentum);
    }
    return SPW_OK;
}

static enum spw_status want_batch(const struct check *check, const char *field, int64_t value)
{
    if (value >= 1 && value <= BATCH_MAX) {
        return SPW_OK;
    }
    return REFUSE(check,
                  "%s is %" PRId64 "; it must be from 1 to %" PRId64
                  " items (SPW_TRAIN_DEFAULTS sets 32)",
                  field, value, BATCH_MAX);
}

static enum spw_status check_batch(const struct check *check, const struct spw_train *train)
{
    SPW_TRY(want_batch(check, "batch", train->batch));
    SPW_TRY(want_batch(check, "micro_batch", train->micro_batch));
    if ((train->batch - 1) / train->micro_batch >= MICRO_BATCHES_MAX) {
        return REFUSE(check,
                      "a batch of %" PRId64 " in passes of %" PRId64
                      " makes more than %d passes; make micro_batch larger",
                      train->batch, train->micro_batch, MICRO_BATCHES_MAX);
    }
    return SPW_OK;
}

/* The number of the last item that is trained on must be a number. */
static enum spw_status check_length(const struct check *check, const struct spw_train *train,
                                    const struct spw_data *data)
{
    if (train->steps == 0 && train->epochs == 0) {
        return REFUSE(check, "%s", "steps and epochs are both 0; set one of them");
    }
    const uint64_t batch = (uint64_t)train->batch;
    const uint64_t items = (uint64_t)spw_data_items(data);
    uint64_t steps = train->steps;
    uint64_t total;
    if ((steps == 0 && !spw_checked_multiply(train->epochs, (items - 1) / batch + 1, &steps)) ||
        !spw_checked_multiply(steps, batch, &total) || total > INT64_MAX) {
        return REFUSE(check,
                      "%" PRIu64 " %s of batches of %" PRId64 " are more items than can be counted",
                      train->steps != 0 ? train->steps : train->epochs,
                      train->steps != 0 ? "steps" : "epochs", train->batch);
    }
    return SPW_OK;
}

/* ---- model and data ---- */

static enum spw_status check_model(const struct check *check, const struct spw_model *model)
{
    if (model == NULL) {
        return REFUSE(check, "%s", "model is NULL");
    }
    if (model->context != check->context) {
        return REFUSE(check, "model %s belongs to another context", model->name);
    }
    if (model->graph == NULL) {
        return REFUSE(check, "model %s is not finished; call spw_model_end() first", model->name);
    }
    return SPW_OK;
}

static struct spw_shape item_shape(const struct spw_data_info *info)
{
    struct spw_shape shape = {.rank = info->rank};
    memcpy(shape.dim, info->dim, (size_t)info->rank * sizeof(shape.dim[0]));
    return shape;
}

static bool shapes_equal(const struct spw_shape *a, const struct spw_shape *b)
{
    return a->rank == b->rank && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof(a->dim[0])) == 0;
}

static enum spw_status check_data(const struct check *check, const char *role,
                                  const struct spw_model *model, const struct spw_data *data)
{
    if (data->context != check->context) {
        return REFUSE(check, "the %s data belong to another context", role);
    }
    const struct spw_data_info *info = spw_dataset_info(data->set);
    const struct spw_graph *graph = model->graph;
    if (info->is_tokens != (graph->input_dtype == SPW_I32)) {
        return REFUSE(check,
                      "model %s reads %s, but the %s data are %s; use the data it was made for",
                      model->name, info->is_tokens ? "numbers" : "tokens", role,
                      info->is_tokens ? "tokens" : "numbers");
    }
    const struct spw_shape shape = item_shape(info);
    if (!shapes_equal(&shape, &graph->input)) {
        char is[96];
        char want[96];
        return REFUSE(
            check,
            "items of the %s data are %s, but model %s reads %s; use data of the shape it "
            "was made for",
            role, spw_shape_text(&shape, is), model->name, spw_shape_text(&graph->input, want));
    }
    return SPW_OK;
}

enum spw_status spw_check_train(struct spw_session *session, const char *name,
                                const struct spw_model *model, const struct spw_data *train_data,
                                const struct spw_data *valid, const struct spw_train *train,
                                struct spw_job_config *out)
{
    const struct check check = {.context = session->context, .name = name};
    SPW_TRY(check_model(&check, model));
    if (train_data == NULL || train == NULL) {
        return REFUSE(&check, "%s is NULL", train_data == NULL ? "train_data" : "train");
    }
    SPW_TRY(check_data(&check, "training", model, train_data));
    if (valid != NULL) {
        SPW_TRY(check_data(&check, "validation", model, valid));
    } else if (train->eval_every != 0) {
        return REFUSE(&check,
                      "eval_every is %" PRIu64
                      ", but there is no validation data; give some or set "
                      "it to 0",
                      train->eval_every);
    }
    SPW_TRY(check_batch(&check, train));
    SPW_TRY(check_length(&check, train, train_data));
    SPW_TRY(check_optimizer(&check, train));
    *out = (struct spw_job_config){
        .id = name,
        .graph = model->graph,
        .train = train_data->set,
        .valid = valid != NULL ? valid->set : NULL,
        .optimizer =
            {
                .name = train->sgd ? SPW_SGD : SPW_ADAMW,
                .beta1 = BETA1,
                .beta2 = BETA2,
                .eps = EPS,
                .momentum = train->momentum,
                .weight_decay = train->weight_decay,
                .grad_clip = train->grad_clip,
            },
        .schedule = {.name = SPW_LR_CONSTANT},
        .lr = train->lr,
        .seed = train->seed,
        .shuffle = train->shuffle,
        .batch = train->batch,
        .micro_batch = train->micro_batch < train->batch ? train->micro_batch : train->batch,
        .grad_groups = 1,
        .max_steps = train->steps,
        .epochs = train->steps != 0 ? 0 : train->epochs,
        .eval_every = train->eval_every,
    };
    return SPW_OK;
}
