/* Tests of base/text_format.c. */
#include "base/text.h"

#include "base/philox.h"

#include <criterion/criterion.h>

struct sample {
    uint64_t value;
    const char *text;
};

static void expect_all(const struct sample *samples, size_t count,
                       const char *(*format)(uint64_t, char[32]))
{
    for (size_t i = 0; i < count; i++) {
        char out[32];
        cr_assert(format(samples[i].value, out) == out);
        cr_assert_str_eq(out, samples[i].text);
    }
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

Test(text_format, bytes)
{
    static const struct sample samples[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {8388608, "8.0 MiB"},
        {1048575, "1.0 MiB"},
        {1610612736, "1.5 GiB"},
        {UINT64_MAX, "16.0 EiB"},
    };
    expect_all(samples, COUNT(samples), spw_format_bytes);
}

Test(text_format, times)
{
    static const struct sample samples[] = {
        {0, "0 ns"},
        {999, "999 ns"},
        {1500, "1.50 us"},
        {999499, "999 us"},
        {999500, "1.00 ms"},
        {UINT64_C(250000000), "250 ms"},
        {UINT64_C(12300000000), "12.3 s"},
        {UINT64_C(59940000000), "59.9 s"},
        {UINT64_C(59960000000), "1 m 00 s"},
        {UINT64_C(125000000000), "2 m 05 s"},
        {UINT64_C(3720000000000), "1 h 02 m"},
        {UINT64_C(90000000000000), "1 d 01 h"},
    };
    expect_all(samples, COUNT(samples), spw_format_time);
}

Test(text_format, counts)
{
    static const struct sample samples[] = {
        {0, "0"},
        {999, "999"},
        {1000, "1.00 k"},
        {1240000, "1.24 M"},
        {12400000, "12.4 M"},
        {999499, "999 k"},
        {999500, "1.00 M"},
        {9995, "10.0 k"},
        {99950, "100 k"},
        {UINT64_MAX, "18.4 E"},
    };
    expect_all(samples, COUNT(samples), spw_format_count);
}

Test(text_format, printed_bytes_are_short)
{
    static const struct sample samples[] = {
        {0, "0"},
        {1, "1"},
        {1024, "1KiB"},
        {8388608, "8MiB"},
        {8388609, "8388609"},
        {65536, "64KiB"},
        {2000000000, "2GB"},
        {1610612736, "1536MiB"},
        {1000, "1KB"},
        {UINT64_C(1) << 63, "8388608TiB"},
    };
    expect_all(samples, COUNT(samples), spw_print_bytes);
}

Test(text_format, printed_bytes_read_back_exactly)
{
    for (uint64_t i = 0; i < 20000; i++) {
        const uint64_t word = spw_random_word(3, 0, i * 2) |
                              (uint64_t)spw_random_word(3, 0, i * 2 + 1) << 32;
        const uint64_t bytes = (word >> (1 + i % 60)) << (i % 7 * (i % 3) * 5) & INT64_MAX;
        char out[32];
        uint64_t back = 0;
        cr_assert(spw_parse_bytes(spw_print_bytes(bytes, out), &back), "'%s'", out);
        cr_assert(back == bytes, "'%s'", out);
    }
}
