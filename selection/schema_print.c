/* schema_print.c — values as the resolved file has them. Tested by tests/selection/test_schema.c
 * and tests/selection/test_spec.c. */
#include "selection/schema.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The shortest text that reads back as the same number. */
static void add_number(struct spw_text *out, double value)
{
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    spw_text_add(out, "%s", text);
}

static void add_path(struct spw_text *out, const char *path, const char *directory)
{
    if (path[0] == '/' || directory == NULL) {
        spw_yaml_add_text(out, path);
        return;
    }
    struct spw_text joined;
    spw_text_init(&joined, out->world);
    spw_text_add(&joined, "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, path);
    if (joined.failed) {
        out->failed = true;
    } else {
        spw_yaml_add_text(out, joined.data);
    }
    spw_text_deinit(&joined);
}

static void add_sizes(struct spw_text *out, const struct spw_sizes *sizes)
{
    spw_text_add(out, "[");
    for (uint32_t i = 0; i < sizes->count; i++) {
        spw_text_add(out, "%s%" PRId64, i == 0 ? "" : ", ", sizes->values[i]);
    }
    spw_text_add(out, "]");
}

void spw_key_print(struct spw_text *out, const struct spw_key *key, const void *base,
                   const char *directory)
{
    const void *at = (const char *)base + key->offset;
    char bytes[32];
    switch (key->type) {
    case SPW_KEY_WHOLE:
        if (key->word != NULL && *(const uint64_t *)at == 0) {
            spw_text_add(out, "%s", key->word);
        } else {
            spw_text_add(out, "%" PRIu64, *(const uint64_t *)at);
        }
        return;
    case SPW_KEY_NUMBER:
        if (key->word != NULL && *(const double *)at == 0) {
            spw_text_add(out, "%s", key->word);
        } else {
            add_number(out, *(const double *)at);
        }
        return;
    case SPW_KEY_BOOL:
        spw_text_add(out, "%s", *(const bool *)at ? "true" : "false");
        return;
    case SPW_KEY_CHOICE:
        spw_text_add(out, "%s", key->choices[*(const int32_t *)at]);
        return;
    case SPW_KEY_TEXT:
    case SPW_KEY_NAME:
        spw_yaml_add_text(out, *(const char *const *)at);
        return;
    case SPW_KEY_PATH:
        add_path(out, *(const char *const *)at, directory);
        return;
    case SPW_KEY_BYTES:
        spw_text_add(out, "%s", spw_print_bytes(*(const uint64_t *)at, bytes));
        return;
    case SPW_KEY_RATE:
        spw_text_add(out, "%s", spw_print_rate(*(const uint64_t *)at, bytes));
        return;
    case SPW_KEY_TIME:
        spw_text_add(out, "%" PRIu64 "ns", *(const uint64_t *)at);
        return;
    case SPW_KEY_SIZES:
        add_sizes(out, at);
        return;
    case SPW_KEY_PAIR:
        spw_text_add(out, "[");
        add_number(out, ((const double *)at)[0]);
        spw_text_add(out, ", ");
        add_number(out, ((const double *)at)[1]);
        spw_text_add(out, "]");
        return;
    case SPW_KEY_MAP:
    case SPW_KEY_CUSTOM:
        break;
    }
    SPW_ASSERT(key->type != SPW_KEY_MAP && key->type != SPW_KEY_CUSTOM);
}
