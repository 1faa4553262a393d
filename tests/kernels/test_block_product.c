/* test_block_product.c — every version of the block product that this machine can run, against sums
 * in double, with A plain and transposed; and equal bits where versions promise them. */
#include "kernels/host/block_product.h"

#include "base/philox.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define SIZE_MAX_ 96
#define AREA (SIZE_MAX_ * SIZE_MAX_)

struct blocks {
    float a[AREA], b[AREA], c[AREA];
};

static void fill(float *values, uint64_t stream)
{
    for (uint64_t i = 0; i < AREA; i++) {
        values[i] = spw_unit_float(spw_random_word(5, stream, i)) - 0.5f;
    }
}

/* Runs `version`, or the chosen one for NULL, with padded rows and an odd alignment. */
static void run(const struct spw_block_product_version *version, struct blocks *blocks, int64_t m,
                int64_t n, int64_t k, bool turned, bool add)
{
    fill(blocks->a, 1);
    fill(blocks->b, 2);
    fill(blocks->c, 3);
    const struct spw_block_product product = {
        .m = m,
        .n = n,
        .k = k,
        .a = blocks->a + 1,
        .a_row = turned ? 1 : SIZE_MAX_ - 3,
        .a_step = turned ? SIZE_MAX_ - 3 : 1,
        .b = blocks->b + 3,
        .b_row = SIZE_MAX_ - 1,
        .c = blocks->c + 2,
        .c_row = SIZE_MAX_ - 2,
        .add = add,
    };
    if (version == NULL) {
        spw_block_product_run(&product);
    } else {
        version->run(&product);
    }
}

static void check(const struct blocks *blocks, int64_t m, int64_t n, int64_t k, bool turned,
                  bool add, const char *name)
{
    static float before[AREA];
    fill(before, 3);
    int64_t inside = 0;
    for (int64_t at = 0; at < AREA; at++) {
        const int64_t i = (at - 2) / (SIZE_MAX_ - 2);
        const int64_t j = (at - 2) % (SIZE_MAX_ - 2);
        if (at < 2 || i >= m || j >= n) {
            cr_assert(blocks->c[at] == before[at], "%s wrote outside", name);
            continue;
        }
        double want = add ? (double)before[at] : 0;
        for (int64_t p = 0; p < k; p++) {
            const int64_t a_at = turned ? p * (SIZE_MAX_ - 3) + i : i * (SIZE_MAX_ - 3) + p;
            want += (double)blocks->a[1 + a_at] * (double)blocks->b[3 + p * (SIZE_MAX_ - 1) + j];
        }
        cr_assert(fabs((double)blocks->c[at] - want) < 2e-6, "%s: C[%lld][%lld] = %g, not %g", name,
                  (long long)i, (long long)j, (double)blocks->c[at], want);
        inside++;
    }
    cr_assert_eq(inside, m * n);
}

static const int64_t sizes[][3] = {
    {8, 16, 1}, {8, 32, 5}, {16, 48, 64}, {64, 64, 17}, {24, 80, 33}, {64, 16, 64},
};
#define SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

Test(block_product, every_version_multiplies)
{
    static struct blocks blocks;
    int ran = 0;
    for (int v = -1; v < spw_block_product_version_count; v++) {
        const struct spw_block_product_version *version = v < 0 ? NULL
                                                                : &spw_block_product_versions[v];
        if (version != NULL && !version->runs()) {
            continue;
        }
        for (int s = 0; s < SIZES * 4; s++) {
            const int64_t *size = sizes[s / 4];
            run(version, &blocks, size[0], size[1], size[2], (s & 1) != 0, (s & 2) != 0);
            check(&blocks, size[0], size[1], size[2], (s & 1) != 0, (s & 2) != 0,
                  version == NULL ? "the chosen version" : version->name);
        }
        ran++;
    }
    cr_assert_geq(ran, 2);
}

/* The sum over k runs in order in all versions, and the wide ones all fuse. */
Test(block_product, the_width_of_vectors_does_not_show)
{
    static struct blocks first, other;
    const struct spw_block_product_version *reference = &spw_block_product_versions[1];
    for (int v = 2; v < spw_block_product_version_count; v++) {
        const struct spw_block_product_version *version = &spw_block_product_versions[v];
        if (!reference->runs() || !version->runs()) {
            continue; /* nothing to compare on this machine */
        }
        for (int s = 0; s < SIZES; s++) {
            run(reference, &first, sizes[s][0], sizes[s][1], sizes[s][2], false, true);
            run(version, &other, sizes[s][0], sizes[s][1], sizes[s][2], false, true);
            cr_assert(memcmp(first.c, other.c, sizeof(first.c)) == 0, "%s", version->name);
        }
    }
}
