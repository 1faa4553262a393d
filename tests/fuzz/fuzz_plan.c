/* fuzz_plan.c — libFuzzer target of the reader of printed plans.
 *
 * The input is the text of a plan for a small net. What is accepted must be a plan of that net that
 * covers every node; what is refused must say where, or which op does not fit. */
#include "base/assert.h"
#include "models/arch.h"
#include "partitioner/plan.h"

#include <stdlib.h>
#include <string.h>

static struct spw_graph *make_graph(void)
{
    const struct spw_mlp_config config = {
        .hidden = {20, 12}, .hidden_count = 2, .activation = SPW_ACT_RELU};
    const struct spw_shape input = {.rank = 1, .dim = {16}};
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    SPW_ASSERT(spw_arch_mlp(spw_world_system(), "net", &config, input, 5, 1, &error, &graph) ==
               SPW_OK);
    return graph;
}

static void check_accepted(const struct spw_plan *plan)
{
    int32_t end = 0;
    for (int32_t i = 0; i < plan->shard_count; i++) {
        SPW_ASSERT(plan->shards[i].first_node == end);
        end = plan->shards[i].end_node;
        SPW_ASSERT(plan->shards[i].backward.device_bytes <= plan->options.device_bytes);
    }
    SPW_ASSERT(end == plan->graph->node_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    SPW_ASSERT(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    struct spw_graph *graph = make_graph();
    const struct spw_plan_options options = {
        .device_bytes = 5000,
        .micro_batch = 3,
        .micro_batches = 3,
        .batch = 7,
        .grad_groups = 1,
        .moments = 2,
        .ring_slots = 2,
        .threads = 1,
        .update_place = SPW_UPDATE_ON_DEVICE,
        .keep = -1,
    };
    struct spw_plan *plan = NULL;
    struct spw_error error = {0};
    const enum spw_status status =
        spw_plan_read(spw_world_system(), graph, &options, "fuzz", text, &error, &plan);
    if (status == SPW_OK) {
        check_accepted(plan);
    } else {
        SPW_ASSERT(plan == NULL && error.status == status);
        SPW_ASSERT(status == SPW_ERR_DOES_NOT_FIT || strncmp(error.what, "fuzz:", 5) == 0);
    }
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
    free(text);
    return 0;
}
