/* attention.c — fast path of causal multi-head attention, which never holds a T x T matrix.
 *
 * One tile of the pool is one head of one item. Keys go by in blocks of 64; for each, all queries
 * that see it go by in blocks of 64, with a running maximum and sum per query (T. Dao et al.,
 * "FlashAttention", 2022). Backward makes the weights again from the saved logarithm of their sum
 * and owns its head's dq, dk and dv, so nothing is atomic and the order of every sum is fixed.
 * A query row of the block on the diagonal sees the keys up to its own place.
 * Tested by tests/kernels/test_conformance.c. */
#include "kernels/host/host_op.h"

#include "base/checked.h"
#include "base/philox.h"
#include "base/status.h"
#include "kernels/host/attention_rows.h"
#include "kernels/host/block_product.h"
#include "kernels/host/dropout_mask.h"
#include "kernels/host/tiles.h"
#include "kernels/host/transpose.h"

#include <math.h>
#include <string.h>

/* Queries and keys of a block. */
#define BLOCK SPW_ATTENTION_BLOCK
_Static_assert(BLOCK % SPW_LANES == 0, "rows of a block are padded to whole lanes");
/* Rows of the diagonal block that are treated together: each strip skips the keys past its end. */
#define STRIP 16
_Static_assert(STRIP % SPW_BLOCK_ROWS == 0 && STRIP % SPW_BLOCK_COLUMNS == 0, "strips are padded");

/* What is the same for all heads. */
struct plan {
    int64_t tokens, heads, size; /* `size`: of a head */
    int64_t padded_size;         /* up to whole vectors */
    int64_t padded_tokens;       /* up to whole blocks */
    float scale;
};

/* Scratch memory of one thread; sizes in floats. Forward and backward use different parts. */
struct scratch {
    float *rows;                     /* [padded_tokens, padded_size]: y before division, or dq */
    float *first;                    /* [padded_tokens]: running maximum, or dy . y */
    float *second;                   /* [padded_tokens]: running sum */
    float *q, *k, *v, *dy, *dk, *dv; /* [BLOCK, padded_size] */
    float *k_turned, *v_turned;      /* [size, BLOCK] */
    float *scores, *d_scores;        /* [BLOCK, BLOCK] */
};

struct run {
    const struct spw_call *call;
    struct plan plan;
    uint64_t scratch_floats; /* of each thread */
};

/* Where one head of one item lies. */
struct head {
    const struct spw_call *call;
    const struct plan *plan;
    struct scratch scratch;
    int64_t qkv_at, y_at, saved_at;
    int64_t qkv_step, y_step;
    uint64_t weight_at; /* of weight (0, 0) in the whole batch's [items, heads, T, T] */
    bool drops;
    struct spw_dropout_mask mask;
};

/* Queries [query, query + queries) against keys [key, key + keys). */
struct block {
    int64_t query, queries;
    int64_t key, keys;
    bool diagonal;
};

static int64_t round_up(int64_t count, int64_t multiple)
{
    return (count + multiple - 1) / multiple * multiple;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static struct plan plan_of(const struct spw_op_desc *desc)
{
    const int64_t heads = desc->attr.attention.heads;
    const int64_t size = desc->in.dim[1] / 3 / heads;
    return (struct plan){
        .tokens = desc->in.dim[0],
        .heads = heads,
        .size = size,
        .padded_size = round_up(size, SPW_BLOCK_COLUMNS),
        .padded_tokens = round_up(desc->in.dim[0], BLOCK),
        .scale = 1.0f / sqrtf((float)size),
    };
}

/* Hands out the parts of a thread's scratch memory, or with NULL only counts. */
static uint64_t lay_out(const struct plan *plan, enum spw_pass pass, float *memory,
                        struct scratch *scratch)
{
    const uint64_t tokens = (uint64_t)plan->padded_tokens;
    const uint64_t block = BLOCK * (uint64_t)plan->padded_size;
    const bool backward = pass == SPW_BACKWARD;
    const struct {
        float **part;
        uint64_t floats;
    } parts[] = {
        {&scratch->rows, tokens * (uint64_t)plan->padded_size},
        {&scratch->first, tokens},
        {&scratch->second, backward ? 0 : tokens},
        {&scratch->q, block},
        {&scratch->k, backward ? block : 0},
        {&scratch->v, backward ? 0 : block},
        {&scratch->dy, backward ? block : 0},
        {&scratch->dk, backward ? block : 0},
        {&scratch->dv, backward ? block : 0},
        {&scratch->k_turned, block},
        {&scratch->v_turned, backward ? block : 0},
        {&scratch->scores, BLOCK * BLOCK},
        {&scratch->d_scores, backward ? BLOCK * BLOCK : 0},
    };
    uint64_t used = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        *parts[i].part = memory == NULL ? NULL : memory + used;
        used += parts[i].floats;
    }
    return used;
}

