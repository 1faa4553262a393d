/* spec.c — reads a spec file, applies the command line, types everything and checks what single
 * keys can't know. Tested by tests/selection/test_spec.c, the files in tests/bad/spec/ and a fuzz
 * target. */
#include "selection/spec.h"

#include "base/assert.h"
#include "base/status.h"
#include "data/data.h"
#include "runtime/run.h"
#include "selection/spec_read.h"

#include <stdio.h>
#include <string.h>

/* ---- checks between keys ---- */

/* As far down as the file goes; *whole says whether that was all the way. */
static const struct spw_yaml_node *walk_down(const struct spw_yaml_node *node, const char *path,
                                             bool *whole)
{
    while (*path != '\0' && node->kind == SPW_YAML_MAP) {
        char name[64];
        const size_t length = strcspn(path, ".");
        (void)snprintf(name, sizeof(name), "%.*s", (int)length, path);
        const struct spw_yaml_node *next = spw_yaml_member(node, name);
        if (next == NULL) {
            break;
        }
        node = next;
        path += length + (path[length] == '.' ? 1 : 0);
    }
    *whole = *path == '\0';
    return node;
}

const struct spw_yaml_node *spw_spec_find(const struct spw_spec *spec, const char *path)
{
    bool whole = false;
    return walk_down(spec->root, path, &whole);
}

const struct spw_yaml_node *spw_spec_find_for(const struct spw_spec *spec,
                                              const struct spw_model_spec *model, const char *path)
{
    bool whole = false;
    const struct spw_yaml_node *own = walk_down(model->node, path, &whole);
    return whole ? own : spw_spec_find(spec, path);
}

static enum spw_status check_set(const struct spw_key_context *context, const struct spw_spec *spec,
                                 const char *path, const struct spw_set_spec *set)
{
    const struct spw_yaml_node *node = spw_spec_find(spec, path);
    const bool is_text = set->format == SPW_DATA_TOKENS || set->format == SPW_DATA_TEXT;
    if (!is_text && set->labels == NULL) {
        return SPW_KEY_REFUSE(context, node, path,
                              "labels is missing; idx and npy need a labels file");
    }
    if (is_text && set->labels != NULL) {
        return SPW_KEY_REFUSE(context, node, path,
                              "tokens and text have no labels; a token's target is the next one");
    }
    return SPW_OK;
}

static enum spw_status check_data(const struct spw_key_context *context,
                                  const struct spw_spec *spec)
{
    const struct spw_data_spec *data = &spec->data;
    SPW_TRY(check_set(context, spec, "data.train", &data->train));
    const bool is_text = data->train.format == SPW_DATA_TOKENS ||
                         data->train.format == SPW_DATA_TEXT;
    if (data->valid.path != NULL) {
        SPW_TRY(check_set(context, spec, "data.valid", &data->valid));
        const bool valid_is_text = data->valid.format == SPW_DATA_TOKENS ||
                                   data->valid.format == SPW_DATA_TEXT;
        if (valid_is_text != is_text) {
            return SPW_KEY_REFUSE(context, spw_spec_find(spec, "data.valid.format"),
                                  "data.valid.format",
                                  "one set is text and the other is not; both must be of one kind");
        }
    }
    if (is_text && data->seq_len == 0) {
        return SPW_KEY_REFUSE(context, spw_spec_find(spec, "data"), "data",
                              "seq_len is missing; tokens and text need it, such as seq_len: 256");
    }
    if (!is_text && data->seq_len != 0) {
        return SPW_KEY_REFUSE(context, spw_spec_find(spec, "data.seq_len"), "data.seq_len",
                              "only tokens and text have sequences; leave it out");
    }
    return SPW_OK;
}

static enum spw_status check_train(const struct spw_key_context *context, struct spw_spec *spec)
{
    struct spw_train_spec *train = &spec->train;
    if (train->max_steps != 0 && train->epochs != 0) {
        return SPW_KEY_REFUSE(context, spw_spec_find(spec, "train.epochs"), "train",
                              "both max_steps and epochs are given; keep one");
    }
    if (train->max_steps == 0 && train->epochs == 0) {
        train->epochs = 1;
    }
    return SPW_OK;
}

