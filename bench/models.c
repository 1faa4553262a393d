/* models.c — see models.h. */
#include "models.h"

#include "base/philox.h"
#include "measure.h"
#include "tests/support/temporary.h"
#include <stdlib.h>
#include <string.h>

/* ---- data: it must be read from files, as a user's is ---- */

static void put_big_endian(unsigned char *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        out[i] = (unsigned char)(value >> (24 - 8 * i));
    }
}

/* Opens "x", and "y" if there are labels, of a folder that goes once they have been read. */
static struct spw_dataset *open_and_remove(struct spw_temporary *folder,
                                           enum spw_data_format format, bool labels,
                                           int64_t seq_len)
{
    char x[512], y[512];
    struct spw_error error = {0};
    struct spw_dataset *set = NULL;
    BENCH_MUST(spw_dataset_open(spw_world_system(), format, spw_temporary_path(folder, "x", x),
                                labels ? spw_temporary_path(folder, "y", y) : NULL, seq_len, &error,
                                &set),
               &error);
    spw_temporary_deinit(folder);
    return set;
}

static struct spw_dataset *make_images(uint32_t count, uint32_t side)
{
    struct spw_temporary folder;
    const size_t pixels = (size_t)count * side * side;
    unsigned char *images = malloc(16 + pixels), *labels = malloc(8 + count);
    if (images == NULL || labels == NULL) {
        bench_fail("making images", NULL);
    }
    put_big_endian(images, 0x00000803);
    put_big_endian(images + 4, count);
    put_big_endian(images + 8, side);
    put_big_endian(images + 12, side);
    put_big_endian(labels, 0x00000801);
    put_big_endian(labels + 4, count);
    for (size_t i = 0; i < pixels; i++) {
        images[16 + i] = (unsigned char)spw_random_word(1, 1, i);
    }
    for (uint32_t i = 0; i < count; i++) {
        labels[8 + i] = (unsigned char)(i % 10);
    }
    spw_temporary_init(&folder);
    spw_temporary_write(&folder, "x", images, 16 + pixels);
    spw_temporary_write(&folder, "y", labels, 8 + count);
    free(images);
    free(labels);
    return open_and_remove(&folder, SPW_DATA_IDX, true, 0);
}

static struct spw_dataset *make_tokens(uint32_t count, uint32_t vocabulary, int64_t seq_len)
{
    struct spw_temporary folder;
    const int32_t header[3] = {20240520, 1, (int32_t)count};
    unsigned char *bytes = calloc(1024 + 2 * (size_t)count, 1);
    if (bytes == NULL) {
        bench_fail("making tokens", NULL);
    }
    memcpy(bytes, header, sizeof header);
    for (uint32_t i = 0; i < count; i++) {
        const uint16_t token = (uint16_t)(spw_random_word(2, 2, i) % vocabulary);
        memcpy(bytes + 1024 + 2 * (size_t)i, &token, sizeof token);
    }
    spw_temporary_init(&folder);
    spw_temporary_write(&folder, "x", bytes, 1024 + 2 * (size_t)count);
    free(bytes);
    return open_and_remove(&folder, SPW_DATA_TOKENS, false, seq_len);
}

/* ---- models ---- */

static const struct spw_shape IMAGE = {.rank = 3, .dim = {1, 28, 28}};

static void make_mlp(struct bench_model *model, int64_t layers, int64_t width, int64_t side)
{
    const struct spw_shape image = {.rank = 3, .dim = {1, side, side}};
    struct spw_mlp_config config = {.hidden_count = layers, .activation = SPW_ACT_GELU};
    struct spw_error error = {0};
    for (int i = 0; i < layers; i++) {
        config.hidden[i] = width;
    }
    BENCH_MUST(
        spw_arch_mlp(spw_world_system(), model->name, &config, image, 10, 1, &error, &model->graph),
        &error);
    model->data = make_images(4096, (uint32_t)side);
}

static void make_cnn(struct bench_model *model)
{
    struct spw_cnn_config config = {.channels = {32, 64, 128},
                                    .channels_count = 3,
                                    .hidden_count = 10,
                                    .activation = SPW_ACT_RELU};
    struct spw_error error = {0};
    for (int i = 0; i < 10; i++) {
        config.hidden[i] = 640;
    }
    BENCH_MUST(
        spw_arch_cnn(spw_world_system(), model->name, &config, IMAGE, 10, 1, &error, &model->graph),
        &error);
    model->data = make_images(4096, 28);
    model->job.batch = 512;
    model->job.micro_batch = 16;
}

static void make_gpt(struct bench_model *model, int64_t width, int64_t layers, int64_t heads,
                     int64_t vocabulary, int64_t seq_len)
{
    const struct spw_gpt2_config config = {
        .vocab_size = vocabulary,
        .n_positions = seq_len,
        .n_embd = width,
        .n_layer = layers,
        .n_head = heads,
        .layer_norm_epsilon = 1e-5,
        .activation = SPW_ACT_GELU_TANH,
    };
    struct spw_error error = {0};
    BENCH_MUST(
        spw_arch_gpt2(spw_world_system(), model->name, &config, seq_len, 1, &error, &model->graph),
        &error);
    model->data = make_tokens((uint32_t)(seq_len * 128 + 1), (uint32_t)vocabulary, seq_len);
}

void bench_model_init(struct bench_model *model, const char *name)
{
    *model = (struct bench_model){
        .name = name,
        .job = {.id = name,
                .optimizer = {.name = SPW_ADAMW,
                              .beta1 = 0.9,
                              .beta2 = 0.999,
                              .eps = 1e-8,
                              .weight_decay = 0.01,
                              .grad_clip = 1.0},
                .lr = 1e-4,
                .seed = 1,
                .grad_groups = 1,
                .batch = 8,
                .micro_batch = 2},
    };
    if (strcmp(name, "mlp") == 0) {
        make_mlp(model, 12, 1024, 28);
        model->job.batch = 512;
        model->job.micro_batch = 128;
    } else if (strcmp(name, "cnn") == 0) {
        make_cnn(model);
    } else if (strcmp(name, "gpt") == 0) {
        make_gpt(model, 384, 8, 6, 4096, 256);
    } else if (strcmp(name, "pmlp") == 0) {
        make_mlp(model, 24, 160, 12);
        model->job.batch = 128;
        model->job.micro_batch = 16;
    } else if (strcmp(name, "pgpt") == 0) {
        make_gpt(model, 64, 24, 4, 256, 32);
        model->job.batch = 4;
        model->job.micro_batch = 1;
    } else if (strcmp(name, "tiny") == 0) {
        make_gpt(model, 32, 2, 2, 64, 16);
        model->job.batch = 4;
    } else {
        bench_fail("there is no such model", NULL);
    }
    model->job.graph = model->graph;
    model->job.train = model->data;
    model->state_bytes = (uint64_t)model->graph->parameter_count * 16;
}

void bench_model_deinit(struct bench_model *model)
{
    spw_graph_destroy(model->graph);
    spw_dataset_close(model->data);
}
