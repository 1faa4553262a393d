/* builder.c — puts a graph together, node by node, and checks each step.
 *
 * It knows ops by their table alone; which layers make which architecture is written in arch_*.c,
 * and the loss is added in builder_finish.c. Errors name the layer, its input's shape and a cure.
 * Tested by tests/models/test_builder.c. */
#include "base/assert.h"
#include "base/hash.h"
#include "models/builder_state.h"
#include "models/init.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NODES_MAX (1 << 16) /* names are compared pairwise, though by hash */

/* False if a dimension is not positive or the product is more than 63 bits can hold. */
static bool count_elements(const struct spw_shape *shape, int64_t *out)
{
    int64_t elements = 1;
    for (int64_t i = 0; i < shape->rank; i++) {
        if (shape->dim[i] <= 0 || __builtin_mul_overflow(elements, shape->dim[i], &elements)) {
            return false;
        }
    }
    *out = elements;
    return true;
}

static enum spw_status check_input(const char *model_name, const struct spw_shape *input,
                                   struct spw_error *error)
{
    int64_t elements;
    if (input->rank < 1 || input->rank > SPW_RANK_MAX || !count_elements(input, &elements)) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "model %s: an item of the data must have 1 to %d dimensions, each positive",
                        model_name, SPW_RANK_MAX);
    }
    return SPW_OK;
}

enum spw_status spw_builder_create(const struct spw_world *world, const char *model_name,
                                   enum spw_dtype dtype, struct spw_shape input, uint64_t seed,
                                   struct spw_error *error, struct spw_builder **out)
{
    SPW_TRY(check_input(model_name, &input, error));
    struct spw_builder *builder;
    SPW_TRY(spw_allocate(world, 1, sizeof(*builder), "a graph builder", error, &builder));
    builder->world = world;
    builder->param_prefix = "";
    enum spw_status status;
    SPW_TRY_GOTO(spw_allocate(world, 1, sizeof(*builder->graph), "a graph", error, &builder->graph),
                 fail);
    struct spw_graph *graph = builder->graph;
    spw_arena_init(&graph->arena, world);
    graph->input_dtype = dtype;
    graph->input = input;
    graph->seed = seed;
    SPW_TRY_GOTO(spw_arena_text(&graph->arena, error, &graph->name, "%s", model_name), fail);
    *out = builder;
    return SPW_OK;

fail:
    spw_builder_destroy(builder);
    return status;
}

void spw_builder_destroy(struct spw_builder *builder)
{
    if (builder == NULL) {
        return;
    }
    const struct spw_world *world = builder->world;
    spw_graph_destroy(builder->graph);
    spw_release(world, builder->nodes);
    spw_release(world, builder->sides);
    spw_release(world, builder->params);
    spw_release(world, builder);
}

struct spw_built spw_builder_input(const struct spw_builder *builder)
{
    SPW_ASSERT(builder->graph != NULL);
    return (struct spw_built){.node = SPW_GRAPH_DATA, .shape = builder->graph->input};
}

void spw_builder_set_param_prefix(struct spw_builder *builder, const char *prefix)
{
    builder->param_prefix = prefix;
}

/* ---- adding a node ---- */

static bool shapes_equal(const struct spw_shape *a, const struct spw_shape *b)
{
    if (a->rank != b->rank) {
        return false;
    }
    for (int64_t i = 0; i < a->rank; i++) {
        if (a->dim[i] != b->dim[i]) {
            return false;
        }
    }
    return true;
}

static enum spw_status check_name(const struct spw_builder *builder, const char *name,
                                  uint64_t hash, struct spw_error *error)
{
    const char *model = builder->graph->name;
    if (name[0] == '\0' || strlen(name) >= SPW_NODE_NAME_BYTES) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "model %s: a layer's name must have 1 to %d characters: \"%.40s\"", model,
                        SPW_NODE_NAME_BYTES - 1, name);
    }
    if (builder->node_count >= NODES_MAX) {
        return SPW_FAIL(error, SPW_ERR_USAGE, "model %s: more than %d layers", model, NODES_MAX);
    }
    for (int32_t i = 0; i < builder->node_count; i++) {
        if (builder->sides[i].name_hash == hash && strcmp(builder->nodes[i].name, name) == 0) {
            return SPW_FAIL(error, SPW_ERR_USAGE, "model %s: two layers are called %s; rename one",
                            model, name);
        }
    }
    return SPW_OK;
}

