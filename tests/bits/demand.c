/* demand.c — see demand.h.
 *
 * Evictions. The ledger tells for each device whether what it was given could have stayed: where it
 * could not, blocks were evicted, and in cells that fit none ever are. In between nothing can be
 * promised: at half of the state all weights of the smallest case, a quarter of its state, fit
 * beside any of its units, and a device that took only a few units may never fill. Of the cells of
 * an eighth and of the least memory, the device that took most units must have been crowded.
 *
 * Devices. Idle devices are asked for their next unit in order of their numbers, and a staged unit
 * stays where the one before it is. So a chain without competition stays on device 0: one job
 * alone, and all jobs under `serial`. Chains of several groups are ready at once, and no device
 * takes a second before every idle one has had one. Under other policies than `serial` the same
 * holds for the jobs. Whether a job then changes devices from unit to unit hangs on which device is
 * free first; it is demanded of cells whose jobs are cut into shards, and a cell is run again until
 * one did. With one shard for each job, two jobs that take turns on device 0 and a third on device
 * 1 never meet a reason. */
#include "demand.h"

#include "runtime/schedule/executor.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 2, 3))) static bool refuse(struct demand *demand, const char *format,
                                                         ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(demand->why, sizeof demand->why, format, arguments);
    va_end(arguments);
    return false;
}

static const struct spw_plan *first_plan(const struct demand *demand)
{
    return spw_job_plan(spw_run_job(demand->run, 0));
}

/* Units that a device has at once. */
static uint64_t committed_max(const struct cell *cell)
{
    return cell->prefetch > 0 ? COMMITTED_MAX : 1;
}

static int64_t groups_of(const struct demand *demand)
{
    return spw_job_config(spw_run_job(demand->run, 0))->grad_groups;
}

/* ---- bytes ---- */

static struct spw_device_stats sum_of_devices(const struct demand *demand)
{
    struct spw_device_stats sum = {0};
    for (uint32_t i = 0; i < demand->cell->devices; i++) {
        struct spw_device_stats stats;
        spw_run_device_stats(demand->run, i, &stats);
        for (int kind = 0; kind < 4; kind++) {
            sum.bytes_in_kind[kind] += stats.bytes_in_kind[kind];
            sum.bytes_out_kind[kind] += stats.bytes_out_kind[kind];
        }
    }
    return sum;
}

/* Of all devices together: every step takes in the weights of a new version, where no UPDATE leaves
 * them on a device, and the evaluation after the last step does, too; every step brings home the
 * gradients; and an UPDATE on a device moves weights and moments exactly once. */
static bool check_bytes(struct demand *demand)
{
    enum { WEIGHTS, GRADS, MOMENTS, PACKS };
    const struct spw_plan *plan = first_plan(demand);
    const uint64_t jobs = spw_run_job_count(demand->run);
    const bool on_device = demand->cell->place == SPW_UPDATE_ON_DEVICE;
    uint64_t weights = 0;
    for (int32_t i = 0; i < plan->weight_block_count; i++) {
        weights += jobs * plan->weight_blocks[i].bytes;
    }
    const uint64_t updates = on_device ? demand->steps * weights : 0;
    const struct spw_device_stats sum = sum_of_devices(demand);
    if (sum.bytes_in_kind[WEIGHTS] < (on_device ? 1 : demand->steps + 1) * weights) {
        return refuse(demand, "only %" PRIu64 " bytes of weights went in",
                      sum.bytes_in_kind[WEIGHTS]);
    }
    if (sum.bytes_out_kind[GRADS] < demand->steps * weights) {
        return refuse(demand, "only %" PRIu64 " bytes of gradients came out",
                      sum.bytes_out_kind[GRADS]);
    }
    if (sum.bytes_out_kind[WEIGHTS] != updates) {
        return refuse(demand, "%" PRIu64 " bytes of weights came out, not %" PRIu64,
                      sum.bytes_out_kind[WEIGHTS], updates);
    }
    const uint64_t moments = updates * plan->options.moments;
    if (sum.bytes_in_kind[MOMENTS] != moments || sum.bytes_out_kind[MOMENTS] != moments) {
        return refuse(demand,
                      "%" PRIu64 " bytes of moments went in and %" PRIu64 " out, not %" PRIu64,
                      sum.bytes_in_kind[MOMENTS], sum.bytes_out_kind[MOMENTS], moments);
    }
    if (sum.bytes_in_kind[PACKS] == 0 || sum.bytes_out_kind[PACKS] == 0) {
        return refuse(demand, "no packs moved");
    }
    return true;
}

/* ---- evictions ---- */

/* What all jobs together could ever have on a device at once. */
static uint64_t everything_bytes(const struct demand *demand)
{
    const struct spw_plan *plan = first_plan(demand);
    uint64_t blocks = 0;
    for (int32_t i = 0; i < plan->weight_block_count; i++) {
        const uint64_t accumulators =
            (uint64_t)plan->weight_blocks[i].uses * (uint64_t)groups_of(demand);
        blocks += (1 + accumulators) * plan->weight_blocks[i].bytes;
    }
    return spw_run_job_count(demand->run) * blocks +
           committed_max(demand->cell) * plan->totals.device_bytes_max;
}

static uint64_t crowd_bytes(const struct demand *demand, uint32_t device)
{
    return ledger_crowd_bytes(demand->ledger, demand->run, device, committed_max(demand->cell));
}

