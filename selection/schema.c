/* schema.c — the tables of keys. Nothing here computes: schema_key.c finds rows, schema_value.c
 * types a value, schema_read.c reads a map, schema_unknown.c refuses what is not here,
 * schema_print.c, schema_json.c and schema_rows.c write.
 * Tested by tests/selection/test_schema.c. */
#include "selection/schema.h"

#include "runtime/run.h"
#include "selection/spec.h"

#define COUNT_MAX 2147483647.0 /* sizes, steps: fits int32_t and every product with one fits 64 */
#define SEED_MAX 9007199254740991.0 /* 2^53 - 1: exact in JSON readers too */

#define SCOPE(source) (1u << SPW_MODEL_##source)

static const char *const optimizer_names[] = {"adamw", "sgd", NULL};
static const char *const decay_names[] = {"all", "matrices", NULL};
static const char *const schedule_names[] = {"constant", "linear", "cosine", "wsd", NULL};
static const char *const precision_names[] = {"fp32", NULL};
static const char *const format_names[] = {"idx", "npy", "tokens", "text", NULL};
static const char *const update_names[] = {"auto", "device", "cores", NULL};
static const char *const method_names[] = {"grid", NULL};
static const char *const arch_names[] = {"mlp", "cnn", "resnet", "gpt2", NULL};
static const char *const activation_names[] = {"relu", "gelu", "gelu_tanh", "silu", NULL};
static const char *const hf_activation_names[] = {"relu", "gelu", "gelu_new", "silu", NULL};
static const char *const approximate_names[] = {"none", "tanh", NULL};

static const struct spw_unserved unserved_optimizers[] = {
    {"adam", "use adamw with weight_decay: 0, which is the same"},
    {"adafactor", "use adamw or sgd"},
    {"lion", "use adamw or sgd"},
    {"adagrad", "use adamw or sgd"},
    {"rmsprop", "use adamw or sgd"},
    {NULL, NULL},
};
static const struct spw_unserved unserved_schedules[] = {
    {"cosine_with_restarts", "use cosine"},
    {"polynomial", "use linear"},
    {"constant_with_warmup", "write {name: constant, warmup_steps: N}"},
    {"inverse_sqrt", "use cosine or wsd"},
    {"cosine_with_min_lr", "write {name: cosine, final: 0.1}"},
    {"warmup_stable_decay", "it is called wsd here"},
    {NULL, NULL},
};
static const struct spw_unserved unserved_precisions[] = {
    {"bf16", "it comes with CUDA; use fp32"},
    {"fp16", "use fp32"},
    {"tf32", "use fp32"},
    {"fp8", "use fp32"},
    {NULL, NULL},
};
static const struct spw_unserved unserved_formats[] = {
    {"jsonl", "convert it to tokens or text"},
    {"parquet", "convert it to npy or tokens"},
    {"arrow", "convert it to npy or tokens"},
    {"images", "convert them to npy or idx"},
    {"safetensors", "convert it to npy"},
    {"csv", "convert it to npy"},
    {NULL, NULL},
};
static const struct spw_unserved unserved_methods[] = {
    {"random", "use grid and list the values"},
    {"tpe", "use grid and list the values"},
    {"bayes", "use grid and list the values"},
    {"list", "use grid, or one model entry per trial"},
    {"asha", "use grid; all trials run to their end"},
    {"sha", "use grid; all trials run to their end"},
    {"hyperband", "use grid; all trials run to their end"},
    {"pbt", "use grid; all trials run to their end"},
    {NULL, NULL},
};
static const struct spw_unserved unserved_micro_batches[] = {
    {"auto", "give a number of items; it is part of the job and decides its bits"},
    {NULL, NULL},
};
static const struct spw_unserved unserved_archs[] = {
    {"llama", "use gpt2"}, {"qwen2", "use gpt2"}, {"qwen3", "use gpt2"},
    {"bert", "use gpt2"},  {"vit", "use resnet"}, {NULL, NULL},
};

/* Tables are set by hand: a row stays readable in two or three lines. */
/* clang-format off */
#define AT(type, member) .offset = offsetof(struct type, member)
#define POSITIVE .min = 1, .max = COUNT_MAX
#define FRACTION .min = 0, .max = 1, .flags = SPW_KEY_BELOW_MAX
#define END {.name = NULL}

