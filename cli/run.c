/* run.c — `spillway run`: checks, plans, trains, reports. */
#include "base/status.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "selection/recorder.h"
#include "selection/rundir.h"
#include "selection/summary.h"

#include <stdlib.h>

/* A run of the command. */
struct session {
    const struct cli *cli;
    struct spw_spec *spec;
    struct spw_sweep *sweep;
    struct spw_run *run;
    char *path; /* of the run's folder */
    struct cli_interrupt interrupt;
    struct cli_progress *progress;
    struct spw_rundir folder;
    struct spw_recorder recorder;
};

/* ---- events go to the files and to the display ---- */

static void on_step(void *self, struct spw_job *job, const struct spw_step_result *result)
{
    struct session *session = self;
    spw_recorder_step(&session->recorder, job, result);
    cli_progress_step(session->progress, job, result);
}

static void on_eval(void *self, struct spw_job *job, const struct spw_eval_result *result)
{
    struct session *session = self;
    spw_recorder_eval(&session->recorder, job, result);
    cli_progress_eval(session->progress, job, result);
}

static enum spw_status on_state(void *self, struct spw_job *job, enum spw_job_state state,
                                struct spw_error *error)
{
    struct session *session = self;
    const enum spw_status status = spw_recorder_state(&session->recorder, job, state, error);
    if (status == SPW_OK) {
        cli_progress_state(session->progress, job, state);
    }
    return status;
}

static void on_decision(void *self, const struct spw_decision *decision)
{
    struct session *session = self;
    spw_recorder_decision(&session->recorder, decision);
}

static void on_span(void *self, const struct spw_span *span)
{
    struct session *session = self;
    spw_recorder_span(&session->recorder, span);
}

static void on_tick(void *self, struct spw_run *run)
{
    struct session *session = self;
    (void)run;
    spw_recorder_tick(&session->recorder);
    cli_progress_tick(session->progress);
}

/* ---- the steps of a run ---- */

/* All that can refuse the run, before anything is written. */
static enum spw_status prepare(struct session *session, struct spw_error *error)
{
    const struct cli *cli = session->cli;
    SPW_TRY(cli_load_spec(cli, error, &session->spec));
    SPW_TRY(spw_rundir_choose(cli->world, session->spec->name, cli->arguments.out, error,
                              &session->path));
    SPW_TRY(spw_sweep_open(cli->world, session->spec, error, &session->sweep));
    if (session->sweep->machine.kind == SPW_MACHINE_SIM) {
        return SPW_FAIL(
            error, SPW_ERR_USAGE,
            "machine '%.80s': simulated devices train nothing; use `spillway simulate`, "
            "or give devices that are there, such as host*2",
            session->spec->machine);
    }
    SPW_TRY(cli_interrupt_begin(&session->interrupt, error));
    struct spw_run_config config = spw_sweep_config(session->sweep);
    config.events = (struct spw_run_events){
        .self = session,
        .step = on_step,
        .eval = on_eval,
        .state = on_state,
        .decision = on_decision,
        .span = session->spec->run.trace ? on_span : NULL,
        .tick = on_tick,
    };
    SPW_TRY(spw_run_create(cli->world, &config, error, &session->run));
    SPW_TRY(spw_sweep_add(session->sweep, session->run, error));
    if (cli_interrupt_came(&session->interrupt)) {
        return SPW_FAIL(error, SPW_ERR_CANCELLED, "interrupted before anything was started");
    }
    return cli_progress_create(cli, session->sweep, session->run, error, &session->progress);
}

static enum spw_status write_beginning(struct session *session, struct spw_error *error)
{
    char *directory = cli_current_directory();
    if (directory == NULL) {
        return SPW_FAIL(error, SPW_ERR_NO_MEMORY, "no memory for a path");
    }
    const enum spw_status status = spw_rundir_fill(&session->folder, session->sweep, session->run,
                                                   directory[0] != '\0' ? directory : NULL, error);
    free(directory);
    SPW_TRY(status);
    return spw_recorder_open(&session->recorder, session->sweep, session->run, session->path,
                             error);
}

