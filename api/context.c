/* context.c — makes a context, and shows what went wrong in it.
 * Tested by tests/api/test_context.c. */
#include "api/context.h"

#include "base/assert.h"

enum spw_status spw_context_create_in(const struct spw_world *world, struct spw_context **out)
{
    struct spw_context *context;
    SPW_TRY(spw_allocate(world, 1, sizeof(*context), "a context", NULL, &context));
    context->world = world;
    *out = context;
    return SPW_OK;
}

enum spw_status spw_context_create(struct spw_context **out)
{
    return out != NULL ? spw_context_create_in(spw_world_system(), out) : SPW_ERR_ARGUMENT;
}

void spw_context_destroy(struct spw_context *context)
{
    if (context != NULL) {
        /* Otherwise they would note their failures in freed memory. */
        SPW_ASSERT(context->parts == 0);
        spw_release(context->world, context);
    }
}

const struct spw_error *spw_context_error(const struct spw_context *context)
{
    static const struct spw_error no_context = {
        .status = SPW_ERR_ARGUMENT,
        .file = __FILE__,
        .line = __LINE__,
        .what = "there is no context; call spw_context_create() and look at what it returns",
    };
    return context != NULL ? &context->error : &no_context;
}

void spw_context_clear(struct spw_context *context)
{
    if (context != NULL) {
        spw_error_clear(&context->error);
    }
}
