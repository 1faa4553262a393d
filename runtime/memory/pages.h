/* pages.h — address space from the kernel: reserved without memory, then given memory page by page.
 *
 * Device regions and homes stand on it. Memory is faulted in where it is asked for, so that a
 * machine that has too little says so there and not in the middle of a step. Tested by
 * tests/runtime/test_pages.c. */
#ifndef SPW_RUNTIME_MEMORY_PAGES_H
#define SPW_RUNTIME_MEMORY_PAGES_H

#include "base/status.h"

/* Bytes of a page, a power of two. */
uint64_t spw_pages_size(void);

/* Addresses for `bytes` (a multiple of the page size, > 0) that hold no memory and trap on every
 * access. SPW_ERR_NO_MEMORY, with `what` ("the homes"), if there are none. The caller drops
 * them. */
enum spw_status spw_pages_reserve(uint64_t bytes, const char *what, struct spw_error *error,
                                  void **out);
void spw_pages_drop(void *pages, uint64_t bytes); /* NULL is allowed */

/* Zeroed, readable and writable memory behind reserved pages that have none yet, all of it faulted
 * in. On SPW_ERR_NO_MEMORY they are as before. */
enum spw_status spw_pages_commit(void *pages, uint64_t bytes, const char *what,
                                 struct spw_error *error);
/* The reverse: the memory goes back to the kernel, the addresses trap again. */
void spw_pages_decommit(void *pages, uint64_t bytes);

#endif
