/* yaml.c — from the YAML library's events to our tree. Tested by tests/selection/test_yaml.c.
 *
 * The parser below keeps its own stack of open lists and maps, at most SPW_YAML_DEPTH_MAX of them,
 * so that no depth of nesting can exhaust the program's stack. */
#include "selection/yaml.h"

#include "base/assert.h"
#include "base/status.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

struct anchor {
    const char *name;
    struct spw_yaml_node *node;
    struct anchor *next;
};

struct reader {
    struct spw_arena *arena;
    const struct spw_yaml_source *source;
    struct spw_error *error;
    yaml_parser_t *parser;
    struct spw_yaml_node *open[SPW_YAML_DEPTH_MAX];
    struct spw_yaml_node *pending_key[SPW_YAML_DEPTH_MAX]; /* of open maps: read, value still due */
    uint32_t depth;
    uint32_t nodes;
    struct anchor *anchors;
    struct spw_yaml_node *root;
};

const char *spw_yaml_place(const struct spw_yaml_node *node, char out[320])
{
    const struct spw_yaml_source *source = node->source;
    if (source->path != NULL) {
        (void)snprintf(out, 320, "%.280s:%u:%u", source->path, node->line, node->column);
    } else if (source->override_index != 0) {
        (void)snprintf(out, 320, "override %u: %.280s", source->override_index,
                       source->override_text);
    } else {
        (void)snprintf(out, 320, "%.280s", source->override_text);
    }
    return out;
}

const char *spw_yaml_describe(const struct spw_yaml_node *node, char out[96])
{
    switch (node->kind) {
    case SPW_YAML_SCALAR:
        (void)snprintf(out, 96, "%s\"%.60s\"", node->quoted ? "the quoted text " : "", node->text);
        return out;
    case SPW_YAML_LIST:
        (void)snprintf(out, 96, "a list");
        return out;
    case SPW_YAML_MAP:
        (void)snprintf(out, 96, "a map of keys");
        return out;
    }
    return "";
}

/* Refuses at a place of the text; line and column count from 1. */
static enum spw_status refuse(struct reader *reader, size_t line, size_t column, const char *what)
{
    const struct spw_yaml_node at = {
        .source = reader->source, .line = (uint32_t)line, .column = (uint32_t)column};
    char place[320];
    return SPW_FAIL(reader->error, SPW_ERR_USAGE, "%s: %s", spw_yaml_place(&at, place), what);
}

static enum spw_status refuse_event(struct reader *reader, const yaml_event_t *event,
                                    const char *what)
{
    return refuse(reader, event->start_mark.line + 1, event->start_mark.column + 1, what);
}

/* Line and column of a byte, for errors that carry nothing better. */
static void place_of_byte(const char *bytes, uint64_t count, uint64_t offset, size_t *line,
                          size_t *column)
{
    *line = 1;
    *column = 1;
    for (uint64_t i = 0; i < offset && i < count; i++) {
        if (bytes[i] == '\n') {
            *line += 1;
            *column = 1;
        } else {
            *column += 1;
        }
    }
}

/* What the library itself found wrong. */
static enum spw_status refuse_syntax(struct reader *reader, const char *bytes, uint64_t count)
{
    const yaml_parser_t *parser = reader->parser;
    char text[256];
    size_t line = parser->problem_mark.line + 1;
    size_t column = parser->problem_mark.column + 1;
    switch (parser->error) {
    case YAML_MEMORY_ERROR:
        return SPW_FAIL(reader->error, SPW_ERR_NO_MEMORY, "no memory to parse YAML");
    case YAML_READER_ERROR:
        place_of_byte(bytes, count, parser->problem_offset, &line, &column);
        (void)snprintf(text, sizeof(text), "%s; the file must be plain text in UTF-8",
                       parser->problem != NULL ? parser->problem : "unreadable bytes");
        break;
    case YAML_SCANNER_ERROR:
    case YAML_PARSER_ERROR:
        (void)snprintf(text, sizeof(text),
                       "not valid YAML: %s%s%s; look for a missing colon, quote or bracket, or a "
                       "tab or uneven spaces at the line's start",
                       parser->context != NULL ? parser->context : "",
                       parser->context != NULL ? ", " : "",
                       parser->problem != NULL ? parser->problem : "the text ends too early");
        break;
    case YAML_NO_ERROR:
    case YAML_COMPOSER_ERROR:
    case YAML_WRITER_ERROR:
    case YAML_EMITTER_ERROR:
        (void)snprintf(text, sizeof(text), "not valid YAML");
        break;
    }
    return refuse(reader, line, column, text);
}

