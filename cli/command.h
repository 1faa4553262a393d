/* command.h — what a command of `spillway` is, and what each gets.
 *
 * The table in commands.c gives main, help and the completion of names their facts. */
#ifndef SPW_CLI_COMMAND_H
#define SPW_CLI_COMMAND_H

#include "cli/terminal.h"
#include "selection/spec.h"

#include <stdio.h>

/* Exit codes; docs/cli.md explains them. */
enum cli_exit {
    CLI_DONE = 0,
    CLI_NONE_FINISHED = 1,
    CLI_USAGE = 2,
    CLI_SOME_FINISHED = 3,
    CLI_DOES_NOT_FIT = 4,
    CLI_FAULT = 70,
    CLI_INTERRUPTED = 130, /* by SIGINT */
    CLI_TERMINATED = 143,  /* by SIGTERM */
};

enum cli_flag {
    CLI_FLAG_OUT = 1,
    CLI_FLAG_MACHINE = 2,
    CLI_FLAG_POLICY = 4,
    CLI_FLAG_JSON = 8,
    CLI_FLAG_PROGRESS = 16,
    CLI_FLAG_MIN_MEMORY = 32,
    CLI_FLAG_MARKDOWN = 64,
    CLI_FLAG_TRACE = 128,
};

enum cli_progress_mode {
    CLI_PROGRESS_AUTO,
    CLI_PROGRESS_TTY,
    CLI_PROGRESS_PLAIN,
    CLI_PROGRESS_JSON,
    CLI_PROGRESS_NONE,
};

/* The command line, sorted. Texts are borrowed from argv. */
struct cli_arguments {
    const char *words[64]; /* what is no flag, the command's name left out */
    uint32_t word_count;
    const char *out, *machine, *policy, *trace;
    bool json, min_memory, markdown;
    enum cli_progress_mode progress;
};

struct cli {
    const struct spw_world *world;
    struct cli_terminal terminal; /* of standard error, and its colours */
    struct cli_arguments arguments;
    const struct cli_command *command;
};

struct cli_command {
    const char *name;    /* NULL ends the table */
    const char *usage;   /* words after the name */
    const char *summary; /* one line */
    const char *text;    /* the manual: examples first */
    uint32_t flags;      /* mask of enum cli_flag */
    uint32_t words_min, words_max;
    int (*run)(const struct cli *cli); /* returns the exit code */
};

extern const struct cli_command cli_commands[];
const struct cli_command *cli_find_command(const char *name);

/* Sorts argv after the command's name. False after printing what is wrong. */
bool cli_read_arguments(const struct cli_command *command, int count, char **words,
                        struct cli_arguments *out);
void cli_print_flags(uint32_t flags, FILE *out);

int cli_check(const struct cli *cli);
int cli_plan(const struct cli *cli);
int cli_run(const struct cli *cli);
int cli_simulate(const struct cli *cli);
int cli_doctor(const struct cli *cli);
int cli_schema(const struct cli *cli);
int cli_help(const struct cli *cli);
int cli_version(const struct cli *cli);
void cli_print_usage(FILE *out);

/* ---- what commands share ---- */

/* Prints a failure to standard error, and with --json as an object to standard output; returns the
 * exit code that goes with it. */
int cli_fail(const struct cli *cli, const struct spw_error *error);
/* The same with an exit code that the caller knows better. */
int cli_fail_as(const struct cli *cli, const struct spw_error *error, int code);
/* Loads the spec that the first word names, with the other words as overrides. */
enum spw_status cli_load_spec(const struct cli *cli, struct spw_error *error,
                              struct spw_spec **out);
/* The current directory, absolute; "" if there is none. The caller releases with free(). */
char *cli_current_directory(void);
/* Prints a text that may have failed to grow; false then. */
bool cli_print_text(const struct cli *cli, const struct spw_text *text, FILE *out);

#endif
