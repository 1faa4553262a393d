/* spillway.h — the public interface of Spillway.
 *
 * Spillway trains many models, each too big for one device, at once. This header is all that a
 * program needs; nothing else of the source tree is public.
 *
 * Conventions
 *  - Every function that can fail returns `enum spw_status`; SPW_OK is 0. Results come through the
 *    last pointers and are left alone on failure. Details (what was asked, where, why, the cure)
 *    are in the error record that the caller passed or that the context holds.
 *  - Sizes are `uint64_t` bytes, times `uint64_t` nanoseconds; the unit is the last word of a name.
 *  - create/destroy: the library owns the storage. init/deinit: the caller owns it. destroy and
 *    deinit accept NULL (or a zeroed struct) and cannot fail.
 *  - The library never prints, exits, or reads the environment. */
#ifndef SPILLWAY_H
#define SPILLWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SPW_VERSION "0.1.0"
#define SPW_API __attribute__((visibility("default")))
#define SPW_MUST_CHECK __attribute__((warn_unused_result))

/* One row per status: name, sentence. The enum and the texts come from this map and cannot drift.
 */
#define SPW_STATUS_MAP(X)                                                                          \
    X(OK, "success")                                                                               \
    X(PENDING, "not finished yet")                                                                 \
    X(ERR_ARGUMENT, "a bad argument")                                                              \
    X(ERR_USAGE, "a bad specification or input file")                                              \
    X(ERR_NO_MEMORY, "host memory could not be allocated")                                         \
    X(ERR_NO_SPACE, "no range is long enough")                                                     \
    X(ERR_DOES_NOT_FIT, "the plan needs more memory than there is")                                \
    X(ERR_IO, "a file could not be read or written")                                               \
    X(ERR_NOT_FOUND, "no such thing")                                                              \
    X(ERR_EXISTS, "exists already")                                                                \
    X(ERR_BUSY, "a queue is full")                                                                 \
    X(ERR_NO_DATA, "this device holds no data")                                                    \
    X(ERR_DEVICE, "a device failed")                                                               \
    X(ERR_NUMERIC, "a number is not finite")                                                       \
    X(ERR_CANCELLED, "cancelled")                                                                  \
    X(ERR_UNSUPPORTED, "not supported here")                                                       \
    X(ERR_INTERNAL, "an internal fault")

enum spw_status {
#define SPW_STATUS_ENUM(name, text) SPW_##name,
    SPW_STATUS_MAP(SPW_STATUS_ENUM)
#undef SPW_STATUS_ENUM
};

/* The first failure of a call and its details. Zero-initialise before use; later failures (of
 * clean-up, say) do not overwrite it. */
struct spw_error {
    enum spw_status status;
    int native;       /* errno or the library's own code, 0 if there is none */
    const char *file; /* source place that reported it */
    int line;
    char what[768]; /* what was asked, where (file:line:column), why, the cure */
};

/* Name ("ERR_IO") and sentence of a status; never NULL. */
SPW_API const char *spw_status_name(enum spw_status status);
SPW_API const char *spw_status_text(enum spw_status status);

/* ---- context ----
 * Holds the error record of the calls below. One thread uses a context and everything made from it;
 * only spw_session_stop() may come from elsewhere. Things are destroyed before what they were made
 * from: sessions, then models, then data, then the context. (The wrong order is an assertion.) */
struct spw_context;
SPW_API enum spw_status spw_context_create(struct spw_context **out) SPW_MUST_CHECK;
SPW_API void spw_context_destroy(struct spw_context *context);
/* The first failure since the last spw_context_clear(); status SPW_OK if there was none. Never
 * NULL, also for a NULL context. Borrowed from the context. */
SPW_API const struct spw_error *spw_context_error(const struct spw_context *context);
SPW_API void spw_context_clear(struct spw_context *context);

/* ---- data ----
 * Read once, checked wholly, then constant; models and trials share it. */
struct spw_data;
struct spw_data_options {
    const char *format; /* "idx", "npy", "tokens" or "text" */
    const char *path;   /* ".gz" is unpacked */
    const char *labels; /* idx and npy; else NULL */
    int64_t seq_len;    /* tokens and text: tokens per sequence; else 0 */
};
/* Files that are missing or not in order are SPW_ERR_USAGE, with file, place and cure. */
SPW_API enum spw_status spw_data_open(struct spw_context *context,
                                      const struct spw_data_options *options, struct spw_data **out)
    SPW_MUST_CHECK;
