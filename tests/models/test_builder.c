/* test_builder.c — building graphs: names, ties, fusion, dropout streams, and errors that name the
 * layer and both shapes. */
#include "base/philox.h"
#include "model_check.h"

#include <stdio.h>

static struct spw_builder *builder_of(enum spw_dtype dtype, struct spw_shape input)
{
    struct spw_builder *builder = NULL;
    struct spw_error error = {0};
    check_ok(spw_builder_create(spw_world_system(), "net", dtype, input, 42, &error, &builder),
             &error);
    return builder;
}

static struct spw_op_desc linear_of(int64_t out, bool bias)
{
    return (struct spw_op_desc){.op = SPW_OP_LINEAR, .attr.linear = {.out = out, .bias = bias}};
}

static struct spw_op_desc conv_of(int64_t out, int64_t kernel)
{
    return (struct spw_op_desc){
        .op = SPW_OP_CONV2D,
        .attr.conv2d = {.out = out, .kernel = kernel, .stride = 1, .bias = true},
    };
}

/* Adds a layer that must be accepted. */
static struct spw_built add(struct spw_builder *builder, const char *name, struct spw_op_desc desc,
                            struct spw_built input)
{
    struct spw_error error = {0};
    struct spw_built out = {0};
    check_ok(spw_builder_add(builder, name, &desc, input, NULL, &error, &out), &error);
    return out;
}

/* Adds a layer that must be refused. */
static struct spw_error refuse(struct spw_builder *builder, const char *name,
                               struct spw_op_desc desc, struct spw_built input, const char *part)
{
    struct spw_error error = {0};
    struct spw_built out = {.node = 77};
    check_refused(spw_builder_add(builder, name, &desc, input, NULL, &error, &out), &error, part);
    cr_assert(out.node == 77, "the result was touched");
    return error;
}

static struct spw_graph *finish(struct spw_builder *builder, struct spw_built logits,
                                int64_t classes)
{
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(spw_builder_finish(builder, logits, classes, &error, &graph), &error);
    spw_builder_destroy(builder);
    return graph;
}

static void refuse_finish(struct spw_builder *builder, struct spw_built logits, int64_t classes,
                          const char *part)
{
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_refused(spw_builder_finish(builder, logits, classes, &error, &graph), &error, part);
    cr_assert(graph == NULL);
    spw_builder_destroy(builder);
}

/* The classic net for digits: 61,706 parameters. */
Test(builder, builds_a_lenet)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(1, 28, 28));
    const struct spw_op_desc relu = {.op = SPW_OP_RELU};
    const struct spw_op_desc pool = {.op = SPW_OP_MAXPOOL2D, .attr.pool = {2, 2}};
    struct spw_op_desc first = conv_of(6, 5);
    first.attr.conv2d.padding = 2;
    struct spw_built at = add(builder, "0", first, spw_builder_input(builder));
    at = add(builder, "1", relu, at);
    at = add(builder, "2", pool, at);
    at = add(builder, "3", conv_of(16, 5), at);
    at = add(builder, "4", relu, at);
    at = add(builder, "5", pool, at);
    at = add(builder, "6", (struct spw_op_desc){.op = SPW_OP_FLATTEN}, at);
    cr_assert(at.shape.rank == 1 && at.shape.dim[0] == 400);
    at = add(builder, "7", linear_of(120, true), at);
    at = add(builder, "8", relu, at);
    at = add(builder, "9", linear_of(84, true), at);
    at = add(builder, "10", relu, at);
    at = add(builder, "11", linear_of(10, true), at);
    struct spw_graph *graph = finish(builder, at, 10);

    cr_assert(graph->parameter_count == 61706, "%lld", (long long)graph->parameter_count);
    cr_assert(graph->node_count == 13 && graph->param_count == 10);
    cr_assert(graph->nodes[12].desc.op == SPW_OP_SOFTMAX_XENT);
    cr_assert_str_eq(graph->nodes[12].name, "loss");
    cr_assert_str_eq(graph->params[0].name, "0.weight");
    cr_assert_str_eq(graph->params[9].name, "11.bias");
    cr_assert(graph->targets_per_item == 1 && graph->classes == 10);
    spw_graph_destroy(graph);
}

/* Every input has a smaller index, and parameters stand in the order of their first use. */
Test(builder, keeps_topological_order)
{
    struct spw_graph *graph = tiny_mlp(spw_world_system());
    int32_t last_use = 0;
    for (int32_t i = 0; i < graph->node_count; i++) {
        for (int k = 0; k < SPW_OP_INPUTS_MAX; k++) {
            cr_assert(graph->nodes[i].input[k] < i);
        }
    }
    for (int32_t i = 0; i < graph->param_count; i++) {
        cr_assert(graph->params[i].first_use >= last_use);
        last_use = graph->params[i].first_use;
        cr_assert(graph->params[i].uses == 1);
        cr_assert(graph->params[i].elements == spw_shape_elements(&graph->params[i].shape));
    }
    spw_graph_destroy(graph);
}

