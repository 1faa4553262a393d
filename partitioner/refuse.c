/* refuse.c — says why a plan can't be made: which op, how many bytes of what, and the cure.
 *
 * Tested by tests/partitioner/test_plan.c. */
#include "partitioner/plan_build.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>

/* "op wte (embedding)" or "ops wte .. h.0.ln_1". Long names are cut. */
static const char *nodes_text(const struct spw_graph *graph, int32_t first, int32_t end,
                              char out[200])
{
    if (first + 1 == end) {
        (void)snprintf(out, 200, "op %.80s (%s)", graph->nodes[first].name,
                       spw_op_name(graph->nodes[first].desc.op));
    } else {
        (void)snprintf(out, 200, "ops %.80s .. %.80s", graph->nodes[first].name,
                       graph->nodes[end - 1].name);
    }
    return out;
}

static const char *pass_text(enum spw_unit_kind kind)
{
    switch (kind) {
    case SPW_UNIT_FORWARD:
        return "forward";
    case SPW_UNIT_BACKWARD:
        return "backward";
    case SPW_UNIT_EVAL:
        return "evaluation";
    case SPW_UNIT_REDUCE:
    case SPW_UNIT_UPDATE:
        break;
    }
    return "update";
}

enum spw_status spw_plan_refuse(const struct spw_plan *plan, int32_t first, int32_t end,
                                const struct spw_unit_plan *unit, struct spw_error *error)
{
    char nodes[200], weights[32], grads[32], ring[32], scratch[32], need[32], have[32], mem[32];
    (void)nodes_text(plan->graph, first, end, nodes);
    if (unit->device_bytes == UINT64_MAX) {
        return SPW_FAIL(error, SPW_ERR_UNSUPPORTED,
                        "model %.80s: %s share %d blocks of memory, but one shard can use %d; cut "
                        "between them",
                        plan->graph->name, nodes, unit->program.binding_count, SPW_BINDINGS_MAX);
    }
    const uint64_t device_bytes = plan->options.device_bytes;
    const bool batch_helps = unit->weights_bytes + unit->grads_bytes < device_bytes;
    return SPW_FAIL(
        error, SPW_ERR_DOES_NOT_FIT,
        "model %.80s does not fit: %s needs %s of device memory in its %s pass (weights %s, "
        "gradients "
        "%s, %" PRIu32 " ring slots %s, activations and workspace %s), but there are %s: %" PRIu64
        " bytes are missing; set mem=%s or more%s",
        plan->graph->name, nodes, spw_format_bytes(unit->device_bytes, need), pass_text(unit->kind),
        spw_format_bytes(unit->weights_bytes, weights), spw_format_bytes(unit->grads_bytes, grads),
        unit->slots, spw_format_bytes(unit->slots * unit->slot_bytes, ring),
        spw_format_bytes(unit->scratch_bytes + unit->norm_bytes, scratch),
        spw_format_bytes(device_bytes, have), unit->device_bytes - device_bytes,
        spw_print_bytes(unit->device_bytes, mem),
        batch_helps ? ", or a smaller micro_batch"
                    : " (a smaller micro_batch would not help: its weights and gradients alone are "
                      "larger)");
}
