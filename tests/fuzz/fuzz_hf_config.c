/* fuzz_hf_config.c — libFuzzer target of the parser of a GPT-2's config.json.
 *
 * What is accepted must be in range; then a graph is built from it where that is small, since sizes
 * that pass the parser meet the shape inference next. */
#include "base/assert.h"
#include "models/gpt2_config.h"

#include <string.h>

#define LAYERS_MAX 8

static void check_accepted(const struct spw_gpt2_config *config)
{
    SPW_ASSERT(config->vocab_size > 0 && config->n_positions > 0 && config->n_embd > 0);
    SPW_ASSERT(config->n_layer > 0 && config->n_head > 0 && config->n_inner >= 0);
    SPW_ASSERT(config->n_embd % config->n_head == 0);
    SPW_ASSERT(config->resid_pdrop >= 0.0 && config->resid_pdrop < 1.0);
    if (config->n_layer > LAYERS_MAX) {
        return;
    }
    struct spw_graph *graph = NULL;
    struct spw_error error = {0};
    const enum spw_status status =
        spw_arch_gpt2(spw_world_system(), "fuzz", config, config->n_positions, 1, &error, &graph);
    SPW_ASSERT(status == SPW_OK || error.status == status);
    SPW_ASSERT(status != SPW_OK || graph->parameter_count > 0);
    spw_graph_destroy(graph);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spw_gpt2_config config;
    struct spw_error error = {0};
    const enum spw_status status =
        spw_gpt2_config_parse("fuzz", (const char *)data, size, &error, &config);
    if (status == SPW_OK) {
        check_accepted(&config);
    } else {
        SPW_ASSERT(error.status == status && strncmp(error.what, "fuzz: ", 6) == 0);
    }
    return 0;
}
