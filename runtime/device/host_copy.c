/* host_copy.c — the host backend's copy queues: memory to memory, in one thread each.
 *
 * Copied from memory that is in no cache to a region of 8 MiB, then read once by the core that
 * copied (2 cores of an EPYC with 32 MiB of L3, 4 KiB pages, median of 41, GB/s of copy / of copy
 * and reading):
 *
 *              64 KiB   256 KiB     1 MiB     4 MiB    16 MiB    64 MiB
 *   memcpy    22 / 16   23 / 16   24 / 17   27 / 19   26 / 17   17 / 11
 *   rep movsb 32 / 21   36 / 22   32 / 21   34 / 22   33 / 20   25 / 14
 *   AVX-512   27 / 13   30 / 15   19 / 11   25 / 14   26 / 14   25 / 14   (non-temporal stores)
 *
 * So `rep movsb` where the processor says that it is made for that: it doesn't read the target
 * before it is overwritten, but, unlike non-temporal stores, leaves the data in the cache for the
 * kernels. Tested by tests/runtime/test_host_copy.c. */
#include "base/assert.h"
#include "base/status.h"
#include "runtime/device/host.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* Below, the string instruction's start-up costs more than it gains. */
#define FAST_STRINGS_MIN (UINT64_C(32) << 10)

bool spw_host_copy_has_fast_strings(void)
{
#if defined(__x86_64__)
    unsigned eax;
    unsigned ebx;
    unsigned ecx;
    unsigned edx;
    const unsigned erms = 1u << 9; /* "enhanced rep movsb" */
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx & erms) != 0;
#else
    return false;
#endif
}

static void copy_fast_strings(void *to, const void *from, uint64_t bytes)
{
#if defined(__x86_64__)
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
#else
    memcpy(to, from, (size_t)bytes);
#endif
}

void spw_host_copy_run(const struct spw_host_device *device, enum spw_queue queue,
                       const struct spw_host_command *command)
{
    SPW_ASSERT(queue == SPW_QUEUE_IN || queue == SPW_QUEUE_OUT);
    for (uint32_t i = 0; i < command->copy_count; i++) {
        const struct spw_copy *copy = &command->copies[i];
        char *inside = device->region + copy->region_offset;
        char *home = spw_home_open(device->home, copy->home);
        void *to = queue == SPW_QUEUE_IN ? inside : home;
        const void *from = queue == SPW_QUEUE_IN ? home : inside;
        if (device->fast_strings && copy->bytes >= FAST_STRINGS_MIN) {
            copy_fast_strings(to, from, copy->bytes);
        } else {
            memcpy(to, from, (size_t)copy->bytes);
        }
    }
}
