/* test_plan.c — plans fit, the least memory is exact, refusals say what would help. */
#include "graphs.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t least_of(const struct spw_graph *graph, const struct spw_plan_options *options)
{
    uint64_t bytes = 0;
    struct spw_error error = {0};
    check_ok(spw_plan_least_memory(spw_world_system(), graph, options, &error, &bytes), &error);
    return bytes;
}

static uint64_t largest_unit(const struct spw_plan *plan)
{
    uint64_t largest = 0;
    for (int32_t s = 0; s < plan->shard_count; s++) {
        const struct spw_unit_plan *units[] = {&plan->shards[s].forward, &plan->shards[s].backward,
                                               &plan->shards[s].eval};
        for (int i = 0; i < 3; i++) {
            largest = units[i]->device_bytes > largest ? units[i]->device_bytes : largest;
        }
    }
    for (int32_t b = 0; b < plan->weight_block_count; b++) {
        const uint64_t update = plan->updates[b].device_bytes;
        const uint64_t reduce = plan->reduces[b].device_bytes;
        largest = update > largest ? update : largest;
        largest = reduce > largest ? reduce : largest;
    }
    return largest;
}

/* Exact for every way of planning: so many bytes do, one fewer does not, and the text names the op,
 * the missing byte and the cure. */
static void check_least(const struct spw_graph *graph, struct spw_plan_options options)
{
    options.device_bytes = least_of(graph, &options);
    struct spw_plan *plan = plan_make(graph, &options);
    cr_assert(largest_unit(plan) <= options.device_bytes);
    cr_assert(plan->totals.device_bytes_max == largest_unit(plan));
    cr_assert(plan->totals.device_bytes_min == options.device_bytes || options.cuts != NULL);
    spw_plan_destroy(plan);

    char mem[64], text[32];
    snprintf(mem, sizeof(mem), "mem=%s or more", spw_print_bytes(options.device_bytes, text));
    options.device_bytes--;
    plan = NULL;
    struct spw_error error = {0};
    const enum spw_status status =
        spw_plan_create(spw_world_system(), graph, &options, &error, &plan);
    cr_assert(status == SPW_ERR_DOES_NOT_FIT && plan == NULL, "%s", spw_status_name(status));
    const char *const parts[] = {graph->name, " op", " 1 bytes are missing", mem, "ring slots"};
    for (int i = 0; i < 5; i++) {
        cr_assert(strstr(error.what, parts[i]) != NULL, "'%s' is not in: %s", parts[i], error.what);
    }
}

Test(plan, the_least_memory_is_exact)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct spw_graph *graph = graph_make(spw_world_system(), (enum graph_kind)kind);
        struct spw_plan_options options = options_of(7, 3);
        for (int variant = 0; variant < 8; variant++) {
            options.double_buffer = variant % 2 == 1;
            options.least_memory = variant / 2 % 2 == 1;
            options.keep = variant / 4 == 1 ? 1 : -1;
            check_least(graph, options);
        }
        const int32_t cuts[] = {2, 5};
        options.cuts = cuts;
        options.cut_count = 2;
        check_least(graph, options);
        spw_graph_destroy(graph);
    }
}

/* The largest op's weights, gradients, ring and workspace: what no cut can do without. */
static uint64_t largest_op(const struct spw_graph *graph, const struct spw_plan_options *options)
{
    uint64_t largest = 0;
    int32_t *cuts = calloc((size_t)graph->node_count, sizeof(int32_t));
    for (int32_t i = 1; i < graph->node_count; i++) {
        cuts[i - 1] = i;
    }
    struct spw_plan_options finest = *options;
    finest.cuts = cuts;
    finest.cut_count = graph->node_count - 1;
    struct spw_plan *plan = plan_make(graph, &finest);
    for (int32_t s = 0; s < plan->shard_count; s++) {
        const struct spw_unit_plan *unit = &plan->shards[s].backward;
        uint64_t workspace = 0;
        for (int pass = 0; pass < 2; pass++) {
            uint64_t bytes;
            struct spw_error error = {0};
            check_ok(spw_op_workspace_bytes(&graph->nodes[s].desc, options->micro_batch,
                                            pass == 0 ? SPW_FORWARD : SPW_BACKWARD,
                                            options->threads, &error, &bytes),
                     &error);
            workspace = bytes > workspace ? bytes : workspace;
        }
        const uint64_t bytes =
            unit->weights_bytes + unit->grads_bytes + unit->slots * unit->slot_bytes + workspace;
        largest = bytes > largest ? bytes : largest;
    }
    spw_plan_destroy(plan);
    free(cuts);
    return largest;
}

