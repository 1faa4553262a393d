/* test_spec.c — whole specs: layers, models, overrides, the resolved file. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Everything that a spec can have. */
static const char full_text[] =
    "version: 1\nname: fashion\nseed: 42\nmachine: \"host*2 mem=8MiB\"\n"
    "models:\n"
    "  - id: small\n"
    "    layers:\n"
    "      - conv2d: {out: 16, kernel: 3, stride: 1, padding: 1, bias: true}\n"
    "      - relu\n"
    "      - maxpool2d: {kernel: 2}\n"
    "      - flatten\n"
    "      - linear: {out: 128, bias: false}\n"
    "      - gelu\n"
    "      - gelu: {approximate: tanh}\n"
    "      - dropout: {p: 0.1}\n"
    "      - layernorm:\n"
    "      - linear: {out: 10}\n"
    "    init: weights.safetensors\n"
    "  - {id: deep, arch: mlp, hidden: [512, 512], activation: gelu,\n"
    "     train: {optimizer: sgd, lr: 1e-2, schedule: {name: cosine}, epochs: 3},\n"
    "     search: {parameters: {hidden: [[64], [64, 64]]}}}\n"
    "  - {id: net, arch: resnet, blocks: [2, 2, 2], width: 32}\n"
    "  - {id: gpt, arch: gpt2, config: {vocab_size: 320, n_embd: 64, n_layer: 4, n_head: 4}}\n"
    "  - {id: hf, from: \"path to/folder\"}\n"
    "data:\n"
    "  train: {path: train.idx.gz, labels: labels.idx.gz, format: idx}\n"
    "  valid: {path: test.idx.gz, labels: test-labels.idx.gz, format: idx}\n"
    "  shuffle: false\n"
    "train:\n"
    "  batch: 128\n  micro_batch: 32\n  grad_groups: 2\n  max_steps: 500\n  precision: fp32\n"
    "  lr: 1e-3\n"
    "  optimizer: {name: adamw, betas: [0.9, 0.95], eps: 1e-7, weight_decay: 0.1, decay: "
    "matrices,\n"
    "              grad_clip: none}\n"
    "  schedule: {name: wsd, warmup_steps: 7, decay_steps: 9, final: 0.125}\n"
    "eval: {every: 100, batches: 3}\n"
    "search: {method: grid, parameters: {train.lr: [1e-3, 3e-4], seed: [1, 2]}}\n"
    "policy: {name: random, seed: 3}\n"
    "resources: {host_memory: 4GiB, update: cores}\n"
    "run: {trace: true}\n";

Test(spec, reads_every_key)
{
    struct spw_spec *spec = spec_of(full_text);
    cr_assert(spec->model_count == 5, "%u models", spec->model_count);
    const struct spw_model_spec *small = &spec->models[0];
    cr_assert(small->source == SPW_MODEL_LAYERS && small->layer_count == 10, "ten layers");
    const struct spw_op_desc *conv = &small->layers[0].desc;
    cr_assert(conv->op == SPW_OP_CONV2D && conv->attr.conv2d.out == 16 &&
                  conv->attr.conv2d.kernel == 3 && conv->attr.conv2d.stride == 1 &&
                  conv->attr.conv2d.padding == 1 && conv->attr.conv2d.bias,
              "conv2d");
    cr_assert(small->layers[2].desc.attr.pool.stride == 2, "stride is the kernel");
    cr_assert(!small->layers[4].desc.attr.linear.bias, "no bias");
    cr_assert(small->layers[5].desc.op == SPW_OP_GELU, "erf form");
    cr_assert(small->layers[6].desc.op == SPW_OP_GELU_TANH, "tanh form");
    cr_assert(small->layers[7].desc.attr.dropout.p == 0.1, "dropout");
    cr_assert(small->layers[8].desc.attr.layernorm.eps == 1e-5, "layernorm");
    cr_assert(strcmp(small->init, "dir/weights.safetensors") == 0, "%s", small->init);
    cr_assert(spec->models[1].override_count == 4, "%u", spec->models[1].override_count);
    cr_assert(spec->models[1].search.count == 1, "own search");
    cr_assert(spec->models[3].config.n_positions == 1024, "GPT2Config's default");
    cr_assert(strcmp(spec->models[4].from, "dir/path to/folder") == 0, "%s", spec->models[4].from);
    cr_assert(spec->train.optimizer.decay == 1 && spec->train.optimizer.grad_clip == 0, "adamw");
    cr_assert(spec->train.schedule.decay_steps == 9 && spec->train.schedule.final == 0.125, "wsd");
    cr_assert(!spec->data.shuffle && spec->run.trace, "truth values");
    cr_assert(spec->resources.update == SPW_CHOICE_UPDATE_CORES, "update");
    spw_spec_destroy(spec);
}

Test(spec, the_resolved_file_reads_back_as_itself)
{
    struct spw_spec *spec = spec_of(full_text);
    char *first = printed(spec, "/home/me");
    struct spw_spec *again = spec_of(first);
    char *second = printed(again, "/elsewhere");
    cr_assert(strcmp(first, second) == 0, "%s\n---\n%s", first, second);
    cr_assert(strstr(first, "/home/me/dir/train.idx.gz") != NULL, "absolute paths");
    spw_release(spw_world_system(), first);
    spw_release(spw_world_system(), second);
    spw_spec_destroy(again);
    spw_spec_destroy(spec);
}

