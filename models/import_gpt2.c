/* import_gpt2.c — `from:` a Hugging Face GPT-2 folder: config.json and its safetensors files.
 *
 * Two sorts of tensors in such folders are no parameters: the causal masks that old versions saved
 * as buffers, and the tied head's copy of wte. Nothing is ever downloaded, and no file outside the
 * folder is opened. Tested by tests/models/test_import_gpt2.c. */
#include "models/arch.h"

#include "base/status.h"
#include "models/gpt2_config.h"
#include "models/json.h"
#include "models/weight_file.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define CONFIG_BYTES_MAX (UINT64_C(1) << 20)
#define INDEX_BYTES_MAX (UINT64_C(1) << 26)
#define FILES_MAX 256
#define FILE_NAME_BYTES_MAX 255

struct import {
    const struct spw_world *world;
    struct spw_error *error;
    const char *folder;
    struct spw_arena arena; /* texts and the list of files */
    struct spw_safetensors *files;
    const char **names; /* of the files, within the folder */
    uint64_t count;
};

static enum spw_status path_in(struct import *import, const char *name, const char **out)
{
    return spw_arena_text(&import->arena, import->error, out, "%s/%s", import->folder, name);
}

static enum spw_status read_config(struct import *import, struct spw_gpt2_config *config)
{
    const char *path;
    SPW_TRY(path_in(import, "config.json", &path));
    char *bytes;
    uint64_t count;
    SPW_TRY(spw_read_file(import->world, path, CONFIG_BYTES_MAX, import->error, &bytes, &count));
    const enum spw_status status = spw_gpt2_config_parse(path, bytes, count, import->error, config);
    spw_release(import->world, bytes);
    return status;
}

/* ---- which files ---- */

static enum spw_status open_file(struct import *import, const char *name)
{
    const char *path;
    SPW_TRY(path_in(import, name, &path));
    SPW_TRY(
        spw_safetensors_open(import->world, path, import->error, &import->files[import->count]));
    import->names[import->count] = name;
    import->count++;
    return SPW_OK;
}

/* A name from the index must stay in the folder. */
static bool is_safe_name(const char *name)
{
    static const char suffix[] = ".safetensors";
    const size_t length = strlen(name);
    const size_t suffix_length = sizeof(suffix) - 1;
    if (length <= suffix_length || length > FILE_NAME_BYTES_MAX || name[0] == '.' ||
        strcmp(name + length - suffix_length, suffix) != 0) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f || name[i] == '/' || name[i] == '\\') {
            return false;
        }
    }
    return strstr(name, "..") == NULL;
}

