/* dnnl_v2.c — describes tensors and convolutions to oneDNN 2.x. See dnnl_api.h. */
#include "kernels/host/dnnl_api.h"

int spw_dnnl_plain_memory(dnnl_engine_t engine, const dnnl_dims_t dims, dnnl_memory_t *out)
{
    dnnl_memory_desc_t layout;
    dnnl_status_t code = dnnl_memory_desc_init_by_tag(&layout, 4, dims, dnnl_f32, dnnl_abcd);
    if (code == dnnl_success) {
        code = dnnl_memory_create(out, &layout, engine, DNNL_MEMORY_NONE);
    }
    return (int)code;
}

const void *spw_dnnl_layout_of(dnnl_memory_t memory)
{
    const dnnl_memory_desc_t *layout = NULL;
    return dnnl_memory_get_memory_desc(memory, &layout) == dnnl_success ? layout : NULL;
}

/* The four tensors with layouts left open. */
struct tensors {
    dnnl_memory_desc_t x, w, y, bias;
    dnnl_dims_t strides, padding;
};

static dnnl_status_t open_layout(dnnl_memory_desc_t *layout, int rank, const dnnl_dims_t dims)
{
    return dnnl_memory_desc_init_by_tag(layout, rank, dims, dnnl_f32,
                                        rank == 1 ? dnnl_a : dnnl_format_tag_any);
}

static dnnl_status_t describe_tensors(const struct spw_dnnl_conv_shape *shape, struct tensors *out)
{
    const dnnl_dims_t x = {shape->items, shape->channels, shape->height, shape->width};
    const dnnl_dims_t w = {shape->out, shape->channels, shape->kernel, shape->kernel};
    const dnnl_dims_t y = {shape->items, shape->out, shape->out_height, shape->out_width};
    const dnnl_dims_t bias = {shape->out};
    *out = (struct tensors){
        .strides = {shape->stride, shape->stride},
        .padding = {shape->padding, shape->padding},
    };
    dnnl_status_t code = open_layout(&out->x, 4, x);
    code = code == dnnl_success ? open_layout(&out->w, 4, w) : code;
    code = code == dnnl_success ? open_layout(&out->y, 4, y) : code;
    return code == dnnl_success ? open_layout(&out->bias, 1, bias) : code;
}

static dnnl_status_t describe_pass(const struct tensors *t, bool bias, enum spw_dnnl_conv_pass pass,
                                   dnnl_convolution_desc_t *out)
{
    const dnnl_memory_desc_t *bias_layout = bias ? &t->bias : NULL;
    switch (pass) {
    case SPW_DNNL_FORWARD:
        return dnnl_convolution_forward_desc_init(
            out, dnnl_forward_training, dnnl_convolution_direct, &t->x, &t->w, bias_layout, &t->y,
            t->strides, t->padding, t->padding);
    case SPW_DNNL_BACKWARD_DATA:
        return dnnl_convolution_backward_data_desc_init(out, dnnl_convolution_direct, &t->x, &t->w,
                                                        &t->y, t->strides, t->padding, t->padding);
    case SPW_DNNL_BACKWARD_WEIGHTS:
        return dnnl_convolution_backward_weights_desc_init(out, dnnl_convolution_direct, &t->x,
                                                           &t->w, bias_layout, &t->y, t->strides,
                                                           t->padding, t->padding);
    }
    return dnnl_invalid_arguments;
}

int spw_dnnl_describe_conv(dnnl_engine_t engine, const struct spw_dnnl_conv_shape *shape,
                           enum spw_dnnl_conv_pass pass, dnnl_primitive_attr_t attributes,
                           dnnl_primitive_desc_t forward, dnnl_primitive_desc_t *out)
{
    struct tensors tensors;
    dnnl_convolution_desc_t conv;
    dnnl_status_t code = describe_tensors(shape, &tensors);
    code = code == dnnl_success ? describe_pass(&tensors, shape->bias, pass, &conv) : code;
    if (code == dnnl_success) {
        code = dnnl_primitive_desc_create(out, &conv, attributes, engine, forward);
    }
    return (int)code;
}
