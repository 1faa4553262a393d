/* cases.c — see cases.h. */
#include "cases.h"

#include "base/philox.h"
#include "tests/support/temporary.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a case is built, and why that failed. */
struct making {
    const struct spw_world *world;
    struct spw_error *error;
};

static void put_big_endian(unsigned char *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        out[i] = (unsigned char)(value >> (24 - 8 * i));
    }
}

/* Images whose brightness pattern follows their label, so that losses fall. */
static enum spw_status images(const struct making *in, uint32_t count, uint32_t side, uint64_t key,
                              struct spw_dataset **out)
{
    struct spw_temporary directory;
    char image_path[512], label_path[512];
    const uint32_t item = side * side;
    unsigned char *bytes = calloc(16 + (size_t)count * item, 1);
    unsigned char *labels = calloc(8 + count, 1);
    put_big_endian(bytes, 0x00000803);
    put_big_endian(bytes + 4, count);
    put_big_endian(bytes + 8, side);
    put_big_endian(bytes + 12, side);
    put_big_endian(labels, 0x00000801);
    put_big_endian(labels + 4, count);
    for (uint32_t i = 0; i < count; i++) {
        labels[8 + i] = (unsigned char)(i % 10);
        for (uint32_t p = 0; p < item; p++) {
            const uint32_t noise = spw_random_word(key, 1, (uint64_t)i * item + p) & 63;
            bytes[16 + (size_t)i * item + p] =
                (unsigned char)(noise + (p % 10 == labels[8 + i] ? 180 : 0));
        }
    }
    spw_temporary_init(&directory);
    spw_temporary_write(&directory, "x", bytes, 16 + (size_t)count * item);
    spw_temporary_write(&directory, "y", labels, 8 + count);
    const enum spw_status status =
        spw_dataset_open(in->world, SPW_DATA_IDX, spw_temporary_path(&directory, "x", image_path),
                         spw_temporary_path(&directory, "y", label_path), 0, in->error, out);
    spw_temporary_deinit(&directory);
    free(bytes);
    free(labels);
    return status;
}

/* Tokens that mostly count upwards. */
static enum spw_status tokens(const struct making *in, uint32_t count, uint32_t vocabulary,
                              int64_t seq_len, uint64_t key, struct spw_dataset **out)
{
    struct spw_temporary directory;
    char path[512];
    unsigned char *bytes = calloc(1024 + 2 * (size_t)count, 1);
    const int32_t header[3] = {20240520, 1, (int32_t)count};
    memcpy(bytes, header, sizeof header);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t word = spw_random_word(key, 2, i);
        const uint16_t token = (uint16_t)((word % 8 == 0 ? word >> 8 : i * 3) % vocabulary);
        memcpy(bytes + 1024 + 2 * (size_t)i, &token, 2);
    }
    spw_temporary_init(&directory);
    spw_temporary_write(&directory, "t.bin", bytes, 1024 + 2 * (size_t)count);
    const enum spw_status status = spw_dataset_open(in->world, SPW_DATA_TOKENS,
                                                    spw_temporary_path(&directory, "t.bin", path),
                                                    NULL, seq_len, in->error, out);
    spw_temporary_deinit(&directory);
    free(bytes);
    return status;
}

static struct spw_shape shape_of(const struct spw_dataset *set)
{
    const struct spw_data_info *info = spw_dataset_info(set);
    struct spw_shape shape = {.rank = info->rank};
    memcpy(shape.dim, info->dim, sizeof shape.dim);
    return shape;
}

static const struct spw_optimizer_config ADAMW_CLIPPED = {
    .name = SPW_ADAMW,
    .beta1 = 0.9,
    .beta2 = 0.999,
    .eps = 1e-8,
    .weight_decay = 0.01,
    .grad_clip = 0.5,
};
static const struct spw_optimizer_config SGD_MOMENTUM = {
    .name = SPW_SGD,
    .momentum = 0.9,
    .weight_decay = 1e-3,
    .decay_matrices_only = true,
};

static enum spw_status open_images(const struct making *in, struct bits_case *it, uint32_t side)
{
    it->config.optimizer = ADAMW_CLIPPED;
    SPW_TRY(images(in, 64, side, 11, &it->train));
    return images(in, 23, side, 12, &it->valid);
}

static enum spw_status make_mlp(const struct making *in, struct bits_case *it)
{
    const struct spw_mlp_config mlp = {
        .hidden = {48, 40, 40, 24}, .hidden_count = 4, .activation = SPW_ACT_GELU, .dropout = 0.2};
    SPW_TRY(open_images(in, it, 9));
    return spw_arch_mlp(in->world, it->name, &mlp, shape_of(it->train), 10, 5, in->error,
                        &it->graph);
}

