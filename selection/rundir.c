/* rundir.c — makes the folder of a run, and takes it back if the run does not come to begin. Tested
 * by tests/selection/test_rundir.c. */
#include "selection/rundir.h"

#include "base/status.h"
#include "selection/environment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RUNS_MAX 100000 /* folders of one name */
#define DEPTH_MAX 64    /* folders of a path: bits of spw_rundir.made */
#define PATH_BYTES_MAX 4000

static enum spw_status path_exists(const struct spw_world *world, const char *path,
                                   struct spw_error *error, bool *out)
{
    bool is_directory = false;
    const int native = world->exists(world->self, path, &is_directory);
    if (native != 0 && native != ENOENT) {
        return SPW_FAIL_FILE(error, native, "look at", path);
    }
    *out = native == 0;
    return SPW_OK;
}

/* --out, which a shell may have completed with a slash. */
static enum spw_status take_wanted(const struct spw_world *world, const char *wanted,
                                   struct spw_error *error, char **out)
{
    bool taken = false;
    SPW_TRY(path_exists(world, wanted, error, &taken));
    if (taken) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "--out %s: exists already; give another folder or remove it", wanted);
    }
    if (wanted[0] == '\0') {
        return SPW_FAIL(error, SPW_ERR_USAGE, "--out: an empty name; give a folder");
    }
    char *path = NULL;
    SPW_TRY(spw_copy_text(world, wanted, error, &path));
    for (size_t length = strlen(path); length > 1 && path[length - 1] == '/'; length--) {
        path[length - 1] = '\0';
    }
    *out = path;
    return SPW_OK;
}

enum spw_status spw_rundir_choose(const struct spw_world *world, const char *name,
                                  const char *wanted, struct spw_error *error, char **out)
{
    bool taken = false;
    if (wanted != NULL) {
        return take_wanted(world, wanted, error, out);
    }
    for (uint32_t number = 1; number <= RUNS_MAX; number++) {
        char path[128];
        if (number == 1) {
            (void)snprintf(path, sizeof(path), "runs/%s", name);
        } else {
            (void)snprintf(path, sizeof(path), "runs/%s-%u", name, number);
        }
        SPW_TRY(path_exists(world, path, error, &taken));
        if (!taken) {
            return spw_copy_text(world, path, error, out);
        }
    }
    return SPW_FAIL(error, SPW_ERR_USAGE,
                    "runs/%s: there are %d folders of this name; remove some or give --out", name,
                    RUNS_MAX);
}

/* ---- making it, and taking it back ---- */

/* Where folder `index` of the path ends, from the outermost: 1 and 3 of "a/b". 0: there is none. */
static size_t folder_end(const char *path, uint32_t index)
{
    size_t at = strspn(path, "/");
    for (;;) {
        const size_t length = strcspn(path + at, "/");
        if (length == 0) {
            return 0;
        }
        at += length;
        if (index == 0) {
            return at;
        }
        index--;
        at += strspn(path + at, "/");
    }
}

/* Clean-up must not need memory, which may be what was missing. */
struct path {
    char text[PATH_BYTES_MAX + 32];
};

static enum spw_status make_folders(struct spw_rundir *rundir, struct spw_error *error)
{
    const struct spw_world *world = rundir->world;
    struct path path;
    (void)snprintf(path.text, sizeof(path.text), "%s", rundir->path);
    for (uint32_t i = 0; folder_end(rundir->path, i) != 0; i++) {
        if (i == DEPTH_MAX) {
            return SPW_FAIL(error, SPW_ERR_USAGE, "--out %s: more than %d folders deep",
                            rundir->path, DEPTH_MAX);
        }
        const size_t end = folder_end(rundir->path, i);
        const bool last = folder_end(rundir->path, i + 1) == 0;
        path.text[end] = '\0';
        const int native = world->make_directory(world->self, path.text);
        if (native != 0 && (native != EEXIST || last)) {
            return SPW_FAIL_FILE(error, native, "make the folder", path.text);
        }
        rundir->made |= (uint64_t)(native == 0) << i;
        path.text[end] = rundir->path[end];
    }
    return SPW_OK;
}

/* There is nothing to do about failures here, and some are meant: a folder into which somebody has
 * put something meanwhile stays. */
