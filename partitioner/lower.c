/* lower.c — emission with lifetimes, the layout of scratch, and the sizes of the finished unit.
 *
 * Tested by tests/partitioner/test_lower.c. */
#include "partitioner/lower.h"

#include "base/assert.h"
#include "base/checked.h"
#include "partitioner/lower_state.h"

#include <string.h>

static const struct spw_operand no_operand = {SPW_NO_OPERAND, 0};

void spw_instruction_operands(struct spw_instruction *instruction,
                              struct spw_operand *out[SPW_OPERANDS_MAX])
{
    _Static_assert(SPW_OP_INPUTS_MAX == 2 && SPW_OP_PARAMS_MAX == 2, "all operands are listed");
    struct spw_operand *const operands[SPW_OPERANDS_MAX] = {
        &instruction->x[0],  &instruction->x[1],      &instruction->w[0],  &instruction->w[1],
        &instruction->y,     &instruction->saved,     &instruction->dy,    &instruction->dx[0],
        &instruction->dx[1], &instruction->dw[0],     &instruction->dw[1], &instruction->targets,
        &instruction->loss,  &instruction->workspace,
    };
    memcpy(out, operands, sizeof(operands));
}

struct spw_instruction spw_instruction_of(const struct spw_op_desc *desc, int32_t node,
                                          enum spw_pass pass)
{
    struct spw_instruction instruction = {
        .kind = SPW_INSTRUCTION_CALL, .desc = desc, .node = node, .pass = pass};
    struct spw_operand *operands[SPW_OPERANDS_MAX];
    spw_instruction_operands(&instruction, operands);
    for (int i = 0; i < SPW_OPERANDS_MAX; i++) {
        *operands[i] = no_operand;
    }
    return instruction;
}

enum spw_status spw_lower_scratch(struct spw_lowering *lowering, uint64_t bytes,
                                  struct spw_error *error, struct spw_operand *out)
{
    if (bytes == 0) {
        *out = no_operand;
        return SPW_OK;
    }
    SPW_TRY(spw_grow(lowering->world, &lowering->intervals, &lowering->interval_capacity,
                     lowering->interval_count + 1, sizeof(*lowering->intervals),
                     "a program's buffers", error));
    lowering->intervals[lowering->interval_count] = (struct spw_interval){
        .bytes = spw_round_up(bytes, SPW_DEVICE_ALIGNMENT),
        .first = INT32_MAX,
        .last = -1,
    };
    *out = (struct spw_operand){lowering->scratch, lowering->interval_count++};
    return SPW_OK;
}

enum spw_status spw_lower_emit(struct spw_lowering *lowering, struct spw_instruction instruction,
                               struct spw_error *error)
{
    SPW_TRY(spw_grow(lowering->world, &lowering->instructions, &lowering->instruction_capacity,
                     lowering->instruction_count + 1, sizeof(instruction), "a program", error));
    const int32_t now = (int32_t)lowering->instruction_count;
    struct spw_operand *operands[SPW_OPERANDS_MAX];
    spw_instruction_operands(&instruction, operands);
    for (int i = 0; i < SPW_OPERANDS_MAX; i++) {
        if (!spw_operand_is(*operands[i])) {
            continue;
        }
        lowering->table[operands[i]->binding].used = true;
        if (operands[i]->binding == lowering->scratch) {
            struct spw_interval *interval = &lowering->intervals[operands[i]->offset_bytes];
            interval->first = now < interval->first ? now : interval->first;
            interval->last = now;
        }
    }
    lowering->instructions[lowering->instruction_count++] = instruction;
    return SPW_OK;
}

enum spw_status spw_lower_emit_copy(struct spw_lowering *lowering, int32_t tensor,
                                    struct spw_operand from, struct spw_operand to,
                                    struct spw_error *error)
{
    struct spw_instruction copy =
        spw_instruction_of(&spw_flow_tensor(lowering->flow, tensor)->copy, -1, SPW_FORWARD);
    copy.x[0] = from;
    copy.y = to;
    return spw_lower_emit(lowering, copy, error);
}

