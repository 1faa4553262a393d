/* weight_file.c — maps a graph's parameters to tensors in files, checks them and reads them.
 * Tested by tests/models/test_weight_file.c. */
#include "models/weight_file.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/text.h"
#include "models/arch.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Files are scanned in pieces, and the hash is chained over the same pieces. */
#define PIECE_ELEMENTS UINT64_C(65536)

struct weight_place {
    const char *path; /* NULL: not found yet */
    struct spw_tensor_entry entry;
    uint64_t hash;
};

struct spw_weight_file {
    struct weight_place *places; /* one per parameter */
};

static uint64_t chain_hash(const float *elements, uint64_t count, uint64_t hash)
{
    return spw_hash(elements, count * sizeof(float), hash);
}

/* ---- checking ---- */

static const char *entry_shape_text(const struct spw_tensor_entry *entry, char out[192])
{
    int used = snprintf(out, 192, "[");
    for (uint64_t i = 0; i < entry->rank; i++) {
        used += snprintf(out + used, (size_t)(192 - used), i == 0 ? "%" PRIu64 : ", %" PRIu64,
                         entry->dim[i]);
    }
    /* Eight numbers of 20 characters, their commas and brackets are 176. */
    (void)snprintf(out + used, (size_t)(192 - used), "]");
    return out;
}

static enum spw_status check_shape(const struct spw_graph *graph, const struct spw_param *param,
                                   const struct spw_safetensors *file,
                                   const struct spw_tensor_entry *entry, struct spw_error *error)
{
    bool equal = entry->rank == (uint64_t)param->shape.rank;
    for (uint64_t i = 0; equal && i < entry->rank; i++) {
        equal = entry->dim[i] == (uint64_t)param->shape.dim[i];
    }
    if (equal) {
        return SPW_OK;
    }
    char wanted[96];
    char found[192];
    return SPW_FAIL(
        error, SPW_ERR_USAGE,
        "%s: tensor \"%s\" is %s, but model %s needs %s; these weights belong to another "
        "model, or the model's sizes are wrong",
        file->path, entry->name, entry_shape_text(entry, found), graph->name,
        spw_shape_text(&param->shape, wanted));
}

/* Reads a tensor once from end to end: every number must be finite. */
static enum spw_status scan(struct spw_safetensors *file, const struct spw_tensor_entry *entry,
                            float *piece, struct spw_error *error, uint64_t *hash)
{
    const uint64_t elements = spw_tensor_elements(entry);
    uint64_t chained = 0;
    for (uint64_t first = 0; first < elements; first += PIECE_ELEMENTS) {
        const uint64_t left = elements - first;
        const uint64_t count = left < PIECE_ELEMENTS ? left : PIECE_ELEMENTS;
        SPW_TRY(spw_safetensors_read(file, entry, first, count, piece, error));
        for (uint64_t i = 0; i < count; i++) {
            if (!isfinite(piece[i])) {
                return SPW_FAIL(error, SPW_ERR_USAGE,
                                "%s: tensor \"%s\", element %" PRIu64 ": %f is no weight to start "
                                "from; use weights from before training diverged",
                                file->path, entry->name, first + i, (double)piece[i]);
            }
        }
        chained = chain_hash(piece, count, chained);
    }
    *hash = chained;
    return SPW_OK;
}

static enum spw_status fill_place(struct spw_graph *graph, struct weight_place *place,
                                  struct spw_safetensors *file, const char *path,
                                  const struct spw_tensor_entry *entry,
                                  const struct spw_param *param, float *piece,
                                  struct spw_error *error)
{
    if (place->path != NULL) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: tensor \"%s\" is in %s as well; each may be in one file only",
                        file->path, entry->name, place->path);
    }
    SPW_TRY(check_shape(graph, param, file, entry, error));
    SPW_TRY(scan(file, entry, piece, error, &place->hash));
    place->entry = *entry;
    place->entry.name = param->name;
    place->path = path;
    return SPW_OK;
}

/* Names the nearest parameter, if one is near: a left-over name is often a misspelt one. */
static enum spw_status refuse_left_over(const struct spw_graph *graph,
                                        const struct spw_safetensors *file, const char *name,
                                        struct spw_error *error)
{
    const struct spw_world *world = graph->arena.world;
    const char **names;
    SPW_TRY(spw_allocate(world, (uint64_t)graph->param_count + 1, sizeof(*names), "names", error,
                         &names));
    for (int32_t i = 0; i < graph->param_count; i++) {
        names[i] = graph->params[i].name;
    }
    const char *nearest = spw_nearest_name(name, names);
    spw_release(world, names);
    return SPW_FAIL(
        error, SPW_ERR_USAGE,
        "%s: tensor \"%.200s\" is no parameter of model %s%s%s; remove it from the file or "
        "change the model",
        file->path, name, graph->name, nearest != NULL ? "; the nearest is " : "",
        nearest != NULL ? nearest : "");
}

static enum spw_status take_file(struct spw_graph *graph, struct spw_weight_file *weights,
                                 struct spw_safetensors *file, const struct spw_weight_rules *rules,
                                 float *piece, struct spw_error *error)
{
    const char *path;
    SPW_TRY(spw_arena_text(&graph->arena, error, &path, "%s", file->path));
    for (uint64_t i = 0; i < file->count; i++) {
        const struct spw_tensor_entry *entry = &file->entries[i];
        const int32_t index = spw_graph_find_param(graph, entry->name);
        if (index != SPW_GRAPH_NONE) {
            SPW_TRY(fill_place(graph, &weights->places[index], file, path, entry,
                               &graph->params[index], piece, error));
            continue;
        }
        const bool twin = rules->twin_name != NULL && strcmp(entry->name, rules->twin_name) == 0;
        if (!twin && (rules->skip == NULL || !rules->skip(entry->name))) {
            return refuse_left_over(graph, file, entry->name, error);
        }
    }
    return SPW_OK;
}