/* Dropout's factors of query row i (of the item) on the keys of `block`: [BLOCK], ones if it is
 * off. Past the last key they belong to other weights; nothing uses them. */
static void row_factors(const struct head *head, const struct block *block, int64_t i,
                        float *factors)
{
    if (!head->drops) {
        for (int j = 0; j < BLOCK; j++) {
            factors[j] = 1.0f;
        }
        return;
    }
    uint32_t words[BLOCK];
    spw_random_words(head->call->desc->attr.attention.key, head->call->step,
                     head->weight_at + (uint64_t)(i * head->plan->tokens + block->key), BLOCK,
                     words);
    spw_attention_factors(words, head->mask, factors);
}

static int64_t visible_keys(const struct block *block, int64_t row)
{
    return block->diagonal ? smaller(row + 1, block->keys) : block->keys;
}

/* `rows` rows of a head, without their neighbours, zeros up to whole vectors and whole rows. */
static void gather(const float *from, int64_t step, int64_t rows, const struct plan *plan,
                   float *to)
{
    for (int64_t i = 0; i < rows; i++) {
        float *row = to + i * plan->padded_size;
        memcpy(row, from + i * step, (size_t)plan->size * sizeof(*row));
        for (int64_t c = plan->size; c < plan->padded_size; c++) {
            row[c] = 0.0f;
        }
    }
    const int64_t missing = round_up(rows, SPW_BLOCK_ROWS) - rows;
    memset(to + rows * plan->padded_size, 0, (size_t)(missing * plan->padded_size) * sizeof(*to));
}

/* The same, turned over: [size, BLOCK]. */
static void gather_turned(const float *from, int64_t step, int64_t rows, const struct plan *plan,
                          float *to)
{
    spw_transpose(from, step, rows, plan->size, to, BLOCK);
    for (int64_t c = 0; c < plan->size && rows < BLOCK; c++) {
        memset(to + c * BLOCK + rows, 0, (size_t)(BLOCK - rows) * sizeof(*to));
    }
}

/* Products. Strips of a diagonal block stop at the last key that their last row sees. */

static int64_t strip_rows(const struct block *block)
{
    return block->diagonal ? STRIP : BLOCK;
}

/* Keys that rows [row, row + strip) of the block see. */
static int64_t strip_keys(const struct block *block, int64_t row)
{
    return block->diagonal ? smaller(row + STRIP, block->keys) : block->keys;
}

/* out[i][j] = a[i] . b[j], b turned over. */
static void multiply_scores(const struct head *head, const struct block *block, const float *a,
                            const float *b_turned, float *out)
{
    const int64_t strip = strip_rows(block);
    for (int64_t row = 0; row < block->queries; row += strip) {
        spw_block_product_run(&(struct spw_block_product){
            .m = round_up(smaller(strip, block->queries - row), SPW_BLOCK_ROWS),
            .n = round_up(strip_keys(block, row), SPW_BLOCK_COLUMNS),
            .k = head->plan->size,
            .a = a + row * head->plan->padded_size,
            .a_row = head->plan->padded_size,
            .a_step = 1,
            .b = b_turned,
            .b_row = BLOCK,
            .c = out + row * BLOCK,
            .c_row = BLOCK,
        });
    }
}

