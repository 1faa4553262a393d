/* machine.c — the machine string's parser and printer.
 *
 * One pass over the words, each copied into a buffer of its own, so that nothing allocates and no
 * length is trusted. What a machine can do is not decided here: backends say that.
 * Tested by tests/runtime/test_machine.c and tests/fuzz/fuzz_machine.c. */
#include "runtime/device/machine.h"

#include "base/checked.h"
#include "base/status.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Longest word; every legal one is far shorter. */
#define WORD_MAX 64
#define MEM_MIN UINT64_C(4096)
#define THREADS_MAX 256
#define HOST_DEVICES_MAX 64
#define HOST_EXAMPLE "for instance 'host*2 mem=8MiB'"

struct parser {
    const char *text;  /* the whole string, for messages */
    const char *place; /* what is left */
    const char *where;
    struct spw_error *error;
    struct spw_machine machine;
    bool seen[4]; /* by key */
};

/* A message is `where`, the string, then what is wrong and the cure. */
#define REFUSE(parser, format, ...)                                                                \
    SPW_FAIL((parser)->error, SPW_ERR_USAGE, "%s: machine '%.80s': " format, (parser)->where,      \
             (parser)->text, __VA_ARGS__)

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The next word into `word`; an empty one at the end. */
static enum spw_status next_word(struct parser *parser, char word[WORD_MAX])
{
    while (is_blank(*parser->place)) {
        parser->place++;
    }
    size_t length = 0;
    while (parser->place[length] != '\0' && !is_blank(parser->place[length])) {
        length++;
    }
    if (length >= WORD_MAX) {
        return REFUSE(parser, "the word '%.40s...' is too long; separate words with blanks",
                      parser->place);
    }
    memcpy(word, parser->place, length);
    word[length] = '\0';
    parser->place += length;
    return SPW_OK;
}

/* ---- the first word: KIND*COUNT ---- */

static enum spw_status parse_kind(struct parser *parser, const char *kind)
{
    static const char *const names[] = {"host", "cuda", "sim", NULL};
    if (strcmp(kind, "host") == 0) {
        parser->machine.kind = SPW_MACHINE_HOST;
        return SPW_OK;
    }
    if (strcmp(kind, "cuda") == 0 || strcmp(kind, "sim") == 0) {
        return REFUSE(parser, "'%s' devices are not served yet in this build; use host devices, %s",
                      kind, HOST_EXAMPLE);
    }
    const char *near = spw_nearest_name(kind, names);
    if (near != NULL) {
        return REFUSE(parser, "'%s' is no kind of device; did you mean '%s'?", kind, near);
    }
    return REFUSE(parser, "'%s' is no kind of device; write %s", kind, HOST_EXAMPLE);
}

static enum spw_status parse_first(struct parser *parser, char *word)
{
    const size_t kind_length = strcspn(word, "*:=");
    const char mark = word[kind_length];
    if (mark == '=' || kind_length == 0) {
        return REFUSE(parser, "'%s' is no device; begin with the kind of device, %s", word,
                      HOST_EXAMPLE);
    }
    word[kind_length] = '\0';
    SPW_TRY(parse_kind(parser, word));
    const char *count_text = word + kind_length + (mark != '\0' ? 1 : 0);
    if (mark == ':') {
        return REFUSE(parser, "host devices have no names ('%s'); say how many, %s", count_text,
                      HOST_EXAMPLE);
    }
    uint64_t count = 1;
    if (mark == '*' && (!spw_parse_unsigned(count_text, HOST_DEVICES_MAX, &count) || count == 0)) {
        return REFUSE(parser, "'%s' is no number of devices; write host*N with N from 1 to %d",
                      count_text, HOST_DEVICES_MAX);
    }
    parser->machine.device_count = (uint32_t)count;
    return SPW_OK;
}

/* ---- the other words: key=value ---- */

static enum spw_status parse_mem(struct parser *parser, const char *value)
{
    uint64_t bytes;
    if (!spw_parse_bytes(value, &bytes)) {
        return REFUSE(parser, "mem=%s is no size; write bytes with a unit, for instance mem=8MiB",
                      value);
    }
    if (bytes < MEM_MIN) {
        return REFUSE(parser, "mem=%s is less than a device needs; the least is mem=4KiB", value);
    }
    uint64_t all;
    if (!spw_checked_multiply(bytes, parser->machine.device_count, &all) || all > INT64_MAX) {
        return REFUSE(parser,
                      "mem=%s for each of %" PRIu32 " devices is more than can be "
                      "addressed; write less",
                      value, parser->machine.device_count);
    }
    parser->machine.mem_bytes = bytes;
    return SPW_OK;
}

static enum spw_status parse_link(struct parser *parser, const char *value)
{
    uint64_t rate;
    if (!spw_parse_rate(value, &rate)) {
        return REFUSE(parser,
                      "link=%s is no rate; write bytes per second, for instance "
                      "link=1GB/s",
                      value);
    }
    if (rate == 0) {
        return REFUSE(parser,
                      "link=%s would never finish a copy; write a rate above 0, or leave "
                      "link out for copies at full speed",
                      value);
    }
    parser->machine.link_bytes_per_s = rate;
    return SPW_OK;
}

