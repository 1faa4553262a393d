/* 01_one_model.c — trains one small network on images of clothes: the interface from end to end.
 *
 * It opens a data set, builds a model layer by layer, and trains it on one device for one epoch.
 * docs/api.md walks through it. The data is Fashion-MNIST (Debian: dataset-fashion-mnist).
 *
 *   cc 01_one_model.c -lspillway -o one_model
 *   ./one_model [FOLDER [STEPS]]
 *
 * Expected output (the same digits on every run; another kind of processor may round differently):
 *
 *   60000 images of 10 classes; 118282 parameters
 *   step   1 of 938: loss 2.2746
 *   step 101 of 938: loss 0.5247
 *   ...
 *   step 901 of 938: loss 0.3347
 *   trained in 0.5 s: accuracy 0.8482 on 10000 images that it never saw
 *
 * It exits with 1 if the loss did not fall or half of the images are not recognised. */
#include <spillway.h>

#include <stdio.h>
#include <stdlib.h>

#define FOLDER "/usr/share/datasets/fashion-mnist"

/* Details of a failure are in the context. */
static void check(const struct spw_context *context, enum spw_status status)
{
    if (status != SPW_OK) {
        fprintf(stderr, "%s: %s\n", spw_status_text(status), spw_context_error(context)->what);
        exit(EXIT_FAILURE);
    }
}

static struct spw_data *open_images(struct spw_context *context, const char *folder,
                                    const char *set)
{
    char images[4096];
    char labels[4096];
    snprintf(images, sizeof(images), "%s/%s-images-idx3-ubyte.gz", folder, set);
    snprintf(labels, sizeof(labels), "%s/%s-labels-idx1-ubyte.gz", folder, set);
    const struct spw_data_options options = {.format = "idx", .path = images, .labels = labels};
    struct spw_data *data = NULL;
    check(context, spw_data_open(context, &options, &data));
    return data;
}

/* Called after every step. */
static void on_step(void *first_loss, const struct spw_trial *trial, const struct spw_step *step)
{
    (void)trial;
    if (step->step == 1) {
        *(double *)first_loss = step->loss;
    }
    if (step->step % 100 == 1) {
        printf("step %3llu of %llu: loss %.4f\n", (unsigned long long)step->step,
               (unsigned long long)step->steps, step->loss);
    }
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : FOLDER;
    struct spw_context *context = NULL;
    check(context, spw_context_create(&context));
    struct spw_data *train_data = open_images(context, folder, "train");
    struct spw_data *valid = open_images(context, folder, "t10k");

    /* Like torch.nn.Sequential. A mistake in a layer comes out of spw_model_end(). */
    struct spw_model *model = NULL;
    check(context, spw_model_begin(context, "net", train_data, 1, &model));
    spw_model_flatten(model);
    spw_model_linear(model, 128, true);
    spw_model_relu(model);
    const int32_t before = spw_model_here(model);
    spw_model_linear(model, 128, true);
    spw_model_gelu(model);
    spw_model_add(model, before, 1.0); /* a residual connection */
    spw_model_linear(model, 10, true);
    check(context, spw_model_end(model, spw_data_classes(train_data)));
    printf("%lld images of %lld classes; %lld parameters\n", (long long)spw_data_items(train_data),
           (long long)spw_data_classes(train_data), (long long)spw_model_parameters(model));

    /* AdamW with its usual settings, one epoch. */
    struct spw_train train = SPW_TRAIN_DEFAULTS;
    train.batch = 64;
    train.micro_batch = 64;
    train.steps = argc > 2 ? strtoull(argv[2], NULL, 10) : 0; /* 0: as many as an epoch has */

    double first_loss = 0;
    struct spw_session *session = NULL;
    struct spw_trial *trial = NULL;
    check(context, spw_session_create(context, "host*1 mem=64MiB", "lrtf", &session));
    check(context, spw_session_add(session, "first", model, train_data, valid, &train, &trial));
    spw_session_on_step(session, on_step, &first_loss);
    check(context, spw_session_run(session));

    struct spw_result result;
    spw_trial_result(trial, &result);
    if (result.finished) {
        printf("trained in %.1f s: accuracy %.4f on %lld images that it never saw\n",
               result.seconds, result.accuracy, (long long)spw_data_items(valid));
    } else {
        fprintf(stderr, "not trained: %s\n", result.why);
    }
    const bool learned = result.finished && result.last_loss < first_loss && result.accuracy > 0.5;

    spw_session_destroy(session);
    spw_model_destroy(model);
    spw_data_close(valid);
    spw_data_close(train_data);
    spw_context_destroy(context);
    return learned ? EXIT_SUCCESS : EXIT_FAILURE;
}
