/* arch_mlp.c — `arch: mlp`: flatten, (linear, activation [, dropout])*, linear.
 * Tested by tests/models/test_arch.c. */
#include "models/arch_common.h"

static enum spw_status build(struct spw_builder *builder, const struct spw_mlp_config *config,
                             int64_t classes, struct spw_error *error, struct spw_graph **out)
{
    struct spw_chain chain = {.builder = builder, .error = error, .at = spw_builder_input(builder)};
    SPW_TRY(spw_chain_add(&chain, (struct spw_op_desc){.op = SPW_OP_FLATTEN}));
    SPW_TRY(spw_chain_add_dense(&chain, config->hidden, config->hidden_count, config->activation,
                                config->dropout, classes));
    return spw_builder_finish(builder, chain.at, classes, error, out);
}

enum spw_status spw_arch_mlp(const struct spw_world *world, const char *name,
                             const struct spw_mlp_config *config, struct spw_shape input,
                             int64_t classes, uint64_t seed, struct spw_error *error,
                             struct spw_graph **out)
{
    SPW_TRY(spw_check_sizes(name, "hidden", config->hidden, config->hidden_count, error));
    SPW_TRY(spw_check_dropout(name, "dropout", config->dropout, error));
    struct spw_builder *builder;
    SPW_TRY(spw_builder_create(world, name, SPW_F32, input, seed, error, &builder));
    const enum spw_status status = build(builder, config, classes, error, out);
    spw_builder_destroy(builder);
    return status;
}
