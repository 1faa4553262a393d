/* models.h — the models that the benchmarks train, with data made up for them.
 *
 *   mlp   784-12x1024-10, gelu; 512 images of 1 x 28 x 28 per step in micro-batches of 128
 *   cnn   (conv 3x3, relu, maxpool 2) of 32, 64 and 128 channels, 10 x linear 640, relu, linear 10;
 *         512 images of 1 x 28 x 28 per step in micro-batches of 16
 *   gpt   GPT-2: width 384, 8 layers, 6 heads, vocabulary 4096, tied head; 8 sequences of 256
 *         tokens, 2,048 in all, per step in micro-batches of 2 sequences
 *   tiny  GPT-2: width 32, 2 layers, 2 heads, vocabulary 64; 4 sequences of 16 tokens: units so
 *         small that deciding about them shows
 *   pmlp  144-24x160-10, gelu; 128 images of 1 x 12 x 12 per step in micro-batches of 16: for
 *         devices whose time is modelled, as is
 *   pgpt  GPT-2: width 128, 8 layers, 4 heads, vocabulary 256; 4 sequences of 32 tokens per step
 *
 * All: AdamW with weight decay and exact clipping, no dropout. bench/pytorch_train.py has the first
 * three too. */
#ifndef SPW_BENCH_MODELS_H
#define SPW_BENCH_MODELS_H

#include "models/arch.h"
#include "runtime/run.h"

struct bench_model {
    const char *name;
    struct spw_graph *graph;
    struct spw_dataset *data;
    struct spw_job_config job; /* max_steps is the caller's */
    uint64_t state_bytes;      /* weights, gradients, moments */
};

void bench_model_init(struct bench_model *model, const char *name);
void bench_model_deinit(struct bench_model *model);

#endif
