/* schema_value.c — types one value by its row of the table.
 *
 * This is where "1e-4" becomes a number and "yes" a clear refusal. Tested by
 * tests/selection/test_schema.c. */
#include "selection/schema.h"

#include "base/assert.h"
#include "base/status.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char name_letters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
#define NAME_BYTES_MAX 64

/* One value on its way into a struct. */
struct setting {
    const struct spw_key_context *context;
    const struct spw_key *key;
    const char *path;
    const struct spw_yaml_node *node;
    void *at; /* where it is stored */
};

void spw_key_refusal(const struct spw_key_context *context, const struct spw_yaml_node *node,
                     const char *path, const char *format, ...)
{
    char place[320], why[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
    (void)SPW_FAIL(context->error, SPW_ERR_USAGE, "%s: %s: %s", spw_yaml_place(node, place), path,
                   why);
}

static enum spw_status refuse(const struct setting *setting, const char *why)
{
    return SPW_KEY_REFUSE(setting->context, setting->node, setting->path, "%s", why);
}

static enum spw_status refuse_type(const struct setting *setting)
{
    char node[96], type[256], why[420];
    (void)snprintf(why, sizeof(why), "%s is not what belongs here; give %s",
                   spw_yaml_describe(setting->node, node), spw_key_type_text(setting->key, type));
    return refuse(setting, why);
}

static enum spw_status refuse_unserved(const struct setting *setting)
{
    const struct spw_unserved *unserved = setting->key->unserved;
    for (; unserved != NULL && unserved->word != NULL; unserved++) {
        if (strcmp(unserved->word, setting->node->text) == 0) {
            char why[256];
            (void)snprintf(why, sizeof(why), "%s is not served yet; %s", unserved->word,
                           unserved->cure);
            return refuse(setting, why);
        }
    }
    return SPW_OK;
}

/* The text of a scalar that is not quoted and says something, or a refusal. */
static enum spw_status scalar_text(const struct setting *setting, const char **out)
{
    const struct spw_yaml_node *node = setting->node;
    if (node->kind != SPW_YAML_SCALAR) {
        return refuse_type(setting);
    }
    if (!node->quoted && (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
                          strcmp(node->text, "null") == 0)) {
        char type[256], why[400];
        (void)snprintf(why, sizeof(why), "no value; give %s, or leave the key out",
                       spw_key_type_text(setting->key, type));
        return refuse(setting, why);
    }
    *out = node->text;
    return SPW_OK;
}

static enum spw_status unquoted_text(const struct setting *setting, const char **out)
{
    SPW_TRY(scalar_text(setting, out));
    if (setting->node->quoted) {
        char type[256], why[400];
        (void)snprintf(why, sizeof(why), "\"%.40s\" stands in quotes; take them off: it is %s",
                       setting->node->text, spw_key_type_text(setting->key, type));
        return refuse(setting, why);
    }
    return SPW_OK;
}

static bool in_range(const struct spw_key *key, double value)
{
    const bool low = (key->flags & SPW_KEY_ABOVE_MIN) != 0 ? value > key->min : value >= key->min;
    if (key->max == 0) {
        return low;
    }
    return low && ((key->flags & SPW_KEY_BELOW_MAX) != 0 ? value < key->max : value <= key->max);
}

static enum spw_status refuse_range(const struct setting *setting)
{
    char type[256], why[400];
    (void)snprintf(why, sizeof(why), "%.40s is out of range; give %s", setting->node->text,
                   spw_key_type_text(setting->key, type));
    return refuse(setting, why);
}

static enum spw_status parse_number(const struct setting *setting, double *out)
{
    const char *text = NULL;
    SPW_TRY(unquoted_text(setting, &text));
    double value;
    if (setting->key->word != NULL && strcmp(text, setting->key->word) == 0) {
        *out = 0;
        return SPW_OK;
    }
    if (!spw_parse_number(text, &value)) {
        return refuse_type(setting);
    }
    if (!in_range(setting->key, value)) {
        return refuse_range(setting);
    }
    *out = value;
    return SPW_OK;
}

/* Whole numbers may be written as 60000 or 6e4. */
static enum spw_status parse_whole(const struct setting *setting, uint64_t *out)
{
    SPW_TRY(refuse_unserved(setting));
    const char *text = NULL;
    SPW_TRY(unquoted_text(setting, &text));
    if (setting->key->word != NULL && strcmp(text, setting->key->word) == 0) {
        *out = 0;
        return SPW_OK;
    }
    double value;
    if (!spw_parse_number(text, &value) || value != floor(value)) {
        return refuse_type(setting);
    }
    if (!in_range(setting->key, value)) {
        return refuse_range(setting);
    }
    *out = (uint64_t)value;
    return SPW_OK;
}

static enum spw_status set_bool(const struct setting *setting)
{
    static const char *const other_words[] = {"yes",  "no",    "on",   "off",   "y",   "n",
                                              "True", "False", "TRUE", "FALSE", "Yes", "No",
                                              "On",   "Off",   "1",    "0",     NULL};
    const char *text = NULL;
    SPW_TRY(unquoted_text(setting, &text));
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        for (const char *const *word = other_words; *word != NULL; word++) {
            if (strcmp(*word, text) == 0) {
                char why[160];
                (void)snprintf(why, sizeof(why),
                               "\"%s\" is no truth value here; write true or false", text);
                return refuse(setting, why);
            }
        }
        return refuse_type(setting);
    }
    *(bool *)setting->at = text[0] == 't';
    return SPW_OK;
}

