/* plan_read.c — reads a printed plan back.
 *
 * It takes from the text only what was chosen: the cuts, the memory they were made for, and what is
 * kept. The rest is worked out anew, printed, and compared line by line. So a text that was made
 * for another graph, other options or by another version is found out at the first line that
 * differs. Tested by tests/partitioner/test_plan_text.c. */
#include "partitioner/plan_build.h"

#include "base/text.h"

#include <inttypes.h>
#include <string.h>

struct reader {
    const struct spw_world *world;
    const char *path;
    const char *next; /* of the text */
    int line;         /* number of the one last taken */
    int32_t *cuts;    /* before shard 1, 2, ... */
    bool *kept;       /* [shard] */
    uint32_t share;   /* of the device that shards were made for */
    int32_t shard_count;
};

struct line {
    const char *start;
    int bytes; /* without the end of the line */
};

/* Longer ones are no lines of a plan, whatever they say. */
#define LINE_BYTES_MAX 1000000

/* Takes the next line of `*next`; false at the end. */
static bool take_line(const char **next, struct line *out)
{
    if (**next == '\0') {
        return false;
    }
    const size_t bytes = strcspn(*next, "\n");
    *out = (struct line){*next, bytes < LINE_BYTES_MAX ? (int)bytes : LINE_BYTES_MAX};
    *next += bytes + ((*next)[bytes] == '\n');
    return true;
}

static bool same_line(const struct line *a, const struct line *b)
{
    return a->bytes == b->bytes && memcmp(a->start, b->start, (size_t)a->bytes) == 0;
}

static bool starts_with(const struct line *line, const char *words)
{
    const size_t bytes = strlen(words);
    return (size_t)line->bytes >= bytes && memcmp(line->start, words, bytes) == 0;
}

/* Messages show the beginning of a line. */
static int shown(const struct line *line)
{
    return line->bytes < 120 ? line->bytes : 120;
}

static enum spw_status fail_ended(const struct reader *reader, struct spw_error *error)
{
    return SPW_FAIL(error, SPW_ERR_USAGE, "%s:%d: the plan ends too early; print it again",
                    reader->path, reader->line + 1);
}

/* Compares the text from the reader's place on with `expected`, to the end of `expected`. */
static enum spw_status compare(struct reader *reader, const char *expected, struct spw_error *error)
{
    struct line wanted;
    while (take_line(&expected, &wanted)) {
        struct line found;
        if (!take_line(&reader->next, &found)) {
            return fail_ended(reader, error);
        }
        reader->line++;
        const bool times = starts_with(&wanted, "time ") && starts_with(&found, "time ");
        if (!times && !same_line(&found, &wanted)) {
            return SPW_FAIL(error, SPW_ERR_USAGE,
                            "%s:%d: the plan says '%.*s', but this model and these settings give "
                            "'%.*s'; print it again",
                            reader->path, reader->line, shown(&found), found.start, shown(&wanted),
                            wanted.start);
        }
    }
    return SPW_OK;
}

static enum spw_status check_header(struct reader *reader, const struct spw_graph *graph,
                                    const struct spw_plan_options *options, struct spw_error *error)
{
    const struct spw_plan outline = {.graph = graph, .options = *options};
    struct spw_text header;
    spw_text_init(&header, reader->world);
    spw_plan_print_header(&outline, &header);
    enum spw_status status;
    if (header.failed) {
        status = SPW_FAIL(error, SPW_ERR_NO_MEMORY, "no memory for the plan's text");
    } else {
        status = compare(reader, header.data, error);
    }
    spw_text_deinit(&header);
    return status;
}

/* A decimal number after `words`; moves *at behind it. */
static bool take_number(const struct line *line, int *at, const char *words, int32_t *out)
{
    const struct line rest = {line->start + *at, line->bytes - *at};
    if (!starts_with(&rest, words)) {
        return false;
    }
    *at += (int)strlen(words);
    int64_t value = 0;
    const int first = *at;
    while (*at < line->bytes && *at - first < 9 && line->start[*at] >= '0' &&
           line->start[*at] <= '9') {
        value = value * 10 + (line->start[(*at)++] - '0');
    }
    *out = (int32_t)value;
    return *at > first;
}

