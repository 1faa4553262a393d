/* setting.h — what the suites here open again and again: a run on small host devices, jobs watched
 * against the oracle. Everything asserts by itself. Tested by its users. */
#ifndef SPW_TESTS_FAULT_SETTING_H
#define SPW_TESTS_FAULT_SETTING_H

#include "watch.h"

/* Device memory that holds any of the cases whole. */
#define SETTING_FITS (UINT64_C(4) << 20)

struct spw_run_config setting_config(uint32_t devices, uint64_t mem_bytes);
/* Opens watch->run, with the watch's events. */
void setting_open(struct watch *watch, struct spw_run_config *config);
/* `want` is borrowed, NULL: the job's bits are not looked at. */
void setting_add(struct watch *watch, const struct spw_job_config *job,
                 const struct oracle_result *want);
/* Job `index` is done with the oracle's bits. */
void setting_expect_right(const struct watch *watch, uint32_t index, const char *where);
/* The least device memory with which the job trains, wherever its updates run. */
uint64_t setting_least_memory(const struct spw_job_config *job);

#endif