static enum spw_status check_missing(const struct spw_graph *graph,
                                     const struct spw_weight_file *weights, const char *path,
                                     uint64_t files, struct spw_error *error)
{
    int32_t missing = 0;
    const char *first = NULL;
    for (int32_t i = 0; i < graph->param_count; i++) {
        if (weights->places[i].path == NULL) {
            first = missing == 0 ? graph->params[i].name : first;
            missing++;
        }
    }
    if (missing == 0) {
        return SPW_OK;
    }
    return SPW_FAIL(
        error, SPW_ERR_USAGE,
        "%s%s: tensor \"%s\" of model %s is missing (%d of %d are); use weights of this "
        "very model",
        path, files > 1 ? " and the files with it" : "", first, graph->name, (int)missing,
        (int)graph->param_count);
}

/* A copy of a tied parameter is harmless while it is one. Bits are compared through the hash. */
static enum spw_status check_twin(const struct spw_graph *graph,
                                  const struct spw_weight_file *weights,
                                  struct spw_safetensors *file,
                                  const struct spw_weight_rules *rules, float *piece,
                                  struct spw_error *error)
{
    const struct spw_tensor_entry *entry = spw_safetensors_find(file, rules->twin_name);
    if (entry == NULL) {
        return SPW_OK;
    }
    const struct spw_param *param = &graph->params[rules->twin];
    SPW_TRY(check_shape(graph, param, file, entry, error));
    uint64_t hash;
    SPW_TRY(scan(file, entry, piece, error, &hash));
    if (hash != weights->places[rules->twin].hash) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: tensor \"%s\" differs from \"%s\", but model %s ties the two; a model "
                        "with a head of its own can't be imported",
                        file->path, entry->name, param->name, graph->name);
    }
    return SPW_OK;
}

enum spw_status spw_weight_file_attach(struct spw_graph *graph, struct spw_safetensors *files,
                                       uint64_t count, const struct spw_weight_rules *rules,
                                       struct spw_error *error)
{
    SPW_ASSERT(count > 0);
    SPW_ASSERT(graph->weights == NULL);
    const struct spw_world *world = graph->arena.world;
    struct spw_weight_file *weights;
    SPW_TRY(spw_arena_take(&graph->arena, 1, sizeof(*weights), error, &weights));
    SPW_TRY(spw_arena_take(&graph->arena, (uint64_t)graph->param_count, sizeof(*weights->places),
                           error, &weights->places));
    float *piece;
    SPW_TRY(
        spw_allocate(world, PIECE_ELEMENTS, sizeof(float), "a piece of a tensor", error, &piece));
    enum spw_status status;
    for (uint64_t i = 0; i < count; i++) {
        SPW_TRY_GOTO(take_file(graph, weights, &files[i], rules, piece, error), out);
    }
    SPW_TRY_GOTO(check_missing(graph, weights, files[0].path, count, error), out);
    for (uint64_t i = 0; rules->twin_name != NULL && i < count; i++) {
        SPW_TRY_GOTO(check_twin(graph, weights, &files[i], rules, piece, error), out);
    }
    graph->weights = weights;

out:
    spw_release(world, piece);
    return status;
}

/* ---- reading ---- */

enum spw_status spw_weight_file_read(const struct spw_graph *graph, int32_t index, float *out,
                                     struct spw_error *error)
{
    const struct spw_world *world = graph->arena.world;
    const struct weight_place *place = &graph->weights->places[index];
    struct spw_safetensors file = {.world = world, .path = place->path};
    const int native = world->open(world->self, place->path, SPW_OPEN_READ, &file.file);
    if (native != 0) {
        return SPW_FAIL_FILE(error, native, "open", place->path);
    }
    const uint64_t elements = (uint64_t)graph->params[index].elements;
    const enum spw_status status =
        spw_safetensors_read(&file, &place->entry, 0, elements, out, error);
    (void)world->close(world->self, file.file);
    SPW_TRY(status);

    uint64_t hash = 0;
    for (uint64_t first = 0; first < elements; first += PIECE_ELEMENTS) {
        const uint64_t left = elements - first;
        hash = chain_hash(out + first, left < PIECE_ELEMENTS ? left : PIECE_ELEMENTS, hash);
    }
    if (hash != place->hash) {
        return SPW_FAIL(
            error, SPW_ERR_USAGE,
            "%s: tensor \"%s\" changed since the file was checked; start again, and leave "
            "the file alone meanwhile",
            place->path, place->entry.name);
    }
    return SPW_OK;
}

enum spw_status spw_graph_init_from(struct spw_graph *graph, const char *path,
                                    struct spw_error *error)
{
    struct spw_safetensors file;
    SPW_TRY(spw_safetensors_open(graph->arena.world, path, error, &file));
    const struct spw_weight_rules rules = {0};
    /* An imported model may be started from other weights than its own. */
    graph->weights = NULL;
    const enum spw_status status = spw_weight_file_attach(graph, &file, 1, &rules, error);
    spw_safetensors_close(&file);
    return status;
}