static enum spw_status parse_threads(struct parser *parser, const char *value)
{
    uint64_t threads;
    if (!spw_parse_unsigned(value, THREADS_MAX, &threads) || threads == 0) {
        return REFUSE(parser,
                      "threads=%s is no number of threads; write a whole number from 1 to "
                      "%d",
                      value, THREADS_MAX);
    }
    parser->machine.threads = (uint32_t)threads;
    return SPW_OK;
}

static enum spw_status parse_pace(struct parser *parser, const char *value)
{
    if (strcmp(value, "model") != 0) {
        return REFUSE(parser,
                      "pace=%s is unknown; write pace=model for modelled time, or leave "
                      "pace out",
                      value);
    }
    parser->machine.pace_model = true;
    return SPW_OK;
}

struct key {
    const char *name;
    const char *example;
    enum spw_status (*parse)(struct parser *parser, const char *value);
};

static const struct key keys[] = {
    {"mem", "8MiB", parse_mem},
    {"link", "1GB/s", parse_link},
    {"threads", "1", parse_threads},
    {"pace", "model", parse_pace},
};
#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))
_Static_assert(KEY_COUNT == sizeof(((struct parser *)0)->seen), "one mark per key");

static enum spw_status find_key(struct parser *parser, const char *name, size_t *index)
{
    static const char *const names[] = {"mem", "link", "threads", "pace", "hosts", NULL};
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(name, keys[i].name) == 0) {
            *index = i;
            return SPW_OK;
        }
    }
    if (strcmp(name, "hosts") == 0) {
        return REFUSE(parser,
                      "'%s' belongs to simulated machines, which are not served yet in "
                      "this build; leave it out",
                      name);
    }
    const char *near = spw_nearest_name(name, names);
    if (near != NULL) {
        return REFUSE(parser, "unknown key '%s'; did you mean '%s'?", name, near);
    }
    return REFUSE(parser, "unknown key '%s'; known are mem, link, threads and pace", name);
}

static enum spw_status parse_pair(struct parser *parser, char *word)
{
    char *equals = strchr(word, '=');
    if (equals == NULL && word[0] == '*') {
        return REFUSE(parser, "'%s' stands alone; write host*N without blanks", word);
    }
    if (equals != NULL) {
        *equals = '\0';
    }
    size_t index;
    SPW_TRY(find_key(parser, word, &index));
    if (equals == NULL || equals[1] == '\0') {
        return REFUSE(parser, "%s has no value; write %s=%s, without blanks", word, word,
                      keys[index].example);
    }
    if (parser->seen[index]) {
        return REFUSE(parser, "%s is given twice; keep one", word);
    }
    parser->seen[index] = true;
    return keys[index].parse(parser, equals + 1);
}

enum spw_status spw_machine_parse(const char *text, const char *where, struct spw_error *error,
                                  struct spw_machine *out)
{
    struct parser parser = {
        .text = text, .place = text, .where = where, .error = error, .machine = {.threads = 1}};
    char word[WORD_MAX];
    SPW_TRY(next_word(&parser, word));
    if (word[0] == '\0') {
        return REFUSE(&parser, "it is empty; write %s", HOST_EXAMPLE);
    }
    SPW_TRY(parse_first(&parser, word));
    for (;;) {
        SPW_TRY(next_word(&parser, word));
        if (word[0] == '\0') {
            break;
        }
        SPW_TRY(parse_pair(&parser, word));
    }
    *out = parser.machine;
    return SPW_OK;
}

/* ---- printing ---- */

/* spw_print_bytes() knows every unit but the bare byte, which a rate needs. */
static const char *print_rate(uint64_t rate, char out[40])
{
    char bytes[32];
    (void)spw_print_bytes(rate, bytes);
    const char last = bytes[strlen(bytes) - 1];
    (void)snprintf(out, 40, "%s%s/s", bytes, last == 'B' ? "" : "B");
    return out;
}

void spw_machine_print(const struct spw_machine *machine, char out[160])
{
    static const char *const kinds[] = {
        [SPW_MACHINE_HOST] = "host", [SPW_MACHINE_CUDA] = "cuda", [SPW_MACHINE_SIM] = "sim"};
    char mem[48] = "";
    char link[48] = "";
    char threads[24] = "";
    if (machine->mem_bytes != 0) {
        char bytes[32];
        (void)snprintf(mem, sizeof(mem), " mem=%s", spw_print_bytes(machine->mem_bytes, bytes));
    }
    if (machine->link_bytes_per_s != 0) {
        char rate[40];
        (void)snprintf(link, sizeof(link), " link=%s", print_rate(machine->link_bytes_per_s, rate));
    }
    if (machine->threads > 1) {
        (void)snprintf(threads, sizeof(threads), " threads=%" PRIu32, machine->threads);
    }
    (void)snprintf(out, 160, "%s*%" PRIu32 "%s%s%s%s", kinds[machine->kind], machine->device_count,
                   mem, link, threads, machine->pace_model ? " pace=model" : "");
}
