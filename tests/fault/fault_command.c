/* fault_command.c — `spillway run` as a whole, with the N-th allocation or file call failing.
 *
 * The command's own function runs in this process, in a world that fails once or from then on (then
 * the disk is full: only what needs room fails). Each attempt must end with an exit code that goes
 * with what is on disk, and say why if that is not 0; leave no memory, open file or temporary; and
 * leave files that read: JSON is whole or absent, lines of JSON parse but for a last one cut off by
 * the fault, weights are complete or absent. `fault_command sample N` makes about N attempts of a
 * kind, `fault_command all` every one. */
#include "cli/command.h"
#include "guard.h"
#include "judge.h"

#include "models/json.h"
#include "tests/support/fault_world.h"
#include "tests/support/temporary.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRIALS = 2 };
static const char *const IDS[TRIALS] = {"net", "conv"};

static const char SPEC[] =
    "version: 1\n"
    "name: tiny\n"
    "seed: 3\n"
    "machine: \"host*2 mem=64KiB\"\n"
    "models:\n"
    "  - {id: net, arch: mlp, hidden: [24, 24], dropout: 0.1}\n"
    "  - id: conv\n"
    "    layers: [{conv2d: {out: 4, kernel: 3, padding: 1}}, relu, {maxpool2d: {kernel: 2}},\n"
    "             flatten, {linear: {out: 10}}]\n"
    "data:\n"
    "  train: {path: x.idx, labels: y.idx, format: idx}\n"
    "  valid: {path: x.idx, labels: y.idx, format: idx}\n"
    "train: {batch: 16, micro_batch: 5, max_steps: 3, lr: 1e-2}\n"
    "eval: {every: 2}\n"
    "resources: {host_memory: 16MiB}\n"
    "run: {trace: true}\n";

struct stage {
    struct spw_fault_world fault;
    struct spw_temporary folder;
    char *good[TRIALS]; /* contents of the weights of a good run */
    uint64_t good_bytes[TRIALS];
    char *said;     /* by the attempt, on both streams */
    int codes[256]; /* how often each exit code was seen */
    char why[1024];
};

static bool fault(struct stage *stage, const char *why, const char *detail)
{
    if (stage->why[0] == '\0') { /* the first one counts */
        (void)snprintf(stage->why, sizeof stage->why, "%s %.900s", why, detail);
    }
    return false;
}

/* ---- data ---- */

static void write_data(const struct stage *stage)
{
    enum { COUNT = 40, SIDE = 6 };
    unsigned char images[16 + COUNT * SIDE * SIDE] = {0, 0, 8, 3,    0, 0, 0, COUNT,
                                                      0, 0, 0, SIDE, 0, 0, 0, SIDE};
    unsigned char labels[8 + COUNT] = {0, 0, 8, 1, 0, 0, 0, COUNT};
    for (int i = 0; i < COUNT; i++) {
        labels[8 + i] = (unsigned char)(i % 10);
        for (int p = 0; p < SIDE * SIDE; p++) {
            images[16 + i * SIDE * SIDE + p] = (unsigned char)(p % 10 == i % 10 ? 220 : i + p);
        }
    }
    spw_temporary_write(&stage->folder, "x.idx", images, sizeof images);
    spw_temporary_write(&stage->folder, "y.idx", labels, sizeof labels);
    spw_temporary_write(&stage->folder, "spec.yaml", SPEC, sizeof SPEC - 1);
}

/* ---- running the command ---- */

/* Runs it with both streams going to the file "said"; they are put back afterwards. */
static int run_command(struct stage *stage)
{
    char spec[512], out[512], said[512];
    struct cli cli = {.world = &stage->fault.world, .command = cli_find_command("run")};
    cli.arguments.words[0] = spw_temporary_path(&stage->folder, "spec.yaml", spec);
    cli.arguments.word_count = 1;
    cli.arguments.out = spw_temporary_path(&stage->folder, "run", out);
    cli.arguments.progress = CLI_PROGRESS_PLAIN;
    (void)fflush(stdout);
    const int streams[2] = {dup(STDOUT_FILENO), dup(STDERR_FILENO)};
    const int file = open(spw_temporary_path(&stage->folder, "said", said),
                          O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600);
    if (file < 0 || dup2(file, STDOUT_FILENO) < 0 || dup2(file, STDERR_FILENO) < 0) {
        abort();
    }
    const int code = cli_run(&cli);
    (void)fflush(stdout);
    (void)dup2(streams[0], STDOUT_FILENO);
    (void)dup2(streams[1], STDERR_FILENO);
    (void)close(streams[0]);
    (void)close(streams[1]);
    (void)close(file);
    uint64_t bytes = 0;
    free(stage->said);
    stage->said = judge_read(said, &bytes);
    return code;
}

/* ---- judging what it left ---- */

static char *read_in_run(const struct stage *stage, const char *name, uint64_t *bytes)
{
    char inner[160], path[512];
    (void)snprintf(inner, sizeof inner, "run/%s", name);
    return judge_read(spw_temporary_path(&stage->folder, inner, path), bytes);
}

