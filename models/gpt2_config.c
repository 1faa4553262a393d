/* gpt2_config.c — which keys of a GPT-2's config.json we know, and what we make of the others.
 *
 * A key we know sets a size or must have the one value that we compute. A key we don't know is
 * refused if its name says that it changes the net, since training another net than the file's
 * would be worse than not starting; other unknown keys (token ids, generation settings) change
 * nothing here. Tested by tests/models/test_import_gpt2.c and tests/fuzz/fuzz_hf_config.c. */
#include "models/gpt2_config.h"

#include "base/assert.h"
#include "base/status.h"
#include "models/json.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct size_key {
    const char *name;
    size_t offset; /* of the int64_t in struct spw_gpt2_config */
    bool required; /* else null or absent means 0 */
};

static const struct size_key size_keys[] = {
    {"vocab_size", offsetof(struct spw_gpt2_config, vocab_size), true},
    {"n_positions", offsetof(struct spw_gpt2_config, n_positions), true},
    {"n_embd", offsetof(struct spw_gpt2_config, n_embd), true},
    {"n_layer", offsetof(struct spw_gpt2_config, n_layer), true},
    {"n_head", offsetof(struct spw_gpt2_config, n_head), true},
    {"n_inner", offsetof(struct spw_gpt2_config, n_inner), false},
};

/* Fractions; absent ones keep their default. */
static const struct {
    const char *name;
    size_t offset; /* of the double */
} number_keys[] = {
    {"layer_norm_epsilon", offsetof(struct spw_gpt2_config, layer_norm_epsilon)},
    {"embd_pdrop", offsetof(struct spw_gpt2_config, embd_pdrop)},
    {"attn_pdrop", offsetof(struct spw_gpt2_config, attn_pdrop)},
    {"resid_pdrop", offsetof(struct spw_gpt2_config, resid_pdrop)},
};

/* Switches that must stand as we compute; absent ones do. */
static const struct {
    const char *name;
    bool value;
    const char *why;
} switch_keys[] = {
    {"scale_attn_weights", true, "attention here is always scaled by 1/sqrt(head width)"},
    {"scale_attn_by_inverse_layer_idx", false,
     "scaling attention by the layer's index is not served"},
    {"tie_word_embeddings", true, "the head is always tied to wte"},
    {"add_cross_attention", false, "cross attention is not served"},
    {"is_encoder_decoder", false, "only decoders are served"},
};

static const struct {
    const char *name;
    enum spw_activation activation;
} activations[] = {
    {"gelu_new", SPW_ACT_GELU_TANH}, {"gelu_pytorch_tanh", SPW_ACT_GELU_TANH},
    {"gelu", SPW_ACT_GELU},          {"relu", SPW_ACT_RELU},
    {"silu", SPW_ACT_SILU},          {"swish", SPW_ACT_SILU},
};

/* Keys of real GPT-2 folders that the prefixes below would catch, but that change nothing: n_ctx
 * repeats n_positions, reorder_and_upcast_attn asks for fp32, which we always use. */
static const char *const harmless_keys[] = {"n_ctx", "reorder_and_upcast_attn",
                                            "attn_implementation", "n_special"};

/* Beginnings of names that change the net. */
static const char *const changing_prefixes[] = {
    "n_",          "scale_",        "attn_",        "attention_",   "num_attention", "num_hidden",
    "num_key",     "num_exp",       "hidden_",      "intermediate", "head_dim",      "rope",
    "rotary",      "alibi",         "position_emb", "max_position", "sliding",       "use_sliding",
    "window",      "qk_",           "qkv_",         "q_",           "kv_",           "mlp_",
    "norm_",       "rms_",          "layer_norm_",  "layer_types",  "activation_",   "parallel_",
    "multi_query", "moe",           "expert",       "logit_",       "embd_",         "resid_",
    "reorder_",    "quantization_", "pruned_heads", "type_vocab",   "use_parallel",
};

#define REFUSE(error, path, key, format, ...)                                                      \
    SPW_FAIL(error, SPW_ERR_USAGE, "%s: key \"%s\": " format, path, key, __VA_ARGS__)