/* out[i] += the sum over keys j of weights[i][j] rows[j]. */
static void multiply_by_keys(const struct head *head, const struct block *block,
                             const float *weights, const float *rows, float *out)
{
    const int64_t strip = strip_rows(block);
    for (int64_t row = 0; row < block->queries; row += strip) {
        spw_block_product_run(&(struct spw_block_product){
            .m = round_up(smaller(strip, block->queries - row), SPW_BLOCK_ROWS),
            .n = head->plan->padded_size,
            .k = strip_keys(block, row),
            .a = weights + row * BLOCK,
            .a_row = BLOCK,
            .a_step = 1,
            .b = rows,
            .b_row = head->plan->padded_size,
            .c = out + row * head->plan->padded_size,
            .c_row = head->plan->padded_size,
            .add = true,
        });
    }
}

/* out[j] += the sum over queries i of weights[i][j] rows[i]. */
static void multiply_by_queries(const struct head *head, const struct block *block,
                                const float *weights, const float *rows, float *out)
{
    const int64_t strip = strip_rows(block);
    for (int64_t key = 0; key < block->keys; key += strip) {
        const int64_t row = block->diagonal ? key : 0; /* earlier rows don't see these keys */
        spw_block_product_run(&(struct spw_block_product){
            .m = round_up(smaller(strip, block->keys - key), SPW_BLOCK_ROWS),
            .n = head->plan->padded_size,
            .k = block->queries - row,
            .a = weights + row * BLOCK + key,
            .a_row = 1,
            .a_step = BLOCK,
            .b = rows + row * head->plan->padded_size,
            .b_row = head->plan->padded_size,
            .c = out + key * head->plan->padded_size,
            .c_row = head->plan->padded_size,
            .add = true,
        });
    }
}

static struct head head_of(const struct run *run, uint32_t index, uint32_t thread,
                           enum spw_pass pass)
{
    const struct spw_call *call = run->call;
    const struct plan *plan = &run->plan;
    const int64_t item = (int64_t)index / plan->heads;
    const int64_t head_index = (int64_t)index % plan->heads;
    const int64_t width = plan->heads * plan->size;
    const double p = call->desc->attr.attention.dropout;
    struct head head = {
        .call = call,
        .plan = plan,
        .qkv_at = item * plan->tokens * 3 * width + head_index * plan->size,
        .y_at = item * plan->tokens * width + head_index * plan->size,
        .saved_at = (int64_t)index * plan->tokens,
        .qkv_step = 3 * width,
        .y_step = width,
        .weight_at = (call->item_offset * (uint64_t)plan->heads + index) * (uint64_t)plan->tokens *
                     (uint64_t)plan->tokens,
        .drops = (call->flags & SPW_CALL_TRAINING) != 0 && p > 0,
        .mask = spw_dropout_mask(p),
    };
    (void)lay_out(plan, pass, (float *)call->workspace + thread * run->scratch_floats,
                  &head.scratch);
    return head;
}

/* The part of x (or dx) that holds queries, keys or values (which: 0, 1, 2) from row `row` on. */
static int64_t qkv_at(const struct head *head, int which, int64_t row)
{
    return head->qkv_at + which * head->y_step + row * head->qkv_step;
}

static const float *x_at(const struct head *head, int which, int64_t row)
{
    return (const float *)head->call->x[0] + qkv_at(head, which, row);
}

static struct block block_at(const struct head *head, int64_t query, int64_t key)
{
    const int64_t tokens = head->plan->tokens;
    return (struct block){
        .query = query,
        .queries = smaller(BLOCK, tokens - query),
        .key = key,
        .keys = smaller(BLOCK, tokens - key),
        .diagonal = query == key,
    };
}

