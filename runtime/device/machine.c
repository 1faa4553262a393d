/* machine.c — the machine string's parser and printer, and which device belongs where.
 *
 * One pass over the words, each copied into a buffer of its own, so that nothing allocates and no
 * length is trusted. What a machine can do is not decided here: backends say that.
 * Tested by tests/runtime/test_machine.c and tests/fuzz/fuzz_machine.c. */
#include "runtime/device/machine.h"

#include "base/checked.h"
#include "base/status.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Longest word: the names and counts of all parts. */
#define WORD_MAX 320
#define MEM_MIN UINT64_C(4096)
#define THREADS_MAX 256
#define HOST_DEVICES_MAX 64
#define HOST_EXAMPLE "for instance 'host*2 mem=8MiB'"
#define SIM_EXAMPLE "for instance 'sim:h200*8'"

enum { KEY_MEM, KEY_LINK, KEY_THREADS, KEY_PACE, KEY_HOSTS, KEY_COUNT };

struct parser {
    const char *text;  /* the whole string, for messages */
    const char *place; /* what is left */
    const char *where;
    struct spw_error *error;
    struct spw_machine machine;
    bool seen[KEY_COUNT];
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

/* ---- the first word: KIND*COUNT, or sim:NAME*COUNT+NAME*COUNT ---- */

static enum spw_status parse_kind(struct parser *parser, const char *kind)
{
    static const char *const names[] = {"host", "cuda", "sim", NULL};
    if (strcmp(kind, "host") == 0) {
        parser->machine.kind = SPW_MACHINE_HOST;
        return SPW_OK;
    }
    if (strcmp(kind, "sim") == 0) {
        parser->machine.kind = SPW_MACHINE_SIM;
        return SPW_OK;
    }
    if (strcmp(kind, "cuda") == 0) {
        return REFUSE(parser, "'%s' devices are not served yet in this build; use host devices, %s",
                      kind, HOST_EXAMPLE);
    }
    const char *near = spw_nearest_name(kind, names);
    if (near != NULL) {
        return REFUSE(parser, "'%s' is no kind of device; did you mean '%s'?", kind, near);
    }
    return REFUSE(parser, "'%s' is no kind of device; write %s", kind, HOST_EXAMPLE);
}

static enum spw_status parse_host_count(struct parser *parser, char mark, const char *text)
{
    uint64_t count = 1;
    if (mark == ':') {
        return REFUSE(parser, "host devices have no names ('%s'); say how many, %s", text,
                      HOST_EXAMPLE);
    }
    if (mark == '*' && (!spw_parse_unsigned(text, HOST_DEVICES_MAX, &count) || count == 0)) {
        return REFUSE(parser, "'%s' is no number of devices; write host*N with N from 1 to %d",
                      text, HOST_DEVICES_MAX);
    }
    parser->machine.device_count = (uint32_t)count;
    return SPW_OK;
}

static bool is_name_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("-_./", c) != NULL;
}

/* NAME or NAME*COUNT. */
static enum spw_status parse_part(struct parser *parser, char *text)
{
    struct spw_machine *machine = &parser->machine;
    char *star = strchr(text, '*');
    if (star != NULL) {
        *star = '\0';
    }
    size_t length = 0;
    while (text[length] != '\0' && is_name_letter(text[length])) {
        length++;
    }
    if (length == 0 || text[length] != '\0' || length >= SPW_MACHINE_NAME_MAX) {
        return REFUSE(parser,
                      "'%s' is no name of a device to simulate: a machine file's, or its path, of "
                      "at most %d letters; %s",
                      text, SPW_MACHINE_NAME_MAX - 1, SIM_EXAMPLE);
    }
    uint64_t count = 1;
    const uint32_t left = SPW_DEVICES_MAX - machine->device_count;
    if (star != NULL && (!spw_parse_unsigned(star + 1, left, &count) || count == 0)) {
        return REFUSE(parser,
                      "'%s' is no number of devices; write sim:%s*N with N from 1 to %d in all",
                      star + 1, text, SPW_DEVICES_MAX);
    }
    if (machine->part_count == SPW_MACHINE_PARTS_MAX || count > left) {
        return REFUSE(parser, "'%s' is one too many; at most %d sorts and %d devices in all", text,
                      SPW_MACHINE_PARTS_MAX, SPW_DEVICES_MAX);
    }
    struct spw_machine_part *part = &machine->parts[machine->part_count++];
    memcpy(part->name, text, length);
    part->count = (uint32_t)count;
    machine->device_count += part->count;
    return SPW_OK;
}

