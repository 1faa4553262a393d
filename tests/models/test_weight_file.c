/* test_weight_file.c — `init:` weights from a file: names, shapes, types, finite numbers, and a
 * file that changes between the check and the reading. */
#include "model_check.h"

#include "models/safetensors.h"
#include "tests/support/temporary.h"
#include <math.h>
#include <stdio.h>

/* What to write about a graph's parameters, and what to get wrong. */
struct recipe {
    const struct spw_graph *graph;
    int32_t left_out;  /* a parameter, or -1 */
    const char *added; /* a tensor of one number, or NULL */
    int32_t poisoned;  /* a parameter whose last element is not finite, or -1 */
    float poison;
    float scale;
};

static float element(const struct recipe *recipe, int32_t param, int64_t index)
{
    if (param == recipe->poisoned && index == recipe->graph->params[param].elements - 1) {
        return recipe->poison;
    }
    return recipe->scale * ((float)param + (float)index / 64.0f);
}

/* Index among the tensors written to parameter. */
static int32_t param_of(const struct recipe *recipe, uint64_t index)
{
    const int32_t param = (int32_t)index;
    return recipe->left_out >= 0 && param >= recipe->left_out ? param + 1 : param;
}

static enum spw_status read_elements(void *self, uint64_t index, uint64_t first, uint64_t count,
                                     float *out, struct spw_error *error)
{
    (void)error;
    const struct recipe *recipe = self;
    const int32_t param = param_of(recipe, index);
    for (uint64_t i = 0; i < count; i++) {
        out[i] = param < recipe->graph->param_count ? element(recipe, param, (int64_t)(first + i))
                                                    : 1.0f;
    }
    return SPW_OK;
}

static void write_weights(const char *path, struct recipe recipe)
{
    const char *names[64];
    struct spw_shape shapes[64];
    uint64_t count = (uint64_t)recipe.graph->param_count - (recipe.left_out >= 0 ? 1 : 0);
    for (uint64_t i = 0; i < count; i++) {
        names[i] = recipe.graph->params[param_of(&recipe, i)].name;
        shapes[i] = recipe.graph->params[param_of(&recipe, i)].shape;
    }
    if (recipe.added != NULL) {
        names[count] = recipe.added;
        shapes[count] = (struct spw_shape){.rank = 1, .dim = {1}};
        count++;
    }
    const struct spw_tensor_source source = {.self = &recipe, .read = read_elements};
    struct spw_error error = {0};
    check_ok(spw_safetensors_write(spw_world_system(), path, count, names, shapes, &source, &error),
             &error);
}

static struct recipe good_recipe(const struct spw_graph *graph)
{
    return (struct recipe){.graph = graph, .left_out = -1, .poisoned = -1, .scale = 1.0f};
}

Test(weight_file, gives_the_file_s_numbers)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    char path[512];
    spw_temporary_path(&temporary, "w.safetensors", path);
    struct spw_graph *graph = tiny_mlp(spw_world_system());
    const struct recipe recipe = good_recipe(graph);
    write_weights(path, recipe);
    struct spw_error error = {0};
    check_ok(spw_graph_init_from(graph, path, &error), &error);
    for (int32_t p = 0; p < graph->param_count; p++) {
        float values[64];
        check_ok(spw_graph_initial(graph, p, 123, values, &error), &error);
        for (int64_t i = 0; i < graph->params[p].elements; i++) {
            cr_assert(values[i] == element(&recipe, p, i), "%s[%d]", graph->params[p].name, (int)i);
        }
    }
    spw_graph_destroy(graph);
    spw_temporary_deinit(&temporary);
}

