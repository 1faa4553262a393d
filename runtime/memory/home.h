/* home.h — host memory where blocks live when they are on no device: one pre-faulted arena of exact
 * size per run, handed out in ranges.
 *
 * A home address is a key, not a pointer to read through: the copy queues and the host cores open
 * it with spw_home_open(). In guarded mode (tests) the addresses that circulate are inaccessible
 * ones of their own, so that a compute worker that touched a home would crash at once, and released
 * ranges are filled with NaN. In both modes, pages on which nothing is taken any more go back to
 * the kernel and trap. One thread takes and gives back; any thread may open at the same time.
 * Tested by tests/runtime/test_home.c. */
#ifndef SPW_RUNTIME_MEMORY_HOME_H
#define SPW_RUNTIME_MEMORY_HOME_H

#include "base/extent.h"
#include "runtime/memory/shadow.h"

struct spw_home;

/* `budget_bytes` (> 0): the most that may be taken in all, each range rounded up to 64 bytes;
 * memory is faulted in as ranges are taken (whole pages, when a job is admitted), never later.
 * Addresses are reserved for more than the budget, so that free bytes in pieces still serve. */
enum spw_status spw_home_create(const struct spw_world *world, uint64_t budget_bytes, bool guarded,
                                struct spw_error *error, struct spw_home **out);
/* Homes of a run without data: addresses are handed out and counted as above, and there is nothing
 * at them. Opening one is a programmer's error, touching one a crash. With `faults` (borrowed, or
 * NULL) there is a shadow of what would be there, by offset. */
enum spw_status spw_home_create_addresses(const struct spw_world *world, uint64_t budget_bytes,
                                          struct spw_shadow_faults *faults, struct spw_error *error,
                                          struct spw_home **out);
bool spw_home_has_memory(const struct spw_home *home);
/* NULL: there is none. */
struct spw_shadow *spw_home_shadow(const struct spw_home *home);
/* For homes with a shadow: writes a value, and the hash of what is there. It is a fault if part of
 * that was never written; `what` says what is read, for the message. */
void spw_home_shadow_write(struct spw_home *home, const void *address, uint64_t bytes,
                           uint64_t value);
uint64_t spw_home_shadow_read(const struct spw_home *home, const void *address, uint64_t bytes,
                              const char *what);
void spw_home_destroy(struct spw_home *home);

/* A zeroed, faulted-in range of `bytes` (> 0), aligned to 64; *out is its home address.
 * SPW_ERR_DOES_NOT_FIT with the bytes missing if the budget is spent, SPW_ERR_NO_MEMORY if the
 * machine has less than the budget. The caller gives it back, as a whole. */
enum spw_status spw_home_take(struct spw_home *home, uint64_t bytes, struct spw_error *error,
                              void **out);
void spw_home_give_back(struct spw_home *home, void *address);

/* The readable and writable view of a home address. For copy queues, host cores, loaders and
 * export. */
void *spw_home_open(const struct spw_home *home, const void *address);
/* Offset of an address within the cores' region, and the region's open base: how the host cores
 * name homes in works. */
uint64_t spw_home_offset(const struct spw_home *home, const void *address);
void *spw_home_base(const struct spw_home *home);
/* Bytes of that region: every offset is below it. More than the budget. */
uint64_t spw_home_region_bytes(const struct spw_home *home);

uint64_t spw_home_used_bytes(const struct spw_home *home);
uint64_t spw_home_peak_bytes(const struct spw_home *home);
/* Pages that hold memory now: used bytes and at most two pages' rest per range. */
uint64_t spw_home_resident_bytes(const struct spw_home *home);

#endif