/* NULL if it is not there; with a complaint, if it does not parse. */
static struct spw_json *parse_file(struct stage *stage, const char *name, bool *ok)
{
    uint64_t bytes = 0;
    struct spw_json *json = NULL;
    struct spw_error error = {0};
    char *text = read_in_run(stage, name, &bytes);
    if (text != NULL && spw_json_parse(name, 0, text, bytes, &error, &json) != SPW_OK) {
        *ok = fault(stage, "half a file of JSON:", error.what);
    }
    free(text);
    return json;
}

/* Every line parses; only a fault may have cut the last one. */
static bool judge_lines(struct stage *stage, const char *name, bool whole)
{
    uint64_t bytes = 0;
    char *text = read_in_run(stage, name, &bytes);
    bool ok = true;
    if (text == NULL) {
        return whole ? fault(stage, "a missing file:", name) : true;
    }
    char *line = text;
    for (char *end = strchr(line, '\n'); ok && end != NULL; end = strchr(line, '\n')) {
        struct spw_json *json = NULL;
        ok = spw_json_parse(name, 0, line, (uint64_t)(end - line), NULL, &json) == SPW_OK;
        spw_json_destroy(json);
        line = end + 1;
    }
    if (!ok || (whole && (*line != '\0' || line == text))) {
        ok = fault(stage, "a bad line in", name);
    }
    free(text);
    return ok;
}

/* Whether the trial's weights are there; if so, whole. */
static bool judge_weights(struct stage *stage, int trial, bool *is_there)
{
    char name[128];
    uint64_t bytes = 0;
    (void)snprintf(name, sizeof name, "trials/%s/model.safetensors", IDS[trial]);
    char *data = read_in_run(stage, name, &bytes);
    bool ok = true;
    *is_there = data != NULL;
    if (data != NULL && stage->good[trial] != NULL &&
        (bytes != stage->good_bytes[trial] || memcmp(data, stage->good[trial], bytes) != 0)) {
        ok = fault(stage, "weights that differ from the good run's:", IDS[trial]);
    }
    free(data);
    return ok;
}

static bool judge_trace(struct stage *stage, bool whole)
{
    uint64_t bytes = 0;
    char *data = read_in_run(stage, "trace.pftrace", &bytes);
    const bool ok = data == NULL ? !whole : judge_packets(data, bytes, whole);
    free(data);
    return ok ? true : fault(stage, "the trace does not read", "");
}

/* The summary, if there is one, says of each trial what is there. */
static bool judge_summary(struct stage *stage, const bool is_there[TRIALS], bool must)
{
    bool ok = true;
    struct spw_json *summary = parse_file(stage, "summary.json", &ok);
    if (summary == NULL) {
        return must ? fault(stage, "no summary", "") : ok;
    }
    const struct spw_json *trials = spw_json_member(summary, "trials");
    for (uint64_t i = 0; ok && i < TRIALS; i++) {
        const struct spw_json *trial = spw_json_at(trials, i);
        const char *state = spw_json_string(spw_json_member(trial, "state"));
        if ((strcmp(state, "done") == 0) != is_there[i]) {
            ok = fault(stage, "the summary and the weights disagree:", state);
        }
    }
    spw_json_destroy(summary);
    return ok;
}

static bool found_temporary; /* nftw() passes nothing on */

static int look_for_temporary(const char *path, const struct stat *status, int kind,
                              struct FTW *place)
{
    const size_t length = strlen(path);
    (void)status;
    (void)kind;
    (void)place;
    found_temporary = found_temporary || (length > 4 && strcmp(path + length - 4, ".tmp") == 0);
    return 0;
}

static bool has_folder(const struct stage *stage)
{
    char path[512];
    return access(spw_temporary_path(&stage->folder, "run", path), F_OK) == 0;
}

/* Does the code go with what is there? 2 says that nothing was written, and a run that ended before
 * its first line on standard output has left nothing either. */
static bool judge_code(struct stage *stage, int code, const bool is_there[TRIALS],
                       enum spw_fault_kind kind)
{
    const int done = is_there[0] + is_there[1];
    char text[32];
    (void)snprintf(text, sizeof text, "%d with %d done", code, done);
    const bool possible = code == CLI_DONE            ? done == TRIALS
                          : code == CLI_SOME_FINISHED ? done == 1
                          : code == CLI_NONE_FINISHED ? done == 0
                          : code == CLI_USAGE         ? kind == SPW_FAULT_FILE && !has_folder(stage)
                                                      : code == CLI_FAULT;
    if (!possible) {
        return fault(stage, "exit code", text);
    }
    if (has_folder(stage) && strstr(stage->said, "run folder: ") == NULL) {
        return fault(stage, "a folder of which nothing was said:", stage->said);
    }
    if (code != CLI_DONE && !spw_fault_world_struck(&stage->fault)) {
        return fault(stage, "without a fault:", stage->said);
    }
    const bool told = strstr(stage->said, "spillway run: ") != NULL ||
                      strstr(stage->said, "failed") != NULL;
    return code == CLI_DONE || told ? true : fault(stage, "no reason given:", stage->said);
}