static const struct spw_key optimizer_keys[] = {
    {.name = "name", .type = SPW_KEY_CHOICE, AT(spw_optimizer_spec, name),
     .default_text = "adamw", .choices = optimizer_names, .unserved = unserved_optimizers,
     .doc = "torch.optim.AdamW or torch.optim.SGD"},
    {.name = "betas", .type = SPW_KEY_PAIR, AT(spw_optimizer_spec, betas), FRACTION,
     .default_text = "[0.9, 0.999]", .doc = "adamw: decay of the two moments"},
    {.name = "eps", .type = SPW_KEY_NUMBER, AT(spw_optimizer_spec, eps), .default_text = "1e-8",
     .min = 0, .max = 1, .flags = SPW_KEY_ABOVE_MIN, .doc = "adamw: added to the root"},
    {.name = "momentum", .type = SPW_KEY_NUMBER, AT(spw_optimizer_spec, momentum), FRACTION,
     .default_text = "0", .doc = "sgd: 0 keeps no momentum buffer"},
    {.name = "weight_decay", .type = SPW_KEY_NUMBER, AT(spw_optimizer_spec, weight_decay),
     .min = 0, .flags = SPW_KEY_OPTIONAL,
     .doc = "adamw: decoupled, 0.01 if absent; sgd: added to the gradient, 0 if absent"},
    {.name = "decay", .type = SPW_KEY_CHOICE, AT(spw_optimizer_spec, decay),
     .default_text = "all", .choices = decay_names,
     .doc = "which parameters decay; matrices spares those with one dimension"},
    {.name = "grad_clip", .type = SPW_KEY_NUMBER, AT(spw_optimizer_spec, grad_clip),
     .default_text = "1.0", .min = 0, .flags = SPW_KEY_ABOVE_MIN, .word = "none",
     .doc = "largest global gradient norm"},
    END,
};

static const struct spw_key schedule_keys[] = {
    {.name = "name", .type = SPW_KEY_CHOICE, AT(spw_schedule_spec, name),
     .default_text = "constant", .choices = schedule_names, .unserved = unserved_schedules,
     .doc = "how the learning rate goes on after the warm-up"},
    {.name = "warmup_steps", .type = SPW_KEY_WHOLE, AT(spw_schedule_spec, warmup_steps),
     .default_text = "0", .max = COUNT_MAX, .doc = "steps of linear rise at the start"},
    {.name = "decay_steps", .type = SPW_KEY_WHOLE, AT(spw_schedule_spec, decay_steps), POSITIVE,
     .flags = SPW_KEY_OPTIONAL,
     .doc = "wsd: length of the final decay; a tenth of all steps if absent"},
    {.name = "final", .type = SPW_KEY_NUMBER, AT(spw_schedule_spec, final), .default_text = "0.0",
     .min = 0, .max = 1, .doc = "linear, cosine, wsd: last rate as a fraction of lr"},
    END,
};

const struct spw_key spw_train_keys[] = {
    {.name = "batch", .type = SPW_KEY_WHOLE, AT(spw_train_spec, batch), POSITIVE,
     .flags = SPW_KEY_REQUIRED, .doc = "items (images, sequences) per update"},
    {.name = "micro_batch", .type = SPW_KEY_WHOLE, AT(spw_train_spec, micro_batch), POSITIVE,
     .flags = SPW_KEY_OPTIONAL, .unserved = unserved_micro_batches,
     .doc = "items per pass, at most batch; the whole batch if absent"},
    {.name = "grad_groups", .type = SPW_KEY_WHOLE, AT(spw_train_spec, grad_groups),
     .default_text = "1", .min = 1, .max = 64,
     .doc = "groups of micro-batches; at most this many devices share a job"},
    {.name = "max_steps", .type = SPW_KEY_WHOLE, AT(spw_train_spec, max_steps), POSITIVE,
     .flags = SPW_KEY_OPTIONAL, .doc = "updates in all; instead of epochs"},
    {.name = "epochs", .type = SPW_KEY_WHOLE, AT(spw_train_spec, epochs), POSITIVE,
     .flags = SPW_KEY_OPTIONAL,
     .doc = "passes over the training set, each ending in a short batch if need be; 1 if "
            "max_steps is absent too"},
    {.name = "precision", .type = SPW_KEY_CHOICE, AT(spw_train_spec, precision),
     .default_text = "fp32", .choices = precision_names, .unserved = unserved_precisions,
     .doc = "of weights and arithmetic"},
    {.name = "lr", .type = SPW_KEY_NUMBER, AT(spw_train_spec, lr), .default_text = "1e-3",
     .min = 0, .doc = "learning rate"},
    {.name = "optimizer", .type = SPW_KEY_MAP, AT(spw_train_spec, optimizer),
     .flags = SPW_KEY_SHORT, .children = optimizer_keys, .doc = "the update rule"},
    {.name = "schedule", .type = SPW_KEY_MAP, AT(spw_train_spec, schedule),
     .flags = SPW_KEY_SHORT, .children = schedule_keys, .doc = "the learning rate over time"},
    END,
};

