/* test_rundir.c — the folder of a run, and what a failure leaves of it: nothing. */
#include "fixture.h"

#include "base/status.h"
#include "models/json.h"
#include "selection/environment.h"
#include "selection/recorder.h"
#include "selection/rundir.h"
#include "selection/summary.h"
#include "tests/support/fault_world.h"
#include "tests/support/temporary.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct spw_temporary temporary;
static struct spw_spec *spec;
static struct spw_sweep *sweep;
static struct spw_run *run;

static void begin(void)
{
    spw_temporary_init(&temporary);
    spec = spec_of(SPEC_TEXT "search: {parameters: {seed: [1, 2]}}\n");
    sweep = sweep_of(spec);
    struct spw_run_config config = spw_sweep_config(sweep);
    struct spw_error error = {0};
    config.pilot = false;
    cr_assert(spw_run_create(spw_world_system(), &config, &error, &run) == SPW_OK, "%s",
              error.what);
    cr_assert(spw_sweep_add(sweep, run, &error) == SPW_OK, "%s", error.what);
}

static void end(void)
{
    spw_run_destroy(run);
    spw_sweep_close(sweep);
    spw_spec_destroy(spec);
    spw_temporary_deinit(&temporary);
}

TestSuite(rundir, .init = begin, .fini = end);

Test(rundir, the_first_free_name_is_chosen)
{
    const struct spw_world *world = spw_world_system();
    struct spw_error error = {0};
    char *path = NULL;
    cr_assert(chdir(temporary.path) == 0, "chdir");
    cr_assert(spw_rundir_choose(world, "x", NULL, &error, &path) == SPW_OK, "%s", error.what);
    cr_assert(strcmp(path, "runs/x") == 0, "%s", path);
    spw_release(world, path);
    cr_assert(world->make_directory(world->self, "runs") == 0, "mkdir");
    cr_assert(world->make_directory(world->self, "runs/x") == 0, "mkdir");
    cr_assert(spw_rundir_choose(world, "x", NULL, &error, &path) == SPW_OK, "%s", error.what);
    cr_assert(strcmp(path, "runs/x-2") == 0, "%s", path);
    spw_release(world, path);
    cr_assert(spw_rundir_choose(world, "x", "runs/x", &error, &path) == SPW_ERR_USAGE, "refused");
    cr_assert(strstr(error.what, "exists already") != NULL, "%s", error.what);
    error = (struct spw_error){0};
    cr_assert(spw_rundir_choose(world, "x", "runs/new//", &error, &path) == SPW_OK, "%s",
              error.what);
    cr_assert(strcmp(path, "runs/new") == 0, "a shell's slash goes: %s", path);
    spw_release(world, path);
    cr_assert(spw_rundir_choose(world, "x", "", &error, &path) == SPW_ERR_USAGE, "refused");
}

/* Makes and fills the folder; on failure takes it back. */
static enum spw_status make_and_fill(struct spw_run *of, const char *path, struct spw_error *error)
{
    struct spw_rundir folder;
    SPW_TRY(spw_rundir_make(sweep->world, path, error, &folder));
    const enum spw_status status = spw_rundir_fill(&folder, sweep, of, "/cwd", error);
    if (status != SPW_OK) {
        spw_rundir_remove(&folder);
    }
    return status;
}

static struct spw_json *json_of(const char *name)
{
    char path[512], *bytes = NULL;
    uint64_t count = 0;
    struct spw_json *document = NULL;
    struct spw_error error = {0};
    spw_temporary_path(&temporary, name, path);
    cr_assert(spw_read_file(spw_world_system(), path, 1u << 20, &error, &bytes, &count) == SPW_OK,
              "%s", error.what);
    cr_assert(spw_json_parse(name, 0, bytes, count, &error, &document) == SPW_OK, "%s", error.what);
    spw_release(spw_world_system(), bytes);
    return document;
}

Test(rundir, it_holds_config_environment_and_plans)
{
    char path[512], config[512];
    struct spw_error error = {0};
    spw_temporary_path(&temporary, "a/b/run", path);
    cr_assert(make_and_fill(run, path, &error) == SPW_OK, "%s", error.what);

    struct spw_json *environment = json_of("a/b/run/environment.json");
    cr_assert(spw_json_integer(spw_json_member(environment, "cores")) > 0, "cores");
    cr_assert(spw_json_integer(spw_json_member(environment, "free_bytes")) > 0, "free bytes");
    spw_json_destroy(environment);

    struct spw_spec *again = NULL;
    spw_temporary_path(&temporary, "a/b/run/config.yaml", config);
    cr_assert(spw_spec_load(spw_world_system(), config, NULL, &error, &again) == SPW_OK, "%s",
              error.what);
    cr_assert(again->search.count == 1 && again->train.batch == 2, "the resolved spec");
    spw_spec_destroy(again);

    char *plan = NULL;
    uint64_t count = 0;
    spw_temporary_path(&temporary, "a/b/run/plan.txt", config);
    cr_assert(spw_read_file(spw_world_system(), config, 1u << 20, &error, &plan, &count) == SPW_OK,
              "%s", error.what);
    cr_assert(strstr(plan, "# trial small-1\n") != NULL, "%s", plan);
    cr_assert(strstr(plan, "# trial small-2\n") != NULL, "%s", plan);
    spw_release(spw_world_system(), plan);
}

