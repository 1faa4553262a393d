/* weight_file.h — initial weights that come from safetensors files. Internal to the models box.
 *
 * Attaching checks everything once: names, shapes, types, that every number is finite. It keeps the
 * places and a hash of each tensor, but no open file; reading opens the file again and compares the
 * hash, so a file that changed in between is noticed. Tested by tests/models/test_weight_file.c. */
#ifndef SPW_MODELS_WEIGHT_FILE_H
#define SPW_MODELS_WEIGHT_FILE_H

#include "models/graph.h"
#include "models/safetensors.h"

/* What a foreign format allows besides one tensor per parameter. A zeroed struct allows nothing. */
struct spw_weight_rules {
    /* Tensors to be passed over; NULL: none. */
    bool (*skip)(const char *tensor_name);
    /* A tensor that may be there if it equals parameter `twin`; NULL: none. */
    const char *twin_name;
    int32_t twin;
};

/* Gives every parameter of `graph` its tensor from the `count` open files, whose texts are copied.
 * SPW_ERR_USAGE names the tensor if one is missing, left over, in two files, of another shape or
 * type, or has an element that is not finite. On failure the graph has no weights. */
enum spw_status spw_weight_file_attach(struct spw_graph *graph, struct spw_safetensors *files,
                                       uint64_t count, const struct spw_weight_rules *rules,
                                       struct spw_error *error);

/* Reads parameter `index` of a graph with weights: `out` has room for its elements. */
enum spw_status spw_weight_file_read(const struct spw_graph *graph, int32_t index, float *out,
                                     struct spw_error *error);

#endif