static enum spw_status set_choice(const struct setting *setting)
{
    const char *text = NULL;
    if (setting->node->kind == SPW_YAML_SCALAR) {
        SPW_TRY(refuse_unserved(setting));
    }
    SPW_TRY(scalar_text(setting, &text));
    for (int32_t i = 0; setting->key->choices[i] != NULL; i++) {
        if (strcmp(text, setting->key->choices[i]) == 0) {
            *(int32_t *)setting->at = i;
            return SPW_OK;
        }
    }
    const char *nearest = spw_nearest_name(text, setting->key->choices);
    if (nearest == NULL) {
        return refuse_type(setting);
    }
    char type[256], why[420];
    (void)snprintf(why, sizeof(why), "\"%.40s\" is not known; did you mean %s? There are %s", text,
                   nearest, spw_key_type_text(setting->key, type));
    return refuse(setting, why);
}

static enum spw_status set_text(const struct setting *setting)
{
    const char *text = NULL;
    SPW_TRY(scalar_text(setting, &text));
    if (text[0] == '\0') {
        return refuse(setting, "an empty text; write something or leave the key out");
    }
    if (setting->key->type == SPW_KEY_NAME) {
        const size_t length = strlen(text);
        if (strspn(text, name_letters) != length || length > NAME_BYTES_MAX || text[0] == '-') {
            char why[200];
            (void)snprintf(why, sizeof(why),
                           "\"%.70s\" is not a name; use up to 64 letters, digits, - and _, no - "
                           "first",
                           text);
            return refuse(setting, why);
        }
    }
    if (setting->key->type == SPW_KEY_PATH && strlen(text) > 4000) {
        return refuse(setting, "the path is longer than 4000 characters; shorten it");
    }
    /* Paths of the command line are relative to where it was typed. */
    const char *folder = setting->context->folder;
    const bool in_file = setting->node->source->path != NULL;
    const bool joined = setting->key->type == SPW_KEY_PATH && in_file && text[0] != '/' &&
                        folder[0] != '\0';
    return spw_arena_text(setting->context->arena, setting->context->error,
                          (const char **)setting->at, "%s%s%s", joined ? folder : "",
                          joined ? "/" : "", text);
}

