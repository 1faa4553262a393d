/* dnnl_v3.c — describes tensors and convolutions to oneDNN 3.x. See dnnl_api.h. */
#include "kernels/host/dnnl_api.h"

int spw_dnnl_plain_memory(dnnl_engine_t engine, const dnnl_dims_t dims, dnnl_memory_t *out)
{
    dnnl_memory_desc_t layout;
    dnnl_status_t code = dnnl_memory_desc_create_with_tag(&layout, 4, dims, dnnl_f32, dnnl_abcd);
    if (code != dnnl_success) {
        return (int)code;
    }
    code = dnnl_memory_create(out, layout, engine, DNNL_MEMORY_NONE);
    dnnl_memory_desc_destroy(layout);
    return (int)code;
}

const void *spw_dnnl_layout_of(dnnl_memory_t memory)
{
    const_dnnl_memory_desc_t layout = NULL;
    return dnnl_memory_get_memory_desc(memory, &layout) == dnnl_success ? layout : NULL;
}

/* The four tensors with layouts left open. */
struct tensors {
    dnnl_memory_desc_t x, w, y, bias;
};

static dnnl_status_t describe_tensors(const struct spw_dnnl_conv_shape *shape, struct tensors *out)
{
    const dnnl_dims_t x = {shape->items, shape->channels, shape->height, shape->width};
    const dnnl_dims_t w = {shape->out, shape->channels, shape->kernel, shape->kernel};
    const dnnl_dims_t y = {shape->items, shape->out, shape->out_height, shape->out_width};
    const dnnl_dims_t bias = {shape->out};
    const dnnl_format_tag_t any = dnnl_format_tag_any;
    dnnl_status_t code = dnnl_memory_desc_create_with_tag(&out->x, 4, x, dnnl_f32, any);
    if (code == dnnl_success) {
        code = dnnl_memory_desc_create_with_tag(&out->w, 4, w, dnnl_f32, any);
    }
    if (code == dnnl_success) {
        code = dnnl_memory_desc_create_with_tag(&out->y, 4, y, dnnl_f32, any);
    }
    if (code == dnnl_success && shape->bias) {
        code = dnnl_memory_desc_create_with_tag(&out->bias, 1, bias, dnnl_f32, dnnl_a);
    }
    return code;
}

static void forget_tensors(struct tensors *tensors)
{
    dnnl_memory_desc_t all[] = {tensors->x, tensors->w, tensors->y, tensors->bias};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i] != NULL) {
            dnnl_memory_desc_destroy(all[i]);
        }
    }
}

int spw_dnnl_describe_conv(dnnl_engine_t engine, const struct spw_dnnl_conv_shape *shape,
                           enum spw_dnnl_conv_pass pass, dnnl_primitive_attr_t attributes,
                           dnnl_primitive_desc_t forward, dnnl_primitive_desc_t *out)
{
    struct tensors t = {0};
    const dnnl_dims_t strides = {shape->stride, shape->stride};
    const dnnl_dims_t dense = {0, 0};
    const dnnl_dims_t padding = {shape->padding, shape->padding};
    dnnl_status_t code = describe_tensors(shape, &t);
    if (code == dnnl_success && pass == SPW_DNNL_FORWARD) {
        code = dnnl_convolution_forward_primitive_desc_create(
            out, engine, dnnl_forward_training, dnnl_convolution_direct, t.x, t.w, t.bias, t.y,
            strides, dense, padding, padding, attributes);
    } else if (code == dnnl_success && pass == SPW_DNNL_BACKWARD_DATA) {
        code = dnnl_convolution_backward_data_primitive_desc_create(
            out, engine, dnnl_convolution_direct, t.x, t.w, t.y, strides, dense, padding, padding,
            forward, attributes);
    } else if (code == dnnl_success) {
        code = dnnl_convolution_backward_weights_primitive_desc_create(
            out, engine, dnnl_convolution_direct, t.x, t.w, t.bias, t.y, strides, dense, padding,
            padding, forward, attributes);
    }
    forget_tensors(&t);
    return (int)code;
}
