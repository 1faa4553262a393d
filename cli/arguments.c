/* arguments.c — flags and words of the command line. Tested by tests/cli/test_cli.py. */
#include "base/assert.h"
#include "cli/command.h"
#include "runtime/run.h"

#include <string.h>

struct flag {
    const char *name;
    enum cli_flag bit;
    const char *value; /* its name in the help; NULL: takes none */
    const char *text;  /* NULL: one of `choices` */
    const char *const *choices;
    uint32_t choice_count;
};

static const char *const progress_names[] = {"auto", "tty", "plain", "json", "none", NULL};
#define PROGRESS_NAMES 5

static const struct flag flags[] = {
    {"--out", CLI_FLAG_OUT, .value = "DIR", .text = "folder for the run's files; must not exist"},
    {"--machine", CLI_FLAG_MACHINE, .value = "STR", .text = "devices, such as \"host*2 mem=8MiB\""},
    /* replay needs a log too: policy={name: replay, decisions: ...} */
    {"--policy", CLI_FLAG_POLICY, .value = "NAME", .choices = spw_policy_names,
     .choice_count = SPW_POLICY_REPLAY},
    {"--trace", CLI_FLAG_TRACE, .value = "FILE",
     .text = "write the timeline, for ui.perfetto.dev; must not exist"},
    {"--min-memory", CLI_FLAG_MIN_MEMORY, .text = "print the least device memory that works"},
    {"--progress", CLI_FLAG_PROGRESS, .value = "HOW", .choices = progress_names,
     .choice_count = PROGRESS_NAMES},
    {"--json", CLI_FLAG_JSON, .text = "print one JSON object instead of text"},
    {"--markdown", CLI_FLAG_MARKDOWN, .text = "print the keys as the tables of docs/spec.md"},
};
#define FLAGS (sizeof(flags) / sizeof(flags[0]))

void cli_print_flags(uint32_t mask, FILE *out)
{
    for (size_t i = 0; i < FLAGS; i++) {
        if ((mask & flags[i].bit) != 0) {
            char name[40], choices[80];
            (void)snprintf(name, sizeof(name), "%s%s%s", flags[i].name,
                           flags[i].value != NULL ? " " : "",
                           flags[i].value != NULL ? flags[i].value : "");
            const char *text = flags[i].text;
            if (text == NULL) {
                text = spw_join_names(flags[i].choices, flags[i].choice_count, "or", choices,
                                      sizeof(choices));
            }
            fprintf(out, "  %-16s %s\n", name, text);
        }
    }
}

static bool refuse(const struct cli_command *command, const char *what, const char *word)
{
    fprintf(stderr, "spillway %s: %s: %s; see `spillway help %s`\n", command->name, word, what,
            command->name);
    return false;
}

static bool set_progress(const struct cli_command *command, const char *value,
                         struct cli_arguments *out)
{
    SPW_ASSERT(value != NULL);
    for (uint32_t i = 0; progress_names[i] != NULL; i++) {
        if (strcmp(progress_names[i], value) == 0) {
            out->progress = (enum cli_progress_mode)i;
            return true;
        }
    }
    char names[80], what[100];
    (void)snprintf(what, sizeof(what), "is none of %s",
                   spw_join_names(progress_names, PROGRESS_NAMES, "or", names, sizeof(names)));
    return refuse(command, what, value);
}

static bool set_flag(const struct cli_command *command, const struct flag *flag, const char *value,
                     struct cli_arguments *out)
{
    switch (flag->bit) {
    case CLI_FLAG_OUT:
        out->out = value;
        return true;
    case CLI_FLAG_MACHINE:
        out->machine = value;
        return true;
    case CLI_FLAG_TRACE:
        out->trace = value;
        return true;
    case CLI_FLAG_POLICY:
        out->policy = value;
        return true;
    case CLI_FLAG_JSON:
        out->json = true;
        return true;
    case CLI_FLAG_MIN_MEMORY:
        out->min_memory = true;
        return true;
    case CLI_FLAG_MARKDOWN:
        out->markdown = true;
        return true;
    case CLI_FLAG_PROGRESS:
        return set_progress(command, value, out);
    }
    return false;
}

static bool unknown_flag(const struct cli_command *command, const char *word)
{
    const char *names[FLAGS + 1];
    size_t count = 0;
    for (size_t i = 0; i < FLAGS; i++) {
        if ((command->flags & flags[i].bit) != 0) {
            names[count++] = flags[i].name;
        }
    }
    names[count] = NULL;
    const char *nearest = spw_nearest_name(word, names);
    char what[120] = "no such flag";
    if (nearest != NULL) {
        (void)snprintf(what, sizeof(what), "no such flag; did you mean %s?", nearest);
    }
    return refuse(command, what, word);
}

/* Reads the flag at words[*at], and its value from the same or the next word. */
static bool read_flag(const struct cli_command *command, int count, char **words, int *at,
                      struct cli_arguments *out)
{
    char *word = words[*at];
    const char *equals = strchr(word, '=');
    const size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
    for (size_t i = 0; i < FLAGS; i++) {
        const struct flag *flag = &flags[i];
        if (strlen(flag->name) != length || memcmp(flag->name, word, length) != 0 ||
            (command->flags & flag->bit) == 0) {
            continue;
        }
        const char *value = equals != NULL ? equals + 1 : NULL;
        if (flag->value == NULL) {
            return value == NULL ? set_flag(command, flag, NULL, out)
                                 : refuse(command, "takes no value", word);
        }
        if (value == NULL && *at + 1 < count) {
            *at += 1;
            value = words[*at];
        }
        if (value == NULL || value[0] == '\0') {
            return refuse(command, "needs a value", word);
        }
        return set_flag(command, flag, value, out);
    }
    return unknown_flag(command, word);
}

bool cli_read_arguments(const struct cli_command *command, int count, char **words,
                        struct cli_arguments *out)
{
    bool only_words = false;
    *out = (struct cli_arguments){0};
    for (int i = 0; i < count; i++) {
        if (!only_words && strcmp(words[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && words[i][0] == '-' && words[i][1] != '\0') {
            if (!read_flag(command, count, words, &i, out)) {
                return false;
            }
        } else if (out->word_count == sizeof(out->words) / sizeof(out->words[0])) {
            return refuse(command, "too many words", words[i]);
        } else {
            out->words[out->word_count++] = words[i];
        }
    }
    if (out->word_count < command->words_min) {
        fprintf(stderr, "spillway %s: a word is missing: spillway %s %s\n", command->name,
                command->name, command->usage);
        return false;
    }
    if (out->word_count > command->words_max) {
        return refuse(command, "one word too many", out->words[command->words_max]);
    }
    return true;
}
