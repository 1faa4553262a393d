/* test_lower.c — the shape of programs: which calls, which bindings, which bytes. What they compute
 * is tested by test_programs.c. */
#include "partitioner/lower.h"

#include "graphs.h"

#include <stdio.h>
#include <string.h>

struct fixture {
    struct spw_graph *graph;
    struct spw_plan_options options;
    struct spw_arena arena;
    struct spw_flow *flow;
    struct spw_lowering *lowering;
};

static void open_fixture(struct fixture *f, struct spw_graph *graph)
{
    f->graph = graph;
    f->options = options_of(7, 3);
    spw_arena_init(&f->arena, spw_world_system());
    struct spw_error error = {0};
    check_ok(spw_flow_create(&f->arena, f->graph, &f->options, &error, &f->flow), &error);
    check_ok(spw_lowering_create(spw_world_system(), f->flow, &error, &f->lowering), &error);
}

static void close_fixture(struct fixture *f)
{
    spw_lowering_destroy(f->lowering);
    spw_arena_deinit(&f->arena);
    spw_graph_destroy(f->graph);
}

static struct spw_unit_plan lower(struct fixture *f, enum spw_unit_kind kind, int32_t first,
                                  int32_t end, bool keep)
{
    const struct spw_lower_request request = {
        .kind = kind, .first = first, .end = end, .keep = keep, .slots = 2};
    struct spw_error error = {0};
    struct spw_unit_plan unit = {0};
    check_ok(spw_lower(f->lowering, &request, &error, &unit), &error);
    return unit;
}

static int count_calls(const struct spw_unit_plan *unit, enum spw_pass pass, bool copies)
{
    int count = 0;
    for (int32_t i = 0; i < unit->program.instruction_count; i++) {
        const struct spw_instruction *at = &unit->program.instructions[i];
        count += copies ? at->node < 0 : at->node >= 0 && at->pass == pass;
    }
    return count;
}

static const struct spw_binding *find_binding(const struct spw_unit_plan *unit,
                                              enum spw_binding_kind kind)
{
    for (int32_t i = 0; i < unit->program.binding_count; i++) {
        if (unit->program.bindings[i].kind == kind) {
            return &unit->program.bindings[i];
        }
    }
    return NULL;
}

/* Nodes of the chain: flatten, then linear and relu in turns; odd ones are linear. */
Test(lower, a_linear_layer_recomputes_nothing)
{
    struct fixture f;
    open_fixture(&f, graph_chain(4, 16));
    cr_assert(f.graph->nodes[3].desc.op == SPW_OP_LINEAR);
    const struct spw_unit_plan unit = lower(&f, SPW_UNIT_BACKWARD, 3, 4, false);
    cr_assert(unit.program.instruction_count == 1);
    cr_assert(unit.program.epilogue_count == 2, "weight and bias");
    const enum spw_binding_kind order[] = {SPW_BIND_WEIGHTS, SPW_BIND_GRADS,    SPW_BIND_IN,
                                           SPW_BIND_GRAD_IN, SPW_BIND_GRAD_OUT, SPW_BIND_NORM};
    for (int i = 0; i < 6; i++) {
        cr_assert(unit.program.bindings[i].kind == order[i]);
    }
    const uint64_t pack = 3 * 16 * 4;
    cr_assert(unit.slot_bytes == 3 * pack);
    cr_assert(unit.in_bytes == 2 * pack && unit.out_bytes == pack);
    cr_assert(unit.weights_bytes == 16 * 16 * 4 + 64 && unit.grads_bytes == unit.weights_bytes);
    close_fixture(&f);
}

Test(lower, a_relu_recomputes_its_output_and_no_more)
{
    struct fixture f;
    open_fixture(&f, graph_chain(4, 16));
    cr_assert(f.graph->nodes[2].desc.op == SPW_OP_RELU);
    struct spw_unit_plan unit = lower(&f, SPW_UNIT_BACKWARD, 2, 3, false);
    cr_assert(count_calls(&unit, SPW_FORWARD, false) == 1);
    cr_assert(count_calls(&unit, SPW_BACKWARD, false) == 1);
    /* Behind a relu a linear layer reads what was recomputed; its own output is not needed. */
    unit = lower(&f, SPW_UNIT_BACKWARD, 2, 4, false);
    cr_assert(count_calls(&unit, SPW_FORWARD, false) == 1);
    cr_assert(count_calls(&unit, SPW_BACKWARD, false) == 2);
    close_fixture(&f);
}

Test(lower, what_is_kept_is_not_recomputed)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct fixture f;
        open_fixture(&f, graph_make(spw_world_system(), (enum graph_kind)kind));
        for (int32_t end = 1; end < f.graph->node_count; end++) {
            const struct spw_unit_plan unit =
                lower(&f, SPW_UNIT_BACKWARD, end > 5 ? end - 5 : 0, end, true);
            cr_assert(count_calls(&unit, SPW_FORWARD, false) == 0);
        }
        close_fixture(&f);
    }
}

