/* test_arch_gpt2.c — GPT-2: the published parameter counts, names, ties, dropout, settings. */
#include "model_check.h"

#include "base/philox.h"
#include <math.h>
#include <stdio.h>

static struct spw_graph *build(const struct spw_gpt2_config *config, int64_t seq_len)
{
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(spw_arch_gpt2(spw_world_system(), "gpt", config, seq_len, 5, &error, &graph), &error);
    return graph;
}

static int count_ops(const struct spw_graph *graph, enum spw_op op)
{
    int count = 0;
    for (int32_t i = 0; i < graph->node_count; i++) {
        count += graph->nodes[i].desc.op == op ? 1 : 0;
    }
    return count;
}

/* The four published sizes; the sums are those of Hugging Face's GPT2LMHeadModel. */
Test(arch_gpt2, has_the_published_sizes)
{
    const struct {
        int64_t width, layers, heads, parameters;
    } sizes[] = {
        {768, 12, 12, 124439808},
        {1024, 24, 16, 354823168},
        {1280, 36, 20, 774030080},
        {1600, 48, 25, 1557611200},
    };
    for (int i = 0; i < 4; i++) {
        const struct spw_gpt2_config config = {
            .vocab_size = 50257,
            .n_positions = 1024,
            .n_embd = sizes[i].width,
            .n_layer = sizes[i].layers,
            .n_head = sizes[i].heads,
            .layer_norm_epsilon = 1e-5,
            .activation = SPW_ACT_GELU_TANH,
        };
        struct spw_graph *graph = build(&config, 1024);
        cr_assert(graph->parameter_count == sizes[i].parameters, "%lld",
                  (long long)graph->parameter_count);
        cr_assert(graph->param_count == 12 * sizes[i].layers + 4);
        /* 10 nodes per block, two embeddings, the last norm, the head with its loss. */
        cr_assert(graph->node_count == 10 * sizes[i].layers + 4, "%d", (int)graph->node_count);
        cr_assert(graph->nodes[graph->node_count - 1].desc.op == SPW_OP_LINEAR_XENT);
        cr_assert(graph->targets_per_item == 1024 && graph->classes == 50257);
        spw_graph_destroy(graph);
    }
}

Test(arch_gpt2, names_parameters_as_hugging_face_does)
{
    const struct spw_gpt2_config config = tiny_gpt2_config();
    struct spw_graph *graph = build(&config, 12);
    const char *const names[] = {
        "wte.weight",
        "wpe.weight",
        "h.0.ln_1.weight",
        "h.0.ln_1.bias",
        "h.0.attn.c_attn.weight",
        "h.0.attn.c_attn.bias",
        "h.0.attn.c_proj.weight",
        "h.0.attn.c_proj.bias",
        "h.0.ln_2.weight",
        "h.0.ln_2.bias",
        "h.0.mlp.c_fc.weight",
        "h.0.mlp.c_fc.bias",
        "h.0.mlp.c_proj.weight",
        "h.0.mlp.c_proj.bias",
        "h.1.ln_1.weight",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cr_assert_str_eq(graph->params[i].name, names[i]);
    }
    cr_assert_str_eq(graph->params[graph->param_count - 1].name, "ln_f.bias");
    /* Conv1D: [in, out]. */
    const struct spw_shape *shape = &graph->params[4].shape;
    cr_assert(shape->rank == 2 && shape->dim[0] == 8 && shape->dim[1] == 24);
    spw_graph_destroy(graph);
}

/* The prefix is in the parameters' names alone, so the masks stay the same. */
Test(arch_gpt2, prefixes_parameters_only)
{
    struct spw_gpt2_config config = tiny_gpt2_config();
    config.attn_pdrop = 0.5;
    struct spw_graph *plain = build(&config, 12);
    config.name_prefix = true;
    struct spw_graph *prefixed = build(&config, 12);
    cr_assert(plain->param_count == prefixed->param_count);
    for (int32_t i = 0; i < plain->param_count; i++) {
        char name[128];
        (void)snprintf(name, sizeof(name), "transformer.%s", plain->params[i].name);
        cr_assert_str_eq(prefixed->params[i].name, name);
    }
    int attentions = 0;
    for (int32_t i = 0; i < plain->node_count; i++) {
        cr_assert_str_eq(plain->nodes[i].name, prefixed->nodes[i].name);
        if (plain->nodes[i].desc.op == SPW_OP_ATTENTION) {
            const uint64_t key = plain->nodes[i].desc.attr.attention.key;
            cr_assert(key == prefixed->nodes[i].desc.attr.attention.key);
            attentions++;
        }
    }
    cr_assert(attentions == 2);
    cr_assert(plain->nodes[4].desc.attr.attention.key == spw_stream_key(5, "dropout/h.0.attn"));
    spw_graph_destroy(plain);
    spw_graph_destroy(prefixed);
}

