/* schema_json.c — the tables as a JSON Schema (draft 2020-12). Tested by
 * tests/selection/test_schema.c. */
#include "selection/schema.h"

#include "base/assert.h"
#include "models/json.h"
#include "selection/spec.h"

#include <string.h>

static void print_object(struct spw_text *out, const struct spw_key *table, int indent);

static void newline(struct spw_text *out, int indent)
{
    spw_text_add(out, "\n%*s", indent, "");
}

static void print_range(struct spw_text *out, const struct spw_key *key)
{
    const bool above = (key->flags & SPW_KEY_ABOVE_MIN) != 0;
    const bool below = (key->flags & SPW_KEY_BELOW_MAX) != 0;
    spw_text_add(out, ", \"%s\": %.16g", above ? "exclusiveMinimum" : "minimum", key->min);
    if (key->max != 0) {
        spw_text_add(out, ", \"%s\": %.16g", below ? "exclusiveMaximum" : "maximum", key->max);
    }
}

static void print_number_type(struct spw_text *out, const struct spw_key *key, const char *type)
{
    if (key->word != NULL) {
        spw_text_add(out, "\"anyOf\": [{\"const\": \"%s\"}, {\"type\": \"%s\"", key->word, type);
        print_range(out, key);
        spw_text_add(out, "}]");
        return;
    }
    spw_text_add(out, "\"type\": \"%s\"", type);
    print_range(out, key);
}

static void print_items(struct spw_text *out, const struct spw_key *key, const char *type,
                        uint32_t least, uint32_t most)
{
    spw_text_add(out, "\"type\": \"array\", \"minItems\": %u, \"maxItems\": %u, \"items\": {",
                 least, most);
    spw_text_add(out, "\"type\": \"%s\"", type);
    print_range(out, key);
    spw_text_add(out, "}");
}

static void print_choice(struct spw_text *out, const struct spw_key *key)
{
    spw_text_add(out, "\"enum\": [");
    for (uint32_t i = 0; key->choices[i] != NULL; i++) {
        spw_text_add(out, "%s\"%s\"", i == 0 ? "" : ", ", key->choices[i]);
    }
    spw_text_add(out, "]");
}

static void print_layer(struct spw_text *out, const struct spw_layer_kind *kind, int indent)
{
    newline(out, indent);
    spw_text_add(out,
                 "{\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"%s\"],"
                 " \"properties\": {\"%s\":",
                 kind->name, kind->name);
    newline(out, indent + 2);
    spw_text_add(out, "{\"description\": ");
    spw_json_add_string(out, kind->doc);
    spw_text_add(out, ", ");
    print_object(out, kind->keys, indent + 2);
    spw_text_add(out, "}}}");
}

static void print_layers(struct spw_text *out, int indent)
{
    spw_text_add(out, "\"type\": \"array\", \"minItems\": 1, \"items\": {\"anyOf\": [");
    newline(out, indent + 2);
    spw_text_add(out, "{\"enum\": [");
    for (const struct spw_layer_kind *kind = spw_layer_kinds; kind->name != NULL; kind++) {
        const bool bare = kind->keys[0].name == NULL ||
                          (kind->keys[0].flags & SPW_KEY_REQUIRED) == 0;
        if (bare) {
            spw_text_add(out, "%s\"%s\"", strcmp(kind->name, "flatten") == 0 ? "" : ", ",
                         kind->name);
        }
    }
    spw_text_add(out, "]}");
    for (const struct spw_layer_kind *kind = spw_layer_kinds; kind->name != NULL; kind++) {
        spw_text_add(out, ",");
        print_layer(out, kind, indent + 2);
    }
    spw_text_add(out, "]}");
}

