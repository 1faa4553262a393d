/* test_bad_models.c — every malformed file under tests/bad/safetensors and tests/bad/hf is refused
 * as bad input, with its path and the reason. The folders hold exactly what the tables below know.
 */
#include "model_check.h"

#include "models/safetensors.h"
#include "tests/support/fault_world.h"
#include <dirent.h>
#include <stdio.h>

#define BAD SPW_SOURCE_DIR "/tests/bad/"

struct bad {
    const char *name;
    const char *part; /* of the message */
};

static const struct bad files[] = {
    {"empty", "byte 0: a file of 0 bytes"},
    {"short_length", "byte 0: a file of 3 bytes"},
    {"length_only", "byte 8: the header must begin with '{'"},
    {"length_past_end", "byte 0: a header of 4096 bytes"},
    {"length_over_limit", "at most 100000000"},
    {"length_near_2_63", "byte 0: a header of 9223372036854775807 bytes"},
    {"length_near_2_64", "byte 0: a header of 18446744073709551615 bytes"},
    {"other_format", "byte 0: a header of"},
    {"no_object", "byte 8: the header must begin with '{'"},
    {"leading_space", "byte 8: the header must begin with '{'"},
    {"cut_json", "must end with '}'"},
    {"text_after", "must end with '}'"},
    {"nul_padding", "must end with '}'"},
    {"two_objects", "end of file expected"},
    {"bad_utf8", "unable to decode byte"},
    {"depth_33", "nested deeper than 32 levels"},
    {"duplicate_name", "duplicate object key"},
    {"duplicate_key", "duplicate object key"},
    {"empty_name", "empty name"},
    {"long_name", "a tensor name of 5000 bytes"},
    {"nul_in_name", "byte "},
    {"newline_in_name", "a control character after \"a\""},
    {"metadata_number", "__metadata__ holds an integer"},
    {"metadata_list", "__metadata__ is a list"},
    {"entry_is_list", "tensor \"a\": described by a list"},
    {"no_dtype", "tensor \"a\": its dtype"},
    {"no_shape", "tensor \"a\": its shape"},
    {"no_offsets", "tensor \"a\": its data_offsets"},
    {"extra_key", "tensor \"a\": 4 keys"},
    {"unknown_dtype", "is no dtype"},
    {"object_dtype", "is no dtype"},
    {"shape_is_number", "tensor \"a\": its shape must be a list"},
    {"negative_dim", "tensor \"a\": its shape holds -10"},
    {"fraction_dim", "tensor \"a\": its shape holds a fraction"},
    {"text_dim", "tensor \"a\": its shape holds a string"},
    {"leading_zero_dim", "byte "},
    {"huge_exponent_dim", "byte "},
    {"dim_2_64", "byte "},
    {"nine_dims", "tensor \"a\": 9 dimensions"},
    {"overflow_at_last_dim", "more than 64 bits can count"},
    {"overflow_to_right_size", "more than 64 bits can count"},
    {"half_a_byte", "12 bits are not whole bytes"},
    {"one_offset", "must be a list of two numbers"},
    {"three_offsets", "must be a list of two numbers"},
    {"negative_offset", "its data_offsets holds -40"},
    {"offsets_swapped", "[40, 0] don't lie in order"},
    {"offset_past_end", "[0, 44] don't lie in order within the 40 bytes"},
    {"offset_near_2_63", "don't lie in order within the 40 bytes"},
    {"size_too_small", "its shape needs 36 bytes of F32, but data_offsets give 40"},
    {"size_too_large", "its shape needs 40 bytes of F32, but data_offsets give 36"},
    {"hole_at_start", "holes are not allowed"},
    {"hole_between", "tensor \"b\": its data begins"},
    {"overlap", "overlaps are not allowed"},
    {"same_place", "overlaps are not allowed"},
    {"empty_tensor_inside", "overlaps are not allowed"},
    {"data_short_by_one", "within the 39 bytes"},
    {"data_long_by_one", "1 bytes follow the last tensor"},
    {"no_tensor_but_data", "40 bytes follow the last tensor"},
};
#define FILE_COUNT (sizeof(files) / sizeof(files[0]))