static void check_near_largest_op(struct spw_graph *graph, int64_t batch, int64_t micro_batch)
{
    const struct spw_plan_options options = options_of(batch, micro_batch);
    const double least = (double)least_of(graph, &options);
    const double op = (double)largest_op(graph, &options);
    cr_assert(least <= 1.1 * op, "%s: least %.0f, largest op %.0f (%.3f)", graph->name, least, op,
              least / op);
    spw_graph_destroy(graph);
}

Test(plan, the_least_memory_is_near_the_largest_op)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        check_near_largest_op(graph_make(spw_world_system(), (enum graph_kind)kind), 7, 3);
        check_near_largest_op(graph_make(spw_world_system(), (enum graph_kind)kind), 64, 16);
    }
    check_near_largest_op(graph_chain(6, 512), 128, 32);
    check_near_largest_op(graph_gpt(512, 64, 64, 4), 16, 4);
    check_near_largest_op(graph_gpt(50257, 64, 64, 2), 8, 2);
    const struct spw_cnn_config cnn = {.channels = {16, 32},
                                       .channels_count = 2,
                                       .hidden = {128},
                                       .hidden_count = 1,
                                       .activation = SPW_ACT_RELU};
    struct spw_error error = {0};
    struct spw_graph *graph;
    const struct spw_shape image = {.rank = 3, .dim = {1, 28, 28}};
    check_ok(spw_arch_cnn(spw_world_system(), "cnn", &cnn, image, 10, 1, &error, &graph), &error);
    check_near_largest_op(graph, 128, 32);
}

/* Half of the device is left for the next unit, but for units around ops that are larger. */
Test(plan, double_buffering_leaves_room)
{
    struct spw_graph *graph = graph_chain(12, 128);
    struct spw_plan_options options = options_of(32, 8);
    options.device_bytes = 3 * least_of(graph, &options);
    options.double_buffer = true;
    struct spw_plan *plan = plan_make(graph, &options);
    cr_assert(plan->share >= 2 && largest_unit(plan) <= options.device_bytes / plan->share);
    const int32_t shards = plan->shard_count;
    spw_plan_destroy(plan);
    options.double_buffer = false;
    plan = plan_make(graph, &options);
    cr_assert(plan->shard_count < shards, "%d against %d", plan->shard_count, shards);
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}

/* Loads of weights that arithmetic can hide are worth small shards; over a slow link fewer borders
 * are worth more. */
Test(plan, staging_is_chosen_where_it_pays)
{
    struct spw_graph *graph = graph_chain(12, 128);
    struct spw_plan_options options = options_of(32, 8);
    const uint64_t least = least_of(graph, &options);
    options.device_bytes = 3 * least;
    options.double_buffer = true;
    for (int slow = 0; slow < 2; slow++) {
        options.link_bytes_per_s = slow ? 10000000 : 1000000000;
        struct spw_plan *plan = plan_make(graph, &options);
        cr_assert((plan->share > 1) == (slow == 0), "share %u", plan->share);
        const uint64_t usual = options.device_bytes / plan->share;
        /* More only around an op that takes more by itself. */
        const uint64_t around = least + least / 8;
        cr_assert(largest_unit(plan) <= (usual > around ? usual : around));
        spw_plan_destroy(plan);
    }
    spw_graph_destroy(graph);
}

/* As many slots as were asked for, where there is room; never fewer than two. */
Test(plan, rings_shrink_before_plans_fail)
{
    struct spw_graph *graph = graph_make(spw_world_system(), GRAPH_CNN);
    struct spw_plan_options options = options_of(32, 4);
    options.ring_slots = 6;
    struct spw_plan *plan = plan_make(graph, &options);
    cr_assert(plan->shards[0].backward.slots == 6 && plan->shards[0].eval.slots == 6);
    spw_plan_destroy(plan);
    options.device_bytes = least_of(graph, &options);
    plan = plan_make(graph, &options);
    uint32_t fewest = UINT32_MAX;
    for (int32_t s = 0; s < plan->shard_count; s++) {
        const uint32_t slots = plan->shards[s].backward.slots;
        fewest = slots < fewest ? slots : fewest;
    }
    cr_assert(fewest == 2, "%d slots", (int)fewest);
    spw_plan_destroy(plan);
    options = options_of(4, 4);
    plan = plan_make(graph, &options);
    cr_assert(plan->shards[0].backward.slots == 1, "there is one micro-batch only");
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}

