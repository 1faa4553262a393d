/* log.h — levels and subsystems to a callback; the library itself prints nothing. */
#ifndef SPW_BASE_LOG_H
#define SPW_BASE_LOG_H

enum spw_log_level { SPW_LOG_ERROR, SPW_LOG_WARNING, SPW_LOG_INFO, SPW_LOG_DEBUG };

struct spw_log {
    void *self;
    /* NULL: silence. `subsystem` is a constant such as "executor". May be called from any thread.
     */
    void (*write)(void *self, enum spw_log_level level, const char *subsystem, const char *text);
    enum spw_log_level level; /* messages above it are not formatted */
};

void spw_log(const struct spw_log *log, enum spw_log_level level, const char *subsystem,
             const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