/* "shard 2 nodes 5 .. 9 kept": the shards must follow one another and cover the graph. */
static enum spw_status read_shard(struct reader *reader, const struct line *line,
                                  const struct spw_graph *graph, int32_t expected_first,
                                  int32_t *end, struct spw_error *error)
{
    int at = 0;
    int32_t index, first, last;
    const bool numbers = take_number(line, &at, "shard ", &index) &&
                         take_number(line, &at, " nodes ", &first) &&
                         take_number(line, &at, " .. ", &last);
    const struct line rest = {line->start + at, line->bytes - at};
    const bool kept = numbers && starts_with(&rest, " kept ");
    if (!numbers ||
        !(kept || starts_with(&rest, " recomputed ") || starts_with(&rest, " fused "))) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s:%d: '%.*s' should read 'shard S nodes A .. B kept', 'recomputed' or "
                        "'fused'",
                        reader->path, reader->line, shown(line), line->start);
    }
    if (index != reader->shard_count || first != expected_first || last < first ||
        last >= graph->node_count) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s:%d: shard %" PRId32 " should begin at node %" PRId32
                        " and end before node %" PRId32,
                        reader->path, reader->line, reader->shard_count, expected_first,
                        graph->node_count);
    }
    if (index > 0) {
        reader->cuts[index - 1] = first;
    }
    reader->kept[index] = kept;
    reader->shard_count++;
    *end = last + 1;
    return SPW_OK;
}

/* The share at the end of the line "shards N share K"; 1 where there is none, which then shows when
 * the plan's text is compared. */
static uint32_t share_of(const struct line *line)
{
    static const char words[] = " share ";
    const int at = line->bytes - 1 - (int)(sizeof words - 1);
    const char digit = line->bytes > 0 ? line->start[line->bytes - 1] : '\0';
    const bool found = at >= 0 && memcmp(line->start + at, words, sizeof words - 1) == 0 &&
                       digit >= '1' && digit <= '9';
    return found ? (uint32_t)(digit - '0') : 1;
}

/* Only looks ahead: the lines are compared later, so the place is put back. */
static enum spw_status read_shards(struct reader *reader, const struct spw_graph *graph,
                                   struct spw_error *error)
{
    const char *next = reader->next;
    const int line_before = reader->line;
    const uint64_t nodes = (uint64_t)graph->node_count;
    SPW_TRY(
        spw_allocate(reader->world, nodes, sizeof(*reader->cuts), "a plan", error, &reader->cuts));
    SPW_TRY(
        spw_allocate(reader->world, nodes, sizeof(*reader->kept), "a plan", error, &reader->kept));
    struct line line;
    int32_t end = 0;
    while (end < graph->node_count && take_line(&reader->next, &line)) {
        reader->line++;
        if (starts_with(&line, "shards ")) {
            reader->share = share_of(&line);
        }
        if (starts_with(&line, "shard ")) {
            SPW_TRY(read_shard(reader, &line, graph, end, &end, error));
        }
    }
    if (end < graph->node_count) {
        return fail_ended(reader, error);
    }
    reader->next = next;
    reader->line = line_before;
    return SPW_OK;
}

static enum spw_status check_rest(struct reader *reader, const struct spw_plan *plan,
                                  struct spw_error *error)
{
    char *expected;
    SPW_TRY(spw_plan_print(plan, error, reader->world, &expected));
    enum spw_status status = compare(reader, expected, error);
    spw_release(reader->world, expected);
    if (status == SPW_OK && *reader->next != '\0') {
        status = SPW_FAIL(error, SPW_ERR_USAGE, "%s:%d: nothing may follow the end of the plan",
                          reader->path, reader->line + 1);
    }
    return status;
}

static enum spw_status read_plan(struct reader *reader, const struct spw_graph *graph,
                                 const struct spw_plan_options *options, struct spw_error *error,
                                 struct spw_plan **out)
{
    const char *text = reader->next;
    SPW_TRY(check_header(reader, graph, options, error));
    SPW_TRY(read_shards(reader, graph, error));
    struct spw_plan_options chosen = *options;
    chosen.cuts = reader->cuts;
    chosen.cut_count = reader->shard_count - 1;
    struct spw_plan *plan;
    const struct spw_plan_choice choice = {.kept = reader->kept, .share = reader->share};
    SPW_TRY(spw_plan_build(reader->world, graph, &chosen, &choice, error, &plan));
    reader->next = text;
    reader->line = 0;
    const enum spw_status status = check_rest(reader, plan, error);
    if (status != SPW_OK) {
        spw_plan_destroy(plan);
        return status;
    }
    *out = plan;
    return SPW_OK;
}

enum spw_status spw_plan_read(const struct spw_world *world, const struct spw_graph *graph,
                              const struct spw_plan_options *options, const char *path,
                              const char *text, struct spw_error *error, struct spw_plan **out)
{
    struct reader reader = {.world = world, .path = path, .next = text, .share = 1};
    const enum spw_status status = read_plan(&reader, graph, options, error, out);
    spw_release(world, reader.cuts);
    spw_release(world, reader.kept);
    return status;
}
