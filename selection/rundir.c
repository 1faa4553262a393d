/* rundir.c — makes the folder of a run. Tested by tests/selection/test_rundir.c. */
#include "selection/rundir.h"

#include "base/status.h"
#include "selection/environment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RUNS_MAX 100000 /* folders of one name */

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

enum spw_status spw_rundir_choose(const struct spw_world *world, const char *name,
                                  const char *wanted, struct spw_error *error, char **out)
{
    bool taken = false;
    if (wanted != NULL) {
        SPW_TRY(path_exists(world, wanted, error, &taken));
        if (taken) {
            return SPW_FAIL(error, SPW_ERR_USAGE,
                            "--out %s: exists already; give another folder or remove it", wanted);
        }
        return spw_copy_text(world, wanted, error, out);
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

/* ---- making it ---- */

/* The folders above `path`; those that exist are as good. */
static enum spw_status make_parents(const struct spw_world *world, const char *path,
                                    struct spw_error *error)
{
    char *copy = NULL;
    SPW_TRY(spw_copy_text(world, path, error, &copy));
    enum spw_status status = SPW_OK;
    for (char *slash = strchr(copy + 1, '/'); slash != NULL && status == SPW_OK;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        const int native = world->make_directory(world->self, copy);
        if (native != 0 && native != EEXIST && slash[1] != '\0') {
            status = SPW_FAIL_FILE(error, native, "make the folder", copy);
        }
        *slash = '/';
    }
    spw_release(world, copy);
    return status;
}

static enum spw_status write_text(const struct spw_world *world, const char *folder,
                                  const char *name, const struct spw_text *text,
                                  struct spw_error *error)
{
    if (text->failed) {
        return SPW_FAIL(error, SPW_ERR_NO_MEMORY, "no memory for %s", name);
    }
    struct spw_text path;
    spw_text_init(&path, world);
    spw_text_add(&path, "%s/%s", folder, name);
    enum spw_status status = path.failed
                                 ? SPW_ERR_NO_MEMORY
                                 : spw_write_file(world, path.data, text->data, text->bytes, error);
    if (path.failed) {
        status = SPW_FAIL(error, SPW_ERR_NO_MEMORY, "no memory for a path");
    }
    spw_text_deinit(&path);
    return status;
}

static enum spw_status write_config(const struct spw_sweep *sweep, struct spw_run *run,
                                    const char *path, const char *directory,
                                    struct spw_error *error)
{
    char machine[160];
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

/* Takes back what spw_rundir_create() made; there is nothing to do about failures here. */
static void remove_again(const struct spw_world *world, const char *path)
{
    static const char *const names[] = {"/config.yaml", "/environment.json", "/plan.txt", ""};
    for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct spw_text file;
        spw_text_init(&file, world);
        spw_text_add(&file, "%s%s", path, names[i]);
        if (!file.failed) {
            (void)world->remove(world->self, file.data);
        }
        spw_text_deinit(&file);
    }
}

enum spw_status spw_rundir_create(const struct spw_sweep *sweep, struct spw_run *run,
                                  const char *path, const char *directory, struct spw_error *error)
{
    const struct spw_world *world = sweep->world;
    SPW_TRY(make_parents(world, path, error));
    const int native = world->make_directory(world->self, path);
    if (native != 0) {
        return SPW_FAIL_FILE(error, native, "make the folder", path);
    }
    enum spw_status status = write_config(sweep, run, path, directory, error);
    if (status == SPW_OK) {
        status = write_environment(sweep, path, error);
    }
    if (status == SPW_OK) {
        status = write_plans(sweep, run, path, error);
    }
    if (status != SPW_OK) {
        remove_again(world, path);
    }
    return status;
}
