/* test_schema.c — typing of single values, and what is said of keys that are none. */
#include "fixture.h"

#include "models/json.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A good spec with one more line in `train`. */
static const char *train_line(const char *line)
{
    static char text[2000];
    (void)snprintf(text, sizeof(text), "%s  %s\n", SPEC_TEXT, line);
    return text;
}

static bool has(const char *message, const char *words)
{
    return strstr(message, words) != NULL;
}

Test(schema, numbers_are_typed_by_their_key)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"lr: 1e-4", 1e-4}, {"lr: 3E-4", 3e-4}, {"lr: 1", 1},
                 {"lr: .5", 0.5},    {"lr: 0", 0},       {"lr: 2.50", 2.5}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct spw_spec *spec = spec_of(train_line(cases[i].text));
        cr_assert(spec->train.lr == cases[i].value, "%s gave %g", cases[i].text, spec->train.lr);
        spw_spec_destroy(spec);
    }
}

Test(schema, what_is_no_number_is_refused_with_its_place)
{
    static const char *const bad[] = {"lr: abc",   "lr: 1e-4x", "lr: 1_000", "lr: 0x10", "lr: nan",
                                      "lr: .inf",  "lr: [1]",   "lr: {}",    "lr:",      "lr: ~",
                                      "lr: \"1\"", "lr: -1",    "lr: 1e999", "lr: 1,5"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *message = refusal_of(train_line(bad[i]));
        cr_assert(has(message, "dir/spec.yaml:10:"), "%s: %s", bad[i], message);
        cr_assert(has(message, "train.lr"), "%s: %s", bad[i], message);
    }
}

Test(schema, whole_numbers_may_have_an_exponent)
{
    struct spw_spec *spec = spec_of(train_line("micro_batch: 1e0"));
    cr_assert(spec->train.micro_batch == 1, "%llu", (unsigned long long)spec->train.micro_batch);
    spw_spec_destroy(spec);
    cr_assert(has(refusal_of(train_line("micro_batch: 1.5")), "whole number"), "no fractions");
    cr_assert(has(refusal_of(train_line("micro_batch: 0")), "out of range"), "from 1");
    cr_assert(has(refusal_of(train_line("micro_batch: 2147483648")), "out of range"), "to 2^31-1");
}

Test(schema, only_true_and_false_are_truth_values)
{
    static const char *const words[] = {"yes", "no", "on", "off", "True", "FALSE", "1", "0", "y"};
    char text[2000];
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        (void)snprintf(text, sizeof(text), "%srun: {trace: %s}\n", SPEC_TEXT, words[i]);
        const char *message = refusal_of(text);
        cr_assert(has(message, "write true or false"), "%s", message);
    }
    (void)snprintf(text, sizeof(text), "%srun: {trace: true}\n", SPEC_TEXT);
    struct spw_spec *spec = spec_of(text);
    cr_assert(spec->run.trace, "true");
    spw_spec_destroy(spec);
}

Test(schema, words_stand_for_zero_where_that_means_something)
{
    char text[2000];
    (void)snprintf(text, sizeof(text), "%s  optimizer: {grad_clip: none}\neval: {batches: all}\n",
                   SPEC_TEXT);
    struct spw_spec *spec = spec_of(text);
    cr_assert(spec->train.optimizer.grad_clip == 0, "off");
    cr_assert(spec->eval.batches == 0, "all");
    spw_spec_destroy(spec);
}

Test(schema, sizes_have_units)
{
    char text[2000];
    (void)snprintf(text, sizeof(text), "%sresources: {host_memory: 4GiB}\n", SPEC_TEXT);
    struct spw_spec *spec = spec_of(text);
    cr_assert(spec->resources.host_memory == UINT64_C(4) << 30, "4 GiB");
    spw_spec_destroy(spec);
}

Test(schema, defaults_are_those_of_the_table)
{
    struct spw_spec *spec = spec_of(SPEC_TEXT);
    cr_assert(spec->train.lr == 1e-3, "lr");
    cr_assert(spec->train.optimizer.betas[0] == 0.9 && spec->train.optimizer.betas[1] == 0.999,
              "betas");
    cr_assert(isnan(spec->train.optimizer.weight_decay), "the optimizer's own");
    cr_assert(spec->train.optimizer.grad_clip == 1.0, "clipping is on");
    cr_assert(spec->train.grad_groups == 1 && spec->train.micro_batch == 0, "groups");
    cr_assert(spec->data.shuffle && spec->seed == 0, "order");
    cr_assert(spec->policy.name == SPW_POLICY_WEAVE, "policy");
    cr_assert(strcmp(spec->name, "spec") == 0, "named after the file: %s", spec->name);
    spw_spec_destroy(spec);
}

