/* schema_unknown.c — says what an unknown key should have been. Words of other tools lead to ours
 * ("learning_rate: here it is train.lr"); keys of the larger design are known but not served yet.
 * Tested by tests/selection/test_schema.c and the files in tests/bad/spec/. */
#include "selection/schema.h"

#include "base/assert.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define TABLE_KEYS_MAX 32

/* Keys of the larger design, by full path. */
static const struct spw_unserved unserved_keys[] = {
    {"search.metric", "leave it out; summary.json has every trial's best evaluation"},
    {"search.trials", "leave it out; grid runs every combination"},
    {"search.early_stop", "leave it out; all trials run to their end"},
    {"search.seed", "leave it out; grid draws nothing"},
    {"models.tune", "leave it out; all parameters are trained"},
    {"models.lora", "leave it out; all parameters are trained"},
    {"models.freeze", "leave it out; all parameters are trained"},
    {"models.name", "call it id"},
    {"resources.gpus", "name devices in machine, such as host*2 mem=8MiB"},
    {"resources.gpu_memory", "give mem= in machine"},
    {"resources.spill", "state lives in host memory; see resources.host_memory"},
    {"run.dir", "use --out on the command line"},
    {"run.checkpoint", "leave it out; a run can't be resumed, final weights are written"},
    {"run.resume", "leave it out; start anew"},
    {"run.log", "leave it out; metrics.jsonl is always written"},
    {"run.max_time", "give train.max_steps"},
    {"run.max_failed", "leave it out; a failed trial never stops the others"},
    {"data.test", "call it valid, or evaluate it in a run of its own"},
    {"data.tokenizer", "tokenise first and give format: tokens"},
    {NULL, NULL},
};

/* Other tools' names for keys of ours. */
static const struct {
    const char *theirs;
    const char *ours;
} foreign_names[] = {
    {"learning_rate", "train.lr"},
    {"lr", "train.lr"},
    {"batch_size", "train.batch (per update) or train.micro_batch (per pass)"},
    {"micro_batch_size", "train.micro_batch"},
    {"per_device_train_batch_size", "train.micro_batch"},
    {"train_batch_size", "train.batch"},
    {"gradient_accumulation_steps", "train.micro_batch; accumulation follows from train.batch"},
    {"grad_accum_steps", "train.micro_batch; accumulation follows from train.batch"},
    {"accumulate_grad_batches", "train.micro_batch; accumulation follows from train.batch"},
    {"batch", "train.batch"},
    {"micro_batch", "train.micro_batch"},
    {"block_size", "data.seq_len"},
    {"sequence_len", "data.seq_len"},
    {"cutoff_len", "data.seq_len"},
    {"max_seq_len", "data.seq_len"},
    {"max_context_length", "data.seq_len"},
    {"context_length", "data.seq_len"},
    {"seq_len", "data.seq_len"},
    {"max_iters", "train.max_steps"},
    {"steps", "train.max_steps"},
    {"max_steps", "train.max_steps"},
    {"max_steps_per_epoch", "train.max_steps"},
    {"num_epochs", "train.epochs"},
    {"num_train_epochs", "train.epochs"},
    {"max_epochs", "train.epochs"},
    {"epochs", "train.epochs"},
    {"decay_lr", "train.schedule"},
    {"lr_scheduler", "train.schedule"},
    {"lr_scheduler_type", "train.schedule.name"},
    {"scheduler", "train.schedule"},
    {"schedule", "train.schedule"},
    {"warmup_iters", "train.schedule.warmup_steps"},
    {"warmup_steps", "train.schedule.warmup_steps"},
    {"warmup", "train.schedule.warmup_steps"},
    {"min_lr", "train.schedule.final, a fraction of lr"},
    {"grad_clip", "train.optimizer.grad_clip"},
    {"max_grad_norm", "train.optimizer.grad_clip"},
    {"clip_grad_norm", "train.optimizer.grad_clip"},
    {"max_norm", "train.optimizer.grad_clip"},
    {"gradient_clip_val", "train.optimizer.grad_clip"},
    {"weight_decay", "train.optimizer.weight_decay"},
    {"momentum", "train.optimizer.momentum"},
    {"betas", "train.optimizer.betas"},
    {"beta1", "train.optimizer.betas, a list of two"},
    {"beta2", "train.optimizer.betas, a list of two"},
    {"adam_beta1", "train.optimizer.betas, a list of two"},
    {"adam_beta2", "train.optimizer.betas, a list of two"},
    {"adam_epsilon", "train.optimizer.eps"},
    {"epsilon", "train.optimizer.eps"},
    {"optim", "train.optimizer"},
    {"optimizer", "train.optimizer"},
    {"precision", "train.precision"},
    {"dtype", "train.precision"},
    {"bf16", "train.precision"},
    {"fp16", "train.precision"},
    {"eval_interval", "eval.every"},
    {"eval_steps", "eval.every"},
    {"evals_per_epoch", "eval.every, in steps"},
    {"run_val_every_n_steps", "eval.every"},
    {"validation", "eval"},
    {"val", "data.valid"},
    {"validation_data", "data.valid"},
    {"train_data", "data.train"},
    {"dataset", "data"},
    {"datasets", "data"},
    {"model", "models, a list"},
    {"method", "search.method"},
    {"parameters", "search.parameters"},
    {"metric", "search.metric, which is not served yet"},
    {"early_terminate", "search.early_stop, which is not served yet"},
    {"run_cap", "search.trials, which is not served yet"},
    {"adapter", "models.tune, which is not served yet"},
    {"finetuning_type", "models.tune, which is not served yet"},
    {"lora_r", "models.lora, which is not served yet"},
    {"lora_rank", "models.lora, which is not served yet"},
    {"resume_from_checkpoint", "run.resume, which is not served yet"},
    {"init_from", "models.init"},
    {"output_dir", "--out on the command line"},
    {"out_dir", "--out on the command line"},
    {"device", "machine"},
    {"devices", "machine"},
    {"gpus", "machine"},
    {"scheduler_policy", "policy"},
    {"out_features", "out"},
    {"out_channels", "out"},
    {"in_features", "inferred; leave it out"},
    {"in_channels", "inferred; leave it out"},
    {"kernel_size", "kernel"},
    {"num_embeddings", "vocabulary"},
    {"embedding_dim", "width"},
    {"normalized_shape", "inferred; leave it out"},
    {"hidden_sizes", "hidden"},
    {"hidden_dims", "hidden"},
    {"hidden_size", "n_embd for gpt2, hidden for mlp"},
    {"num_hidden_layers", "n_layer"},
    {"num_attention_heads", "n_head"},
    {"vocab", "vocab_size or vocabulary"},
    {"label", "labels"},
    {"file", "path"},
    {NULL, NULL},
};

