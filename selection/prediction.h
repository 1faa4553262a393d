/* prediction.h — what a simulated run tells of a real one: how long, how busy, what for, at what
 * price. Tested by tests/cli/test_simulate.py. */
#ifndef SPW_SELECTION_PREDICTION_H
#define SPW_SELECTION_PREDICTION_H

#include "runtime/record/utilization.h"
#include "selection/sweep.h"

struct spw_prediction {
    double makespan_s;
    /* Of the devices' time together, in [0, 1]; but for `useful` they add up to 1. */
    double busy, useful, waiting_copy, waiting_norm, no_work, tail;
    uint64_t units, evictions;
    uint64_t bytes_in, bytes_out;
    uint64_t device_peak_bytes; /* of the device that held most, */
    uint64_t home_peak_bytes;   /* and of the host */
    double joules;              /* of devices and hosts; NaN: the machine file gives no watts */
    double dollars;             /* NaN: it gives no price for some device */
};
/* What was simulated; borrowed. */
struct spw_simulation {
    const struct spw_sweep *sweep;
    const struct spw_fleet *fleet;               /* over */
    struct spw_utilization *const *utilizations; /* of each host's run */
    uint64_t begun_ns;                           /* times of trials are counted from here */
};

void spw_prediction_fill(const struct spw_simulation *simulation, struct spw_prediction *out);
/* All of it, with every device and trial, as one JSON object. */
void spw_prediction_print(const struct spw_simulation *simulation, struct spw_text *out);

#endif