Test(arch_gpt2, ties_the_head)
{
    struct spw_gpt2_config config = tiny_gpt2_config();
    struct spw_graph *graph = build(&config, 12);
    cr_assert(graph->params[0].uses == 2);
    /* Few classes: the head keeps its logits. */
    const struct spw_node *head = &graph->nodes[graph->node_count - 2];
    cr_assert(head->desc.op == SPW_OP_LINEAR && head->param[0] == 0);
    cr_assert(graph->nodes[graph->node_count - 1].desc.op == SPW_OP_SOFTMAX_XENT);
    for (int32_t i = 1; i < graph->param_count; i++) {
        cr_assert(graph->params[i].uses == 1);
    }
    spw_graph_destroy(graph);

    config.vocab_size = 5000;
    graph = build(&config, 12);
    head = &graph->nodes[graph->node_count - 1];
    cr_assert(head->desc.op == SPW_OP_LINEAR_XENT && head->param[0] == 0);
    cr_assert(graph->params[0].uses == 2 && graph->params[0].first_use == 0);
    spw_graph_destroy(graph);
}

Test(arch_gpt2, puts_dropout_where_it_is_asked_for)
{
    struct spw_gpt2_config config = tiny_gpt2_config();
    struct spw_graph *graph = build(&config, 12);
    cr_assert(count_ops(graph, SPW_OP_DROPOUT) == 0);
    spw_graph_destroy(graph);

    config.embd_pdrop = 0.1;
    graph = build(&config, 12);
    cr_assert(count_ops(graph, SPW_OP_DROPOUT) == 1);
    cr_assert_str_eq(graph->nodes[2].name, "drop");
    spw_graph_destroy(graph);

    config.resid_pdrop = 0.2;
    config.attn_pdrop = 0.3;
    graph = build(&config, 12);
    cr_assert(count_ops(graph, SPW_OP_DROPOUT) == 1 + 2 * 2);
    for (int32_t i = 0; i < graph->node_count; i++) {
        const struct spw_op_desc *desc = &graph->nodes[i].desc;
        if (desc->op == SPW_OP_ATTENTION) {
            cr_assert(desc->attr.attention.dropout == 0.3 && desc->attr.attention.heads == 2);
        }
    }
    spw_graph_destroy(graph);
}

Test(arch_gpt2, takes_inner_width_and_activation)
{
    struct spw_gpt2_config config = tiny_gpt2_config();
    config.n_inner = 20;
    config.activation = SPW_ACT_RELU;
    struct spw_graph *graph = build(&config, 16);
    const int32_t index = spw_graph_find_param(graph, "h.1.mlp.c_fc.weight");
    cr_assert(graph->params[index].shape.dim[1] == 20);
    cr_assert(count_ops(graph, SPW_OP_RELU) == 2);
    /* All 16 positions have a row, also when sequences are shorter. */
    cr_assert(graph->params[1].shape.dim[0] == 16);
    spw_graph_destroy(graph);
}

Test(arch_gpt2, refuses_bad_settings)
{
    const struct spw_gpt2_config good = tiny_gpt2_config();
    struct spw_gpt2_config bad[12];
    for (int i = 0; i < 12; i++) {
        bad[i] = good;
    }
    bad[0].vocab_size = 0;
    bad[1].n_positions = -1;
    bad[2].n_embd = INT64_C(1) << 31;
    bad[3].n_layer = 0;
    bad[4].n_head = 3;
    bad[5].n_inner = -4;
    bad[6].embd_pdrop = 1.0;
    bad[7].attn_pdrop = -0.1;
    bad[8].resid_pdrop = NAN;
    bad[9].layer_norm_epsilon = 0.0;
    bad[10].n_layer = 5000;
    bad[11].n_positions = 11;
    static const char *const parts[] = {
        "vocab_size", "n_positions",  "n_embd",     "n_layer",     "n_head",
        "n_inner",    "embd_pdrop",   "attn_pdrop", "resid_pdrop", "layer_norm_epsilon",
        "n_layer",    "seq_len = 12",
    };
    for (int i = 0; i < 12; i++) {
        struct spw_error error = {0};
        struct spw_graph *graph = NULL;
        check_refused(spw_arch_gpt2(spw_world_system(), "gpt", &bad[i], 12, 5, &error, &graph),
                      &error, parts[i]);
        cr_assert(graph == NULL && strstr(error.what, "model gpt") != NULL, "%s", error.what);
    }
}
