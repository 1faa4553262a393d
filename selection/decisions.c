/* decisions.c — writes and reads logs of decisions. Tested by tests/selection/test_decisions.c. */
#include "selection/decisions.h"

#include "base/assert.h"
#include "base/status.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOG_BYTES_MAX (1u << 30)
#define FIELDS 9
#define HEAD "# spillway decisions 1"

void spw_decisions_begin(struct spw_lines *lines)
{
    spw_lines_add(lines, HEAD ": sequence device trial group kind shard step first_micro_batch "
                              "micro_batches\n");
}

void spw_decisions_add(struct spw_lines *lines, const struct spw_decision *decision,
                       uint32_t device_count, const char *trial)
{
    char device[16] = "cores";
    if (decision->device < device_count) {
        (void)snprintf(device, sizeof(device), "%u", decision->device);
    }
    spw_lines_add(lines, "%" PRIu64 " %s %s %u %s %d %" PRIu64 " %" PRId64 " %" PRId64 "\n",
                  decision->sequence, device, trial, decision->group,
                  spw_unit_names[decision->kind], decision->shard, decision->step,
                  decision->first_micro_batch, decision->micro_batches);
}

/* ---- reading ---- */

struct log {
    const char *path;
    const struct spw_trials *trials;
    uint32_t device_count;
    struct spw_error *error;
    uint64_t line;       /* from 1 */
    uint32_t last_trial; /* lines of one trial often follow each other */
};

static enum spw_status refuse(const struct log *log, const char *field, const char *why)
{
    return SPW_FAIL(log->error, SPW_ERR_USAGE,
                    "%s:%" PRIu64 ": \"%.60s\": %s; give the decisions.log of a run of this spec",
                    log->path, log->line, field, why);
}

static enum spw_status read_number(const struct log *log, const char *field, uint64_t max,
                                   uint64_t *out)
{
    if (!spw_parse_unsigned(field, max, out)) {
        return refuse(log, field, "not a number in range");
    }
    return SPW_OK;
}

static enum spw_status read_trial(struct log *log, const char *field, uint32_t *out)
{
    for (uint32_t i = 0; i < log->trials->count; i++) {
        const uint32_t trial = (log->last_trial + i) % log->trials->count;
        if (strcmp(log->trials->items[trial].id, field) == 0) {
            log->last_trial = trial;
            *out = trial;
            return SPW_OK;
        }
    }
    return refuse(log, field, "the spec has no such trial");
}

static enum spw_status read_kind(const struct log *log, const char *field, enum spw_unit_kind *out)
{
    for (uint32_t i = 0; spw_unit_names[i] != NULL; i++) {
        if (strcmp(spw_unit_names[i], field) == 0) {
            *out = (enum spw_unit_kind)i;
            return SPW_OK;
        }
    }
    return refuse(log, field, "not a kind of unit");
}

static enum spw_status read_line(struct log *log, char *line, struct spw_decision *out)
{
    char *field[FIELDS];
    uint32_t fields = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        if (fields == FIELDS) {
            return refuse(log, word, "more than nine words");
        }
        field[fields++] = word;
    }
    if (fields < FIELDS) {
        return refuse(log, line, "fewer than nine words; the log was cut short");
    }
    uint64_t device = log->device_count, group, shard, first, count;
    SPW_TRY(read_number(log, field[0], UINT64_MAX, &out->sequence));
    if (strcmp(field[1], "cores") != 0) {
        SPW_TRY(read_number(log, field[1], log->device_count - 1, &device));
    }
    SPW_TRY(read_trial(log, field[2], &out->job));
    SPW_TRY(read_number(log, field[3], UINT32_MAX, &group));
    SPW_TRY(read_kind(log, field[4], &out->kind));
    SPW_TRY(read_number(log, field[5], INT32_MAX, &shard));
    SPW_TRY(read_number(log, field[6], UINT64_MAX, &out->step));
    SPW_TRY(read_number(log, field[7], INT64_MAX, &first));
    SPW_TRY(read_number(log, field[8], INT64_MAX, &count));
    out->device = (uint32_t)device;
    out->group = (uint32_t)group;
    out->shard = (int32_t)shard;
    out->first_micro_batch = (int64_t)first;
    out->micro_batches = (int64_t)count;
    return SPW_OK;
}

static uint64_t count_lines(const char *text)
{
    uint64_t count = 0;
    for (; (text = strchr(text, '\n')) != NULL; text++) {
        count++;
    }
    return count;
}

static enum spw_status read_lines(struct log *log, char *text, struct spw_decision *decisions,
                                  uint64_t lines)
{
    char *line = text;
    for (log->line = 1; log->line <= lines; log->line++) {
        char *end = strchr(line, '\n');
        SPW_ASSERT(end != NULL);
        *end = '\0';
        if (log->line == 1) {
            if (strncmp(line, HEAD, strlen(HEAD)) != 0) {
                return refuse(log, line, "does not begin with \"" HEAD "\"");
            }
        } else {
            SPW_TRY(read_line(log, line, &decisions[log->line - 2]));
        }
        line = end + 1;
    }
    return *line == '\0' ? SPW_OK : refuse(log, line, "the last line has no end");
}

enum spw_status spw_decisions_read(const struct spw_world *world, const char *path,
                                   const struct spw_trials *trials, uint32_t device_count,
                                   struct spw_error *error, struct spw_decision **out,
                                   uint64_t *count)
{
    struct log log = {
        .path = path, .trials = trials, .device_count = device_count, .error = error, .line = 1};
    struct spw_decision *decisions = NULL;
    char *text = NULL;
    uint64_t bytes = 0;
    SPW_TRY(spw_read_file(world, path, LOG_BYTES_MAX, error, &text, &bytes));
    enum spw_status status = SPW_OK;
    const uint64_t lines = count_lines(text);
    if (strlen(text) != bytes) {
        status = refuse(&log, "", "holds a NUL character");
    } else if (lines == 0) {
        status = refuse(&log, "", "is empty");
    } else {
        status = spw_allocate(world, lines, sizeof(*decisions), "the decisions", error, &decisions);
    }
    if (status == SPW_OK) {
        status = read_lines(&log, text, decisions, lines);
    }
    spw_release(world, text);
    if (status != SPW_OK) {
        spw_release(world, decisions);
        return status;
    }
    *out = decisions;
    *count = lines - 1;
    return SPW_OK;
}
