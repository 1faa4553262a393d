/* order.c — see order.h. Each command has a clock: of each queue of its device, the last ticket
 * that has finished when it begins. */
#include "order.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEVICES = 8,
    COMMANDS = 1024, /* of a queue; more than a queue holds would be overwritten */
    RANGES = SPW_BINDINGS_MAX + 2 * SPW_COPIES_MAX,
    HOMES = DEVICES, /* the space that all devices share */
};

struct range {
    uint32_t space; /* the region of a device, or HOMES */
    bool writes;
    uint64_t first, end;
};

struct command {
    uint64_t ticket;
    uint64_t clock[SPW_QUEUE_COUNT];
    uint32_t count;
    struct range ranges[RANGES];
};

struct queue {
    struct command *commands; /* by ticket */
    uint64_t enqueued;
    uint64_t finished; /* as far as the executor knows */
};

struct device {
    const struct spw_home *home;
    bool is_cores;
    char name[32];
    struct queue queues[SPW_QUEUE_COUNT];
};

struct order {
    struct device devices[DEVICES];
    uint32_t count;
    uint64_t compared;
    char fault[ORDER_FAULT_BYTES];
};

struct order *order_create(void)
{
    return calloc(1, sizeof(struct order));
}

void order_destroy(struct order *order)
{
    for (uint32_t i = 0; order != NULL && i < order->count; i++) {
        for (int q = 0; q < SPW_QUEUE_COUNT; q++) {
            free(order->devices[i].queues[q].commands);
        }
    }
    free(order);
}

uint32_t order_open(struct order *order, const struct spw_home *home, bool is_cores,
                    const char *name)
{
    if (order->count == DEVICES) {
        abort();
    }
    struct device *device = &order->devices[order->count];
    device->home = home;
    device->is_cores = is_cores;
    (void)snprintf(device->name, sizeof device->name, "%s", name);
    for (int q = 0; q < SPW_QUEUE_COUNT; q++) {
        device->queues[q].commands = calloc(COMMANDS, sizeof(struct command));
        if (device->queues[q].commands == NULL) {
            abort();
        }
    }
    return order->count++;
}

uint64_t order_compared(const struct order *order)
{
    return order->compared;
}

const char *order_fault(const struct order *order)
{
    return order->fault[0] != '\0' ? order->fault : NULL;
}

/* ---- what a command touches ---- */

static void touch(struct command *command, uint32_t space, uint64_t first, uint64_t bytes,
                  bool writes)
{
    if (command->count == RANGES) {
        abort();
    }
    if (bytes > 0) {
        command->ranges[command->count++] = (struct range){space, writes, first, first + bytes};
    }
}

static bool program_writes(enum spw_binding_kind kind)
{
    switch (kind) {
    case SPW_BIND_WEIGHTS:
    case SPW_BIND_IN:
    case SPW_BIND_TARGETS:
    case SPW_BIND_GRAD_IN:
        return false;
    case SPW_BIND_GRADS:
    case SPW_BIND_OUT:
    case SPW_BIND_KEPT: /* by FORWARD */
    case SPW_BIND_GRAD_OUT:
    case SPW_BIND_LOSS:
    case SPW_BIND_NORM:
    case SPW_BIND_SCRATCH:
        return true;
    }
    abort();
}

static void touch_program(struct command *command, uint32_t space, const struct spw_work *work)
{
    const struct spw_program *program = work->program.program;
    for (int32_t i = 0; i < program->binding_count; i++) {
        touch(command, space, work->program.binding_offset[i], program->bindings[i].bytes,
              program_writes(program->bindings[i].kind));
    }
}

static uint32_t moments_of(const struct spw_update_scalars *scalars)
{
    return scalars->name == SPW_ADAMW ? 2 : scalars->has_momentum ? 1 : 0;
}

static void touch_update(struct command *command, uint32_t space, const struct spw_work *work)
{
    const uint64_t bytes = work->update.piece.bytes;
    touch(command, space, work->update.weights, bytes, false);
    touch(command, space, work->update.grads, bytes, false);
    touch(command, space, work->update.weights_out, bytes, true);
    for (uint32_t i = 0; i < moments_of(&work->update.scalars[0]); i++) {
        touch(command, space, work->update.moments[i], bytes, false);
        touch(command, space, work->update.moments_out[i], bytes, true);
    }
}

static void touch_reduce(struct command *command, uint32_t space, const struct spw_work *work)
{
    const struct spw_piece *piece = &work->reduce.piece;
    for (uint32_t i = 0; i < work->reduce.accumulators; i++) {
        touch(command, space, work->reduce.grads[i], piece->bytes, false);
    }
    touch(command, space, work->reduce.grads_out, piece->bytes, true);
    touch(command, space, work->reduce.norm_out, piece->norm_count * sizeof(double), true);
}

static void touch_gather(struct command *command, uint32_t space, const struct spw_work *work)
{
    const int64_t size = work->gather.micro_batch;
    const uint64_t packs = (uint64_t)((work->gather.count + size - 1) / size);
    touch(command, space, work->gather.x, packs * work->gather.x_stride_bytes, true);
    touch(command, space, work->gather.targets, packs * work->gather.targets_stride_bytes, true);
}

static void touch_work(struct command *command, uint32_t space, const struct spw_work *work)
{
    switch (work->kind) {
    case SPW_WORK_PROGRAM:
        touch_program(command, space, work);
        return;
    case SPW_WORK_UPDATE:
        touch_update(command, space, work);
        return;
    case SPW_WORK_REDUCE:
        touch_reduce(command, space, work);
        return;
    case SPW_WORK_GATHER:
        touch_gather(command, space, work);
        return;
    }
    abort();
}