Test(plan, without_a_limit_there_is_one_shard)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct spw_graph *graph = graph_make(spw_world_system(), (enum graph_kind)kind);
        struct spw_plan_options options = options_of(7, 3);
        struct spw_plan *plan = plan_make(graph, &options);
        cr_assert(plan->shard_count == 1 && plan->cuts[0].tensor_count == 1);
        /* A tensor that is added to itself takes two calls backwards. */
        const uint64_t extra = plan->totals.step_flops - plan->totals.step_useful_flops;
        cr_assert((extra > 0) == (kind == GRAPH_TANGLE));
        cr_assert(plan->totals.step_time_ns > 0);
        spw_plan_destroy(plan);
        spw_graph_destroy(graph);
    }
}

/* The least memory with the fewest borders: not every op needs a shard of its own. */
Test(plan, the_least_memory_cuts_where_it_must)
{
    struct spw_graph *graph = graph_gpt(64, 16, 32, 4);
    struct spw_plan_options options = options_of(8, 4);
    options.least_memory = true;
    struct spw_plan *plan = plan_make(graph, &options);
    cr_assert(plan->shard_count > 1 && plan->shard_count < graph->node_count);
    cr_assert(plan->totals.device_bytes_max == least_of(graph, &options));
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}

Test(plan, refusals_tell_whether_a_smaller_micro_batch_helps)
{
    struct spw_graph *graph = graph_chain(3, 256);
    struct spw_plan_options options = options_of(64, 32);
    struct spw_plan *plan = NULL;
    struct spw_error error = {0};
    options.device_bytes = 2 * 256 * 256 * 4 + 64 * 1024;
    enum spw_status status = spw_plan_create(spw_world_system(), graph, &options, &error, &plan);
    cr_assert(status == SPW_ERR_DOES_NOT_FIT);
    cr_assert(strstr(error.what, "or a smaller micro_batch") != NULL, "%s", error.what);
    error = (struct spw_error){0};
    options.device_bytes = 256 * 256 * 4;
    status = spw_plan_create(spw_world_system(), graph, &options, &error, &plan);
    cr_assert(status == SPW_ERR_DOES_NOT_FIT);
    cr_assert(strstr(error.what, "would not help") != NULL, "%s", error.what);
    cr_assert(strstr(error.what, "linear") != NULL, "%s", error.what);
    spw_graph_destroy(graph);
}

Test(plan, bad_cuts_are_refused)
{
    struct spw_graph *graph = graph_make(spw_world_system(), GRAPH_MLP);
    const int32_t bad[][2] = {{0, 3}, {3, 3}, {4, 2}, {2, graph->node_count}, {-1, 2}};
    for (int i = 0; i < 5; i++) {
        struct spw_plan_options options = options_of(7, 3);
        options.cuts = bad[i];
        options.cut_count = 2;
        struct spw_plan *plan = NULL;
        struct spw_error error = {0};
        const enum spw_status status =
            spw_plan_create(spw_world_system(), graph, &options, &error, &plan);
        cr_assert(status == SPW_ERR_ARGUMENT && plan == NULL);
        cr_assert(strstr(error.what, "cuts must ascend") != NULL, "%s", error.what);
    }
    spw_graph_destroy(graph);
}

/* Equal input gives an equal plan, down to the offsets of operands. */
Test(plan, plans_are_pure_functions)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct spw_graph *graph = graph_make(spw_world_system(), (enum graph_kind)kind);
        struct spw_graph *again = graph_make(spw_world_system(), (enum graph_kind)kind);
        struct spw_plan_options options = options_of(7, 3);
        options.device_bytes = 2 * least_of(graph, &options);
        struct spw_plan *a = plan_make(graph, &options);
        struct spw_plan *b = plan_make(again, &options);
        cr_assert(a->shard_count == b->shard_count);
        for (int32_t s = 0; s < a->shard_count; s++) {
            const struct spw_program *p = &a->shards[s].backward.program;
            const struct spw_program *q = &b->shards[s].backward.program;
            cr_assert(p->instruction_count == q->instruction_count);
            for (int32_t i = 0; i < p->instruction_count; i++) {
                cr_assert(p->instructions[i].y.offset_bytes == q->instructions[i].y.offset_bytes);
                cr_assert(p->instructions[i].workspace.offset_bytes ==
                          q->instructions[i].workspace.offset_bytes);
            }
        }
        cr_assert(memcmp(&a->totals, &b->totals, sizeof(a->totals)) == 0);
        spw_plan_destroy(a);
        spw_plan_destroy(b);
        spw_graph_destroy(graph);
        spw_graph_destroy(again);
    }
}