/* An entry of models is looked up as models, its search block as search. */
static const char *unserved_cure(const char *path, const char *name)
{
    char full[256];
    const char *plain = strncmp(path, "models.", 7) == 0 && strchr(path + 7, '.') == NULL ? "models"
                                                                                          : path;
    const size_t length = strlen(path);
    if (length > 7 && strcmp(path + length - 7, ".search") == 0) {
        plain = "search";
    }
    spw_key_join(plain, name, full);
    for (const struct spw_unserved *key = unserved_keys; key->word != NULL; key++) {
        if (strcmp(key->word, full) == 0) {
            return key->cure;
        }
    }
    return NULL;
}

static const char *foreign_name(const char *path, const char *name)
{
    for (size_t i = 0; foreign_names[i].theirs != NULL; i++) {
        if (strcmp(foreign_names[i].theirs, name) == 0) {
            /* A name that is right elsewhere is no help at its own place. */
            char full[256];
            spw_key_join(path, name, full);
            return strcmp(foreign_names[i].ours, full) == 0 ? NULL : foreign_names[i].ours;
        }
    }
    return NULL;
}

static void list_keys(const struct spw_key *table, const char *names[TABLE_KEYS_MAX + 1],
                      char *list, size_t room)
{
    size_t used = 0;
    uint32_t count = 0;
    list[0] = '\0';
    for (const struct spw_key *key = table; key->name != NULL; key++) {
        SPW_ASSERT(count < TABLE_KEYS_MAX);
        names[count++] = key->name;
        if (used < room) {
            const int added =
                snprintf(list + used, room - used, "%s%s", used == 0 ? "" : ", ", key->name);
            used += added > 0 ? (size_t)added : 0;
        }
    }
    names[count] = NULL;
}

enum spw_status spw_key_refuse_unknown(const struct spw_key_context *context,
                                       const struct spw_key *table, const char *path,
                                       const struct spw_yaml_node *key)
{
    char place[320], list[240];
    const char *names[TABLE_KEYS_MAX + 1];
    const char *where = path[0] != '\0' ? path : "the top of a spec";
    spw_yaml_place(key, place);

    const char *cure = unserved_cure(path, key->text);
    if (cure != NULL) {
        char full[256];
        spw_key_join(path, key->text, full);
        return SPW_FAIL(context->error, SPW_ERR_USAGE, "%s: %s is not served yet; %s", place, full,
                        cure);
    }
    const char *ours = foreign_name(path, key->text);
    if (ours != NULL) {
        return SPW_FAIL(context->error, SPW_ERR_USAGE, "%s: %.60s: here it is %s", place, key->text,
                        ours);
    }
    list_keys(table, names, list, sizeof(list));
    const char *nearest = spw_nearest_name(key->text, names);
    if (nearest != NULL) {
        return SPW_FAIL(context->error, SPW_ERR_USAGE,
                        "%s: %s has no key \"%.60s\"; did you mean %s?", place, where, key->text,
                        nearest);
    }
    if (list[0] == '\0') {
        return SPW_FAIL(context->error, SPW_ERR_USAGE,
                        "%s: %s has no key \"%.60s\"; it takes none, leave it out", place, where,
                        key->text);
    }
    return SPW_FAIL(context->error, SPW_ERR_USAGE, "%s: %s has no key \"%.60s\"; it takes %s",
                    place, where, key->text, list);
}
