/* test_build.c — graphs and jobs of trials. */
#include "fixture.h"

#include "selection/build.h"

#include <criterion/criterion.h>
#include <string.h>

static const char layers_text[] = HEAD_TEXT "models:\n"
                                            "  - id: net\n"
                                            "    layers:\n"
                                            "      - conv2d: {out: 4, kernel: 1}\n"
                                            "      - relu\n"
                                            "      - dropout: {p: 0}\n"
                                            "      - flatten\n"
                                            "      - linear: {out: 10}\n" DATA_TEXT TRAIN_TEXT;

Test(build, layers_are_named_by_position_as_in_sequential)
{
    struct spw_spec *spec = spec_of(layers_text);
    struct spw_sweep *sweep = sweep_of(spec);
    const struct spw_graph *graph = sweep->graphs[0];
    static const char *const names[] = {"0.weight", "0.bias", "4.weight", "4.bias"};
    cr_assert(graph->param_count == 4, "%d parameters", graph->param_count);
    for (int32_t i = 0; i < 4; i++) {
        cr_assert(strcmp(graph->params[i].name, names[i]) == 0, "%s", graph->params[i].name);
    }
    cr_assert(graph->classes == 10, "%lld classes", (long long)graph->classes);
    spw_sweep_close(sweep);
    spw_spec_destroy(spec);
}

Test(build, every_architecture_is_built)
{
    static const char text[] = HEAD_TEXT
        "models:\n"
        "  - {id: a, arch: mlp, hidden: [8], dropout: 0.5}\n"
        "  - {id: b, arch: cnn, channels: [2], hidden: [4]}\n"
        "  - {id: c, arch: resnet, blocks: [1, 1], width: 2}\n" DATA_TEXT TRAIN_TEXT;
    struct spw_spec *spec = spec_of(text);
    struct spw_sweep *sweep = sweep_of(spec);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert(sweep->graphs[i]->classes == 10, "%u", i);
        cr_assert(sweep->graphs[i]->parameter_count > 0, "%u", i);
    }
    spw_sweep_close(sweep);
    spw_spec_destroy(spec);
}

Test(build, token_models_take_tokens)
{
    static const char text[] = HEAD_TEXT
        "models:\n"
        "  - {id: gpt, arch: gpt2, config: {n_positions: 4, n_embd: 8, n_layer: 1, n_head: 2}}\n"
        "  - id: chain\n"
        "    layers: [embedding: {vocabulary: 50257, width: 4}, gelu, linear: {out: 50257}]\n"
        "data:\n  train: {path: " BAD_DATA
        "ok_tokens.bin, format: tokens}\n  seq_len: 4\n" TRAIN_TEXT;
    struct spw_spec *spec = spec_of(text);
    struct spw_sweep *sweep = sweep_of(spec);
    cr_assert(sweep->graphs[0]->input_dtype == SPW_I32, "tokens");
    cr_assert(sweep->graphs[0]->targets_per_item == 4, "a target per token");
    cr_assert(sweep->graphs[1]->classes == 50257, "the last layer's");
    spw_sweep_close(sweep);
    spw_spec_destroy(spec);
}

Test(build, jobs_have_the_trials_settings)
{
    static const char text[] = SPEC_TEXT
        "  micro_batch: 1\n  lr: 0.5\n  optimizer: {name: sgd, momentum: 0.25}\n"
        "  schedule: {name: wsd, warmup_steps: 1, decay_steps: 2, final: 0.5}\n"
        "eval: {every: 2, batches: 5}\nseed: 9\n";
    struct spw_spec *spec = spec_of(text);
    struct spw_sweep *sweep = sweep_of(spec);
    const struct spw_job_config *job = &sweep->jobs[0];
    cr_assert(strcmp(job->id, "small") == 0 && job->seed == 9 && job->lr == 0.5, "job");
    cr_assert(job->batch == 2 && job->micro_batch == 1 && job->max_steps == 3, "batches");
    cr_assert(job->optimizer.name == SPW_SGD && job->optimizer.momentum == 0.25, "sgd");
    cr_assert(job->optimizer.weight_decay == 0, "sgd's default");
    cr_assert(job->optimizer.grad_clip == 1.0, "clipping");
    cr_assert(job->schedule.name == SPW_LR_WSD && job->schedule.decay_steps == 2, "schedule");
    cr_assert(job->eval_every == 2 && job->eval_batches == 5 && job->shuffle, "eval");
    cr_assert(spw_build_steps(job) == 3, "steps");
    spw_sweep_close(sweep);
    spw_spec_destroy(spec);
}

Test(build, adamw_decays_by_default_as_torch_does)
{
    struct spw_spec *spec = spec_of(SPEC_TEXT);
    struct spw_sweep *sweep = sweep_of(spec);
    cr_assert(sweep->jobs[0].optimizer.weight_decay == 0.01, "%g",
              sweep->jobs[0].optimizer.weight_decay);
    spw_sweep_close(sweep);
    spw_spec_destroy(spec);
}

Test(build, epochs_count_short_batches)
{
    struct spw_spec *spec =
        spec_of(HEAD_TEXT MODELS_TEXT DATA_TEXT "train: {batch: 2, epochs: 5}\n");
    struct spw_sweep *sweep = sweep_of(spec);
    cr_assert(spw_build_steps(&sweep->jobs[0]) == 10, "three items in batches of two");
    spw_sweep_close(sweep);
    spw_spec_destroy(spec);
}