static enum spw_status make_cnn(const struct making *in, struct bits_case *it)
{
    const struct spw_cnn_config cnn = {.channels = {6, 9},
                                       .channels_count = 2,
                                       .hidden = {31},
                                       .hidden_count = 1,
                                       .activation = SPW_ACT_RELU,
                                       .dropout = 0.1};
    SPW_TRY(open_images(in, it, 12));
    it->config.optimizer = SGD_MOMENTUM;
    it->config.lr = 0.05;
    return spw_arch_cnn(in->world, it->name, &cnn, shape_of(it->train), 10, 5, in->error,
                        &it->graph);
}

static enum spw_status make_resnet(const struct making *in, struct bits_case *it)
{
    const struct spw_resnet_config resnet = {.blocks = {1, 2}, .stages = 2, .width = 6};
    SPW_TRY(open_images(in, it, 8));
    return spw_arch_resnet(in->world, it->name, &resnet, shape_of(it->train), 10, 5, in->error,
                           &it->graph);
}

static enum spw_status make_gpt(const struct making *in, struct bits_case *it, int64_t vocabulary,
                                int64_t width, int64_t layers)
{
    const struct spw_gpt2_config gpt = {
        .vocab_size = vocabulary,
        .n_positions = 16,
        .n_embd = width,
        .n_layer = layers,
        .n_head = 2,
        .layer_norm_epsilon = 1e-5,
        .embd_pdrop = 0.1,
        .attn_pdrop = 0.1,
        .resid_pdrop = 0.1,
        .activation = SPW_ACT_GELU_TANH,
    };
    it->config.optimizer = ADAMW_CLIPPED;
    SPW_TRY(tokens(in, 900, (uint32_t)vocabulary, 12, 13, &it->train));
    SPW_TRY(tokens(in, 150, (uint32_t)vocabulary, 12, 14, &it->valid));
    return spw_arch_gpt2(in->world, it->name, &gpt, 12, 5, in->error, &it->graph);
}

enum spw_status bits_case_open(const struct spw_world *world, int index, struct spw_error *error,
                               struct bits_case *it)
{
    const struct making making = {.world = world, .error = error};
    const struct making *in = &making;
    enum spw_status status = SPW_ERR_ARGUMENT;
    *it = (struct bits_case){0};
    it->config = (struct spw_job_config){
        .lr = 3e-3,
        .seed = 5,
        .shuffle = true,
        .batch = 10,
        .micro_batch = 4,
        .grad_groups = 1,
        .max_steps = 3,
        .schedule = {.name = SPW_LR_COSINE, .warmup_steps = 1, .final = 0.1},
    };
    switch (index) {
    case 0: /* more micro-batches than a ring has slots, the last one short */
        it->name = "mlp";
        it->config.batch = 11;
        it->config.micro_batch = 2;
        status = make_mlp(in, it);
        break;
    case 1:
        it->name = "cnn";
        status = make_cnn(in, it);
        break;
    case 2:
        it->name = "resnet";
        status = make_resnet(in, it);
        break;
    case 3:
        it->name = "gpt";
        status = make_gpt(in, it, 64, 24, 2);
        it->config.batch = 9;
        it->config.micro_batch = 2;
        break;
    case 4: /* the fused head, by epochs: the last batch is short */
        it->name = "gpt-large-head";
        status = make_gpt(in, it, 4099, 8, 1);
        it->config.max_steps = 0;
        it->config.epochs = 1;
        it->config.batch = 32;
        it->config.micro_batch = 16;
        break;
    case 5: /* gradient groups over a tied weight */
        it->name = "gpt-groups";
        status = make_gpt(in, it, 64, 24, 1);
        it->config.grad_groups = 3;
        it->config.batch = 14;
        it->config.micro_batch = 3;
        break;
    default:
        abort();
    }
    if (status != SPW_OK) {
        bits_case_deinit(it);
        *it = (struct bits_case){0};
        return status;
    }
    it->config.id = it->name;
    it->config.graph = it->graph;
    it->config.train = it->train;
    it->config.valid = it->valid;
    return SPW_OK;
}

void bits_case_init(struct bits_case *it, int index)
{
    struct spw_error error = {0};
    if (bits_case_open(spw_world_system(), index, &error, it) != SPW_OK) {
        (void)fprintf(stderr, "case %d: %s\n", index, error.what);
        abort();
    }
}

void bits_case_deinit(struct bits_case *it)
{
    spw_graph_destroy(it->graph);
    spw_dataset_close(it->train);
    spw_dataset_close(it->valid);
}
