/* graphs.c — see graphs.h. */
#include "graphs.h"

static struct spw_shape shape_of(int64_t a, int64_t b, int64_t c)
{
    struct spw_shape shape = {.rank = 1, .dim = {a, b, c}};
    while (shape.rank < 3 && shape.dim[shape.rank] != 0) {
        shape.rank++;
    }
    return shape;
}

/* A builder that remembers the first failure. */
struct making {
    struct spw_builder *builder;
    struct spw_error *error;
    enum spw_status status;
};

static struct spw_built add(struct making *making, const char *name, struct spw_op_desc desc,
                            struct spw_built input, const struct spw_built *second)
{
    struct spw_built out = {0};
    if (making->status == SPW_OK) {
        making->status =
            spw_builder_add(making->builder, name, &desc, input, second, making->error, &out);
    }
    return out;
}

static struct spw_op_desc linear(int64_t out)
{
    return (struct spw_op_desc){.op = SPW_OP_LINEAR, .attr.linear = {.out = out, .bias = true}};
}

static struct spw_op_desc plus(float alpha)
{
    return (struct spw_op_desc){.op = SPW_OP_ADD, .attr.add = {.alpha = alpha}};
}

static struct spw_built build_tangle(struct making *making)
{
    const struct spw_built x = spw_builder_input(making->builder);
    const struct spw_op_desc relu = {.op = SPW_OP_RELU};
    const struct spw_op_desc gelu = {.op = SPW_OP_GELU};
    const struct spw_op_desc norm = {.op = SPW_OP_LAYERNORM, .attr.layernorm = {.eps = 1e-5}};
    const struct spw_op_desc drop = {.op = SPW_OP_DROPOUT, .attr.dropout = {.p = 0.25}};
    const struct spw_built first = add(making, "first", linear(8), x, NULL);
    const struct spw_built bent = add(making, "bent", relu, first, NULL);
    const struct spw_built twice = add(making, "twice", plus(0.5F), bent, &bent);
    struct spw_built at = add(making, "tied1", linear(8), twice, NULL);
    at = add(making, "drop", drop, at, NULL);
    struct spw_op_desc unbiased = linear(8);
    unbiased.attr.linear.bias = false;
    at = add(making, "tied2", unbiased, at, NULL);
    if (making->status == SPW_OK) {
        making->status = spw_builder_tie(making->builder, 0, "tied1.weight", making->error);
    }
    at = add(making, "over", plus(1), at, &first);
    at = add(making, "norm", norm, at, NULL);
    const struct spw_built late = add(making, "late", linear(8), x, NULL);
    at = add(making, "both", plus(1), at, &late);
    at = add(making, "smooth", gelu, at, NULL);
    at = add(making, "again", plus(-1), at, &twice);
    at = add(making, "thrice", plus(0.25F), at, &first);
    return add(making, "head", linear(5), at, NULL);
}

static enum spw_status make_tangle(const struct spw_world *world, struct spw_error *error,
                                   struct spw_graph **out)
{
    struct making making = {.error = error};
    SPW_TRY(spw_builder_create(world, "tangle", SPW_F32, shape_of(6, 0, 0), 11, error,
                               &making.builder));
    const struct spw_built logits = build_tangle(&making);
    if (making.status == SPW_OK) {
        making.status = spw_builder_finish(making.builder, logits, 5, error, out);
    }
    spw_builder_destroy(making.builder);
    return making.status;
}

static enum spw_status make_gpt(const struct spw_world *world, int64_t vocabulary, int64_t seq_len,
                                int64_t width, int64_t layers, struct spw_error *error,
                                struct spw_graph **out)
{
    const struct spw_gpt2_config config = {
        .vocab_size = vocabulary,
        .n_positions = seq_len,
        .n_embd = width,
        .n_layer = layers,
        .n_head = 2,
        .layer_norm_epsilon = 1e-5,
        .embd_pdrop = 0.1,
        .attn_pdrop = 0.1,
        .resid_pdrop = 0.1,
        .activation = SPW_ACT_GELU_TANH,
    };
    return spw_arch_gpt2(world, "gpt", &config, seq_len, 5, error, out);
}

enum spw_status graph_try(const struct spw_world *world, enum graph_kind kind,
                          struct spw_error *error, struct spw_graph **out)
{
    const struct spw_mlp_config mlp = {
        .hidden = {20, 12}, .hidden_count = 2, .activation = SPW_ACT_RELU, .dropout = 0.2};
    const struct spw_cnn_config cnn = {.channels = {4, 6},
                                       .channels_count = 2,
                                       .hidden = {10},
                                       .hidden_count = 1,
                                       .activation = SPW_ACT_GELU};
    const struct spw_resnet_config resnet = {.blocks = {1, 1}, .stages = 2, .width = 4};
    switch (kind) {
    case GRAPH_MLP:
        return spw_arch_mlp(world, "mlp", &mlp, shape_of(1, 4, 5), 7, 3, error, out);
    case GRAPH_CNN:
        return spw_arch_cnn(world, "cnn", &cnn, shape_of(1, 8, 8), 5, 3, error, out);
    case GRAPH_RESNET:
        return spw_arch_resnet(world, "resnet", &resnet, shape_of(2, 8, 8), 5, 3, error, out);
    case GRAPH_GPT:
        return make_gpt(world, 24, 6, 8, 2, error, out);
    case GRAPH_GPT_XENT:
        return make_gpt(world, 4096, 4, 4, 1, error, out);
    case GRAPH_TANGLE:
        return make_tangle(world, error, out);
    case GRAPH_KINDS:
        break;
    }
    return SPW_ERR_ARGUMENT;
}

const char *graph_name(enum graph_kind kind)
{
    static const char *const names[] = {"mlp", "cnn", "resnet", "gpt", "gpt_xent", "tangle"};
    _Static_assert(sizeof names / sizeof names[0] == GRAPH_KINDS, "one name per graph");
    return names[kind];
}

struct spw_graph *graph_make(const struct spw_world *world, enum graph_kind kind)
{
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(graph_try(world, kind, &error, &graph), &error);
    return graph;
}

struct spw_graph *graph_chain(int64_t layers, int64_t width)
{
    struct spw_mlp_config config = {.hidden_count = layers - 1, .activation = SPW_ACT_RELU};
    for (int64_t i = 0; i + 1 < layers; i++) {
        config.hidden[i] = width;
    }
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(spw_arch_mlp(spw_world_system(), "chain", &config, shape_of(width, 0, 0), width, 3,
                          &error, &graph),
             &error);
    return graph;
}

struct spw_graph *graph_gpt(int64_t vocabulary, int64_t seq_len, int64_t width, int64_t layers)
{
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(make_gpt(spw_world_system(), vocabulary, seq_len, width, layers, &error, &graph),
             &error);
    return graph;
}

struct spw_plan_options options_of(int64_t batch, int64_t micro_batch)
{
    return (struct spw_plan_options){
        .micro_batch = micro_batch,
        .micro_batches = (batch + micro_batch - 1) / micro_batch,
        .batch = batch,
        .grad_groups = 1,
        .moments = 2,
        .ring_slots = 2,
        .threads = 1,
        .update_place = SPW_UPDATE_ON_DEVICE,
        .link_bytes_per_s = UINT64_C(8000000000),
        .flops_per_s = UINT64_C(100000000000),
        .keep = -1,
    };
}

struct spw_plan *plan_make(const struct spw_graph *graph, const struct spw_plan_options *options)
{
    struct spw_error error = {0};
    struct spw_plan *plan = NULL;
    check_ok(spw_plan_create(spw_world_system(), graph, options, &error, &plan), &error);
    return plan;
}