Test(lower, an_evaluation_keeps_nothing)
{
    struct fixture f;
    open_fixture(&f, graph_chain(4, 16));
    const struct spw_unit_plan train = lower(&f, SPW_UNIT_FORWARD, 1, 4, true);
    cr_assert(find_binding(&train, SPW_BIND_KEPT) != NULL);
    const uint64_t train_bytes = train.slot_bytes;
    const struct spw_unit_plan eval = lower(&f, SPW_UNIT_EVAL, 1, 4, true);
    cr_assert(find_binding(&eval, SPW_BIND_KEPT) == NULL);
    cr_assert(eval.slot_bytes < train_bytes);
    close_fixture(&f);
}

/* Nothing learns before or in a shard of flattened data: it has no backward pass to speak of. */
Test(lower, a_shard_that_learns_nothing_runs_nothing_backwards)
{
    struct fixture f;
    open_fixture(&f, graph_chain(4, 16));
    const struct spw_unit_plan unit = lower(&f, SPW_UNIT_BACKWARD, 0, 1, false);
    cr_assert(unit.program.instruction_count == 0 && unit.program.epilogue_count == 0);
    cr_assert(unit.program.binding_count == 0 && unit.device_bytes == 0);
    close_fixture(&f);
}

Test(lower, the_last_shard_runs_the_loss_once)
{
    struct fixture f;
    open_fixture(&f, graph_chain(2, 16));
    const int32_t nodes = f.graph->node_count;
    struct spw_unit_plan unit = lower(&f, SPW_UNIT_BACKWARD, 0, nodes, false);
    int losses = 0;
    for (int32_t i = 0; i < unit.program.instruction_count; i++) {
        losses += unit.program.instructions[i].node == nodes - 1;
        if (unit.program.instructions[i].node == nodes - 1) {
            cr_assert(unit.program.instructions[i].pass == SPW_BACKWARD);
        }
    }
    cr_assert(losses == 1);
    cr_assert(find_binding(&unit, SPW_BIND_GRAD_OUT) == NULL);
    cr_assert(find_binding(&unit, SPW_BIND_TARGETS)->bytes == 3 * sizeof(int32_t));
    unit = lower(&f, SPW_UNIT_EVAL, 0, nodes, false);
    cr_assert(count_calls(&unit, SPW_FORWARD, false) == nodes);
    cr_assert(find_binding(&unit, SPW_BIND_GRADS) == NULL);
    cr_assert(find_binding(&unit, SPW_BIND_LOSS)->bytes == sizeof(struct spw_loss));
    close_fixture(&f);
}

/* A tensor that neither begins nor ends in a shard is copied through it, both ways; the data has no
 * way back. */
Test(lower, tensors_pass_through)
{
    struct fixture f;
    open_fixture(&f, graph_make(spw_world_system(), GRAPH_TANGLE));
    struct spw_unit_plan unit = lower(&f, SPW_UNIT_FORWARD, 3, 5, false);
    cr_assert(count_calls(&unit, SPW_FORWARD, true) == 3, "data, first and twice");
    unit = lower(&f, SPW_UNIT_BACKWARD, 3, 5, false);
    cr_assert(count_calls(&unit, SPW_FORWARD, true) == 2, "gradients of first and twice");
    close_fixture(&f);
}

static uint64_t scratch_end(const struct spw_unit_plan *unit, const struct spw_operand *operand,
                            uint64_t bytes)
{
    if (operand->binding == SPW_NO_OPERAND || bytes == 0) {
        return 0;
    }
    cr_assert(operand->binding < unit->program.binding_count);
    const struct spw_binding *binding = &unit->program.bindings[operand->binding];
    cr_assert(operand->offset_bytes + bytes <= binding->bytes);
    return operand->offset_bytes + bytes;
}

static void check_apart(const struct spw_operand *a, uint64_t a_bytes, const struct spw_operand *b,
                        uint64_t b_bytes)
{
    if (a->binding == b->binding && a->binding != SPW_NO_OPERAND) {
        cr_assert(a->offset_bytes >= b->offset_bytes + b_bytes ||
                  b->offset_bytes >= a->offset_bytes + a_bytes);
    }
}

static uint64_t bytes_of(const struct spw_shape *shape, int64_t items)
{
    return (uint64_t)(spw_shape_elements(shape) * items) * 4;
}

