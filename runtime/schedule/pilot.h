/* pilot.h — the pilot run: measures each sort of op once on a lane of its own, so that plans carry
 * this machine's times instead of estimates. Times steer schedules, never numbers. */
#ifndef SPW_RUNTIME_SCHEDULE_PILOT_H
#define SPW_RUNTIME_SCHEDULE_PILOT_H

#include "base/world.h"
#include "kernels/op.h"

struct spw_pilot;

/* `bytes_max`: of the operands of one op, which are allocated while it is measured. */
enum spw_status spw_pilot_create(const struct spw_world *world, uint32_t threads, bool reference,
                                 uint64_t bytes_max, struct spw_error *error,
                                 struct spw_pilot **out);
void spw_pilot_destroy(struct spw_pilot *pilot); /* NULL is allowed */
/* Nanoseconds of one pass of an op over `items` items; 0: not measured, as it is too large or
 * fails. `pilot` is a struct spw_pilot; the planner asks through spw_plan_options.measure. */
uint64_t spw_pilot_measure(void *pilot, const struct spw_op_desc *desc, int64_t items,
                           enum spw_pass pass);

#endif
