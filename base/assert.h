/* assert.h — assertions for programmer errors, on in every build.
 *
 * Operating errors (bad input, no memory, I/O) are statuses, never assertions. */
#ifndef SPW_BASE_ASSERT_H
#define SPW_BASE_ASSERT_H

/* Prints the condition and its place to standard error and aborts. */
_Noreturn void spw_assert_fail(const char *condition, const char *file, int line,
                               const char *function);

#define SPW_ASSERT(condition)                                                                      \
    ((condition) ? (void)0 : spw_assert_fail(#condition, __FILE__, __LINE__, __func__))

/* For places that can't be reached, such as the end of a switch over all values of an enum. */
#define SPW_NEVER(what) spw_assert_fail(what, __FILE__, __LINE__, __func__)

#endif
