/* rates.h — how long ops take on a device of which only its rates are known: the roofline.
 *
 * An op takes as long as its arithmetic or its least memory traffic, whichever is longer, and a
 * launch. It knows no device and measures nothing; the planner's estimates and the simulator's
 * times come from here, so that a plan and its simulation agree. Tested by
 * tests/partitioner/test_rates.c. */
#ifndef SPW_PARTITIONER_RATES_H
#define SPW_PARTITIONER_RATES_H

#include "partitioner/plan.h"

struct spw_rates {
    uint64_t flops_per_s;        /* > 0; sustained by large matrix products */
    uint64_t memory_bytes_per_s; /* > 0; of the device's own memory */
    uint64_t launch_ns;          /* of each call, before it does anything */
};

/* Those that a plan's options give, guesses where they give none. */
struct spw_rates spw_rates_of(const struct spw_plan_options *options);
/* Nanoseconds for `amount` at `per_s` (> 0), rounded to the nearest. */
uint64_t spw_rates_ns(uint64_t amount, uint64_t per_s);
uint64_t spw_rates_op_ns(const struct spw_rates *rates, const struct spw_op_desc *desc,
                         int64_t items, enum spw_pass pass);
uint64_t spw_rates_instruction_ns(const struct spw_rates *rates,
                                  const struct spw_instruction *instruction, int64_t items);
/* All instructions, and the epilogue's, over `items` (> 0). */
uint64_t spw_rates_program_ns(const struct spw_rates *rates, const struct spw_program *program,
                              int64_t items);
uint64_t spw_rates_epilogue_ns(const struct spw_rates *rates, const struct spw_program *program,
                               int64_t items);

#endif