static enum spw_status count_nodes(struct reader *reader, const yaml_event_t *event, uint32_t more)
{
    reader->nodes += more;
    if (reader->nodes > SPW_YAML_NODES_MAX) {
        return refuse_event(reader, event,
                            "more than 10000 values, aliases counted; is this a spec file?");
    }
    return SPW_OK;
}

static enum spw_status new_node(struct reader *reader, const yaml_event_t *event,
                                enum spw_yaml_kind kind, struct spw_yaml_node **out)
{
    SPW_TRY(count_nodes(reader, event, 1));
    struct spw_yaml_node *node = NULL;
    SPW_TRY(spw_arena_take(reader->arena, 1, sizeof(*node), reader->error, &node));
    *node = (struct spw_yaml_node){
        .kind = kind,
        .source = reader->source,
        .line = (uint32_t)event->start_mark.line + 1,
        .column = (uint32_t)event->start_mark.column + 1,
        .nodes = 1,
    };
    *out = node;
    return SPW_OK;
}

static enum spw_status remember_anchor(struct reader *reader, const yaml_char_t *name,
                                       struct spw_yaml_node *node)
{
    if (name == NULL) {
        return SPW_OK;
    }
    struct anchor *anchor = NULL;
    SPW_TRY(spw_arena_take(reader->arena, 1, sizeof(*anchor), reader->error, &anchor));
    SPW_TRY(spw_arena_text(reader->arena, reader->error, &anchor->name, "%s", (const char *)name));
    anchor->node = node;
    anchor->next = reader->anchors; /* a later anchor of the same name hides the earlier one */
    reader->anchors = anchor;
    return SPW_OK;
}

struct spw_yaml_node *spw_yaml_member(const struct spw_yaml_node *map, const char *key)
{
    SPW_ASSERT(map->kind == SPW_YAML_MAP);
    for (const struct spw_yaml_entry *entry = map->entries; entry != NULL; entry = entry->next) {
        if (strcmp(entry->key->text, key) == 0) {
            return entry->value;
        }
    }
    return NULL;
}

struct spw_yaml_node *spw_yaml_item(const struct spw_yaml_node *list, uint32_t index)
{
    SPW_ASSERT(list->kind == SPW_YAML_LIST && index < list->count);
    const struct spw_yaml_entry *entry = list->entries;
    while (index-- > 0) {
        entry = entry->next;
    }
    return entry->value;
}

enum spw_status spw_yaml_make(struct spw_arena *arena, const struct spw_yaml_node *like,
                              enum spw_yaml_kind kind, const char *text, struct spw_error *error,
                              struct spw_yaml_node **out)
{
    struct spw_yaml_node *node = NULL;
    SPW_TRY(spw_arena_take(arena, 1, sizeof(*node), error, &node));
    *node = (struct spw_yaml_node){.kind = kind,
                                   .source = like->source,
                                   .line = like->line,
                                   .column = like->column,
                                   .text = text,
                                   .nodes = 1};
    *out = node;
    return SPW_OK;
}

enum spw_status spw_yaml_append(struct spw_arena *arena, struct spw_yaml_node *parent,
                                struct spw_yaml_node *key, struct spw_yaml_node *value,
                                struct spw_error *error)
{
    SPW_ASSERT((parent->kind == SPW_YAML_MAP) == (key != NULL));
    struct spw_yaml_entry *entry = NULL;
    SPW_TRY(spw_arena_take(arena, 1, sizeof(*entry), error, &entry));
    *entry = (struct spw_yaml_entry){.key = key, .value = value};
    if (parent->last_entry != NULL) {
        parent->last_entry->next = entry;
    } else {
        parent->entries = entry;
    }
    parent->last_entry = entry;
    parent->count++;
    return SPW_OK;
}

