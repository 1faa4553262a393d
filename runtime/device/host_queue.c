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
 * Tested by tests/runtime/test_host_queue.c and tests/stress/stress_host.c. */
#include "base/assert.h"
#include "base/status.h"
#include "runtime/device/host.h"

#include <stdio.h>

/* A look takes some 25 ns: in all some 10 us, about what falling asleep and waking up cost. */
#define LOOKS 400
/* A sleep shorter than this, the time to wake up included, a look might have caught. */
#define SHORT_SLEEP_NS 20000
#define PENALTY_MAX 1024

_Static_assert((SPW_HOST_COMMANDS_MAX & (SPW_HOST_COMMANDS_MAX - 1)) == 0, "slots are masked");

/* What a sleeping worker sleeps for. Who does something else does not wake it. */
enum reason {
    AWAKE = 0,
    FOR_FINISH = 1, /* + the queue that must finish something */
    FOR_COMMAND = FOR_FINISH + SPW_QUEUE_COUNT,
};

static uint64_t slot_of(uint64_t ticket)
{
    return (ticket - 1) & (SPW_HOST_COMMANDS_MAX - 1);
}

static void wake(struct spw_host_queue *queue)
{
    spw_mutex_lock(&queue->mutex);
    spw_condition_signal(&queue->wake);
    spw_mutex_unlock(&queue->mutex);
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

uint64_t spw_host_queue_push(struct spw_host_queue *queue)
{
    const uint64_t ticket = atomic_load(&queue->submitted) + 1;
    atomic_store(&queue->submitted, ticket);
    if (atomic_load(&queue->sleeps_for) == FOR_COMMAND) {
        wake(queue);
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
    request->answered = false;
    atomic_store(&queue->request, request);
    spw_mutex_lock(&queue->mutex);
    spw_condition_signal(&queue->wake);
    while (!request->answered) {
        spw_condition_wait(&queue->answer, &queue->mutex);
    }
    spw_mutex_unlock(&queue->mutex);
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
    spw_mutex_lock(&queue->mutex);
    request->answered = true;
    spw_condition_signal(&queue->answer);
    spw_mutex_unlock(&queue->mutex);
}

/* Whether the worker may go on: a wait is over, or, with `wait` NULL, there is a command or no more
 * will come. */
static bool is_over(struct spw_host_queue *queue, const struct spw_wait *wait)
{
    if (wait != NULL) {
        return atomic_load(&queue->device->queues[wait->queue].finished) >= wait->ticket;
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
    spw_mutex_lock(&queue->mutex);
    /* Said before looking once more: either we see what happened, or who did it sees the sleeper.
     */
    atomic_store(&queue->sleeps_for,
                 wait != NULL ? FOR_FINISH + (uint32_t)wait->queue : (uint32_t)FOR_COMMAND);
    while (!has_work(queue, wait)) {
        spw_condition_wait(&queue->wake, &queue->mutex);
    }
    atomic_store(&queue->sleeps_for, AWAKE);
    spw_mutex_unlock(&queue->mutex);
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
        if (atomic_load(&device->queues[i].sleeps_for) == FOR_FINISH + (uint32_t)queue->name) {
            wake(&device->queues[i]);
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
    SPW_TRY_GOTO(spw_mutex_init(&queue->mutex, error), free_ends);
    SPW_TRY_GOTO(spw_condition_init(&queue->wake, error), free_mutex);
    SPW_TRY_GOTO(spw_condition_init(&queue->answer, error), free_wake);
    SPW_TRY_GOTO(start(queue, cpus, error), free_answer);
    return SPW_OK;

free_answer:
    spw_condition_deinit(&queue->answer);
free_wake:
    spw_condition_deinit(&queue->wake);
free_mutex:
    spw_mutex_deinit(&queue->mutex);
free_ends:
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
    wake(queue);
}

void spw_host_queue_join(struct spw_host_queue *queue)
{
    spw_thread_join(&queue->thread);
}

void spw_host_queue_close(struct spw_host_queue *queue)
{
    SPW_ASSERT(atomic_load(&queue->finished) == atomic_load(&queue->submitted));
    spw_condition_deinit(&queue->answer);
    spw_condition_deinit(&queue->wake);
    spw_mutex_deinit(&queue->mutex);
    spw_release(queue->device->world, (void *)queue->ends_ns);
    spw_release(queue->device->world, queue->records);
    spw_release(queue->device->world, queue->commands);
}
