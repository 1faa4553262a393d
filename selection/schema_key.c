/* schema_key.c — finding rows of the tables, and what a row says of its values.
 * Tested by tests/selection/test_schema.c. */
#include "selection/schema.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const struct spw_key *spw_key_find(const struct spw_key *table, const char *name, size_t length)
{
    for (const struct spw_key *key = table; key->name != NULL; key++) {
        if (strlen(key->name) == length && memcmp(key->name, name, length) == 0) {
            return key;
        }
    }
    return NULL;
}

const struct spw_key *spw_key_walk(const struct spw_key *table, const char *path, size_t *offset)
{
    size_t total = 0;
    for (;;) {
        const size_t length = strcspn(path, ".");
        const struct spw_key *key = spw_key_find(table, path, length);
        if (key == NULL || key->type == SPW_KEY_CUSTOM) {
            return NULL;
        }
        total += key->offset;
        if (path[length] == '\0') {
            if (key->type == SPW_KEY_MAP) {
                return NULL;
            }
            *offset = total;
            return key;
        }
        if (key->type != SPW_KEY_MAP) {
            return NULL;
        }
        table = key->children;
        path += length + 1;
    }
}

void spw_key_join(const char *path, const char *name, char out[256])
{
    (void)snprintf(out, 256, "%.120s%s%.100s", path, path[0] != '\0' ? "." : "", name);
}

static void number_range_text(const struct spw_key *key, const char *noun, char out[256])
{
    const bool above = (key->flags & SPW_KEY_ABOVE_MIN) != 0;
    const bool below = (key->flags & SPW_KEY_BELOW_MAX) != 0;
    char most[64] = "";
    if (key->max != 0 && key->max < 2147483647.0) {
        (void)snprintf(most, sizeof(most), "%s %.16g", below ? " and below" : " to", key->max);
    }
    if (key->max == key->min && key->max != 0) {
        (void)snprintf(out, 256, "%.16g", key->min);
    } else if (most[0] != '\0' && !above && !below) {
        (void)snprintf(out, 256, "a %s from %.16g%s", noun, key->min, most);
    } else if (above) {
        (void)snprintf(out, 256, "a %s above %.16g%s", noun, key->min, most[0] != '\0' ? most : "");
    } else {
        (void)snprintf(out, 256, "a %s, %.16g or more%s", noun, key->min, most);
    }
}

const char *spw_key_type_text(const struct spw_key *key, char out[256])
{
    char inner[200] = "";
    switch (key->type) {
    case SPW_KEY_WHOLE:
        number_range_text(key, "whole number", out);
        break;
    case SPW_KEY_NUMBER:
        number_range_text(key, "number", out);
        break;
    case SPW_KEY_BOOL:
        (void)snprintf(out, 256, "true or false");
        break;
    case SPW_KEY_CHOICE:
        (void)spw_join_names(key->choices, UINT32_MAX, "or", out, 256);
        break;
    case SPW_KEY_TEXT:
        (void)snprintf(out, 256, "a text");
        break;
    case SPW_KEY_NAME:
        (void)snprintf(out, 256, "a name of letters, digits, - and _");
        break;
    case SPW_KEY_PATH:
        (void)snprintf(out, 256, "a path, relative to the spec's folder");
        break;
    case SPW_KEY_BYTES:
        (void)snprintf(out, 256, "a size such as 4GiB");
        break;
    case SPW_KEY_RATE:
        (void)snprintf(out, 256, "a rate such as 12GB/s");
        break;
    case SPW_KEY_TIME:
        (void)snprintf(out, 256, "a time such as 5us");
        break;
    case SPW_KEY_SIZES:
        (void)snprintf(out, 256, "a list of whole numbers, each %.16g or more", key->min);
        break;
    case SPW_KEY_PAIR:
        (void)snprintf(out, 256, "a list of two numbers, each %.16g or more and below %.16g",
                       key->min, key->max);
        break;
    case SPW_KEY_MAP:
        (void)snprintf(out, 256, "a map of keys");
        break;
    case SPW_KEY_CUSTOM:
        (void)snprintf(out, 256, "a list or map of its own");
        break;
    }
    if (key->word != NULL) {
        (void)snprintf(inner, sizeof(inner), " or %s", key->word);
        (void)strncat(out, inner, 255 - strlen(out));
    }
    return out;
}

bool spw_key_unset(const struct spw_key *key, const void *base)
{
    const char *at = (const char *)base + key->offset;
    if ((key->flags & SPW_KEY_OPTIONAL) == 0) {
        return false;
    }
    switch (key->type) {
    case SPW_KEY_WHOLE:
    case SPW_KEY_BYTES:
    case SPW_KEY_RATE:
    case SPW_KEY_TIME:
        return *(const uint64_t *)(const void *)at == 0;
    case SPW_KEY_NUMBER:
        return isnan(*(const double *)(const void *)at);
    case SPW_KEY_TEXT:
    case SPW_KEY_NAME:
    case SPW_KEY_PATH:
        return *(const char *const *)(const void *)at == NULL;
    case SPW_KEY_SIZES:
        return ((const struct spw_sizes *)(const void *)at)->values == NULL;
    case SPW_KEY_MAP: /* optional maps are those whose first required key is missing */
        for (const struct spw_key *child = key->children; child->name != NULL; child++) {
            if (child->type == SPW_KEY_PATH && (child->flags & SPW_KEY_REQUIRED) != 0) {
                return *(const char *const *)(const void *)(at + child->offset) == NULL;
            }
        }
        return false;
    case SPW_KEY_BOOL:
    case SPW_KEY_CHOICE:
    case SPW_KEY_PAIR:
    case SPW_KEY_CUSTOM:
        return false;
    }
    return false;
}
