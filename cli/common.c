/* common.c — what several commands need: failures, specs, texts. */
#include "base/assert.h"
#include "base/text.h"
#include "cli/command.h"
#include "models/json.h"

#include <stdlib.h>
#include <unistd.h>

static int exit_code_of(enum spw_status status)
{
    switch (status) {
    case SPW_OK:
        return CLI_DONE;
    case SPW_ERR_ARGUMENT:
    case SPW_ERR_USAGE:
    case SPW_ERR_NOT_FOUND:
    case SPW_ERR_EXISTS:
    case SPW_ERR_IO:
    case SPW_ERR_UNSUPPORTED:
        return CLI_USAGE;
    case SPW_ERR_DOES_NOT_FIT:
        return CLI_DOES_NOT_FIT;
    case SPW_ERR_CANCELLED:
        return CLI_INTERRUPTED;
    case SPW_PENDING:
    case SPW_ERR_NO_MEMORY:
    case SPW_ERR_NO_SPACE:
    case SPW_ERR_BUSY:
    case SPW_ERR_NO_DATA:
    case SPW_ERR_DEVICE:
    case SPW_ERR_NUMERIC:
    case SPW_ERR_INTERNAL:
        return CLI_FAULT;
    }
    SPW_NEVER("a status");
}

int cli_fail_as(const struct cli *cli, const struct spw_error *error, int code)
{
    const bool colours = cli->terminal.colours;
    fprintf(stderr, "%sspillway %s:%s %s\n", colours ? "\x1b[1;31m" : "", cli->command->name,
            colours ? "\x1b[0m" : "", error->what);
    if (code == CLI_FAULT && error->status != SPW_ERR_IO) { /* a full disk is no bug */
        fprintf(stderr,
                "This is a fault of Spillway or of the machine (%s, %s:%d). A report of it is "
                "welcome, with the spec and `spillway doctor --json`.\n",
                spw_status_name(error->status), error->file != NULL ? error->file : "?",
                error->line);
    }
    if (cli->arguments.json) {
        struct spw_text text;
        spw_text_init(&text, cli->world);
        spw_text_add(&text, "{\"schema\": 1, \"error\": ");
        spw_json_add_string(&text, error->what);
        spw_text_add(&text, ", \"status\": \"%s\", \"exit\": %d}\n", spw_status_name(error->status),
                     code);
        (void)cli_print_text(cli, &text, stdout);
        spw_text_deinit(&text);
    }
    return code;
}

int cli_fail(const struct cli *cli, const struct spw_error *error)
{
    return cli_fail_as(cli, error, exit_code_of(error->status));
}

enum spw_status cli_load_spec(const struct cli *cli, struct spw_error *error, struct spw_spec **out)
{
    const struct spw_spec_changes changes = {
        .overrides = cli->arguments.words + 1,
        .override_count = cli->arguments.word_count - 1,
        .machine = cli->arguments.machine,
        .policy = cli->arguments.policy,
    };
    return spw_spec_load(cli->world, cli->arguments.words[0], &changes, error, out);
}

char *cli_current_directory(void)
{
    char *directory = getcwd(NULL, 0);
    return directory != NULL ? directory : calloc(1, 1);
}

bool cli_print_text(const struct cli *cli, const struct spw_text *text, FILE *out)
{
    if (text->failed) {
        fprintf(stderr, "spillway %s: no memory for the text\n", cli->command->name);
        return false;
    }
    if (text->bytes > 0) {
        (void)fwrite(text->data, 1, text->bytes, out);
    }
    return true;
}
