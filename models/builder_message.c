/* builder_message.c — what the builder says about layers that don't go together.
 * Tested by tests/models/test_builder.c. */
#include "base/assert.h"
#include "base/status.h"
#include "models/builder_state.h"

#include <stdio.h>
#include <string.h>

const char *spw_builder_label(const char *name, enum spw_op op, char out[SPW_LABEL_BYTES])
{
    const bool numbered = strspn(name, "0123456789") == strlen(name);
    (void)snprintf(out, SPW_LABEL_BYTES, numbered ? "%s.%s" : "%s (%s)", name, spw_op_name(op));
    return out;
}

const char *spw_builder_source(const struct spw_builder *builder, int32_t node,
                               char out[SPW_SOURCE_BYTES])
{
    if (node == SPW_GRAPH_DATA) {
        return "the data";
    }
    char label[SPW_LABEL_BYTES];
    const struct spw_node *source = &builder->nodes[node];
    (void)snprintf(out, SPW_SOURCE_BYTES, "layer %s",
                   spw_builder_label(source->name, source->desc.op, label));
    return out;
}

/* What usually helps when an op and its input don't go together. */
static const char *cure_of(enum spw_op op)
{
    switch (op) {
    case SPW_OP_CONV2D:
        return "give it a smaller kernel, more padding, or less pooling before it";
    case SPW_OP_MAXPOOL2D:
    case SPW_OP_AVGPOOL2D:
        return "drop this pooling or make its kernel smaller";
    case SPW_OP_LINEAR:
    case SPW_OP_LINEAR_XENT:
        return "change its sizes, or put flatten before it";
    case SPW_OP_EMBEDDING:
        return "let it read the tokens, and make vocabulary and width positive";
    case SPW_OP_POSITION:
        return "shorten seq_len or use a model with more positions";
    case SPW_OP_ATTENTION:
        return "its input's width must be three times a multiple of its heads";
    case SPW_OP_ADD:
        return "both inputs must have one shape";
    case SPW_OP_SOFTMAX_XENT:
        return "the last layer's last dimension must be the number of classes";
    case SPW_OP_FLATTEN:
    case SPW_OP_RELU:
    case SPW_OP_GELU:
    case SPW_OP_GELU_TANH:
    case SPW_OP_SILU:
    case SPW_OP_LAYERNORM:
    case SPW_OP_DROPOUT:
    case SPW_OP_COPY:
        return "look at the layers before it";
    case SPW_OP_COUNT:
        break;
    }
    SPW_NEVER("an op");
}

enum spw_status spw_builder_refuse(const struct spw_builder *builder, const char *name,
                                   const struct spw_op_desc *desc, int32_t source,
                                   enum spw_status status, const char *why, struct spw_error *error)
{
    char label[SPW_LABEL_BYTES];
    char from[SPW_SOURCE_BYTES];
    char shape[96];
    return SPW_FAIL(error, status, "layer %s of model %s: %s; it gets %s from %s; %s",
                    spw_builder_label(name, desc->op, label), builder->graph->name, why,
                    spw_shape_text(&desc->in, shape), spw_builder_source(builder, source, from),
                    cure_of(desc->op));
}
