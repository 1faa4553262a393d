/* interrupt.h — ^C and SIGTERM: the first asks the run to stop, the second kills.
 *
 * A thread of its own waits for the signals, which all other threads block, so that no handler runs
 * and nothing has to be global. */
#ifndef SPW_CLI_INTERRUPT_H
#define SPW_CLI_INTERRUPT_H

#include "base/thread.h"
#include "runtime/run.h"

#include <signal.h>
#include <stdatomic.h>

struct cli_interrupt {
    struct spw_thread thread;
    struct spw_mutex mutex;
    struct spw_run *run; /* under the mutex; NULL: none yet */
    sigset_t before;     /* the mask to go back to */
    atomic_int first;    /* number of the first signal; 0: none came */
    atomic_bool over;
    bool started;
};

/* Blocks the signals in this thread and in those that it starts from now on. */
enum spw_status cli_interrupt_begin(struct cli_interrupt *interrupt, struct spw_error *error);
/* From now on signals stop `run`; NULL: nothing. */
void cli_interrupt_set_run(struct cli_interrupt *interrupt, struct spw_run *run);
bool cli_interrupt_came(const struct cli_interrupt *interrupt);
/* The exit code that a shell expects after the signal that came first, 128 + its number:
 * CLI_INTERRUPTED or CLI_TERMINATED. One must have come. */
int cli_interrupt_code(const struct cli_interrupt *interrupt);
/* A zeroed struct is allowed. */
void cli_interrupt_end(struct cli_interrupt *interrupt);

#endif