static const struct spw_key gpt2_keys[] = {
    {.name = "vocab_size", .type = SPW_KEY_WHOLE, AT(spw_gpt2_spec, vocab_size), POSITIVE,
     .default_text = "50257", .doc = "tokens; must cover the data's largest one"},
    {.name = "n_positions", .type = SPW_KEY_WHOLE, AT(spw_gpt2_spec, n_positions), POSITIVE,
     .default_text = "1024", .doc = "longest sequence; at least data.seq_len"},
    {.name = "n_embd", .type = SPW_KEY_WHOLE, AT(spw_gpt2_spec, n_embd), POSITIVE,
     .default_text = "768", .doc = "width; a multiple of n_head"},
    {.name = "n_layer", .type = SPW_KEY_WHOLE, AT(spw_gpt2_spec, n_layer), .min = 1, .max = 100000,
     .default_text = "12", .doc = "blocks"},
    {.name = "n_head", .type = SPW_KEY_WHOLE, AT(spw_gpt2_spec, n_head), POSITIVE,
     .default_text = "12", .doc = "attention heads"},
    {.name = "n_inner", .type = SPW_KEY_WHOLE, AT(spw_gpt2_spec, n_inner), POSITIVE,
     .flags = SPW_KEY_OPTIONAL, .doc = "width inside the MLP; 4 n_embd if absent"},
    {.name = "activation_function", .type = SPW_KEY_CHOICE,
     AT(spw_gpt2_spec, activation_function), .default_text = "gelu_new",
     .choices = hf_activation_names, .doc = "inside the MLP; gelu_new is the tanh form"},
    {.name = "layer_norm_epsilon", .type = SPW_KEY_NUMBER, AT(spw_gpt2_spec, layer_norm_epsilon),
     .default_text = "1e-5", .min = 0, .max = 1, .flags = SPW_KEY_ABOVE_MIN,
     .doc = "added under the root"},
    {.name = "embd_pdrop", .type = SPW_KEY_NUMBER, AT(spw_gpt2_spec, embd_pdrop), FRACTION,
     .default_text = "0.1", .doc = "dropout after the embeddings"},
    {.name = "attn_pdrop", .type = SPW_KEY_NUMBER, AT(spw_gpt2_spec, attn_pdrop), FRACTION,
     .default_text = "0.1", .doc = "dropout on the attention weights"},
    {.name = "resid_pdrop", .type = SPW_KEY_NUMBER, AT(spw_gpt2_spec, resid_pdrop), FRACTION,
     .default_text = "0.1", .doc = "dropout before each residual sum"},
    END,
};

const struct spw_key spw_search_keys[] = {
    {.name = "method", .type = SPW_KEY_CHOICE, AT(spw_search_spec, method),
     .default_text = "grid", .choices = method_names, .unserved = unserved_methods,
     .doc = "how values are combined: grid takes every combination"},
    {.name = "parameters", .type = SPW_KEY_CUSTOM, .flags = SPW_KEY_REQUIRED,
     .doc = "lists of values by key: seed, train.* or a key of the model, such as hidden or "
            "config.n_layer"},
    END,
};

