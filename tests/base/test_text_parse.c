/* Tests of base/text_parse.c. */
#include "base/text.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <string.h>

struct quantity {
    const char *text;
    uint64_t value;
};

static void expect_all(const struct quantity *cases, size_t count,
                       bool (*parse)(const char *, uint64_t *))
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 0;
        cr_assert(parse(cases[i].text, &value), "'%s' was refused", cases[i].text);
        cr_assert(value == cases[i].value, "'%s' gave %llu", cases[i].text,
                  (unsigned long long)value);
    }
}

static void refuse_all(const char *const *texts, bool (*parse)(const char *, uint64_t *))
{
    for (; *texts != NULL; texts++) {
        uint64_t value = 77;
        cr_assert(!parse(*texts, &value), "'%s' gave %llu", *texts, (unsigned long long)value);
        cr_assert(value == 77, "'%s' changed the result", *texts);
    }
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

Test(text_parse, bytes)
{
    static const struct quantity cases[] = {
        {"0", 0},
        {"4096", 4096},
        {"007", 7},
        {"8MiB", 8388608},
        {"8 MiB", 8388608},
        {"1.5GiB", 1610612736},
        {"2GB", 2000000000},
        {"1kB", 1000},
        {"1KB", 1000},
        {"512B", 512},
        {"0.1KiB", 102}, /* rounded down */
        {"0.1GB", 100000000},
        {"0.000000000000000001PB", 0},
        {"8191PiB", UINT64_C(8191) << 50},
        {"9223372036854775808", UINT64_C(1) << 63},
        {"000000000000000000000000000001", 1},
    };
    static const char *const bad[] = {
        "",
        " ",
        "MiB",
        "-1",
        "+1",
        "1.",
        ".5MiB",
        "1 ",
        "1  MiB",
        "8mib",
        "8M",
        "8Mi",
        "1e3",
        "0x10",
        "1,5GB",
        "8MiBx",
        "8192PiB1",
        "9223372036854775809",
        "8193PiB",
        "1..5GB",
        "99999999999999999999999",
        "0.0000000000000000001GB",
        "18446744073709551616",
        NULL,
    };
    expect_all(cases, COUNT(cases), spw_parse_bytes);
    refuse_all(bad, spw_parse_bytes);
}

Test(text_parse, rates)
{
    static const struct quantity cases[] = {
        {"12GB/s", UINT64_C(12000000000)},
        {"800MB/s", 800000000},
        {"1.5 GiB/s", 1610612736},
        {"100B/s", 100},
    };
    static const char *const bad[] = {"", "12", "12GB", "12GB/", "12GB/m", "12 /s", "-1GB/s", NULL};
    expect_all(cases, COUNT(cases), spw_parse_rate);
    refuse_all(bad, spw_parse_rate);
}

Test(text_parse, times)
{
    static const struct quantity cases[] = {
        {"90s", UINT64_C(90000000000)},
        {"12h", UINT64_C(43200000000000)},
        {"250ms", 250000000},
        {"5m", UINT64_C(300000000000)},
        {"1.5us", 1500},
        {"7ns", 7},
        {"2d", UINT64_C(172800000000000)},
        {"0s", 0},
    };
    static const char *const bad[] = {"",    "90",   "s",   "90 seconds",  "1h30m",
                                      "-5s", "1e3s", "1.s", "9999999999d", NULL};
    expect_all(cases, COUNT(cases), spw_parse_time);
    refuse_all(bad, spw_parse_time);
}

Test(text_parse, unsigned_numbers_have_a_limit)
{
    uint64_t value = 0;
    cr_assert(spw_parse_unsigned("18446744073709551615", UINT64_MAX, &value) &&
              value == UINT64_MAX);
    cr_assert(spw_parse_unsigned("255", 255, &value) && value == 255);
    cr_assert(spw_parse_unsigned("0", 0, &value) && value == 0);
    cr_assert(spw_parse_unsigned("0010", 10, &value) && value == 10);
    value = 77;
    cr_assert(!spw_parse_unsigned("18446744073709551616", UINT64_MAX, &value));
    cr_assert(!spw_parse_unsigned("256", 255, &value));
    cr_assert(!spw_parse_unsigned("1", 0, &value));
    cr_assert(!spw_parse_unsigned("", 10, &value));
    cr_assert(!spw_parse_unsigned("-1", 10, &value));
    cr_assert(!spw_parse_unsigned("+1", 10, &value));
    cr_assert(!spw_parse_unsigned("1 ", 10, &value));
    cr_assert(!spw_parse_unsigned("1.0", 10, &value));
    cr_assert(value == 77);
}

Test(text_parse, numbers_as_yaml_and_c_write_them)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"1e-4", 1e-4},
        {".5", 0.5},
        {"-3", -3},
        {"+2.5", 2.5},
        {"3.", 3},
        {"0", 0},
        {"1E+2", 100},
        {"0.1", 0.1},
        {"-.5e1", -5},
        {"1e-400", 0},
        {"123456789012345678901234567890", 123456789012345678901234567890.0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        double value = 77;
        cr_assert(spw_parse_number(cases[i].text, &value), "'%s' was refused", cases[i].text);
        cr_assert(value == cases[i].value, "'%s' gave %g", cases[i].text, value);
    }
    static const char *const bad[] = {"",      ".",     "-",   "e5",  "1e",    "1e+",      " 1",
                                      "1 ",    "1x",    "nan", "inf", "-inf",  ".inf",     "0x10",
                                      "1e999", "1.5.2", "1,5", "--1", "1e5.0", "infinity", NULL};
    for (const char *const *text = bad; *text != NULL; text++) {
        double value = 77;
        cr_assert(!spw_parse_number(*text, &value), "'%s' gave %g", *text, value);
        cr_assert(value == 77);
    }
}

/* A program may have set a locale with a decimal comma; where there is none, the loop is empty and
 * the C locale is tested again. */
Test(text_parse, numbers_do_not_depend_on_the_locale)
{
    static const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "C", NULL};
    for (const char *const *name = locales; *name != NULL; name++) {
        if (setlocale(LC_ALL, *name) == NULL) {
            continue;
        }
        double value = 0;
        cr_assert(spw_parse_number("2.5", &value) && value == 2.5, "in %s", *name);
    }
}
