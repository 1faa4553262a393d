/* test_init.c — initial values: distributions, streams, and the very bits. */
#include "base/hash.h"
#include "base/philox.h"
#include "model_check.h"

#include <math.h>
#include <stdlib.h>

static float *values_of(const struct spw_graph *graph, const char *name, uint64_t seed,
                        int64_t *count)
{
    const int32_t index = spw_graph_find_param(graph, name);
    cr_assert(index >= 0, "%s", name);
    *count = graph->params[index].elements;
    float *values = malloc((size_t)*count * sizeof(*values));
    struct spw_error error = {0};
    check_ok(spw_graph_initial(graph, index, seed, values, &error), &error);
    return values;
}

struct statistics {
    double mean, deviation, kurtosis, largest;
};

static struct statistics measure(const struct spw_graph *graph, const char *name)
{
    int64_t count;
    float *values = values_of(graph, name, 1, &count);
    struct statistics result = {0};
    for (int64_t i = 0; i < count; i++) {
        result.mean += (double)values[i] / (double)count;
        result.largest = fmax(result.largest, fabs((double)values[i]));
    }
    double second = 0.0;
    double fourth = 0.0;
    for (int64_t i = 0; i < count; i++) {
        const double delta = (double)values[i] - result.mean;
        second += delta * delta / (double)count;
        fourth += delta * delta * delta * delta / (double)count;
    }
    result.deviation = sqrt(second);
    result.kurtosis = second > 0.0 ? fourth / (second * second) : 0.0;
    free(values);
    return result;
}

static struct spw_graph *wide_mlp(void)
{
    const struct spw_mlp_config config = {.hidden = {300, 200}, .hidden_count = 2};
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(spw_arch_mlp(spw_world_system(), "wide", &config, shape_of(1, 28, 28), 10, 1, &error,
                          &graph),
             &error);
    return graph;
}

/* 235,200 draws: the mean is within 5 standard errors, the bound is reached and never passed. */
Test(init, draws_linears_as_torch_does)
{
    struct spw_graph *graph = wide_mlp();
    const double bound = 1.0 / 28.0;
    const struct statistics s = measure(graph, "1.weight");
    cr_assert(fabs(s.mean) < 5.0 * bound / sqrt(3.0 * 235200.0), "%g", s.mean);
    cr_assert(fabs(s.deviation / (bound / sqrt(3.0)) - 1.0) < 0.01, "%g", s.deviation);
    cr_assert(fabs(s.kurtosis - 1.8) < 0.03, "%g", s.kurtosis);
    cr_assert(s.largest <= bound && s.largest > 0.999 * bound, "%g", s.largest);
    const struct statistics bias = measure(graph, "3.bias");
    cr_assert(bias.largest <= 1.0 / sqrt(300.0) && bias.largest > 0.9 / sqrt(300.0), "%g",
              bias.largest);
    spw_graph_destroy(graph);
}

Test(init, draws_convolutions_by_their_fan_in)
{
    const struct spw_cnn_config config = {.channels = {16, 32}, .channels_count = 2};
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(
        spw_arch_cnn(spw_world_system(), "net", &config, shape_of(1, 8, 8), 10, 1, &error, &graph),
        &error);
    const struct statistics first = measure(graph, "0.weight");
    cr_assert(first.largest <= 1.0 / 3.0 && first.largest > 0.95 / 3.0, "%g", first.largest);
    const struct statistics second = measure(graph, "3.weight");
    cr_assert(second.largest <= 1.0 / 12.0 && second.largest > 0.99 / 12.0, "%g", second.largest);
    const struct statistics bias = measure(graph, "3.bias");
    cr_assert(bias.largest <= 1.0 / 12.0 && bias.largest > 0.8 / 12.0, "%g", bias.largest);
    spw_graph_destroy(graph);
}

static struct spw_graph *wide_gpt2(void)
{
    struct spw_gpt2_config config = tiny_gpt2_config();
    config.n_embd = 64;
    config.n_layer = 8;
    config.vocab_size = 1000;
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(spw_arch_gpt2(spw_world_system(), "gpt", &config, 16, 1, &error, &graph), &error);
    return graph;
}

static void check_normal(const struct spw_graph *graph, const char *name, double deviation)
{
    const struct statistics s = measure(graph, name);
    cr_assert(fabs(s.mean) < 0.05 * deviation, "%s: mean %g", name, s.mean);
    cr_assert(fabs(s.deviation / deviation - 1.0) < 0.03, "%s: deviation %g", name, s.deviation);
    cr_assert(fabs(s.kurtosis - 3.0) < 0.15, "%s: kurtosis %g", name, s.kurtosis);
}

static void check_constant(const struct spw_graph *graph, const char *name, double value)
{
    const struct statistics s = measure(graph, name);
    cr_assert(s.mean == value && s.deviation == 0.0, "%s: %g, %g", name, s.mean, s.deviation);
}