const struct spw_key spw_model_keys[] = {
    {.name = "id", .type = SPW_KEY_NAME, AT(spw_model_spec, id), .flags = SPW_KEY_REQUIRED,
     .doc = "its name: letters, digits, - and _"},
    {.name = "layers", .type = SPW_KEY_CUSTOM, .scope = SCOPE(LAYERS),
     .doc = "a chain of layers, as torch.nn.Sequential; see Layers"},
    {.name = "arch", .type = SPW_KEY_CHOICE, AT(spw_model_spec, arch), .choices = arch_names,
     .unserved = unserved_archs,
     .scope = SCOPE(MLP) | SCOPE(CNN) | SCOPE(RESNET) | SCOPE(GPT2),
     .doc = "a built-in architecture"},
    {.name = "from", .type = SPW_KEY_PATH, AT(spw_model_spec, from), .flags = SPW_KEY_OPTIONAL,
     .scope = SCOPE(FROM),
     .doc = "a Hugging Face folder of a GPT-2: config.json and *.safetensors"},
    {.name = "init", .type = SPW_KEY_PATH, AT(spw_model_spec, init), .flags = SPW_KEY_OPTIONAL,
     .doc = "a safetensors file with initial weights by name; missing or left-over names are "
            "errors"},
    {.name = "classes", .type = SPW_KEY_WHOLE, AT(spw_model_spec, classes), POSITIVE,
     .flags = SPW_KEY_OPTIONAL,
     .scope = SCOPE(MLP) | SCOPE(CNN) | SCOPE(RESNET) | SCOPE(LAYERS),
     .doc = "outputs of the last layer; as many as the data has if absent"},
    {.name = "hidden", .type = SPW_KEY_SIZES, AT(spw_model_spec, hidden), POSITIVE,
     .flags = SPW_KEY_OPTIONAL, .scope = SCOPE(MLP) | SCOPE(CNN),
     .doc = "widths of the hidden linear layers"},
    {.name = "channels", .type = SPW_KEY_SIZES, AT(spw_model_spec, channels), POSITIVE,
     .flags = SPW_KEY_OPTIONAL, .scope = SCOPE(CNN),
     .doc = "channels of the 3x3 convolutions, each followed by activation and 2x2 max pooling"},
    {.name = "blocks", .type = SPW_KEY_SIZES, AT(spw_model_spec, blocks), POSITIVE,
     .flags = SPW_KEY_OPTIONAL, .scope = SCOPE(RESNET),
     .doc = "basic blocks per stage; each stage halves the image and doubles the width"},
    {.name = "width", .type = SPW_KEY_WHOLE, AT(spw_model_spec, width), POSITIVE,
     .flags = SPW_KEY_OPTIONAL, .scope = SCOPE(RESNET), .doc = "channels of the first stage"},
    {.name = "activation", .type = SPW_KEY_CHOICE, AT(spw_model_spec, activation),
     .default_text = "relu", .choices = activation_names, .scope = SCOPE(MLP) | SCOPE(CNN),
     .doc = "after each hidden layer"},
    {.name = "dropout", .type = SPW_KEY_NUMBER, AT(spw_model_spec, dropout), FRACTION,
     .default_text = "0", .scope = SCOPE(MLP) | SCOPE(CNN),
     .doc = "after each hidden linear layer"},
    {.name = "config", .type = SPW_KEY_MAP, AT(spw_model_spec, config), .children = gpt2_keys,
     .scope = SCOPE(GPT2),
     .doc = "sizes, with the names and defaults of Hugging Face's GPT2Config"},
    {.name = "train", .type = SPW_KEY_CUSTOM, .doc = "keys of train that differ for this model"},
    {.name = "search", .type = SPW_KEY_CUSTOM,
     .doc = "a search block for this model, besides the common one"},
    END,
};

static const struct spw_key set_keys[] = {
    {.name = "path", .type = SPW_KEY_PATH, AT(spw_set_spec, path), .flags = SPW_KEY_REQUIRED,
     .doc = "the images, arrays, tokens or text; .gz is read too"},
    {.name = "labels", .type = SPW_KEY_PATH, AT(spw_set_spec, labels), .flags = SPW_KEY_OPTIONAL,
     .doc = "idx and npy: the labels"},
    {.name = "format", .type = SPW_KEY_CHOICE, AT(spw_set_spec, format),
     .flags = SPW_KEY_REQUIRED, .choices = format_names, .unserved = unserved_formats,
     .doc = "of the file"},
    END,
};

static const struct spw_key data_keys[] = {
    {.name = "train", .type = SPW_KEY_MAP, AT(spw_data_spec, train), .flags = SPW_KEY_REQUIRED,
     .children = set_keys, .doc = "the training set"},
    {.name = "valid", .type = SPW_KEY_MAP, AT(spw_data_spec, valid), .flags = SPW_KEY_OPTIONAL,
     .children = set_keys, .doc = "the set that evaluations use"},
    {.name = "seq_len", .type = SPW_KEY_WHOLE, AT(spw_data_spec, seq_len), POSITIVE,
     .flags = SPW_KEY_OPTIONAL, .doc = "tokens and text: tokens per sequence"},
    {.name = "shuffle", .type = SPW_KEY_BOOL, AT(spw_data_spec, shuffle), .default_text = "true",
     .doc = "order is a function of seed and epoch; false: the file's order"},
    END,
};

