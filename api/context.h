/* context.h — the context behind the public interface: a world, and the record of the first
 * failure.
 *
 * Everything that the public functions make notes its failures here. Tests make a context in a
 * world of their own; users get the system's. Tested by tests/api/test_context.c. */
#ifndef SPW_API_CONTEXT_H
#define SPW_API_CONTEXT_H

#include "base/world.h"

struct spw_context {
    const struct spw_world *world;
    struct spw_error error;
    uint32_t parts; /* data sets, models and sessions that are alive */
};

/* As spw_context_create(), with memory, files and clock from `world`, which is borrowed. */
enum spw_status spw_context_create_in(const struct spw_world *world, struct spw_context **out);

/* Notes a bad argument: what was asked, why it can't be, the cure. Is the status. */
#define SPW_REFUSE(context, ...) SPW_FAIL(&(context)->error, SPW_ERR_ARGUMENT, __VA_ARGS__)

#endif