Test(builder, names_layer_shapes_and_cure_of_a_kernel_too_large)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(1, 6, 6));
    struct spw_built at = add(builder, "0", conv_of(4, 3), spw_builder_input(builder));
    const struct spw_error error = refuse(builder, "1", conv_of(4, 5), at, "layer 1.conv2d");
    cr_assert(strstr(error.what, "model net") != NULL, "%s", error.what);
    cr_assert(strstr(error.what, "kernel 5") != NULL, "%s", error.what);
    cr_assert(strstr(error.what, "[4, 4, 4] from layer 0.conv2d") != NULL, "%s", error.what);
    cr_assert(strstr(error.what, "padding") != NULL, "%s", error.what);
    spw_builder_destroy(builder);
}

Test(builder, names_layers_by_their_names)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(1, 2, 2));
    const struct spw_error error =
        refuse(builder, "stem", conv_of(4, 5), spw_builder_input(builder), "layer stem (conv2d)");
    cr_assert(strstr(error.what, "from the data") != NULL, "%s", error.what);
    spw_builder_destroy(builder);
}

Test(builder, checks_linear_inputs)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(12, 0, 0));
    struct spw_op_desc desc = linear_of(4, true);
    desc.attr.linear.in = 13;
    refuse(builder, "0", desc, spw_builder_input(builder), "it takes 13 inputs, but there are 12");
    desc.attr.linear.in = 12;
    (void)add(builder, "0", desc, spw_builder_input(builder));
    spw_builder_destroy(builder);
}

Test(builder, refuses_parameters_beyond_addressing)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(INT64_C(1) << 40, 0, 0));
    refuse(builder, "0", linear_of(INT64_C(1) << 40, false), spw_builder_input(builder), "layer 0");
    spw_builder_destroy(builder);
}

/* Each layer alone is allowed, their sum is not. */
Test(builder, refuses_models_too_large)
{
    const int64_t width = INT64_C(1) << 20;
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(width, 0, 0));
    struct spw_built at = spw_builder_input(builder);
    for (int i = 0; i < 17; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%d", i);
        at = add(builder, name, linear_of(width, false), at);
    }
    refuse_finish(builder, at, width, "model net: 18691697672192 parameters are more than");
}

Test(builder, tells_the_cure_of_token_layers)
{
    struct spw_builder *builder = builder_of(SPW_I32, shape_of(6, 0, 0));
    const struct spw_op_desc embedding = {.op = SPW_OP_EMBEDDING, .attr.embedding = {10, 12}};
    const struct spw_op_desc position = {.op = SPW_OP_POSITION, .attr.position = {5}};
    const struct spw_op_desc attention = {.op = SPW_OP_ATTENTION, .attr.attention = {.heads = 3}};
    const struct spw_built at = add(builder, "0", embedding, spw_builder_input(builder));
    struct spw_error error = refuse(builder, "1", position, at, "layer 1.position");
    cr_assert(strstr(error.what, "shorten seq_len") != NULL, "%s", error.what);
    error = refuse(builder, "1", attention, at, "layer 1.attention");
    cr_assert(strstr(error.what, "three times a multiple of its heads") != NULL, "%s", error.what);
    spw_builder_destroy(builder);
}

Test(builder, tells_the_cure_of_pooling)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(4, 3, 3));
    const struct spw_op_desc pool = {.op = SPW_OP_AVGPOOL2D, .attr.pool = {4, 4}};
    const struct spw_error error =
        refuse(builder, "0", pool, spw_builder_input(builder), "layer 0.avgpool2d");
    cr_assert(strstr(error.what, "make its kernel smaller") != NULL, "%s", error.what);
    spw_builder_destroy(builder);
}

Test(builder, adds_only_equal_shapes)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(8, 0, 0));
    const struct spw_built a = add(builder, "a", linear_of(4, true), spw_builder_input(builder));
    const struct spw_built b = add(builder, "b", linear_of(5, true), spw_builder_input(builder));
    const struct spw_op_desc sum = {.op = SPW_OP_ADD, .attr.add = {1.0f}};
    struct spw_error error = {0};
    struct spw_built out;
    check_refused(
        spw_builder_add(builder, "sum", &sum, a, &b, &error, &out), &error,
        "its second input is [5] from layer b (linear); it gets [4] from layer a (linear)");
    spw_builder_destroy(builder);
}

