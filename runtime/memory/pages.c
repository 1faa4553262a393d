/* pages.c — reserved and committed pages, by mmap, mprotect and madvise.
 *
 * It keeps no state; who owns which pages is the caller's business.
 * Tested by tests/runtime/test_pages.c. */
#include "runtime/memory/pages.h"

#include "base/assert.h"
#include "base/text.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

uint64_t spw_pages_size(void)
{
    const long size = sysconf(_SC_PAGESIZE);
    SPW_ASSERT(size > 0);
    return (uint64_t)size;
}

static enum spw_status no_memory(struct spw_error *error, int native, const char *action,
                                 uint64_t bytes, const char *what)
{
    char size[32];
    char text[96];
    return SPW_FAIL_NATIVE(error, SPW_ERR_NO_MEMORY, native, "%s of %s could not be %s: %s", what,
                           spw_format_bytes(bytes, size), action, spw_errno_text(native, text));
}

enum spw_status spw_pages_reserve(uint64_t bytes, const char *what, struct spw_error *error,
                                  void **out)
{
    SPW_ASSERT(bytes > 0 && bytes % spw_pages_size() == 0);
    void *pages = bytes > PTRDIFF_MAX ? MAP_FAILED
                                      : mmap(NULL, (size_t)bytes, PROT_NONE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) {
        return no_memory(error, bytes > PTRDIFF_MAX ? ENOMEM : errno, "reserved", bytes, what);
    }
    *out = pages;
    return SPW_OK;
}

void spw_pages_drop(void *pages, uint64_t bytes)
{
    if (pages != NULL) {
        SPW_ASSERT(munmap(pages, (size_t)bytes) == 0);
    }
}

/* 0 or an errno value. */
static int fault_in(char *pages, uint64_t bytes)
{
#ifdef MADV_POPULATE_WRITE
    int native;
    do {
        native = madvise(pages, (size_t)bytes, MADV_POPULATE_WRITE) == 0 ? 0 : errno;
    } while (native == EINTR || native == EAGAIN);
    if (native != EINVAL) {
        return native;
    }
#endif
    /* Kernels before 5.14: touch each page. If memory runs out, the kernel kills us, which is what
     * it would do later anyway. */
    const uint64_t step = spw_pages_size();
    for (uint64_t offset = 0; offset < bytes; offset += step) {
        *(volatile char *)(pages + offset) = 0;
    }
    return 0;
}

enum spw_status spw_pages_commit(void *pages, uint64_t bytes, const char *what,
                                 struct spw_error *error)
{
    int native = mprotect(pages, (size_t)bytes, PROT_READ | PROT_WRITE) == 0 ? 0 : errno;
    if (native == 0) {
        native = fault_in(pages, bytes);
    }
    if (native != 0) {
        spw_pages_decommit(pages, bytes);
        return no_memory(error, native, "filled with memory", bytes, what);
    }
    return SPW_OK;
}

void spw_pages_decommit(void *pages, uint64_t bytes)
{
    /* The advice is what gives the memory back. Protecting the pages splits a mapping, of which the
     * kernel allows some 65,000; past that they stay accessible, which harms nobody. */
    SPW_ASSERT(madvise(pages, (size_t)bytes, MADV_DONTNEED) == 0);
    (void)mprotect(pages, (size_t)bytes, PROT_NONE);
}
