/* text_format.c — sizes, times and counts for people, and sizes that can be read back.
 *
 * Tested by tests/base/test_text_format.c. */
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OUT_BYTES 32

const char *spw_format_bytes(uint64_t bytes, char out[32])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        (void)snprintf(out, OUT_BYTES, "%" PRIu64 " B", bytes);
        return out;
    }
    double value = (double)bytes / 1024;
    size_t unit = 0;
    /* 1023.95 would print as "1024.0". */
    while (value >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(out, OUT_BYTES, "%.1f %s", value, units[unit]);
    return out;
}

/* Three significant digits. */
static void print_three(double value, const char *unit, char out[32])
{
    int decimals = 2;
    if (value >= 99.95) {
        decimals = 0;
    } else if (value >= 9.995) {
        decimals = 1;
    }
    (void)snprintf(out, OUT_BYTES, "%.*f %s", decimals, value, unit);
}

const char *spw_format_time(uint64_t ns, char out[32])
{
    const uint64_t s = ns / UINT64_C(1000000000);
    if (ns < 1000) {
        (void)snprintf(out, OUT_BYTES, "%" PRIu64 " ns", ns);
    } else if (ns < UINT64_C(999500)) {
        print_three((double)ns / 1e3, "us", out);
    } else if (ns < UINT64_C(999500000)) {
        print_three((double)ns / 1e6, "ms", out);
    } else if (ns < UINT64_C(59950000000)) {
        print_three((double)ns / 1e9, "s", out);
    } else if (s < 3600) {
        /* From 59.95 s on, which three digits would print as "60.0 s". */
        const uint64_t whole = s < 60 ? 60 : s;
        (void)snprintf(out, OUT_BYTES, "%" PRIu64 " m %02" PRIu64 " s", whole / 60, whole % 60);
    } else if (s < UINT64_C(86400)) {
        (void)snprintf(out, OUT_BYTES, "%" PRIu64 " h %02" PRIu64 " m", s / 3600, s / 60 % 60);
    } else {
        (void)snprintf(out, OUT_BYTES, "%" PRIu64 " d %02" PRIu64 " h", s / 86400, s / 3600 % 24);
    }
    return out;
}

const char *spw_format_count(uint64_t count, char out[32])
{
    static const char *const units[] = {"k", "M", "G", "T", "P", "E"};
    if (count < 1000) {
        (void)snprintf(out, OUT_BYTES, "%" PRIu64, count);
        return out;
    }
    double value = (double)count / 1000;
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1000;
        unit++;
    }
    print_three(value, units[unit], out);
    return out;
}

const char *spw_print_bytes(uint64_t bytes, char out[32])
{
    static const struct {
        const char *name;
        uint64_t factor;
        bool binary;
    } units[] = {
        {"KiB", UINT64_C(1) << 10, true},    {"MiB", UINT64_C(1) << 20, true},
        {"GiB", UINT64_C(1) << 30, true},    {"TiB", UINT64_C(1) << 40, true},
        {"KB", UINT64_C(1000), false},       {"MB", UINT64_C(1000000), false},
        {"GB", UINT64_C(1000000000), false}, {"TB", UINT64_C(1000000000000), false},
    };
    (void)snprintf(out, OUT_BYTES, "%" PRIu64, bytes);
    if (bytes == 0) {
        return out;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (bytes % units[i].factor != 0) {
            continue;
        }
        char other[OUT_BYTES];
        (void)snprintf(other, sizeof(other), "%" PRIu64 "%s", bytes / units[i].factor,
                       units[i].name);
        /* A tie goes to the binary unit: people write 64KiB, not 65536. */
        const size_t length = strlen(other);
        if (length < strlen(out) || (length == strlen(out) && units[i].binary)) {
            memcpy(out, other, length + 1);
        }
    }
    return out;
}

const char *spw_print_rate(uint64_t bytes_per_s, char out[32])
{
    char bytes[OUT_BYTES];
    (void)spw_print_bytes(bytes_per_s, bytes);
    /* A bare number has no unit, and a rate needs one. */
    const char last = bytes[strlen(bytes) - 1];
    (void)snprintf(out, OUT_BYTES, "%.27s%s/s", bytes, last == 'B' ? "" : "B");
    return out;
}
