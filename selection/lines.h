/* lines.h — a text file that grows line by line through a buffer of fixed size.
 *
 * Adding a line allocates nothing, so that a run in steady state doesn't either. The first failure
 * is kept: later lines are dropped, and flush and close report it. Tested by
 * tests/selection/test_lines.c. */
#ifndef SPW_SELECTION_LINES_H
#define SPW_SELECTION_LINES_H

#include "base/world.h"

#define SPW_LINES_BUFFER_BYTES 8192
#define SPW_LINE_BYTES_MAX 1024 /* the terminating NUL included */

struct spw_lines {
    const struct spw_world *world;
    const char *path;      /* borrowed */
    struct spw_file *file; /* NULL: not open */
    uint64_t used;
    struct spw_error failure;
    char buffer[SPW_LINES_BUFFER_BYTES];
};

/* Creates the file, which must not exist. */
enum spw_status spw_lines_open(struct spw_lines *lines, const struct spw_world *world,
                               const char *path, struct spw_error *error);
/* Appends one line; `format` ends in \n and its result has at most SPW_LINE_BYTES_MAX - 1 bytes. */
void spw_lines_add(struct spw_lines *lines, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Hands everything to the system, so that others can read it. */
enum spw_status spw_lines_flush(struct spw_lines *lines, struct spw_error *error);
/* Flushes, and syncs to the disk if `sync`. Closing what is not open does nothing. */
enum spw_status spw_lines_close(struct spw_lines *lines, bool sync, struct spw_error *error);

#endif