static enum spw_status parse_parts(struct parser *parser, char mark, char *text)
{
    if (mark != ':') {
        return REFUSE(parser, "a simulated machine names its devices; write sim:NAME*N, %s",
                      SIM_EXAMPLE);
    }
    for (;;) {
        char *plus = strchr(text, '+');
        if (plus != NULL) {
            *plus = '\0';
        }
        SPW_TRY(parse_part(parser, text));
        if (plus == NULL) {
            return SPW_OK;
        }
        text = plus + 1;
    }
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
    char *rest = word + kind_length + (mark != '\0' ? 1 : 0);
    return parser->machine.kind == SPW_MACHINE_SIM ? parse_parts(parser, mark, rest)
                                                   : parse_host_count(parser, mark, rest);
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

static enum spw_status parse_hosts(struct parser *parser, const char *value)
{
    uint64_t hosts;
    const uint32_t devices = parser->machine.device_count;
    if (!spw_parse_unsigned(value, devices, &hosts) || hosts == 0 || devices % hosts != 0) {
        return REFUSE(parser,
                      "hosts=%s is no number of hosts to which %" PRIu32 " devices can be dealt "
                      "out evenly",
                      value, devices);
    }
    parser->machine.hosts = (uint32_t)hosts;
    return SPW_OK;
}

struct key {
    const char *name;
    const char *example;
    enum spw_status (*parse)(struct parser *parser, const char *value);
    bool host, sim; /* machines that have it */
};

static const struct key keys[KEY_COUNT] = {
    [KEY_MEM] = {"mem", "8MiB", parse_mem, true, true},
    [KEY_LINK] = {"link", "1GB/s", parse_link, true, true},
    [KEY_THREADS] = {"threads", "1", parse_threads, true, false},
    [KEY_PACE] = {"pace", "model", parse_pace, true, false},
    [KEY_HOSTS] = {"hosts", "2", parse_hosts, false, true},
};

static enum spw_status find_key(struct parser *parser, const char *name, size_t *index)
{
    static const char *const names[] = {"mem", "link", "threads", "pace", "hosts", NULL};
    const bool is_sim = parser->machine.kind == SPW_MACHINE_SIM;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(name, keys[i].name) != 0) {
            continue;
        }
        if (is_sim ? keys[i].sim : keys[i].host) {
            *index = i;
            return SPW_OK;
        }
        return REFUSE(parser, "'%s' belongs to %s; leave it out", name,
                      is_sim ? "host devices" : "simulated machines");
    }
    const char *near = spw_nearest_name(name, names);
    if (near != NULL) {
        return REFUSE(parser, "unknown key '%s'; did you mean '%s'?", name, near);
    }
    return REFUSE(parser, "unknown key '%s'; known are %s", name,
                  is_sim ? "mem, link and hosts" : "mem, link, threads and pace");
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
    struct parser parser = {.text = text,
                            .place = text,
                            .where = where,
                            .error = error,
                            .machine = {.threads = 1, .hosts = 1}};
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

/* Appends to what `out` holds; it always has room. */
static void add(char out[SPW_MACHINE_TEXT_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add(char out[SPW_MACHINE_TEXT_MAX], const char *format, ...)
{
    const size_t length = strlen(out);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(out + length, SPW_MACHINE_TEXT_MAX - length, format, arguments);
    va_end(arguments);
}

void spw_machine_print(const struct spw_machine *machine, char out[SPW_MACHINE_TEXT_MAX])
{
    static const char *const kinds[] = {
        [SPW_MACHINE_HOST] = "host", [SPW_MACHINE_CUDA] = "cuda", [SPW_MACHINE_SIM] = "sim"};
    (void)snprintf(out, SPW_MACHINE_TEXT_MAX, "%s", kinds[machine->kind]);
    if (machine->kind != SPW_MACHINE_SIM) {
        add(out, "*%" PRIu32, machine->device_count);
    }
    for (uint32_t i = 0; i < machine->part_count; i++) {
        add(out, "%c%s*%" PRIu32, i == 0 ? ':' : '+', machine->parts[i].name,
            machine->parts[i].count);
    }
    if (machine->mem_bytes != 0) {
        char bytes[32];
        add(out, " mem=%s", spw_print_bytes(machine->mem_bytes, bytes));
    }
    if (machine->link_bytes_per_s != 0) {
        char rate[32];
        add(out, " link=%s", spw_print_rate(machine->link_bytes_per_s, rate));
    }
    if (machine->threads > 1) {
        add(out, " threads=%" PRIu32, machine->threads);
    }
    if (machine->pace_model) {
        add(out, " pace=model");
    }
    if (machine->hosts > 1) {
        add(out, " hosts=%" PRIu32, machine->hosts);
    }
}

/* ---- devices by number ---- */

uint32_t spw_machine_part_of(const struct spw_machine *machine, uint32_t index)
{
    uint32_t part = 0;
    while (part + 1 < machine->part_count && index >= machine->parts[part].count) {
        index -= machine->parts[part].count;
        part++;
    }
    return part;
}

uint32_t spw_machine_host_of(const struct spw_machine *machine, uint32_t index)
{
    /* Machines made by hand may leave hosts at 0. */
    const uint32_t hosts = machine->hosts > 1 ? machine->hosts : 1;
    return (uint32_t)((uint64_t)index * hosts / machine->device_count);
}
