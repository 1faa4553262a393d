/* schema_print.c — defaults, and values as the resolved file has them.
 *
 * Tested by tests/selection/test_schema.c and tests/selection/test_spec.c. */
#include "selection/schema.h"

#include "base/assert.h"
#include "base/status.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Defaults are texts of the table, so that the schema prints what the program does. */
static enum spw_status set_default(const struct spw_key_context *context, const struct spw_key *key,
                                   void *base)
{
    char *at = (char *)base + key->offset;
    if (key->type == SPW_KEY_MAP) {
        return spw_table_defaults(context, key->children, at);
    }
    if (key->type == SPW_KEY_NUMBER && (key->flags & SPW_KEY_OPTIONAL) != 0) {
        *(double *)(void *)at = NAN;
    }
    if (key->default_text == NULL) {
        return SPW_OK; /* zero */
    }
    if (key->type == SPW_KEY_PAIR) {
        double pair[2];
        SPW_ASSERT(sscanf(key->default_text, "[%lf, %lf]", &pair[0], &pair[1]) == 2);
        memcpy(at, pair, sizeof(pair));
        return SPW_OK;
    }
    const struct spw_yaml_source source = {.override_text = "the default"};
    const struct spw_yaml_node node = {
        .kind = SPW_YAML_SCALAR, .source = &source, .text = key->default_text};
    return spw_key_set(context, key, key->name, &node, base);
}

enum spw_status spw_table_defaults(const struct spw_key_context *context,
                                   const struct spw_key *table, void *base)
{
    for (const struct spw_key *key = table; key->name != NULL; key++) {
        SPW_TRY(set_default(context, key, base));
    }
    return SPW_OK;
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