static enum spw_status take_sizes(const char *path, const struct spw_json *root,
                                  struct spw_error *error, struct spw_gpt2_config *out)
{
    for (size_t i = 0; i < COUNT_OF(size_keys); i++) {
        const struct size_key *key = &size_keys[i];
        const struct spw_json *value = spw_json_member(root, key->name);
        const enum spw_json_kind kind = value != NULL ? spw_json_kind(value) : SPW_JSON_NULL;
        if (kind == SPW_JSON_NULL && !key->required) {
            continue;
        }
        if (value == NULL) {
            return REFUSE(error, path, key->name, "%s", "missing; add it, it is the model's size");
        }
        if (kind != SPW_JSON_INTEGER) {
            return REFUSE(error, path, key->name, "it is %s; it must be a whole number",
                          spw_json_kind_name(kind));
        }
        const int64_t number = spw_json_integer(value);
        if (number < 1 || number > INT32_MAX) {
            return REFUSE(error, path, key->name,
                          "it is %" PRId64 "; it must be 1 or more and below 2^31", number);
        }
        memcpy((char *)out + key->offset, &number, sizeof(number));
    }
    return SPW_OK;
}

static enum spw_status take_numbers(const char *path, const struct spw_json *root,
                                    struct spw_error *error, struct spw_gpt2_config *out)
{
    for (size_t i = 0; i < COUNT_OF(number_keys); i++) {
        const char *key = number_keys[i].name;
        const struct spw_json *value = spw_json_member(root, key);
        if (value == NULL) {
            continue;
        }
        const enum spw_json_kind kind = spw_json_kind(value);
        if (kind != SPW_JSON_INTEGER && kind != SPW_JSON_REAL) {
            return REFUSE(error, path, key, "it is %s; it must be a number",
                          spw_json_kind_name(kind));
        }
        const double number = spw_json_number(value);
        if (!(number >= 0.0 && number < 1.0)) {
            return REFUSE(error, path, key, "it is %g; it must be 0 or more and below 1", number);
        }
        memcpy((char *)out + number_keys[i].offset, &number, sizeof(number));
    }
    return SPW_OK;
}

static enum spw_status take_activation(const char *path, const struct spw_json *root,
                                       struct spw_error *error, struct spw_gpt2_config *out)
{
    const char *key = "activation_function";
    const struct spw_json *value = spw_json_member(root, key);
    if (value == NULL) {
        return SPW_OK;
    }
    if (spw_json_kind(value) != SPW_JSON_STRING) {
        return REFUSE(error, path, key, "it is %s; it must be a string",
                      spw_json_kind_name(spw_json_kind(value)));
    }
    for (size_t i = 0; i < COUNT_OF(activations); i++) {
        if (strcmp(spw_json_string(value), activations[i].name) == 0) {
            out->activation = activations[i].activation;
            return SPW_OK;
        }
    }
    char text[SPW_JSON_PRINT_BYTES];
    return REFUSE(
        error, path, key,
        "\"%s\" is not served; gelu_new, gelu_pytorch_tanh, gelu, relu, silu and swish are",
        spw_json_printable(spw_json_string(value), text));
}

static enum spw_status check_switches(const char *path, const struct spw_json *root,
                                      struct spw_error *error)
{
    for (size_t i = 0; i < COUNT_OF(switch_keys); i++) {
        const struct spw_json *value = spw_json_member(root, switch_keys[i].name);
        if (value == NULL) {
            continue;
        }
        if (spw_json_kind(value) != SPW_JSON_BOOL || spw_json_bool(value) != switch_keys[i].value) {
            return REFUSE(error, path, switch_keys[i].name, "only %s can be imported: %s",
                          switch_keys[i].value ? "true" : "false", switch_keys[i].why);
        }
    }
    return SPW_OK;
}

static bool is_known(const char *key)
{
    bool known = strcmp(key, "activation_function") == 0;
    for (size_t i = 0; i < COUNT_OF(size_keys); i++) {
        known = known || strcmp(key, size_keys[i].name) == 0;
    }
    for (size_t i = 0; i < COUNT_OF(number_keys); i++) {
        known = known || strcmp(key, number_keys[i].name) == 0;
    }
    for (size_t i = 0; i < COUNT_OF(switch_keys); i++) {
        known = known || strcmp(key, switch_keys[i].name) == 0;
    }
    for (size_t i = 0; i < COUNT_OF(harmless_keys); i++) {
        known = known || strcmp(key, harmless_keys[i]) == 0;
    }
    return known;
}