Test(rundir, what_exists_is_left_alone)
{
    struct spw_error error = {0};
    cr_assert(make_and_fill(run, temporary.path, &error) == SPW_ERR_EXISTS, "%s", error.what);
    cr_assert(spw_temporary_count(&temporary) == 0, "nothing was written");
}

/* Parents that were there stay, those made for the run go, unless they are in use by now. */
Test(rundir, it_takes_back_what_it_made_and_no_more)
{
    const struct spw_world *world = spw_world_system();
    struct spw_error error = {0};
    struct spw_rundir folder;
    char path[512], beside[512];
    cr_assert(world->make_directory(world->self, spw_temporary_path(&temporary, "old", path)) == 0,
              "mkdir");
    spw_temporary_path(&temporary, "old/a//b/run", path);
    cr_assert(spw_rundir_make(world, path, &error, &folder) == SPW_OK, "%s", error.what);
    cr_assert(access(path, W_OK) == 0, "made");
    spw_rundir_remove(&folder);
    cr_assert(access(spw_temporary_path(&temporary, "old/a", path), F_OK) != 0, "taken back");
    cr_assert(access(spw_temporary_path(&temporary, "old", path), F_OK) == 0, "it was there");

    spw_temporary_path(&temporary, "old/a/run", path);
    cr_assert(spw_rundir_make(world, path, &error, &folder) == SPW_OK, "%s", error.what);
    spw_temporary_write(&temporary, "old/a/other", "x", 1);
    spw_rundir_remove(&folder);
    cr_assert(access(path, F_OK) != 0, "taken back");
    cr_assert(access(spw_temporary_path(&temporary, "old/a/other", beside), F_OK) == 0, "in use");
    remove(beside);

    /* A file where a folder should be: the folders above it go again. */
    spw_temporary_write(&temporary, "file", "x", 1);
    spw_temporary_path(&temporary, "new/../file/run", path);
    cr_assert(spw_rundir_make(world, path, &error, &folder) == SPW_ERR_NOT_FOUND, "%s", error.what);
    cr_assert(access(spw_temporary_path(&temporary, "new", path), F_OK) != 0, "taken back");
}

/* The beginning of a run, as the command makes it. */
static enum spw_status begin_run(const char *path, struct spw_error *error)
{
    struct spw_rundir folder;
    struct spw_recorder recorder = {0};
    SPW_TRY(spw_rundir_make(sweep->world, path, error, &folder));
    enum spw_status status = spw_rundir_fill(&folder, sweep, run, "/cwd", error);
    if (status == SPW_OK) {
        status = spw_recorder_open(&recorder, sweep, run, path, error);
    }
    const enum spw_status closed = spw_recorder_close(&recorder, error);
    status = status == SPW_OK ? closed : status;
    if (status != SPW_OK) {
        spw_rundir_remove(&folder);
    }
    return status;
}

/* Once, or from then on, as when memory or the disk is full. Returns whether it struck. */
static bool check_fault(struct spw_fault_world *fault, enum spw_fault_kind kind,
                        struct spw_fault_rule rule, const char *path)
{
    struct spw_error error = {0};
    spw_fault_world_arm(fault, kind, rule);
    const enum spw_status status = begin_run(path, &error);
    const bool struck = spw_fault_world_struck(fault);
    const int at = (int)rule.at;
    cr_assert((status == SPW_OK) == !struck, "kind %d, call %d: %s", (int)kind, at, error.what);
    cr_assert(!struck || error.status != SPW_OK, "kind %d, call %d was not told", (int)kind, at);
    cr_assert(spw_fault_world_clean(fault), "kind %d, call %d leaks", (int)kind, at);
    cr_assert(!struck || spw_temporary_count(&temporary) == 0, "kind %d, call %d left something",
              (int)kind, at);
    return struck;
}

Test(rundir, any_failure_leaves_nothing)
{
    static const char *const names[] = {"a/b/run/trials",
                                        "a/b/run/decisions.log",
                                        "a/b/run/config.yaml",
                                        "a/b/run/environment.json",
                                        "a/b/run/plan.txt",
                                        "a/b/run",
                                        "a/b",
                                        "a"};
    char path[512], file[512];
    struct spw_fault_world fault;
    spw_temporary_path(&temporary, "a/b/run", path);
    spw_fault_world_init(&fault, spw_world_system());
    const struct spw_world *before = sweep->world;
    sweep->world = &fault.world;
    for (int kind = 0; kind < SPW_FAULT_KINDS; kind++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            struct spw_fault_rule rule = {.at = 1, .sticky = sticky != 0, .full_disk = sticky != 0};
            while (rule.at < 10000 && check_fault(&fault, (enum spw_fault_kind)kind, rule, path)) {
                rule.at++;
            }
            cr_assert(rule.at > 3 && rule.at < 10000, "kind %d: %d calls", kind, (int)rule.at);
            for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
                cr_assert(remove(spw_temporary_path(&temporary, names[i], file)) == 0, "%s", file);
            }
        }
    }
    sweep->world = before;
}

