/* weights.c — a job's weights as a safetensors file.
 *
 * The writer asks for pieces, the runtime gives whole parameters, so one parameter is held at a
 * time. Tested by tests/api/test_session.c. */
#include "api/objects.h"

#include "base/assert.h"
#include "models/safetensors.h"

#include <string.h>

struct weights {
    const struct spw_job *job;
    float *values; /* of parameter `held`, with room for the longest */
    uint64_t held; /* UINT64_MAX: none */
};

static enum spw_status read_weights(void *self, uint64_t index, uint64_t first, uint64_t count,
                                    float *out, struct spw_error *error)
{
    struct weights *weights = self;
    if (weights->held != index) {
        SPW_TRY(
            spw_job_read(weights->job, SPW_JOB_WEIGHTS, (int32_t)index, weights->values, error));
        weights->held = index;
    }
    memcpy(out, weights->values + first, (size_t)count * sizeof(*out));
    return SPW_OK;
}

static uint64_t longest_parameter(const struct spw_graph *graph)
{
    int64_t longest = 0;
    for (int32_t i = 0; i < graph->param_count; i++) {
        if (graph->params[i].elements > longest) {
            longest = graph->params[i].elements;
        }
    }
    SPW_ASSERT(longest > 0);
    return (uint64_t)longest;
}

enum spw_status spw_weights_save(const struct spw_world *world, const struct spw_job *job,
                                 const char *path, struct spw_error *error)
{
    const struct spw_graph *graph = spw_job_config(job)->graph;
    const uint64_t count = (uint64_t)graph->param_count;
    struct weights weights = {.job = job, .held = UINT64_MAX};
    const struct spw_tensor_source source = {.self = &weights, .read = read_weights};
    const char **names = NULL;
    struct spw_shape *shapes = NULL;

    enum spw_status status;
    SPW_TRY_GOTO(spw_allocate(world, count, sizeof(*names), "the names of weights", error, &names),
                 out);
    SPW_TRY_GOTO(
        spw_allocate(world, count, sizeof(*shapes), "the shapes of weights", error, &shapes), out);
    SPW_TRY_GOTO(spw_allocate(world, longest_parameter(graph), sizeof(float),
                              "one parameter's weights", error, &weights.values),
                 out);
    for (uint64_t i = 0; i < count; i++) {
        names[i] = graph->params[i].name;
        shapes[i] = graph->params[i].shape;
    }
    status = spw_safetensors_write(world, path, count, names, shapes, &source, error);

out:
    spw_release(world, weights.values);
    spw_release(world, shapes);
    spw_release(world, (void *)names);
    return status;
}
