/* gemm.c — cuts a matrix product into tiles and chooses the form that the library is fast at.
 *
 * The library packs B into panels before it multiplies. When A has few rows and B lies transposed,
 * packing costs as much as multiplying; then the product is computed the other way round, C^T =
 * B A^T, where B is only read once, row by row, and the small A and C are turned over by us:
 * 32 x 512 x 784 rises from 185 to 225 GFLOP/s, 32 x 128 x 1568 from 120 to 225 (peak 250). */
#include "kernels/host/gemm.h"

#include "base/checked.h"
#include "base/clones.h"
#include "base/thread.h"
#include "kernels/host/transpose.h"

#include <stdatomic.h>

/* A tile should last some 0.3 ms, and few tiles pack less: four cost 3 to 8 %. The other way round
 * tiles share nothing that is packed and may be smaller. */
#define TILE_FLOPS (INT64_C(1) << 26)
#define TILES_MAX 4
#define FLIP_TILE_FLOPS (INT64_C(1) << 24)
#define FLIP_TILES_MAX 16

/* The other way round pays for so many rows of A, and if they fill whole vectors. */
#define FLIP_ROWS_MAX 256
#define FLIP_ROWS_MULTIPLE 16
/* Bytes of a tile of C^T, so that it is still in the second-level cache when it is turned over. */
#define FLIP_TILE_BYTES (256 << 10)
/* Columns of A that one tile turns over. */
#define TURN_COLUMNS 512

struct plan {
    bool flipped;
    int64_t tile_m, tile_n;
    int64_t tiles_m, tiles_n;
};

struct run {
    const struct spw_gemm *gemm;
    struct plan plan;
    const struct spw_dnnl *dnnl;
    float *turned_a;  /* flipped: A^T, [k, m] */
    float *turned_c;  /* flipped: per thread, [tile_n, m] */
    _Atomic int code; /* the first failure of the library */
};

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t tiles_wanted(const struct spw_gemm *gemm, int64_t tile_flops, int64_t most)
{
    double flops = 2.0 * (double)gemm->m * (double)gemm->n * (double)gemm->k;
    double tiles = flops / (double)tile_flops;
    return tiles < 1 ? 1 : tiles > (double)most ? most : (int64_t)tiles;
}

/* Sets the tiles' sizes for about `rows` x `columns` of them, as whole vectors where there is room.
 */
static void cut(struct plan *plan, const struct spw_gemm *gemm, int64_t rows, int64_t columns)
{
    plan->tile_m = divide_up(divide_up(gemm->m, rows), 16) * 16;
    plan->tile_n = divide_up(divide_up(gemm->n, columns), 48) * 48;
    plan->tiles_m = divide_up(gemm->m, plan->tile_m);
    plan->tiles_n = divide_up(gemm->n, plan->tile_n);
}

/* Every row of tiles packs all of B again and every column of tiles all of A; packing what lies
 * transposed costs about twice as much. Takes the cheapest grid with as many tiles as wanted. */
static void cut_for_packing(struct plan *plan, const struct spw_gemm *gemm)
{
    int64_t wanted = tiles_wanted(gemm, TILE_FLOPS, TILES_MAX);
    double price_a = (double)gemm->m * (gemm->transpose_a ? 2 : 1);
    double price_b = (double)gemm->n * (gemm->transpose_b ? 2 : 1);
    int64_t best_rows = 1;
    double best = 0;
    for (int64_t rows = 1; rows <= wanted; rows++) {
        double price = (double)divide_up(wanted, rows) * price_a + (double)rows * price_b;
        if (rows == 1 || price < best) {
            best = price;
            best_rows = rows;
        }
    }
    cut(plan, gemm, best_rows, divide_up(wanted, best_rows));
}

static void cut_flipped(struct plan *plan, const struct spw_gemm *gemm)
{
    int64_t most = FLIP_TILE_BYTES / ((int64_t)sizeof(float) * gemm->m);
    int64_t tile = divide_up(gemm->n, tiles_wanted(gemm, FLIP_TILE_FLOPS, FLIP_TILES_MAX));
    plan->tile_m = gemm->m;
    plan->tiles_m = 1;
    plan->tile_n = smaller(divide_up(tile, 16) * 16, most / 16 * 16);
    plan->tiles_n = divide_up(gemm->n, plan->tile_n);
}

static struct plan plan_of(const struct spw_gemm *gemm)
{
    struct plan plan = {
        .flipped = !gemm->transpose_a && gemm->transpose_b && gemm->m <= FLIP_ROWS_MAX &&
                   gemm->m % FLIP_ROWS_MULTIPLE == 0,
    };
    if (plan.flipped) {
        cut_flipped(&plan, gemm);
    } else {
        cut_for_packing(&plan, gemm);
    }
    return plan;
}

static uint64_t turned_a_bytes(const struct spw_gemm *gemm)
{
    return spw_round_up((uint64_t)(gemm->k * gemm->m) * sizeof(float), 64);
}

static uint64_t turned_c_bytes(const struct spw_gemm *gemm, const struct plan *plan)
{
    return spw_round_up((uint64_t)(plan->tile_n * gemm->m) * sizeof(float), 64);
}

uint64_t spw_gemm_workspace_bytes(const struct spw_gemm *gemm, uint32_t threads)
{
    struct plan plan = plan_of(gemm);
    return plan.flipped ? turned_a_bytes(gemm) + threads * turned_c_bytes(gemm, &plan) : 0;
}