static bool judge(struct stage *stage, int code, enum spw_fault_kind kind)
{
    const bool whole = code == CLI_DONE;
    bool ok = true, is_there[TRIALS];
    char path[512];
    if (!spw_fault_world_clean(&stage->fault)) {
        ok = fault(stage, "memory or an open file is left over", "");
    }
    for (int i = 0; i < TRIALS; i++) {
        char name[128];
        ok = judge_weights(stage, i, &is_there[i]) && ok;
        const bool lines_whole = whole || is_there[i];
        (void)snprintf(name, sizeof name, "trials/%s/metrics.jsonl", IDS[i]);
        ok = judge_lines(stage, name, lines_whole) && ok;
        (void)snprintf(name, sizeof name, "trials/%s/timing.jsonl", IDS[i]);
        ok = judge_lines(stage, name, lines_whole) && ok;
    }
    spw_json_destroy(parse_file(stage, "environment.json", &ok));
    ok =
        judge_summary(stage, is_there,
                      code == CLI_DONE || code == CLI_SOME_FINISHED || code == CLI_NONE_FINISHED) &&
        ok;
    ok = judge_trace(stage, whole) && ok;
    ok = judge_code(stage, code, is_there, kind) && ok;
    found_temporary = false;
    (void)nftw(spw_temporary_path(&stage->folder, "run", path), look_for_temporary, 16, FTW_PHYS);
    return found_temporary ? fault(stage, "a temporary is left over", "") : ok;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

/* Whether the fault struck: past the last call it doesn't. */
static bool attempt_one(struct stage *stage, enum spw_fault_kind kind, struct spw_fault_rule rule)
{
    char path[512];
    stage->why[0] = '\0';
    guard_begin("%s %llu fails%s", kind == SPW_FAULT_FILE ? "file call" : "allocation",
                (unsigned long long)rule.at, rule.sticky ? " and all later ones" : "");
    spw_fault_world_init(&stage->fault, spw_world_system());
    spw_fault_world_arm(&stage->fault, kind, rule);
    const int code = run_command(stage);
    const bool ok = judge(stage, code, kind);
    stage->codes[code & 255]++;
    guard_end(ok, stage->why);
    (void)nftw(spw_temporary_path(&stage->folder, "run", path), remove_entry, 16,
               FTW_DEPTH | FTW_PHYS);
    return spw_fault_world_struck(&stage->fault);
}

/* The run that all others are held against; returns how many calls of each kind it makes. */
static bool run_well(struct stage *stage, uint64_t calls[SPW_FAULT_KINDS])
{
    char path[512];
    guard_begin("a good run");
    spw_fault_world_init(&stage->fault, spw_world_system());
    const int code = run_command(stage);
    bool ok = judge(stage, code, SPW_FAULT_FILE) && code == CLI_DONE;
    for (int i = 0; i < TRIALS; i++) {
        char name[128];
        (void)snprintf(name, sizeof name, "trials/%s/model.safetensors", IDS[i]);
        stage->good[i] = read_in_run(stage, name, &stage->good_bytes[i]);
        ok = ok && stage->good[i] != NULL;
    }
    for (int kind = 0; kind < SPW_FAULT_KINDS; kind++) {
        calls[kind] = atomic_load(&stage->fault.calls[kind]);
    }
    guard_end(ok, stage->why);
    (void)nftw(spw_temporary_path(&stage->folder, "run", path), remove_entry, 16,
               FTW_DEPTH | FTW_PHYS);
    return ok;
}

/* Faults strike before, during and after training: else the attempts show less than they seem. */
static void judge_codes(struct stage *stage)
{
    const int codes[] = {CLI_SOME_FINISHED, CLI_USAGE, CLI_FAULT};
    bool ok = true;
    stage->why[0] = '\0';
    guard_begin("exit codes seen");
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        printf("exit code %d: %d times\n", codes[i], stage->codes[codes[i]]);
        ok = stage->codes[codes[i]] > 0 ? ok : fault(stage, "one was never seen", "");
    }
    guard_end(ok, stage->why);
}

int main(int argc, char **argv)
{
    const bool all = argc > 1 && strcmp(argv[1], "all") == 0;
    const uint64_t wanted = all ? 0 : argc > 2 ? strtoull(argv[2], NULL, 10) : 40;
    static struct stage stage;
    uint64_t calls[SPW_FAULT_KINDS];
    spw_temporary_init(&stage.folder);
    write_data(&stage);
    const bool well = run_well(&stage, calls);
    for (int kind = 0; well && kind < SPW_FAULT_KINDS; kind++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            struct spw_fault_rule rule = {.at = 1, .sticky = sticky != 0};
            rule.full_disk = sticky && kind == SPW_FAULT_FILE;
            rule.native = rule.full_disk ? ENOSPC : 0;
            while (attempt_one(&stage, (enum spw_fault_kind)kind, rule)) {
                rule.at += guard_stride(calls[kind], wanted);
            }
        }
    }
    judge_codes(&stage);
    for (int i = 0; i < TRIALS; i++) {
        free(stage.good[i]);
    }
    free(stage.said);
    spw_temporary_deinit(&stage.folder);
    return guard_report();
}
