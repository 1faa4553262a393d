/* Tests of runtime/device/host_copy.c. */
#include "host_fixture.h"

#include "base/philox.h"

#include <criterion/criterion.h>
#include <string.h>

#define REGION (UINT64_C(8) << 20)

static void fill(uint32_t *words, uint64_t count, uint64_t key)
{
    spw_random_words(key, 0, 0, count, words);
}

/* Sizes round every border of the two ways to copy, at odd offsets, in and out again. */
Test(host_copy, copies_every_byte_and_no_other)
{
    struct host_fixture f = {0};
    host_fixture_open(&f, (struct spw_device_config){.region_bytes = REGION}, true);
    void *from;
    void *to;
    void *whole;
    cr_assert(spw_home_take(f.home, REGION, NULL, &from) == SPW_OK);
    cr_assert(spw_home_take(f.home, REGION, NULL, &to) == SPW_OK);
    cr_assert(spw_home_take(f.home, REGION, NULL, &whole) == SPW_OK);
    fill(spw_home_open(f.home, from), REGION / 4, 1);
    const uint64_t sizes[] = {1,     4,     63,    64,      65,      4095,    4096,        32767,
                              32768, 32769, 65536, 1000001, 1048576, 4194303, REGION - 256};
    const struct spw_wait none = {0};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const uint64_t bytes = sizes[i];
        const uint64_t at = i * 17 % 256;
        char *expected = spw_home_open(f.home, to);
        char *seen = spw_home_open(f.home, whole);
        /* The region is NaN but for what is copied in. */
        f.device->backend->poison(f.device, 0, REGION);
        uint64_t ticket = host_fixture_copy(&f, SPW_QUEUE_IN, (char *)from + i, at, bytes, none);
        ticket = host_fixture_copy(&f, SPW_QUEUE_OUT, whole, 0, REGION,
                                   (struct spw_wait){SPW_QUEUE_IN, ticket});
        cr_assert(host_fixture_next(&f, SPW_QUEUE_IN).status == SPW_OK);
        cr_assert(host_fixture_next(&f, SPW_QUEUE_OUT).ticket == ticket);
        for (uint64_t j = 0; j < REGION; j += 4) {
            memcpy(expected + j, &(uint32_t){0x7fc00000}, 4);
        }
        memcpy(expected + at, (char *)spw_home_open(f.home, from) + i, bytes);
        cr_assert(memcmp(expected, seen, REGION) == 0, "%lu bytes", (unsigned long)bytes);
    }
    host_fixture_close(&f);
}

/* Up to eight ranges in one command. */
Test(host_copy, copies_several_ranges_at_once)
{
    struct host_fixture f = {0};
    host_fixture_open(&f, (struct spw_device_config){.region_bytes = REGION}, true);
    void *from;
    void *to;
    cr_assert(spw_home_take(f.home, 8 * 4096, NULL, &from) == SPW_OK);
    cr_assert(spw_home_take(f.home, 8 * 4096, NULL, &to) == SPW_OK);
    fill(spw_home_open(f.home, from), 8 * 1024, 2);
    struct spw_copy in[SPW_COPIES_MAX];
    struct spw_copy out[SPW_COPIES_MAX];
    for (uint64_t i = 0; i < SPW_COPIES_MAX; i++) {
        in[i] = (struct spw_copy){(char *)from + i * 4096, (7 - i) * 65536, 4096};
        out[i] = (struct spw_copy){(char *)to + i * 4096, (7 - i) * 65536, 4096};
    }
    struct spw_wait wait = {SPW_QUEUE_IN, 0};
    uint64_t ticket;
    cr_assert(f.device->backend->copy(f.device, SPW_QUEUE_IN, in, SPW_COPIES_MAX, NULL, 0,
                                      &wait.ticket) == SPW_OK);
    cr_assert(f.device->backend->copy(f.device, SPW_QUEUE_OUT, out, SPW_COPIES_MAX, &wait, 1,
                                      &ticket) == SPW_OK);
    cr_assert(host_fixture_next(&f, SPW_QUEUE_OUT).status == SPW_OK);
    cr_assert(memcmp(spw_home_open(f.home, from), spw_home_open(f.home, to), 8 * 4096) == 0);
    host_fixture_close(&f);
}
