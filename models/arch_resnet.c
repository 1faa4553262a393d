/* arch_resnet.c — `arch: resnet`: a residual net of basic blocks without normalisation layers.
 *
 *   stem:   relu(conv3x3(x)), `width` channels
 *   block:  y = relu(shortcut(x) + alpha * conv2(relu(conv1(x)))), both convolutions 3x3 with bias
 *   end:    mean over the image, flatten, linear
 *
 * Stage i (from 0) has blocks[i] blocks of width * 2^i channels; the first block of every stage but
 * the first strides by 2. The shortcut is x itself, or a 1x1 convolution with the block's stride
 * where the shape changes.
 *
 * The block is that of He et al., "Deep residual learning for image recognition" (2016), without
 * batch normalisation, which would tie the items of a batch together and so the result to the
 * micro-batch. What normalisation does for the depth, the factor alpha = 1 / sqrt(number of blocks)
 * does here: L branches that each add a share 1/L keep the second moment of the residual stream
 * below (1 + 1/L)^L < e at any depth (Hayou et al., "Stable ResNet", 2021). alpha is a constant,
 * not a parameter. Names are torchvision's: layer1.0.conv1, layer1.0.conv2, layer1.0.downsample,
 * fc.
 *
 * Tested by tests/models/test_arch.c. */
#include "models/arch_common.h"

#include "base/assert.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define NAME_BYTES 64

struct net {
    struct spw_builder *builder;
    struct spw_error *error;
    struct spw_built at;
    float alpha;
};

static enum spw_status add(struct net *net, const char *name, struct spw_op_desc desc)
{
    return spw_builder_add(net->builder, name, &desc, net->at, NULL, net->error, &net->at);
}

/* "layer<stage>.<block>.<part>", stages counted from 1. */
static const char *part_name(int64_t stage, int64_t block, const char *part, char out[NAME_BYTES])
{
    (void)snprintf(out, NAME_BYTES, "layer%" PRId64 ".%" PRId64 ".%s", stage + 1, block, part);
    return out;
}

static enum spw_status add_block(struct net *net, int64_t stage, int64_t block, int64_t channels,
                                 int64_t stride)
{
    char name[NAME_BYTES];
    const struct spw_built entry = net->at;
    const struct spw_op_desc relu = spw_layer_activation(SPW_ACT_RELU);
    SPW_TRY(
        add(net, part_name(stage, block, "conv1", name), spw_layer_conv2d(channels, 3, stride, 1)));
    SPW_TRY(add(net, part_name(stage, block, "relu1", name), relu));
    SPW_TRY(add(net, part_name(stage, block, "conv2", name), spw_layer_conv2d(channels, 3, 1, 1)));
    const struct spw_built branch = net->at;

    net->at = entry;
    if (stride != 1 || entry.shape.dim[0] != channels) {
        SPW_TRY(add(net, part_name(stage, block, "downsample", name),
                    spw_layer_conv2d(channels, 1, stride, 0)));
    }
    const struct spw_op_desc sum = {.op = SPW_OP_ADD, .attr.add = {.alpha = net->alpha}};
    SPW_TRY(spw_builder_add(net->builder, part_name(stage, block, "add", name), &sum, net->at,
                            &branch, net->error, &net->at));
    return add(net, part_name(stage, block, "relu2", name), relu);
}

static enum spw_status build(struct spw_builder *builder, const struct spw_resnet_config *config,
                             int64_t classes, struct spw_error *error, struct spw_graph **out)
{
    int64_t blocks = 0;
    for (int64_t stage = 0; stage < config->stages; stage++) {
        blocks += config->blocks[stage];
    }
    struct net net = {
        .builder = builder,
        .error = error,
        .at = spw_builder_input(builder),
        .alpha = (float)(1.0 / sqrt((double)blocks)),
    };
    SPW_TRY(add(&net, "stem", spw_layer_conv2d(config->width, 3, 1, 1)));
    SPW_TRY(add(&net, "stem.relu", spw_layer_activation(SPW_ACT_RELU)));
    for (int64_t stage = 0; stage < config->stages; stage++) {
        for (int64_t block = 0; block < config->blocks[stage]; block++) {
            const int64_t stride = stage > 0 && block == 0 ? 2 : 1;
            SPW_TRY(add_block(&net, stage, block, config->width << stage, stride));
        }
    }
    const int64_t side = net.at.shape.dim[1];
    SPW_TRY(add(&net, "pool",
                (struct spw_op_desc){.op = SPW_OP_AVGPOOL2D,
                                     .attr.pool = {.kernel = side, .stride = side}}));
    SPW_TRY(add(&net, "flatten", (struct spw_op_desc){.op = SPW_OP_FLATTEN}));
    SPW_TRY(add(&net, "fc", spw_layer_linear(classes, true)));
    return spw_builder_finish(builder, net.at, classes, error, out);
}

static enum spw_status check(const char *name, const struct spw_resnet_config *config,
                             const struct spw_shape *input, struct spw_error *error)
{
    SPW_TRY(spw_check_sizes(name, "blocks", config->blocks, config->stages, error));
    SPW_TRY(spw_check_sizes(name, "width", &config->width, 1, error));
    if (config->stages < 1 || config->stages > 16) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "model %s: blocks has %" PRId64 " entries; a resnet has 1 to 16 stages",
                        name, config->stages);
    }
    if (config->width > INT64_C(1) << 24) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "model %s: width is %" PRId64 "; at most %" PRId64 " is allowed", name,
                        config->width, INT64_C(1) << 24);
    }
    if (input->rank != 3 || input->dim[1] != input->dim[2]) {
        char shape[96];
        return SPW_FAIL(
            error, SPW_ERR_USAGE,
            "model %s: a resnet needs square images, [channels, size, size], but the data "
            "has %s; use arch: cnn or mlp",
            name, spw_shape_text(input, shape));
    }
    return SPW_OK;
}

enum spw_status spw_arch_resnet(const struct spw_world *world, const char *name,
                                const struct spw_resnet_config *config, struct spw_shape input,
                                int64_t classes, uint64_t seed, struct spw_error *error,
                                struct spw_graph **out)
{
    SPW_TRY(check(name, config, &input, error));
    struct spw_builder *builder;
    SPW_TRY(spw_builder_create(world, name, SPW_F32, input, seed, error, &builder));
    const enum spw_status status = build(builder, config, classes, error, out);
    spw_builder_destroy(builder);
    return status;
}