/* 0.02 everywhere; 0.02 / sqrt(2 * 8) = 0.005 where a branch joins the residual stream. */
Test(init, draws_gpt2_as_its_authors_do)
{
    struct spw_graph *graph = wide_gpt2();
    check_normal(graph, "wte.weight", 0.02);
    check_normal(graph, "h.0.attn.c_attn.weight", 0.02);
    check_normal(graph, "h.7.mlp.c_fc.weight", 0.02);
    check_normal(graph, "h.0.attn.c_proj.weight", 0.005);
    check_normal(graph, "h.7.mlp.c_proj.weight", 0.005);
    check_constant(graph, "h.3.attn.c_attn.bias", 0.0);
    check_constant(graph, "h.3.mlp.c_proj.bias", 0.0);
    check_constant(graph, "h.3.ln_1.weight", 1.0);
    check_constant(graph, "ln_f.bias", 0.0);
    spw_graph_destroy(graph);
}

static uint64_t hash_of(const struct spw_graph *graph, const char *name, uint64_t seed)
{
    int64_t count;
    float *values = values_of(graph, name, seed, &count);
    const uint64_t hash = spw_hash(values, (uint64_t)count * sizeof(float), 0);
    free(values);
    return hash;
}

/* Each element is a function of its index: the fast loops deal out what the single draws give. */
Test(init, draws_each_element_by_its_index)
{
    struct spw_graph *mlp = wide_mlp();
    int64_t count;
    float *values = values_of(mlp, "5.bias", 9, &count);
    const uint64_t key = spw_stream_key(9, "init/5.bias");
    cr_assert(count == 10);
    for (int64_t i = 0; i < count; i++) {
        const double unit = (double)spw_unit_float(spw_random_word(key, 0, (uint64_t)i));
        cr_assert(values[i] == (float)((2.0 * unit - 1.0) / sqrt(200.0)), "element %d", (int)i);
    }
    free(values);
    spw_graph_destroy(mlp);

    struct spw_graph *gpt2 = wide_gpt2();
    values = values_of(gpt2, "wpe.weight", 9, &count);
    const uint64_t normal_key = spw_stream_key(9, "init/wpe.weight");
    for (int64_t i = 0; i < count; i++) {
        cr_assert(values[i] == (float)(spw_random_normal(normal_key, 0, (uint64_t)i) * 0.02));
    }
    free(values);
    spw_graph_destroy(gpt2);
}

/* The same numbers today and in every later version: runs must stay comparable. */
Test(init, has_known_bits)
{
    struct spw_graph *mlp = wide_mlp();
    struct spw_graph *gpt2 = wide_gpt2();
    const struct {
        const struct spw_graph *graph;
        const char *name;
        uint64_t hash;
    } known[] = {
        {mlp, "1.weight", UINT64_C(0x5a4e72748f0345b3)},
        {mlp, "5.bias", UINT64_C(0xe2e03a60caed8d67)},
        {gpt2, "wpe.weight", UINT64_C(0x71b4266e6fab9337)},
        {gpt2, "h.2.mlp.c_proj.weight", UINT64_C(0x3ff92dff86bdae88)},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const uint64_t hash = hash_of(known[i].graph, known[i].name, 1);
        cr_expect(hash == known[i].hash, "%s: 0x%016llx", known[i].name, (unsigned long long)hash);
    }
    spw_graph_destroy(mlp);
    spw_graph_destroy(gpt2);
}

/* Seed and name decide, nothing else: not the other layers, not the model's name. */
Test(init, depends_on_seed_and_name_alone)
{
    struct spw_graph *wide = wide_mlp();
    const struct spw_mlp_config config = {.hidden = {300}, .hidden_count = 1};
    struct spw_error error = {0};
    struct spw_graph *other = NULL;
    check_ok(spw_arch_mlp(spw_world_system(), "other", &config, shape_of(1, 28, 28), 10, 99, &error,
                          &other),
             &error);
    cr_assert(hash_of(wide, "1.weight", 1) == hash_of(other, "1.weight", 1));
    cr_assert(hash_of(wide, "1.weight", 1) != hash_of(wide, "1.weight", 2));
    cr_assert(hash_of(wide, "1.bias", 1) == hash_of(wide, "1.bias", 1));
    int64_t count;
    float *first = values_of(wide, "1.bias", 1, &count);
    float *second = values_of(wide, "3.bias", 1, &count);
    int equal = 0;
    for (int64_t i = 0; i < count; i++) {
        equal += first[i] == second[i] ? 1 : 0;
    }
    cr_assert(equal < 3, "%d equal numbers in two streams", equal);
    free(first);
    free(second);
    spw_graph_destroy(wide);
    spw_graph_destroy(other);
}
