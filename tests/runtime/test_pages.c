/* Tests of runtime/memory/pages.c. */
#include "runtime/memory/pages.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/mman.h>

#define PAGES 8

static char *reserved(void)
{
    void *pages = NULL;
    cr_assert(spw_pages_reserve(PAGES * spw_pages_size(), "a test", NULL, &pages) == SPW_OK);
    return pages;
}

static int resident(char *pages)
{
    unsigned char in_memory[PAGES];
    int count = 0;
    cr_assert(mincore(pages, PAGES * spw_pages_size(), in_memory) == 0);
    for (int i = 0; i < PAGES; i++) {
        count += in_memory[i] & 1;
    }
    return count;
}

Test(pages, hold_memory_only_while_committed)
{
    const uint64_t page = spw_pages_size();
    char *pages = reserved();
    cr_assert(resident(pages) == 0);
    cr_assert(spw_pages_commit(pages + page, 3 * page, "a test", NULL) == SPW_OK);
    cr_assert(resident(pages) == 3, "faulted in, without a touch");
    for (uint64_t i = 0; i < 3 * page; i++) {
        cr_assert(pages[page + i] == 0);
        pages[page + i] = 1;
    }
    spw_pages_decommit(pages + 2 * page, page);
    cr_assert(resident(pages) == 2);
    cr_assert(spw_pages_commit(pages + 2 * page, page, "a test", NULL) == SPW_OK);
    cr_assert(pages[2 * page] == 0 && pages[page] == 1 && pages[3 * page] == 1);
    spw_pages_drop(pages, PAGES * page);
    spw_pages_drop(NULL, 0);
}

Test(pages, trap_before_they_are_committed, .signal = SIGSEGV)
{
    *(volatile char *)reserved() = 1;
}

Test(pages, trap_after_they_are_decommitted, .signal = SIGSEGV)
{
    char *pages = reserved();
    cr_assert(spw_pages_commit(pages, spw_pages_size(), "a test", NULL) == SPW_OK);
    pages[0] = 1;
    spw_pages_decommit(pages, spw_pages_size());
    *(volatile char *)pages = 2;
}

Test(pages, more_addresses_than_there_are_are_refused)
{
    void *pages = NULL;
    struct spw_error error = {0};
    const uint64_t bytes[] = {UINT64_C(1) << 62, (UINT64_C(1) << 63) + 4096};
    for (int i = 0; i < 2; i++) {
        spw_error_clear(&error);
        cr_assert(spw_pages_reserve(bytes[i], "the homes", &error, &pages) == SPW_ERR_NO_MEMORY);
        cr_assert(pages == NULL);
        cr_assert(strstr(error.what, "the homes") != NULL, "%s", error.what);
    }
}