/* Keys that are read by hand. */
static void print_custom(struct spw_text *out, const struct spw_key *table,
                         const struct spw_key *key, int indent)
{
    if (strcmp(key->name, "models") == 0) {
        spw_text_add(out, "\"type\": \"array\", \"minItems\": 1, \"items\": {");
        print_object(out, spw_model_keys, indent);
        spw_text_add(out, ", \"oneOf\": [{\"required\": [\"layers\"]}, {\"required\": [\"arch\"]}, "
                          "{\"required\": [\"from\"]}]}");
    } else if (strcmp(key->name, "layers") == 0) {
        print_layers(out, indent);
    } else if (strcmp(key->name, "parameters") == 0) {
        spw_text_add(out, "\"type\": \"object\", \"minProperties\": 1, \"additionalProperties\": "
                          "{\"type\": \"array\", \"minItems\": 1}");
    } else if (strcmp(key->name, "train") == 0 && table == spw_model_keys) {
        spw_text_add(out, "\"type\": \"object\"");
    } else {
        SPW_ASSERT(strcmp(key->name, "search") == 0);
        print_object(out, spw_search_keys, indent);
    }
}

static void print_type(struct spw_text *out, const struct spw_key *table, const struct spw_key *key,
                       int indent)
{
    switch (key->type) {
    case SPW_KEY_WHOLE:
        print_number_type(out, key, "integer");
        return;
    case SPW_KEY_NUMBER:
        print_number_type(out, key, "number");
        return;
    case SPW_KEY_BOOL:
        spw_text_add(out, "\"type\": \"boolean\"");
        return;
    case SPW_KEY_CHOICE:
        print_choice(out, key);
        return;
    case SPW_KEY_TEXT:
    case SPW_KEY_PATH:
        spw_text_add(out, "\"type\": \"string\", \"minLength\": 1");
        return;
    case SPW_KEY_NAME:
        spw_text_add(out,
                     "\"type\": \"string\", \"pattern\": \"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$\"");
        return;
    case SPW_KEY_BYTES:
        spw_text_add(out, "\"type\": [\"string\", \"integer\"]");
        return;
    case SPW_KEY_RATE:
    case SPW_KEY_TIME:
        spw_text_add(out, "\"type\": \"string\"");
        return;
    case SPW_KEY_SIZES:
        print_items(out, key, "integer", 0, SPW_SIZES_MAX);
        return;
    case SPW_KEY_PAIR:
        print_items(out, key, "number", 2, 2);
        return;
    case SPW_KEY_MAP:
        if ((key->flags & SPW_KEY_SHORT) != 0) {
            spw_text_add(out, "\"anyOf\": [{");
            print_choice(out, spw_key_find(key->children, "name", 4));
            spw_text_add(out, "}, {");
            print_object(out, key->children, indent);
            spw_text_add(out, "}]");
        } else {
            print_object(out, key->children, indent);
        }
        return;
    case SPW_KEY_CUSTOM:
        print_custom(out, table, key, indent);
        return;
    }
}

static void print_default(struct spw_text *out, const struct spw_key *key)
{
    if (key->default_text == NULL) {
        return;
    }
    double number;
    const bool bare = key->type == SPW_KEY_BOOL || key->type == SPW_KEY_PAIR ||
                      ((key->type == SPW_KEY_WHOLE || key->type == SPW_KEY_NUMBER) &&
                       spw_parse_number(key->default_text, &number));
    spw_text_add(out, bare ? ", \"default\": %s" : ", \"default\": \"%s\"", key->default_text);
}

/* The members of an object's schema, without its braces. */
static void print_object(struct spw_text *out, const struct spw_key *table, int indent)
{
    bool first = true;
    spw_text_add(out, "\"type\": \"object\", \"additionalProperties\": false, \"required\": [");
    for (const struct spw_key *key = table; key->name != NULL; key++) {
        if ((key->flags & SPW_KEY_REQUIRED) != 0) {
            spw_text_add(out, "%s\"%s\"", first ? "" : ", ", key->name);
            first = false;
        }
    }
    spw_text_add(out, "], \"properties\": {");
    for (const struct spw_key *key = table; key->name != NULL; key++) {
        newline(out, indent + 2);
        spw_text_add(out, "\"%s\": {\"description\": ", key->name);
        spw_json_add_string(out, key->doc);
        spw_text_add(out, ", ");
        print_type(out, table, key, indent + 2);
        print_default(out, key);
        spw_text_add(out, "}%s", key[1].name != NULL ? "," : "");
    }
    spw_text_add(out, "}");
}

void spw_schema_print(struct spw_text *out)
{
    spw_text_add(out, "{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
                      "  \"title\": \"Spillway spec\",\n  ");
    print_object(out, spw_spec_keys, 2);
    spw_text_add(out, "\n}\n");
}
