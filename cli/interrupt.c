/* interrupt.c — waits for ^C. Tested by tests/cli/test_run.py. */
#include "cli/interrupt.h"

#include "cli/command.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 100000000 /* how often the thread looks whether the run is over */

static sigset_t watched_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

static void stop_run(struct cli_interrupt *interrupt)
{
    static const char text[] = "\nspillway run: stopping; this run can't be resumed, finished "
                               "trials keep their files. Again to kill.\n";
    const ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)written; /* without a standard error there is nobody to tell */
    spw_mutex_lock(&interrupt->mutex);
    if (interrupt->run != NULL) {
        spw_run_interrupt(interrupt->run);
    }
    spw_mutex_unlock(&interrupt->mutex);
}

/* Ends the process as the signal would have, so that a shell sees it. */
static void die_of(int number)
{
    sigset_t set = watched_signals();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void watch(void *argument)
{
    struct cli_interrupt *interrupt = argument;
    const sigset_t set = watched_signals();
    const struct timespec patience = {.tv_nsec = LOOK_NS};
    while (!atomic_load(&interrupt->over)) {
        const int number = sigtimedwait(&set, NULL, &patience);
        if (number <= 0) {
            continue;
        }
        if (atomic_load(&interrupt->first) == 0) {
            atomic_store(&interrupt->first, number);
            stop_run(interrupt);
        } else {
            die_of(number);
        }
    }
}

enum spw_status cli_interrupt_begin(struct cli_interrupt *interrupt, struct spw_error *error)
{
    const sigset_t set = watched_signals();
    SPW_TRY(spw_mutex_init(&interrupt->mutex, error));
    (void)pthread_sigmask(SIG_BLOCK, &set, &interrupt->before);
    const enum spw_status status =
        spw_thread_start(&interrupt->thread, "signals", NULL, watch, interrupt, error);
    if (status != SPW_OK) {
        (void)pthread_sigmask(SIG_SETMASK, &interrupt->before, NULL);
        spw_mutex_deinit(&interrupt->mutex);
        return status;
    }
    interrupt->started = true;
    return SPW_OK;
}

void cli_interrupt_set_run(struct cli_interrupt *interrupt, struct spw_run *run)
{
    spw_mutex_lock(&interrupt->mutex);
    interrupt->run = run;
    spw_mutex_unlock(&interrupt->mutex);
}

bool cli_interrupt_came(const struct cli_interrupt *interrupt)
{
    return atomic_load(&interrupt->first) != 0;
}

int cli_interrupt_code(const struct cli_interrupt *interrupt)
{
    return atomic_load(&interrupt->first) == SIGTERM ? CLI_TERMINATED : CLI_INTERRUPTED;
}

void cli_interrupt_end(struct cli_interrupt *interrupt)
{
    if (!interrupt->started) {
        return;
    }
    atomic_store(&interrupt->over, true);
    spw_thread_join(&interrupt->thread);
    (void)pthread_sigmask(SIG_SETMASK, &interrupt->before, NULL);
    spw_mutex_deinit(&interrupt->mutex);
    interrupt->started = false;
}
