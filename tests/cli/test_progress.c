/* test_progress.c — figures and lines of the display, over a run that has not started. */
#include "cli/progress.h"

#include "base/text.h"
#include "models/json.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BAD_DATA SPW_SOURCE_DIR "/tests/bad/data/"

static const char spec_text[] =
    "version: 1\nname: show\nmachine: host*2 mem=1MiB\n"
    "models: [{id: small, arch: mlp, hidden: [8]}]\n"
    "data: {train: {path: " BAD_DATA "ok_images.idx, labels: " BAD_DATA "ok_labels.idx, "
    "format: idx}}\n"
    "train: {batch: 2, max_steps: 30}\n"
    "search: {parameters: {seed: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, "
    "19, 20]}}\n";

static struct spw_spec *spec;
static struct spw_sweep *sweep;
static struct spw_run *run;
static struct cli cli;
static struct cli_progress *progress;
static char *shown;
static size_t shown_bytes;
static FILE *stream;

static void begin(void)
{
    struct spw_error error = {0};
    cr_assert(spw_spec_parse(spw_world_system(), "s.yaml", spec_text, strlen(spec_text), NULL,
                             &error, &spec) == SPW_OK,
              "%s", error.what);
    cr_assert(spw_sweep_open(spw_world_system(), spec, &error, &sweep) == SPW_OK, "%s", error.what);
    struct spw_run_config config = spw_sweep_config(sweep);
    config.pilot = false;
    cr_assert(spw_run_create(spw_world_system(), &config, &error, &run) == SPW_OK, "%s",
              error.what);
    cr_assert(spw_sweep_add(sweep, run, &error) == SPW_OK, "%s", error.what);
    cli = (struct cli){.world = spw_world_system()};
}

static void end(void)
{
    cli_progress_destroy(progress);
    if (stream != NULL) {
        (void)fclose(stream);
    }
    spw_run_destroy(run);
    spw_sweep_close(sweep);
    spw_spec_destroy(spec);
    free(shown);
}

TestSuite(progress, .init = begin, .fini = end);

static void show_as(enum cli_progress_mode mode)
{
    struct spw_error error = {0};
    cli.arguments.progress = mode;
    cr_assert(cli_progress_create(&cli, sweep, run, &error, &progress) == SPW_OK, "%s", error.what);
    progress->out = stream = open_memstream(&shown, &shown_bytes);
}

Test(progress, clocks_and_counts_are_short)
{
    char text[32];
    cr_assert(strcmp(cli_clock_text(0, text), "0:00") == 0, "%s", text);
    cr_assert(strcmp(cli_clock_text(59.6, text), "1:00") == 0, "%s", text);
    cr_assert(strcmp(cli_clock_text(3725, text), "1:02:05") == 0, "%s", text);
    cr_assert(strcmp(cli_clock_text(NAN, text), "-") == 0, "%s", text);
    cr_assert(strcmp(cli_short_count(0, text), "0") == 0, "%s", text);
    cr_assert(strcmp(cli_short_count(999, text), "999") == 0, "%s", text);
    cr_assert(strcmp(cli_short_count(12345, text), "12.3k") == 0, "%s", text);
    cr_assert(strcmp(cli_short_count(2.5e9, text), "2.5G") == 0, "%s", text);
}

Test(progress, auto_is_plain_where_there_is_no_terminal)
{
    show_as(CLI_PROGRESS_AUTO);
    cr_assert(progress->mode == CLI_PROGRESS_PLAIN, "%d", (int)progress->mode);
}

Test(progress, the_block_fits_its_terminal_and_is_drawn_over)
{
    (void)setenv("COLUMNS", "70", 1);
    (void)setenv("LINES", "16", 1);
    show_as(CLI_PROGRESS_TTY);
    cli_progress_tick(progress);
    const uint32_t lines = progress->lines_drawn;
    cr_assert(lines >= 8 && lines < 16, "%u lines", lines);
    cr_assert(strstr(shown, "show  0:00  0/600 steps  0 running, 20 waiting, 0 done") != NULL, "%s",
              shown);
    cr_assert(strstr(shown, "host:1") != NULL && strstr(shown, "cores") != NULL, "%s", shown);
    cr_assert(strstr(shown, " more\n") != NULL, "%s", shown);
    for (const char *line = shown; *line != '\0'; line = strchr(line, '\n') + 1) {
        const size_t length = strcspn(line, "\n");
        cr_assert(length <= 69 + strlen("\x1b[2K"), "%zu characters: %.*s", length, (int)length,
                  line);
    }
    cli_progress_tick(progress);
    char back[16];
    (void)snprintf(back, sizeof(back), "\x1b[%uA\x1b[J", lines);
    cr_assert(strstr(shown, back) != NULL, "goes back over %u lines", lines);
    cr_assert(strstr(shown, "\x1b[1m") == NULL, "no colours were asked for");
}

Test(progress, plain_lines_have_no_control_characters)
{
    show_as(CLI_PROGRESS_PLAIN);
    cli_progress_plain_line(progress);
    cli_progress_plain_state(progress, spw_run_job(run, 3), SPW_JOB_RUNNING);
    cli_progress_flush(progress);
    cr_assert(strcmp(shown, "0:00  0/600 steps (0 %), 0 of 20 trials done, busy 0 % 0 %, left -\n"
                            "0:00  small-4 starts: 0 steps, 1 shard\n") == 0 ||
                  strstr(shown, "small-4 starts: 30 steps") != NULL,
              "%s", shown);
    cr_assert(strpbrk(shown, "\r\x1b") == NULL, "plain text");
}

Test(progress, json_lines_are_json)
{
    const struct spw_eval_result result = {.step = 7, .loss = NAN, .accuracy = 0.5};
    show_as(CLI_PROGRESS_JSON);
    cli_progress_json_line(progress);
    cli_progress_json_state(progress, spw_run_job(run, 0), SPW_JOB_DONE);
    cli_progress_eval(progress, spw_run_job(run, 1), &result);
    int lines = 0;
    for (char *line = shown; *line != '\0';) {
        struct spw_json *document = NULL;
        struct spw_error error = {0};
        const size_t length = strcspn(line, "\n");
        cr_assert(spw_json_parse("line", 0, line, length, &error, &document) == SPW_OK, "%s: %s",
                  error.what, line);
        cr_assert(spw_json_integer(spw_json_member(document, "schema")) == 1, "schema");
        spw_json_destroy(document);
        line += length + 1;
        lines++;
    }
    cr_assert(lines == 3, "%d lines", lines);
}
