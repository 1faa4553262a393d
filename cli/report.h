/* report.h — the closing tables of a run. */
#ifndef SPW_CLI_REPORT_H
#define SPW_CLI_REPORT_H

#include "base/text.h"
#include "selection/sweep.h"

/* Trials with their best and last results, then devices with where their time went. */
void cli_report_print(const struct spw_sweep *sweep, struct spw_run *run, struct spw_text *out);

#endif
