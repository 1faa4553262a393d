/* test_import_gpt2.c — importing Hugging Face folders: the committed one, and its variants with
 * prefixed names, several files, mask buffers, a copy of the head. Folders that must be refused are
 * in test_bad_models.c. */
#include "model_check.h"

#include "models/gpt2_config.h"
#include "models/safetensors.h"
#include "tests/support/temporary.h"
#include <stdio.h>
#include <stdlib.h>

static const char tiny_folder[] = SPW_SOURCE_DIR "/tests/models/data/tiny_gpt2";

static struct spw_graph *import(const char *folder)
{
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(spw_import_gpt2(spw_world_system(), "hf", folder, 12, 5, &error, &graph), &error);
    return graph;
}

static float *values_of(const struct spw_graph *graph, const char *name)
{
    const int32_t index = spw_graph_find_param(graph, name);
    cr_assert(index >= 0, "%s", name);
    float *values = malloc((size_t)graph->params[index].elements * sizeof(*values));
    struct spw_error error = {0};
    check_ok(spw_graph_initial(graph, index, 0, values, &error), &error);
    return values;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The script that wrote the folder: element i of the t-th tensor by name is
 * ((31 t + 7 i) mod 101 - 50) / 256. */
Test(import_gpt2, reads_the_committed_folder)
{
    struct spw_graph *graph = import(tiny_folder);
    cr_assert(graph->param_count == 28);
    /* 32*8 + 16*8 + 2 * (4*8 + 8*24+24 + 8*8+8 + 8*32+32 + 32*8+8) + 2*8 */
    cr_assert(graph->parameter_count == 2144, "%lld", (long long)graph->parameter_count);
    const char *names[28];
    for (int32_t i = 0; i < 28; i++) {
        names[i] = graph->params[i].name;
    }
    qsort(names, 28, sizeof(names[0]), compare_names);
    for (int64_t t = 0; t < 28; t++) {
        float *values = values_of(graph, names[t]);
        const int32_t index = spw_graph_find_param(graph, names[t]);
        for (int64_t i = 0; i < graph->params[index].elements; i++) {
            const float wanted = (float)((31 * t + 7 * i) % 101 - 50) / 256.0f;
            cr_assert(values[i] == wanted, "%s[%d]", names[t], (int)i);
        }
        free(values);
    }
    spw_graph_destroy(graph);
}

Test(import_gpt2, follows_the_config)
{
    struct spw_graph *graph = import(tiny_folder);
    cr_assert(graph->classes == 32 && graph->targets_per_item == 12);
    cr_assert(graph->params[0].uses == 2);
    int dropouts = 0;
    for (int32_t i = 0; i < graph->node_count; i++) {
        const struct spw_op_desc *desc = &graph->nodes[i].desc;
        if (desc->op == SPW_OP_ATTENTION) {
            cr_assert(desc->attr.attention.heads == 2 && desc->attr.attention.dropout == 0.1);
        }
        if (desc->op == SPW_OP_DROPOUT) {
            cr_assert(desc->attr.dropout.p == 0.2);
            dropouts++;
        }
        if (desc->op == SPW_OP_LAYERNORM) {
            cr_assert(desc->attr.layernorm.eps == 1e-5);
        }
        cr_assert(desc->op != SPW_OP_GELU && desc->op != SPW_OP_RELU);
    }
    cr_assert(dropouts == 4, "embd_pdrop is 0, resid_pdrop is not: %d", dropouts);
    spw_graph_destroy(graph);
}

static enum spw_status try_config(const char *text, struct spw_error *error,
                                  struct spw_gpt2_config *config)
{
    return spw_gpt2_config_parse("config.json", text, strlen(text), error, config);
}

/* Unknown keys that change nothing are passed over; absent settings have the format's defaults. */
Test(import_gpt2, fills_in_defaults)
{
    struct spw_error error = {0};
    struct spw_gpt2_config config;
    check_ok(try_config("{\"model_type\": \"gpt2\", \"vocab_size\": 7, \"n_positions\": 3, "
                        "\"n_embd\": 4, \"n_layer\": 2, \"n_head\": 2, \"n_inner\": null, "
                        "\"pad_token_id\": 3, \"task_specific_params\": {\"x\": 1}, "
                        "\"pruned_heads\": {}, \"tie_word_embeddings\": true, "
                        "\"transformers_version\": \"5.0\", \"sliding_window\": null}",
                        &error, &config),
             &error);
    cr_assert(config.vocab_size == 7 && config.n_positions == 3 && config.n_embd == 4);
    cr_assert(config.n_layer == 2 && config.n_head == 2 && config.n_inner == 0);
    cr_assert(config.embd_pdrop == 0.1 && config.attn_pdrop == 0.1 && config.resid_pdrop == 0.1);
    cr_assert(config.layer_norm_epsilon == 1e-5 && config.activation == SPW_ACT_GELU_TANH);
    cr_assert(!config.name_prefix);
}

Test(import_gpt2, knows_the_activations)
{
    static const struct {
        const char *name;
        enum spw_activation activation;
    } known[] = {{"gelu_new", SPW_ACT_GELU_TANH}, {"gelu_pytorch_tanh", SPW_ACT_GELU_TANH},
                 {"gelu", SPW_ACT_GELU},          {"relu", SPW_ACT_RELU},
                 {"silu", SPW_ACT_SILU},          {"swish", SPW_ACT_SILU}};
    for (int i = 0; i < 6; i++) {
        char text[256];
        (void)snprintf(text, sizeof(text),
                       "{\"model_type\": \"gpt2\", \"vocab_size\": 7, \"n_positions\": 3, "
                       "\"n_embd\": 4, \"n_layer\": 2, \"n_head\": 2, "
                       "\"activation_function\": \"%s\"}",
                       known[i].name);
        struct spw_error error = {0};
        struct spw_gpt2_config config;
        check_ok(try_config(text, &error, &config), &error);
        cr_assert(config.activation == known[i].activation, "%s", known[i].name);
    }
}

/* ---- variants, written anew from the committed folder ---- */

struct variant {
    struct spw_graph *graph; /* of the committed folder */
    const char *prefix;
    const char *head; /* name of the copy of wte, or NULL */
    bool masks;
    int files;
    float head_scale;
};

/* What one file of a variant holds. */
struct part {
    const struct variant *variant;
    int32_t params[64]; /* index in the graph, -1: the head, -2: a mask */
    const char *names[64];
    char texts[64][64];
    struct spw_shape shapes[64];
    uint64_t count;
};

static enum spw_status read_part(void *self, uint64_t index, uint64_t first, uint64_t count,
                                 float *out, struct spw_error *error)
{
    const struct part *part = self;
    const struct variant *variant = part->variant;
    const int32_t param = part->params[index];
    static float values[4096];
    if (param == -2) {
        for (uint64_t i = 0; i < count; i++) {
            out[i] = 1.0f;
        }
        return SPW_OK;
    }
    const enum spw_status status =
        spw_graph_initial(variant->graph, param < 0 ? 0 : param, 0, values, error);
    for (uint64_t i = 0; i < count; i++) {
        out[i] = values[first + i] * (param < 0 ? variant->head_scale : 1.0f);
    }
    return status;
}

static void add_tensor(struct part *part, int32_t param, const char *name, struct spw_shape shape)
{
    (void)snprintf(part->texts[part->count], 64, "%s%s", param == -1 ? "" : part->variant->prefix,
                   name);
    part->names[part->count] = part->texts[part->count];
    part->params[part->count] = param;
    part->shapes[part->count] = shape;
    part->count++;
}

static void write_part(const struct variant *variant, const char *path, int file, struct part *part)
{
    part->variant = variant;
    part->count = 0;
    const struct spw_graph *graph = variant->graph;
    for (int32_t i = 0; i < graph->param_count; i++) {
        if (i % variant->files == file) {
            add_tensor(part, i, graph->params[i].name, graph->params[i].shape);
        }
    }
    if (variant->head != NULL && file == 0) {
        add_tensor(part, -1, variant->head, graph->params[0].shape);
    }
    if (variant->masks && file == 0) {
        const struct spw_shape mask = {.rank = 4, .dim = {1, 1, 16, 16}};
        add_tensor(part, -2, "h.0.attn.bias", mask);
        add_tensor(part, -2, "h.1.attn.bias", mask);
        add_tensor(part, -2, "h.1.attn.masked_bias", (struct spw_shape){0});
    }
    const struct spw_tensor_source source = {.self = part, .read = read_part};
    struct spw_error error = {0};
    check_ok(spw_safetensors_write(spw_world_system(), path, part->count, part->names, part->shapes,
                                   &source, &error),
             &error);
}

static void write_variant(const struct spw_temporary *temporary, const struct variant *variant)
{
    struct spw_error error = {0};
    char *config = NULL;
    uint64_t bytes = 0;
    check_ok(spw_read_file(spw_world_system(),
                           SPW_SOURCE_DIR "/tests/models/data/tiny_gpt2/config.json", 100000,
                           &error, &config, &bytes),
             &error);
    spw_temporary_write(temporary, "config.json", config, bytes);
    spw_release(spw_world_system(), config);

    static struct part part;
    static char index[16384];
    size_t used = (size_t)snprintf(index, sizeof(index), "{\"metadata\": {}, \"weight_map\": {");
    for (int file = 0; file < variant->files; file++) {
        char name[64];
        char path[512];
        (void)snprintf(name, sizeof(name),
                       variant->files == 1 ? "model.safetensors" : "model-%d.safetensors", file);
        write_part(variant, spw_temporary_path(temporary, name, path), file, &part);
        for (uint64_t i = 0; i < part.count; i++) {
            used += (size_t)snprintf(index + used, sizeof(index) - used, "%s\"%s\": \"%s\"",
                                     file + (int)i > 0 ? ", " : "", part.names[i], name);
        }
    }
    used += (size_t)snprintf(index + used, sizeof(index) - used, "}}");
    if (variant->files > 1) {
        spw_temporary_write(temporary, "model.safetensors.index.json", index, used);
    }
}

/* Imports the variant: same numbers as the committed folder, under the variant's names. */
static void check_variant(struct variant variant)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    variant.graph = import(tiny_folder);
    write_variant(&temporary, &variant);
    struct spw_graph *graph = import(temporary.path);
    cr_assert(graph->param_count == variant.graph->param_count);
    for (int32_t i = 0; i < graph->param_count; i++) {
        char name[128];
        (void)snprintf(name, sizeof(name), "%s%s", variant.prefix, variant.graph->params[i].name);
        cr_assert_str_eq(graph->params[i].name, name);
        float *values = values_of(graph, name);
        float *wanted = values_of(variant.graph, variant.graph->params[i].name);
        cr_assert(memcmp(values, wanted, (size_t)graph->params[i].elements * sizeof(float)) == 0);
        free(values);
        free(wanted);
    }
    spw_graph_destroy(graph);
    spw_graph_destroy(variant.graph);
    spw_temporary_deinit(&temporary);
}

