/* arch_common.h — what the built-in architectures share: layer descriptions and checks of settings.
 * Internal to the models box. Tested through tests/models/test_arch.c. */
#ifndef SPW_MODELS_ARCH_COMMON_H
#define SPW_MODELS_ARCH_COMMON_H

#include "models/arch.h"

struct spw_op_desc spw_layer_linear(int64_t out, bool bias);
/* 3x3, say: `padding` of 1 and `stride` 1 keep the image's size. With bias. */
struct spw_op_desc spw_layer_conv2d(int64_t out, int64_t kernel, int64_t stride, int64_t padding);
struct spw_op_desc spw_layer_activation(enum spw_activation activation);
struct spw_op_desc spw_layer_dropout(double p);

/* SPW_ERR_USAGE, naming model and setting, unless each of `values` is positive. */
enum spw_status spw_check_sizes(const char *model, const char *setting, const int64_t *values,
                                int64_t count, struct spw_error *error);
/* SPW_ERR_USAGE, naming model and setting, unless `p` is in [0, 1). */
enum spw_status spw_check_dropout(const char *model, const char *setting, double p,
                                  struct spw_error *error);

#endif
