/* arch_gpt2.c — `arch: gpt2`: the decoder of Radford et al., "Language models are unsupervised
 * multitask learners" (2019), layer by layer as Hugging Face's GPT2LMHeadModel has it.
 *
 *   x = dropout(wte[token] + wpe[position])
 *   block: x += dropout(c_proj(attention(c_attn(ln_1(x)))));  x +=
 * dropout(c_proj(act(c_fc(ln_2(x))))) logits = ln_f(x) wte^T
 *
 * Weights of the blocks lie [in, out] (Conv1D). Dropout with probability 0 is left out. Initial
 * values: weights N(0, 0.02), those that end a residual branch N(0, 0.02 / sqrt(2 n_layer)), biases
 * 0, layer norms 1 and 0. Reading Hugging Face's folders is in import_gpt2.c. Tested by
 * tests/models/test_arch_gpt2.c. */
#include "models/arch_common.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define NAME_BYTES 96
#define INIT_STD 0.02
#define SIZES_END (INT64_C(1) << 31)
#define LAYERS_MAX 4096

struct net {
    struct spw_builder *builder;
    const struct spw_gpt2_config *config;
    struct spw_error *error;
    struct spw_built at;
    const char *prefix;         /* of parameter names */
    char block[NAME_BYTES / 2]; /* "h.3." while in block 3, else "" */
};

static const char *node_name(const struct net *net, const char *part, char out[NAME_BYTES])
{
    (void)snprintf(out, NAME_BYTES, "%s%s", net->block, part);
    return out;
}

/* "transformer.h.3.attn.c_attn.weight" */
static const char *param_name(const struct net *net, const char *part, const char *suffix,
                              char out[NAME_BYTES])
{
    (void)snprintf(out, NAME_BYTES, "%s%s%s.%s", net->prefix, net->block, part, suffix);
    return out;
}

static enum spw_status add(struct net *net, const char *part, struct spw_op_desc desc)
{
    char name[NAME_BYTES];
    return spw_builder_add(net->builder, node_name(net, part, name), &desc, net->at, NULL,
                           net->error, &net->at);
}

static enum spw_status set_normal(struct net *net, const char *part, double std)
{
    char name[NAME_BYTES];
    return spw_builder_set_init(net->builder, param_name(net, part, "weight", name),
                                SPW_INIT_NORMAL, std, net->error);
}

static enum spw_status add_norm(struct net *net, const char *part)
{
    return add(net, part,
               (struct spw_op_desc){.op = SPW_OP_LAYERNORM,
                                    .attr.layernorm = {.eps = net->config->layer_norm_epsilon}});
}

/* A linear with Conv1D's layout. */
static enum spw_status add_conv1d(struct net *net, const char *part, int64_t out, double std)
{
    char name[NAME_BYTES];
    struct spw_op_desc desc = spw_layer_linear(out, true);
    desc.attr.linear.conv1d = true;
    SPW_TRY(add(net, part, desc));
    SPW_TRY(set_normal(net, part, std));
    return spw_builder_set_init(net->builder, param_name(net, part, "bias", name),
                                SPW_INIT_CONSTANT, 0.0, net->error);
}

/* The end of a residual branch: projection, dropout, and the sum with what entered it. */
static enum spw_status add_branch_end(struct net *net, const char *projection, const char *dropout,
                                      const char *sum, struct spw_built entry)
{
    const struct spw_gpt2_config *config = net->config;
    char name[NAME_BYTES];
    SPW_TRY(add_conv1d(net, projection, config->n_embd,
                       INIT_STD / sqrt(2.0 * (double)config->n_layer)));
    SPW_TRY(add(net, dropout, spw_layer_dropout(config->resid_pdrop)));
    const struct spw_op_desc desc = {.op = SPW_OP_ADD, .attr.add = {.alpha = 1.0f}};
    return spw_builder_add(net->builder, node_name(net, sum, name), &desc, entry, &net->at,
                           net->error, &net->at);
}

static enum spw_status add_block(struct net *net, int64_t index)
{
    const struct spw_gpt2_config *config = net->config;
    const int64_t inner = config->n_inner > 0 ? config->n_inner : 4 * config->n_embd;
    (void)snprintf(net->block, sizeof(net->block), "h.%" PRId64 ".", index);

    struct spw_built entry = net->at;
    SPW_TRY(add_norm(net, "ln_1"));
    SPW_TRY(add_conv1d(net, "attn.c_attn", 3 * config->n_embd, INIT_STD));
    SPW_TRY(add(net, "attn",
                (struct spw_op_desc){
                    .op = SPW_OP_ATTENTION,
                    .attr.attention = {.heads = config->n_head, .dropout = config->attn_pdrop}}));
    SPW_TRY(add_branch_end(net, "attn.c_proj", "attn.resid_dropout", "add_1", entry));

