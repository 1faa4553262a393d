/* test_model.c — whole models by one call: what they are, and what is refused in which words. */
#include "fixture.h"

#include "api/objects.h"

#include <string.h>

#define TINY_GPT2 SPW_SOURCE_DIR "/tests/models/data/tiny_gpt2"

Test(model, mlp_has_the_parameters_of_its_layers)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    const int64_t hidden[] = {20, 10};
    struct spw_model *model = NULL;
    api_ok(fixture.context,
           spw_model_mlp(fixture.context, "m", fixture.images, hidden, 2, API_CLASSES, 1, &model));
    const int64_t parameters = (64 + 1) * 20 + (20 + 1) * 10 + (10 + 1) * 3;
    cr_assert(spw_model_parameters(model) == parameters);
    cr_assert(spw_model_state_bytes(model) == 16 * (uint64_t)parameters);
    spw_model_destroy(model);

    api_ok(fixture.context,
           spw_model_mlp(fixture.context, "m", fixture.images, NULL, 0, API_CLASSES, 1, &model));
    cr_assert(spw_model_parameters(model) == INT64_C(65) * 3);
    spw_model_destroy(model);
    api_fixture_deinit(&fixture);
}

static struct spw_gpt2_options tiny_sizes(void)
{
    return (struct spw_gpt2_options){
        .vocab_size = 256, .n_positions = API_SEQ_LEN, .n_embd = 8, .n_layer = 2, .n_head = 2};
}

Test(model, gpt2_has_the_parameters_of_its_sizes)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    const struct spw_gpt2_options sizes = tiny_sizes();
    struct spw_model *model = NULL;
    api_ok(fixture.context, spw_model_gpt2(fixture.context, "g", fixture.text, &sizes, 1, &model));
    const int64_t block = 2 * 16 + (8 + 1) * 24 + (8 + 1) * 8 + (8 + 1) * 32 + (32 + 1) * 8;
    cr_assert(spw_model_parameters(model) == 256 * 8 + API_SEQ_LEN * 8 + 2 * block + 16);
    spw_model_destroy(model);
    api_fixture_deinit(&fixture);
}

Test(model, opens_a_folder)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_model *model = NULL;
    api_ok(fixture.context,
           spw_model_open(fixture.context, "hf", fixture.text, TINY_GPT2, 1, &model));
    cr_assert(spw_model_parameters(model) > 0);
    cr_assert(model->graph->weights != NULL);
    spw_model_destroy(model);
    model = NULL;
    api_expect(fixture.context,
               spw_model_open(fixture.context, "hf", fixture.text, "/nowhere", 1, &model),
               SPW_ERR_NOT_FOUND, "/nowhere");
    cr_assert(model == NULL);
    api_fixture_deinit(&fixture);
}

Test(model, null_is_refused_or_ignored)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_context *context = fixture.context;
    const struct spw_gpt2_options sizes = tiny_sizes();
    struct spw_model *model = NULL;
    cr_assert(spw_model_mlp(NULL, "m", fixture.images, NULL, 0, 3, 1, &model) == SPW_ERR_ARGUMENT);
    cr_assert(spw_model_gpt2(NULL, "m", fixture.text, &sizes, 1, &model) == SPW_ERR_ARGUMENT);
    cr_assert(spw_model_open(NULL, "m", fixture.text, TINY_GPT2, 1, &model) == SPW_ERR_ARGUMENT);
    cr_assert(spw_model_init_from(NULL, "w") == SPW_ERR_ARGUMENT);
    api_expect(context, spw_model_mlp(context, "m", fixture.images, NULL, 0, 3, 1, NULL),
               SPW_ERR_ARGUMENT, "out is NULL");
    api_expect(context, spw_model_gpt2(context, "m", fixture.text, &sizes, 1, NULL),
               SPW_ERR_ARGUMENT, "out is NULL");
    api_expect(context, spw_model_open(context, "m", fixture.text, TINY_GPT2, 1, NULL),
               SPW_ERR_ARGUMENT, "out is NULL");
    api_expect(context, spw_model_mlp(context, NULL, fixture.images, NULL, 0, 3, 1, &model),
               SPW_ERR_ARGUMENT, "name is NULL");
    api_expect(context, spw_model_mlp(context, "", fixture.images, NULL, 0, 3, 1, &model),
               SPW_ERR_ARGUMENT, "name is empty");
    api_expect(context, spw_model_mlp(context, "m", NULL, NULL, 0, 3, 1, &model), SPW_ERR_ARGUMENT,
               "model m: data is NULL");
    api_expect(context, spw_model_mlp(context, "m", fixture.images, NULL, 2, 3, 1, &model),
               SPW_ERR_ARGUMENT, "hidden is NULL");
    api_expect(context, spw_model_gpt2(context, "m", fixture.text, NULL, 1, &model),
               SPW_ERR_ARGUMENT, "options is NULL");
    api_expect(context, spw_model_open(context, "m", fixture.text, NULL, 1, &model),
               SPW_ERR_ARGUMENT, "folder is NULL");
    spw_model_destroy(NULL);
    cr_assert(spw_model_parameters(NULL) == 0 && spw_model_state_bytes(NULL) == 0);
    cr_assert(model == NULL);
    api_fixture_deinit(&fixture);
}