/* A scalar has been read where a map's key is due. */
static enum spw_status take_key(struct reader *reader, const yaml_event_t *event,
                                struct spw_yaml_node *node)
{
    const struct spw_yaml_node *map = reader->open[reader->depth - 1];
    char text[160];
    if (node->kind != SPW_YAML_SCALAR) {
        return refuse_event(reader, event, "a key must be a plain word, not a list or a map");
    }
    if (strcmp(node->text, "<<") == 0 && !node->quoted) {
        return refuse_event(reader, event, "merge keys (<<) are not accepted; write the keys out");
    }
    const struct spw_yaml_node *other = spw_yaml_member(map, node->text);
    if (other != NULL) {
        (void)snprintf(text, sizeof(text),
                       "key \"%.60s\" appears twice (first on line %u); remove one", node->text,
                       other->line);
        return refuse_event(reader, event, text);
    }
    reader->pending_key[reader->depth - 1] = node;
    return SPW_OK;
}

/* Puts a complete scalar, alias or just opened container where it belongs. */
static enum spw_status place_node(struct reader *reader, const yaml_event_t *event,
                                  struct spw_yaml_node *node)
{
    if (reader->depth == 0) {
        SPW_ASSERT(reader->root == NULL);
        reader->root = node;
        return SPW_OK;
    }
    struct spw_yaml_node *parent = reader->open[reader->depth - 1];
    struct spw_yaml_node **key = &reader->pending_key[reader->depth - 1];
    if (parent->kind == SPW_YAML_MAP && *key == NULL) {
        return take_key(reader, event, node);
    }
    SPW_TRY(spw_yaml_append(reader->arena, parent, *key, node, reader->error));
    *key = NULL;
    return SPW_OK;
}

static enum spw_status take_scalar(struct reader *reader, const yaml_event_t *event)
{
    if (event->data.scalar.tag != NULL) {
        return refuse_event(reader, event,
                            "tags (!) are not accepted; the key itself says what type it has");
    }
    if (memchr(event->data.scalar.value, 0, event->data.scalar.length) != NULL) {
        return refuse_event(reader, event, "a text holds a NUL character; remove it");
    }
    struct spw_yaml_node *node = NULL;
    SPW_TRY(new_node(reader, event, SPW_YAML_SCALAR, &node));
    SPW_TRY(spw_arena_text(reader->arena, reader->error, &node->text, "%s",
                           (const char *)event->data.scalar.value));
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    SPW_TRY(remember_anchor(reader, event->data.scalar.anchor, node));
    return place_node(reader, event, node);
}

static enum spw_status take_alias(struct reader *reader, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    const struct anchor *anchor = reader->anchors;
    while (anchor != NULL && strcmp(anchor->name, name) != 0) {
        anchor = anchor->next;
    }
    if (anchor == NULL) {
        char text[160];
        (void)snprintf(text, sizeof(text), "alias *%.60s has no anchor &%.60s before it", name,
                       name);
        return refuse_event(reader, event, text);
    }
    for (uint32_t i = 0; i < reader->depth; i++) {
        if (reader->open[i] == anchor->node) {
            return refuse_event(reader, event, "an alias may not stand inside what it names");
        }
    }
    SPW_TRY(count_nodes(reader, event, anchor->node->nodes));
    return place_node(reader, event, anchor->node);
}

static enum spw_status open_container(struct reader *reader, const yaml_event_t *event,
                                      enum spw_yaml_kind kind, const yaml_char_t *tag,
                                      const yaml_char_t *anchor)
{
    if (tag != NULL) {
        return refuse_event(reader, event,
                            "tags (!) are not accepted; the key itself says what type it has");
    }
    if (reader->depth == SPW_YAML_DEPTH_MAX) {
        return refuse_event(reader, event, "nested deeper than 32 levels; flatten it");
    }
    struct spw_yaml_node *node = NULL;
    SPW_TRY(new_node(reader, event, kind, &node));
    SPW_TRY(remember_anchor(reader, anchor, node));
    SPW_TRY(place_node(reader, event, node));
    reader->open[reader->depth] = node;
    reader->pending_key[reader->depth] = NULL;
    reader->depth++;
    /* Until it closes this holds the count before it, afterwards its own size. */
    node->nodes = reader->nodes - 1;
    return SPW_OK;
}

