/* plan_text.c — prints a plan for people and for plan_read.c.
 *
 * One fact per line. Every number but times follows from the graph, the options, the cuts and what
 * is kept, and is checked when the text is read back; lines that begin with "time" are not, since
 * measured times differ. Bytes are exact. Tested by tests/partitioner/test_plan_text.c. */
#include "partitioner/plan_build.h"

#include "base/hash.h"
#include "base/text.h"

#include <inttypes.h>

const char *const spw_unit_names[] = {
    [SPW_UNIT_FORWARD] = "forward", [SPW_UNIT_BACKWARD] = "backward", [SPW_UNIT_EVAL] = "eval",
    [SPW_UNIT_REDUCE] = "reduce",   [SPW_UNIT_UPDATE] = "update",     NULL,
};

/* ---- the graph's hash ---- */

static uint64_t hash_numbers(const int64_t *numbers, uint64_t count, uint64_t seed)
{
    return spw_hash(numbers, count * sizeof(*numbers), seed);
}

static uint64_t hash_shape(const struct spw_shape *shape, uint64_t seed)
{
    int64_t numbers[1 + SPW_RANK_MAX] = {shape->rank};
    for (int64_t i = 0; i < shape->rank; i++) {
        numbers[1 + i] = shape->dim[i];
    }
    return hash_numbers(numbers, 1 + SPW_RANK_MAX, seed);
}

/* Structure and names. What changes no byte of a plan, such as an eps or a seed, is left out, so
 * that a plan serves every trial of a sweep. */
static uint64_t hash_graph(const struct spw_graph *graph)
{
    uint64_t hash = hash_shape(&graph->input, 0);
    for (int32_t i = 0; i < graph->node_count; i++) {
        const struct spw_node *node = &graph->nodes[i];
        int64_t numbers[1 + SPW_OP_INPUTS_MAX + SPW_OP_PARAMS_MAX] = {(int64_t)node->desc.op};
        int at = 1;
        for (int slot = 0; slot < spw_op_inputs(node->desc.op); slot++) {
            numbers[at++] = node->input[slot];
        }
        for (int slot = 0; slot < spw_op_params(&node->desc); slot++) {
            numbers[at++] = node->param[slot];
        }
        hash = hash_numbers(numbers, (uint64_t)at, hash);
        hash = hash_shape(&node->desc.in, hash);
        hash = hash_shape(&node->desc.out, hash);
        hash = spw_hash_text(node->name, hash);
    }
    for (int32_t i = 0; i < graph->param_count; i++) {
        hash = spw_hash_text(graph->params[i].name, hash_shape(&graph->params[i].shape, hash));
    }
    const int64_t rest[] = {graph->node_count, graph->targets_per_item, graph->classes};
    return hash_numbers(rest, sizeof(rest) / sizeof(rest[0]), hash);
}

/* ---- lines ---- */

void spw_plan_print_header(const struct spw_plan *plan, struct spw_text *text)
{
    const struct spw_graph *graph = plan->graph;
    const struct spw_plan_options *options = &plan->options;
    spw_text_add(text, "spillway plan 1\n");
    spw_text_add(text, "# Sizes are bytes, of one device or of the host's memory.\n");
    spw_text_add(text, "model %s\n", graph->name);
    spw_text_add(text, "graph %016" PRIx64 " nodes %" PRId32 " parameters %" PRId64 "\n",
                 hash_graph(graph), graph->node_count, graph->parameter_count);
    spw_text_add(text,
                 "batch %" PRId64 " micro_batch %" PRId64 " micro_batches %" PRId64
                 " grad_groups %" PRId64 "\n",
                 options->batch, options->micro_batch, options->micro_batches,
                 options->grad_groups);
    spw_text_add(text, "update %s moments %" PRIu32 "\n",
                 options->update_place == SPW_UPDATE_ON_DEVICE ? "device" : "cores",
                 options->moments);
    spw_text_add(text,
                 "device %" PRIu64 " threads %" PRIu32 " ring_slots %" PRIu32
                 " double_buffer %s least_memory %s\n",
                 options->device_bytes, options->threads, options->ring_slots,
                 options->double_buffer ? "yes" : "no", options->least_memory ? "yes" : "no");
}

static void print_unit(const struct spw_unit_plan *unit, const char *name, struct spw_text *text)
{
    spw_text_add(text,
                 "  %s device %" PRIu64 " = weights %" PRIu64 " + gradients %" PRIu64
                 " + ring %" PRIu32 " x %" PRIu64 " + scratch %" PRIu64 " + norm %" PRIu64 "\n",
                 name, unit->device_bytes, unit->weights_bytes, unit->grads_bytes, unit->slots,
                 unit->slot_bytes, unit->scratch_bytes, unit->norm_bytes);
    spw_text_add(text,
                 "  %s per micro-batch: in %" PRIu64 " out %" PRIu64 " calls %" PRId32
                 " flops %" PRIu64 "\n",
                 name, unit->in_bytes, unit->out_bytes, unit->program.instruction_count,
                 unit->program.flops);
    spw_text_add(text, "time %s of a micro-batch %" PRIu64 " ns\n", name, unit->program.time_ns);
}

