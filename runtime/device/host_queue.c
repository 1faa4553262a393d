/* host_queue.c — an ordered queue of the host backend: a ring, and a worker that empties it.
 *
 * Three counters say everything: commands up to `submitted` are enqueued, up to `finished` done, up
 * to `polled` reported. Each is written by one thread only, and a command may only wait for a
 * command that is enqueued already; so whatever is enqueued gets done, without any order between
 * locks.
 *
 * A worker that has nothing to do looks around for a moment, if that paid lately, and then sleeps.
 * After a look in vain it looks again only after a number of sleeps so short that a look would have
 * caught them, and that number doubles each time. So idle workers cost nothing, and where several
 * share a core, where looking only keeps the others from working, they soon stop.
 *
 * Waking costs more than most of what the executor does, so nobody is woken in vain. A sleeper says
 * what for: a command, or the end of one ticket of another queue. A command that is enqueued before
 * its waits are over doesn't wake its worker: the executor only writes down that the sleeper now
 * sleeps for the first of the waits, and who ends that one wakes it.
 * Tested by tests/runtime/test_host_queue.c and tests/stress/stress_host.c. */
#include "base/assert.h"
#include "base/status.h"
#include "runtime/device/host.h"

#include <errno.h>
#include <stdio.h>

/* A look takes some 25 ns: in all some 10 us, about what falling asleep and waking up cost. */
#define LOOKS 400
/* A sleep shorter than this, the time to wake up included, a look might have caught. */
#define SHORT_SLEEP_NS 20000
#define PENALTY_MAX 1024

_Static_assert((SPW_HOST_COMMANDS_MAX & (SPW_HOST_COMMANDS_MAX - 1)) == 0, "slots are masked");

/* What `sleeps_for` holds: one of these, or the queue and ticket that must end. The worker sets it
 * before it looks for the last time; who wakes it takes it back to AWAKE first, so one only does.
 */
enum { AWAKE = 0, FOR_COMMAND = 1, FOR_FINISH = 2 /* + queue, + ticket * TICKET */, TICKET = 8 };

_Static_assert(FOR_FINISH + SPW_QUEUE_COUNT <= TICKET, "a queue and a ticket in one number");

static uint64_t for_finish(const struct spw_wait *wait)
{
    return FOR_FINISH + (uint64_t)wait->queue + TICKET * wait->ticket;
}

static uint64_t slot_of(uint64_t ticket)
{
    return (ticket - 1) & (SPW_HOST_COMMANDS_MAX - 1);
}

static void sleep_at(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0) {
        SPW_ASSERT(errno == EINTR);
    }
}

/* Wakes a worker that was seen asleep; does nothing if somebody else has, or it woke by itself. */
static void wake(struct spw_host_queue *queue, uint64_t seen)
{
    if (seen != AWAKE && atomic_compare_exchange_strong(&queue->sleeps_for, &seen, AWAKE)) {
        SPW_ASSERT(sem_post(&queue->bell) == 0);
    }
}

/* Whatever it sleeps for. */
static void rouse(struct spw_host_queue *queue)
{
    if (atomic_exchange(&queue->sleeps_for, AWAKE) != AWAKE) {
        SPW_ASSERT(sem_post(&queue->bell) == 0);
    }
}

static bool has_finished(const struct spw_host_device *device, const struct spw_wait *wait)
{
    return atomic_load(&device->queues[wait->queue].finished) >= wait->ticket;
}

/* ---- the executor's side ---- */

struct spw_host_command *spw_host_queue_slot(struct spw_host_queue *queue)
{
    const uint64_t submitted = atomic_load(&queue->submitted);
    if (submitted - queue->polled == SPW_HOST_COMMANDS_MAX) {
        return NULL;
    }
    return &queue->commands[slot_of(submitted + 1)];
}

/* The worker slept as there was no command; this one is its next. */
static void wake_for(struct spw_host_queue *queue, const struct spw_host_command *command)
{
    uint64_t seen = FOR_COMMAND;
    for (uint32_t i = 0; i < command->wait_count; i++) {
        const struct spw_wait *wait = &command->waits[i];
        if (has_finished(queue->device, wait)) {
            continue;
        }
        const uint64_t now_for = for_finish(wait);
        if (!atomic_compare_exchange_strong(&queue->sleeps_for, &seen, now_for)) {
            return; /* it has just seen the command */
        }
        if (!has_finished(queue->device, wait)) {
            return; /* who ends it sees the sleeper */
        }
        seen = now_for;
    }
    wake(queue, seen);
}

