/* counted_malloc.c — see counted_malloc.h. The work is done by glibc's own functions, which it
 * offers under a second name. */
#include "counted_malloc.h"

#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);
extern void __libc_free(void *memory);

enum { RANGES_MAX = 64 };

/* Code of vendor libraries. Written by counted_malloc_init() alone, before threads. */
static struct {
    uintptr_t begin, end;
} vendor[RANGES_MAX];
static int vendor_count;

static atomic_bool counting;
static atomic_uint_fast64_t calls[COUNTED_CALLERS];
static _Atomic(void *) first_ours;

static bool is_vendor_name(const char *name)
{
    return strstr(name, "libdnnl") != NULL || strstr(name, "libstdc++") != NULL ||
           strstr(name, "libgomp") != NULL || strstr(name, "libtbb") != NULL;
}

static int add_ranges(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    (void)data;
    for (int i = 0; is_vendor_name(info->dlpi_name) && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD && (header->p_flags & PF_X) != 0 &&
            vendor_count < RANGES_MAX) {
            vendor[vendor_count].begin = info->dlpi_addr + header->p_vaddr;
            vendor[vendor_count].end = vendor[vendor_count].begin + header->p_memsz;
            vendor_count++;
        }
    }
    return 0;
}

void counted_malloc_init(void)
{
    (void)dl_iterate_phdr(add_ranges, NULL);
}

void counted_malloc_start(void)
{
    for (int i = 0; i < COUNTED_CALLERS; i++) {
        atomic_store(&calls[i], 0);
    }
    atomic_store(&first_ours, NULL);
    atomic_store(&counting, true);
}

struct counted_malloc counted_malloc_stop(void)
{
    struct counted_malloc result;
    atomic_store(&counting, false);
    for (int i = 0; i < COUNTED_CALLERS; i++) {
        result.calls[i] = atomic_load(&calls[i]);
    }
    result.first = atomic_load(&first_ours);
    return result;
}

static void count(void *caller)
{
    if (!atomic_load_explicit(&counting, memory_order_relaxed)) {
        return;
    }
    const uintptr_t at = (uintptr_t)caller;
    for (int i = 0; i < vendor_count; i++) {
        if (at >= vendor[i].begin && at < vendor[i].end) {
            atomic_fetch_add(&calls[COUNTED_VENDOR], 1);
            return;
        }
    }
    void *none = NULL;
    atomic_fetch_add(&calls[COUNTED_OURS], 1);
    atomic_compare_exchange_strong(&first_ours, &none, caller);
}

/* ---- the allocator's functions, for the libraries to find ---- */

#pragma GCC visibility push(default)

void *malloc(size_t bytes)
{
    count(__builtin_return_address(0));
    return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t size)
{
    count(__builtin_return_address(0));
    return __libc_calloc(n, size);
}

void *realloc(void *memory, size_t bytes)
{
    count(__builtin_return_address(0));
    return __libc_realloc(memory, bytes);
}

void *memalign(size_t alignment, size_t bytes)
{
    count(__builtin_return_address(0));
    return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    count(__builtin_return_address(0));
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    count(__builtin_return_address(0));
    void *memory = __libc_memalign(alignment, bytes);
    if (memory == NULL) {
        return ENOMEM;
    }
    *out = memory;
    return 0;
}

void free(void *memory)
{
    if (memory != NULL) {
        count(__builtin_return_address(0));
    }
    __libc_free(memory);
}

#pragma GCC visibility pop
