/* in_memory.h — plain training in memory: what spilling is measured against.
 *
 * It runs the programs of a plan one after the other on the calling thread, every operand where it
 * lies in ordinary memory: no devices, queues, copies or decisions. A plan cut for a small device
 * thus runs with the same recomputation as it does spilled; a plan of one shard is ordinary
 * training, nothing recomputed. Its losses and norms are those of the runtime, bit for bit, which
 * bench_spill checks. Ends the program on any failure. */
#ifndef SPW_BENCH_IN_MEMORY_H
#define SPW_BENCH_IN_MEMORY_H

#include "runtime/run.h"

/* Which loop is the outer one: over shards, as on a device, or over micro-batches, as programs
 * without shards do it. Same bits. */
enum in_memory_order { IN_MEMORY_BY_SHARD, IN_MEMORY_BY_MICRO_BATCH };

struct in_memory;

/* `job` (one gradient group, max_steps) and `plan` are borrowed. */
struct in_memory *in_memory_create(const struct spw_job_config *job, const struct spw_plan *plan,
                                   uint32_t threads, enum in_memory_order order);
void in_memory_destroy(struct in_memory *it);

/* Trains the next step. The result's end_ns is the time now. */
struct spw_step_result in_memory_step(struct in_memory *it);
/* Seconds for `steps` more steps. */
double in_memory_run(struct in_memory *it, uint64_t steps);

#endif
