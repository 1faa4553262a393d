/* 02_spilling.c — a model eight times bigger than its device, trained to the same digits.
 *
 * The same network is trained twice: on a device that holds all of it, and on one of 4 MiB, where
 * its shards come and go. Every loss must be equal to the last bit.
 *
 *   cc 02_spilling.c -lspillway -o spilling
 *   ./spilling [FOLDER [STEPS]]      (Fashion-MNIST; Debian: dataset-fashion-mnist)
 *
 * Expected output (another kind of processor may round differently, in both columns alike):
 *
 *   2245642 parameters, 34.3 MiB of training state
 *   device memory                   256.0          4.0 MiB
 *   largest unit of work             18.1          3.6 MiB
 *   shards                            1.0          8.0
 *   evictions                         0.0        840.0
 *   copied in                       525.5       1192.2 MiB
 *   copied out                      514.2        683.2 MiB
 *   loss of step 1    2.3064483664929867 and 2.3064483664929867
 *   loss of step 60   1.0235481962154154 and 1.0235481962154154
 *   60 losses compared, 0 differ
 *
 * It exits with 1 if a bit differs, if there was a step without evictions, or if the training state
 * is not at least four times the small device. */
#include <spillway.h>

#include <stdio.h>
#include <stdlib.h>

#define FOLDER "/usr/share/datasets/fashion-mnist"
#define SMALL_BYTES (4 << 20)
#define STEPS_MAX 1000

static void check(const struct spw_context *context, enum spw_status status)
{
    if (status != SPW_OK) {
        fprintf(stderr, "%s: %s\n", spw_status_text(status), spw_context_error(context)->what);
        exit(EXIT_FAILURE);
    }
}

/* What one training leaves behind. */
struct outcome {
    double losses[STEPS_MAX];
    uint64_t steps;
    int32_t shards;
    uint64_t device_bytes;
    struct spw_usage usage;
};

static void on_step(void *self, const struct spw_trial *trial, const struct spw_step *step)
{
    struct outcome *outcome = self;
    (void)trial;
    outcome->losses[outcome->steps++] = step->loss;
}

static void train_on(struct spw_context *context, const char *machine, struct spw_model *model,
                     const struct spw_data *data, uint64_t steps, struct outcome *outcome)
{
    struct spw_train train = SPW_TRAIN_DEFAULTS;
    train.batch = 64;
    train.micro_batch = 32;
    train.steps = steps;
    train.grad_clip = 1.0;

    struct spw_session *session = NULL;
    struct spw_trial *trial = NULL;
    check(context, spw_session_create(context, machine, "lrtf", &session));
    check(context, spw_session_add(session, "deep", model, data, NULL, &train, &trial));
    spw_session_on_step(session, on_step, outcome);
    check(context, spw_session_run(session));

    struct spw_result result;
    spw_trial_result(trial, &result);
    if (!result.finished) {
        fprintf(stderr, "not trained: %s\n", result.why);
        exit(EXIT_FAILURE);
    }
    outcome->shards = spw_trial_shards(trial);
    outcome->device_bytes = spw_trial_device_bytes(trial);
    spw_session_usage(session, 0, &outcome->usage);
    spw_session_destroy(session);
}

static void print_row(const char *name, double big, double small, const char *unit)
{
    printf("%-24s %12.1f %12.1f %s\n", name, big, small, unit);
}

int main(int argc, char **argv)
{
    static struct outcome big;
    static struct outcome small;
    const char *folder = argc > 1 ? argv[1] : FOLDER;
    const uint64_t steps = argc > 2 ? strtoull(argv[2], NULL, 10) : 60;
    if (steps < 1 || steps > STEPS_MAX) {
        return EXIT_FAILURE; /* no room for the losses */
    }
    struct spw_context *context = NULL;
    check(context, spw_context_create(&context));

    char images[4096];
    char labels[4096];
    snprintf(images, sizeof(images), "%s/t10k-images-idx3-ubyte.gz", folder);
    snprintf(labels, sizeof(labels), "%s/t10k-labels-idx1-ubyte.gz", folder);
    const struct spw_data_options options = {.format = "idx", .path = images, .labels = labels};
    struct spw_data *data = NULL;
    check(context, spw_data_open(context, &options, &data));

    const int64_t hidden[] = {512, 512, 512, 512, 512, 512, 512, 512};
    struct spw_model *model = NULL;
    check(context, spw_model_mlp(context, "deep", data, hidden, sizeof(hidden) / sizeof(hidden[0]),
                                 spw_data_classes(data), 1, &model));
    const uint64_t state_bytes = spw_model_state_bytes(model);
    const double mib = 1 << 20;
    printf("%lld parameters, %.1f MiB of training state\n", (long long)spw_model_parameters(model),
           (double)state_bytes / mib);

    train_on(context, "host*1 mem=256MiB", model, data, steps, &big);
    train_on(context, "host*1 mem=4MiB", model, data, steps, &small);
    print_row("device memory", 256, SMALL_BYTES / mib, "MiB");
    print_row("largest unit of work", (double)big.device_bytes / mib,
              (double)small.device_bytes / mib, "MiB");
    print_row("shards", big.shards, small.shards, "");
    print_row("evictions", (double)big.usage.evictions, (double)small.usage.evictions, "");
    print_row("copied in", (double)big.usage.bytes_in / mib, (double)small.usage.bytes_in / mib,
              "MiB");
    print_row("copied out", (double)big.usage.bytes_out / mib, (double)small.usage.bytes_out / mib,
              "MiB");

    /* %.17g prints every digit that a double has. */
    uint64_t differing = big.steps != steps || small.steps != steps;
    for (uint64_t i = 0; i < steps; i++) {
        differing += big.losses[i] != small.losses[i];
        if (i == 0 || i + 1 == steps) {
            printf("loss of step %-4llu %.17g and %.17g\n", (unsigned long long)i + 1,
                   big.losses[i], small.losses[i]);
        }
    }
    printf("%llu losses compared, %llu differ\n", (unsigned long long)steps,
           (unsigned long long)differing);

    spw_model_destroy(model);
    spw_data_close(data);
    spw_context_destroy(context);
    const bool spilled = small.usage.evictions >= steps && state_bytes >= 4 * (uint64_t)SMALL_BYTES;
    return differing == 0 && spilled ? EXIT_SUCCESS : EXIT_FAILURE;
}