/* Token numbers can only be looked up, and only they can be. */
static enum spw_status check_dtype(const struct spw_builder *builder, const char *name,
                                   const struct spw_op_desc *desc, int32_t source,
                                   struct spw_error *error)
{
    const bool tokens = source == SPW_GRAPH_DATA && builder->graph->input_dtype == SPW_I32;
    if (tokens != (desc->op == SPW_OP_EMBEDDING)) {
        return spw_builder_refuse(builder, name, desc, source, SPW_ERR_USAGE,
                                  tokens
                                      ? "it reads token numbers, which only an embedding can"
                                      : "an embedding reads token numbers, but this input has none",
                                  error);
    }
    return SPW_OK;
}

static enum spw_status check_second(const struct spw_builder *builder, const char *name,
                                    const struct spw_op_desc *desc, int32_t source,
                                    const struct spw_built *second, struct spw_error *error)
{
    SPW_ASSERT((spw_op_inputs(desc->op) == 2) == (second != NULL));
    if (second == NULL || shapes_equal(&desc->in, &second->shape)) {
        return SPW_OK;
    }
    char from[SPW_SOURCE_BYTES];
    char shape[96];
    char why[SPW_SOURCE_BYTES + 128];
    (void)snprintf(why, sizeof(why), "its second input is %s from %s",
                   spw_shape_text(&second->shape, shape),
                   spw_builder_source(builder, second->node, from));
    return spw_builder_refuse(builder, name, desc, source, SPW_ERR_USAGE, why, error);
}

enum spw_status spw_builder_infer(const struct spw_builder *builder, const char *name,
                                  struct spw_op_desc *desc, int32_t source, struct spw_error *error)
{
    if (desc->op == SPW_OP_LINEAR) {
        const int64_t last = desc->in.rank > 0 ? desc->in.dim[desc->in.rank - 1] : 1;
        if (desc->attr.linear.in == 0) {
            desc->attr.linear.in = last;
        }
        if (desc->attr.linear.in != last) {
            char why[96];
            (void)snprintf(why, sizeof(why), "it takes %" PRId64 " inputs, but there are %" PRId64,
                           desc->attr.linear.in, last);
            return spw_builder_refuse(builder, name, desc, source, SPW_ERR_USAGE, why, error);
        }
    }
    struct spw_error why = {0};
    const enum spw_status status = spw_op_infer(desc, &why);
    if (status != SPW_OK) {
        return spw_builder_refuse(builder, name, desc, source, status, why.what, error);
    }
    return SPW_OK;
}

/* Makes the parameters of `node`, which is not yet in the list; they count only once it is. */
static enum spw_status make_params(struct spw_builder *builder, struct spw_node *node,
                                   struct spw_error *error)
{
    static const char *const suffixes[SPW_OP_PARAMS_MAX] = {"weight", "bias"};
    const int count = spw_op_params(&node->desc);
    SPW_TRY(spw_grow(builder->world, &builder->params, &builder->param_capacity,
                     (uint64_t)builder->param_count + (uint64_t)count, sizeof(*builder->params),
                     "the parameters", error));
    for (int slot = 0; slot < SPW_OP_PARAMS_MAX; slot++) {
        node->param[slot] = SPW_GRAPH_NONE;
        if (slot >= count) {
            continue;
        }
        struct spw_param param = {
            .shape = spw_op_param_shape(&node->desc, slot),
            .uses = 1,
            .first_use = builder->node_count,
        };
        if (!count_elements(&param.shape, &param.elements)) {
            return SPW_FAIL(error, SPW_ERR_USAGE,
                            "layer %s of model %s: its %s has more elements than can be addressed; "
                            "make it smaller",
                            node->name, builder->graph->name, suffixes[slot]);
        }
        spw_init_default(&node->desc, slot, &param.init, &param.init_a);
        SPW_TRY(spw_arena_text(&builder->graph->arena, error, &param.name, "%s%s.%s",
                               builder->param_prefix, node->name, suffixes[slot]));
        node->param[slot] = builder->param_count + slot;
        builder->params[node->param[slot]] = param;
    }
    return SPW_OK;
}

enum spw_status spw_builder_push(struct spw_builder *builder, const char *name, uint64_t hash,
                                 const struct spw_op_desc *desc, int32_t first, int32_t second,
                                 struct spw_error *error)
{
    const uint64_t needed = (uint64_t)builder->node_count + 1;
    SPW_TRY(spw_grow(builder->world, &builder->nodes, &builder->node_capacity, needed,
                     sizeof(*builder->nodes), "the layers", error));
    SPW_TRY(spw_grow(builder->world, &builder->sides, &builder->side_capacity, needed,
                     sizeof(*builder->sides), "the layers", error));
    struct spw_node node = {.desc = *desc, .input = {first, second}};
    SPW_TRY(spw_arena_text(&builder->graph->arena, error, &node.name, "%s", name));
    SPW_TRY(make_params(builder, &node, error));