Test(builder, refuses_bad_names)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(8, 0, 0));
    struct spw_built at = add(builder, "a", linear_of(4, true), spw_builder_input(builder));
    refuse(builder, "a", linear_of(4, true), at, "two layers are called a");
    refuse(builder, "", linear_of(4, true), at, "name");
    char name[300];
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    refuse(builder, name, linear_of(4, true), at, "1 to 255 characters");
    name[255] = '\0';
    (void)add(builder, name, linear_of(4, true), at);
    spw_builder_destroy(builder);
}

Test(builder, keeps_tokens_and_numbers_apart)
{
    struct spw_builder *builder = builder_of(SPW_I32, shape_of(6, 0, 0));
    refuse(builder, "0", linear_of(4, true), spw_builder_input(builder), "only an embedding");
    const struct spw_op_desc embedding = {.op = SPW_OP_EMBEDDING, .attr.embedding = {10, 4}};
    const struct spw_built at = add(builder, "0", embedding, spw_builder_input(builder));
    cr_assert(at.shape.rank == 2 && at.shape.dim[0] == 6 && at.shape.dim[1] == 4);
    refuse(builder, "1", embedding, at, "token numbers");
    spw_builder_destroy(builder);

    builder = builder_of(SPW_F32, shape_of(6, 0, 0));
    refuse(builder, "0", embedding, spw_builder_input(builder), "token numbers");
    spw_builder_destroy(builder);
}

Test(builder, leaves_out_dropout_without_effect)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(6, 0, 0));
    struct spw_built at = add(builder, "0", linear_of(3, true), spw_builder_input(builder));
    const struct spw_op_desc none = {.op = SPW_OP_DROPOUT, .attr.dropout = {.p = 0.0}};
    const struct spw_built same = add(builder, "1", none, at);
    cr_assert(same.node == at.node);
    struct spw_graph *graph = finish(builder, same, 3);
    cr_assert(graph->node_count == 2);
    spw_graph_destroy(graph);
}

/* A dropout stream is known by seed and name, so that neither place nor neighbours matter. */
Test(builder, keys_dropout_by_name)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(6, 0, 0));
    const struct spw_op_desc dropout = {.op = SPW_OP_DROPOUT, .attr.dropout = {.p = 0.5}};
    struct spw_built at = add(builder, "a", dropout, spw_builder_input(builder));
    at = add(builder, "b", dropout, at);
    at = add(builder, "c", linear_of(2, true), at);
    struct spw_graph *graph = finish(builder, at, 2);
    cr_assert(graph->nodes[0].desc.attr.dropout.key == spw_stream_key(42, "dropout/a"));
    cr_assert(graph->nodes[1].desc.attr.dropout.key == spw_stream_key(42, "dropout/b"));
    cr_assert(graph->nodes[0].desc.attr.dropout.key != graph->nodes[1].desc.attr.dropout.key);
    spw_graph_destroy(graph);
}

/* wte-like sharing: one parameter, two uses, counted once. */
Test(builder, ties_parameters)
{
    struct spw_builder *builder = builder_of(SPW_I32, shape_of(6, 0, 0));
    const struct spw_op_desc embedding = {.op = SPW_OP_EMBEDDING, .attr.embedding = {10, 4}};
    struct spw_built at = add(builder, "table", embedding, spw_builder_input(builder));
    at = add(builder, "head", linear_of(10, false), at);
    struct spw_error error = {0};
    check_refused(spw_builder_tie(builder, 0, "nothing.weight", &error), &error, "nothing.weight");
    error = (struct spw_error){0};
    check_ok(spw_builder_tie(builder, 0, "table.weight", &error), &error);
    struct spw_graph *graph = finish(builder, at, 10);
    cr_assert(graph->param_count == 1 && graph->parameter_count == 40);
    cr_assert(graph->params[0].uses == 2 && graph->params[0].first_use == 0);
    cr_assert(graph->nodes[1].param[0] == 0);
    cr_assert(graph->targets_per_item == 6);
    spw_graph_destroy(graph);
}

Test(builder, ties_only_equal_shapes)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(6, 0, 0));
    struct spw_built at = add(builder, "a", linear_of(5, false), spw_builder_input(builder));
    (void)add(builder, "b", linear_of(5, false), at);
    struct spw_error error = {0};
    check_refused(spw_builder_tie(builder, 0, "a.weight", &error), &error,
                  "needs a weight of [5, 5], but a.weight is [5, 6]");
    spw_builder_destroy(builder);
}