static const struct bad folders[] = {
    {"no_model_type", "model_type"},
    {"llama", "\"llama\" is not served; these are: gpt2"},
    {"model_type_number", "model_type"},
    {"no_embd", "key \"n_embd\": missing"},
    {"embd_text", "key \"n_embd\": it is a string"},
    {"embd_zero", "key \"n_embd\": it is 0"},
    {"embd_negative", "key \"n_embd\": it is -2"},
    {"embd_fraction", "key \"n_embd\": it is a fraction"},
    {"layers_2_31", "key \"n_layer\": it is 2147483648"},
    {"heads_do_not_divide", "n_embd = 2 is no multiple of 3"},
    {"inner_text", "key \"n_inner\": it is a string"},
    {"dropout_one", "key \"resid_pdrop\": it is 1"},
    {"dropout_negative", "key \"attn_pdrop\": it is -0.1"},
    {"epsilon_text", "key \"layer_norm_epsilon\": it is a string"},
    {"activation_tanh", "\"tanh\" is not served; gelu_new"},
    {"activation_number", "key \"activation_function\": it is an integer"},
    {"unscaled_attention", "key \"scale_attn_weights\": only true"},
    {"layer_scaled_attention", "key \"scale_attn_by_inverse_layer_idx\": only false"},
    {"untied", "key \"tie_word_embeddings\": only true"},
    {"cross_attention", "key \"add_cross_attention\": only false"},
    {"rope", "key \"rope_theta\""},
    {"quantized", "key \"quantization_config\""},
    {"kv_heads", "key \"num_key_value_heads\""},
    {"config_cut", "config.json: byte 23"},
    {"config_list", "holds a list instead of an object"},
    {"config_deep", "nested deeper than 32 levels"},
    {"config_duplicate", "duplicate object key"},
    {"config_huge_number", "too big integer"},
    {"no_weights", "neither model.safetensors nor"},
    {"pickle_only", "safe_serialization=True"},
    {"missing_tensor", "tensor \"h.0.ln_2.bias\" of model bad is missing (1 of 16 are)"},
    {"left_over_tensor", "the nearest is h.0.attn.c_attn.weight"},
    {"second_block", "tensor \"h.1.ln_1.weight\" is no parameter"},
    {"wrong_shape", "tensor \"wpe.weight\" is [2, 4], but model bad needs [4, 2]"},
    {"not_conv1d", "tensor \"h.0.attn.c_attn.weight\" is [6, 2], but model bad needs [2, 6]"},
    {"double_precision", "tensor \"ln_f.bias\": weights of type F64"},
    {"nan_weight", "tensor \"wte.weight\", element 7: nan"},
    {"infinite_weight", "tensor \"h.0.ln_1.bias\", element 1: inf"},
    {"head_differs", "\"lm_head.weight\" differs from \"wte.weight\""},
    {"head_shape", "tensor \"lm_head.weight\" is [2, 5]"},
    {"index_slash", "tensor \"ln_f.bias\": its file must be a plain name"},
    {"index_dot_dot", "tensor \"ln_f.bias\": its file must be a plain name"},
    {"index_other_suffix", "tensor \"ln_f.bias\": its file must be a plain name"},
    {"index_not_text", "tensor \"ln_f.bias\": its file must be a plain name"},
    {"index_wrong_file", "tensor \"ln_f.bias\" lies in two.safetensors, but the index says one"},
    {"index_extra_tensor", "it lists 17 tensors, but the files hold 16"},
    {"index_unlisted_tensor", "tensor \"ln_f.bias\" lies in two.safetensors, but the index says "
                              "nothing"},
    {"tensor_in_both", "tensor \"wte.weight\" lies in two.safetensors"},
    {"index_empty_map", "weight_map"},
    {"index_no_map", "weight_map"},
    {"index_cut", "model.safetensors.index.json: byte"},
};
#define FOLDER_COUNT (sizeof(folders) / sizeof(folders[0]))

/* A file that is not there at all is reported as missing, not as malformed. */
static const char *const missing_folders[] = {"no_config", "index_missing_file"};

static size_t entries_in(const char *path)
{
    DIR *directory = opendir(path);
    cr_assert(directory != NULL, "%s", path);
    size_t count = 0;
    for (const struct dirent *entry = readdir(directory); entry != NULL;
         entry = readdir(directory)) {
        count += entry->d_name[0] != '.' ? 1 : 0;
    }
    closedir(directory);
    return count;
}

/* A refusal names the file, why and, at its end, what to do. */
static void check_message(enum spw_status status, const struct spw_error *error, const char *path,
                          const char *part)
{
    check_refused(status, error, part);
    cr_assert(strncmp(error->what, path, strlen(path)) == 0, "%s", error->what);
    cr_assert(strlen(error->what) < sizeof(error->what) - 1, "cut off: %s", error->what);
}

Test(bad_models, refuses_every_safetensors_file)
{
    cr_assert(entries_in(BAD "safetensors") == FILE_COUNT);
    cr_assert(FILE_COUNT >= 25);
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    for (size_t i = 0; i < FILE_COUNT; i++) {
        char path[512];
        (void)snprintf(path, sizeof(path), BAD "safetensors/%s.safetensors", files[i].name);
        struct spw_safetensors file = {0};
        struct spw_error error = {0};
        check_message(spw_safetensors_open(&fault.world, path, &error, &file), &error, path,
                      files[i].part);
        cr_assert(file.world == NULL, "%s: the result was touched", files[i].name);
        cr_assert(spw_fault_world_clean(&fault), "%s: something was left over", files[i].name);
    }
}

Test(bad_models, refuses_every_folder)
{
    cr_assert(entries_in(BAD "hf") == FOLDER_COUNT + 2);
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    for (size_t i = 0; i < FOLDER_COUNT; i++) {
        char path[512];
        (void)snprintf(path, sizeof(path), BAD "hf/%s", folders[i].name);
        struct spw_graph *graph = NULL;
        struct spw_error error = {0};
        check_message(spw_import_gpt2(&fault.world, "bad", path, 4, 1, &error, &graph), &error,
                      path, folders[i].part);
        cr_assert(graph == NULL);
        cr_assert(spw_fault_world_clean(&fault), "%s: something was left over", folders[i].name);
    }
}

Test(bad_models, tells_which_file_is_missing)
{
    for (size_t i = 0; i < 2; i++) {
        char path[512];
        (void)snprintf(path, sizeof(path), BAD "hf/%s", missing_folders[i]);
        struct spw_graph *graph = NULL;
        struct spw_error error = {0};
        const enum spw_status status =
            spw_import_gpt2(spw_world_system(), "bad", path, 4, 1, &error, &graph);
        cr_assert(status == SPW_ERR_NOT_FOUND && graph == NULL, "%s", error.what);
        cr_assert(strstr(error.what, i == 0 ? "config.json" : "three.safetensors") != NULL, "%s",
                  error.what);
    }
}