static enum spw_status check_policy(const struct spw_key_context *context,
                                    const struct spw_spec *spec)
{
    const struct spw_policy_spec *policy = &spec->policy;
    if (policy->name == SPW_POLICY_REPLAY && policy->decisions == NULL) {
        return SPW_KEY_REFUSE(
            context, spw_spec_find(spec, "policy"), "policy",
            "replay needs a log: {name: replay, decisions: runs/x/decisions.log}");
    }
    if (policy->name != SPW_POLICY_REPLAY && policy->decisions != NULL) {
        return SPW_KEY_REFUSE(context, spw_spec_find(spec, "policy.decisions"), "policy.decisions",
                              "belongs to name: replay; leave it out");
    }
    if (policy->name != SPW_POLICY_RANDOM && policy->seed != 0) {
        return SPW_KEY_REFUSE(context, spw_spec_find(spec, "policy.seed"), "policy.seed",
                              "belongs to name: random; leave it out");
    }
    return SPW_OK;
}

static enum spw_status check_searches(const struct spw_key_context *context,
                                      const struct spw_spec *spec)
{
    for (uint32_t i = 0; i < spec->model_count; i++) {
        SPW_TRY(spw_search_check(context, &spec->search, spec, &spec->models[i]));
        SPW_TRY(spw_search_check(context, &spec->models[i].search, spec, &spec->models[i]));
    }
    return SPW_OK;
}

/* ---- reading ---- */

/* "runs/a.yaml" -> "runs", "a.yaml" -> "", "/a.yaml" -> "/". */
static enum spw_status folder_of(struct spw_arena *arena, const char *path, struct spw_error *error,
                                 const char **out)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        *out = "";
        return SPW_OK;
    }
    const int length = slash == path ? 1 : (int)(slash - path);
    return spw_arena_text(arena, error, out, "%.*s", length, path);
}

/* The name of a spec that has none: its file's, without the ending. */
static enum spw_status name_from_path(struct spw_spec *spec, struct spw_error *error)
{
    const char *slash = strrchr(spec->path, '/');
    const char *base = slash != NULL ? slash + 1 : spec->path;
    char name[65];
    size_t length = 0;
    for (; base[length] != '\0' && base[length] != '.' && length < 64; length++) {
        const char letter = base[length];
        const bool good = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                          (letter >= '0' && letter <= '9') || letter == '_' ||
                          (letter == '-' && length > 0);
        name[length] = '_';
        if (good) {
            name[length] = letter;
        }
    }
    name[length] = '\0';
    return spw_arena_text(&spec->arena, error, &spec->name, "%s", length > 0 ? name : "run");
}

static enum spw_status apply_word(const struct spw_key_context *context, uint32_t index,
                                  const char *shown, const char *word, struct spw_yaml_node **root)
{
    struct spw_yaml_source *source = NULL;
    SPW_TRY(spw_arena_take(context->arena, 1, sizeof(*source), context->error, &source));
    SPW_TRY(spw_arena_text(context->arena, context->error, &source->override_text, "%s", shown));
    source->override_index = index;
    return spw_override_apply(context, source, word, root);
}

/* --policy and --machine are short for overrides; their messages say what was typed. */
static enum spw_status apply_flag(const struct spw_key_context *context, const char *flag,
                                  const char *key, const char *value, struct spw_yaml_node **root)
{
    char shown[320];
    const char *word = NULL;
    if (value == NULL) {
        return SPW_OK;
    }
    (void)snprintf(shown, sizeof(shown), "%s %.280s", flag, value);
    struct spw_text quoted;
    spw_text_init(&quoted, context->arena->world);
    spw_yaml_add_text(&quoted, value);
    enum spw_status status;
    if (quoted.failed) {
        status = SPW_FAIL(context->error, SPW_ERR_NO_MEMORY, "no memory for %s", flag);
    } else {
        status = spw_arena_text(context->arena, context->error, &word, "%s=%s", key, quoted.data);
    }
    spw_text_deinit(&quoted);
    SPW_TRY(status);
    return apply_word(context, 0, shown, word, root);
}

