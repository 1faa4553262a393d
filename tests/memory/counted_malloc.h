/* counted_malloc.h — counts every allocation of the process while told to, by whose code asked.
 *
 * The functions of the allocator are defined in the test program itself, so that all of it, vendor
 * libraries included, calls them. Not for sanitizers, which have allocators of their own. */
#ifndef SPW_TESTS_MEMORY_COUNTED_MALLOC_H
#define SPW_TESTS_MEMORY_COUNTED_MALLOC_H

#include <stdbool.h>
#include <stdint.h>

enum counted_caller {
    COUNTED_OURS,   /* this program, and libraries that work for it alone, such as libc */
    COUNTED_VENDOR, /* the matrix library and the C++ and OpenMP libraries under it */
    COUNTED_CALLERS,
};

struct counted_malloc {
    uint64_t calls[COUNTED_CALLERS]; /* malloc, calloc, realloc, aligned ones, free of non-NULL */
    void *first;                     /* where the first of ours came from, NULL: none */
};

/* Reads the address ranges of the loaded libraries; before the first count. */
void counted_malloc_init(void);
void counted_malloc_start(void); /* from zero */
struct counted_malloc counted_malloc_stop(void);

#endif