static void print_pack(const struct spw_graph *graph, const char *what, const struct spw_pack *pack,
                       struct spw_text *text)
{
    if (pack->tensor_count == 0) {
        return;
    }
    spw_text_add(text, "  %s %" PRIu64 ":", what, pack->bytes);
    for (int32_t i = 0; i < pack->tensor_count; i++) {
        const struct spw_packed *packed = &pack->tensors[i];
        spw_text_add(text, "%s %s%s %" PRIu64, i > 0 ? "," : "",
                     packed->tensor == SPW_GRAPH_DATA ? "(data)"
                                                      : graph->nodes[packed->tensor].name,
                     packed->saved ? "(saved)" : "", packed->bytes);
    }
    spw_text_add(text, "\n");
}

static void print_shard(const struct spw_plan *plan, int32_t index, struct spw_text *text)
{
    const struct spw_shard *shard = &plan->shards[index];
    const struct spw_graph *graph = plan->graph;
    const bool last = index + 1 == plan->shard_count;
    spw_text_add(text, "shard %" PRId32 " nodes %" PRId32 " .. %" PRId32 " %s # %s .. %s\n", index,
                 shard->first_node, shard->end_node - 1,
                 last ? "fused" : (shard->kept.bytes > 0 ? "kept" : "recomputed"),
                 graph->nodes[shard->first_node].name, graph->nodes[shard->end_node - 1].name);
    print_pack(graph, "cut before", &plan->cuts[index], text);
    print_pack(graph, "kept", &shard->kept, text);
    spw_text_add(text, "  weight blocks");
    for (int32_t i = 0; i < shard->weight_block_count; i++) {
        spw_text_add(text, " %" PRId32, shard->weight_blocks[i]);
    }
    spw_text_add(text, shard->weight_block_count > 0 ? "\n" : " none\n");
    if (!last) {
        print_unit(&shard->forward, "forward", text);
    }
    print_unit(&shard->backward, "backward", text);
    print_unit(&shard->eval, "eval", text);
}

static void print_pieces(const struct spw_unit_plan *unit, const char *name, struct spw_text *text)
{
    spw_text_add(text,
                 "  %s device %" PRIu64 " = ring %" PRIu32 " x %" PRIu64 "; pieces %" PRIu64
                 " of at most %" PRIu64 "\n",
                 name, unit->device_bytes, unit->slots, unit->slot_bytes, unit->piece_count,
                 unit->piece_bytes);
}

static void print_block(const struct spw_plan *plan, int32_t index, struct spw_text *text)
{
    const struct spw_weight_block *block = &plan->weight_blocks[index];
    const struct spw_param *params = plan->graph->params;
    spw_text_add(text,
                 "weights %" PRId32 " bytes %" PRIu64 " parameters %" PRId32 " uses %" PRId32
                 " # %s .. %s\n",
                 index, block->bytes, block->segment_count, block->uses,
                 params[block->segments[0].param].name,
                 params[block->segments[block->segment_count - 1].param].name);
    print_pieces(&plan->updates[index], "update", text);
    if (block->reduced) {
        print_pieces(&plan->reduces[index], "reduce", text);
    }
}

static void print_traffic(const char *name, const struct spw_traffic_bytes *bytes,
                          struct spw_text *text)
{
    spw_text_add(text,
                 "  copied %s per step %" PRIu64 " = weights %" PRIu64 " + gradients %" PRIu64
                 " + moments %" PRIu64 " + packs %" PRIu64 "\n",
                 name, bytes->weights + bytes->grads + bytes->moments + bytes->packs,
                 bytes->weights, bytes->grads, bytes->moments, bytes->packs);
}

static void print_totals(const struct spw_plan *plan, struct spw_text *text)
{
    const struct spw_plan_totals *totals = &plan->totals;
    const struct spw_traffic traffic = spw_plan_traffic(plan);
    spw_text_add(text, "totals\n");
    spw_text_add(text, "  training state %" PRIu64 "\n", totals->state_bytes);
    spw_text_add(text, "  device largest unit %" PRIu64 " least possible %" PRIu64 "\n",
                 totals->device_bytes_max, totals->device_bytes_min);
    spw_text_add(text,
                 "  host %" PRIu64 " = weights %" PRIu64 " + gradients %" PRIu64
                 " + moments %" PRIu64 " + spare %" PRIu64 " + packs %" PRIu64 "\n",
                 totals->home_bytes, totals->home_weights_bytes, totals->home_grads_bytes,
                 totals->home_moments_bytes, totals->home_spare_bytes, totals->home_cuts_bytes);
    print_traffic("in", &traffic.in, text);
    print_traffic("out", &traffic.out, text);
    spw_text_add(text, "  flops per step %" PRIu64 " of which useful %" PRIu64 "\n",
                 totals->step_flops, totals->step_useful_flops);
    spw_text_add(text, "time per step %" PRIu64 " ns on one device\n", totals->step_time_ns);
    spw_text_add(text, "end\n");
}

enum spw_status spw_plan_print(const struct spw_plan *plan, struct spw_error *error,
                               const struct spw_world *world, char **text)
{
    struct spw_text lines;
    spw_text_init(&lines, world);
    spw_plan_print_header(plan, &lines);
    spw_text_add(&lines, "shards %" PRId32 " share %" PRIu32 "\n", plan->shard_count, plan->share);
    for (int32_t i = 0; i < plan->shard_count; i++) {
        print_shard(plan, i, &lines);
    }
    for (int32_t i = 0; i < plan->weight_block_count; i++) {
        print_block(plan, i, &lines);
    }
    print_totals(plan, &lines);
    if (lines.failed) {
        spw_text_deinit(&lines);
        return SPW_FAIL(error, SPW_ERR_NO_MEMORY, "no memory for the plan's text");
    }
    *text = lines.data; /* handed over */
    return SPW_OK;
}
