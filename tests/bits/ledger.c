/* ledger.c — see ledger.h. */
#include "ledger.h"

#include "base/checked.h"
#include <stdlib.h>

void ledger_note(struct ledger *ledger, const struct spw_decision *decision)
{
    if (ledger->count == ledger->capacity) {
        ledger->capacity = ledger->capacity > 0 ? 2 * ledger->capacity : 1024;
        ledger->log = realloc(ledger->log, ledger->capacity * sizeof *ledger->log);
    }
    if (ledger->log == NULL || decision->sequence != ledger->count) {
        abort();
    }
    ledger->log[ledger->count++] = *decision;
}

void ledger_free(struct ledger *ledger)
{
    free(ledger->log);
    *ledger = (struct ledger){0};
}

uint64_t ledger_units(const struct ledger *ledger, uint32_t device)
{
    uint64_t units = 0;
    for (uint64_t i = 0; i < ledger->count; i++) {
        units += ledger->log[i].device == device;
    }
    return units;
}

uint32_t ledger_devices(const struct ledger *ledger, const struct spw_run *run, uint32_t job)
{
    uint32_t devices = 0;
    for (uint32_t device = 0; device < spw_run_device_count(run); device++) {
        bool took_part = false;
        for (uint64_t i = 0; i < ledger->count && !took_part; i++) {
            took_part = ledger->log[i].job == job && ledger->log[i].device == device;
        }
        devices += took_part;
    }
    return devices;
}

uint64_t ledger_moves(const struct ledger *ledger, const struct spw_run *run)
{
    uint64_t moves = 0;
    for (uint64_t i = 0; i < ledger->count; i++) {
        const struct spw_decision *it = &ledger->log[i];
        for (uint64_t k = i; k > 0 && it->device < spw_run_device_count(run); k--) {
            const struct spw_decision *before = &ledger->log[k - 1];
            if (before->job == it->job && before->group == it->group &&
                before->device < spw_run_device_count(run)) {
                moves += before->device != it->device;
                break;
            }
        }
    }
    return moves;
}

const struct spw_unit_plan *ledger_unit(struct spw_run *run, const struct spw_decision *it)
{
    const struct spw_plan *plan = spw_job_plan(spw_run_job(run, it->job));
    switch (it->kind) {
    case SPW_UNIT_FORWARD:
        return &plan->shards[it->shard].forward;
    case SPW_UNIT_BACKWARD:
        return &plan->shards[it->shard].backward;
    case SPW_UNIT_EVAL:
        return &plan->shards[it->shard].eval;
    case SPW_UNIT_REDUCE:
        return &plan->reduces[it->shard];
    case SPW_UNIT_UPDATE:
        return &plan->updates[it->shard];
    }
    abort();
}

/* Whether the unit loads blocks of its shard's weights: the other kinds stream what is not here. */
static bool loads_weights(const struct spw_decision *it)
{
    return it->kind != SPW_UNIT_REDUCE && it->kind != SPW_UNIT_UPDATE;
}

/* Whether job `job` has decisions at or after `sequence`: until then it holds what it has. */
static bool lives_at(const struct ledger *ledger, uint32_t job, uint64_t sequence)
{
    for (uint64_t i = ledger->count; i > sequence; i--) {
        if (ledger->log[i - 1].job == job) {
            return true;
        }
    }
    return false;
}

/* Weights of `job` on `device` once unit `at` has reserved, had none been evicted: those of units
 * up to `at` that no UPDATE has replaced since. Nothing says when `at` reserved, only that it had
 * before decision `until`: an UPDATE up to there counts as before it. */
static uint64_t weights_bytes(const struct ledger *ledger, const struct spw_plan *plan,
                              uint32_t device, uint32_t job, uint64_t at, uint64_t until)
{
    bool *here = calloc((size_t)plan->weight_block_count, sizeof *here);
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < until; i++) {
        const struct spw_decision *it = &ledger->log[i];
        if (it->job != job) {
            continue;
        }
        if (it->kind == SPW_UNIT_UPDATE) {
            here[it->shard] = false;
        } else if (loads_weights(it) && it->device == device && i <= at) {
            const struct spw_shard *shard = &plan->shards[it->shard];
            for (int32_t k = 0; k < shard->weight_block_count; k++) {
                here[shard->weight_blocks[k]] = true;
            }
        }
    }
    for (int32_t i = 0; i < plan->weight_block_count; i++) {
        bytes += here[i] ? spw_round_up(plan->weight_blocks[i].bytes, SPW_DEVICE_ALIGNMENT) : 0;
    }
    free(here);
    return bytes;
}

/* The device's decision `ahead` units behind decision `at`, or the end: when that was made, unit
 * `at` was over. */
static uint64_t over_by(const struct ledger *ledger, uint64_t at, uint64_t ahead)
{
    for (uint64_t i = at + 1; i < ledger->count; i++) {
        if (ledger->log[i].device == ledger->log[at].device && --ahead == 0) {
            return i;
        }
    }
    return ledger->count;
}

uint64_t ledger_crowd_bytes(const struct ledger *ledger, struct spw_run *run, uint32_t device,
                            uint64_t committed_max)
{
    uint64_t most = 0;
    for (uint64_t at = 0; at < ledger->count; at++) {
        const struct spw_decision *it = &ledger->log[at];
        if (it->device != device) {
            continue;
        }
        const uint64_t until = over_by(ledger, at, committed_max);
        const struct spw_unit_plan *unit = ledger_unit(run, it);
        uint64_t bytes = unit->device_bytes - unit->weights_bytes;
        for (uint32_t job = 0; job < spw_run_job_count(run); job++) {
            const struct spw_plan *plan = spw_job_plan(spw_run_job(run, job));
            if (job == it->job) { /* it updates nothing while one of its units is under way */
                bytes += weights_bytes(ledger, plan, device, job, at, at + 1);
            } else if (lives_at(ledger, job, until)) {
                bytes += weights_bytes(ledger, plan, device, job, at, until);
            }
        }
        most = bytes > most ? bytes : most;
    }
    return most;
}
