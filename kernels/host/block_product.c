/* block_product.c — one product of small blocks in three vector widths, chosen by what the machine
 * can do.
 *
 * Not SPW_CLONES: a multiply-add must be fused where the machine can, and must not become a library
 * call where it can't, and the shape of the register tile follows the vector width. */
#include "kernels/host/block_product.h"

#include "base/assert.h"

#include <immintrin.h>

#define NAME(x) plain_##x
#define TARGET
#define VECTOR __m128
#define LANES 4
#define ROWS 4
#define VECTOR_LOAD _mm_loadu_ps
#define VECTOR_STORE _mm_storeu_ps
#define VECTOR_FILL _mm_set1_ps
#define VECTOR_MULTIPLY_ADD(a, b, sum) _mm_add_ps(sum, _mm_mul_ps(a, b))
#include "kernels/host/block_product.inc"

#define NAME(x) avx2_##x
#define TARGET __attribute__((target("avx2,fma")))
#define VECTOR __m256
#define LANES 8
#define ROWS 4
#define VECTOR_LOAD _mm256_loadu_ps
#define VECTOR_STORE _mm256_storeu_ps
#define VECTOR_FILL _mm256_set1_ps
#define VECTOR_MULTIPLY_ADD _mm256_fmadd_ps
#include "kernels/host/block_product.inc"

#define NAME(x) avx512_##x
#define TARGET __attribute__((target("avx512f")))
#define VECTOR __m512
#define LANES 16
#define ROWS 8
#define VECTOR_LOAD _mm512_loadu_ps
#define VECTOR_STORE _mm512_storeu_ps
#define VECTOR_FILL _mm512_set1_ps
#define VECTOR_MULTIPLY_ADD _mm512_fmadd_ps
#include "kernels/host/block_product.inc"

static bool plain_runs(void)
{
    return true;
}

static bool avx2_runs(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool avx512_runs(void)
{
    return __builtin_cpu_supports("avx512f");
}

const struct spw_block_product_version spw_block_product_versions[] = {
    {.name = "plain", .runs = plain_runs, .run = plain_run},
    {.name = "avx2", .runs = avx2_runs, .run = avx2_run},
    {.name = "avx512", .runs = avx512_runs, .run = avx512_run},
};
const int spw_block_product_version_count =
    sizeof(spw_block_product_versions) / sizeof(spw_block_product_versions[0]);

void spw_block_product_run(const struct spw_block_product *product)
{
    SPW_ASSERT(product->m % SPW_BLOCK_ROWS == 0 && product->n % SPW_BLOCK_COLUMNS == 0);
    if (avx512_runs()) {
        avx512_run(product);
    } else if (avx2_runs()) {
        avx2_run(product);
    } else {
        plain_run(product);
    }
}