static void check_instruction(const struct spw_unit_plan *unit, const struct spw_instruction *at,
                              int64_t items)
{
    const uint64_t in = bytes_of(&at->desc->in, items);
    const uint64_t out = spw_op_is_loss(at->desc->op) ? 0 : bytes_of(&at->desc->out, items);
    const uint64_t saved = spw_op_saved_bytes(at->desc, items);
    uint64_t workspace = 0;
    struct spw_error error = {0};
    check_ok(spw_op_workspace_bytes(at->desc, items, at->pass, 1, &error, &workspace), &error);
    const struct spw_operand *operands[] = {&at->x[0], &at->x[1],  &at->y,     &at->saved,
                                            &at->dy,   &at->dx[0], &at->dx[1], &at->workspace};
    const uint64_t sizes[] = {in, in, out, saved, out, in, in, workspace};
    for (int i = 0; i < 8; i++) {
        (void)scratch_end(unit, operands[i], sizes[i]);
        for (int k = 0; k < i; k++) {
            const bool both_inputs = k == 0 && i == 1;
            if (!both_inputs) {
                check_apart(operands[i], sizes[i], operands[k], sizes[k]);
            }
        }
    }
    cr_assert(workspace == 0 || at->workspace.binding != SPW_NO_OPERAND);
    cr_assert(at->workspace.offset_bytes % SPW_DEVICE_ALIGNMENT == 0);
}

/* Over all ranges of all graphs: operands lie inside their bindings and apart from each other,
 * bytes add up, and each binding serves somebody. */
Test(lower, operands_lie_apart_and_inside)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct fixture f;
        open_fixture(&f, graph_make(spw_world_system(), (enum graph_kind)kind));
        const int32_t nodes = f.graph->node_count;
        for (int32_t first = 0; first < nodes; first++) {
            for (int32_t end = first + 1; end <= nodes; end++) {
                for (int mode = 0; mode < 4; mode++) {
                    if (mode >= 2 && end == nodes && mode % 2 == 1) {
                        continue;
                    }
                    const enum spw_unit_kind unit_kind =
                        mode < 2 ? SPW_UNIT_BACKWARD
                                 : (end == nodes ? SPW_UNIT_EVAL : SPW_UNIT_FORWARD);
                    const struct spw_unit_plan unit = lower(&f, unit_kind, first, end, mode % 2);
                    for (int32_t i = 0; i < unit.program.instruction_count; i++) {
                        check_instruction(&unit, &unit.program.instructions[i],
                                          f.options.micro_batch);
                    }
                    cr_assert(unit.device_bytes == unit.weights_bytes + unit.grads_bytes +
                                                       unit.norm_bytes + unit.scratch_bytes +
                                                       2 * unit.slot_bytes);
                    cr_assert(spw_unit_bytes_with(&unit, 3) == unit.device_bytes + unit.slot_bytes);
                    for (int32_t b = 1; b < unit.program.binding_count; b++) {
                        cr_assert(unit.program.bindings[b].bytes > 0);
                    }
                }
            }
        }
        close_fixture(&f);
    }
}

/* A shard of many tied parameters needs more bindings than a program may have. */
Test(lower, too_many_bindings_are_told)
{
    struct spw_error error = {0};
    struct spw_builder *builder;
    const struct spw_shape input = {.rank = 1, .dim = {4}};
    check_ok(spw_builder_create(spw_world_system(), "ties", SPW_F32, input, 1, &error, &builder),
             &error);
    struct spw_built at = spw_builder_input(builder);
    const struct spw_op_desc linear = {.op = SPW_OP_LINEAR, .attr.linear = {.out = 4}};
    for (int i = 0; i < 24; i++) {
        char name[16];
        snprintf(name, sizeof(name), "l%d", i);
        check_ok(spw_builder_add(builder, name, &linear, at, NULL, &error, &at), &error);
        if (i >= 12) {
            snprintf(name, sizeof(name), "l%d.weight", i - 12);
            check_ok(spw_builder_tie(builder, 0, name, &error), &error);
        }
    }
    struct spw_graph *graph;
    check_ok(spw_builder_finish(builder, at, 4, &error, &graph), &error);
    spw_builder_destroy(builder);
    struct fixture f;
    open_fixture(&f, graph);
    const struct spw_unit_plan unit = lower(&f, SPW_UNIT_BACKWARD, 0, graph->node_count, false);
    cr_assert(unit.device_bytes == UINT64_MAX && unit.program.binding_count > SPW_BINDINGS_MAX);

    /* So the planner cuts, even if memory is no reason to; and says so where it may not. */
    struct spw_plan *plan = plan_make(graph, &f.options);
    cr_assert(plan->shard_count > 1);
    spw_plan_destroy(plan);
    struct spw_plan_options options = f.options;
    options.cuts = &(int32_t){0};
    const enum spw_status status =
        spw_plan_create(spw_world_system(), graph, &options, &error, &plan);
    cr_assert(status == SPW_ERR_UNSUPPORTED && strstr(error.what, "cut between") != NULL, "%s",
              error.what);
    close_fixture(&f);
}
