/* test_layers.c — building layer by layer: the layers, residual connections, and failures that
 * stick.
 */
#include "fixture.h"

#include "api/objects.h"

#include <string.h>

static struct spw_model *begin(const struct api_fixture *fixture)
{
    struct spw_model *model = NULL;
    api_ok(fixture->context, spw_model_begin(fixture->context, "net", fixture->images, 1, &model));
    return model;
}

/* Every layer once; names are positions, the parameters' and the residual connection's too. */
Test(layers, are_named_by_position)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_model *model = begin(&fixture);
    cr_assert(spw_model_here(model) == SPW_GRAPH_DATA);
    cr_assert(spw_model_parameters(model) == 0);
    spw_model_conv2d(model, 4, 3, 1, 1, true); /* 0 */
    spw_model_relu(model);                     /* 1 */
    spw_model_maxpool2d(model, 2, 0);          /* 2: [4, 4, 4] */
    spw_model_avgpool2d(model, 2, 1);          /* 3: [4, 3, 3] */
    spw_model_flatten(model);                  /* 4 */
    spw_model_layernorm(model);                /* 5 */
    spw_model_dropout(model, 0.0);             /* 6: takes a position, makes no node */
    spw_model_dropout(model, 0.5);             /* 7 */
    spw_model_linear(model, 6, false);         /* 8 */
    const int32_t before = spw_model_here(model);
    spw_model_silu(model);                      /* 9 */
    spw_model_add(model, before, 0.5);          /* 10 */
    spw_model_gelu(model);                      /* 11 */
    spw_model_linear(model, API_CLASSES, true); /* 12 */
    api_ok(fixture.context, spw_model_end(model, API_CLASSES));

    static const char *const wanted[] = {"0.weight", "0.bias",    "5.weight", "5.bias",
                                         "8.weight", "12.weight", "12.bias"};
    const struct spw_graph *graph = model->graph;
    cr_assert(graph->param_count == (int32_t)(sizeof(wanted) / sizeof(wanted[0])));
    for (int32_t i = 0; i < graph->param_count; i++) {
        cr_assert_str_eq(graph->params[i].name, wanted[i]);
    }
    const int64_t parameters = 4 * 9 + 4 + 2 * 36 + 36 * 6 + 7 * 3;
    cr_assert(spw_model_parameters(model) == parameters);
    const struct spw_node *sum = &graph->nodes[graph->node_count - 4];
    cr_assert(sum->desc.op == SPW_OP_ADD);
    cr_assert_str_eq(sum->name, "10");
    cr_assert(sum->input[1] == before && sum->desc.attr.add.alpha == 0.5f);
    spw_model_destroy(model);
    api_fixture_deinit(&fixture);
}

/* The first failure is the one that is told, whatever follows, and also after it was cleared. */
Test(layers, the_first_failure_sticks)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_context *context = fixture.context;
    struct spw_model *model = begin(&fixture);
    spw_model_conv2d(model, 4, 3, 1, 1, true);
    spw_model_maxpool2d(model, 99, 0);
    spw_model_conv2d(model, -4, 3, 1, 1, true);
    spw_model_flatten(model);
    spw_model_linear(model, 0, true);
    spw_model_add(model, 77, 1.0);
    const char *part = "layer 1.maxpool2d of model net: kernel 99 is larger than the input, 8 x 8";
    api_expect(context, spw_model_end(model, API_CLASSES), SPW_ERR_USAGE, part);
    api_expect(context, spw_model_end(model, API_CLASSES), SPW_ERR_USAGE, part);
    cr_assert(spw_model_parameters(model) == 0);
    spw_model_destroy(model);
    api_fixture_deinit(&fixture);
}

