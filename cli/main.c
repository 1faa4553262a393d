/* main.c — finds the command and runs it. */
#include "base/text.h"
#include "cli/command.h"

#include <stdlib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static bool is_any(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

static int unknown_command(const char *name)
{
    const char *names[16];
    uint32_t count = 0;
    for (const struct cli_command *command = cli_commands; command->name != NULL; command++) {
        names[count++] = command->name;
    }
    names[count] = NULL;
    const char *nearest = spw_nearest_name(name, names);
    fprintf(stderr, "spillway: no command is called \"%s\"", name);
    if (nearest != NULL) {
        fprintf(stderr, "; did you mean `spillway %s`?\n", nearest);
    } else {
        fprintf(stderr, "; `spillway help` lists them\n");
    }
    return CLI_USAGE;
}

/* Whether a word before a lone -- asks for help. */
static bool asks_for_help(int count, char **words)
{
    for (int i = 0; i < count && strcmp(words[i], "--") != 0; i++) {
        if (is_any(words[i], "--help", "-h")) {
            return true;
        }
    }
    return false;
}

int main(int count, char **words)
{
    struct cli cli = {.world = spw_world_system()};
    /* A reader that goes away, of a log or of a table, must not end hours of training. */
    (void)signal(SIGPIPE, SIG_IGN);
    cli_terminal_read(&cli.terminal);
    if (count < 2) {
        cli_print_usage(stderr);
        return CLI_USAGE;
    }
    const char *name = words[1];
    if (is_any(name, "--help", "-h")) {
        name = "help";
    } else if (is_any(name, "--version", "-V")) {
        name = "version";
    }
    cli.command = cli_find_command(name);
    if (cli.command == NULL) {
        return unknown_command(name);
    }
    if (asks_for_help(count - 2, words + 2)) {
        cli.arguments.words[0] = name;
        cli.arguments.word_count = 1;
        return cli_help(&cli);
    }
    if (!cli_read_arguments(cli.command, count - 2, words + 2, &cli.arguments)) {
        return CLI_USAGE;
    }
    int code = cli.command->run(&cli);
    /* A full disk or a closed pipe behind standard output must not look like success where the
     * output is all that was asked for; what a run has trained stays trained. */
    if (fflush(stdout) != 0) {
        fprintf(stderr, "spillway %s: standard output could not be written\n", cli.command->name);
        const bool is_run = strcmp(cli.command->name, "run") == 0;
        code = code == CLI_DONE && !is_run ? CLI_USAGE : code;
    }
    return code;
}
