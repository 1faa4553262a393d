/* temporary.h — a directory of its own for a test, removed with everything in it.
 *
 * Tested by its users. */
#ifndef SPW_TESTS_SUPPORT_TEMPORARY_H
#define SPW_TESTS_SUPPORT_TEMPORARY_H

#include <stddef.h>

struct spw_temporary {
    char path[256]; /* absolute, without a slash at the end */
};

/* Makes the directory below TMPDIR or /tmp; aborts the test if it can't. */
void spw_temporary_init(struct spw_temporary *temporary);
void spw_temporary_deinit(struct spw_temporary *temporary);
/* DIRECTORY/name into `out`, which is also returned. */
const char *spw_temporary_path(const struct spw_temporary *temporary, const char *name,
                               char out[512]);
/* Writes a small file; aborts the test if it can't. */
void spw_temporary_write(const struct spw_temporary *temporary, const char *name, const void *data,
                         size_t bytes);
/* Number of entries in the directory, subdirectories not entered. */
int spw_temporary_count(const struct spw_temporary *temporary);

#endif