    for (int i = 0; i < SPW_OP_INPUTS_MAX; i++) {
        if (node.input[i] >= 0) {
            builder->sides[node.input[i]].readers++;
        }
    }
    builder->param_count += spw_op_params(desc);
    builder->nodes[builder->node_count] = node;
    builder->sides[builder->node_count] = (struct spw_builder_side){.name_hash = hash};
    builder->node_count++;
    return SPW_OK;
}

static void assert_built(const struct spw_builder *builder, const struct spw_built *built)
{
    SPW_ASSERT(built->node >= SPW_GRAPH_DATA);
    SPW_ASSERT(built->node < builder->node_count);
}

enum spw_status spw_builder_add(struct spw_builder *builder, const char *name,
                                const struct spw_op_desc *desc, struct spw_built input,
                                const struct spw_built *second, struct spw_error *error,
                                struct spw_built *out)
{
    SPW_ASSERT(builder->graph != NULL);
    SPW_ASSERT(!spw_op_is_loss(desc->op));
    assert_built(builder, &input);
    if (second != NULL) {
        assert_built(builder, second);
    }
    if (desc->op == SPW_OP_DROPOUT && desc->attr.dropout.p == 0.0) {
        *out = input;
        return SPW_OK;
    }
    const uint64_t hash = spw_hash_text(name, 0);
    SPW_TRY(check_name(builder, name, hash, error));
    struct spw_op_desc complete = *desc;
    complete.in = input.shape;
    SPW_TRY(check_dtype(builder, name, &complete, input.node, error));
    SPW_TRY(check_second(builder, name, &complete, input.node, second, error));
    SPW_TRY(spw_builder_infer(builder, name, &complete, input.node, error));
    SPW_TRY(spw_builder_push(builder, name, hash, &complete, input.node,
                             second != NULL ? second->node : SPW_GRAPH_NONE, error));
    *out = (struct spw_built){.node = builder->node_count - 1, .shape = complete.out};
    return SPW_OK;
}

/* ---- parameters ---- */

/* From the end: most callers ask for a parameter that they have just made. */
static int32_t find_param(const struct spw_builder *builder, const char *name)
{
    for (int32_t i = builder->param_count - 1; i >= 0; i--) {
        if (strcmp(builder->params[i].name, name) == 0) {
            return i;
        }
    }
    return SPW_GRAPH_NONE;
}

enum spw_status spw_builder_tie(struct spw_builder *builder, int slot, const char *param_name,
                                struct spw_error *error)
{
    SPW_ASSERT(builder->graph != NULL);
    SPW_ASSERT(builder->node_count > 0);
    struct spw_node *node = &builder->nodes[builder->node_count - 1];
    SPW_ASSERT(slot >= 0);
    SPW_ASSERT(slot < SPW_OP_PARAMS_MAX);
    const int32_t own = node->param[slot];
    /* The parameter that goes is the last one, so no other index changes. */
    SPW_ASSERT(own != SPW_GRAPH_NONE);
    SPW_ASSERT(own == builder->param_count - 1);

    const int32_t shared = find_param(builder, param_name);
    if (shared == SPW_GRAPH_NONE || shared == own) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "layer %s of model %s: no earlier layer has a parameter %s to be tied to",
                        node->name, builder->graph->name, param_name);
    }
    if (!shapes_equal(&builder->params[own].shape, &builder->params[shared].shape)) {
        char own_shape[96];
        char shared_shape[96];
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "layer %s of model %s: needs a weight of %s, but %s is %s; only parameters "
                        "of one shape can be tied",
                        node->name, builder->graph->name,
                        spw_shape_text(&builder->params[own].shape, own_shape), param_name,
                        spw_shape_text(&builder->params[shared].shape, shared_shape));
    }
    builder->param_count--;
    node->param[slot] = shared;
    builder->params[shared].uses++;
    return SPW_OK;
}

enum spw_status spw_builder_set_init(struct spw_builder *builder, const char *param_name,
                                     enum spw_init init, double a, struct spw_error *error)
{
    SPW_ASSERT(builder->graph != NULL);
    const int32_t index = find_param(builder, param_name);
    if (index == SPW_GRAPH_NONE) {
        return SPW_FAIL(error, SPW_ERR_USAGE, "model %s has no parameter %s", builder->graph->name,
                        param_name);
    }
    builder->params[index].init = init;
    builder->params[index].init_a = a;
    return SPW_OK;
}