Test(builder, changes_initialisation)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(6, 0, 0));
    struct spw_built at = add(builder, "a", linear_of(2, true), spw_builder_input(builder));
    struct spw_error error = {0};
    check_ok(spw_builder_set_init(builder, "a.bias", SPW_INIT_CONSTANT, 3.0, &error), &error);
    check_refused(spw_builder_set_init(builder, "b.bias", SPW_INIT_CONSTANT, 3.0, &error), &error,
                  "no parameter b.bias");
    struct spw_graph *graph = finish(builder, at, 2);
    float bias[2];
    check_ok(spw_graph_initial(graph, 1, 1, bias, &error), &(struct spw_error){0});
    cr_assert(bias[0] == 3.0f && bias[1] == 3.0f);
    spw_graph_destroy(graph);
}

static struct spw_graph *head_of(int64_t classes, bool bias)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(6, 0, 0));
    struct spw_built at = add(builder, "0", linear_of(4, true), spw_builder_input(builder));
    at = add(builder, "1", linear_of(classes, bias), at);
    return finish(builder, at, classes);
}

/* Large heads without bias never store their logits. */
Test(builder, fuses_large_heads)
{
    struct spw_graph *graph = head_of(4096, false);
    cr_assert(graph->node_count == 2);
    const struct spw_node *last = &graph->nodes[1];
    cr_assert(last->desc.op == SPW_OP_LINEAR_XENT);
    cr_assert(last->desc.attr.linear.in == 4 && last->desc.attr.linear.out == 4096);
    cr_assert(last->desc.out.rank == 0);
    cr_assert(graph->targets_per_item == 1 && graph->classes == 4096);
    cr_assert(graph->parameter_count == 6 * 4 + 4 + 4 * 4096);
    spw_graph_destroy(graph);

    graph = head_of(4095, false);
    cr_assert(graph->node_count == 3 && graph->nodes[2].desc.op == SPW_OP_SOFTMAX_XENT);
    spw_graph_destroy(graph);
    graph = head_of(4096, true);
    cr_assert(graph->node_count == 3 && graph->nodes[2].desc.op == SPW_OP_SOFTMAX_XENT);
    spw_graph_destroy(graph);
}

Test(builder, wants_as_many_outputs_as_classes)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(6, 0, 0));
    struct spw_built at = add(builder, "0", linear_of(9, true), spw_builder_input(builder));
    refuse_finish(builder, at, 10, "(layer 0.linear) gives [9], but the data has 10 classes");
}

Test(builder, wants_one_row_per_target)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(3, 5, 5));
    struct spw_built at = add(builder, "0", linear_of(10, true), spw_builder_input(builder));
    refuse_finish(builder, at, 10,
                  "gives [3, 5, 10], but an item has 1 target; put flatten before");
}

Test(builder, refuses_layers_that_nobody_reads)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(6, 0, 0));
    struct spw_built at = add(builder, "0", linear_of(4, true), spw_builder_input(builder));
    (void)add(builder, "side", linear_of(4, true), at);
    at = add(builder, "1", linear_of(2, true), at);
    refuse_finish(builder, at, 2, "layer side (linear) of model net: nobody reads its output");
}

Test(builder, refuses_graphs_without_layers_or_parameters)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(6, 0, 0));
    refuse_finish(builder, spw_builder_input(builder), 6, "no layers");
    builder = builder_of(SPW_F32, shape_of(6, 0, 0));
    struct spw_built at =
        add(builder, "0", (struct spw_op_desc){.op = SPW_OP_RELU}, spw_builder_input(builder));
    refuse_finish(builder, at, 6, "nothing to train");
}

Test(builder, refuses_impossible_items)
{
    const struct spw_shape shapes[] = {
        {.rank = 0},
        {.rank = 5, .dim = {1, 1, 1, 1}},
        {.rank = 2, .dim = {3, 0}},
        {.rank = 1, .dim = {-3}},
        {.rank = 2, .dim = {INT64_C(1) << 32, INT64_C(1) << 32}},
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct spw_error error = {0};
        struct spw_builder *builder = NULL;
        check_refused(
            spw_builder_create(spw_world_system(), "net", SPW_F32, shapes[i], 1, &error, &builder),
            &error, "dimensions");
        cr_assert(builder == NULL);
    }
}

Test(builder, bounds_the_number_of_layers)
{
    struct spw_builder *builder = builder_of(SPW_F32, shape_of(2, 0, 0));
    struct spw_built at = spw_builder_input(builder);
    const struct spw_op_desc relu = {.op = SPW_OP_RELU};
    for (int i = 0; i < 1 << 16; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%d", i);
        at = add(builder, name, relu, at);
    }
    refuse(builder, "last", relu, at, "more than 65536 layers");
    spw_builder_destroy(builder);
}
