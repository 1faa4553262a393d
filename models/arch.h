/* arch.h — the built-in architectures and the import of foreign models, on top of the builder. */
#ifndef SPW_MODELS_ARCH_H
#define SPW_MODELS_ARCH_H

#include "models/graph.h"

enum spw_activation { SPW_ACT_RELU, SPW_ACT_GELU, SPW_ACT_GELU_TANH, SPW_ACT_SILU };

#define SPW_ARCH_LIST_MAX 256

/* flatten, (linear, activation [, dropout])*, linear. Parameters are named by position, as in
 * torch.nn.Sequential. */
struct spw_mlp_config {
    int64_t hidden[SPW_ARCH_LIST_MAX];
    int64_t hidden_count;
    enum spw_activation activation;
    double dropout;
};

/* (conv 3x3 pad 1, activation, maxpool 2)*, then as mlp. */
struct spw_cnn_config {
    int64_t channels[SPW_ARCH_LIST_MAX];
    int64_t channels_count;
    int64_t hidden[SPW_ARCH_LIST_MAX];
    int64_t hidden_count;
    enum spw_activation activation;
    double dropout;
};

/* Norm-free residual net of basic blocks for square images; arch_resnet.c says what it computes.
 * Stage i has blocks[i] blocks of width * 2^i channels, the first block of every stage but the
 * first strides by 2. */
struct spw_resnet_config {
    int64_t blocks[SPW_ARCH_LIST_MAX];
    int64_t stages;
    int64_t width;
};

struct spw_gpt2_config {
    int64_t vocab_size, n_positions, n_embd, n_layer, n_head;
    int64_t n_inner; /* 0: 4 * n_embd */
    double layer_norm_epsilon;
    double embd_pdrop, attn_pdrop, resid_pdrop;
    enum spw_activation activation; /* gelu_new is SPW_ACT_GELU_TANH */
    bool name_prefix;               /* parameters are called transformer.wte.weight, ... */
};

/* All of them: `input` is one item of the data, `seed` that of the dropout streams, the caller
 * destroys *out. SPW_ERR_USAGE names the layer or the setting that is wrong. */
enum spw_status spw_arch_mlp(const struct spw_world *world, const char *name,
                             const struct spw_mlp_config *config, struct spw_shape input,
                             int64_t classes, uint64_t seed, struct spw_error *error,
                             struct spw_graph **out);
enum spw_status spw_arch_cnn(const struct spw_world *world, const char *name,
                             const struct spw_cnn_config *config, struct spw_shape input,
                             int64_t classes, uint64_t seed, struct spw_error *error,
                             struct spw_graph **out);
enum spw_status spw_arch_resnet(const struct spw_world *world, const char *name,
                                const struct spw_resnet_config *config, struct spw_shape input,
                                int64_t classes, uint64_t seed, struct spw_error *error,
                                struct spw_graph **out);
/* `seq_len` <= n_positions. The head is tied to wte. */
enum spw_status spw_arch_gpt2(const struct spw_world *world, const char *name,
                              const struct spw_gpt2_config *config, int64_t seq_len, uint64_t seed,
                              struct spw_error *error, struct spw_graph **out);
/* A Hugging Face GPT-2 folder: config.json + model.safetensors (or the sharded index). Parameters
 * keep the names they have in the folder. */
enum spw_status spw_import_gpt2(const struct spw_world *world, const char *name, const char *folder,
                                int64_t seq_len, uint64_t seed, struct spw_error *error,
                                struct spw_graph **out);
/* Uses the tensors of a safetensors file as initial weights; missing or left-over names, other
 * shapes or types, and numbers that are not finite are errors that name the tensor. The file is
 * read again by spw_graph_initial() and must stay as it is until then. */
enum spw_status spw_graph_init_from(struct spw_graph *graph, const char *path,
                                    struct spw_error *error);

#endif
