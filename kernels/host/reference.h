/* reference.h — the plain fp32 loops that define every op, one pair per row of the table.
 *
 * Each takes a whole call, uses no workspace and one thread, and writes every output that the call
 * asks for (ACCUMULATE flags honoured, NULL gradients skipped). Reached through
 * spw_op_reference(). Internal to the kernels box; tested by tests/kernels/test_conformance.c. */
#ifndef SPW_KERNELS_HOST_REFERENCE_H
#define SPW_KERNELS_HOST_REFERENCE_H

#include "kernels/op.h"

void spw_reference_linear_forward(const struct spw_call *call);
void spw_reference_linear_backward(const struct spw_call *call);
void spw_reference_conv2d_forward(const struct spw_call *call);
void spw_reference_conv2d_backward(const struct spw_call *call);
void spw_reference_maxpool2d_forward(const struct spw_call *call);
void spw_reference_maxpool2d_backward(const struct spw_call *call);
void spw_reference_avgpool2d_forward(const struct spw_call *call);
void spw_reference_avgpool2d_backward(const struct spw_call *call);
void spw_reference_flatten_forward(const struct spw_call *call);
void spw_reference_flatten_backward(const struct spw_call *call);
void spw_reference_relu_forward(const struct spw_call *call);
void spw_reference_relu_backward(const struct spw_call *call);
void spw_reference_gelu_forward(const struct spw_call *call);
void spw_reference_gelu_backward(const struct spw_call *call);
void spw_reference_gelu_tanh_forward(const struct spw_call *call);
void spw_reference_gelu_tanh_backward(const struct spw_call *call);
void spw_reference_silu_forward(const struct spw_call *call);
void spw_reference_silu_backward(const struct spw_call *call);
void spw_reference_layernorm_forward(const struct spw_call *call);
void spw_reference_layernorm_backward(const struct spw_call *call);
void spw_reference_embedding_forward(const struct spw_call *call);
void spw_reference_embedding_backward(const struct spw_call *call);
void spw_reference_position_forward(const struct spw_call *call);
void spw_reference_position_backward(const struct spw_call *call);
void spw_reference_attention_forward(const struct spw_call *call);
void spw_reference_attention_backward(const struct spw_call *call);
void spw_reference_add_forward(const struct spw_call *call);
void spw_reference_add_backward(const struct spw_call *call);
void spw_reference_dropout_forward(const struct spw_call *call);
void spw_reference_dropout_backward(const struct spw_call *call);
void spw_reference_softmax_xent_forward(const struct spw_call *call);
void spw_reference_softmax_xent_backward(const struct spw_call *call);
void spw_reference_linear_xent_forward(const struct spw_call *call);
void spw_reference_linear_xent_backward(const struct spw_call *call);
void spw_reference_copy_forward(const struct spw_call *call);
void spw_reference_copy_backward(const struct spw_call *call);

#endif
