/* spec_read.h — the parts that spw_spec_load() is made of. Internal to the selection box. */
#ifndef SPW_SELECTION_SPEC_READ_H
#define SPW_SELECTION_SPEC_READ_H

#include "selection/spec.h"

/* Replaces or adds the value that one word of the command line ("train.lr=1e-4") names; *root
 * changes. Nodes on the way are copied, so that aliases elsewhere keep their values. `source` is
 * borrowed. */
enum spw_status spw_override_apply(const struct spw_key_context *context,
                                   const struct spw_yaml_source *source, const char *word,
                                   struct spw_yaml_node **root);

/* spec->models from the node of `models`. */
enum spw_status spw_models_read(const struct spw_key_context *context, struct spw_spec *spec,
                                const struct spw_yaml_node *models);
/* model->layers from the node of `layers`. */
enum spw_status spw_layers_read(const struct spw_key_context *context,
                                const struct spw_yaml_node *layers, struct spw_model_spec *model);

/* A search block; values are typed by spw_search_check(). `path` is for messages. */
enum spw_status spw_search_read(const struct spw_key_context *context, const char *path,
                                const struct spw_yaml_node *node, struct spw_search_spec *search);
/* Types every value of a block for one model. */
enum spw_status spw_search_check(const struct spw_key_context *context,
                                 const struct spw_search_spec *search, const struct spw_spec *spec,
                                 const struct spw_model_spec *model);

/* What an assignment may change. */
struct spw_assign_target {
    struct spw_train_spec *train;
    struct spw_model_spec *model;
    uint64_t *seed;
};
/* Gives `path` ("train.lr", "seed", "hidden") a value; `place` is for refusing the path itself.
 * Giving max_steps takes epochs back, and the other way round. */
enum spw_status spw_assign(const struct spw_key_context *context, const char *path,
                           const struct spw_yaml_node *place, const struct spw_yaml_node *value,
                           const struct spw_assign_target *target);

#endif
