/* spec_layers.c — the `layers` of a model: names and settings to descriptions of ops.
 * Tested by tests/selection/test_spec.c. */
#include "selection/spec_read.h"

#include "base/assert.h"
#include "base/status.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define KINDS_MAX 16
#define LAYERS_MAX 4096

static const struct spw_unserved unserved_layers[] = {
    {"batchnorm", "leave it out or use layernorm"},
    {"batchnorm1d", "leave it out or use layernorm"},
    {"batchnorm2d", "leave it out or use layernorm"},
    {"groupnorm", "leave it out or use layernorm"},
    {"rmsnorm", "use layernorm"},
    {"conv1d", "use conv2d"},
    {"conv3d", "use conv2d"},
    {"tanh", "use relu, gelu or silu"},
    {"sigmoid", "use relu, gelu or silu"},
    {"softmax", "leave it out; the loss has it inside"},
    {"logsoftmax", "leave it out; the loss has it inside"},
    {"lstm", "use arch: gpt2"},
    {"gru", "use arch: gpt2"},
    {"attention", "use arch: gpt2"},
    {"multiheadattention", "use arch: gpt2"},
    {"adaptiveavgpool2d", "use avgpool2d with the image's size as kernel"},
    {NULL, NULL},
};

static const struct {
    const char *name;
    enum spw_op op;
} ops[] = {
    {"linear", SPW_OP_LINEAR},       {"conv2d", SPW_OP_CONV2D},
    {"maxpool2d", SPW_OP_MAXPOOL2D}, {"avgpool2d", SPW_OP_AVGPOOL2D},
    {"flatten", SPW_OP_FLATTEN},     {"relu", SPW_OP_RELU},
    {"gelu", SPW_OP_GELU},           {"silu", SPW_OP_SILU},
    {"dropout", SPW_OP_DROPOUT},     {"layernorm", SPW_OP_LAYERNORM},
    {"embedding", SPW_OP_EMBEDDING}, {NULL, SPW_OP_COUNT},
};

static enum spw_op op_of(const char *name)
{
    for (uint32_t i = 0; ops[i].name != NULL; i++) {
        if (strcmp(ops[i].name, name) == 0) {
            return ops[i].op;
        }
    }
    SPW_NEVER("a kind of layer without an op");
}

static void fill_desc(struct spw_layer_spec *layer, const char *name)
{
    struct spw_op_desc *desc = &layer->desc;
    *desc = (struct spw_op_desc){.op = op_of(name)};
    switch (desc->op) {
    case SPW_OP_LINEAR:
        desc->attr.linear.out = (int64_t)layer->out;
        desc->attr.linear.bias = layer->bias;
        return;
    case SPW_OP_CONV2D:
        desc->attr.conv2d.out = (int64_t)layer->out;
        desc->attr.conv2d.kernel = (int64_t)layer->kernel;
        desc->attr.conv2d.stride = (int64_t)layer->stride;
        desc->attr.conv2d.padding = (int64_t)layer->padding;
        desc->attr.conv2d.bias = layer->bias;
        return;
    case SPW_OP_MAXPOOL2D:
    case SPW_OP_AVGPOOL2D:
        desc->attr.pool.kernel = (int64_t)layer->kernel;
        desc->attr.pool.stride = (int64_t)(layer->stride != 0 ? layer->stride : layer->kernel);
        return;
    case SPW_OP_GELU:
        desc->op = layer->approximate != 0 ? SPW_OP_GELU_TANH : SPW_OP_GELU;
        return;
    case SPW_OP_LAYERNORM:
        desc->attr.layernorm.eps = layer->eps;
        return;
    case SPW_OP_EMBEDDING:
        desc->attr.embedding.vocabulary = (int64_t)layer->vocabulary;
        desc->attr.embedding.width = (int64_t)layer->width;
        return;
    case SPW_OP_DROPOUT:
        desc->attr.dropout.p = layer->p;
        return;
    case SPW_OP_FLATTEN:
    case SPW_OP_RELU:
    case SPW_OP_SILU:
    case SPW_OP_GELU_TANH:
    case SPW_OP_POSITION:
    case SPW_OP_ATTENTION:
    case SPW_OP_ADD:
    case SPW_OP_SOFTMAX_XENT:
    case SPW_OP_LINEAR_XENT:
    case SPW_OP_COPY:
    case SPW_OP_COUNT:
        return;
    }
}

static const struct spw_layer_kind *find_kind(const char *name)
{
    for (const struct spw_layer_kind *kind = spw_layer_kinds; kind->name != NULL; kind++) {
        if (strcmp(kind->name, name) == 0) {
            return kind;
        }
    }
    return NULL;
}

