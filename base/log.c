/* log.c — formats a message for the callback. Tested by tests/base/test_log.c. */
#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* Longer messages are cut: a log line is no place for data, and the stack is a safe one. */
#define TEXT_BYTES_MAX 1024

void spw_log(const struct spw_log *log, enum spw_log_level level, const char *subsystem,
             const char *format, ...)
{
    if (log == NULL || log->write == NULL || level > log->level) {
        return;
    }
    char text[TEXT_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    log->write(log->self, level, subsystem, text);
}
