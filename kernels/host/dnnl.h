/* dnnl.h — what we use of oneDNN: matrix products and convolutions, each on one thread.
 *
 * Nothing else names the library. Its C interface changed between 2.x and 3.x: what differs is in
 * dnnl_v2.c and dnnl_v3.c, of which CMake takes one. Results are library codes, 0 for success, so
 * that tiles on pool threads can hand them over; spw_dnnl_fail() makes an error record of one.
 *
 * The library is told to use one thread in every call: its sums depend on the number of threads.
 * Internal to the kernels box; tested through the ops and by tests/kernels/test_dnnl.c. */
#ifndef SPW_KERNELS_HOST_DNNL_H
#define SPW_KERNELS_HOST_DNNL_H

#include "base/status.h"
#include "base/world.h"

struct spw_dnnl; /* the library as one lane uses it; its threads may call in at once */

enum spw_status spw_dnnl_create(const struct spw_world *world, struct spw_error *error,
                                struct spw_dnnl **out);
void spw_dnnl_destroy(struct spw_dnnl *dnnl);

/* Records SPW_ERR_DEVICE, or SPW_ERR_NO_MEMORY if that is what `code` says. `what`: "a
 * convolution". */
enum spw_status spw_dnnl_fail(struct spw_error *error, int code, const char *what);

/* One matrix product, row-major: C = op(A) op(B) + beta C, op(A) being m x k and op(B) k x n. An
 * operand lies as it is, or transposed; lda, ldb, ldc are the distances of its stored rows in
 * elements. C is not read if beta is 0. The library allocates a packing buffer of at most a few
 * MiB inside. Same bits for any alignment. */
struct spw_dnnl_product {
    int64_t m, n, k;
    bool transpose_a, transpose_b;
    const float *a, *b;
    float *c;
    int64_t lda, ldb, ldc;
    float beta;
};
int spw_dnnl_product(const struct spw_dnnl *dnnl, const struct spw_dnnl_product *product);

/* One convolution pass over a fixed number of items, in the layouts that the library likes best.
 * The caller packs plain tensors (NCHW, OIHW) into them and back. */
enum spw_dnnl_conv_pass { SPW_DNNL_FORWARD, SPW_DNNL_BACKWARD_DATA, SPW_DNNL_BACKWARD_WEIGHTS };
enum spw_dnnl_tensor {
    SPW_DNNL_X,
    SPW_DNNL_W,
    SPW_DNNL_Y,
    SPW_DNNL_TENSORS
}; /* or their gradients */

struct spw_dnnl_conv_shape {
    int64_t items, channels, height, width; /* of the input */
    int64_t out, out_height, out_width;
    int64_t kernel, stride, padding;
    bool bias;
};

struct spw_dnnl_conv; /* prepared for a number of threads, each with its own handles */

enum spw_status spw_dnnl_conv_create(const struct spw_dnnl *dnnl,
                                     const struct spw_dnnl_conv_shape *shape,
                                     enum spw_dnnl_conv_pass pass, uint32_t threads,
                                     struct spw_error *error, struct spw_dnnl_conv **out);
void spw_dnnl_conv_destroy(struct spw_dnnl_conv *conv);

/* Bytes of a tensor in the library's layout, and whether that is the plain one: then it is passed
 * as it is and must not be packed. */
uint64_t spw_dnnl_conv_bytes(const struct spw_dnnl_conv *conv, enum spw_dnnl_tensor tensor);
bool spw_dnnl_conv_is_plain(const struct spw_dnnl_conv *conv, enum spw_dnnl_tensor tensor);
/* Whether two passes want the same layout of the same bytes. */
bool spw_dnnl_conv_same_layout(const struct spw_dnnl_conv *a, const struct spw_dnnl_conv *b,
                               enum spw_dnnl_tensor tensor);
/* Scratch memory of one run on one thread, to be aligned to 64. */
uint64_t spw_dnnl_conv_scratch_bytes(const struct spw_dnnl_conv *conv);

/* Each on behalf of `thread`, below the number prepared for. pack: plain to packed; unpack: back.
 * run() reads two of x, w, y and writes the third, whatever `const` says, all of them packed.
 * `bias` [out] is read going forward and its gradient written with the weights'; NULL if there is
 * none. */
int spw_dnnl_conv_pack(struct spw_dnnl_conv *conv, uint32_t thread, enum spw_dnnl_tensor tensor,
                       const float *plain, float *packed);
int spw_dnnl_conv_unpack(struct spw_dnnl_conv *conv, uint32_t thread, enum spw_dnnl_tensor tensor,
                         const float *packed, float *plain);
int spw_dnnl_conv_run(struct spw_dnnl_conv *conv, uint32_t thread, const float *x, const float *w,
                      const float *y, const float *bias, void *scratch);

#endif