static enum spw_status apply_changes(const struct spw_key_context *context,
                                     const struct spw_spec_changes *changes,
                                     struct spw_yaml_node **root)
{
    if (changes == NULL) {
        return SPW_OK;
    }
    for (uint32_t i = 0; i < changes->override_count; i++) {
        SPW_TRY(apply_word(context, i + 1, changes->overrides[i], changes->overrides[i], root));
    }
    SPW_TRY(apply_flag(context, "--machine", "machine", changes->machine, root));
    return apply_flag(context, "--policy", "policy", changes->policy, root);
}

static enum spw_status check_version(const struct spw_key_context *context,
                                     const struct spw_yaml_node *root)
{
    const struct spw_yaml_node *version = spw_yaml_member(root, "version");
    if (version != NULL && version->kind == SPW_YAML_SCALAR && strcmp(version->text, "1") != 0) {
        return SPW_KEY_REFUSE(context, version, "version",
                              "this program reads version 1, the file says \"%.40s\"",
                              version->text);
    }
    return SPW_OK;
}

static enum spw_status read_root(const struct spw_key_context *context, struct spw_spec *spec)
{
    const struct spw_yaml_node *root = spec->root;
    SPW_TRY(spw_table_defaults(context, spw_spec_keys, spec));
    SPW_TRY(check_version(context, root));
    SPW_TRY(spw_table_read(context, spw_spec_keys, "", root, 0, spec));
    if (spec->name == NULL) {
        SPW_TRY(name_from_path(spec, context->error));
    }
    const struct spw_yaml_node *search = spw_yaml_member(root, "search");
    if (search != NULL) {
        SPW_TRY(spw_search_read(context, "search", search, &spec->search));
    }
    SPW_TRY(check_data(context, spec));
    SPW_TRY(check_train(context, spec));
    SPW_TRY(check_policy(context, spec));
    SPW_TRY(spw_models_read(context, spec, spw_yaml_member(root, "models")));
    return check_searches(context, spec);
}

static enum spw_status read_spec(struct spw_spec *spec, const char *bytes, uint64_t count,
                                 const struct spw_spec_changes *changes, struct spw_error *error)
{
    struct spw_arena *arena = &spec->arena;
    struct spw_key_context context = {.arena = arena, .error = error};
    struct spw_yaml_source *source = NULL;
    SPW_TRY(folder_of(arena, spec->path, error, &context.folder));
    spec->folder = context.folder;
    SPW_TRY(spw_arena_take(arena, 1, sizeof(*source), error, &source));
    source->path = spec->path;
    SPW_TRY(spw_yaml_parse(arena, source, bytes, count, error, &spec->root));
    if (spec->root->kind != SPW_YAML_MAP) {
        return SPW_KEY_REFUSE(&context, spec->root, "the file",
                              "it must be a map of keys: version, models, data, train, ...");
    }
    SPW_TRY(apply_changes(&context, changes, &spec->root));
    return read_root(&context, spec);
}

enum spw_status spw_spec_parse(const struct spw_world *world, const char *path, const char *bytes,
                               uint64_t count, const struct spw_spec_changes *changes,
                               struct spw_error *error, struct spw_spec **out)
{
    struct spw_spec *spec = NULL;
    SPW_TRY(spw_allocate(world, 1, sizeof(*spec), "the spec", error, &spec));
    spw_arena_init(&spec->arena, world);
    enum spw_status status = spw_arena_text(&spec->arena, error, &spec->path, "%s", path);
    if (status == SPW_OK) {
        status = read_spec(spec, bytes, count, changes, error);
    }
    if (status != SPW_OK) {
        spw_spec_destroy(spec);
        return status;
    }
    *out = spec;
    return SPW_OK;
}

enum spw_status spw_spec_load(const struct spw_world *world, const char *path,
                              const struct spw_spec_changes *changes, struct spw_error *error,
                              struct spw_spec **out)
{
    char *bytes = NULL;
    uint64_t count = 0;
    SPW_TRY(spw_read_file(world, path, SPW_YAML_BYTES_MAX, error, &bytes, &count));
    const enum spw_status status = spw_spec_parse(world, path, bytes, count, changes, error, out);
    spw_release(world, bytes);
    return status;
}

void spw_spec_destroy(struct spw_spec *spec)
{
    if (spec == NULL) {
        return;
    }
    const struct spw_world *world = spec->arena.world;
    spw_arena_deinit(&spec->arena);
    spw_release(world, spec);
}