static void keep_failure(struct run *run, int code)
{
    if (code != 0) {
        int none = 0;
        atomic_compare_exchange_strong(&run->code, &none, code);
    }
}

SPW_CLONES static void add_bias(float *c, int64_t rows, int64_t columns, int64_t stride,
                                const float *bias)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            c[i * stride + j] += bias[j];
        }
    }
}

static void multiply_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    struct run *run = context;
    const struct spw_gemm *gemm = run->gemm;
    int64_t i = index / run->plan.tiles_n * run->plan.tile_m;
    int64_t j = index % run->plan.tiles_n * run->plan.tile_n;
    struct spw_dnnl_product product = {
        .m = smaller(run->plan.tile_m, gemm->m - i),
        .n = smaller(run->plan.tile_n, gemm->n - j),
        .k = gemm->k,
        .transpose_a = gemm->transpose_a,
        .transpose_b = gemm->transpose_b,
        .a = gemm->a + (gemm->transpose_a ? i : i * gemm->k),
        .b = gemm->b + (gemm->transpose_b ? j * gemm->k : j),
        .c = gemm->c + i * gemm->n + j,
        .lda = gemm->transpose_a ? gemm->m : gemm->k,
        .ldb = gemm->transpose_b ? gemm->k : gemm->n,
        .ldc = gemm->n,
        .beta = gemm->accumulate ? 1.0f : 0.0f,
    };
    keep_failure(run, spw_dnnl_product(run->dnnl, &product));
    if (gemm->bias != NULL) {
        add_bias(product.c, product.m, product.n, gemm->n, gemm->bias + j);
    }
}

static void turn_a_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    struct run *run = context;
    const struct spw_gemm *gemm = run->gemm;
    int64_t column = (int64_t)index * TURN_COLUMNS;
    spw_transpose(gemm->a + column, gemm->k, gemm->m, smaller(TURN_COLUMNS, gemm->k - column),
                  run->turned_a + column * gemm->m, gemm->m);
}

static void multiply_flipped_tile(void *context, uint32_t index, uint32_t thread)
{
    struct run *run = context;
    const struct spw_gemm *gemm = run->gemm;
    int64_t j = (int64_t)index * run->plan.tile_n;
    float *turned_c = run->turned_c + (int64_t)thread * run->plan.tile_n * gemm->m;
    struct spw_dnnl_product product = {
        .m = smaller(run->plan.tile_n, gemm->n - j),
        .n = gemm->m,
        .k = gemm->k,
        .a = gemm->b + j * gemm->k,
        .b = run->turned_a,
        .c = turned_c,
        .lda = gemm->k,
        .ldb = gemm->m,
        .ldc = gemm->m,
    };
    keep_failure(run, spw_dnnl_product(run->dnnl, &product));
    const float *bias = gemm->bias == NULL ? NULL : gemm->bias + j;
    spw_transpose_add(turned_c, gemm->m, product.m, gemm->m, bias, gemm->accumulate, gemm->c + j,
                      gemm->n);
}

enum spw_status spw_gemm_run(struct spw_lane *lane, const struct spw_gemm *gemm, void *workspace,
                             struct spw_error *error)
{
    struct run run = {.gemm = gemm, .plan = plan_of(gemm), .dnnl = spw_lane_dnnl(lane)};
    struct spw_pool *pool = spw_lane_pool(lane);
    uint32_t tiles = (uint32_t)(run.plan.tiles_m * run.plan.tiles_n);
    if (run.plan.flipped) {
        run.turned_a = workspace;
        run.turned_c = (float *)(void *)((char *)workspace + turned_a_bytes(gemm));
        spw_pool_run(pool, (uint32_t)divide_up(gemm->k, TURN_COLUMNS), turn_a_tile, &run);
        spw_pool_run(pool, tiles, multiply_flipped_tile, &run);
    } else {
        spw_pool_run(pool, tiles, multiply_tile, &run);
    }
    int code = atomic_load(&run.code);
    return code == 0 ? SPW_OK : spw_dnnl_fail(error, code, "a matrix product");
}

/* Columns per tile and rows per block of a column sum. */
#define SUM_COLUMNS 512
#define SUM_ROWS 64

struct sums {
    const float *a;
    int64_t rows, columns;
    bool accumulate;
    float *sums;
};

SPW_CLONES static void sum_block(const float *a, int64_t rows, int64_t stride, int64_t columns,
                                 float *restrict sums)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            sums[j] += a[i * stride + j];
        }
    }
}

static void sum_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct sums *s = context;
    int64_t column = (int64_t)index * SUM_COLUMNS;
    int64_t columns = smaller(SUM_COLUMNS, s->columns - column);
    float total[SUM_COLUMNS] = {0};
    for (int64_t row = 0; row < s->rows; row += SUM_ROWS) {
        float block[SUM_COLUMNS] = {0};
        sum_block(s->a + row * s->columns + column, smaller(SUM_ROWS, s->rows - row), s->columns,
                  columns, block);
        sum_block(block, 1, 0, columns, total);
    }
    float *sums = s->sums + column;
    for (int64_t j = 0; j < columns; j++) {
        sums[j] = s->accumulate ? sums[j] + total[j] : total[j];
    }
}

void spw_column_sums(struct spw_lane *lane, const float *a, int64_t rows, int64_t columns,
                     bool accumulate, float *sums)
{
    struct sums s = {a, rows, columns, accumulate, sums};
    spw_pool_run(spw_lane_pool(lane), (uint32_t)divide_up(columns, SUM_COLUMNS), sum_tile, &s);
}
