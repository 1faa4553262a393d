/* block_product.h — products of small matrix blocks that lie in cache, for attention.
 *
 * Not a general matrix product: nothing is packed and sizes are multiples of the vectors', so
 * callers pad. Every element of C is summed over k in order, so results don't depend on the vector
 * width; machines without fused multiply-add round once more. Internal to the kernels box; tested
 * by tests/kernels/test_block_product.c. */
#ifndef SPW_KERNELS_HOST_BLOCK_PRODUCT_H
#define SPW_KERNELS_HOST_BLOCK_PRODUCT_H

#include <stdbool.h>
#include <stdint.h>

/* What m and n must be multiples of. */
#define SPW_BLOCK_ROWS 8
#define SPW_BLOCK_COLUMNS 16

/* C = A B, or C += A B. C is [m, n], A [m, k], B [k, n]; rows of B and C are b_row and c_row floats
 * apart, element (i, p) of A lies at a[i * a_row + p * a_step], so that A may lie transposed. */
struct spw_block_product {
    int64_t m, n, k;
    const float *a;
    int64_t a_row, a_step;
    const float *b;
    int64_t b_row;
    float *c;
    int64_t c_row;
    bool add;
};

/* Runs the widest version that this machine has. */
void spw_block_product_run(const struct spw_block_product *product);

/* The versions, narrowest first, for tests: `runs` tells whether this machine can run it. */
struct spw_block_product_version {
    const char *name;
    bool (*runs)(void);
    void (*run)(const struct spw_block_product *product);
};
extern const struct spw_block_product_version spw_block_product_versions[];
extern const int spw_block_product_version_count;

#endif
