/* init.c — initial values: PyTorch's default distributions, drawn from counter-based streams.
 *
 * Element i of a parameter depends on (seed, the parameter's name, i) alone, so the values don't
 * know about shards, devices or the order in which parameters are made. Other distributions than
 * the defaults are the architectures' business. Tested by tests/models/test_init.c. */
#include "models/init.h"

#include "base/assert.h"
#include "base/philox.h"
#include "models/weight_file.h"

#include <math.h>

/* Large enough for the generator's wide path, small enough for the stack and the first cache. */
#define WORDS_AT_ONCE 1024

/* torch.nn.Linear and Conv2d draw weights by kaiming_uniform_(a = sqrt(5)): its bound is
 * sqrt(6 / ((1 + 5) fan_in)) = 1 / sqrt(fan_in), and the bias has the same bound. */
static double bound_of(int64_t fan_in)
{
    return 1.0 / sqrt((double)fan_in);
}

void spw_init_default(const struct spw_op_desc *desc, int slot, enum spw_init *init, double *a)
{
    switch (desc->op) {
    case SPW_OP_LINEAR:
    case SPW_OP_LINEAR_XENT:
        *init = SPW_INIT_UNIFORM;
        *a = bound_of(desc->attr.linear.in);
        return;
    case SPW_OP_CONV2D:
        *init = SPW_INIT_UNIFORM;
        *a = bound_of(desc->in.dim[0] * desc->attr.conv2d.kernel * desc->attr.conv2d.kernel);
        return;
    case SPW_OP_LAYERNORM:
        *init = SPW_INIT_CONSTANT;
        *a = slot == 0 ? 1.0 : 0.0;
        return;
    case SPW_OP_EMBEDDING:
    case SPW_OP_POSITION:
        *init = SPW_INIT_NORMAL;
        *a = 1.0;
        return;
    case SPW_OP_MAXPOOL2D:
    case SPW_OP_AVGPOOL2D:
    case SPW_OP_FLATTEN:
    case SPW_OP_RELU:
    case SPW_OP_GELU:
    case SPW_OP_GELU_TANH:
    case SPW_OP_SILU:
    case SPW_OP_ATTENTION:
    case SPW_OP_ADD:
    case SPW_OP_DROPOUT:
    case SPW_OP_SOFTMAX_XENT:
    case SPW_OP_COPY:
    case SPW_OP_COUNT:
        break;
    }
    SPW_NEVER("an op with parameters");
}

static void fill_uniform(uint64_t key, double a, int64_t elements, float *out)
{
    uint32_t words[WORDS_AT_ONCE];
    for (int64_t first = 0; first < elements; first += WORDS_AT_ONCE) {
        const int64_t left = elements - first;
        const int64_t count = left < WORDS_AT_ONCE ? left : WORDS_AT_ONCE;
        spw_random_words(key, 0, (uint64_t)first, (uint64_t)count, words);
        for (int64_t i = 0; i < count; i++) {
            out[first + i] = (float)((2.0 * (double)spw_unit_float(words[i]) - 1.0) * a);
        }
    }
}

static void fill_normal(uint64_t key, double a, int64_t elements, float *out)
{
    for (int64_t i = 0; i < elements; i++) {
        out[i] = (float)(spw_random_normal(key, 0, (uint64_t)i) * a);
    }
}

static void fill_constant(double a, int64_t elements, float *out)
{
    for (int64_t i = 0; i < elements; i++) {
        out[i] = (float)a;
    }
}

/* The key of stream "init/<name>"; names are of any length, so the text is made on the heap. */
static enum spw_status stream_key(const struct spw_graph *graph, const char *name, uint64_t seed,
                                  struct spw_error *error, uint64_t *key)
{
    struct spw_arena arena;
    spw_arena_init(&arena, graph->arena.world);
    const char *stream;
    const enum spw_status status = spw_arena_text(&arena, error, &stream, "init/%s", name);
    if (status == SPW_OK) {
        *key = spw_stream_key(seed, stream);
    }
    spw_arena_deinit(&arena);
    return status;
}

enum spw_status spw_graph_initial(const struct spw_graph *graph, int32_t index, uint64_t seed,
                                  float *out, struct spw_error *error)
{
    SPW_ASSERT(index >= 0);
    SPW_ASSERT(index < graph->param_count);
    if (graph->weights != NULL) {
        return spw_weight_file_read(graph, index, out, error);
    }
    const struct spw_param *param = &graph->params[index];
    uint64_t key;
    SPW_TRY(stream_key(graph, param->name, seed, error, &key));
    switch (param->init) {
    case SPW_INIT_UNIFORM:
        fill_uniform(key, param->init_a, param->elements, out);
        break;
    case SPW_INIT_NORMAL:
        fill_normal(key, param->init_a, param->elements, out);
        break;
    case SPW_INIT_CONSTANT:
        fill_constant(param->init_a, param->elements, out);
        break;
    }
    return SPW_OK;
}