SPW_API void spw_data_close(struct spw_data *data);
SPW_API int64_t spw_data_items(const struct spw_data *data); /* images, rows or sequences */
/* Largest label or token + 1; text: 256. */
SPW_API int64_t spw_data_classes(const struct spw_data *data);

/* ---- models ----
 * Built layer by layer like torch.nn.Sequential, or by one call for a known architecture. Between
 * begin and end the first failure sticks: later calls do nothing, and end returns it. Shapes come
 * from the data, which must stay open as long as the model. `seed` is that of the dropout masks;
 * initial weights follow the training's seed. `name` is copied.
 *
 * Each layer call, spw_model_add() included, takes the next position, from 0; parameters are called
 * "0.weight", "3.bias" by it. Initial values are PyTorch's defaults for the layer. */
struct spw_model;
SPW_API enum spw_status spw_model_begin(struct spw_context *context, const char *name,
                                        const struct spw_data *data, uint64_t seed,
                                        struct spw_model **out) SPW_MUST_CHECK;
SPW_API void spw_model_linear(struct spw_model *model, int64_t out, bool bias);
/* Square kernels; `padding` zeros on each side. */
SPW_API void spw_model_conv2d(struct spw_model *model, int64_t out, int64_t kernel, int64_t stride,
                              int64_t padding, bool bias);
/* No padding. `stride` 0: as the kernel. */
SPW_API void spw_model_maxpool2d(struct spw_model *model, int64_t kernel, int64_t stride);
SPW_API void spw_model_avgpool2d(struct spw_model *model, int64_t kernel, int64_t stride);
SPW_API void spw_model_flatten(struct spw_model *model);
SPW_API void spw_model_relu(struct spw_model *model);
SPW_API void spw_model_gelu(struct spw_model *model); /* erf form */
SPW_API void spw_model_silu(struct spw_model *model);
SPW_API void spw_model_layernorm(struct spw_model *model); /* last dimension, eps 1e-5 */
SPW_API void spw_model_dropout(struct spw_model *model, double p);
/* The present tensor (at first the data), for a later spw_model_add(). */
SPW_API int32_t spw_model_here(const struct spw_model *model);
/* present = present + alpha * tensor: a residual connection. */
SPW_API void spw_model_add(struct spw_model *model, int32_t tensor, double alpha);
/* The present tensor's last dimension holds the logits of `classes`. The model is then constant. */
SPW_API enum spw_status spw_model_end(struct spw_model *model, int64_t classes) SPW_MUST_CHECK;

/* flatten, (linear, relu) for each of hidden[hidden_count], linear to `classes`. */
SPW_API enum spw_status spw_model_mlp(struct spw_context *context, const char *name,
                                      const struct spw_data *data, const int64_t *hidden,
                                      int64_t hidden_count, int64_t classes, uint64_t seed,
                                      struct spw_model **out) SPW_MUST_CHECK;
/* As Hugging Face's GPT2LMHeadModel: tied head, tanh gelu. The data are tokens or text, its seq_len
 * at most n_positions. */
struct spw_gpt2_options {
    int64_t vocab_size, n_positions, n_embd, n_layer, n_head;
    double dropout; /* embeddings, attention weights and residuals */
};
SPW_API enum spw_status spw_model_gpt2(struct spw_context *context, const char *name,
                                       const struct spw_data *data,
                                       const struct spw_gpt2_options *options, uint64_t seed,
                                       struct spw_model **out) SPW_MUST_CHECK;
/* A Hugging Face GPT-2 folder: config.json and *.safetensors, from which training starts. */
SPW_API enum spw_status spw_model_open(struct spw_context *context, const char *name,
                                       const struct spw_data *data, const char *folder,
                                       uint64_t seed, struct spw_model **out) SPW_MUST_CHECK;
/* Training starts from the tensors of this safetensors file, such as `save` writes, instead of
 * random numbers. Names and shapes must be this model's, none missing and none left over. Before
 * spw_session_add(); the file stays as it is until the trial has started. */
SPW_API enum spw_status spw_model_init_from(struct spw_model *model, const char *path)
    SPW_MUST_CHECK;
SPW_API void spw_model_destroy(struct spw_model *model);
/* Both are 0 until the model is finished. */
SPW_API int64_t spw_model_parameters(const struct spw_model *model);
/* Bytes of training state under AdamW: weights, gradients, two moments, fp32. */
SPW_API uint64_t spw_model_state_bytes(const struct spw_model *model);