Test(schema, names_of_other_tools_lead_to_ours)
{
    static const struct {
        const char *line;
        const char *words;
    } cases[] = {
        {"learning_rate: 1e-3", "learning_rate: here it is train.lr"},
        {"max_grad_norm: 1", "here it is train.optimizer.grad_clip"},
        {"warmup_iters: 10", "here it is train.schedule.warmup_steps"},
        {"gradient_accumulation_steps: 2", "accumulation follows"},
        {"num_train_epochs: 2", "here it is train.epochs"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *message = refusal_of(train_line(cases[i].line));
        cr_assert(has(message, cases[i].words), "%s", message);
    }
}

Test(schema, near_misses_and_what_is_not_served_are_told)
{
    cr_assert(has(refusal_of(train_line("micro_bach: 2")), "did you mean micro_batch?"), "near");
    cr_assert(has(refusal_of(train_line("precision: bf16")), "not served yet"), "bf16");
    cr_assert(
        has(refusal_of(SPEC_TEXT "resources: {gpus: all}\n"), "resources.gpus is not served yet"),
        "gpus");
    cr_assert(has(refusal_of(SPEC_TEXT "run: {checkpoint: {every: 3}}\n"),
                  "run.checkpoint is not served yet"),
              "checkpoint");
    cr_assert(has(refusal_of(SPEC_TEXT "search: {method: asha}\n"), "asha is not served yet"),
              "asha");
}

Test(schema, paths_of_the_file_are_joined_with_its_folder)
{
    static const char text[] = HEAD_TEXT MODELS_TEXT
        "data: {train: {path: a/x.idx, labels: /l.idx, format: idx}}\n" TRAIN_TEXT;
    struct spw_spec *spec = spec_of(text);
    cr_assert(strcmp(spec->data.train.path, "dir/a/x.idx") == 0, "%s", spec->data.train.path);
    cr_assert(strcmp(spec->data.train.labels, "/l.idx") == 0, "%s", spec->data.train.labels);
    spw_spec_destroy(spec);
    const char *word = "data.train.path=a/y.idx";
    spec = spec_with(text, &word, 1);
    cr_assert(strcmp(spec->data.train.path, "a/y.idx") == 0,
              "the command line's are relative to where it was typed: %s", spec->data.train.path);
    spw_spec_destroy(spec);
}

Test(schema, the_json_schema_is_json)
{
    struct spw_text text;
    struct spw_json *document = NULL;
    struct spw_error error = {0};
    spw_text_init(&text, spw_world_system());
    spw_schema_print(&text);
    cr_assert(!text.failed, "no memory");
    cr_assert(spw_json_parse("schema", 0, text.data, text.bytes, &error, &document) == SPW_OK, "%s",
              error.what);
    const struct spw_json *properties = spw_json_member(document, "properties");
    for (const struct spw_key *key = spw_spec_keys; key->name != NULL; key++) {
        cr_assert(spw_json_member(properties, key->name) != NULL, "%s is missing", key->name);
    }
    spw_json_destroy(document);
    spw_text_deinit(&text);
}

Test(schema, keys_are_found_by_their_paths)
{
    size_t offset = 0;
    const struct spw_key *key = spw_key_walk(spw_train_keys, "optimizer.weight_decay", &offset);
    cr_assert(key != NULL && offset == offsetof(struct spw_train_spec, optimizer.weight_decay),
              "%zu", offset);
    cr_assert(spw_key_walk(spw_train_keys, "optimizer", &offset) == NULL, "a map is no value");
    cr_assert(spw_key_walk(spw_train_keys, "optimizer.", &offset) == NULL, "an empty step");
    cr_assert(spw_key_walk(spw_train_keys, "lr.x", &offset) == NULL, "a value has no keys");
    cr_assert(spw_key_walk(spw_model_keys, "layers", &offset) == NULL, "read by hand");
    key = spw_key_walk(spw_model_keys, "config.n_layer", &offset);
    cr_assert(key != NULL && offset == offsetof(struct spw_model_spec, config.n_layer), "%zu",
              offset);
}

static void count_rows(const struct spw_key *table, uint32_t *rows, uint32_t *without_doc)
{
    for (const struct spw_key *key = table; key->name != NULL; key++) {
        *rows += 1;
        *without_doc += key->doc == NULL || key->doc[0] == '\0';
        if (key->type == SPW_KEY_MAP) {
            count_rows(key->children, rows, without_doc);
        }
        cr_assert(key->type != SPW_KEY_CHOICE || key->choices != NULL, "%s", key->name);
    }
}

Test(schema, every_key_is_described)
{
    uint32_t rows = 0, without_doc = 0;
    count_rows(spw_spec_keys, &rows, &without_doc);
    count_rows(spw_model_keys, &rows, &without_doc);
    count_rows(spw_search_keys, &rows, &without_doc);
    cr_assert(rows > 50, "%u rows", rows);
    cr_assert(without_doc == 0, "%u keys without a sentence", without_doc);
}