static const struct spw_key eval_keys[] = {
    {.name = "every", .type = SPW_KEY_WHOLE, AT(spw_eval_spec, every), .default_text = "0",
     .max = COUNT_MAX, .doc = "steps between evaluations; there is always one after the last step"},
    {.name = "batches", .type = SPW_KEY_WHOLE, AT(spw_eval_spec, batches), POSITIVE,
     .default_text = "all", .word = "all", .doc = "batches of data.valid per evaluation"},
    END,
};

static const struct spw_key policy_keys[] = {
    {.name = "name", .type = SPW_KEY_CHOICE, AT(spw_policy_spec, name), .default_text = "weave",
     .choices = spw_policy_names,
     .doc = "which unit runs next: longest remaining time first, with copies of one job woven into "
            "arithmetic of another, or without; in order, at random, one job after the other, or "
            "as a log says"},
    {.name = "seed", .type = SPW_KEY_WHOLE, AT(spw_policy_spec, seed), .default_text = "0",
     .max = SEED_MAX, .doc = "random: seed of its choices; it changes no results"},
    {.name = "decisions", .type = SPW_KEY_PATH, AT(spw_policy_spec, decisions),
     .flags = SPW_KEY_OPTIONAL, .doc = "replay: the decisions.log of an earlier run"},
    END,
};

static const struct spw_key resources_keys[] = {
    {.name = "host_memory", .type = SPW_KEY_BYTES, AT(spw_resources_spec, host_memory),
     .flags = SPW_KEY_OPTIONAL, .min = 1,
     .doc = "budget for the models' state in host memory; 80 % of what is free if absent"},
    {.name = "update", .type = SPW_KEY_CHOICE, AT(spw_resources_spec, update),
     .default_text = "auto", .choices = update_names,
     .doc = "where optimizers run: on devices or on the host's cores; it changes no results"},
    END,
};

static const struct spw_key run_keys[] = {
    {.name = "trace", .type = SPW_KEY_BOOL, AT(spw_run_spec, trace), .default_text = "false",
     .doc = "write trace.pftrace, a timeline for Perfetto"},
    END,
};

const struct spw_key spw_spec_keys[] = {
    {.name = "version", .type = SPW_KEY_WHOLE, AT(spw_spec, version), .min = 1, .max = 1,
     .flags = SPW_KEY_REQUIRED, .doc = "of this format: 1"},
    {.name = "name", .type = SPW_KEY_NAME, AT(spw_spec, name), .flags = SPW_KEY_OPTIONAL,
     .doc = "names the run's folder; the file's name if absent"},
    {.name = "seed", .type = SPW_KEY_WHOLE, AT(spw_spec, seed), .default_text = "0",
     .max = SEED_MAX, .doc = "of initial weights, order of data and dropout, for all trials"},
    {.name = "machine", .type = SPW_KEY_TEXT, AT(spw_spec, machine), .default_text = "host*1",
     .doc = "devices, such as host*2 mem=8MiB; see Machines"},
    {.name = "models", .type = SPW_KEY_CUSTOM, .flags = SPW_KEY_REQUIRED,
     .doc = "one or more models; each has exactly one of layers, arch, from"},
    {.name = "data", .type = SPW_KEY_MAP, AT(spw_spec, data), .flags = SPW_KEY_REQUIRED,
     .children = data_keys, .doc = "what to train on"},
    {.name = "train", .type = SPW_KEY_MAP, AT(spw_spec, train), .flags = SPW_KEY_REQUIRED,
     .children = spw_train_keys, .doc = "how to train"},
    {.name = "eval", .type = SPW_KEY_MAP, AT(spw_spec, eval), .children = eval_keys,
     .doc = "when to evaluate"},
    {.name = "search", .type = SPW_KEY_CUSTOM, .doc = "trials are models x values"},
    {.name = "policy", .type = SPW_KEY_MAP, AT(spw_spec, policy), .flags = SPW_KEY_SHORT,
     .children = policy_keys, .doc = "how units of all trials are interleaved"},
    {.name = "resources", .type = SPW_KEY_MAP, AT(spw_spec, resources),
     .children = resources_keys, .doc = "limits"},
    {.name = "run", .type = SPW_KEY_MAP, AT(spw_spec, run), .children = run_keys,
     .doc = "what a run writes"},
    END,
};

