/* 04_gpt_text.c — a small GPT learns the bytes of a text, on a device a quarter of its size.
 *
 *   cc 04_gpt_text.c -lspillway -lm -o gpt_text
 *   ./gpt_text [TEXT [STEPS [WEIGHTS]]]
 *
 * TEXT is any file; without it, the GNU GPL that Debian installs. The weights go to WEIGHTS, a
 * safetensors file that Hugging Face's GPT2LMHeadModel can load.
 *
 * Expected output (another kind of processor may round differently):
 *
 *   /usr/share/common-licenses/GPL-3: 549 sequences of 64 bytes
 *   gpt: 320512 parameters, 4.9 MiB of training state on a device of 1280 KiB, in 12 shards
 *   step   1: loss 5.5201 (249.7 bytes to choose from)
 *   step  50: loss 2.9626 (19.3 bytes to choose from)
 *   ...
 *   step 400: loss 2.1208 (8.3 bytes to choose from)
 *   9.8 s, 8800 blocks evicted; loss 5.5201, then 2.1208
 *
 * It exits with 1 unless the loss falls by a third and there were evictions in every step. */
#include <spillway.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT "/usr/share/common-licenses/GPL-3"
#define SEQ_LEN 64
#define DEVICE_BYTES (1280 << 10)

static void check(const struct spw_context *context, enum spw_status status)
{
    if (status != SPW_OK) {
        fprintf(stderr, "%s: %s\n", spw_status_text(status), spw_context_error(context)->what);
        exit(EXIT_FAILURE);
    }
}

/* The exponential of the loss is among how many equally likely bytes the model hesitates. */
static void on_step(void *first_loss, const struct spw_trial *trial, const struct spw_step *step)
{
    (void)trial;
    if (step->step == 1) {
        *(double *)first_loss = step->loss;
    }
    if (step->step == 1 || step->step % 50 == 0) {
        printf("step %3llu: loss %.4f (%.1f bytes to choose from)\n",
               (unsigned long long)step->step, step->loss, exp(step->loss));
    }
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : TEXT;
    struct spw_context *context = NULL;
    check(context, spw_context_create(&context));

    const struct spw_data_options options = {.format = "text", .path = path, .seq_len = SEQ_LEN};
    struct spw_data *data = NULL;
    check(context, spw_data_open(context, &options, &data));
    printf("%s: %lld sequences of %d bytes\n", path, (long long)spw_data_items(data), SEQ_LEN);

    const struct spw_gpt2_options sizes = {
        .vocab_size = 256,
        .n_positions = SEQ_LEN,
        .n_embd = 64,
        .n_layer = 6,
        .n_head = 4,
        .dropout = 0.05,
    };
    struct spw_model *model = NULL;
    check(context, spw_model_gpt2(context, "gpt", data, &sizes, 1, &model));

    struct spw_train train = SPW_TRAIN_DEFAULTS;
    train.batch = 16;
    train.micro_batch = 2;
    train.steps = argc > 2 ? strtoull(argv[2], NULL, 10) : 400;
    train.lr = 2e-3;
    train.grad_clip = 1.0;
    train.save = argc > 3 ? argv[3] : NULL;

    double first_loss = 0;
    struct spw_session *session = NULL;
    struct spw_trial *trial = NULL;
    check(context, spw_session_create(context, "host*1 mem=1280KiB", NULL, &session));
    check(context, spw_session_add(session, "gpt", model, data, NULL, &train, &trial));
    const uint64_t state_bytes = spw_model_state_bytes(model);
    printf("%s: %lld parameters, %.1f MiB of training state on a device of %d KiB, in %d shards\n",
           spw_trial_name(trial), (long long)spw_model_parameters(model),
           (double)state_bytes / (1 << 20), DEVICE_BYTES >> 10, (int)spw_trial_shards(trial));

    spw_session_on_step(session, on_step, &first_loss);
    check(context, spw_session_run(session));
    struct spw_result result;
    struct spw_usage usage;
    spw_trial_result(trial, &result);
    spw_session_usage(session, 0, &usage);
    if (result.finished) {
        printf("%.1f s, %llu blocks evicted; loss %.4f, then %.4f\n", result.seconds,
               (unsigned long long)usage.evictions, first_loss, result.last_loss);
    } else {
        fprintf(stderr, "not trained: %s\n", result.why);
    }
    const bool learned = result.finished && result.last_loss < first_loss * 2 / 3;
    const bool spilled = state_bytes > DEVICE_BYTES && usage.evictions >= result.steps;

    spw_session_destroy(session);
    spw_model_destroy(model);
    spw_data_close(data);
    spw_context_destroy(context);
    return learned && spilled ? EXIT_SUCCESS : EXIT_FAILURE;
}
