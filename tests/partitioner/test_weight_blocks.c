/* test_weight_blocks.c — every parameter in one place, tied ones in blocks of their own. */
#include "graphs.h"

#include <string.h>

/* Blocks of the model under several cuts. */
static void check_blocks(const struct spw_plan *plan)
{
    int32_t seen[256] = {0};
    for (int32_t b = 0; b < plan->weight_block_count; b++) {
        const struct spw_weight_block *block = &plan->weight_blocks[b];
        uint64_t end = 0, partials = 0;
        for (int32_t i = 0; i < block->segment_count; i++) {
            const struct spw_segment *segment = &block->segments[i];
            const struct spw_param *param = &plan->graph->params[segment->param];
            seen[segment->param]++;
            cr_assert(i == 0 || segment->param > block->segments[i - 1].param);
            cr_assert(segment->offset_bytes % 64 == 0 && segment->offset_bytes >= end &&
                      segment->offset_bytes < end + 64);
            cr_assert(segment->elements == (uint64_t)param->elements);
            cr_assert(segment->norm_offset == partials);
            end = segment->offset_bytes + segment->elements * sizeof(float);
            partials += spw_norm_chunks(segment->elements);
            cr_assert(block->uses == param->uses);
            cr_assert(param->uses == 1 || block->segment_count == 1);
        }
        cr_assert(block->bytes == end && end > 0);
        cr_assert(block->norm_partials == partials);
        cr_assert(block->reduced == (block->uses > 1 || plan->options.grad_groups > 1));
    }
    for (int32_t p = 0; p < plan->graph->param_count; p++) {
        cr_assert(seen[p] == 1);
    }
}

static void check_shards(const struct spw_plan *plan)
{
    for (int32_t s = 0; s < plan->shard_count; s++) {
        const struct spw_shard *shard = &plan->shards[s];
        uint64_t rounded = 0;
        for (int32_t i = 0; i < shard->weight_block_count; i++) {
            const struct spw_weight_block *block = &plan->weight_blocks[shard->weight_blocks[i]];
            bool used = false;
            for (int32_t use = 0; use < block->uses; use++) {
                used = used || block->use_shard[use] == s;
            }
            cr_assert(used);
            cr_assert(i == 0 || shard->weight_blocks[i] > shard->weight_blocks[i - 1]);
            rounded += (block->bytes + 63) / 64 * 64;
        }
        cr_assert(shard->backward.weights_bytes == rounded);
        cr_assert(shard->eval.weights_bytes == rounded);
        cr_assert(s + 1 == plan->shard_count || shard->forward.weights_bytes == rounded);
    }
}

Test(weight_blocks, each_parameter_has_one_place)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct spw_graph *graph = graph_make(spw_world_system(), (enum graph_kind)kind);
        for (int32_t cut = 1; cut < graph->node_count; cut++) {
            struct spw_plan_options options = options_of(7, 3);
            const int32_t cuts[] = {cut, cut + 1};
            options.cuts = cuts;
            options.cut_count = cut + 1 < graph->node_count ? 2 : 1;
            options.grad_groups = 1 + cut % 2;
            struct spw_plan *plan = plan_make(graph, &options);
            check_blocks(plan);
            check_shards(plan);
            spw_plan_destroy(plan);
        }
        spw_graph_destroy(graph);
    }
}

Test(weight_blocks, a_tied_block_names_the_shard_of_each_use)
{
    struct spw_graph *graph = graph_make(spw_world_system(), GRAPH_GPT);
    struct spw_plan_options options = options_of(7, 3);
    const int32_t cuts[] = {2, 9};
    options.cuts = cuts;
    options.cut_count = 2;
    struct spw_plan *plan = plan_make(graph, &options);
    const struct spw_weight_block *tied = &plan->weight_blocks[plan->weight_block_count - 1];
    cr_assert(tied->uses == 2 && tied->use_shard[0] == 0 && tied->use_shard[1] == 2);
    cr_assert(strcmp(graph->params[tied->segments[0].param].name, "wte.weight") == 0);
    /* Each use has an accumulator; the shard that uses it binds its own. */
    const struct spw_program *last = &plan->shards[2].backward.program;
    bool found = false;
    for (int32_t i = 0; i < last->binding_count; i++) {
        const struct spw_binding *binding = &last->bindings[i];
        if (binding->kind == SPW_BIND_GRADS && binding->index == plan->weight_block_count - 1) {
            cr_assert(binding->use == 1 && binding->bytes == tied->bytes);
            found = true;
        }
    }
    cr_assert(found);
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}
