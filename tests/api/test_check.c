/* test_check.c — what may not be trained, and in which words that is said. */
#include "fixture.h"

#include <math.h>
#include <string.h>

struct bench {
    struct api_fixture fixture;
    struct spw_session *session;
    struct spw_model *model;
};

static void bench_init(struct bench *bench)
{
    api_fixture_init(&bench->fixture);
    api_ok(bench->fixture.context,
           spw_session_create(bench->fixture.context, "host*1 mem=1MiB", "fifo", &bench->session));
    bench->model = api_small_model(&bench->fixture, "net");
}

static void bench_deinit(struct bench *bench)
{
    spw_session_destroy(bench->session);
    spw_model_destroy(bench->model);
    api_fixture_deinit(&bench->fixture);
}

static enum spw_status add(struct bench *bench, const struct spw_data *valid,
                           const struct spw_train *train)
{
    return spw_session_add(bench->session, "t", bench->model, bench->fixture.images, valid, train,
                           NULL);
}

/* The defaults of the header are a training. */
Test(check, defaults_are_accepted)
{
    struct bench bench;
    bench_init(&bench);
    const struct spw_train train = SPW_TRAIN_DEFAULTS;
    api_ok(bench.fixture.context, add(&bench, bench.fixture.images, &train));
    bench_deinit(&bench);
}

Test(check, wrong_numbers_are_refused_with_a_cure)
{
    static const struct {
        struct spw_train train;
        const char *part;
    } cases[] = {
        {{.batch = 0, .micro_batch = 1, .steps = 1}, "batch is 0; it must be from 1"},
        {{.batch = -4, .micro_batch = 1, .steps = 1}, "batch is -4"},
        {{.batch = INT64_MAX, .micro_batch = 1, .steps = 1}, "batch is 9223372036854775807"},
        {{.batch = 4, .micro_batch = 0, .steps = 1}, "micro_batch is 0"},
        {{.batch = 65537, .micro_batch = 1, .steps = 1}, "more than 65536 passes"},
        {{.batch = 4, .micro_batch = 4}, "steps and epochs are both 0"},
        {{.batch = 4, .micro_batch = 4, .steps = UINT64_MAX}, "more items than can be counted"},
        {{.batch = 4, .micro_batch = 4, .epochs = UINT64_MAX / 2}, "epochs of batches of 4"},
        {{.batch = 4, .micro_batch = 4, .steps = 1, .lr = -1.0}, "lr is -1"},
        {{.batch = 4, .micro_batch = 4, .steps = 1, .lr = NAN}, "lr is nan"},
        {{.batch = 4, .micro_batch = 4, .steps = 1, .weight_decay = INFINITY},
         "weight_decay is inf"},
        {{.batch = 4, .micro_batch = 4, .steps = 1, .grad_clip = -0.5}, "grad_clip is -0.5"},
        {{.batch = 4, .micro_batch = 4, .steps = 1, .momentum = 0.9}, "AdamW has none; set sgd"},
        {{.batch = 4, .micro_batch = 4, .steps = 1, .sgd = true, .momentum = 1.0}, "below 1"},
        {{.batch = 4, .micro_batch = 4, .steps = 1, .eval_every = 3}, "no validation data"},
        {{.batch = 4, .micro_batch = 4, .steps = 1, .save = ""}, "save is empty"},
    };
    struct bench bench;
    bench_init(&bench);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const enum spw_status status = add(&bench, NULL, &cases[i].train);
        cr_assert(strstr(spw_context_error(bench.fixture.context)->what, "trial t: ") != NULL,
                  "case %zu: %s", i, spw_context_error(bench.fixture.context)->what);
        api_expect(bench.fixture.context, status, SPW_ERR_ARGUMENT, cases[i].part);
    }
    bench_deinit(&bench);
}

Test(check, null_is_refused)
{
    struct bench bench;
    bench_init(&bench);
    struct spw_context *context = bench.fixture.context;
    const struct spw_data *images = bench.fixture.images;
    const struct spw_train train = api_short_train();
    cr_assert(spw_session_add(NULL, "t", bench.model, images, NULL, &train, NULL) ==
              SPW_ERR_ARGUMENT);
    api_expect(context,
               spw_session_add(bench.session, NULL, bench.model, images, NULL, &train, NULL),
               SPW_ERR_ARGUMENT, "name is NULL");
    api_expect(context, spw_session_add(bench.session, "t", NULL, images, NULL, &train, NULL),
               SPW_ERR_ARGUMENT, "trial t: model is NULL");
    api_expect(context, spw_session_add(bench.session, "t", bench.model, NULL, NULL, &train, NULL),
               SPW_ERR_ARGUMENT, "trial t: train_data is NULL");
    api_expect(context, spw_session_add(bench.session, "t", bench.model, images, NULL, NULL, NULL),
               SPW_ERR_ARGUMENT, "trial t: train is NULL");
    bench_deinit(&bench);
}

