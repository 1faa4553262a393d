/* arch_cnn.c — `arch: cnn`: (conv 3x3, activation, maxpool 2)*, flatten,
 * (linear, activation [, dropout])*, linear. Without convolutions it is an mlp. Tested by
 * tests/models/test_arch.c. */
#include "models/arch_common.h"

#include <stdio.h>

/* Layers one after the other, named "0", "1", ... as torch.nn.Sequential does. */
struct chain {
    struct spw_builder *builder; /* borrowed */
    struct spw_error *error;
    struct spw_built at; /* the last layer's output */
    int position;        /* of the next layer */
};

/* Dropout with p = 0 is no layer and takes no position. */
static enum spw_status add(struct chain *chain, struct spw_op_desc desc)
{
    char name[16];
    (void)snprintf(name, sizeof(name), "%d", chain->position);
    const int32_t before = chain->at.node;
    SPW_TRY(
        spw_builder_add(chain->builder, name, &desc, chain->at, NULL, chain->error, &chain->at));
    if (chain->at.node != before) {
        chain->position++;
    }
    return SPW_OK;
}

static enum spw_status build(struct spw_builder *builder, const struct spw_cnn_config *config,
                             int64_t classes, struct spw_error *error, struct spw_graph **out)
{
    struct chain chain = {.builder = builder, .error = error, .at = spw_builder_input(builder)};
    const struct spw_op_desc pool = {.op = SPW_OP_MAXPOOL2D,
                                     .attr.pool = {.kernel = 2, .stride = 2}};
    for (int64_t i = 0; i < config->channels_count; i++) {
        SPW_TRY(add(&chain, spw_layer_conv2d(config->channels[i], 3, 1, 1)));
        SPW_TRY(add(&chain, spw_layer_activation(config->activation)));
        SPW_TRY(add(&chain, pool));
    }
    SPW_TRY(add(&chain, (struct spw_op_desc){.op = SPW_OP_FLATTEN}));
    for (int64_t i = 0; i < config->hidden_count; i++) {
        SPW_TRY(add(&chain, spw_layer_linear(config->hidden[i], true)));
        SPW_TRY(add(&chain, spw_layer_activation(config->activation)));
        SPW_TRY(add(&chain, spw_layer_dropout(config->dropout)));
    }
    SPW_TRY(add(&chain, spw_layer_linear(classes, true)));
    return spw_builder_finish(builder, chain.at, classes, error, out);
}

enum spw_status spw_arch_cnn(const struct spw_world *world, const char *name,
                             const struct spw_cnn_config *config, struct spw_shape input,
                             int64_t classes, uint64_t seed, struct spw_error *error,
                             struct spw_graph **out)
{
    SPW_TRY(spw_check_sizes(name, "channels", config->channels, config->channels_count, error));
    SPW_TRY(spw_check_sizes(name, "hidden", config->hidden, config->hidden_count, error));
    SPW_TRY(spw_check_dropout(name, "dropout", config->dropout, error));
    struct spw_builder *builder;
    SPW_TRY(spw_builder_create(world, name, SPW_F32, input, seed, error, &builder));
    const enum spw_status status = build(builder, config, classes, error, out);
    spw_builder_destroy(builder);
    return status;
}
