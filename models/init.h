/* init.h — which initial values a layer's parameters get by default. Internal to the models box. */
#ifndef SPW_MODELS_INIT_H
#define SPW_MODELS_INIT_H

#include "models/graph.h"

/* PyTorch's default for parameter `slot` of `desc`, whose shapes are inferred. */
void spw_init_default(const struct spw_op_desc *desc, int slot, enum spw_init *init, double *a);

#endif
