/* cell.h — one cell of the matrix: a combination of all that bits must not depend on. */
#ifndef SPW_TESTS_BITS_CELL_H
#define SPW_TESTS_BITS_CELL_H

#include "runtime/run.h"

enum cell_memory { MEMORY_FITS, MEMORY_HALF, MEMORY_EIGHTH, MEMORY_LEAST };

/* Room for all jobs of any cell; regions are faulted in at once, so more would only cost time. */
#define FITS_BYTES (UINT64_C(20) << 20)

struct cell {
    enum spw_policy_name policy; /* all but replay */
    enum cell_memory memory;     /* of a device, as a part of one job's state */
    uint32_t devices;            /* 1..3 */
    uint32_t threads;            /* 1..2 */
    int prefetch;                /* 0, 1 */
    bool company;                /* two other jobs train beside it */
    int ranges;                  /* micro-batches per unit: 0 all, 1, 2 */
    int place;                   /* of UPDATE: 0 cores, 1 device */
    int keep;                    /* 0 recompute, 1 keep */
};

#define CELL_COUNT UINT64_C(5760)
#define CELL_TEXT_BYTES 160

/* Cell `index` of the CELL_COUNT there are. */
struct cell cell_at(uint64_t index);
/* Its settings in words; returns `out`. */
const char *cell_text(const struct cell *cell, char out[CELL_TEXT_BYTES]);

#endif