Test(weight_file, refuses_files_of_other_models)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    char path[512];
    spw_temporary_path(&temporary, "w.safetensors", path);
    struct spw_graph *graph = tiny_mlp(spw_world_system());
    struct recipe recipes[4];
    static const char *const parts[4] = {
        "tensor \"3.weight\" of model tiny is missing (1 of 6 are)",
        "tensor \"3.wieght\" is no parameter of model tiny; the nearest is 3.weight",
        "tensor \"5.weight\", element 14: nan",
        "tensor \"1.bias\", element 5: -inf",
    };
    for (int i = 0; i < 4; i++) {
        recipes[i] = good_recipe(graph);
    }
    recipes[0].left_out = 2;
    recipes[1].added = "3.wieght";
    recipes[2].poisoned = 4;
    recipes[2].poison = NAN;
    recipes[3].poisoned = 1;
    recipes[3].poison = -INFINITY;
    for (int i = 0; i < 4; i++) {
        write_weights(path, recipes[i]);
        struct spw_error error = {0};
        check_refused(spw_graph_init_from(graph, path, &error), &error, parts[i]);
        cr_assert(strstr(error.what, path) != NULL, "%s", error.what);
        cr_assert(graph->weights == NULL, "half-checked weights were kept");
    }
    spw_graph_destroy(graph);
    spw_temporary_deinit(&temporary);
}

Test(weight_file, refuses_other_shapes)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    char path[512];
    spw_temporary_path(&temporary, "w.safetensors", path);
    struct spw_graph *graph = tiny_mlp(spw_world_system());
    write_weights(path, good_recipe(graph));
    const struct spw_mlp_config config = {.hidden = {6, 4}, .hidden_count = 2};
    struct spw_error error = {0};
    struct spw_graph *other = NULL;
    check_ok(
        spw_arch_mlp(spw_world_system(), "other", &config, shape_of(1, 2, 2), 3, 7, &error, &other),
        &error);
    check_refused(spw_graph_init_from(other, path, &error), &error,
                  "tensor \"3.weight\" is [5, 6], but model other needs [4, 6]");
    spw_graph_destroy(graph);
    spw_graph_destroy(other);
    spw_temporary_deinit(&temporary);
}

/* What was checked is what is trained from, or the job doesn't start. */
Test(weight_file, notices_a_file_that_changed)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    char path[512];
    spw_temporary_path(&temporary, "w.safetensors", path);
    struct spw_graph *graph = tiny_mlp(spw_world_system());
    struct recipe recipe = good_recipe(graph);
    write_weights(path, recipe);
    struct spw_error error = {0};
    check_ok(spw_graph_init_from(graph, path, &error), &error);
    recipe.scale = 1.5f;
    write_weights(path, recipe);
    float values[64];
    check_refused(spw_graph_initial(graph, 0, 1, values, &error), &error,
                  "tensor \"1.weight\" changed since");
    cr_assert(remove(path) == 0);
    error = (struct spw_error){0};
    cr_assert(spw_graph_initial(graph, 0, 1, values, &error) == SPW_ERR_NOT_FOUND);
    spw_graph_destroy(graph);
    spw_temporary_deinit(&temporary);
}

/* More elements than one piece of the scan, and a bad one in the second piece. */
Test(weight_file, scans_every_piece)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    char path[512];
    spw_temporary_path(&temporary, "w.safetensors", path);
    const struct spw_mlp_config config = {.hidden = {100}, .hidden_count = 1};
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    check_ok(spw_arch_mlp(spw_world_system(), "wide", &config, shape_of(1, 28, 28), 10, 7, &error,
                          &graph),
             &error);
    struct recipe recipe = good_recipe(graph);
    write_weights(path, recipe);
    check_ok(spw_graph_init_from(graph, path, &error), &error);
    static float values[78400];
    check_ok(spw_graph_initial(graph, 0, 1, values, &error), &error);
    cr_assert(values[78399] == element(&recipe, 0, 78399));
    recipe.poisoned = 0;
    recipe.poison = INFINITY;
    write_weights(path, recipe);
    check_refused(spw_graph_init_from(graph, path, &error), &error, "element 78399: inf");
    spw_graph_destroy(graph);
    spw_temporary_deinit(&temporary);
}
