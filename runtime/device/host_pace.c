/* host_pace.c — how long commands take: really, throttled, or by a model.
 *
 * Three modes. Plain: record times are when things happened. Throttled (a link rate): copies take
 * at least bytes / rate. Modelled (pace=model): every command takes its modelled time, and records
 * carry the times of the model, so that a busy machine with few cores shows the overlap that a real
 * one would have. Commands really run in every mode, and waits are real.
 *
 * A modelled command starts when the model says that it could: when it was enqueued, what it waited
 * for had ended and the queue was free, all in modelled time. So the lateness of a sleep or of a
 * busy machine is not passed on to what was enqueued behind it.
 * Tested by tests/runtime/test_host_pace.c. */
#include "base/status.h"
#include "runtime/device/host.h"

/* 64-bit products of bytes and nanoseconds overflow after 18 GB. */
static uint64_t time_at_rate(uint64_t amount, uint64_t per_s)
{
    return (uint64_t)((unsigned __int128)amount * UINT64_C(1000000000) / per_s);
}

static uint64_t copy_bytes(const struct spw_host_command *command)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < command->copy_count; i++) {
        bytes += command->copies[i].bytes;
    }
    return bytes;
}

static uint64_t instruction_flops(const struct spw_instruction *instructions, int32_t count,
                                  int64_t items)
{
    uint64_t flops = 0;
    for (int32_t i = 0; i < count; i++) {
        const struct spw_instruction *instruction = &instructions[i];
        switch (instruction->kind) {
        case SPW_INSTRUCTION_CALL:
            flops += spw_op_cost(instruction->desc, items, instruction->pass).flops;
            break;
        case SPW_INSTRUCTION_NORM:
            flops += 2 * instruction->elements;
            break;
        }
    }
    return flops;
}

/* Rough for what isn't a program: such works are bound by memory, and a caller that cares gives
 * model_ns. */
static uint64_t work_flops(const struct spw_work *work)
{
    switch (work->kind) {
    case SPW_WORK_PROGRAM: {
        const struct spw_program *program = work->program.program;
        uint64_t flops = instruction_flops(program->instructions, program->instruction_count,
                                           work->program.items);
        if (work->program.epilogue) {
            flops +=
                instruction_flops(program->epilogue, program->epilogue_count, work->program.items);
        }
        return flops;
    }
    case SPW_WORK_UPDATE:
        return work->update.piece.bytes / sizeof(float) * 16;
    case SPW_WORK_REDUCE:
        return work->reduce.piece.bytes / sizeof(float) * (work->reduce.accumulators + 2);
    case SPW_WORK_GATHER:
        return 0;
    }
    return 0;
}

/* False if this command takes the time that it takes. */
static bool modelled_time(const struct spw_host_device *device,
                          const struct spw_host_command *command, uint64_t *ns)
{
    if (command->is_copy) {
        if (device->link_bytes_per_s == 0) {
            return false;
        }
        *ns = time_at_rate(copy_bytes(command), device->link_bytes_per_s);
        return true;
    }
    if (!device->pace_model) {
        return false;
    }
    *ns = command->work.model_ns != 0
              ? command->work.model_ns
              : time_at_rate(work_flops(&command->work), device->flops_per_s);
    return true;
}

/* When a command that was waited for ended. 0 if that is so long ago that its slot has been used
 * again: then it holds nobody up. */
static uint64_t end_of(const struct spw_host_device *device, const struct spw_wait *wait)
{
    const struct spw_host_queue *queue = &device->queues[wait->queue];
    const uint64_t slot = (wait->ticket - 1) & (SPW_HOST_COMMANDS_MAX - 1);
    const uint64_t end_ns = atomic_load(&queue->ends_ns[slot]);
    /* Looked at afterwards: one command past `finished` may be writing its time already. */
    const uint64_t since = atomic_load(&queue->finished) - wait->ticket;
    return since + 1 < SPW_HOST_COMMANDS_MAX ? end_ns : 0;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void spw_host_pace_begin(struct spw_host_queue *queue, const struct spw_host_command *command,
                         struct spw_record *record)
{
    const struct spw_host_device *device = queue->device;
    uint64_t ready_ns = command->enqueued_ns;
    for (uint32_t i = 0; i < command->wait_count; i++) {
        ready_ns = later(ready_ns, end_of(device, &command->waits[i]));
    }
    uint64_t modelled_ns;
    record->ready_ns = ready_ns;
    record->start_ns = modelled_time(device, command, &modelled_ns)
                           ? later(ready_ns, queue->free_ns)
                           : later(ready_ns, spw_now_ns(device->world));
}

void spw_host_pace_end(struct spw_host_queue *queue, const struct spw_host_command *command,
                       struct spw_record *record)
{
    const struct spw_host_device *device = queue->device;
    const struct spw_world *world = device->world;
    uint64_t modelled_ns;
    if (!modelled_time(device, command, &modelled_ns)) {
        record->end_ns = later(record->start_ns, spw_now_ns(world));
    } else {
        const uint64_t due_ns = record->start_ns + modelled_ns;
        const uint64_t done_ns = spw_now_ns(world);
        if (done_ns < due_ns) {
            world->sleep_until(world->self, due_ns);
        }
        /* A link can't be faster than memory; a model doesn't know the memory there is. */
        record->end_ns = device->pace_model ? due_ns : later(due_ns, done_ns);
    }
    queue->free_ns = record->end_ns;
}
