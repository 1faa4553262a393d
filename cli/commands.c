/* commands.c — the table of commands: names, words, flags, manuals. docs/cli.md repeats it, and
 * tests/cli/test_docs.py holds the two together. */
#include "cli/command.h"

#include <string.h>

#define SPEC_FLAGS (CLI_FLAG_MACHINE | CLI_FLAG_POLICY | CLI_FLAG_JSON)

const struct cli_command cli_commands[] = {
    {
        .name = "run",
        .usage = "SPEC [key=value ...]",
        .summary = "train all trials of a spec",
        .text =
            "Examples\n"
            "  spillway run examples/demo.yaml\n"
            "  spillway run sweep.yaml train.lr=3e-4 models.small.dropout=0.2\n"
            "  spillway run sweep.yaml --machine \"host*2 mem=8MiB\" --out runs/first\n"
            "\n"
            "Checks everything, plans every trial, and only then makes the run's folder, whose\n"
            "name is printed first. Standard error shows how it goes; standard output gets the\n"
            "closing tables, or with --json the summary. ^C stops at once: finished trials keep\n"
            "their files, a run can't be resumed. A second ^C kills.\n"
            "\n"
            "Exit codes: 0 all trials finished, 1 none, 3 some; 2 bad usage or file, 4 does not\n"
            "fit, both before anything is started; 70 a fault of ours or of the machine; 130\n"
            "stopped by ^C, 143 by SIGTERM.\n",
        .flags = SPEC_FLAGS | CLI_FLAG_OUT | CLI_FLAG_PROGRESS,
        .words_min = 1,
        .words_max = 64,
        .run = cli_run,
    },
    {
        .name = "plan",
        .usage = "SPEC [key=value ...]",
        .summary = "print shards, bytes, FLOPs and times, without training",
        .text =
            "Examples\n"
            "  spillway plan examples/demo.yaml\n"
            "  spillway plan sweep.yaml --machine \"host*1 mem=2MiB\" --min-memory\n"
            "\n"
            "Per trial: parameters, bytes of training state, shards, the largest unit (what a\n"
            "device must hold), bytes in host memory, bytes copied per step if nothing stays on\n"
            "the device, FLOPs per step and in all, and predicted times. What can't fit is\n"
            "refused with exit code 4 and the bytes that are missing. --min-memory prints the\n"
            "least mem= with which every trial runs.\n",
        .flags = SPEC_FLAGS | CLI_FLAG_MIN_MEMORY,
        .words_min = 1,
        .words_max = 64,
        .run = cli_plan,
    },
    {
        .name = "simulate",
        .usage = "SPEC [key=value ...]",
        .summary = "predict a run on a machine that need not be there",
        .text =
            "Examples\n"
            "  spillway simulate sweep.yaml --machine \"sim:h200*8\"\n"
            "  spillway simulate sweep.yaml --machine \"sim:a100*4 link=12GB/s\" --json\n"
            "  spillway simulate sweep.yaml --machine \"sim:mine.yaml*2\" --trace x.pftrace\n"
            "\n"
            "Plans every trial and runs the sweep with the scheduler, policies and memory of a\n"
            "real run, in virtual time: nothing is computed, no weights are held. Prints when\n"
            "each trial would start and finish, and for each device how long it computes (useful:\n"
            "not what had been computed before), waits for copies, waits for updates (norm), has\n"
            "no work, or is done before the others (tail); bytes copied, the most memory held,\n"
            "energy and price if the machine file has them. The same input gives the same output,\n"
            "byte for byte. docs/machines.md explains machines and what is left out.\n",
        .flags = SPEC_FLAGS | CLI_FLAG_TRACE,
        .words_min = 1,
        .words_max = 64,
        .run = cli_simulate,
    },
    {
        .name = "check",
        .usage = "SPEC [key=value ...]",
        .summary = "check a spec with all its files, without training",
        .text = "Examples\n"
                "  spillway check sweep.yaml\n"
                "  spillway check sweep.yaml --json train.batch=64\n"
                "\n"
                "Reads the spec, the data with its labels and the weight files, and infers all\n"
                "shapes. Each refusal names file, line and column, the reason and the cure, with\n"
                "exit code 2. Prints the trials that a run would train.\n",
        .flags = SPEC_FLAGS,
        .words_min = 1,
        .words_max = 64,
        .run = cli_check,
    },
    {
        .name = "doctor",
        .usage = "",
        .summary = "say what this machine offers and what is missing",
        .text = "Examples\n"
                "  spillway doctor\n"
                "  spillway doctor --json\n"
                "\n"
                "Cores, memory and its limits, instruction sets, the kinds of devices that this\n"
                "build serves, and the versions of the libraries that it was built with.\n",
        .flags = CLI_FLAG_JSON,
        .run = cli_doctor,
    },
    {
        .name = "schema",
        .usage = "",
        .summary = "print the JSON Schema of spec files",
        .text = "Examples\n"
                "  spillway schema > spillway.schema.json\n"
                "\n"
                "Editors with a YAML language server complete and check spec files with it: put\n"
                "  # yaml-language-server: $schema=spillway.schema.json\n"
                "on the first line. --markdown prints the same keys as tables.\n",
        .flags = CLI_FLAG_MARKDOWN,
        .run = cli_schema,
    },
    {
        .name = "help",
        .usage = "[COMMAND]",
        .summary = "print the manual of a command",
        .text = "Examples\n"
                "  spillway help\n"
                "  spillway help run\n"
                "  spillway help spec\n",
        .words_max = 1,
        .run = cli_help,
    },
    {
        .name = "version",
        .usage = "",
        .summary = "print the version",
        .text = "Examples\n"
                "  spillway version\n"
                "  spillway version --json\n",
        .flags = CLI_FLAG_JSON,
        .run = cli_version,
    },
    {.name = NULL},
};

const struct cli_command *cli_find_command(const char *name)
{
    for (const struct cli_command *command = cli_commands; command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0) {
            return command;
        }
    }
    return NULL;
}
