/* host_work.c — runs programs on the compute lane of the host backend.
 *
 * A program's operands are offsets; adding the region's base is all that is left to do. Everything
 * a kernel touches lies in the region: that is what makes this backend a model of a GPU. Tested by
 * tests/runtime/test_host_work.c. */
#include "base/assert.h"
#include "base/status.h"
#include "runtime/device/host.h"

/* ---- what may be submitted ---- */

static void check_range(const struct spw_host_device *device, uint64_t offset, uint64_t bytes)
{
    SPW_ASSERT(bytes <= device->device.caps.region_bytes);
    SPW_ASSERT(offset <= device->device.caps.region_bytes - bytes);
}

void spw_host_work_check(const struct spw_host_device *device, const struct spw_work *work)
{
    switch (work->kind) {
    case SPW_WORK_PROGRAM: {
        const struct spw_program *program = work->program.program;
        SPW_ASSERT(work->program.items > 0);
        SPW_ASSERT(program->binding_count <= SPW_BINDINGS_MAX);
        for (int32_t i = 0; i < program->binding_count; i++) {
            check_range(device, work->program.binding_offset[i], program->bindings[i].bytes);
        }
        return;
    }
    case SPW_WORK_UPDATE:
        check_range(device, work->update.weights, work->update.piece.bytes);
        check_range(device, work->update.grads, work->update.piece.bytes);
        check_range(device, work->update.weights_out, work->update.piece.bytes);
        return;
    case SPW_WORK_REDUCE:
        SPW_ASSERT(work->reduce.accumulators == work->reduce.uses * work->reduce.groups);
        for (uint32_t i = 0; i < work->reduce.accumulators; i++) {
            check_range(device, work->reduce.grads[i], work->reduce.piece.bytes);
        }
        check_range(device, work->reduce.grads_out, work->reduce.piece.bytes);
        return;
    case SPW_WORK_GATHER:
        /* Data sets lie outside every region. */
        SPW_ASSERT(device->is_cores);
        SPW_ASSERT(work->gather.micro_batch > 0);
        return;
    }
}

/* ---- programs ---- */

static enum spw_status prepare_list(struct spw_host_device *device,
                                    const struct spw_instruction *instructions, int32_t count,
                                    int64_t items, struct spw_error *error)
{
    for (int32_t i = 0; i < count; i++) {
        if (instructions[i].kind == SPW_INSTRUCTION_CALL) {
            SPW_TRY(spw_lane_prepare(device->lane, instructions[i].desc, items,
                                     instructions[i].pass, error));
        }
    }
    return SPW_OK;
}

enum spw_status spw_host_work_prepare(struct spw_host_device *device,
                                      const struct spw_program *program, int64_t items,
                                      struct spw_error *error)
{
    SPW_TRY(prepare_list(device, program->instructions, program->instruction_count, items, error));
    return prepare_list(device, program->epilogue, program->epilogue_count, items, error);
}

/* Where an operand lies, or NULL if the instruction has none in this place. */
static void *place(const struct spw_host_device *device, const struct spw_work *work,
                   struct spw_operand operand)
{
    if (operand.binding == SPW_NO_OPERAND) {
        return NULL;
    }
    SPW_ASSERT(operand.binding >= 0 && operand.binding < work->program.program->binding_count);
    return device->region + work->program.binding_offset[operand.binding] + operand.offset_bytes;
}

static struct spw_call make_call(const struct spw_host_device *device, const struct spw_work *work,
                                 const struct spw_instruction *instruction)
{
    struct spw_call call = {
        .desc = instruction->desc,
        .items = work->program.items,
        .flags = instruction->flags | (work->program.training ? SPW_CALL_TRAINING : 0u) |
                 (work->program.accumulate_dw ? SPW_CALL_ACCUMULATE_DW : 0u),
        .step = work->program.step,
        .item_offset = work->program.item_offset,
        .loss_scale = work->program.loss_scale,
        .y = place(device, work, instruction->y),
        .saved = place(device, work, instruction->saved),
        .dy = place(device, work, instruction->dy),
        .targets = place(device, work, instruction->targets),
        .loss = place(device, work, instruction->loss),
        .workspace = place(device, work, instruction->workspace),
    };
    for (int i = 0; i < SPW_OP_INPUTS_MAX; i++) {
        call.x[i] = place(device, work, instruction->x[i]);
        call.dx[i] = place(device, work, instruction->dx[i]);
    }
    for (int i = 0; i < SPW_OP_PARAMS_MAX; i++) {
        call.w[i] = place(device, work, instruction->w[i]);
        call.dw[i] = place(device, work, instruction->dw[i]);
    }
    return call;
}

static enum spw_status run_call(struct spw_host_device *device, const struct spw_work *work,
                                const struct spw_instruction *instruction)
{
    const struct spw_call call = make_call(device, work, instruction);
    if (spw_lane_run(device->lane, &call, instruction->pass, NULL) != SPW_OK) {
        return SPW_ERR_DEVICE;
    }
    if (work->program.check) {
        SPW_ASSERT(instruction->pass == SPW_FORWARD);
        return spw_host_check_finite(&call) ? SPW_OK : SPW_ERR_NUMERIC;
    }
    return SPW_OK;
}

/* Stops at the first instruction that fails and says which node of the graph it was. */
static enum spw_status run_list(struct spw_host_device *device, const struct spw_work *work,
                                const struct spw_instruction *instructions, int32_t count,
                                int *native)
{
    for (int32_t i = 0; i < count; i++) {
        const struct spw_instruction *instruction = &instructions[i];
        enum spw_status status = SPW_OK;
        switch (instruction->kind) {
        case SPW_INSTRUCTION_CALL:
            status = run_call(device, work, instruction);
            break;
        case SPW_INSTRUCTION_NORM:
            spw_norm_partials(place(device, work, instruction->dw[0]), instruction->elements,
                              place(device, work, instruction->y), device->pool);
            break;
        }
        if (status != SPW_OK) {
            *native = instruction->node;
            return status;
        }
    }
    return SPW_OK;
}

static enum spw_status run_program(struct spw_host_device *device, const struct spw_work *work,
                                   int *native)
{
    const struct spw_program *program = work->program.program;
    SPW_TRY(run_list(device, work, program->instructions, program->instruction_count, native));
    if (work->program.epilogue) {
        SPW_TRY(run_list(device, work, program->epilogue, program->epilogue_count, native));
    }
    return SPW_OK;
}

enum spw_status spw_host_work_run(struct spw_host_device *device, const struct spw_work *work,
                                  int *native)
{
    switch (work->kind) {
    case SPW_WORK_PROGRAM:
        return run_program(device, work, native);
    case SPW_WORK_UPDATE:
        spw_host_update_run(device, work);
        return SPW_OK;
    case SPW_WORK_REDUCE:
        spw_host_reduce_run(device, work);
        return SPW_OK;
    case SPW_WORK_GATHER:
        spw_host_gather_run(device, work);
        return SPW_OK;
    }
    return SPW_ERR_INTERNAL;
}
