/* text_parse.c — numbers with units from text.
 *
 * Sizes are computed exactly, in integers: "0.1GB" is 100000000 bytes on every machine. A number is
 * read in the C locale whatever the program has set. Tested by tests/base/test_text_parse.c. */
#include "base/text.h"

#include "base/checked.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MAX_BYTES (UINT64_C(1) << 63)

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit byte_units[] = {
    {"", 1},
    {"B", 1},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"TiB", UINT64_C(1) << 40},
    {"PiB", UINT64_C(1) << 50},
    {"kB", UINT64_C(1000)},
    {"KB", UINT64_C(1000)},
    {"MB", UINT64_C(1000000)},
    {"GB", UINT64_C(1000000000)},
    {"TB", UINT64_C(1000000000000)},
    {"PB", UINT64_C(1000000000000000)},
    {NULL, 0},
};

static const struct unit rate_units[] = {
    {"B/s", 1},
    {"KiB/s", UINT64_C(1) << 10},
    {"MiB/s", UINT64_C(1) << 20},
    {"GiB/s", UINT64_C(1) << 30},
    {"TiB/s", UINT64_C(1) << 40},
    {"kB/s", UINT64_C(1000)},
    {"KB/s", UINT64_C(1000)},
    {"MB/s", UINT64_C(1000000)},
    {"GB/s", UINT64_C(1000000000)},
    {"TB/s", UINT64_C(1000000000000)},
    {NULL, 0},
};

/* A bare number of what? So there is no unit "" here. */
static const struct unit time_units[] = {
    {"ns", 1},
    {"us", UINT64_C(1000)},
    {"ms", UINT64_C(1000000)},
    {"s", UINT64_C(1000000000)},
    {"m", UINT64_C(60) * 1000000000},
    {"h", UINT64_C(3600) * 1000000000},
    {"d", UINT64_C(86400) * 1000000000},
    {NULL, 0},
};

/* Not isdigit(): that one asks the locale and dislikes negative characters. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const struct unit *find_unit(const struct unit *units, const char *name)
{
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (strcmp(unit->name, name) == 0) {
            return unit;
        }
    }
    return NULL;
}

/* 10 to this power still fits in 64 bits. */
#define FRACTION_DIGITS_MAX 18

static bool push_digit(uint64_t *digits, char digit)
{
    return spw_checked_multiply(*digits, 10, digits) &&
           spw_checked_add(*digits, (uint64_t)(digit - '0'), digits);
}

/* digits [. digits] as digits / scale. Returns where it ends, NULL if it is none or is too long. */
static const char *read_decimal(const char *place, uint64_t *digits, uint64_t *scale)
{
    *digits = 0;
    *scale = 1;
    const char *whole = place;
    for (; is_digit(*place); place++) {
        if (!push_digit(digits, *place)) {
            return NULL;
        }
    }
    if (place == whole || *place != '.') {
        return place == whole ? NULL : place;
    }
    const char *fraction = ++place;
    for (; is_digit(*place); place++) {
        if (place - fraction >= FRACTION_DIGITS_MAX || !push_digit(digits, *place)) {
            return NULL;
        }
        *scale *= 10;
    }
    return place == fraction ? NULL : place;
}

/* decimal [space] unit, as a whole number of the base unit, rounded down. */
static bool parse_quantity(const char *text, const struct unit *units, uint64_t *value)
{
    uint64_t digits;
    uint64_t scale;
    const char *name = read_decimal(text, &digits, &scale);
    if (name == NULL) {
        return false;
    }
    if (name[0] == ' ' && name[1] != '\0') {
        name++;
    }
    const struct unit *unit = find_unit(units, name);
    if (unit == NULL) {
        return false;
    }
    const unsigned __int128 result = (unsigned __int128)digits * unit->factor / scale;
    if (result > SIZE_MAX_BYTES) {
        return false;
    }
    *value = (uint64_t)result;
    return true;
}

bool spw_parse_bytes(const char *text, uint64_t *bytes)
{
    return parse_quantity(text, byte_units, bytes);
}

bool spw_parse_rate(const char *text, uint64_t *bytes_per_s)
{
    return parse_quantity(text, rate_units, bytes_per_s);
}

bool spw_parse_time(const char *text, uint64_t *ns)
{
    return parse_quantity(text, time_units, ns);
}

bool spw_parse_unsigned(const char *text, uint64_t max, uint64_t *value)
{
    if (*text == '\0') {
        return false;
    }
    uint64_t result = 0;
    for (; *text != '\0'; text++) {
        if (!is_digit(*text)) {
            return false;
        }
        const uint64_t digit = (uint64_t)(*text - '0');
        if (result > max / 10 || (result == max / 10 && digit > max % 10)) {
            return false;
        }
        result = result * 10 + digit;
    }
    *value = result;
    return true;
}

static const char *skip_digits(const char *place)
{
    while (is_digit(*place)) {
        place++;
    }
    return place;
}

/* [-+]? ( . digits | digits ( . digits? )? ) ( [eE] [-+]? digits )? — YAML 1.2's float without
 * .inf and .nan, and its decimal integer. strtod() alone would also take "0x1p3" and " nan". */
static bool looks_like_number(const char *place)
{
    if (*place == '-' || *place == '+') {
        place++;
    }
    const char *whole_end = skip_digits(place);
    bool has_digits = whole_end > place;
    place = whole_end;
    if (*place == '.') {
        const char *fraction_end = skip_digits(place + 1);
        has_digits = has_digits || fraction_end > place + 1;
        place = fraction_end;
    }
    if (!has_digits) {
        return false;
    }
    if (*place == 'e' || *place == 'E') {
        place++;
        if (*place == '-' || *place == '+') {
            place++;
        }
        const char *exponent_end = skip_digits(place);
        if (exponent_end == place) {
            return false;
        }
        place = exponent_end;
    }
    return *place == '\0';
}

bool spw_parse_number(const char *text, double *value)
{
    if (!looks_like_number(text)) {
        return false;
    }
    /* strtod() would stop at the point if the program has set a locale with a decimal comma. */
    const locale_t locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (locale == (locale_t)0) {
        return false;
    }
    const double result = strtod_l(text, NULL, locale);
    freelocale(locale);
    if (!isfinite(result)) {
        return false;
    }
    *value = result;
    return true;
}
