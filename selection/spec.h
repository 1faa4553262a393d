/* spec.h — a spec file, read, typed and resolved: what to train, on what, how.
 *
 * All structs are plain data filled through the table in selection/schema.c. What a spec means (its
 * trials, their graphs) is in trials.h and build.h. Tested by tests/selection/test_spec.c. */
#ifndef SPW_SELECTION_SPEC_H
#define SPW_SELECTION_SPEC_H

#include "kernels/op.h"
#include "selection/schema.h"

/* Indices of these enums are those of the schema's choices. */
enum spw_optimizer_choice { SPW_CHOICE_ADAMW, SPW_CHOICE_SGD };
enum spw_update_choice {
    SPW_CHOICE_UPDATE_AUTO,
    SPW_CHOICE_UPDATE_DEVICE,
    SPW_CHOICE_UPDATE_CORES
};

enum spw_model_source {
    SPW_MODEL_MLP, /* the first four are `arch`'s choices */
    SPW_MODEL_CNN,
    SPW_MODEL_RESNET,
    SPW_MODEL_GPT2,
    SPW_MODEL_LAYERS,
    SPW_MODEL_FROM,
};

struct spw_optimizer_spec {
    int32_t name; /* enum spw_optimizer_choice */
    double betas[2];
    double eps;
    double momentum;
    double weight_decay; /* NaN: the optimizer's default, 0.01 for adamw and 0 for sgd */
    int32_t decay;       /* 0 all, 1 matrices */
    double grad_clip;    /* 0: off */
};

struct spw_schedule_spec {
    int32_t name; /* enum spw_lr_schedule */
    uint64_t warmup_steps;
    uint64_t decay_steps; /* 0: a tenth of all */
    double final;
};

struct spw_train_spec {
    uint64_t batch;
    uint64_t micro_batch; /* 0: the batch */
    uint64_t grad_groups;
    uint64_t max_steps; /* 0: epochs */
    uint64_t epochs;    /* 0: max_steps */
    int32_t precision;
    double lr;
    struct spw_optimizer_spec optimizer;
    struct spw_schedule_spec schedule;
};

struct spw_eval_spec {
    uint64_t every;   /* 0: only after the last step */
    uint64_t batches; /* 0: all */
};

struct spw_set_spec {
    const char *path; /* NULL: no such set */
    const char *labels;
    int32_t format; /* enum spw_data_format */
};

struct spw_data_spec {
    struct spw_set_spec train;
    struct spw_set_spec valid;
    uint64_t seq_len; /* 0: none */
    bool shuffle;
};

struct spw_policy_spec {
    int32_t name; /* enum spw_policy_name */
    uint64_t seed;
    const char *decisions;
};

struct spw_resources_spec {
    uint64_t host_memory; /* 0: 80 % of what is free */
    int32_t update;
};

struct spw_run_spec {
    bool trace;
};

/* One value of a key that differs from the file's common part. */
struct spw_assignment {
    const char *path; /* "train.lr", "seed", "hidden" */
    const struct spw_yaml_node *value;
};

struct spw_search_parameter {
    const char *path;
    const struct spw_yaml_node *place;  /* the key's node */
    const struct spw_yaml_node *values; /* a list with one item or more */
};

struct spw_search_spec {
    int32_t method;
    const struct spw_yaml_node *node; /* NULL: no search */
    struct spw_search_parameter *parameters;
    uint32_t count;
};

struct spw_layer_spec {
    struct spw_op_desc desc; /* op and attributes; shapes are inferred later */
    const struct spw_yaml_node *node;
    /* Where the table stores its values; desc is made from them. */
    uint64_t out, kernel, stride, padding, vocabulary, width;
    bool bias;
    double p, eps;
    int32_t approximate;
};

struct spw_gpt2_spec {
    uint64_t vocab_size, n_positions, n_embd, n_layer, n_head, n_inner;
    double layer_norm_epsilon, embd_pdrop, attn_pdrop, resid_pdrop;
    int32_t activation_function;
};

struct spw_model_spec {
    const char *id;
    enum spw_model_source source;
    int32_t arch;
    const char *from;
    const char *init;
    uint64_t classes; /* 0: as many as the data has */
    struct spw_layer_spec *layers;
    uint32_t layer_count;
    struct spw_sizes hidden, channels, blocks;
    uint64_t width;
    int32_t activation;
    double dropout;
    struct spw_gpt2_spec config;
    const struct spw_yaml_node *node;
    const struct spw_yaml_node *train_node; /* NULL: nothing of its own */
    struct spw_assignment *overrides;       /* from train_node */
    uint32_t override_count;
    struct spw_search_spec search;
};

struct spw_spec {
    struct spw_arena arena; /* owns everything below */
    const char *path;       /* as the user wrote it */
    struct spw_yaml_node *root;
    uint64_t version;
    const char *name;
    uint64_t seed;
    const char *machine;
    const char *folder; /* of the file; "" for the current one */
    struct spw_model_spec *models;
    uint32_t model_count;
    struct spw_data_spec data;
    struct spw_train_spec train;
    struct spw_eval_spec eval;
    struct spw_search_spec search;
    struct spw_policy_spec policy;
    struct spw_resources_spec resources;
    struct spw_run_spec run;
};

/* What the command line changes. */
struct spw_spec_changes {
    const char *const *overrides; /* "key.path=value" */
    uint32_t override_count;
    const char *machine; /* --machine, or NULL */
    const char *policy;  /* --policy, or NULL */
};

/* Reads and checks a spec file. SPW_ERR_USAGE with place, reason and cure; SPW_ERR_NOT_FOUND if
 * there is no such file. `changes` may be NULL. The caller destroys *out. */
enum spw_status spw_spec_load(const struct spw_world *world, const char *path,
                              const struct spw_spec_changes *changes, struct spw_error *error,
                              struct spw_spec **out);
/* The same for a text in memory, as if it were the file at `path`. */
enum spw_status spw_spec_parse(const struct spw_world *world, const char *path, const char *bytes,
                               uint64_t count, const struct spw_spec_changes *changes,
                               struct spw_error *error, struct spw_spec **out);
void spw_spec_destroy(struct spw_spec *spec);

/* The resolved file: all defaults in place, paths under `directory` (the current one, absolute;
 * NULL: as they are), `machine` in place of the spec's unless NULL. Reading it gives an equal spec.
 */
void spw_spec_print(const struct spw_spec *spec, const char *directory, const char *machine,
                    struct spw_text *out);

/* The node of "train.optimizer.name" in the file, or the nearest one above it: for messages. */
const struct spw_yaml_node *spw_spec_find(const struct spw_spec *spec, const char *path);
/* The same for a setting of one model: its own train map comes before the common one. */
const struct spw_yaml_node *spw_spec_find_for(const struct spw_spec *spec,
                                              const struct spw_model_spec *model, const char *path);

#endif
