/* status.h — reporting failures: the error record's writer and the two propagation macros.
 *
 * A function that detects a failure records it once, where it knows most, and returns the status.
 * Callers pass it on with SPW_TRY. The first failure wins. Tested by tests/base/test_status.c. */
#ifndef SPW_BASE_STATUS_H
#define SPW_BASE_STATUS_H

#include <spillway.h>

/* Records `status` with a printf-style text unless `error` (which may be NULL) already holds a
 * failure. Returns `status`, so that `return SPW_FAIL(...)` reads well. */
enum spw_status spw_error_set(struct spw_error *error, enum spw_status status, int native,
                              const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Forgets a recorded failure. */
void spw_error_clear(struct spw_error *error);

/* The value is `status` itself, evaluated twice, rather than what the function returns: so
 * compilers and analysers see that a failure is not SPW_OK. */
#define SPW_FAIL(error, status, ...) SPW_FAIL_NATIVE((error), (status), 0, __VA_ARGS__)
#define SPW_FAIL_NATIVE(error, status, native, ...)                                                \
    ((void)spw_error_set((error), (status), (native), __FILE__, __LINE__, __VA_ARGS__), (status))

/* Passes a failure on to the caller. */
#define SPW_TRY(expression)                                                                        \
    do {                                                                                           \
        enum spw_status try_status_ = (expression);                                                \
        if (try_status_ != SPW_OK) {                                                               \
            return try_status_;                                                                    \
        }                                                                                          \
    } while (0)

/* The same, for functions with clean-up: needs a local `status`, jumps to `label`. */
#define SPW_TRY_GOTO(expression, label)                                                            \
    do {                                                                                           \
        status = (expression);                                                                     \
        if (status != SPW_OK) {                                                                    \
            goto label;                                                                            \
        }                                                                                          \
    } while (0)

#endif