static void forward_block(const struct head *head, const struct block *block)
{
    const struct plan *plan = head->plan;
    const struct scratch *scratch = &head->scratch;
    float *y = scratch->rows + block->query * plan->padded_size;
    gather(x_at(head, 0, block->query), head->qkv_step, block->queries, plan, scratch->q);
    multiply_scores(head, block, scratch->q, scratch->k_turned, scratch->scores);
    for (int64_t row = 0; row < block->queries; row++) {
        const int64_t i = block->query + row;
        const int64_t visible = visible_keys(block, row);
        const int64_t strip = row / strip_rows(block) * strip_rows(block);
        float factors[BLOCK];
        row_factors(head, block, i, factors);
        spw_attention_softmax_row(scratch->scores + row * BLOCK, visible,
                                  round_up(strip_keys(block, strip), SPW_LANES), plan->scale,
                                  factors, &scratch->first[i], &scratch->second[i],
                                  y + row * plan->padded_size, plan->padded_size);
    }
    multiply_by_keys(head, block, scratch->scores, scratch->v, y);
}

static void forward_head(void *context, uint32_t index, uint32_t thread)
{
    const struct run *run = context;
    const struct head head = head_of(run, index, thread, SPW_FORWARD);
    const struct plan *plan = head.plan;
    const struct scratch *scratch = &head.scratch;
    memset(scratch->rows, 0,
           (size_t)(plan->padded_tokens * plan->padded_size) * sizeof(*scratch->rows));
    for (int64_t i = 0; i < plan->tokens; i++) {
        scratch->first[i] = -INFINITY;
        scratch->second[i] = 0.0f;
    }
    for (int64_t key = 0; key < plan->tokens; key += BLOCK) {
        const int64_t keys = smaller(BLOCK, plan->tokens - key);
        gather_turned(x_at(&head, 1, key), head.qkv_step, keys, plan, scratch->k_turned);
        gather(x_at(&head, 2, key), head.qkv_step, keys, plan, scratch->v);
        for (int64_t query = key; query < plan->tokens; query += BLOCK) {
            const struct block block = block_at(&head, query, key);
            forward_block(&head, &block);
        }
    }
    for (int64_t i = 0; i < plan->tokens; i++) {
        spw_attention_divide_row(scratch->rows + i * plan->padded_size, scratch->second[i],
                                 head.call->y + head.y_at + i * head.y_step, plan->size);
        head.call->saved[head.saved_at + i] = scratch->first[i] + logf(scratch->second[i]);
    }
}

static void backward_block(const struct head *head, const struct block *block)
{
    const struct plan *plan = head->plan;
    const struct scratch *scratch = &head->scratch;
    const float *dy = head->call->dy + head->y_at + block->query * head->y_step;
    gather(x_at(head, 0, block->query), head->qkv_step, block->queries, plan, scratch->q);
    gather(dy, head->y_step, block->queries, plan, scratch->dy);
    multiply_scores(head, block, scratch->q, scratch->k_turned, scratch->scores);
    multiply_scores(head, block, scratch->dy, scratch->v_turned, scratch->d_scores);
    for (int64_t row = 0; row < block->queries; row++) {
        const int64_t i = block->query + row;
        const int64_t strip = row / strip_rows(block) * strip_rows(block);
        float factors[BLOCK];
        row_factors(head, block, i, factors);
        spw_attention_gradient_row(
            scratch->scores + row * BLOCK, scratch->d_scores + row * BLOCK,
            visible_keys(block, row), round_up(strip_keys(block, strip), SPW_LANES), plan->scale,
            factors, head->call->saved[head->saved_at + i], scratch->first[i]);
    }
    multiply_by_queries(head, block, scratch->scores, scratch->dy, scratch->dv);
    multiply_by_queries(head, block, scratch->d_scores, scratch->q, scratch->dk);
    multiply_by_keys(head, block, scratch->d_scores, scratch->k,
                     scratch->rows + block->query * plan->padded_size);
}