Test(model, wrong_sizes_are_refused_with_the_model_named)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_context *context = fixture.context;
    struct spw_model *model = NULL;
    int64_t hidden[] = {4, 0};
    api_expect(context, spw_model_mlp(context, "m", fixture.images, hidden, -1, 3, 1, &model),
               SPW_ERR_ARGUMENT, "hidden_count is -1");
    api_expect(context, spw_model_mlp(context, "m", fixture.images, hidden, 257, 3, 1, &model),
               SPW_ERR_ARGUMENT, "from 0 to 256");
    api_expect(context, spw_model_mlp(context, "m", fixture.images, hidden, 2, 3, 1, &model),
               SPW_ERR_USAGE, "model m: entry 2 of hidden is 0");
    hidden[1] = INT64_MAX;
    api_expect(context, spw_model_mlp(context, "m", fixture.images, hidden, 2, 3, 1, &model),
               SPW_ERR_USAGE, "model m");
    api_expect(context, spw_model_mlp(context, "m", fixture.images, hidden, 1, -7, 1, &model),
               SPW_ERR_USAGE, "-7");
    struct spw_gpt2_options sizes = tiny_sizes();
    sizes.n_positions = API_SEQ_LEN - 1;
    api_expect(context, spw_model_gpt2(context, "g", fixture.text, &sizes, 1, &model),
               SPW_ERR_USAGE, "n_positions");
    sizes = tiny_sizes();
    sizes.dropout = 1.5;
    api_expect(context, spw_model_gpt2(context, "g", fixture.text, &sizes, 1, &model),
               SPW_ERR_USAGE, "1.5");
    char name[200];
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    api_expect(context, spw_model_mlp(context, name, fixture.images, NULL, 0, 3, 1, &model),
               SPW_ERR_ARGUMENT, "longer than 127 bytes");
    name[127] = '\0';
    api_ok(context, spw_model_mlp(context, name, fixture.images, NULL, 0, 3, 1, &model));
    spw_model_destroy(model);
    api_fixture_deinit(&fixture);
}

/* Layers read numbers, a GPT reads tokens. */
Test(model, data_of_the_other_kind_are_refused)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_context *context = fixture.context;
    const struct spw_gpt2_options sizes = tiny_sizes();
    struct spw_model *model = NULL;
    api_expect(context, spw_model_mlp(context, "m", fixture.text, NULL, 0, 3, 1, &model),
               SPW_ERR_ARGUMENT, "use spw_model_gpt2()");
    api_expect(context, spw_model_gpt2(context, "m", fixture.images, &sizes, 1, &model),
               SPW_ERR_ARGUMENT, "has no tokens");
    api_expect(context, spw_model_open(context, "m", fixture.images, TINY_GPT2, 1, &model),
               SPW_ERR_ARGUMENT, "has no tokens");
    cr_assert(model == NULL);
    api_fixture_deinit(&fixture);
}

Test(model, data_of_another_context_are_refused)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_context *other = NULL;
    struct spw_model *model = NULL;
    cr_assert(spw_context_create_in(&fixture.fault.world, &other) == SPW_OK);
    api_expect(other, spw_model_mlp(other, "m", fixture.images, NULL, 0, 3, 1, &model),
               SPW_ERR_ARGUMENT, "belongs to another context");
    spw_context_destroy(other);
    api_fixture_deinit(&fixture);
}

Test(model, weights_that_do_not_match_are_refused)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_model *model = api_small_model(&fixture, "m");
    char path[512];
    api_expect(fixture.context, spw_model_init_from(model, NULL), SPW_ERR_ARGUMENT, "path is NULL");
    api_expect(fixture.context, spw_model_init_from(model, ""), SPW_ERR_ARGUMENT, "path is empty");
    api_expect(fixture.context,
               spw_model_init_from(model, spw_temporary_path(&fixture.folder, "text", path)),
               SPW_ERR_USAGE, path);
    api_expect(fixture.context, spw_model_init_from(model, TINY_GPT2 "/model.safetensors"),
               SPW_ERR_USAGE, "is no parameter of model m");
    spw_model_destroy(model);
    api_fixture_deinit(&fixture);
}
