/* help.c — `spillway help`, `schema` and `version`: what the program says about itself. */
#include "base/text.h"
#include "cli/command.h"
#include "cli/versions.h"
#include "models/json.h"

#include <string.h>

/* A spec to start from; tests/cli/test_cli.py runs `check` on it. */
static const char spec_text[] =
    "A spec file says what to train, on what, how. This one is complete:\n"
    "\n"
    "  version: 1\n"
    "  machine: \"host*2 mem=2MiB\"          # two devices of 2 MiB\n"
    "  models:\n"
    "    - {id: wide, arch: mlp, hidden: [512, 512]}\n"
    "    - id: conv\n"
    "      layers:                         # as torch.nn.Sequential\n"
    "        - conv2d: {out: 16, kernel: 3, padding: 1}\n"
    "        - relu\n"
    "        - maxpool2d: {kernel: 2}\n"
    "        - flatten\n"
    "        - linear: {out: 10}\n"
    "  data:\n"
    "    train: {path: train-images.gz, labels: train-labels.gz, format: idx}\n"
    "    valid: {path: t10k-images.gz, labels: t10k-labels.gz, format: idx}\n"
    "  train: {batch: 128, epochs: 1, lr: 1e-3}\n"
    "  search: {parameters: {train.lr: [1e-3, 3e-4]}}\n"
    "\n"
    "All keys are in docs/spec.md, or as a JSON Schema from `spillway schema`. Paths are relative "
    "to\n"
    "the spec's folder. A key can be changed on the command line: train.lr=1e-4.\n";

void cli_print_usage(FILE *out)
{
    fprintf(out, "Spillway trains many models, each too big for one device, at once.\n\n"
                 "usage: spillway COMMAND ...\n\n");
    for (const struct cli_command *command = cli_commands; command->name != NULL; command++) {
        fprintf(out, "  %-8s %s\n", command->name, command->summary);
    }
    fprintf(out,
            "\n`spillway help COMMAND` explains one, `spillway help spec` shows a spec file.\n");
}

int cli_help(const struct cli *cli)
{
    if (cli->arguments.word_count == 0) {
        cli_print_usage(stdout);
        return CLI_DONE;
    }
    const char *name = cli->arguments.words[0];
    if (strcmp(name, "spec") == 0) {
        fputs(spec_text, stdout);
        return CLI_DONE;
    }
    const struct cli_command *command = cli_find_command(name);
    if (command == NULL) {
        fprintf(stderr, "spillway help: %s: no such command; `spillway help` lists them\n", name);
        return CLI_USAGE;
    }
    printf("spillway %s — %s\n\nusage: spillway %s%s%s%s\n\n%s", command->name, command->summary,
           command->name, command->usage[0] != '\0' ? " " : "", command->usage,
           command->flags != 0 ? " [flags]" : "", command->text);
    if (command->flags != 0) {
        printf("\nFlags\n");
        cli_print_flags(command->flags, stdout);
    }
    return CLI_DONE;
}

int cli_schema(const struct cli *cli)
{
    struct spw_text text;
    spw_text_init(&text, cli->world);
    if (cli->arguments.markdown) {
        spw_schema_print_rows(&text);
    } else {
        spw_schema_print(&text);
    }
    const bool printed = cli_print_text(cli, &text, stdout);
    spw_text_deinit(&text);
    return printed ? CLI_DONE : CLI_FAULT;
}

int cli_version(const struct cli *cli)
{
    if (!cli->arguments.json) {
        printf("spillway %s\n", SPW_VERSION);
        return CLI_DONE;
    }
    struct spw_text text;
    spw_text_init(&text, cli->world);
    spw_text_add(&text, "{\"schema\": 1, \"version\": \"%s\", \"libraries\": {", SPW_VERSION);
    for (uint32_t i = 0; i < cli_library_count; i++) {
        spw_text_add(&text, "%s\"%s\": ", i == 0 ? "" : ", ", cli_libraries[i].name);
        spw_json_add_string(&text, cli_libraries[i].version);
    }
    spw_text_add(&text, "}}\n");
    const bool printed = cli_print_text(cli, &text, stdout);
    spw_text_deinit(&text);
    return printed ? CLI_DONE : CLI_FAULT;
}
