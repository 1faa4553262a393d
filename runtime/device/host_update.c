/* host_update.c — works over one piece of a weight block, and gathering a batch.
 *
 * All arithmetic is in kernels/update.h.
 * Tested by tests/runtime/test_host_update.c. */
#include "base/assert.h"
#include "data/data.h"
#include "runtime/device/host.h"
#include "runtime/device/piece.h"

#include <string.h>

static float *at(const struct spw_host_device *device, uint64_t offset_bytes)
{
    return (float *)(void *)(device->region + offset_bytes);
}

/* ---- UPDATE ---- */

/* Zeroes the padding behind a part that reaches its parameter's end: a block's bytes should be a
 * function of its parameters, whatever lay in the region before. */
static void zero_padding(const struct spw_host_device *device, const struct spw_piece *piece,
                         const struct spw_part *part, uint64_t array)
{
    const uint64_t end = part->place + part->count * sizeof(float);
    memset(device->region + array + end, 0, (size_t)spw_piece_padding(piece, part));
}

void spw_host_update_run(const struct spw_host_device *device, const struct spw_work *work)
{
    const struct spw_piece *piece = &work->update.piece;
    struct spw_part part;
    int32_t index = 0;
    while (spw_piece_next_part(work->update.block, *piece, &index, &part)) {
        const bool decays = work->update.param_decays[part.segment->param];
        struct spw_update_call call = {
            .scalars = work->update.scalars[decays ? 0 : 1],
            .count = part.count,
            .w = at(device, work->update.weights + part.place),
            .g = at(device, work->update.grads + part.place),
            .w_out = at(device, work->update.weights_out + part.place),
        };
        zero_padding(device, piece, &part, work->update.weights_out);
        for (uint32_t i = 0; i < spw_update_moments(&call.scalars); i++) {
            call.moments[i] = at(device, work->update.moments[i] + part.place);
            call.moments_out[i] = at(device, work->update.moments_out[i] + part.place);
            zero_padding(device, piece, &part, work->update.moments_out[i]);
        }
        spw_update_run(&call, device->pool);
    }
}

/* ---- REDUCE ---- */

/* Elements summed at a time, in 16 KiB of stack. Sums are per element: any size gives the same
 * bits. */
#define TILE_ELEMENTS 2048

struct reduction {
    const struct spw_host_device *device;
    const struct spw_work *work;
    const struct spw_part *part;
};

static const float *accumulator(const struct reduction *r, uint32_t use, uint32_t group,
                                uint64_t place)
{
    const struct spw_work *work = r->work;
    return at(r->device, work->reduce.grads[use * work->reduce.groups + group] + place);
}

/* into = the sum over the groups of one use, left to right. */
static void sum_groups(const struct reduction *r, uint32_t use, uint64_t place, uint64_t count,
                       float *into)
{
    memcpy(into, accumulator(r, use, 0, place), (size_t)count * sizeof(float));
    for (uint32_t group = 1; group < r->work->reduce.groups; group++) {
        spw_accumulate(into, accumulator(r, use, group, place), count, NULL);
    }
}

/* The result is written last, as it may lie where the first accumulator does. */
static void reduce_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct reduction *r = context;
    const uint64_t first = (uint64_t)index * TILE_ELEMENTS;
    const uint64_t left = r->part->count - first;
    const uint64_t count = left < TILE_ELEMENTS ? left : TILE_ELEMENTS;
    const uint64_t place = r->part->place + first * sizeof(float);
    float total[TILE_ELEMENTS];
    float of_use[TILE_ELEMENTS];
    sum_groups(r, 0, place, count, total);
    for (uint32_t use = 1; use < r->work->reduce.uses; use++) {
        sum_groups(r, use, place, count, of_use);
        spw_accumulate(total, of_use, count, NULL);
    }
    memcpy(at(r->device, r->work->reduce.grads_out + place), total, (size_t)count * sizeof(float));
}

void spw_host_reduce_run(const struct spw_host_device *device, const struct spw_work *work)
{
    double *const norms = (double *)(void *)(device->region + work->reduce.norm_out);
    uint64_t norm = 0;
    struct spw_part part;
    int32_t index = 0;
    while (spw_piece_next_part(work->reduce.block, work->reduce.piece, &index, &part)) {
        struct reduction reduction = {.device = device, .work = work, .part = &part};
        const uint64_t tiles = (part.count + TILE_ELEMENTS - 1) / TILE_ELEMENTS;
        SPW_ASSERT(tiles <= UINT32_MAX);
        spw_pool_run(device->pool, (uint32_t)tiles, reduce_tile, &reduction);
        /* Chunks start anew with each parameter, and pieces don't split them. */
        SPW_ASSERT(part.first_element % SPW_NORM_CHUNK == 0);
        spw_norm_partials(at(device, work->reduce.grads_out + part.place), part.count, norms + norm,
                          device->pool);
        norm += spw_norm_chunks(part.count);
    }
    SPW_ASSERT(norm == work->reduce.piece.norm_count);
}

/* ---- GATHER ---- */

void spw_host_gather_run(const struct spw_host_device *device, const struct spw_work *work)
{
    const int64_t micro_batch = work->gather.micro_batch;
    uint64_t pack = 0;
    for (int64_t done = 0; done < work->gather.count; done += micro_batch) {
        const int64_t left = work->gather.count - done;
        char *x = device->region + work->gather.x + pack * work->gather.x_stride_bytes;
        char *targets =
            device->region + work->gather.targets + pack * work->gather.targets_stride_bytes;
        spw_cursor_gather(work->gather.cursor, work->gather.step, work->gather.first + done,
                          left < micro_batch ? left : micro_batch, x, (int32_t *)(void *)targets);
        pack++;
    }
}
