/* test_arch.c — mlp, cnn and resnet: layers, names, shapes and parameter counts. */
#include "model_check.h"

#include <math.h>

static const struct spw_world *world(void)
{
    return spw_world_system();
}

static const struct spw_node *node_of(const struct spw_graph *graph, const char *name)
{
    for (int32_t i = 0; i < graph->node_count; i++) {
        if (strcmp(graph->nodes[i].name, name) == 0) {
            return &graph->nodes[i];
        }
    }
    cr_assert_fail("no node %s", name);
    return NULL;
}

/* "flatten linear relu ..." */
static void check_ops(const struct spw_graph *graph, const char *expected)
{
    char text[1024] = "";
    for (int32_t i = 0; i < graph->node_count; i++) {
        strcat(text, i > 0 ? " " : "");
        strcat(text, spw_op_name(graph->nodes[i].desc.op));
    }
    cr_assert_str_eq(text, expected, "%s", text);
}

Test(arch, builds_an_mlp)
{
    const struct spw_mlp_config config = {
        .hidden = {512, 512, 512}, .hidden_count = 3, .activation = SPW_ACT_GELU};
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(spw_arch_mlp(world(), "deep", &config, shape_of(1, 28, 28), 10, 1, &error, &graph),
             &error);
    check_ops(graph, "flatten linear gelu linear gelu linear gelu linear softmax_xent");
    cr_assert(graph->parameter_count == 932362, "%lld", (long long)graph->parameter_count);
    cr_assert_str_eq(graph->params[6].name, "7.weight");
    cr_assert_str_eq(graph->name, "deep");
    spw_graph_destroy(graph);
}

/* As in torch.nn.Sequential, dropout takes a position only where it is. */
Test(arch, numbers_dropout_layers)
{
    const struct spw_mlp_config config = {
        .hidden = {8, 8}, .hidden_count = 2, .activation = SPW_ACT_SILU, .dropout = 0.25};
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(spw_arch_mlp(world(), "net", &config, shape_of(4, 0, 0), 3, 1, &error, &graph),
             &error);
    check_ops(graph, "flatten linear silu dropout linear silu dropout linear softmax_xent");
    cr_assert_str_eq(graph->params[5].name, "7.bias");
    cr_assert(graph->nodes[3].desc.attr.dropout.p == 0.25);
    spw_graph_destroy(graph);
}

Test(arch, builds_a_single_layer)
{
    const struct spw_mlp_config config = {0};
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(spw_arch_mlp(world(), "line", &config, shape_of(1, 28, 28), 10, 1, &error, &graph),
             &error);
    cr_assert(graph->parameter_count == 7850);
    spw_graph_destroy(graph);
}

Test(arch, builds_a_cnn)
{
    const struct spw_cnn_config config = {
        .channels = {16, 32}, .channels_count = 2, .hidden = {64}, .hidden_count = 1};
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(spw_arch_cnn(world(), "cnn", &config, shape_of(1, 28, 28), 10, 1, &error, &graph),
             &error);
    check_ops(graph, "conv2d relu maxpool2d conv2d relu maxpool2d flatten linear relu linear "
                     "softmax_xent");
    cr_assert(graph->parameter_count == 105866, "%lld", (long long)graph->parameter_count);
    cr_assert_str_eq(graph->params[2].name, "3.weight");
    const struct spw_shape *out = &node_of(graph, "5")->desc.out;
    cr_assert(out->rank == 3 && out->dim[0] == 32 && out->dim[1] == 7 && out->dim[2] == 7);
    spw_graph_destroy(graph);
}

Test(arch, builds_a_resnet)
{
    const struct spw_resnet_config config = {.blocks = {1, 1, 1}, .stages = 3, .width = 8};
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(spw_arch_resnet(world(), "net", &config, shape_of(1, 28, 28), 10, 1, &error, &graph),
             &error);
    cr_assert(graph->parameter_count == 19642, "%lld", (long long)graph->parameter_count);
    check_ops(graph, "conv2d relu "
                     "conv2d relu conv2d add relu "
                     "conv2d relu conv2d conv2d add relu "
                     "conv2d relu conv2d conv2d add relu "
                     "avgpool2d flatten linear softmax_xent");
    const char *const names[] = {"stem.weight",
                                 "stem.bias",
                                 "layer1.0.conv1.weight",
                                 "layer1.0.conv1.bias",
                                 "layer1.0.conv2.weight",
                                 "layer1.0.conv2.bias",
                                 "layer2.0.conv1.weight",
                                 "layer2.0.conv1.bias",
                                 "layer2.0.conv2.weight",
                                 "layer2.0.conv2.bias",
                                 "layer2.0.downsample.weight",
                                 "layer2.0.downsample.bias"};
    for (int i = 0; i < 12; i++) {
        cr_assert_str_eq(graph->params[i].name, names[i]);
    }
    cr_assert_str_eq(graph->params[graph->param_count - 1].name, "fc.bias");
    spw_graph_destroy(graph);
}