Test(layers, each_wrong_layer_is_told)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    static const char *const parts[] = {
        "must be at least 1, not 0",
        "not -3",
        "padding must be from 0 to 2^40",
        "the stride must be at least 1",
        "p must be at least 0",
        "there is no tensor 5",
        "its second input is [1, 8, 8]",
        "alpha must be a finite number",
        "not -1",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct spw_model *model = begin(&fixture);
        switch (i) {
        case 0:
            spw_model_linear(model, 0, true);
            break;
        case 1:
            spw_model_conv2d(model, -3, 3, 1, 1, false);
            break;
        case 2:
            spw_model_conv2d(model, 3, 3, 1, -1, false);
            break;
        case 3:
            spw_model_avgpool2d(model, 2, -2);
            break;
        case 4:
            spw_model_dropout(model, 1.0);
            break;
        case 5:
            spw_model_add(model, 5, 1.0);
            break;
        case 6:
            spw_model_flatten(model);
            spw_model_add(model, SPW_GRAPH_DATA, 1.0);
            break;
        case 7:
            spw_model_relu(model);
            spw_model_add(model, SPW_GRAPH_DATA, 1e300);
            break;
        default:
            spw_model_maxpool2d(model, -1, 0);
            break;
        }
        const enum spw_status status = spw_model_end(model, API_CLASSES);
        api_expect(fixture.context, status, i == 5 ? SPW_ERR_ARGUMENT : SPW_ERR_USAGE, parts[i]);
        spw_model_destroy(model);
    }
    api_fixture_deinit(&fixture);
}

Test(layers, the_end_checks_the_whole)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_context *context = fixture.context;
    struct spw_model *model = begin(&fixture);
    api_expect(context, spw_model_end(model, API_CLASSES), SPW_ERR_USAGE, "net has no layers");
    spw_model_destroy(model);

    model = begin(&fixture);
    spw_model_flatten(model);
    spw_model_linear(model, 4, true);
    api_expect(context, spw_model_end(model, API_CLASSES), SPW_ERR_USAGE, "3 classes");
    spw_model_destroy(model);

    model = begin(&fixture);
    spw_model_flatten(model);
    spw_model_linear(model, 4, true);
    api_expect(context, spw_model_end(model, 0), SPW_ERR_ARGUMENT, "0 classes; give 1 or more");
    spw_model_destroy(model);
    api_fixture_deinit(&fixture);
}

/* A call too many spoils nothing: the model stays as it was finished. */
Test(layers, a_finished_model_takes_no_more)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_context *context = fixture.context;
    struct spw_model *model = begin(&fixture);
    spw_model_flatten(model);
    spw_model_linear(model, API_CLASSES, true);
    api_ok(context, spw_model_end(model, API_CLASSES));
    const int64_t parameters = spw_model_parameters(model);
    spw_model_relu(model);
    api_expect(context, spw_context_error(context)->status, SPW_ERR_ARGUMENT,
               "spw_model_relu: model net is finished");
    spw_model_add(model, 0, 1.0);
    api_expect(context, spw_context_error(context)->status, SPW_ERR_ARGUMENT,
               "spw_model_add: model net is finished");
    api_expect(context, spw_model_end(model, API_CLASSES), SPW_ERR_ARGUMENT, "finished already");
    cr_assert(spw_model_parameters(model) == parameters && parameters == INT64_C(65) * API_CLASSES);
    spw_model_destroy(model);
    api_fixture_deinit(&fixture);
}

Test(layers, null_and_unfinished_models)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_context *context = fixture.context;
    struct spw_model *model = NULL;
    cr_assert(spw_model_begin(NULL, "m", fixture.images, 1, &model) == SPW_ERR_ARGUMENT);
    api_expect(context, spw_model_begin(context, "m", fixture.images, 1, NULL), SPW_ERR_ARGUMENT,
               "out is NULL");
    api_expect(context, spw_model_begin(context, "m", NULL, 1, &model), SPW_ERR_ARGUMENT,
               "data is NULL");
    api_expect(context, spw_model_begin(context, "m", fixture.text, 1, &model), SPW_ERR_ARGUMENT,
               "its data are tokens");
    spw_model_linear(NULL, 3, true);
    spw_model_add(NULL, 0, 1.0);
    cr_assert(spw_model_here(NULL) == SPW_GRAPH_DATA);
    cr_assert(spw_model_end(NULL, 3) == SPW_ERR_ARGUMENT);
    cr_assert(spw_context_error(context)->status == SPW_OK);

    model = begin(&fixture);
    spw_model_flatten(model);
    api_expect(context, spw_model_init_from(model, "w"), SPW_ERR_ARGUMENT, "is not finished");
    spw_model_destroy(model);
    api_fixture_deinit(&fixture);
}