uint64_t spw_host_queue_push(struct spw_host_queue *queue)
{
    const uint64_t ticket = atomic_load(&queue->submitted) + 1;
    atomic_store(&queue->submitted, ticket);
    if (atomic_load(&queue->sleeps_for) == FOR_COMMAND) {
        wake_for(queue, &queue->commands[slot_of(ticket)]);
    }
    return ticket;
}

bool spw_host_queue_poll(struct spw_host_queue *queue, struct spw_record *out)
{
    if (queue->polled == atomic_load(&queue->finished)) {
        return false;
    }
    queue->polled++;
    *out = queue->records[slot_of(queue->polled)];
    return true;
}

enum spw_status spw_host_queue_request(struct spw_host_queue *queue,
                                       struct spw_host_request *request)
{
    atomic_store(&queue->request, request);
    rouse(queue);
    sleep_at(&queue->answered);
    return request->status;
}

/* ---- the worker's side ---- */

static void serve_request(struct spw_host_queue *queue)
{
    struct spw_host_request *request = atomic_exchange(&queue->request, NULL);
    if (request == NULL) {
        return;
    }
    request->status =
        spw_host_work_prepare(queue->device, request->program, request->items, request->error);
    SPW_ASSERT(sem_post(&queue->answered) == 0);
}

/* Whether the worker may go on: a wait is over, or, with `wait` NULL, there is a command or no more
 * will come. */
static bool is_over(struct spw_host_queue *queue, const struct spw_wait *wait)
{
    if (wait != NULL) {
        return has_finished(queue->device, wait);
    }
    return atomic_load(&queue->submitted) != atomic_load(&queue->finished) ||
           atomic_load(&queue->stop);
}

static bool has_work(struct spw_host_queue *queue, const struct spw_wait *wait)
{
    return is_over(queue, wait) || atomic_load(&queue->request) != NULL;
}

static bool look_around(struct spw_host_queue *queue, const struct spw_wait *wait)
{
    if (queue->short_sleeps_wanted > 0) {
        return false;
    }
    for (uint32_t i = 0; i < LOOKS; i++) {
        if (has_work(queue, wait)) {
            queue->penalty = 1;
            return true;
        }
        spw_thread_pause();
    }
    queue->penalty = queue->penalty < PENALTY_MAX ? 2 * queue->penalty : PENALTY_MAX;
    queue->short_sleeps_wanted = queue->penalty;
    return false;
}

static void sleep_until_work(struct spw_host_queue *queue, const struct spw_wait *wait)
{
    const struct spw_world *world = queue->device->world;
    const uint64_t begin_ns = spw_now_ns(world);
    for (;;) {
        /* Said before looking once more: either we see what happened, or who did it sees the
         * sleeper. */
        atomic_store(&queue->sleeps_for, wait != NULL ? for_finish(wait) : (uint64_t)FOR_COMMAND);
        if (has_work(queue, wait)) {
            break;
        }
        sleep_at(&queue->bell); /* once in a while in vain: a post that came too late */
    }
    atomic_store(&queue->sleeps_for, AWAKE);
    if (queue->short_sleeps_wanted > 0 && spw_now_ns(world) - begin_ns < SHORT_SLEEP_NS) {
        queue->short_sleeps_wanted--;
    }
}

static void wait_until_over(struct spw_host_queue *queue, const struct spw_wait *wait)
{
    for (;;) {
        serve_request(queue);
        if (is_over(queue, wait)) {
            return;
        }
        if (!look_around(queue, wait)) {
            sleep_until_work(queue, wait);
        }
    }
}

static void run(struct spw_host_queue *queue, uint64_t ticket)
{
    const struct spw_host_command *command = &queue->commands[slot_of(ticket)];
    for (uint32_t i = 0; i < command->wait_count; i++) {
        wait_until_over(queue, &command->waits[i]);
    }
    struct spw_record record = {.ticket = ticket, .status = SPW_OK};
    spw_host_pace_begin(queue, command, &record);
    if (command->is_copy) {
        spw_host_copy_run(queue->device, queue->name, command);
    } else {
        record.status = spw_host_work_run(queue->device, &command->work, &record.native);
    }
    spw_host_pace_end(queue, command, &record);
    queue->records[slot_of(ticket)] = record;
    atomic_store(&queue->ends_ns[slot_of(ticket)], record.end_ns);
}