Test(check, data_must_be_of_the_models_shape)
{
    struct bench bench;
    bench_init(&bench);
    struct spw_context *context = bench.fixture.context;
    const struct spw_train train = api_short_train();
    api_expect(
        context,
        spw_session_add(bench.session, "t", bench.model, bench.fixture.text, NULL, &train, NULL),
        SPW_ERR_ARGUMENT, "model net reads numbers, but the training data are tokens");
    api_expect(context, add(&bench, bench.fixture.text, &train), SPW_ERR_ARGUMENT,
               "the validation data are tokens");

    static const uint8_t image[] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4};
    static const uint8_t label[] = {0, 0, 8, 1, 0, 0, 0, 1, 0};
    spw_temporary_write(&bench.fixture.folder, "image", image, sizeof(image));
    spw_temporary_write(&bench.fixture.folder, "label", label, sizeof(label));
    char path[512];
    char labels[512];
    const struct spw_data_options options = {
        .format = "idx",
        .path = spw_temporary_path(&bench.fixture.folder, "image", path),
        .labels = spw_temporary_path(&bench.fixture.folder, "label", labels),
    };
    struct spw_data *small = NULL;
    api_ok(context, spw_data_open(context, &options, &small));
    api_expect(context, add(&bench, small, &train), SPW_ERR_ARGUMENT,
               "items of the validation data are [1, 2, 2], but model net reads [1, 8, 8]");
    spw_data_close(small);
    bench_deinit(&bench);
}

/* A label beyond the model's classes is found before anything is trained. */
Test(check, labels_must_be_classes_of_the_model)
{
    struct bench bench;
    bench_init(&bench);
    struct spw_context *context = bench.fixture.context;
    struct spw_model *model = NULL;
    const struct spw_train train = api_short_train();
    api_ok(context, spw_model_mlp(context, "two", bench.fixture.images, NULL, 0, 2, 1, &model));
    api_expect(context,
               spw_session_add(bench.session, "t", model, bench.fixture.images, NULL, &train, NULL),
               SPW_ERR_USAGE, "label 2");
    spw_model_destroy(model);
    bench_deinit(&bench);
}

Test(check, models_must_be_finished_and_of_the_context)
{
    struct bench bench;
    bench_init(&bench);
    struct spw_context *context = bench.fixture.context;
    const struct spw_train train = api_short_train();
    struct spw_model *open = NULL;
    api_ok(context, spw_model_begin(context, "open", bench.fixture.images, 1, &open));
    api_expect(context,
               spw_session_add(bench.session, "t", open, bench.fixture.images, NULL, &train, NULL),
               SPW_ERR_ARGUMENT, "model open is not finished; call spw_model_end() first");
    spw_model_destroy(open);

    struct spw_context *other = NULL;
    struct spw_session *foreign = NULL;
    cr_assert(spw_context_create_in(&bench.fixture.fault.world, &other) == SPW_OK);
    api_ok(other, spw_session_create(other, "host*1 mem=1MiB", NULL, &foreign));
    api_expect(other,
               spw_session_add(foreign, "t", bench.model, bench.fixture.images, NULL, &train, NULL),
               SPW_ERR_ARGUMENT, "model net belongs to another context");
    spw_session_destroy(foreign);
    spw_context_destroy(other);
    bench_deinit(&bench);
}

Test(check, names_and_files_are_unique)
{
    struct bench bench;
    bench_init(&bench);
    struct spw_context *context = bench.fixture.context;
    const struct spw_data *images = bench.fixture.images;
    char path[512];
    struct spw_train train = api_short_train();
    train.save = spw_temporary_path(&bench.fixture.folder, "w.safetensors", path);
    api_ok(context, add(&bench, NULL, &train));
    api_expect(context, add(&bench, NULL, &train), SPW_ERR_EXISTS, "has a trial t already");
    api_expect(context,
               spw_session_add(bench.session, "u", bench.model, images, NULL, &train, NULL),
               SPW_ERR_EXISTS, "as of trial t; give another path");
    train.save = NULL;
    api_ok(context, spw_session_add(bench.session, "u", bench.model, images, NULL, &train, NULL));
    bench_deinit(&bench);
}

/* What would be noticed only after the training is noticed before. */
Test(check, the_folder_to_save_to_must_exist)
{
    struct bench bench;
    bench_init(&bench);
    struct spw_context *context = bench.fixture.context;
    char path[512];
    struct spw_train train = api_short_train();
    train.save = "/no/such/folder/w.safetensors";
    api_expect(context, add(&bench, NULL, &train), SPW_ERR_NOT_FOUND,
               "/no/such/folder: No such file or directory; make the folder first");
    train.save = spw_temporary_path(&bench.fixture.folder, "text/w", path);
    api_expect(context, add(&bench, NULL, &train), SPW_ERR_NOT_FOUND, "make the folder first");
    train.save = bench.fixture.folder.path;
    api_expect(context, add(&bench, NULL, &train), SPW_ERR_ARGUMENT, "which is a folder");
    bench_deinit(&bench);
}