/* "Conv2d" and "nn.Conv2d" are meant as conv2d. */
static void plain_name(const char *name, char out[64])
{
    const char *dot = strrchr(name, '.');
    size_t i = 0;
    for (const char *from = dot != NULL ? dot + 1 : name; *from != '\0' && i < 63; from++) {
        out[i++] = (char)tolower((unsigned char)*from);
    }
    out[i] = '\0';
}

static enum spw_status refuse_kind(const struct spw_key_context *context, const char *path,
                                   const struct spw_yaml_node *node, const char *name)
{
    char plain[64], list[200];
    const char *names[KINDS_MAX + 1];
    size_t used = 0, count = 0;
    plain_name(name, plain);
    for (const struct spw_layer_kind *kind = spw_layer_kinds; kind->name != NULL; kind++) {
        SPW_ASSERT(count < KINDS_MAX);
        names[count++] = kind->name;
        const int added =
            snprintf(list + used, sizeof(list) - used, "%s%s", used == 0 ? "" : ", ", kind->name);
        used += (size_t)added;
    }
    names[count] = NULL;
    for (const struct spw_unserved *layer = unserved_layers; layer->word != NULL; layer++) {
        if (strcmp(layer->word, plain) == 0) {
            return SPW_KEY_REFUSE(context, node, path, "%.60s is not served yet; %s", name,
                                  layer->cure);
        }
    }
    const char *nearest = spw_nearest_name(plain, names);
    if (nearest != NULL) {
        return SPW_KEY_REFUSE(context, node, path, "no layer is called \"%.60s\"; did you mean %s?",
                              name, nearest);
    }
    return SPW_KEY_REFUSE(context, node, path, "no layer is called \"%.60s\"; there are %s", name,
                          list);
}

static enum spw_status read_settings(const struct spw_key_context *context,
                                     const struct spw_layer_kind *kind, const char *path,
                                     const struct spw_yaml_node *node,
                                     const struct spw_yaml_node *settings,
                                     struct spw_layer_spec *layer)
{
    char full[200];
    (void)snprintf(full, sizeof(full), "%.150s.%s", path, kind->name);
    SPW_TRY(spw_table_defaults(context, kind->keys, layer));
    if (settings != NULL && settings->kind == SPW_YAML_SCALAR && settings->text[0] == '\0') {
        settings = NULL; /* "- relu:" */
    }
    if (settings != NULL && settings->kind != SPW_YAML_MAP) {
        char what[96];
        const char *first = kind->keys[0].name;
        return SPW_KEY_REFUSE(context, settings, full, "%s is no map of settings; write %s: {%s%s}",
                              spw_yaml_describe(settings, what), kind->name,
                              first != NULL ? first : "", first != NULL ? ": ..." : "");
    }
    struct spw_yaml_node none = *node;
    none.kind = SPW_YAML_MAP;
    none.entries = NULL;
    none.count = 0;
    return spw_table_read(context, kind->keys, full, settings != NULL ? settings : &none, 0, layer);
}

static enum spw_status read_layer(const struct spw_key_context *context, const char *path,
                                  const struct spw_yaml_node *node, struct spw_layer_spec *layer)
{
    const char *name = node->text;
    const struct spw_yaml_node *settings = NULL;
    if (node->kind == SPW_YAML_LIST || (node->kind == SPW_YAML_MAP && node->count != 1)) {
        return SPW_KEY_REFUSE(
            context, node, path,
            "a layer is a name or one `name: {settings}`; begin each layer with -");
    }
    if (node->kind == SPW_YAML_MAP) {
        name = node->entries->key->text;
        settings = node->entries->value;
    }
    const struct spw_layer_kind *kind = find_kind(name);
    if (kind == NULL) {
        return refuse_kind(context, path, node, name);
    }
    layer->node = node;
    SPW_TRY(read_settings(context, kind, path, node, settings, layer));
    fill_desc(layer, kind->name);
    return SPW_OK;
}

enum spw_status spw_layers_read(const struct spw_key_context *context,
                                const struct spw_yaml_node *layers, struct spw_model_spec *model)
{
    char path[160];
    (void)snprintf(path, sizeof(path), "models.%s.layers", model->id);
    if (layers->kind != SPW_YAML_LIST || layers->count == 0) {
        return SPW_KEY_REFUSE(context, layers, path, "must be a list with at least one layer");
    }
    if (layers->count > LAYERS_MAX) {
        return SPW_KEY_REFUSE(context, layers, path, "more than %d layers; shorten it", LAYERS_MAX);
    }
    SPW_TRY(spw_arena_take(context->arena, layers->count, sizeof(*model->layers), context->error,
                           &model->layers));
    model->layer_count = layers->count;
    uint32_t index = 0;
    for (const struct spw_yaml_entry *entry = layers->entries; entry != NULL;
         entry = entry->next, index++) {
        (void)snprintf(path, sizeof(path), "models.%s.layers[%u]", model->id, index);
        SPW_TRY(read_layer(context, path, entry->value, &model->layers[index]));
    }
    return SPW_OK;
}
