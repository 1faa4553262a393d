/* Tests of runtime/memory/home.c. */
#include "runtime/memory/home.h"

#include "base/philox.h"
#include "runtime/memory/pages.h"
#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define BUDGET (UINT64_C(1) << 20)

static struct spw_home *home_of(uint64_t budget, bool guarded)
{
    struct spw_home *home = NULL;
    cr_assert(spw_home_create(spw_world_system(), budget, guarded, NULL, &home) == SPW_OK);
    return home;
}

static char *take(struct spw_home *home, uint64_t bytes)
{
    struct spw_error error = {0};
    void *address = NULL;
    cr_assert(spw_home_take(home, bytes, &error, &address) == SPW_OK, "%s", error.what);
    return address;
}

static bool is_zero(const char *bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

Test(home, hands_out_zeroed_aligned_ranges)
{
    struct spw_home *home = home_of(BUDGET, false);
    char *a = take(home, 100);
    char *b = take(home, 5000);
    cr_assert((uintptr_t)a % 64 == 0 && (uintptr_t)b % 64 == 0);
    cr_assert(spw_home_open(home, a) == a, "unguarded homes are opened as they are");
    cr_assert((char *)spw_home_base(home) + spw_home_offset(home, b) == b);
    cr_assert(is_zero(a, 100) && is_zero(b, 5000));
    cr_assert(spw_home_used_bytes(home) == 128 + 5056);
    memset(a, 1, 100);
    memset(b, 1, 5000);
    spw_home_give_back(home, a);
    spw_home_give_back(home, b);
    cr_assert(spw_home_used_bytes(home) == 0 && spw_home_peak_bytes(home) == 128 + 5056);
    cr_assert(spw_home_resident_bytes(home) == 0);
    spw_home_destroy(home);
    spw_home_destroy(NULL);
}

/* Exactly the budget fits, whatever the pieces; one byte more is refused and told. */
Test(home, keeps_to_its_budget)
{
    struct spw_home *home = home_of(1000 * 64, false);
    char *ranges[1000];
    for (int i = 0; i < 1000; i++) {
        ranges[i] = take(home, 64);
    }
    void *none = NULL;
    struct spw_error error = {0};
    cr_assert(spw_home_take(home, 1, &error, &none) == SPW_ERR_DOES_NOT_FIT);
    cr_assert(none == NULL);
    cr_assert(strstr(error.what, "64 bytes too few") != NULL, "%s", error.what);
    cr_assert(strstr(error.what, "resources.host_memory") != NULL, "%s", error.what);

    /* Half of it free, in pieces of 64 bytes: still good for one long range. */
    for (int i = 0; i < 1000; i += 2) {
        spw_home_give_back(home, ranges[i]);
    }
    char *whole = take(home, 500 * 64);
    cr_assert(is_zero(whole, 500 * 64));
    error = (struct spw_error){0};
    cr_assert(spw_home_take(home, 128, &error, &none) == SPW_ERR_DOES_NOT_FIT);
    cr_assert(spw_home_peak_bytes(home) == 1000 * 64);
    spw_home_destroy(home);
}

Test(home, refuses_more_than_can_be)
{
    struct spw_home *home = home_of(BUDGET, false);
    void *none = NULL;
    struct spw_error error = {0};
    cr_assert(spw_home_take(home, UINT64_MAX, &error, &none) == SPW_ERR_DOES_NOT_FIT);
    spw_home_destroy(home);
    home = NULL;
    const uint64_t budgets[] = {0, UINT64_MAX, UINT64_C(1) << 62};
    for (int i = 0; i < 3; i++) {
        error = (struct spw_error){0};
        cr_assert(spw_home_create(spw_world_system(), budgets[i], false, &error, &home) ==
                  SPW_ERR_ARGUMENT);
        cr_assert(home == NULL && error.status == SPW_ERR_ARGUMENT);
    }
}

/* Bytes of anonymous memory that the kernel says we hold. */
static int64_t resident_set(void)
{
    char line[256];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    cr_assert(file != NULL);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "RssAnon: %ld kB", &kib) == 1) {
            break;
        }
    }
    (void)fclose(file);
    cr_assert(kib >= 0);
    return (int64_t)kib * 1024;
}