/* ---- layers ---- */

static const struct spw_key no_keys[] = {END};

static const struct spw_key linear_keys[] = {
    {.name = "out", .type = SPW_KEY_WHOLE, AT(spw_layer_spec, out), POSITIVE,
     .flags = SPW_KEY_REQUIRED, .doc = "width of the output; the input's width is inferred"},
    {.name = "bias", .type = SPW_KEY_BOOL, AT(spw_layer_spec, bias), .default_text = "true",
     .doc = "whether it has one"},
    END,
};

static const struct spw_key conv2d_keys[] = {
    {.name = "out", .type = SPW_KEY_WHOLE, AT(spw_layer_spec, out), POSITIVE,
     .flags = SPW_KEY_REQUIRED, .doc = "channels of the output; the input's are inferred"},
    {.name = "kernel", .type = SPW_KEY_WHOLE, AT(spw_layer_spec, kernel), POSITIVE,
     .flags = SPW_KEY_REQUIRED, .doc = "height and width of the window"},
    {.name = "stride", .type = SPW_KEY_WHOLE, AT(spw_layer_spec, stride), POSITIVE,
     .default_text = "1", .doc = "in both directions"},
    {.name = "padding", .type = SPW_KEY_WHOLE, AT(spw_layer_spec, padding), .default_text = "0",
     .max = COUNT_MAX, .doc = "zeros on every side"},
    {.name = "bias", .type = SPW_KEY_BOOL, AT(spw_layer_spec, bias), .default_text = "true",
     .doc = "whether it has one"},
    END,
};

static const struct spw_key pool_keys[] = {
    {.name = "kernel", .type = SPW_KEY_WHOLE, AT(spw_layer_spec, kernel), POSITIVE,
     .flags = SPW_KEY_REQUIRED, .doc = "height and width of the window"},
    {.name = "stride", .type = SPW_KEY_WHOLE, AT(spw_layer_spec, stride), POSITIVE,
     .flags = SPW_KEY_OPTIONAL, .doc = "the kernel if absent"},
    END,
};

static const struct spw_key gelu_keys[] = {
    {.name = "approximate", .type = SPW_KEY_CHOICE, AT(spw_layer_spec, approximate),
     .default_text = "none", .choices = approximate_names, .doc = "none is the erf form"},
    END,
};

static const struct spw_key dropout_keys[] = {
    {.name = "p", .type = SPW_KEY_NUMBER, AT(spw_layer_spec, p), FRACTION, .default_text = "0.5",
     .doc = "probability of a zero"},
    END,
};

static const struct spw_key layernorm_keys[] = {
    {.name = "eps", .type = SPW_KEY_NUMBER, AT(spw_layer_spec, eps), .default_text = "1e-5",
     .min = 0, .max = 1, .flags = SPW_KEY_ABOVE_MIN, .doc = "added under the root"},
    END,
};

static const struct spw_key embedding_keys[] = {
    {.name = "vocabulary", .type = SPW_KEY_WHOLE, AT(spw_layer_spec, vocabulary), POSITIVE,
     .flags = SPW_KEY_REQUIRED, .doc = "tokens; must cover the data's largest one"},
    {.name = "width", .type = SPW_KEY_WHOLE, AT(spw_layer_spec, width), POSITIVE,
     .flags = SPW_KEY_REQUIRED, .doc = "of a token's vector"},
    END,
};

const struct spw_layer_kind spw_layer_kinds[] = {
    {"linear", linear_keys, "torch.nn.Linear over the last dimension"},
    {"conv2d", conv2d_keys, "torch.nn.Conv2d with a square window"},
    {"maxpool2d", pool_keys, "torch.nn.MaxPool2d"},
    {"avgpool2d", pool_keys, "torch.nn.AvgPool2d"},
    {"flatten", no_keys, "torch.nn.Flatten"},
    {"relu", no_keys, "torch.nn.ReLU"},
    {"gelu", gelu_keys, "torch.nn.GELU"},
    {"silu", no_keys, "torch.nn.SiLU"},
    {"dropout", dropout_keys, "torch.nn.Dropout, while training"},
    {"layernorm", layernorm_keys, "torch.nn.LayerNorm over the last dimension"},
    {"embedding", embedding_keys, "torch.nn.Embedding, first layer for tokens and text"},
    {NULL, NULL, NULL},
};
/* clang-format on */
