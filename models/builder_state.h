/* builder_state.h — the builder's inside, shared by builder*.c. */
#ifndef SPW_MODELS_BUILDER_STATE_H
#define SPW_MODELS_BUILDER_STATE_H

#include "models/graph.h"

#define SPW_NODE_NAME_BYTES 256 /* with the NUL */

/* Room for "layer1.0.conv1 (conv2d)" and for "layer layer1.0.conv1 (conv2d)". */
#define SPW_LABEL_BYTES (SPW_NODE_NAME_BYTES + 32)
#define SPW_SOURCE_BYTES (SPW_LABEL_BYTES + 16)

/* What only the builder needs to know about a node. */
struct spw_builder_side {
    uint64_t name_hash;
    int32_t readers; /* inputs that take this node's tensor */
};

struct spw_builder {
    const struct spw_world *world;
    struct spw_graph *graph; /* owns the names; NULL once handed over */
    const char *param_prefix;
    struct spw_node *nodes;
    struct spw_builder_side *sides;
    struct spw_param *params;
    uint64_t node_capacity;
    uint64_t side_capacity;
    uint64_t param_capacity;
    int32_t node_count;
    int32_t param_count;
};

/* ---- builder_message.c ---- */

/* "3.conv2d" for a layer known by position, "layer1.0.conv1 (conv2d)" for one with a name. */
const char *spw_builder_label(const char *name, enum spw_op op, char out[SPW_LABEL_BYTES]);
/* "layer 2.relu", or "the data". */
const char *spw_builder_source(const struct spw_builder *builder, int32_t node,
                               char out[SPW_SOURCE_BYTES]);
/* Records that `desc`, to be called `name`, can't read desc->in from node `source`, because of
 * `why`. */
enum spw_status spw_builder_refuse(const struct spw_builder *builder, const char *name,
                                   const struct spw_op_desc *desc, int32_t source,
                                   enum spw_status status, const char *why,
                                   struct spw_error *error);

/* ---- builder.c ---- */

/* Fills in what follows from desc->in, and lets the op table check and infer the rest. */
enum spw_status spw_builder_infer(const struct spw_builder *builder, const char *name,
                                  struct spw_op_desc *desc, int32_t source,
                                  struct spw_error *error);
/* Appends a node that is checked and inferred; on failure nothing was added. */
enum spw_status spw_builder_push(struct spw_builder *builder, const char *name, uint64_t hash,
                                 const struct spw_op_desc *desc, int32_t first, int32_t second,
                                 struct spw_error *error);

#endif
