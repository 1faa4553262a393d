/* model_check.h — what the tests of models/ share: statuses with their texts, small architectures.
 */
#ifndef SPW_TESTS_MODELS_MODEL_CHECK_H
#define SPW_TESTS_MODELS_MODEL_CHECK_H

#include "models/arch.h"

#include <criterion/criterion.h>
#include <string.h>

static inline void check_ok(enum spw_status status, const struct spw_error *error)
{
    cr_assert(status == SPW_OK, "%s: %s (%s:%d)", spw_status_name(status), error->what,
              error->file != NULL ? error->file : "?", error->line);
}

/* Refused as bad input, with a text that holds `part`. */
static inline void check_refused(enum spw_status status, const struct spw_error *error,
                                 const char *part)
{
    cr_assert(status == SPW_ERR_USAGE, "%s instead of ERR_USAGE: %s", spw_status_name(status),
              error->what);
    cr_assert(error->status == status, "the record holds %s", spw_status_name(error->status));
    cr_assert(strstr(error->what, part) != NULL, "\"%s\" is not in: %s", part, error->what);
}

static inline struct spw_shape shape_of(int64_t a, int64_t b, int64_t c)
{
    struct spw_shape shape = {.rank = 1, .dim = {a, b, c}};
    while (shape.rank < 3 && shape.dim[shape.rank] != 0) {
        shape.rank++;
    }
    return shape;
}

/* 2 blocks, width 8, 2 heads, 32 tokens, 16 positions: that of data/tiny_gpt2. */
static inline struct spw_gpt2_config tiny_gpt2_config(void)
{
    return (struct spw_gpt2_config){
        .vocab_size = 32,
        .n_positions = 16,
        .n_embd = 8,
        .n_layer = 2,
        .n_head = 2,
        .layer_norm_epsilon = 1e-5,
        .activation = SPW_ACT_GELU_TANH,
    };
}

static inline struct spw_graph *tiny_mlp(const struct spw_world *world)
{
    const struct spw_mlp_config config = {.hidden = {6, 5}, .hidden_count = 2};
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(spw_arch_mlp(world, "tiny", &config, shape_of(1, 2, 2), 3, 7, &error, &graph), &error);
    return graph;
}

#endif
