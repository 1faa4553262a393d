/* embedding.c — fast paths of token embedding and of learned positions.
 *
 * The gradient of a table row is a sum over the places where the row was used. Tiles are ranges of
 * columns, each of which walks over all tokens in order: no two tiles meet, nothing is atomic, and
 * the sum has the order of the tokens. Tested by tests/kernels/test_conformance.c. */
#include "kernels/host/host_op.h"

#include "base/clones.h"
#include "kernels/host/tiles.h"

#include <string.h>

/* Columns of one tile: a few cache lines, so that tiles don't share many. */
#define COLUMNS_PER_TILE 128

SPW_CLONES
static void add_into(const float *restrict a, float *restrict out, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        out[i] += a[i];
    }
}

SPW_CLONES
static void add_pair(const float *restrict a, const float *restrict b, float *restrict out,
                     int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        out[i] = a[i] + b[i];
    }
}

static int64_t tokens_of(const struct spw_call *call)
{
    return call->items * spw_shape_elements(&call->desc->in);
}

static void embedding_forward_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct spw_call *call = context;
    const int64_t width = call->desc->attr.embedding.width;
    const int32_t *tokens = call->x[0];
    const int64_t first = (int64_t)index * spw_tile_rows(width);
    const int64_t count = spw_tile_length(tokens_of(call), spw_tile_rows(width), index);
    for (int64_t row = first; row < first + count; row++) {
        SPW_ASSERT(tokens[row] >= 0 && tokens[row] < call->desc->attr.embedding.vocabulary);
        memcpy(call->y + row * width, call->w[0] + tokens[row] * width,
               (size_t)width * sizeof(float));
    }
}

static enum spw_status embedding_forward(struct spw_lane *lane, const struct spw_call *call,
                                         struct spw_error *error)
{
    (void)error;
    struct spw_call copy = *call;
    spw_pool_run(spw_lane_pool(lane),
                 spw_tile_count(tokens_of(call), spw_tile_rows(call->desc->attr.embedding.width)),
                 embedding_forward_tile, &copy);
    return SPW_OK;
}

/* Zeroes some rows of the table's gradient. */
static void embedding_clear_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct spw_call *call = context;
    const int64_t total = call->desc->attr.embedding.vocabulary * call->desc->attr.embedding.width;
    memset(call->dw[0] + (int64_t)index * SPW_TILE_ELEMENTS, 0,
           (size_t)spw_tile_length(total, SPW_TILE_ELEMENTS, index) * sizeof(float));
}

static void embedding_backward_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct spw_call *call = context;
    const int64_t width = call->desc->attr.embedding.width;
    const int32_t *tokens = call->x[0];
    const int64_t first = (int64_t)index * COLUMNS_PER_TILE;
    const int64_t count = spw_tile_length(width, COLUMNS_PER_TILE, index);
    for (int64_t row = 0; row < tokens_of(call); row++) {
        SPW_ASSERT(tokens[row] >= 0 && tokens[row] < call->desc->attr.embedding.vocabulary);
        add_into(call->dy + row * width + first, call->dw[0] + tokens[row] * width + first, count);
    }
}

static enum spw_status embedding_backward(struct spw_lane *lane, const struct spw_call *call,
                                          struct spw_error *error)
{
    (void)error;
    if (call->dw[0] == NULL) {
        return SPW_OK;
    }
    struct spw_call copy = *call;
    const int64_t width = call->desc->attr.embedding.width;
    if ((call->flags & SPW_CALL_ACCUMULATE_DW) == 0) {
        const int64_t total = call->desc->attr.embedding.vocabulary * width;
        spw_pool_run(spw_lane_pool(lane), spw_tile_count(total, SPW_TILE_ELEMENTS),
                     embedding_clear_tile, &copy);
    }
    spw_pool_run(spw_lane_pool(lane), spw_tile_count(width, COLUMNS_PER_TILE),
                 embedding_backward_tile, &copy);
    return SPW_OK;
}

const struct spw_host_op spw_host_embedding = {.forward = embedding_forward,
                                               .backward = embedding_backward};

/* Positions: tiles are ranges of one item's elements, or of the table's, which may be longer. Each
 * goes through all items. */

static int64_t item_elements(const struct spw_call *call)
{
    return spw_shape_elements(&call->desc->in);
}

static int64_t table_elements(const struct spw_call *call)
{
    return call->desc->attr.position.positions * call->desc->in.dim[call->desc->in.rank - 1];
}

static int64_t position_step(const struct spw_call *call)
{
    const int64_t step = SPW_TILE_ELEMENTS / call->items;
    return step > COLUMNS_PER_TILE ? step : COLUMNS_PER_TILE;
}

static void position_forward_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct spw_call *call = context;
    const int64_t first = (int64_t)index * position_step(call);
    const int64_t count = spw_tile_length(item_elements(call), position_step(call), index);
    for (int64_t item = 0; item < call->items; item++) {
        const int64_t at = item * item_elements(call) + first;
        add_pair((const float *)call->x[0] + at, call->w[0] + first, call->y + at, count);
    }
}

static enum spw_status position_forward(struct spw_lane *lane, const struct spw_call *call,
                                        struct spw_error *error)
{
    (void)error;
    struct spw_call copy = *call;
    spw_pool_run(spw_lane_pool(lane), spw_tile_count(item_elements(call), position_step(call)),
                 position_forward_tile, &copy);
    return SPW_OK;
}

/* dx: the gradient passes through. */
static void position_dx(const struct spw_call *call, int64_t first, int64_t count)
{
    for (int64_t item = 0; item < call->items; item++) {
        const int64_t at = item * item_elements(call) + first;
        if ((call->flags & SPW_CALL_ACCUMULATE_DX0) != 0) {
            add_into(call->dy + at, call->dx[0] + at, count);
        } else {
            memcpy(call->dx[0] + at, call->dy + at, (size_t)count * sizeof(float));
        }
    }
}

/* So many elements of the table's gradient are summed over the items before they are stored. */
#define SUMS 256

static void position_dw(const struct spw_call *call, int64_t first, int64_t count)
{
    for (int64_t done = 0; done < count; done += SUMS) {
        const int64_t now = count - done < SUMS ? count - done : SUMS;
        const int64_t at = first + done;
        float sums[SUMS] = {0};
        const int64_t used = item_elements(call) - at < now ? item_elements(call) - at : now;
        for (int64_t item = 0; used > 0 && item < call->items; item++) {
            add_into(call->dy + item * item_elements(call) + at, sums, used);
        }
        if ((call->flags & SPW_CALL_ACCUMULATE_DW) != 0) {
            add_into(sums, call->dw[0] + at, now);
        } else {
            memcpy(call->dw[0] + at, sums, (size_t)now * sizeof(float));
        }
    }
}

static void position_backward_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct spw_call *call = context;
    const int64_t first = (int64_t)index * position_step(call);
    const int64_t used = spw_tile_length(item_elements(call), position_step(call), index);
    if (call->dx[0] != NULL && used > 0) {
        position_dx(call, first, used);
    }
    if (call->dw[0] != NULL) {
        position_dw(call, first, spw_tile_length(table_elements(call), position_step(call), index));
    }
}

static enum spw_status position_backward(struct spw_lane *lane, const struct spw_call *call,
                                         struct spw_error *error)
{
    (void)error;
    struct spw_call copy = *call;
    spw_pool_run(spw_lane_pool(lane), spw_tile_count(table_elements(call), position_step(call)),
                 position_backward_tile, &copy);
    return SPW_OK;
}

const struct spw_host_op spw_host_position = {.forward = position_forward,
                                              .backward = position_backward};
