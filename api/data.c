/* data.c — data sets, as users open them.
 *
 * What is asked is checked here, in the words of the interface; what is in the files is checked
 * where they are read. Tested by tests/api/test_data.c. */
#include "api/objects.h"

#include "base/assert.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

#define FUNCTION "spw_data_open"

static const char *const format_names[] = {
    [SPW_DATA_IDX] = "idx",
    [SPW_DATA_NPY] = "npy",
    [SPW_DATA_TOKENS] = "tokens",
    [SPW_DATA_TEXT] = "text",
    NULL,
};
#define FORMAT_COUNT (sizeof(format_names) / sizeof(format_names[0]) - 1)

static enum spw_status find_format(struct spw_context *context, const char *name,
                                   enum spw_data_format *out)
{
    if (name == NULL) {
        return SPW_REFUSE(context,
                          FUNCTION ": format is NULL; give \"idx\", \"npy\", \"tokens\" or "
                                   "\"text\"");
    }
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        if (strcmp(name, format_names[i]) == 0) {
            *out = (enum spw_data_format)i;
            return SPW_OK;
        }
    }
    const char *near = spw_nearest_name(name, format_names);
    if (near != NULL) {
        return SPW_REFUSE(context, FUNCTION ": unknown format \"%.80s\"; did you mean \"%s\"?",
                          name, near);
    }
    return SPW_REFUSE(
        context, FUNCTION ": unknown format \"%.80s\"; known are idx, npy, tokens and text", name);
}

static enum spw_status check_options(struct spw_context *context,
                                     const struct spw_data_options *options,
                                     enum spw_data_format *format)
{
    SPW_TRY(find_format(context, options->format, format));
    if (options->path == NULL || options->path[0] == '\0') {
        return SPW_REFUSE(context, FUNCTION ": path is %s; name the file to read",
                          options->path == NULL ? "NULL" : "empty");
    }
    const bool is_tokens = *format == SPW_DATA_TOKENS || *format == SPW_DATA_TEXT;
    if (is_tokens && options->labels != NULL) {
        return SPW_REFUSE(context,
                          FUNCTION ": %s: labels are given, but %s are their own targets; set "
                                   "labels to NULL",
                          options->path, options->format);
    }
    if (!is_tokens && options->labels == NULL) {
        return SPW_REFUSE(context, FUNCTION ": %s: labels is NULL; name the file with the labels",
                          options->path);
    }
    if (is_tokens && options->seq_len < 1) {
        return SPW_REFUSE(context,
                          FUNCTION ": %s: seq_len is %" PRId64 "; it must be 1 or more tokens",
                          options->path, options->seq_len);
    }
    if (!is_tokens && options->seq_len != 0) {
        return SPW_REFUSE(context,
                          FUNCTION ": %s: seq_len is %" PRId64 ", but only tokens and text have "
                                   "sequences; set it to 0",
                          options->path, options->seq_len);
    }
    return SPW_OK;
}

enum spw_status spw_data_open(struct spw_context *context, const struct spw_data_options *options,
                              struct spw_data **out)
{
    if (context == NULL) {
        return SPW_ERR_ARGUMENT;
    }
    if (options == NULL || out == NULL) {
        return SPW_REFUSE(context, FUNCTION ": %s is NULL", options == NULL ? "options" : "out");
    }
    enum spw_data_format format;
    SPW_TRY(check_options(context, options, &format));

    struct spw_data *data;
    SPW_TRY(spw_allocate(context->world, 1, sizeof(*data), "a data set", &context->error, &data));
    const enum spw_status status = spw_dataset_open(context->world, format, options->path,
                                                    options->labels, options->seq_len,
                                                    &context->error, &data->set);
    if (status != SPW_OK) {
        spw_release(context->world, data);
        return status;
    }
    data->context = context;
    context->parts++;
    *out = data;
    return SPW_OK;
}

void spw_data_close(struct spw_data *data)
{
    if (data != NULL) {
        /* Models and trials read from it: destroy those first. */
        SPW_ASSERT(data->users == 0);
        data->context->parts--;
        spw_dataset_close(data->set);
        spw_release(data->context->world, data);
    }
}

int64_t spw_data_items(const struct spw_data *data)
{
    return data != NULL ? spw_dataset_info(data->set)->items : 0;
}

int64_t spw_data_classes(const struct spw_data *data)
{
    return data != NULL ? spw_dataset_info(data->set)->classes : 0;
}