Test(import_gpt2, keeps_prefixed_names)
{
    check_variant((struct variant){.prefix = "transformer.", .files = 1});
}

Test(import_gpt2, skips_masks_and_accepts_the_head_s_copy)
{
    check_variant((struct variant){.prefix = "transformer.",
                                   .head = "lm_head.weight",
                                   .head_scale = 1.0f,
                                   .masks = true,
                                   .files = 1});
    check_variant((struct variant){
        .prefix = "", .head = "lm_head.weight", .head_scale = 1.0f, .masks = true, .files = 1});
}

Test(import_gpt2, reads_several_files)
{
    check_variant((struct variant){.prefix = "", .files = 3});
    check_variant((struct variant){.prefix = "transformer.",
                                   .head = "lm_head.weight",
                                   .head_scale = 1.0f,
                                   .masks = true,
                                   .files = 2});
}

Test(import_gpt2, refuses_a_head_of_its_own)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    struct variant variant = {
        .prefix = "transformer.", .head = "lm_head.weight", .head_scale = 0.5f, .files = 1};
    variant.graph = import(tiny_folder);
    write_variant(&temporary, &variant);
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_refused(spw_import_gpt2(spw_world_system(), "hf", temporary.path, 12, 5, &error, &graph),
                  &error, "tensor \"lm_head.weight\" differs from \"transformer.wte.weight\"");
    spw_graph_destroy(variant.graph);
    spw_temporary_deinit(&temporary);
}

Test(import_gpt2, refuses_sequences_longer_than_the_positions)
{
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_refused(spw_import_gpt2(spw_world_system(), "hf", tiny_folder, 17, 5, &error, &graph),
                  &error, "seq_len = 17 is more than its n_positions = 16");
    cr_assert(graph == NULL);
}

/* An imported model may be started from other weights, which then need the same names. */
Test(import_gpt2, can_be_initialised_from_another_file)
{
    struct spw_graph *graph = import(tiny_folder);
    struct spw_error error = {0};
    check_ok(spw_graph_init_from(
                 graph, SPW_SOURCE_DIR "/tests/models/data/tiny_gpt2/model.safetensors", &error),
             &error);
    float *values = values_of(graph, "wpe.weight");
    free(values);
    spw_graph_destroy(graph);
}
