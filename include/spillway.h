/* spillway.h — the public interface of Spillway.
 *
 * Spillway trains many models, each too big for one device, at once. This header is all that a
 * program needs; nothing else of the source tree is public.
 *
 * Conventions
 *  - Every function that can fail returns `enum spw_status`; SPW_OK is 0. Results come through the
 *    last pointers and are left alone on failure. Details (what was asked, where, why, the cure)
 *    are in the error record that the caller passed or that the context holds.
 *  - Sizes are `uint64_t` bytes, times `uint64_t` nanoseconds; the unit is the last word of a name.
 *  - create/destroy: the library owns the storage. init/deinit: the caller owns it. destroy and
 *    deinit accept NULL (or a zeroed struct) and cannot fail.
 *  - The library never prints, exits, or reads the environment. */
#ifndef SPILLWAY_H
#define SPILLWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SPW_VERSION "0.1.0"
#define SPW_API __attribute__((visibility("default")))
#define SPW_MUST_CHECK __attribute__((warn_unused_result))

/* One row per status: name, sentence. The enum and the texts come from this map and cannot drift. */
#define SPW_STATUS_MAP(X)                                                                          \
    X(OK, "success")                                                                               \
    X(PENDING, "not finished yet")                                                                 \
    X(ERR_ARGUMENT, "a bad argument")                                                              \
    X(ERR_USAGE, "a bad specification or input file")                                              \
    X(ERR_NO_MEMORY, "host memory could not be allocated")                                         \
    X(ERR_NO_SPACE, "no range is long enough")                                                     \
    X(ERR_DOES_NOT_FIT, "the plan needs more memory than there is")                                \
    X(ERR_IO, "a file could not be read or written")                                               \
    X(ERR_NOT_FOUND, "no such thing")                                                              \
    X(ERR_EXISTS, "exists already")                                                                \
    X(ERR_BUSY, "a queue is full")                                                                 \
    X(ERR_NO_DATA, "this device holds no data")                                                    \
    X(ERR_DEVICE, "a device failed")                                                               \
    X(ERR_NUMERIC, "a number is not finite")                                                       \
    X(ERR_CANCELLED, "cancelled")                                                                  \
    X(ERR_UNSUPPORTED, "not supported here")                                                       \
    X(ERR_INTERNAL, "an internal fault")

enum spw_status {
#define SPW_STATUS_ENUM(name, text) SPW_##name,
    SPW_STATUS_MAP(SPW_STATUS_ENUM)
#undef SPW_STATUS_ENUM
};

/* The first failure of a call and its details. Zero-initialise before use; later failures (of
 * clean-up, say) do not overwrite it. */
struct spw_error {
    enum spw_status status;
    int native;       /* errno or the library's own code, 0 if there is none */
    const char *file; /* source place that reported it */
    int line;
    char what[768]; /* what was asked, where (file:line:column), why, the cure */
};

/* Name ("ERR_IO") and sentence of a status; never NULL. */
SPW_API const char *spw_status_name(enum spw_status status);
SPW_API const char *spw_status_text(enum spw_status status);

#ifdef __cplusplus
}
#endif
#endif
