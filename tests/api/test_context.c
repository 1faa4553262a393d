/* test_context.c — the life of a context, and its record of the first failure. */
#include "fixture.h"

#include <signal.h>
#include <string.h>

Test(context, users_get_one_in_the_system_world)
{
    struct spw_context *context = NULL;
    cr_assert(spw_context_create(&context) == SPW_OK);
    cr_assert(context->world == spw_world_system());
    cr_assert(spw_context_error(context)->status == SPW_OK);
    spw_context_destroy(context);
}

Test(context, null_is_refused_or_ignored)
{
    cr_assert(spw_context_create(NULL) == SPW_ERR_ARGUMENT);
    spw_context_destroy(NULL);
    spw_context_clear(NULL);
    cr_assert(spw_context_error(NULL)->status == SPW_ERR_ARGUMENT);
    cr_assert(strstr(spw_context_error(NULL)->what, "spw_context_create()") != NULL);
}

/* The record keeps the first failure until it is cleared; statuses are those of each call. */
Test(context, the_first_failure_wins_until_cleared)
{
    struct api_fixture fixture;
    api_fixture_init(&fixture);
    struct spw_context *context = fixture.context;
    struct spw_session *session = NULL;
    struct spw_data *data = NULL;
    cr_assert(spw_session_create(context, "hots*2", NULL, &session) == SPW_ERR_USAGE);
    cr_assert(spw_data_open(context, NULL, &data) == SPW_ERR_ARGUMENT);
    const struct spw_error *error = spw_context_error(context);
    cr_assert(error->status == SPW_ERR_USAGE);
    cr_assert(strstr(error->what, "did you mean 'host'?") != NULL, "%s", error->what);
    cr_assert(error->line > 0 && error->file != NULL);
    spw_context_clear(context);
    cr_assert(error->status == SPW_OK && error->what[0] == '\0');
    cr_assert(session == NULL && data == NULL);
    api_fixture_deinit(&fixture);
}

/* ---- destroying in the wrong order is found at once; these leave no files behind ---- */

static struct spw_data *open_text(struct spw_context *context)
{
    const struct spw_data_options options = {
        .format = "text", .path = SPW_SOURCE_DIR "/tests/api/fixture.h", .seq_len = API_SEQ_LEN};
    struct spw_data *data = NULL;
    api_ok(context, spw_data_open(context, &options, &data));
    return data;
}

static struct spw_model *make_gpt2(struct spw_context *context, const struct spw_data *data)
{
    const struct spw_gpt2_options sizes = {
        .vocab_size = 256, .n_positions = API_SEQ_LEN, .n_embd = 8, .n_layer = 1, .n_head = 2};
    struct spw_model *model = NULL;
    api_ok(context, spw_model_gpt2(context, "g", data, &sizes, 1, &model));
    return model;
}

Test(context, must_outlive_its_data, .signal = SIGABRT)
{
    struct spw_context *context = NULL;
    cr_assert(spw_context_create(&context) == SPW_OK);
    (void)open_text(context);
    spw_context_destroy(context);
}

Test(context, data_must_outlive_its_models, .signal = SIGABRT)
{
    struct spw_context *context = NULL;
    cr_assert(spw_context_create(&context) == SPW_OK);
    struct spw_data *data = open_text(context);
    (void)make_gpt2(context, data);
    spw_data_close(data);
}

Test(context, models_must_outlive_their_sessions, .signal = SIGABRT)
{
    struct spw_context *context = NULL;
    cr_assert(spw_context_create(&context) == SPW_OK);
    struct spw_data *data = open_text(context);
    struct spw_model *model = make_gpt2(context, data);
    struct spw_session *session = NULL;
    const struct spw_train train = api_short_train();
    api_ok(context, spw_session_create(context, "host*1 mem=1MiB", NULL, &session));
    api_ok(context, spw_session_add(session, "t", model, data, NULL, &train, NULL));
    spw_model_destroy(model);
}
