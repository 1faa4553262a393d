/* model.h — the life of a model, shared by the ways to make one. Internal to the api box. */
#ifndef SPW_API_MODEL_H
#define SPW_API_MODEL_H

#include "api/objects.h"

/* A model without a graph. Checks everything that all ways to make a model are given; `function` is
 * the public one. The caller fills it and hands it to the user, or destroys it. */
enum spw_status spw_model_create(struct spw_context *context, const char *function,
                                 const char *name, const struct spw_data *data,
                                 struct spw_model **out);
/* Refuses data that are tokens (or, with `tokens`, that are not). */
enum spw_status spw_model_check_kind(const struct spw_model *model, const char *function,
                                     bool tokens);
/* Shape of one item of the data. */
struct spw_shape spw_data_shape(const struct spw_data *data);

#endif