Test(rundir, the_summary_is_json_with_every_trial_and_device)
{
    char path[512];
    struct spw_error error = {0};
    spw_temporary_path(&temporary, "run", path);
    cr_assert(make_and_fill(run, path, &error) == SPW_OK, "%s", error.what);
    cr_assert(spw_summary_write(sweep, run, path, false, &error) == SPW_OK, "%s", error.what);
    struct spw_json *summary = json_of("run/summary.json");
    const struct spw_json *trials = spw_json_member(summary, "trials");
    cr_assert(spw_json_count(trials) == 2, "%d trials", (int)spw_json_count(trials));
    const struct spw_json *first = spw_json_at(trials, 0);
    cr_assert(strcmp(spw_json_string(spw_json_member(first, "state")), "waiting") == 0, "waiting");
    cr_assert(spw_json_kind(spw_json_member(first, "last_loss")) == SPW_JSON_NULL, "no loss yet");
    const struct spw_json *devices = spw_json_member(summary, "devices");
    cr_assert(spw_json_count(devices) == 2, "a device and the cores");
    spw_json_destroy(summary);
}

/* ---- a whole small run through the recorder ---- */

struct session {
    struct spw_recorder recorder;
    struct spw_run *run;
};

static void on_step(void *self, struct spw_job *job, const struct spw_step_result *result)
{
    spw_recorder_step(&((struct session *)self)->recorder, job, result);
}

static void on_eval(void *self, struct spw_job *job, const struct spw_eval_result *result)
{
    spw_recorder_eval(&((struct session *)self)->recorder, job, result);
}

static enum spw_status on_state(void *self, struct spw_job *job, enum spw_job_state state,
                                struct spw_error *error)
{
    return spw_recorder_state(&((struct session *)self)->recorder, job, state, error);
}

static void on_decision(void *self, const struct spw_decision *decision)
{
    spw_recorder_decision(&((struct session *)self)->recorder, decision);
}

static void on_tick(void *self, struct spw_run *ticking)
{
    (void)ticking;
    spw_recorder_tick(&((struct session *)self)->recorder);
}

Test(rundir, a_run_leaves_metrics_and_weights_of_every_trial)
{
    char path[512], file[512];
    struct spw_error error = {0};
    struct session session = {0};
    struct spw_run_config config = spw_sweep_config(sweep);
    config.pilot = false;
    config.events = (struct spw_run_events){.self = &session,
                                            .step = on_step,
                                            .eval = on_eval,
                                            .state = on_state,
                                            .decision = on_decision,
                                            .tick = on_tick};
    cr_assert(spw_run_create(spw_world_system(), &config, &error, &session.run) == SPW_OK, "%s",
              error.what);
    cr_assert(spw_sweep_add(sweep, session.run, &error) == SPW_OK, "%s", error.what);
    spw_temporary_path(&temporary, "run", path);
    cr_assert(make_and_fill(session.run, path, &error) == SPW_OK, "%s", error.what);
    cr_assert(spw_recorder_open(&session.recorder, sweep, session.run, path, &error) == SPW_OK,
              "%s", error.what);
    cr_assert(spw_run_execute(session.run, &error) == SPW_OK, "%s", error.what);
    cr_assert(spw_recorder_close(&session.recorder, &error) == SPW_OK, "%s", error.what);
    for (int trial = 1; trial <= 2; trial++) {
        char name[64], *bytes = NULL;
        uint64_t count = 0;
        (void)snprintf(name, sizeof(name), "run/trials/small-%d/metrics.jsonl", trial);
        spw_temporary_path(&temporary, name, file);
        cr_assert(spw_read_file(spw_world_system(), file, 1u << 20, &error, &bytes, &count) ==
                      SPW_OK,
                  "%s", error.what);
        int lines = 0;
        for (const char *at = bytes; (at = strchr(at, '\n')) != NULL; at++) {
            lines++;
        }
        cr_assert(lines == 3, "%d lines for three steps", lines);
        spw_release(spw_world_system(), bytes);
        (void)snprintf(name, sizeof(name), "run/trials/small-%d/model.safetensors", trial);
        cr_assert(access(spw_temporary_path(&temporary, name, file), R_OK) == 0, "%s", name);
        (void)snprintf(name, sizeof(name), "run/trials/small-%d/timing.jsonl", trial);
        cr_assert(access(spw_temporary_path(&temporary, name, file), R_OK) == 0, "%s", name);
    }
    cr_assert(access(spw_temporary_path(&temporary, "run/decisions.log", file), R_OK) == 0, "log");
    spw_run_destroy(session.run);
}