/* ---- training ---- */
struct spw_train {
    int64_t batch;       /* items per update */
    int64_t micro_batch; /* items per pass; a last pass may be shorter */
    uint64_t steps;      /* or epochs, if 0 */
    uint64_t epochs;
    double lr;
    bool sgd;        /* else AdamW */
    double momentum; /* SGD only */
    double weight_decay;
    double grad_clip;    /* 0: off */
    uint64_t seed;       /* of the initial weights and the order of the items */
    bool shuffle;        /* else the items are taken in the order of the file */
    uint64_t eval_every; /* steps; 0: after the last only */
    const char *save; /* final weights go to this safetensors file, replacing it; NULL: nowhere */
};
/* AdamW as torch.optim's defaults, batches of 32, one epoch. */
#define SPW_TRAIN_DEFAULTS                                                                         \
    {                                                                                              \
        .batch = 32, .micro_batch = 32, .epochs = 1, .lr = 1e-3, .weight_decay = 0.01,             \
        .shuffle = true                                                                            \
    }

/* ---- session: devices, and the trials that train on them ---- */
struct spw_session;
struct spw_trial;

/* Opens the devices. `machine`: "host*2 mem=8MiB" (see docs/spec.md). `policy`: "weave",
 * "lrtf", "fifo", "random" or "serial"; NULL: "weave". */
SPW_API enum spw_status spw_session_create(struct spw_context *context, const char *machine,
                                           const char *policy, struct spw_session **out)
    SPW_MUST_CHECK;
SPW_API void spw_session_destroy(struct spw_session *session);
/* Plans the training for the session's devices. Model and data must outlive the session; a model
 * may be in several trials. `name` and everything in `train` are copied. `valid` may be NULL, and
 * so may `out`; the trial belongs to the session. SPW_ERR_DOES_NOT_FIT names the bytes. */
SPW_API enum spw_status spw_session_add(struct spw_session *session, const char *name,
                                        struct spw_model *model, const struct spw_data *train_data,
                                        const struct spw_data *valid, const struct spw_train *train,
                                        struct spw_trial **out) SPW_MUST_CHECK;

struct spw_step {
    uint64_t step, steps;
    double loss;      /* mean over the batch, before the update */
    double grad_norm; /* before clipping */
    double lr;
};
/* Called on the session's thread after each step of each trial; must be quick. May ask questions
 * and stop the session, no more. */
typedef void (*spw_step_fn)(void *self, const struct spw_trial *trial, const struct spw_step *step);
SPW_API void spw_session_on_step(struct spw_session *session, spw_step_fn function, void *self);
/* Trains all trials to the end. SPW_OK whatever became of each; ask the trials. SPW_ERR_CANCELLED
 * after spw_session_stop(). Trials may be added and trained afterwards. */
SPW_API enum spw_status spw_session_run(struct spw_session *session) SPW_MUST_CHECK;
/* Asks the session to stop: within a quarter of a second trials that are not finished end without a
 * result, and so do all later ones. From any thread or a signal handler. */
SPW_API void spw_session_stop(struct spw_session *session);

struct spw_result {
    bool finished;              /* else `why` says why not */
    const char *why;            /* "" if finished; borrowed from the trial */
    uint64_t steps;             /* done */
    double last_loss;           /* NaN before the first step */
    double eval_loss, accuracy; /* of the last evaluation; NaN before it */
    double seconds;             /* from its start to its end */
};
SPW_API const char *spw_trial_name(const struct spw_trial *trial);
SPW_API void spw_trial_result(const struct spw_trial *trial, struct spw_result *out);
/* Number of shards that the trial's model was cut into, and device bytes of its largest unit. */
SPW_API int32_t spw_trial_shards(const struct spw_trial *trial);
SPW_API uint64_t spw_trial_device_bytes(const struct spw_trial *trial);

struct spw_usage {
    const char *device;                      /* borrowed from the session */
    double busy, waiting_copy, waiting_work; /* fractions of the run */
    uint64_t units, evictions;               /* pieces of work done; blocks dropped to make room */
    uint64_t bytes_in, bytes_out;            /* copied from and to host memory */
};
SPW_API uint32_t spw_session_devices(const struct spw_session *session);
/* `device` is below spw_session_devices(); all zero for another. */
SPW_API void spw_session_usage(const struct spw_session *session, uint32_t device,
                               struct spw_usage *out);

#ifdef __cplusplus
}
#endif
#endif