Test(home, holds_as_much_memory_as_is_taken)
{
    struct spw_home *home = home_of(UINT64_C(64) << 20, false);
    const int64_t before = resident_set();
    char *a = take(home, UINT64_C(32) << 20);
    char *b = take(home, UINT64_C(16) << 20);
    const int64_t both = resident_set() - before;
    cr_assert(both >= (48 << 20) && both < (48 << 20) + (1 << 20), "%ld", (long)both);
    spw_home_give_back(home, a);
    const int64_t one = resident_set() - before;
    cr_assert(one >= (16 << 20) && one < (16 << 20) + (1 << 20), "%ld", (long)one);
    spw_home_give_back(home, b);
    cr_assert(resident_set() - before < (1 << 20));
    spw_home_destroy(home);
}

struct model_range {
    char *address;
    uint64_t bytes;
    unsigned char mark;
};

/* Marks every byte of a new range and checks that nobody else wrote to an old one. */
static void churn(bool guarded)
{
    struct spw_home *home = home_of(BUDGET, guarded);
    struct model_range ranges[64] = {0};
    uint64_t used = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        const uint32_t draw = spw_random_word(guarded, 0, i);
        struct model_range *range = &ranges[draw % 64];
        if (range->address != NULL) {
            const unsigned char *open = spw_home_open(home, range->address);
            for (uint64_t j = 0; j < range->bytes; j += 61) {
                cr_assert(open[j] == range->mark, "step %u: overwritten", (unsigned)i);
            }
            spw_home_give_back(home, range->address);
            used -= (range->bytes + 63) / 64 * 64;
            *range = (struct model_range){0};
        } else {
            range->bytes = 1 + (draw >> 8) % (draw >> 31 ? 40000 : 900);
            range->mark = (unsigned char)(i | 1);
            range->address = take(home, range->bytes);
            used += (range->bytes + 63) / 64 * 64;
            char *open = spw_home_open(home, range->address);
            cr_assert(is_zero(open, range->bytes), "step %u: not zero", (unsigned)i);
            memset(open, range->mark, range->bytes);
        }
        cr_assert(spw_home_used_bytes(home) == used);
        cr_assert(spw_home_resident_bytes(home) >= used);
        cr_assert(spw_home_resident_bytes(home) <= used + 64 * 2 * spw_pages_size());
    }
    spw_home_destroy(home);
}

Test(home, keeps_ranges_apart)
{
    churn(false);
}

Test(home, keeps_guarded_ranges_apart)
{
    churn(true);
}

Test(home, guarded_addresses_are_keys)
{
    struct spw_home *home = home_of(BUDGET, true);
    char *a = take(home, 4096);
    char *open = spw_home_open(home, a);
    cr_assert(open != a);
    cr_assert(spw_home_open(home, a + 100) == open + 100, "also within a range");
    open[100] = 1;
    spw_home_destroy(home);
}

Test(home, guarded_addresses_trap_on_reading, .signal = SIGSEGV)
{
    struct spw_home *home = home_of(BUDGET, true);
    cr_assert(*(volatile char *)take(home, 4096) == 1);
}

Test(home, guarded_addresses_trap_on_writing, .signal = SIGSEGV)
{
    struct spw_home *home = home_of(BUDGET, true);
    *(volatile char *)take(home, 4096) = 1;
}

/* What stays mapped, as a neighbour needs the page, becomes NaN. */
Test(home, guarded_ranges_become_nan)
{
    struct spw_home *home = home_of(BUDGET, true);
    char *a = take(home, 256);
    char *b = take(home, 256);
    const float *open = spw_home_open(home, a);
    cr_assert(open[0] == 0 && b != NULL);
    spw_home_give_back(home, a);
    for (int i = 0; i < 64; i++) {
        cr_assert(isnan(open[i]));
    }
    spw_home_destroy(home);
}