/* Makes command `ticket` count as done, and wakes who sleeps for that. */
static void finish(struct spw_host_queue *queue, uint64_t ticket)
{
    struct spw_host_device *device = queue->device;
    atomic_store(&queue->finished, ticket);
    for (uint32_t i = 0; i < device->queue_count; i++) {
        const uint64_t seen = atomic_load(&device->queues[i].sleeps_for);
        if (seen % TICKET == FOR_FINISH + (uint64_t)queue->name && seen / TICKET <= ticket) {
            wake(&device->queues[i], seen);
        }
    }
    spw_gate_knock(device->gate);
}

static void work(void *argument)
{
    struct spw_host_queue *queue = argument;
    for (;;) {
        wait_until_over(queue, NULL);
        const uint64_t ticket = atomic_load(&queue->finished) + 1;
        if (atomic_load(&queue->submitted) < ticket) {
            return; /* told to stop, and nothing is left */
        }
        run(queue, ticket);
        finish(queue, ticket);
    }
}

/* ---- opening and closing ---- */

static enum spw_status start(struct spw_host_queue *queue, const int *cpus, struct spw_error *error)
{
    static const char *const names[] = {
        [SPW_QUEUE_COMPUTE] = "compute", [SPW_QUEUE_IN] = "in", [SPW_QUEUE_OUT] = "out"};
    char name[48];
    (void)snprintf(name, sizeof(name), "%s %s", queue->device->device.name, names[queue->name]);
    return spw_thread_start(&queue->thread, name, cpus, work, queue, error);
}

enum spw_status spw_host_queue_open(struct spw_host_device *device, enum spw_queue name,
                                    const int *cpus, struct spw_error *error)
{
    struct spw_host_queue *queue = &device->queues[name];
    const struct spw_world *world = device->world;
    queue->device = device;
    queue->name = name;
    queue->penalty = 1;
    enum spw_status status;
    SPW_TRY_GOTO(spw_allocate(world, SPW_HOST_COMMANDS_MAX, sizeof(*queue->commands),
                              "a queue's commands", error, &queue->commands),
                 fail);
    SPW_TRY_GOTO(spw_allocate(world, SPW_HOST_COMMANDS_MAX, sizeof(*queue->records),
                              "a queue's records", error, &queue->records),
                 free_commands);
    SPW_TRY_GOTO(spw_allocate(world, SPW_HOST_COMMANDS_MAX, sizeof(*queue->ends_ns),
                              "a queue's times", error, &queue->ends_ns),
                 free_records);
    SPW_ASSERT(sem_init(&queue->bell, 0, 0) == 0); /* fails for wrong arguments only */
    SPW_ASSERT(sem_init(&queue->answered, 0, 0) == 0);
    SPW_TRY_GOTO(start(queue, cpus, error), free_semaphores);
    return SPW_OK;

free_semaphores:
    SPW_ASSERT(sem_destroy(&queue->answered) == 0);
    SPW_ASSERT(sem_destroy(&queue->bell) == 0);
    spw_release(world, (void *)queue->ends_ns);
free_records:
    spw_release(world, queue->records);
free_commands:
    spw_release(world, queue->commands);
fail:
    return status;
}

void spw_host_queue_stop(struct spw_host_queue *queue)
{
    atomic_store(&queue->stop, true);
    rouse(queue);
}

void spw_host_queue_join(struct spw_host_queue *queue)
{
    spw_thread_join(&queue->thread);
}

void spw_host_queue_close(struct spw_host_queue *queue)
{
    SPW_ASSERT(atomic_load(&queue->finished) == atomic_load(&queue->submitted));
    SPW_ASSERT(sem_destroy(&queue->answered) == 0);
    SPW_ASSERT(sem_destroy(&queue->bell) == 0);
    spw_release(queue->device->world, (void *)queue->ends_ns);
    spw_release(queue->device->world, queue->records);
    spw_release(queue->device->world, queue->commands);
}
