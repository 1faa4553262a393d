/* environment.h — what a run ran on, as environment.json and for `spillway doctor`.
 *
 * Tested by tests/selection/test_rundir.c. */
#ifndef SPW_SELECTION_ENVIRONMENT_H
#define SPW_SELECTION_ENVIRONMENT_H

#include "base/text.h"
#include "runtime/device/topology.h"

struct spw_environment {
    struct spw_topology topology;
    char kernel[160];       /* of the system: name, release, machine */
    char compiler[80];      /* that built us */
    char features[256];     /* of the CPU that our loops know: "avx2 avx512f ..." */
    char started[32];       /* 2026-01-31T12:34:56Z */
    uint64_t memlock_bytes; /* limit on locked memory; UINT64_MAX: none */
};

enum spw_status spw_environment_read(const struct spw_world *world, struct spw_environment *out,
                                     struct spw_error *error);
/* One JSON object. */
void spw_environment_print(const struct spw_environment *environment, struct spw_text *out);

#endif