static enum spw_status take_arrays(struct spw_lowering *lowering, struct spw_error *error)
{
    struct spw_arena *arena = &lowering->arena;
    const uint64_t nodes = (uint64_t)lowering->flow->node_count;
    const uint64_t params = (uint64_t)lowering->flow->graph->param_count;
    SPW_TRY(spw_arena_take(arena, params, sizeof(*lowering->param_places), error,
                           &lowering->param_places));
    SPW_TRY(spw_arena_take(arena, params, sizeof(*lowering->params), error, &lowering->params));
    SPW_TRY(spw_arena_take(arena, nodes + 1, sizeof(uint64_t), error, &lowering->in_offset));
    SPW_TRY(spw_arena_take(arena, nodes + 1, sizeof(uint64_t), error, &lowering->out_offset));
    SPW_TRY(spw_arena_take(arena, nodes + 1, sizeof(uint64_t), error, &lowering->kept_offset));
    SPW_TRY(spw_arena_take(arena, nodes, sizeof(uint64_t), error, &lowering->kept_saved));
    SPW_TRY(spw_arena_take(arena, nodes + 1, sizeof(no_operand), error, &lowering->values));
    SPW_TRY(spw_arena_take(arena, nodes, sizeof(no_operand), error, &lowering->saved));
    SPW_TRY(spw_arena_take(arena, nodes + 1, sizeof(no_operand), error, &lowering->gradients));
    return spw_arena_take(arena, nodes, sizeof(bool), error, &lowering->recompute);
}

enum spw_status spw_lowering_create(const struct spw_world *world, const struct spw_flow *flow,
                                    struct spw_error *error, struct spw_lowering **out)
{
    struct spw_lowering *lowering;
    SPW_TRY(spw_allocate(world, 1, sizeof(*lowering), "the planner", error, &lowering));
    lowering->world = world;
    lowering->flow = flow;
    spw_arena_init(&lowering->arena, world);
    const enum spw_status status = take_arrays(lowering, error);
    if (status != SPW_OK) {
        spw_lowering_destroy(lowering);
        return status;
    }
    *out = lowering;
    return SPW_OK;
}

void spw_lowering_destroy(struct spw_lowering *lowering)
{
    if (lowering == NULL) {
        return;
    }
    const struct spw_world *world = lowering->world;
    spw_release(world, lowering->table);
    spw_release(world, lowering->instructions);
    spw_release(world, lowering->epilogue);
    spw_release(world, lowering->intervals);
    spw_release(world, lowering->order);
    spw_release(world, lowering->bindings);
    spw_arena_deinit(&lowering->arena);
    spw_release(world, lowering);
}

/* Drops what no call touches; numbers[old] is the new number. */
static enum spw_status compact_bindings(struct spw_lowering *lowering, int32_t *numbers,
                                        struct spw_error *error, int32_t *count)
{
    SPW_TRY(spw_grow(lowering->world, &lowering->bindings, &lowering->binding_capacity,
                     lowering->table_count, sizeof(*lowering->bindings), "a program's bindings",
                     error));
    *count = 0;
    for (uint64_t i = 0; i < lowering->table_count; i++) {
        numbers[i] = *count;
        if (lowering->table[i].used) {
            lowering->bindings[(*count)++] = lowering->table[i].binding;
        }
    }
    return SPW_OK;
}

static void resolve(const struct spw_lowering *lowering, const int32_t *numbers,
                    struct spw_instruction *instructions, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct spw_operand *operands[SPW_OPERANDS_MAX];
        spw_instruction_operands(&instructions[i], operands);
        for (int k = 0; k < SPW_OPERANDS_MAX; k++) {
            if (!spw_operand_is(*operands[k])) {
                continue;
            }
            if (operands[k]->binding == lowering->scratch) {
                operands[k]->offset_bytes = lowering->intervals[operands[k]->offset_bytes].offset;
            }
            operands[k]->binding = numbers[operands[k]->binding];
        }
    }
}

static void count_binding(struct spw_unit_plan *unit, const struct spw_binding *binding)
{
    const uint64_t rounded = spw_round_up(binding->bytes, SPW_DEVICE_ALIGNMENT);
    switch (binding->kind) {
    case SPW_BIND_WEIGHTS:
        unit->weights_bytes += rounded;
        break;
    case SPW_BIND_GRADS:
        unit->grads_bytes += rounded;
        break;
    case SPW_BIND_IN:
    case SPW_BIND_TARGETS:
    case SPW_BIND_GRAD_IN:
        unit->slot_bytes += rounded;
        unit->in_bytes += binding->bytes;
        break;
    case SPW_BIND_OUT:
    case SPW_BIND_GRAD_OUT:
    case SPW_BIND_LOSS:
        unit->slot_bytes += rounded;
        unit->out_bytes += binding->bytes;
        break;
    case SPW_BIND_KEPT:
        unit->slot_bytes += rounded;
        *(unit->kind == SPW_UNIT_FORWARD ? &unit->out_bytes : &unit->in_bytes) += binding->bytes;
        break;
    case SPW_BIND_NORM:
        unit->norm_bytes += rounded;
        break;
    case SPW_BIND_SCRATCH:
        unit->scratch_bytes += rounded;
        break;
    }
}