static bool is_open(const struct import *import, const char *name)
{
    for (uint64_t i = 0; i < import->count; i++) {
        if (strcmp(import->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Opens every file that the map names, in the order of the text. */
static enum spw_status open_mapped(struct import *import, const char *path,
                                   const struct spw_json *map)
{
    struct spw_json_cursor cursor = {0};
    while (spw_json_next(map, &cursor)) {
        if (spw_json_kind(cursor.value) != SPW_JSON_STRING ||
            !is_safe_name(spw_json_string(cursor.value))) {
            char text[SPW_JSON_PRINT_BYTES];
            return SPW_FAIL(import->error, SPW_ERR_USAGE,
                            "%s: tensor \"%s\": its file must be a plain name that ends in "
                            ".safetensors, without / and ..; get the file again from its source",
                            path, spw_json_printable(cursor.key, text));
        }
        const char *name = spw_json_string(cursor.value);
        if (is_open(import, name)) {
            continue;
        }
        if (import->count == FILES_MAX) {
            return SPW_FAIL(import->error, SPW_ERR_USAGE,
                            "%s: it names more than %d files; write the model in fewer", path,
                            FILES_MAX);
        }
        SPW_TRY(open_file(import, name));
    }
    return SPW_OK;
}

/* Each file's tensors are mapped to it, and the map has no others: both directions by counting. */
static enum spw_status check_mapped(const struct import *import, const char *path,
                                    const struct spw_json *map)
{
    uint64_t tensors = 0;
    for (uint64_t i = 0; i < import->count; i++) {
        for (uint64_t k = 0; k < import->files[i].count; k++) {
            const char *name = import->files[i].entries[k].name;
            const struct spw_json *file = spw_json_member(map, name);
            if (file == NULL || strcmp(spw_json_string(file), import->names[i]) != 0) {
                return SPW_FAIL(import->error, SPW_ERR_USAGE,
                                "%s: tensor \"%.200s\" lies in %s, but the index says %s; get the "
                                "folder again from its source",
                                path, name, import->names[i],
                                file == NULL ? "nothing of it" : spw_json_string(file));
            }
        }
        tensors += import->files[i].count;
    }
    if (tensors != spw_json_count(map)) {
        return SPW_FAIL(import->error, SPW_ERR_USAGE,
                        "%s: it lists %" PRIu64 " tensors, but the files hold %" PRIu64
                        "; get the folder again from its source",
                        path, spw_json_count(map), tensors);
    }
    return SPW_OK;
}

static enum spw_status open_by_index(struct import *import, const char *path)
{
    char *bytes;
    uint64_t count;
    SPW_TRY(spw_read_file(import->world, path, INDEX_BYTES_MAX, import->error, &bytes, &count));
    struct spw_json *root = NULL;
    enum spw_status status;
    SPW_TRY_GOTO(spw_json_parse(path, 0, bytes, count, import->error, &root), out);
    const struct spw_json *map = NULL;
    if (spw_json_kind(root) == SPW_JSON_OBJECT) {
        map = spw_json_member(root, "weight_map");
    }
    if (map == NULL || spw_json_kind(map) != SPW_JSON_OBJECT || spw_json_count(map) == 0) {
        status =
            SPW_FAIL(import->error, SPW_ERR_USAGE,
                     "%s: it needs an object \"weight_map\" from tensors to files; get the file "
                     "again from its source",
                     path);
        goto out;
    }
    SPW_TRY_GOTO(open_mapped(import, path, map), out);
    SPW_TRY_GOTO(check_mapped(import, path, map), out);
    /* The names that were kept belong to the document. */
    memset(import->names, 0, FILES_MAX * sizeof(*import->names));

out:
    spw_json_destroy(root);
    spw_release(import->world, bytes);
    return status;
}

static enum spw_status exists(struct import *import, const char *name, bool *out)
{
    const char *path;
    SPW_TRY(path_in(import, name, &path));
    bool is_directory = false;
    const int native = import->world->exists(import->world->self, path, &is_directory);
    if (native != 0 && native != ENOENT) {
        return SPW_FAIL_FILE(import->error, native, "look for", path);
    }
    *out = native == 0;
    return SPW_OK;
}

static enum spw_status open_files(struct import *import)
{
    static const char single[] = "model.safetensors";
    static const char index[] = "model.safetensors.index.json";
    SPW_TRY(spw_arena_take(&import->arena, FILES_MAX, sizeof(*import->files), import->error,
                           &import->files));
    SPW_TRY(spw_arena_take(&import->arena, FILES_MAX, sizeof(*import->names), import->error,
                           &import->names));
    bool found = false;
    SPW_TRY(exists(import, single, &found));
    if (found) {
        return open_file(import, single);
    }
    SPW_TRY(exists(import, index, &found));
    if (found) {
        const char *path;
        SPW_TRY(path_in(import, index, &path));
        return open_by_index(import, path);
    }
    SPW_TRY(exists(import, "pytorch_model.bin", &found));
    return SPW_FAIL(import->error, SPW_ERR_USAGE, "%s: neither %s nor %s is there%s",
                    import->folder, single, index,
                    found ? "; pytorch_model.bin can't be read, save the model again with "
                            "save_pretrained(..., safe_serialization=True)"
                          : "; is this a model's folder, and complete?");
}

/* ---- names ---- */

static bool has_prefix(const struct import *import)
{
    for (uint64_t i = 0; i < import->count; i++) {
        if (spw_safetensors_find(&import->files[i], "transformer.wte.weight") != NULL) {
            return true;
        }
    }
    return false;
}

static bool ends_with(const char *text, const char *suffix)
{
    const size_t text_length = strlen(text);
    const size_t suffix_length = strlen(suffix);
    return text_length >= suffix_length && strcmp(text + text_length - suffix_length, suffix) == 0;
}

/* The causal mask of each block, and the number that masked scores were set to. */
static bool is_mask_buffer(const char *name)
{
    return ends_with(name, ".attn.bias") || ends_with(name, ".attn.masked_bias");
}

static enum spw_status build(struct import *import, const char *name, int64_t seq_len,
                             uint64_t seed, struct spw_graph **out)
{
    struct spw_gpt2_config config;
    SPW_TRY(read_config(import, &config));
    SPW_TRY(open_files(import));
    config.name_prefix = has_prefix(import);
    struct spw_graph *graph;
    SPW_TRY(spw_arch_gpt2(import->world, name, &config, seq_len, seed, import->error, &graph));
    const struct spw_weight_rules rules = {
        .skip = is_mask_buffer,
        .twin_name = "lm_head.weight",
        .twin = 0, /* wte is the first parameter that the graph uses */
    };
    const enum spw_status status =
        spw_weight_file_attach(graph, import->files, import->count, &rules, import->error);
    if (status != SPW_OK) {
        spw_graph_destroy(graph);
        return status;
    }
    *out = graph;
    return SPW_OK;
}

enum spw_status spw_import_gpt2(const struct spw_world *world, const char *name, const char *folder,
                                int64_t seq_len, uint64_t seed, struct spw_error *error,
                                struct spw_graph **out)
{
    struct import import = {.world = world, .error = error, .folder = folder};
    spw_arena_init(&import.arena, world);
    const enum spw_status status = build(&import, name, seq_len, seed, out);
    for (uint64_t i = 0; i < import.count; i++) {
        spw_safetensors_close(&import.files[i]);
    }
    spw_arena_deinit(&import.arena);
    return status;
}