static void close_container(struct reader *reader)
{
    reader->depth--;
    struct spw_yaml_node *node = reader->open[reader->depth];
    SPW_ASSERT(node != NULL);
    node->nodes = reader->nodes - node->nodes;
}

static enum spw_status take_event(struct reader *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return take_scalar(reader, event);
    case YAML_ALIAS_EVENT:
        return take_alias(reader, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_container(reader, event, SPW_YAML_LIST, event->data.sequence_start.tag,
                              event->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return open_container(reader, event, SPW_YAML_MAP, event->data.mapping_start.tag,
                              event->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        close_container(reader);
        return SPW_OK;
    case YAML_DOCUMENT_START_EVENT:
        if (reader->root != NULL) {
            return refuse_event(reader, event,
                                "a second document starts here; a spec is one document");
        }
        return SPW_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return SPW_OK;
    }
    return SPW_OK;
}

static enum spw_status read_events(struct reader *reader, const char *bytes, uint64_t count)
{
    /* Every event consumes text or closes a container, so the stream ends by itself; the bound only
     * says that we rely on it. */
    const uint64_t events_max = 4 * (uint64_t)SPW_YAML_BYTES_MAX;
    for (uint64_t i = 0; i < events_max; i++) {
        yaml_event_t event;
        if (yaml_parser_parse(reader->parser, &event) == 0) {
            return refuse_syntax(reader, bytes, count);
        }
        const bool last = event.type == YAML_STREAM_END_EVENT;
        const enum spw_status status = take_event(reader, &event);
        yaml_event_delete(&event);
        SPW_TRY(status);
        if (last) {
            return SPW_OK;
        }
    }
    return SPW_FAIL(reader->error, SPW_ERR_INTERNAL, "the YAML parser does not come to an end");
}

enum spw_status spw_yaml_parse(struct spw_arena *arena, const struct spw_yaml_source *source,
                               const char *bytes, uint64_t count, struct spw_error *error,
                               struct spw_yaml_node **out)
{
    yaml_parser_t parser;
    struct reader reader = {.arena = arena, .source = source, .error = error, .parser = &parser};
    if (count > SPW_YAML_BYTES_MAX) {
        return refuse(&reader, 1, 1, "longer than 1 MiB; is this a spec file?");
    }
    if (yaml_parser_initialize(&parser) == 0) {
        return SPW_FAIL(error, SPW_ERR_NO_MEMORY, "no memory to parse YAML");
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, (size_t)count);
    const enum spw_status status = read_events(&reader, bytes, count);
    yaml_parser_delete(&parser);
    SPW_TRY(status);
    if (reader.root == NULL) {
        return refuse(&reader, 1, 1, "empty; `spillway help spec` shows what belongs here");
    }
    *out = reader.root;
    return SPW_OK;
}

/* A plain scalar that no reader of YAML takes for something else or for the start of a structure.
 */
static bool is_plain(const char *text)
{
    static const char *const words[] = {"~",  "null", "true", "false", "yes", "no",
                                        "on", "off",  "y",    "n",     NULL};
    if (text[0] == '\0' || strchr("-.?:", text[0]) != NULL) {
        return false;
    }
    for (const char *const *word = words; *word != NULL; word++) {
        if (strcmp(text, *word) == 0) {
            return false;
        }
    }
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+") ==
           strlen(text);
}

void spw_yaml_add_text(struct spw_text *out, const char *text)
{
    if (is_plain(text)) {
        spw_text_add(out, "%s", text);
        return;
    }
    spw_text_add(out, "\"");
    for (const unsigned char *byte = (const unsigned char *)text; *byte != '\0'; byte++) {
        if (*byte == '"' || *byte == '\\') {
            spw_text_add(out, "\\%c", *byte);
        } else if (*byte < 0x20 || *byte == 0x7f) {
            spw_text_add(out, "\\x%02x", *byte);
        } else {
            spw_text_add_bytes(out, byte, 1);
        }
    }
    spw_text_add(out, "\"");
}

const char *spw_yaml_library(void)
{
    return yaml_get_version_string();
}
