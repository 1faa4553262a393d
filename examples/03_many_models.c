/* 03_many_models.c — eight models of three shapes share two devices that hold none of them.
 *
 * While the shards of one model are copied, those of others compute.
 *
 *   cc 03_many_models.c -lspillway -o many_models
 *   ./many_models [FOLDER [STEPS]]   (Fashion-MNIST; Debian: dataset-fashion-mnist)
 *
 * Expected output: a line per trial and one per device (times depend on the machine), such as
 *
 *   trial      parameters   shards  last loss  accuracy  seconds
 *   wide-0         402570        2     0.6278    0.7731      4.8
 *   ...
 *   device     busy  copies   work    units  evictions   MiB in  MiB out
 *   host:0    50.8%   46.0%   3.2%     4144       3301     3399     1899
 *   host:1    45.1%   51.4%   3.6%     4376       3477     3527     1836
 *
 * It exits with 1 unless all trials finish and learn, every model's training state is at least
 * twice a device's memory, and both devices worked and evicted. */
#include <spillway.h>

#include <stdio.h>
#include <stdlib.h>

#define FOLDER "/usr/share/datasets/fashion-mnist"
#define DEVICE_BYTES (3 << 20)
#define TRIALS 8

static void check(const struct spw_context *context, enum spw_status status)
{
    if (status != SPW_OK) {
        fprintf(stderr, "%s: %s\n", spw_status_text(status), spw_context_error(context)->what);
        exit(EXIT_FAILURE);
    }
}

static struct spw_data *open_set(struct spw_context *context, const char *folder, const char *set)
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

static const char *const names[TRIALS] = {"wide-0", "deep-0", "conv-0", "wide-1",
                                          "deep-1", "conv-1", "wide-2", "deep-2"};

/* Kind 0: wide and flat, 1: narrow and deep with residual connections, 2: convolutions. */
static struct spw_model *build(struct spw_context *context, int number, const struct spw_data *data)
{
    const int kind = number % 3;
    struct spw_model *model = NULL;
    check(context, spw_model_begin(context, names[number], data, (uint64_t)number, &model));
    if (kind == 2) {
        for (int i = 0; i < 2; i++) {
            spw_model_conv2d(model, 16, 3, 1, 1, true);
            spw_model_relu(model);
            spw_model_maxpool2d(model, 2, 0);
        }
    }
    spw_model_flatten(model);
    spw_model_linear(model, kind == 1 ? 256 : 384 + 8 * number, true);
    spw_model_relu(model);
    for (int i = 0; kind == 1 && i < 5; i++) {
        const int32_t before = spw_model_here(model);
        spw_model_layernorm(model);
        spw_model_linear(model, 256, true);
        spw_model_gelu(model);
        spw_model_add(model, before, 1.0);
    }
    if (kind != 1) {
        spw_model_linear(model, 256, true);
        spw_model_relu(model);
    }
    spw_model_linear(model, 10, true);
    check(context, spw_model_end(model, 10));
    return model;
}

static bool print_trials(struct spw_trial *const *trials, struct spw_model *const *models)
{
    bool good = true;
    printf("trial      parameters   shards  last loss  accuracy  seconds\n");
    for (int i = 0; i < TRIALS; i++) {
        struct spw_result result;
        spw_trial_result(trials[i], &result);
        printf("%-8s %12lld %8d %10.4f %9.4f %8.1f %s\n", spw_trial_name(trials[i]),
               (long long)spw_model_parameters(models[i]), (int)spw_trial_shards(trials[i]),
               result.last_loss, result.accuracy, result.seconds, result.why);
        good = good && result.finished && result.accuracy > 0.5 &&
               spw_model_state_bytes(models[i]) >= 2 * (uint64_t)DEVICE_BYTES;
    }
    return good;
}

static bool print_devices(const struct spw_session *session)
{
    bool good = true;
    printf("device     busy  copies   work    units  evictions   MiB in  MiB out\n");
    for (uint32_t i = 0; i < spw_session_devices(session); i++) {
        struct spw_usage usage;
        spw_session_usage(session, i, &usage);
        printf("%-8s %5.1f%% %6.1f%% %5.1f%% %8llu %10llu %8llu %8llu\n", usage.device,
               100 * usage.busy, 100 * usage.waiting_copy, 100 * usage.waiting_work,
               (unsigned long long)usage.units, (unsigned long long)usage.evictions,
               (unsigned long long)usage.bytes_in >> 20, (unsigned long long)usage.bytes_out >> 20);
        good = good && usage.units > 0 && usage.evictions > 0;
    }
    return good;
}

int main(int argc, char **argv)
{
    struct spw_model *models[TRIALS];
    struct spw_trial *trials[TRIALS];
    const char *folder = argc > 1 ? argv[1] : FOLDER;
    struct spw_context *context = NULL;
    check(context, spw_context_create(&context));
    struct spw_data *data = open_set(context, folder, "train");
    struct spw_data *valid = open_set(context, folder, "t10k");

    struct spw_session *session = NULL;
    check(context, spw_session_create(context, "host*2 mem=3MiB", "lrtf", &session));
    for (int i = 0; i < TRIALS; i++) {
        static const double rates[] = {3e-4, 1e-3, 2e-3};
        struct spw_train train = SPW_TRAIN_DEFAULTS;
        train.batch = 96;
        train.micro_batch = 16;
        train.steps = argc > 2 ? strtoull(argv[2], NULL, 10) : 150;
        train.lr = rates[i / 3];
        models[i] = build(context, i, data);
        check(context,
              spw_session_add(session, names[i], models[i], data, valid, &train, &trials[i]));
    }
    check(context, spw_session_run(session));
    const bool trained = print_trials(trials, models);
    const bool shared = print_devices(session);

    spw_session_destroy(session);
    for (int i = 0; i < TRIALS; i++) {
        spw_model_destroy(models[i]);
    }
    spw_data_close(valid);
    spw_data_close(data);
    spw_context_destroy(context);
    return trained && shared ? EXIT_SUCCESS : EXIT_FAILURE;
}