/* The files that are there before training. If one can't be written none is left, nor a folder. */
static enum spw_status start(struct session *session, struct spw_error *error)
{
    const enum spw_status status = write_beginning(session, error);
    if (status != SPW_OK) {
        (void)spw_recorder_close(&session->recorder, error);
        spw_rundir_remove(&session->folder);
        return status;
    }
    fprintf(session->cli->arguments.json ? stderr : stdout, "run folder: %s\n", session->path);
    (void)fflush(stdout);
    return SPW_OK;
}

static enum spw_status train(struct session *session, struct spw_error *error)
{
    cli_interrupt_set_run(&session->interrupt, session->run);
    if (cli_interrupt_came(&session->interrupt)) {
        spw_run_interrupt(session->run);
    }
    enum spw_status status = spw_run_execute(session->run, error);
    cli_interrupt_set_run(&session->interrupt, NULL);
    cli_progress_destroy(session->progress);
    session->progress = NULL;
    const enum spw_status closed = spw_recorder_close(&session->recorder, error);
    const enum spw_status written = spw_summary_write(session->sweep, session->run, session->path,
                                                      status == SPW_ERR_CANCELLED, error);
    if (status == SPW_OK) {
        status = closed != SPW_OK ? closed : written;
    }
    return status;
}

static int exit_code(const struct session *session)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < spw_run_job_count(session->run); i++) {
        struct spw_job_status status;
        spw_job_status(spw_run_job(session->run, i), &status);
        done += status.state == SPW_JOB_DONE;
    }
    return done == session->sweep->trials->count ? CLI_DONE
           : done == 0                           ? CLI_NONE_FINISHED
                                                 : CLI_SOME_FINISHED;
}

static bool report(const struct session *session, bool interrupted)
{
    struct spw_text text;
    spw_text_init(&text, session->cli->world);
    if (session->cli->arguments.json) {
        spw_summary_print(session->sweep, session->run, interrupted, &text);
    } else {
        cli_report_print(session->sweep, session->run, &text);
        spw_text_add(&text, "weights, metrics and summary.json are in %s\n", session->path);
    }
    const bool printed = cli_print_text(session->cli, &text, stdout);
    spw_text_deinit(&text);
    return printed;
}

static void end(struct session *session)
{
    struct spw_error ignored = {0}; /* the first failure has been reported by now */
    cli_progress_destroy(session->progress);
    (void)spw_recorder_close(&session->recorder, &ignored);
    spw_run_destroy(session->run);
    cli_interrupt_end(&session->interrupt);
    spw_sweep_close(session->sweep);
    spw_spec_destroy(session->spec);
    spw_release(session->cli->world, session->path);
}

int cli_run(const struct cli *cli)
{
    struct spw_error error = {0};
    struct session session = {.cli = cli};
    int code = CLI_DONE;
    if (prepare(&session, &error) != SPW_OK ||
        spw_rundir_make(cli->world, session.path, &error, &session.folder) != SPW_OK) {
        code = error.status == SPW_ERR_CANCELLED
                   ? cli_fail_as(cli, &error, cli_interrupt_code(&session.interrupt))
                   : cli_fail(cli, &error);
    } else if (start(&session, &error) != SPW_OK) {
        code = cli_fail_as(cli, &error, CLI_FAULT); /* it was no file of the user's */
    } else {
        const enum spw_status status = train(&session, &error);
        if (status == SPW_ERR_CANCELLED) {
            (void)report(&session, true);
            fprintf(stderr, "spillway run: interrupted; this run can't be resumed\n");
            code = cli_interrupt_code(&session.interrupt);
        } else if (status != SPW_OK) {
            (void)report(&session, false);
            code = cli_fail_as(cli, &error, CLI_FAULT);
        } else {
            code = report(&session, false) ? exit_code(&session) : CLI_FAULT;
        }
    }
    end(&session);
    return code;
}