/* An unused setting is written as null, false, 0 or an empty list or object. */
static bool is_off(const struct spw_json *value)
{
    switch (spw_json_kind(value)) {
    case SPW_JSON_NULL:
        return true;
    case SPW_JSON_BOOL:
        return !spw_json_bool(value);
    case SPW_JSON_INTEGER:
        return spw_json_integer(value) == 0;
    case SPW_JSON_ARRAY:
    case SPW_JSON_OBJECT:
        return spw_json_count(value) == 0;
    case SPW_JSON_REAL:
    case SPW_JSON_STRING:
        return false;
    }
    SPW_NEVER("a kind of JSON value");
}

static enum spw_status check_unknown(const char *path, const struct spw_json *root,
                                     struct spw_error *error)
{
    struct spw_json_cursor cursor = {0};
    while (spw_json_next(root, &cursor)) {
        if (is_known(cursor.key) || is_off(cursor.value)) {
            continue;
        }
        for (size_t i = 0; i < COUNT_OF(changing_prefixes); i++) {
            if (strncmp(cursor.key, changing_prefixes[i], strlen(changing_prefixes[i])) == 0) {
                char text[SPW_JSON_PRINT_BYTES];
                return REFUSE(error, path, spw_json_printable(cursor.key, text), "%s",
                              "a GPT-2 has no such key, and by its name it changes what the model "
                              "computes; such a model can't be imported");
            }
        }
    }
    return SPW_OK;
}

static enum spw_status check_model_type(const char *path, const struct spw_json *root,
                                        struct spw_error *error)
{
    const struct spw_json *value = spw_json_member(root, "model_type");
    if (value == NULL || spw_json_kind(value) != SPW_JSON_STRING) {
        return REFUSE(error, path, "model_type", "%s",
                      "missing or no string; it must name the model, and only gpt2 is served");
    }
    if (strcmp(spw_json_string(value), "gpt2") != 0) {
        char text[SPW_JSON_PRINT_BYTES];
        return REFUSE(error, path, "model_type",
                      "\"%s\" is not served; these are: gpt2. Describe the model with layers or "
                      "arch instead",
                      spw_json_printable(spw_json_string(value), text));
    }
    return SPW_OK;
}

static enum spw_status take_all(const char *path, const struct spw_json *root,
                                struct spw_error *error, struct spw_gpt2_config *out)
{
    if (spw_json_kind(root) != SPW_JSON_OBJECT) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: it holds %s instead of an object; is this a model's config.json?",
                        path, spw_json_kind_name(spw_json_kind(root)));
    }
    SPW_TRY(check_model_type(path, root, error));
    SPW_TRY(take_sizes(path, root, error, out));
    SPW_TRY(take_numbers(path, root, error, out));
    SPW_TRY(take_activation(path, root, error, out));
    SPW_TRY(check_switches(path, root, error));
    SPW_TRY(check_unknown(path, root, error));
    if (out->n_embd % out->n_head != 0) {
        return REFUSE(error, path, "n_head", "n_embd = %" PRId64 " is no multiple of %" PRId64,
                      out->n_embd, out->n_head);
    }
    return SPW_OK;
}

enum spw_status spw_gpt2_config_parse(const char *path, const char *bytes, uint64_t count,
                                      struct spw_error *error, struct spw_gpt2_config *out)
{
    struct spw_json *root;
    SPW_TRY(spw_json_parse(path, 0, bytes, count, error, &root));
    struct spw_gpt2_config config = {
        .layer_norm_epsilon = 1e-5,
        .embd_pdrop = 0.1,
        .attn_pdrop = 0.1,
        .resid_pdrop = 0.1,
        .activation = SPW_ACT_GELU_TANH,
    };
    const enum spw_status status = take_all(path, root, error, &config);
    spw_json_destroy(root);
    if (status == SPW_OK) {
        *out = config;
    }
    return status;
}