static bool check_evictions(struct demand *demand, uint32_t device,
                            const struct spw_device_stats *stats)
{
    const struct cell *cell = demand->cell;
    const uint64_t crowd = crowd_bytes(demand, device);
    if (crowd > stats->region_bytes && stats->evictions == 0) {
        return refuse(demand, "device %u evicted nothing: %" PRIu64 " bytes in %" PRIu64, device,
                      crowd, stats->region_bytes);
    }
    if (cell->memory == MEMORY_FITS && stats->evictions > 0) {
        return refuse(demand, "device %u evicted %" PRIu64 " blocks, though all fit", device,
                      stats->evictions);
    }
    return true;
}

static bool check_device(struct demand *demand, uint32_t device)
{
    struct spw_device_stats stats;
    spw_run_device_stats(demand->run, device, &stats);
    const bool took_part = stats.units > 0;
    if (stats.units != ledger_units(demand->ledger, device)) {
        return refuse(demand, "device %u counts %" PRIu64 " units, not those decided", device,
                      stats.units);
    }
    if ((stats.bytes_in > 0) != took_part || (stats.bytes_out > 0) != took_part) {
        return refuse(demand,
                      "device %u: %" PRIu64 " bytes in, %" PRIu64 " out for %" PRIu64 " units",
                      device, stats.bytes_in, stats.bytes_out, stats.units);
    }
    if (stats.peak_bytes > stats.region_bytes || (stats.peak_bytes > 0) != took_part) {
        return refuse(demand, "device %u: %" PRIu64 " of %" PRIu64 " bytes at most", device,
                      stats.peak_bytes, stats.region_bytes);
    }
    return check_evictions(demand, device, &stats);
}

/* At an eighth of the state and less, some device could not have kept what it was given. */
static bool check_crowd(struct demand *demand)
{
    uint32_t busiest = 0;
    for (uint32_t i = 1; i < demand->cell->devices; i++) {
        if (ledger_units(demand->ledger, i) > ledger_units(demand->ledger, busiest)) {
            busiest = i;
        }
    }
    struct spw_device_stats stats;
    spw_run_device_stats(demand->run, busiest, &stats);
    const bool small = demand->cell->memory == MEMORY_EIGHTH ||
                       demand->cell->memory == MEMORY_LEAST;
    if (small && crowd_bytes(demand, busiest) <= stats.region_bytes) {
        return refuse(demand, "device %u had room for all it was given in %" PRIu64 " units",
                      busiest, stats.units);
    }
    return true;
}

/* ---- ring slots ---- */

/* A unit of more micro-batches than slots waits for a slot's last user; that is where copies in are
 * held up by works and copies out. */
static bool check_rings(struct demand *demand)
{
    const struct spw_job_config *job = spw_job_config(spw_run_job(demand->run, 0));
    const int64_t micro_batches = job->batch / job->micro_batch / job->grad_groups;
    if (demand->cell->ranges > 0 || micro_batches < 4) {
        return true; /* other cells and cases do that */
    }
    for (uint64_t i = 0; i < demand->ledger->count; i++) {
        const struct spw_decision *it = &demand->ledger->log[i];
        if (it->micro_batches > (int64_t)ledger_unit(demand->run, it)->slots) {
            return true;
        }
    }
    return refuse(demand, "no unit used a ring slot twice");
}

/* ---- devices ---- */

static uint32_t devices_that_worked(const struct demand *demand)
{
    uint32_t devices = 0;
    for (uint32_t i = 0; i < demand->cell->devices; i++) {
        devices += ledger_units(demand->ledger, i) > 0;
    }
    return devices;
}

static bool check_devices(struct demand *demand)
{
    const struct cell *cell = demand->cell;
    const int64_t groups = groups_of(demand);
    const bool competes = cell->company && cell->policy != SPW_POLICY_SERIAL;
    const uint32_t worked = devices_that_worked(demand);
    const uint32_t of_first = ledger_devices(demand->ledger, demand->run, 0);
    if (cell->devices == 1 || (groups == 1 && !competes)) {
        return (worked == 1 && ledger_units(demand->ledger, 0) > 0) ||
               refuse(demand, "%u devices took part, and not only device 0", worked);
    }
    if (worked < 2) {
        return refuse(demand, "one device took all units");
    }
    const uint32_t most = groups < cell->devices ? (uint32_t)groups : cell->devices;
    if (!competes && of_first != most) {
        return refuse(demand, "%" PRId64 " groups were on %u devices, not %u", groups, of_first,
                      most);
    }
    return true;
}

bool demand_wants_moves(const struct demand *demand)
{
    const struct cell *cell = demand->cell;
    return cell->devices > 1 && cell->company && cell->policy != SPW_POLICY_SERIAL &&
           first_plan(demand)->shard_count > 1;
}

bool demand_is_met(struct demand *demand)
{
    const struct cell *cell = demand->cell;
    if (cell->memory == MEMORY_FITS && everything_bytes(demand) > FITS_BYTES) {
        return refuse(demand, "%" PRIu64 " bytes do not fit", everything_bytes(demand));
    }
    if (cell->memory == MEMORY_LEAST && first_plan(demand)->shard_count < 2) {
        return refuse(demand, "the least memory holds the whole model");
    }
    for (uint32_t i = 0; i < cell->devices; i++) {
        if (!check_device(demand, i)) {
            return false;
        }
    }
    return check_crowd(demand) && check_rings(demand) && check_bytes(demand) &&
           check_devices(demand);
}
