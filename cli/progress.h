/* progress.h — how a run goes on, on standard error: a block that is redrawn, plain lines, or JSON
 * lines. Memory is taken at the start; showing progress allocates nothing.
 *
 * Tested by tests/cli/test_progress.c. */
#ifndef SPW_CLI_PROGRESS_H
#define SPW_CLI_PROGRESS_H

#include "cli/command.h"
#include "selection/sweep.h"

/* What is known of one trial. */
struct cli_trial_view {
    double loss; /* of the last step, NaN before it */
    double eval; /* last accuracy or perplexity, NaN */
    enum spw_job_state state;
};

/* A device at the last tick, for figures of the present. */
struct cli_device_view {
    uint64_t compute_ns, bytes_in, bytes_out;
    double busy, in_per_s, out_per_s; /* since the tick before */
};

struct cli_progress {
    const struct spw_world *world;
    const struct spw_sweep *sweep;
    struct spw_run *run;
    enum cli_progress_mode mode; /* never AUTO */
    struct cli_terminal terminal;
    FILE *out;
    uint64_t start_ns, tick_ns, line_ns; /* line: when the last plain or JSON line was due */
    struct cli_trial_view *trials;
    struct cli_device_view *devices;
    uint32_t lines_drawn; /* of the block, to go back over */
    char *buffer;         /* a whole block is written at once, so that it doesn't flicker */
    size_t used;
};

/* AUTO becomes TTY on a terminal and PLAIN elsewhere. */
enum spw_status cli_progress_create(const struct cli *cli, const struct spw_sweep *sweep,
                                    struct spw_run *run, struct spw_error *error,
                                    struct cli_progress **out);
/* Takes the block away. NULL is allowed. */
void cli_progress_destroy(struct cli_progress *progress);

void cli_progress_step(struct cli_progress *progress, struct spw_job *job,
                       const struct spw_step_result *result);
void cli_progress_eval(struct cli_progress *progress, struct spw_job *job,
                       const struct spw_eval_result *result);
void cli_progress_state(struct cli_progress *progress, struct spw_job *job,
                        enum spw_job_state state);
void cli_progress_tick(struct cli_progress *progress);

/* ---- between progress.c and its faces ---- */

/* Appends to the buffer; what does not fit is dropped. */
void cli_progress_add(struct cli_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cli_progress_flush(struct cli_progress *progress);

/* The whole run in figures. */
struct cli_progress_totals {
    uint64_t steps, steps_done;
    uint32_t done, failed, running, waiting;
    double elapsed_s, left_s; /* left: NaN before the first step */
};
void cli_progress_totals(const struct cli_progress *progress, struct cli_progress_totals *out);
double cli_progress_elapsed_s(const struct cli_progress *progress);
/* "accuracy" or "perplexity". */
const char *cli_progress_eval_name(const struct cli_progress *progress);
/* "2:05", "1:02:05"; "-" if it is not a number; `out` is the return value. */
const char *cli_clock_text(double seconds, char out[32]);
/* "12.3k": short, for narrow columns; `out` is the return value. */
const char *cli_short_count(double count, char out[32]);

void cli_progress_draw_block(struct cli_progress *progress);
void cli_progress_clear_block(struct cli_progress *progress);
void cli_progress_plain_line(struct cli_progress *progress);
void cli_progress_plain_state(struct cli_progress *progress, struct spw_job *job,
                              enum spw_job_state state);
void cli_progress_json_line(struct cli_progress *progress);
void cli_progress_json_state(struct cli_progress *progress, struct spw_job *job,
                             enum spw_job_state state);
void cli_progress_json_eval(struct cli_progress *progress, struct spw_job *job,
                            const struct spw_eval_result *result);

#endif
