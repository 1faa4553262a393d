/* cell.c — see cell.h. */
#include "cell.h"

#include <stdio.h>
#include <stdlib.h>

enum { POLICIES = 5, MEMORIES = 4, DIGITS = 9 };
static const enum spw_policy_name POLICY[POLICIES] = {
    SPW_POLICY_WEAVE, SPW_POLICY_LRTF, SPW_POLICY_FIFO, SPW_POLICY_RANDOM, SPW_POLICY_SERIAL};
static const char *const MEMORY_NAME[MEMORIES] = {"fits", "1/2", "1/8", "least"};

struct cell cell_at(uint64_t index)
{
    static const uint64_t sizes[DIGITS] = {POLICIES, MEMORIES, 3, 2, 2, 2, 3, 2, 2};
    uint64_t digits[DIGITS];
    for (int i = 0; i < DIGITS; i++) {
        digits[i] = index % sizes[i];
        index /= sizes[i];
    }
    if (index > 0) {
        abort();
    }
    return (struct cell){
        .policy = POLICY[digits[0]],
        .memory = (enum cell_memory)digits[1],
        .devices = 1 + (uint32_t)digits[2],
        .threads = 1 + (uint32_t)digits[3],
        .prefetch = (int)digits[4],
        .company = digits[5] != 0,
        .ranges = (int)digits[6],
        .place = (int)digits[7],
        .keep = (int)digits[8],
    };
}

const char *cell_text(const struct cell *cell, char out[CELL_TEXT_BYTES])
{
    (void)snprintf(out, CELL_TEXT_BYTES,
                   "policy=%s memory=%s devices=%u threads=%u prefetch=%d company=%d ranges=%d "
                   "place=%d keep=%d",
                   spw_policy_names[cell->policy], MEMORY_NAME[cell->memory], cell->devices,
                   cell->threads, cell->prefetch, cell->company, cell->ranges, cell->place,
                   cell->keep);
    return out;
}