/* Rows of dq, dk or dv to their place in dx. */
static void store_rows(const struct head *head, const float *from, int which, int64_t first,
                       int64_t rows)
{
    const bool add = (head->call->flags & SPW_CALL_ACCUMULATE_DX0) != 0;
    for (int64_t i = 0; i < rows; i++) {
        spw_attention_store_row(from + i * head->plan->padded_size,
                                head->call->dx[0] + qkv_at(head, which, first + i),
                                head->plan->size, add);
    }
}

static void backward_keys(const struct head *head, int64_t key)
{
    const struct plan *plan = head->plan;
    const struct scratch *scratch = &head->scratch;
    const int64_t keys = smaller(BLOCK, plan->tokens - key);
    const size_t bytes = (size_t)(BLOCK * plan->padded_size) * sizeof(float);
    gather(x_at(head, 1, key), head->qkv_step, keys, plan, scratch->k);
    gather_turned(x_at(head, 1, key), head->qkv_step, keys, plan, scratch->k_turned);
    gather_turned(x_at(head, 2, key), head->qkv_step, keys, plan, scratch->v_turned);
    memset(scratch->dk, 0, bytes);
    memset(scratch->dv, 0, bytes);
    for (int64_t query = key; query < plan->tokens; query += BLOCK) {
        const struct block block = block_at(head, query, key);
        backward_block(head, &block);
    }
    store_rows(head, scratch->dk, 1, key, keys);
    store_rows(head, scratch->dv, 2, key, keys);
}

static void backward_head(void *context, uint32_t index, uint32_t thread)
{
    const struct run *run = context;
    const struct head head = head_of(run, index, thread, SPW_BACKWARD);
    const struct plan *plan = head.plan;
    const struct scratch *scratch = &head.scratch;
    memset(scratch->rows, 0,
           (size_t)(plan->padded_tokens * plan->padded_size) * sizeof(*scratch->rows));
    for (int64_t i = 0; i < plan->tokens; i++) {
        const int64_t at = head.y_at + i * head.y_step;
        scratch->first[i] = spw_attention_dot(head.call->dy + at, head.call->y + at, plan->size);
    }
    for (int64_t key = 0; key < plan->tokens; key += BLOCK) {
        backward_keys(&head, key);
    }
    store_rows(&head, scratch->rows, 0, 0, plan->tokens);
}

static enum spw_status run_heads(struct spw_lane *lane, const struct spw_call *call,
                                 enum spw_pass pass)
{
    struct run run = {.call = call, .plan = plan_of(call->desc)};
    struct scratch unused;
    run.scratch_floats = lay_out(&run.plan, pass, NULL, &unused);
    spw_pool_run(spw_lane_pool(lane), spw_tile_count(call->items * run.plan.heads, 1),
                 pass == SPW_FORWARD ? forward_head : backward_head, &run);
    return SPW_OK;
}

static enum spw_status forward(struct spw_lane *lane, const struct spw_call *call,
                               struct spw_error *error)
{
    (void)error;
    return run_heads(lane, call, SPW_FORWARD);
}

static enum spw_status backward(struct spw_lane *lane, const struct spw_call *call,
                                struct spw_error *error)
{
    (void)error;
    return call->dx[0] == NULL ? SPW_OK : run_heads(lane, call, SPW_BACKWARD);
}

static enum spw_status workspace(const struct spw_op_desc *desc, int64_t items, enum spw_pass pass,
                                 uint32_t threads, struct spw_error *error, uint64_t *bytes)
{
    (void)items;
    struct scratch unused;
    const struct plan plan = plan_of(desc);
    uint64_t needed;
    if (!spw_checked_multiply(lay_out(&plan, pass, NULL, &unused), sizeof(float) * threads,
                              &needed)) {
        return SPW_FAIL(error, SPW_ERR_USAGE, "attention over %lld tokens is too large",
                        (long long)plan.tokens);
    }
    *bytes = needed;
    return SPW_OK;
}

const struct spw_host_op spw_host_attention = {
    .workspace = workspace, .forward = forward, .backward = backward};
