/* dnnl_api.h — the seam between dnnl.c and the file for the installed version of oneDNN.
 *
 * The functions below are implemented in dnnl_v2.c and dnnl_v3.c; everything else that dnnl.c
 * calls is the same in both versions. Included by these three files only. */
#ifndef SPW_KERNELS_HOST_DNNL_API_H
#define SPW_KERNELS_HOST_DNNL_API_H

#include "kernels/host/dnnl.h"

#include <oneapi/dnnl/dnnl.h>

#if DNNL_CPU_THREADING_RUNTIME != DNNL_RUNTIME_OMP && DNNL_CPU_THREADING_RUNTIME != DNNL_RUNTIME_SEQ
#error "Spillway needs a oneDNN that is built for OpenMP or without threads"
#endif

/* Layouts are passed as `const void *`: both versions take and give pointers for them, of different
 * types. They belong to the primitive descriptor or memory that they were asked from. */

/* The convolution with layouts of the library's choice. `forward`, NULL for the forward pass
 * itself, is the forward pass that a backward pass belongs to. */
int spw_dnnl_describe_conv(dnnl_engine_t engine, const struct spw_dnnl_conv_shape *shape,
                           enum spw_dnnl_conv_pass pass, dnnl_primitive_attr_t attributes,
                           dnnl_primitive_desc_t forward, dnnl_primitive_desc_t *out);

/* A handle without memory for a plain row-major tensor of four dimensions. */
int spw_dnnl_plain_memory(dnnl_engine_t engine, const dnnl_dims_t dims, dnnl_memory_t *out);
const void *spw_dnnl_layout_of(dnnl_memory_t memory);

#endif
