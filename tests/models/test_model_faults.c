/* test_model_faults.c — building, importing and reading, with the N-th allocation or file call
 * failing for every N: no crash, nothing left over, the right status. */
#include "model_check.h"

#include "models/safetensors.h"
#include "tests/support/fault_world.h"
#include <stdlib.h>

static const char tiny_folder[] = SPW_SOURCE_DIR "/tests/models/data/tiny_gpt2";

/* One way to get something done in a world that may fail. */
struct scenario {
    const char *name;
    enum spw_status (*run)(const struct spw_world *world, struct spw_error *error);
    uint64_t allocations_min; /* calls that there must have been at least */
    uint64_t file_calls_min;
};

static enum spw_status run_mlp(const struct spw_world *world, struct spw_error *error)
{
    const struct spw_mlp_config config = {.hidden = {9, 8}, .hidden_count = 2, .dropout = 0.5};
    struct spw_graph *graph = NULL;
    const enum spw_status status =
        spw_arch_mlp(world, "m", &config, shape_of(1, 4, 4), 3, 1, error, &graph);
    spw_graph_destroy(graph);
    return status;
}

static enum spw_status run_resnet(const struct spw_world *world, struct spw_error *error)
{
    const struct spw_resnet_config config = {.blocks = {2, 1}, .stages = 2, .width = 4};
    struct spw_graph *graph = NULL;
    const enum spw_status status =
        spw_arch_resnet(world, "r", &config, shape_of(1, 8, 8), 3, 1, error, &graph);
    spw_graph_destroy(graph);
    return status;
}

static enum spw_status run_gpt2(const struct spw_world *world, struct spw_error *error)
{
    struct spw_gpt2_config config = tiny_gpt2_config();
    config.n_layer = 6;
    config.resid_pdrop = 0.1;
    config.attn_pdrop = 0.1;
    struct spw_graph *graph = NULL;
    enum spw_status status = spw_arch_gpt2(world, "g", &config, 12, 1, error, &graph);
    float values[256];
    if (status == SPW_OK) {
        status = spw_graph_initial(graph, 0, 1, values, error);
    }
    spw_graph_destroy(graph);
    return status;
}

static enum spw_status run_import(const struct spw_world *world, struct spw_error *error)
{
    struct spw_graph *graph = NULL;
    enum spw_status status = spw_import_gpt2(world, "hf", tiny_folder, 12, 1, error, &graph);
    float values[256];
    if (status == SPW_OK) {
        status = spw_graph_initial(graph, 0, 1, values, error);
    }
    spw_graph_destroy(graph);
    return status;
}

static enum spw_status run_read(const struct spw_world *world, struct spw_error *error)
{
    struct spw_safetensors file = {0};
    enum spw_status status = spw_safetensors_open(
        world, SPW_SOURCE_DIR "/tests/models/data/tiny_gpt2/model.safetensors", error, &file);
    float values[256];
    for (uint64_t i = 0; status == SPW_OK && i < file.count; i++) {
        const struct spw_tensor_entry *entry = &file.entries[i];
        status = spw_safetensors_read(&file, entry, 0, spw_tensor_elements(entry), values, error);
    }
    spw_safetensors_close(&file);
    return status;
}

static const struct scenario scenarios[] = {
    {"mlp", run_mlp, 5, 0},         {"resnet", run_resnet, 5, 0},  {"gpt2", run_gpt2, 10, 0},
    {"import", run_import, 10, 40}, {"read", run_read, 2, 28 * 2},
};
#define SCENARIO_COUNT (sizeof(scenarios) / sizeof(scenarios[0]))

/* Returns the number of calls that the scenario makes when nothing fails. */
static uint64_t walk(const struct scenario *scenario, enum spw_fault_kind kind)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    for (uint64_t at = 1; at < 100000; at++) {
        spw_fault_world_arm(&fault, kind, (struct spw_fault_rule){.at = at});
        struct spw_error error = {0};
        const enum spw_status status = scenario->run(&fault.world, &error);
        cr_assert(spw_fault_world_clean(&fault), "%s: call %d left something over", scenario->name,
                  (int)at);
        if (!spw_fault_world_struck(&fault)) {
            check_ok(status, &error);
            return at - 1;
        }
        /* Closing after reading loses nothing, so that failure alone may pass. */
        const enum spw_status wanted = kind == SPW_FAULT_ALLOCATION ? SPW_ERR_NO_MEMORY
                                                                    : SPW_ERR_IO;
        cr_assert(status == wanted || (kind == SPW_FAULT_FILE && status == SPW_OK),
                  "%s: call %d gave %s: %s", scenario->name, (int)at, spw_status_name(status),
                  error.what);
        cr_assert(status == error.status, "%s: call %d: %s", scenario->name, (int)at, error.what);
    }
    cr_assert_fail("%s never ends", scenario->name);
    return 0;
}

Test(model_faults, survive_every_failed_allocation)
{
    for (size_t i = 0; i < SCENARIO_COUNT; i++) {
        const uint64_t calls = walk(&scenarios[i], SPW_FAULT_ALLOCATION);
        cr_assert(calls >= scenarios[i].allocations_min, "%s: %d calls", scenarios[i].name,
                  (int)calls);
    }
}

Test(model_faults, survive_every_failed_file_call)
{
    for (size_t i = 0; i < SCENARIO_COUNT; i++) {
        const uint64_t calls = walk(&scenarios[i], SPW_FAULT_FILE);
        cr_assert(calls >= scenarios[i].file_calls_min, "%s: %d calls", scenarios[i].name,
                  (int)calls);
    }
}

/* Reads may deliver a byte at a time. */
Test(model_faults, live_with_short_reads)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    fault.read_bytes_max = 7;
    struct spw_error error = {0};
    check_ok(run_import(&fault.world, &error), &error);
    cr_assert(spw_fault_world_clean(&fault));
}
