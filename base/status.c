/* status.c — names and sentences of the statuses, and the error record's writer.
 *
 * It prints nothing: the record is the caller's, and what to do with it is theirs too.
 * Tested by tests/base/test_status.c. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Both tables follow the map, so that a new status can't be forgotten here. */
static const char *const status_names[] = {
#define STATUS_NAME(name, text) #name,
    SPW_STATUS_MAP(STATUS_NAME)
#undef STATUS_NAME
};

static const char *const status_texts[] = {
#define STATUS_TEXT(name, text) text,
    SPW_STATUS_MAP(STATUS_TEXT)
#undef STATUS_TEXT
};

#define STATUS_COUNT (sizeof(status_names) / sizeof(status_names[0]))

const char *spw_status_name(enum spw_status status)
{
    return (size_t)status < STATUS_COUNT ? status_names[status] : "UNKNOWN";
}

const char *spw_status_text(enum spw_status status)
{
    return (size_t)status < STATUS_COUNT ? status_texts[status] : "an unknown status";
}

enum spw_status spw_error_set(struct spw_error *error, enum spw_status status, int native,
                              const char *file, int line, const char *format, ...)
{
    /* The first failure wins: what follows is usually clean-up that fails for the same reason. */
    if (error == NULL || error->status != SPW_OK) {
        return status;
    }
    error->status = status;
    error->native = native;
    error->file = file;
    error->line = line;

    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->what, sizeof(error->what), format, arguments);
    va_end(arguments);
    return status;
}

void spw_error_clear(struct spw_error *error)
{
    if (error != NULL) {
        memset(error, 0, sizeof(*error));
    }
}