Test(spec, the_resolved_file_has_the_overrides)
{
    static const char *const words[] = {
        "train.lr=5e-4",
        "models.small.init=/w.safetensors",
        "models.1.hidden=[7]",
        "search.parameters.train.lr=[1]",
        "policy=fifo",
        "train.optimizer.betas=[0.5, 0.6]",
        "models.net.train.batch=64",
    };
    struct spw_spec *spec = spec_with(full_text, words, 7);
    cr_assert(spec->train.lr == 5e-4, "lr");
    cr_assert(strcmp(spec->models[0].init, "/w.safetensors") == 0, "init");
    cr_assert(spec->models[1].hidden.count == 1 && spec->models[1].hidden.values[0] == 7, "hidden");
    cr_assert(spec->search.parameters[0].values->count == 1, "one value");
    cr_assert(spec->policy.name == SPW_POLICY_FIFO && spec->policy.seed == 0, "policy");
    cr_assert(spec->train.optimizer.betas[1] == 0.6, "betas");
    cr_assert(spec->models[2].override_count == 1, "own batch");
    char *first = printed(spec, NULL);
    struct spw_spec *again = spec_of(first);
    cr_assert(again->train.lr == 5e-4 && again->models[1].hidden.values[0] == 7, "kept");
    spw_release(spw_world_system(), first);
    spw_spec_destroy(again);
    spw_spec_destroy(spec);
}

Test(spec, short_forms_open_when_a_key_is_set)
{
    static const char *const words[] = {"policy.seed=4", "train.optimizer.momentum=0.9"};
    struct spw_spec *spec = spec_with(SPEC_TEXT "  optimizer: sgd\npolicy: random\n", words, 2);
    cr_assert(spec->policy.name == SPW_POLICY_RANDOM && spec->policy.seed == 4, "policy");
    cr_assert(spec->train.optimizer.name == SPW_CHOICE_SGD, "sgd");
    cr_assert(spec->train.optimizer.momentum == 0.9, "momentum");
    spw_spec_destroy(spec);
}

Test(spec, overrides_spare_other_users_of_an_alias)
{
    static const char text[] = HEAD_TEXT
        "models:\n"
        "  - {id: a, arch: mlp, hidden: [8], train: &t {lr: 1e-2}}\n"
        "  - {id: b, arch: mlp, hidden: [8], train: *t}\n" DATA_TEXT TRAIN_TEXT;
    const char *word = "models.a.train.lr=1e-5";
    struct spw_spec *spec = spec_with(text, &word, 1);
    cr_assert(strcmp(spec->models[0].overrides[0].value->text, "1e-5") == 0, "changed");
    cr_assert(strcmp(spec->models[1].overrides[0].value->text, "1e-2") == 0, "spared");
    spw_spec_destroy(spec);
}

Test(spec, bad_overrides_are_named_as_typed)
{
    static const struct {
        const char *word;
        const char *message;
    } cases[] = {
        {"train.lr=abc", "override 1: train.lr=abc: train.lr: \"abc\" is not"},
        {"train.lr", "override 1: train.lr: override: write key=value"},
        {"=3", "override 1: =3: override: write key=value"},
        {"train.lr=", "override 1: train.lr=: override: nothing stands after ="},
        {"train..lr=1", "an empty step in its path"},
        {"trian.lr=1", "did you mean train?"},
        {"train.batch.x=1", "batch: is a value and has no keys"},
        {"models.nobody.init=x", "nobody: no entry has this id"},
        {"models.7.init=x", "7: no entry has this id"},
        {"train.batch=[", "override 1: train.batch=[: not valid YAML"},
        {"data.format=idx", "data has no key \"format\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *message = refusal_with(SPEC_TEXT, cases[i].word);
        cr_assert(strstr(message, cases[i].message) != NULL, "%s gave: %s", cases[i].word, message);
    }
}

Test(spec, flags_are_overrides_with_their_own_name)
{
    struct spw_error error = {0};
    struct spw_spec *spec = NULL;
    const struct spw_spec_changes good = {.machine = "host*3 mem=2MiB", .policy = "serial"};
    cr_assert(spw_spec_parse(spw_world_system(), "s.yaml", SPEC_TEXT, strlen(SPEC_TEXT), &good,
                             &error, &spec) == SPW_OK,
              "%s", error.what);
    cr_assert(strcmp(spec->machine, "host*3 mem=2MiB") == 0, "%s", spec->machine);
    cr_assert(spec->policy.name == SPW_POLICY_SERIAL, "policy");
    spw_spec_destroy(spec);
    const struct spw_spec_changes bad = {.policy = "lrft"};
    cr_assert(spw_spec_parse(spw_world_system(), "s.yaml", SPEC_TEXT, strlen(SPEC_TEXT), &bad,
                             &error, &spec) == SPW_ERR_USAGE,
              "refused");
    cr_assert(
        strstr(error.what, "--policy lrft: policy: \"lrft\" is not known; did you mean lrtf") ==
            error.what,
        "%s", error.what);
}

Test(spec, a_missing_file_is_not_found)
{
    struct spw_error error = {0};
    struct spw_spec *spec = NULL;
    cr_assert(spw_spec_load(spw_world_system(), "/nowhere/x.yaml", NULL, &error, &spec) ==
                  SPW_ERR_NOT_FOUND,
              "%s", error.what);
    cr_assert(strstr(error.what, "/nowhere/x.yaml") != NULL, "%s", error.what);
}
