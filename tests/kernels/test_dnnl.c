/* Tests of kernels/host/dnnl*.c: what the seam promises of either version of the library. */
#include "kernels/host/dnnl.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Test(dnnl, failures_carry_the_code_and_say_what_was_tried)
{
    struct spw_error error = {0};
    cr_assert(spw_dnnl_fail(&error, 3, "a convolution") == SPW_ERR_DEVICE);
    cr_assert(error.native == 3);
    cr_assert(strstr(error.what, "a convolution") != NULL);
    struct spw_error memory = {0};
    cr_assert(spw_dnnl_fail(&memory, 1, "a convolution") == SPW_ERR_NO_MEMORY);
}

/* A tile of a larger matrix: rows at a distance, nothing written outside. */
Test(dnnl, products_of_tiles_keep_to_their_tile)
{
    enum { ROWS = 20, COLUMNS = 24, STRIDE = 40, DEPTH = 9 };
    struct spw_dnnl *dnnl;
    cr_assert(spw_dnnl_create(spw_world_system(), NULL, &dnnl) == SPW_OK);
    float a[ROWS * DEPTH], b[DEPTH * STRIDE], c[ROWS * STRIDE];
    for (int i = 0; i < ROWS * DEPTH; i++) {
        a[i] = (float)(i % 7) - 3;
    }
    for (int i = 0; i < DEPTH * STRIDE; i++) {
        b[i] = (float)(i % 5) - 2;
    }
    memset(c, 0xff, sizeof c);
    struct spw_dnnl_product product = {.m = ROWS,
                                       .n = COLUMNS,
                                       .k = DEPTH,
                                       .a = a,
                                       .b = b,
                                       .c = c,
                                       .lda = DEPTH,
                                       .ldb = STRIDE,
                                       .ldc = STRIDE};
    cr_assert(spw_dnnl_product(dnnl, &product) == 0);
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < STRIDE; j++) {
            float want = 0;
            for (int k = 0; k < DEPTH; k++) {
                want += a[i * DEPTH + k] * b[k * STRIDE + j];
            }
            cr_assert(j < COLUMNS ? c[i * STRIDE + j] == want : isnan(c[i * STRIDE + j]));
        }
    }
    spw_dnnl_destroy(dnnl);
}

Test(dnnl, refuses_an_impossible_convolution)
{
    struct spw_dnnl *dnnl;
    cr_assert(spw_dnnl_create(spw_world_system(), NULL, &dnnl) == SPW_OK);
    struct spw_dnnl_conv_shape shape = {.items = 1,
                                        .channels = 1,
                                        .height = 4,
                                        .width = 4,
                                        .out = 1,
                                        .out_height = 9,
                                        .out_width = 9,
                                        .kernel = 3,
                                        .stride = 1};
    struct spw_error error = {0};
    struct spw_dnnl_conv *conv;
    cr_assert(spw_dnnl_conv_create(dnnl, &shape, SPW_DNNL_FORWARD, 1, &error, &conv) ==
              SPW_ERR_DEVICE);
    cr_assert(error.native != 0 && strstr(error.what, "convolution") != NULL);
    spw_dnnl_destroy(dnnl);
}

/* Packing and unpacking is the identity, whatever the layout in between. */
Test(dnnl, unpacking_gives_back_what_was_packed)
{
    struct spw_dnnl *dnnl;
    cr_assert(spw_dnnl_create(spw_world_system(), NULL, &dnnl) == SPW_OK);
    struct spw_dnnl_conv_shape shape = {.items = 2,
                                        .channels = 17,
                                        .height = 6,
                                        .width = 5,
                                        .out = 19,
                                        .out_height = 6,
                                        .out_width = 5,
                                        .kernel = 3,
                                        .stride = 1,
                                        .padding = 1};
    struct spw_dnnl_conv *forward, *data;
    cr_assert(spw_dnnl_conv_create(dnnl, &shape, SPW_DNNL_FORWARD, 1, NULL, &forward) == SPW_OK);
    cr_assert(spw_dnnl_conv_create(dnnl, &shape, SPW_DNNL_BACKWARD_DATA, 1, NULL, &data) == SPW_OK);
    if (spw_dnnl_conv_same_layout(forward, data, SPW_DNNL_X) &&
        !spw_dnnl_conv_is_plain(data, SPW_DNNL_X)) {
        float plain[2 * 17 * 30], back[2 * 17 * 30];
        for (int i = 0; i < 2 * 17 * 30; i++) {
            plain[i] = (float)i;
        }
        float *packed = aligned_alloc(64, (spw_dnnl_conv_bytes(data, SPW_DNNL_X) + 63) / 64 * 64);
        cr_assert(spw_dnnl_conv_pack(forward, 0, SPW_DNNL_X, plain, packed) == 0);
        cr_assert(spw_dnnl_conv_unpack(data, 0, SPW_DNNL_X, packed, back) == 0);
        for (int i = 0; i < 2 * 17 * 30; i++) {
            cr_assert(back[i] == (float)i);
        }
        free(packed);
    }
    spw_dnnl_conv_destroy(forward);
    spw_dnnl_conv_destroy(data);
    spw_dnnl_destroy(dnnl);
}