/* A number with a unit. */
static enum spw_status set_quantity(const struct setting *setting,
                                    bool (*parse)(const char *text, uint64_t *value))
{
    const char *text = NULL;
    uint64_t value;
    SPW_TRY(scalar_text(setting, &text));
    if (!parse(text, &value)) {
        return refuse_type(setting);
    }
    if (!in_range(setting->key, (double)value)) {
        return refuse_range(setting);
    }
    *(uint64_t *)setting->at = value;
    return SPW_OK;
}

/* Item `index` of a list as a setting of its own, so that messages point at it. */
static struct setting item_of(const struct setting *setting, uint32_t index)
{
    struct setting item = *setting;
    item.node = spw_yaml_item(setting->node, index);
    return item;
}

static enum spw_status set_sizes(const struct setting *setting)
{
    if (setting->node->kind != SPW_YAML_LIST) {
        return refuse_type(setting);
    }
    if (setting->node->count > SPW_SIZES_MAX) {
        return refuse(setting, "more than 256 entries; shorten the list");
    }
    struct spw_sizes sizes = {.count = setting->node->count};
    SPW_TRY(spw_arena_take(setting->context->arena, sizes.count + 1u, sizeof(int64_t),
                           setting->context->error, &sizes.values));
    uint32_t index = 0;
    for (const struct spw_yaml_entry *entry = setting->node->entries; entry != NULL;
         entry = entry->next, index++) {
        struct setting item = *setting;
        item.node = entry->value;
        uint64_t value = 0;
        SPW_TRY(parse_whole(&item, &value));
        sizes.values[index] = (int64_t)value;
    }
    *(struct spw_sizes *)setting->at = sizes;
    return SPW_OK;
}

static enum spw_status set_pair(const struct setting *setting)
{
    if (setting->node->kind != SPW_YAML_LIST || setting->node->count != 2) {
        return refuse_type(setting);
    }
    double pair[2];
    for (uint32_t i = 0; i < 2; i++) {
        const struct setting item = item_of(setting, i);
        SPW_TRY(parse_number(&item, &pair[i]));
    }
    memcpy(setting->at, pair, sizeof(pair));
    return SPW_OK;
}

enum spw_status spw_key_set(const struct spw_key_context *context, const struct spw_key *key,
                            const char *path, const struct spw_yaml_node *node, void *base)
{
    const struct setting setting = {.context = context,
                                    .key = key,
                                    .path = path,
                                    .node = node,
                                    .at = (char *)base + key->offset};
    switch (key->type) {
    case SPW_KEY_WHOLE:
        if (node->kind != SPW_YAML_SCALAR) {
            return refuse_type(&setting);
        }
        return parse_whole(&setting, setting.at);
    case SPW_KEY_NUMBER:
        return parse_number(&setting, setting.at);
    case SPW_KEY_BOOL:
        return set_bool(&setting);
    case SPW_KEY_CHOICE:
        return set_choice(&setting);
    case SPW_KEY_TEXT:
    case SPW_KEY_NAME:
    case SPW_KEY_PATH:
        return set_text(&setting);
    case SPW_KEY_BYTES:
        return set_quantity(&setting, spw_parse_bytes);
    case SPW_KEY_RATE:
        return set_quantity(&setting, spw_parse_rate);
    case SPW_KEY_TIME:
        return set_quantity(&setting, spw_parse_time);
    case SPW_KEY_SIZES:
        return set_sizes(&setting);
    case SPW_KEY_PAIR:
        return set_pair(&setting);
    case SPW_KEY_MAP:
        if (node->kind != SPW_YAML_MAP) {
            return refuse_type(&setting);
        }
        return spw_table_read(context, key->children, path, node, 0, setting.at);
    case SPW_KEY_CUSTOM:
        break;
    }
    SPW_ASSERT(key->type != SPW_KEY_CUSTOM);
    return SPW_ERR_INTERNAL;
}