/* ---- clocks ---- */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static struct command *command_of(struct queue *queue, uint64_t ticket)
{
    struct command *command = &queue->commands[ticket % COMMANDS];
    return command->ticket == ticket ? command : NULL;
}

/* `command` begins after command `ticket` of `queue` has finished. One so old that it has been
 * overwritten is known to have finished, as is all before it. */
static void follow(struct command *command, struct device *device, int queue, uint64_t ticket)
{
    const struct command *before = command_of(&device->queues[queue], ticket);
    command->clock[queue] = later(command->clock[queue], ticket);
    for (int q = 0; before != NULL && q < SPW_QUEUE_COUNT; q++) {
        command->clock[q] = later(command->clock[q], before->clock[q]);
    }
}

/* The next command of a queue, behind the one before it and what it waits for. */
static struct command *begin(struct order *order, uint32_t number, enum spw_queue name,
                             const struct spw_wait *waits, uint32_t wait_count, uint64_t ticket)
{
    struct device *device = &order->devices[number];
    struct queue *queue = &device->queues[name];
    if (ticket != queue->enqueued + 1 || ticket - queue->finished > COMMANDS) {
        abort();
    }
    struct command *command = &queue->commands[ticket % COMMANDS];
    *command = (struct command){0};
    follow(command, device, (int)name, ticket - 1);
    for (uint32_t i = 0; i < wait_count; i++) {
        follow(command, device, (int)waits[i].queue, waits[i].ticket);
    }
    command->ticket = ticket;
    return command;
}

/* ---- comparing ---- */

static bool clash(const struct range *a, const struct range *b)
{
    return a->space == b->space && (a->writes || b->writes) && a->first < b->end &&
           b->first < a->end;
}

static const struct range *first_clash(const struct command *a, const struct command *b)
{
    for (uint32_t i = 0; i < a->count; i++) {
        for (uint32_t k = 0; k < b->count; k++) {
            if (clash(&a->ranges[i], &b->ranges[k])) {
                return &a->ranges[i];
            }
        }
    }
    return NULL;
}

static const char *queue_name(int queue)
{
    return queue == SPW_QUEUE_COMPUTE ? "compute" : queue == SPW_QUEUE_IN ? "in" : "out";
}

static void report(struct order *order, const struct device *a, int a_queue, uint64_t a_ticket,
                   const char *b, const struct range *range)
{
    if (order->fault[0] == '\0') {
        (void)snprintf(order->fault, sizeof order->fault,
                       "%s %s %" PRIu64 " and %s touch byte %" PRIu64 " of %s in no order", a->name,
                       queue_name(a_queue), a_ticket, b, range->first,
                       range->space == HOMES ? "the homes" : "a region");
    }
}

/* Holds a command against all that may still be under way when it begins. `clock` says what of its
 * own device is not. */
static void compare(struct order *order, const struct command *command, uint32_t number,
                    const char *text)
{
    static const uint64_t nothing[SPW_QUEUE_COUNT];
    for (uint32_t i = 0; i < order->count; i++) {
        struct device *device = &order->devices[i];
        const uint64_t *clock = i == number ? command->clock : nothing;
        for (int q = 0; q < SPW_QUEUE_COUNT; q++) {
            struct queue *queue = &device->queues[q];
            for (uint64_t t = later(clock[q], queue->finished) + 1; t <= queue->enqueued; t++) {
                const struct command *other = command_of(queue, t);
                const struct range *range = first_clash(command, other);
                order->compared++;
                if (range != NULL) {
                    report(order, device, q, t, text, range);
                }
            }
        }
    }
}

static void end(struct order *order, uint32_t number, enum spw_queue name,
                const struct command *command)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%.31s %s %" PRIu64, order->devices[number].name,
                   queue_name((int)name), command->ticket);
    compare(order, command, number, text);
    order->devices[number].queues[name].enqueued = command->ticket;
}

void order_copy(struct order *order, uint32_t device, enum spw_queue queue,
                const struct spw_copy *copies, uint32_t copy_count, const struct spw_wait *waits,
                uint32_t wait_count, uint64_t ticket)
{
    struct command *command = begin(order, device, queue, waits, wait_count, ticket);
    const bool in = queue == SPW_QUEUE_IN;
    for (uint32_t i = 0; i < copy_count; i++) {
        const uint64_t home = spw_home_offset(order->devices[device].home, copies[i].home);
        touch(command, device, copies[i].region_offset, copies[i].bytes, in);
        touch(command, HOMES, home, copies[i].bytes, !in);
    }
    end(order, device, queue, command);
}

void order_work(struct order *order, uint32_t device, const struct spw_work *work,
                const struct spw_wait *waits, uint32_t wait_count, uint64_t ticket)
{
    struct command *command = begin(order, device, SPW_QUEUE_COMPUTE, waits, wait_count, ticket);
    touch_work(command, order->devices[device].is_cores ? HOMES : device, work);
    end(order, device, SPW_QUEUE_COMPUTE, command);
}

/* Whatever this command came after has finished, too. */
void order_record(struct order *order, uint32_t device, enum spw_queue queue, uint64_t ticket)
{
    struct queue *queues = order->devices[device].queues;
    const struct command *command = command_of(&queues[queue], ticket);
    for (int q = 0; command != NULL && q < SPW_QUEUE_COUNT; q++) {
        queues[q].finished = later(queues[q].finished, command->clock[q]);
    }
    queues[queue].finished = later(queues[queue].finished, ticket);
}

void order_poison(struct order *order, uint32_t device, uint64_t offset, uint64_t bytes)
{
    struct command command = {0};
    touch(&command, device, offset, bytes, true);
    compare(order, &command, device, "the executor");
}