uint64_t spw_unit_bytes_with(const struct spw_unit_plan *unit, uint32_t slots)
{
    if (unit->program.binding_count > SPW_BINDINGS_MAX) {
        return UINT64_MAX;
    }
    return unit->weights_bytes + unit->grads_bytes + unit->norm_bytes + unit->scratch_bytes +
           slots * unit->slot_bytes;
}

static enum spw_status finish(struct spw_lowering *lowering, struct spw_error *error,
                              struct spw_unit_plan *out)
{
    SPW_TRY(spw_grow(lowering->world, &lowering->order, &lowering->order_capacity,
                     2 * lowering->interval_count + lowering->table_count,
                     sizeof(struct spw_interval *), "the planner", error));
    lowering->table[lowering->scratch].binding.bytes =
        spw_layout(lowering->intervals, lowering->interval_count, lowering->order);
    int32_t count;
    int32_t *numbers = (int32_t *)(void *)lowering->order; /* free again, and large enough */
    SPW_TRY(compact_bindings(lowering, numbers, error, &count));
    resolve(lowering, numbers, lowering->instructions, lowering->instruction_count);
    resolve(lowering, numbers, lowering->epilogue, lowering->epilogue_count);

    struct spw_unit_plan unit = {
        .kind = lowering->request.kind,
        .slots = lowering->request.slots,
        .program =
            {
                .bindings = lowering->bindings,
                .binding_count = count,
                .instructions = lowering->instructions,
                .instruction_count = (int32_t)lowering->instruction_count,
                .epilogue = lowering->epilogue,
                .epilogue_count = (int32_t)lowering->epilogue_count,
            },
    };
    for (int32_t i = 0; i < count; i++) {
        count_binding(&unit, &lowering->bindings[i]);
    }
    unit.device_bytes = spw_unit_bytes_with(&unit, unit.slots);
    *out = unit;
    return SPW_OK;
}

enum spw_status spw_lower(struct spw_lowering *lowering, const struct spw_lower_request *request,
                          struct spw_error *error, struct spw_unit_plan *out)
{
    SPW_ASSERT(request->first >= 0 && request->first < request->end);
    SPW_ASSERT(request->end <= lowering->flow->node_count);
    lowering->request = *request;
    lowering->is_last = request->end == lowering->flow->node_count;
    SPW_ASSERT(request->kind != SPW_UNIT_FORWARD || !lowering->is_last);
    lowering->instruction_count = 0;
    lowering->epilogue_count = 0;
    lowering->interval_count = 0;
    SPW_TRY(spw_lower_bind(lowering, error));
    if (request->kind == SPW_UNIT_BACKWARD) {
        SPW_TRY(spw_lower_backward(lowering, error));
    } else {
        SPW_TRY(spw_lower_forward(lowering, error));
    }
    return finish(lowering, error, out);
}

static enum spw_status store(struct spw_arena *arena, uint64_t count, uint64_t size,
                             struct spw_error *error, void *array_pointer)
{
    void *from, *to;
    memcpy(&from, array_pointer, sizeof(from));
    SPW_TRY(spw_arena_take(arena, count, size, error, &to));
    if (count > 0) {
        memcpy(to, from, count * size);
    }
    memcpy(array_pointer, &to, sizeof(to));
    return SPW_OK;
}

enum spw_status spw_unit_store(struct spw_arena *arena, struct spw_error *error,
                               struct spw_unit_plan *unit)
{
    struct spw_program *program = &unit->program;
    SPW_TRY(store(arena, (uint64_t)program->binding_count, sizeof(*program->bindings), error,
                  &program->bindings));
    SPW_TRY(store(arena, (uint64_t)program->instruction_count, sizeof(*program->instructions),
                  error, &program->instructions));
    return store(arena, (uint64_t)program->epilogue_count, sizeof(*program->epilogue), error,
                 &program->epilogue);
}