Test(home, ranges_given_back_trap, .signal = SIGSEGV)
{
    struct spw_home *home = home_of(BUDGET, false);
    char *a = take(home, 4096);
    *(volatile char *)a = 1;
    spw_home_give_back(home, a);
    *(volatile char *)a = 2;
}

Test(home, a_range_is_given_back_once, .signal = SIGABRT)
{
    struct spw_home *home = home_of(BUDGET, false);
    char *a = take(home, 4096);
    spw_home_give_back(home, a);
    spw_home_give_back(home, a);
}

Test(home, a_stranger_is_no_home, .signal = SIGABRT)
{
    struct spw_home *home = home_of(BUDGET, false);
    int stranger = 0;
    (void)spw_home_open(home, &stranger);
}

/* Every allocation fails once: nothing is lost, nothing crashes. */
Test(home, survives_a_lack_of_memory)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    for (uint64_t at = 1;; at++) {
        spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = at});
        struct spw_home *home = NULL;
        struct spw_error error = {0};
        void *address = NULL;
        enum spw_status status = spw_home_create(&fault.world, BUDGET, true, &error, &home);
        if (status == SPW_OK) {
            status = spw_home_take(home, 100, &error, &address);
        }
        cr_assert(status == (spw_fault_world_struck(&fault) ? SPW_ERR_NO_MEMORY : SPW_OK));
        spw_home_destroy(home);
        cr_assert(spw_fault_world_clean(&fault));
        if (status == SPW_OK) {
            cr_assert(at > 3);
            break;
        }
    }
}

/* Homes without memory give out and count addresses of which a machine has far fewer. */
Test(home, addresses_need_no_memory)
{
    const uint64_t budget = UINT64_C(1) << 50;
    struct spw_home *home = NULL;
    void *ranges[3];
    cr_assert(spw_home_create_addresses(spw_world_system(), budget, NULL, NULL, &home) == SPW_OK);
    cr_assert(!spw_home_has_memory(home));
    for (int i = 0; i < 3; i++) {
        cr_assert(spw_home_take(home, budget / 4, NULL, &ranges[i]) == SPW_OK);
        cr_assert(spw_home_offset(home, ranges[i]) % 64 == 0);
        for (int k = 0; k < i; k++) {
            cr_assert(ranges[k] != ranges[i]);
        }
    }
    struct spw_error error = {0};
    void *more = NULL;
    cr_assert(spw_home_take(home, budget / 2, &error, &more) == SPW_ERR_DOES_NOT_FIT);
    spw_home_give_back(home, ranges[1]);
    cr_assert(spw_home_take(home, budget / 2, NULL, &more) == SPW_OK);
    cr_assert(spw_home_used_bytes(home) == budget && spw_home_resident_bytes(home) == 0);
    cr_assert(spw_home_peak_bytes(home) == budget);
    spw_home_destroy(home);
}

Test(home, there_is_nothing_at_a_mere_address, .signal = SIGSEGV)
{
    struct spw_home *home = NULL;
    void *range = NULL;
    cr_assert(spw_home_create_addresses(spw_world_system(), 4096, NULL, NULL, &home) == SPW_OK);
    cr_assert(spw_home_take(home, 64, NULL, &range) == SPW_OK);
    *(volatile char *)range = 1;
}

Test(home, opening_a_mere_address_is_found_out, .signal = SIGABRT)
{
    struct spw_home *home = NULL;
    void *range = NULL;
    cr_assert(spw_home_create_addresses(spw_world_system(), 4096, NULL, NULL, &home) == SPW_OK);
    cr_assert(spw_home_take(home, 64, NULL, &range) == SPW_OK);
    (void)spw_home_open(home, range);
}