/* The sum reads the shortcut first and scales the branch by 1 / sqrt(blocks). */
Test(arch, scales_residual_branches)
{
    const struct spw_resnet_config config = {.blocks = {2, 2, 1}, .stages = 3, .width = 4};
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(spw_arch_resnet(world(), "net", &config, shape_of(3, 15, 15), 10, 1, &error, &graph),
             &error);
    int sums = 0;
    for (int32_t i = 0; i < graph->node_count; i++) {
        const struct spw_node *node = &graph->nodes[i];
        if (node->desc.op == SPW_OP_ADD) {
            cr_assert(node->desc.attr.add.alpha == (float)(1.0 / sqrt(5.0)));
            sums++;
        }
    }
    cr_assert(sums == 5);
    const struct spw_node *plain = node_of(graph, "layer1.1.add");
    cr_assert_str_eq(graph->nodes[plain->input[0]].name, "layer1.0.relu2");
    cr_assert_str_eq(graph->nodes[plain->input[1]].name, "layer1.1.conv2");
    const struct spw_node *strided = node_of(graph, "layer2.0.add");
    cr_assert_str_eq(graph->nodes[strided->input[0]].name, "layer2.0.downsample");
    cr_assert(strided->desc.out.dim[0] == 8 && strided->desc.out.dim[1] == 8);
    cr_assert(node_of(graph, "layer3.0.add")->desc.out.dim[2] == 4);
    spw_graph_destroy(graph);
}

Test(arch, refuses_bad_settings)
{
    struct spw_graph *graph = NULL;
    struct spw_error error = {0};
    const struct spw_mlp_config no_width = {.hidden = {8, 0}, .hidden_count = 2};
    check_refused(spw_arch_mlp(world(), "m", &no_width, shape_of(4, 0, 0), 3, 1, &error, &graph),
                  &error, "model m: entry 2 of hidden is 0");
    const double bad_dropout[] = {1.0, -0.5, NAN};
    for (int i = 0; i < 3; i++) {
        error = (struct spw_error){0};
        const struct spw_mlp_config config = {.dropout = bad_dropout[i]};
        check_refused(spw_arch_mlp(world(), "m", &config, shape_of(4, 0, 0), 3, 1, &error, &graph),
                      &error, "dropout");
    }
    error = (struct spw_error){0};
    const struct spw_cnn_config deep = {.channels = {2, 2, 2, 2}, .channels_count = 4};
    check_refused(spw_arch_cnn(world(), "c", &deep, shape_of(1, 8, 8), 3, 1, &error, &graph),
                  &error, "layer 11.maxpool2d");
    error = (struct spw_error){0};
    const struct spw_cnn_config flat = {.channels = {2}, .channels_count = 1};
    check_refused(spw_arch_cnn(world(), "c", &flat, shape_of(64, 0, 0), 3, 1, &error, &graph),
                  &error, "[64] from the data");
    error = (struct spw_error){0};
    const struct spw_resnet_config net = {.blocks = {1}, .stages = 1, .width = 4};
    check_refused(spw_arch_resnet(world(), "r", &net, shape_of(1, 8, 9), 3, 1, &error, &graph),
                  &error, "square images, [channels, size, size], but the data has [1, 8, 9]");
    error = (struct spw_error){0};
    const struct spw_resnet_config empty = {.stages = 0, .width = 4};
    check_refused(spw_arch_resnet(world(), "r", &empty, shape_of(1, 8, 8), 3, 1, &error, &graph),
                  &error, "1 to 16 stages");
    error = (struct spw_error){0};
    const struct spw_resnet_config wide = {.blocks = {1}, .stages = 1, .width = INT64_MAX / 2};
    check_refused(spw_arch_resnet(world(), "r", &wide, shape_of(1, 8, 8), 3, 1, &error, &graph),
                  &error, "width");
    cr_assert(graph == NULL);
}