static void remove_folders(const struct spw_rundir *rundir)
{
    struct path path;
    (void)snprintf(path.text, sizeof(path.text), "%s", rundir->path);
    for (uint32_t i = DEPTH_MAX; i-- > 0;) {
        if ((rundir->made >> i & 1) != 0) {
            path.text[folder_end(rundir->path, i)] = '\0';
            (void)rundir->world->remove(rundir->world->self, path.text);
        }
    }
}

enum spw_status spw_rundir_make(const struct spw_world *world, const char *path,
                                struct spw_error *error, struct spw_rundir *out)
{
    struct spw_rundir rundir = {.world = world, .path = path};
    if (strlen(path) > PATH_BYTES_MAX) {
        return SPW_FAIL(error, SPW_ERR_USAGE, "--out: a path of more than %d bytes",
                        PATH_BYTES_MAX);
    }
    const enum spw_status status = make_folders(&rundir, error);
    if (status != SPW_OK) {
        remove_folders(&rundir);
        return status;
    }
    *out = rundir;
    return SPW_OK;
}

void spw_rundir_remove(const struct spw_rundir *rundir)
{
    static const char *const names[] = {"config.yaml",   "environment.json", "plan.txt",
                                        "decisions.log", "trace.pftrace",    "trials"};
    for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct path path;
        (void)snprintf(path.text, sizeof(path.text), "%s/%s", rundir->path, names[i]);
        (void)rundir->world->remove(rundir->world->self, path.text);
    }
    remove_folders(rundir);
}

/* ---- filling it ---- */

static enum spw_status write_text(const struct spw_world *world, const char *folder,
                                  const char *name, const struct spw_text *text,
                                  struct spw_error *error)
{
    if (text->failed) {
        return SPW_FAIL(error, SPW_ERR_NO_MEMORY, "no memory for %s", name);
    }
    char *path = NULL;
    SPW_TRY(spw_format_text(world, error, &path, "%s/%s", folder, name));
    const enum spw_status status = spw_write_file(world, path, text->data, text->bytes, error);
    spw_release(world, path);
    return status;
}

static enum spw_status write_config(const struct spw_sweep *sweep, struct spw_run *run,
                                    const char *path, const char *directory,
                                    struct spw_error *error)
{
    char machine[SPW_MACHINE_TEXT_MAX];
    spw_machine_print(spw_run_machine(run), machine);
    struct spw_text text;
    spw_text_init(&text, sweep->world);
    spw_spec_print(sweep->spec, directory, machine, &text);
    const enum spw_status status = write_text(sweep->world, path, "config.yaml", &text, error);
    spw_text_deinit(&text);
    return status;
}

static enum spw_status write_environment(const struct spw_sweep *sweep, const char *path,
                                         struct spw_error *error)
{
    struct spw_environment *environment = NULL;
    SPW_TRY(spw_allocate(sweep->world, 1, sizeof(*environment), "the environment", error,
                         &environment));
    struct spw_text text;
    spw_text_init(&text, sweep->world);
    enum spw_status status = spw_environment_read(sweep->world, environment, error);
    if (status == SPW_OK) {
        spw_environment_print(environment, &text);
        status = write_text(sweep->world, path, "environment.json", &text, error);
    }
    spw_text_deinit(&text);
    spw_release(sweep->world, environment);
    return status;
}

static enum spw_status write_plans(const struct spw_sweep *sweep, struct spw_run *run,
                                   const char *path, struct spw_error *error)
{
    struct spw_text text;
    spw_text_init(&text, sweep->world);
    enum spw_status status = SPW_OK;
    for (uint32_t i = 0; i < spw_run_job_count(run) && status == SPW_OK; i++) {
        char *plan = NULL;
        status = spw_plan_print(spw_job_plan(spw_run_job(run, i)), error, sweep->world, &plan);
        if (status == SPW_OK) {
            spw_text_add(&text, "%s# trial %s\n%s", i == 0 ? "" : "\n", sweep->jobs[i].id, plan);
            spw_release(sweep->world, plan);
        }
    }
    if (status == SPW_OK) {
        status = write_text(sweep->world, path, "plan.txt", &text, error);
    }
    spw_text_deinit(&text);
    return status;
}

enum spw_status spw_rundir_fill(const struct spw_rundir *rundir, const struct spw_sweep *sweep,
                                struct spw_run *run, const char *directory, struct spw_error *error)
{
    SPW_TRY(write_config(sweep, run, rundir->path, directory, error));
    SPW_TRY(write_environment(sweep, rundir->path, error));
    return write_plans(sweep, run, rundir->path, error);
}