    entry = net->at;
    SPW_TRY(add_norm(net, "ln_2"));
    SPW_TRY(add_conv1d(net, "mlp.c_fc", inner, INIT_STD));
    SPW_TRY(add(net, "mlp.act", spw_layer_activation(config->activation)));
    SPW_TRY(add_branch_end(net, "mlp.c_proj", "mlp.dropout", "add_2", entry));
    net->block[0] = '\0';
    return SPW_OK;
}

static enum spw_status add_entry(struct net *net)
{
    const struct spw_gpt2_config *config = net->config;
    SPW_TRY(add(net, "wte",
                (struct spw_op_desc){.op = SPW_OP_EMBEDDING,
                                     .attr.embedding = {.vocabulary = config->vocab_size,
                                                        .width = config->n_embd}}));
    SPW_TRY(set_normal(net, "wte", INIT_STD));
    SPW_TRY(add(net, "wpe",
                (struct spw_op_desc){.op = SPW_OP_POSITION,
                                     .attr.position = {.positions = config->n_positions}}));
    SPW_TRY(set_normal(net, "wpe", INIT_STD));
    return add(net, "drop", spw_layer_dropout(config->embd_pdrop));
}

static enum spw_status build(struct spw_builder *builder, const struct spw_gpt2_config *config,
                             struct spw_error *error, struct spw_graph **out)
{
    struct net net = {
        .builder = builder,
        .config = config,
        .error = error,
        .at = spw_builder_input(builder),
        .prefix = config->name_prefix ? "transformer." : "",
    };
    spw_builder_set_param_prefix(builder, net.prefix);
    SPW_TRY(add_entry(&net));
    for (int64_t i = 0; i < config->n_layer; i++) {
        SPW_TRY(add_block(&net, i));
    }
    SPW_TRY(add_norm(&net, "ln_f"));
    SPW_TRY(add(&net, "lm_head", spw_layer_linear(config->vocab_size, false)));
    char tied[NAME_BYTES];
    SPW_TRY(spw_builder_tie(builder, 0, param_name(&net, "wte", "weight", tied), error));
    return spw_builder_finish(builder, net.at, config->vocab_size, error, out);
}

static enum spw_status check_size(const char *model, const char *setting, int64_t value,
                                  struct spw_error *error)
{
    if (value < 1 || value >= SIZES_END) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "model %s: %s is %" PRId64 "; it must be 1 or more and below 2^31", model,
                        setting, value);
    }
    return SPW_OK;
}

static enum spw_status check(const char *name, const struct spw_gpt2_config *config,
                             int64_t seq_len, struct spw_error *error)
{
    SPW_TRY(check_size(name, "vocab_size", config->vocab_size, error));
    SPW_TRY(check_size(name, "n_positions", config->n_positions, error));
    SPW_TRY(check_size(name, "n_embd", config->n_embd, error));
    SPW_TRY(check_size(name, "n_layer", config->n_layer, error));
    SPW_TRY(check_size(name, "n_head", config->n_head, error));
    if (config->n_layer > LAYERS_MAX) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "model %s: n_layer is %" PRId64 "; at most %d is allowed", name,
                        config->n_layer, LAYERS_MAX);
    }
    SPW_TRY(check_size(name, "seq_len", seq_len, error));
    if (config->n_inner != 0) {
        SPW_TRY(check_size(name, "n_inner", config->n_inner, error));
    }
    SPW_TRY(spw_check_dropout(name, "embd_pdrop", config->embd_pdrop, error));
    SPW_TRY(spw_check_dropout(name, "attn_pdrop", config->attn_pdrop, error));
    SPW_TRY(spw_check_dropout(name, "resid_pdrop", config->resid_pdrop, error));
    if (!(config->layer_norm_epsilon > 0.0 && config->layer_norm_epsilon < 1.0)) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "model %s: layer_norm_epsilon is %g; it must be above 0 and below 1", name,
                        config->layer_norm_epsilon);
    }
    if (config->n_embd % config->n_head != 0) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "model %s: n_embd = %" PRId64 " is no multiple of n_head = %" PRId64
                        "; every head needs the same width",
                        name, config->n_embd, config->n_head);
    }
    if (seq_len > config->n_positions) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "model %s: data.seq_len = %" PRId64
                        " is more than its n_positions = %" PRId64 "; shorten seq_len",
                        name, seq_len, config->n_positions);
    }
    return SPW_OK;
}

enum spw_status spw_arch_gpt2(const struct spw_world *world, const char *name,
                              const struct spw_gpt2_config *config, int64_t seq_len, uint64_t seed,
                              struct spw_error *error, struct spw_graph **out)
{
    SPW_TRY(check(name, config, seq_len, error));
    const struct spw_shape input = {.rank = 1, .dim = {seq_len}};
    struct spw_builder *builder;
    SPW_TRY(spw_builder_create(world, name, SPW_I32, input, seed, error, &builder));
    const enum spw_status status = build(builder, config, error, out);
    spw_builder_destroy(builder);
    return status;
}
