/* fuzz_spec.c — spec files: any text is refused with its place or read; what is read prints to a
 * spec that prints the same, and its trials can be counted. The first line, if it begins with '=',
 * is an override of the rest. */
#include "base/assert.h"
#include "base/text.h"
#include "selection/trials.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static enum spw_status parse(const char *text, size_t bytes, const char *override,
                             struct spw_error *error, struct spw_spec **out)
{
    const struct spw_spec_changes changes = {.overrides = &override,
                                             .override_count = override != NULL ? 1 : 0};
    return spw_spec_parse(spw_world_system(), "fuzz.yaml", text, bytes, &changes, error, out);
}

static char *print(const struct spw_spec *spec)
{
    struct spw_text text;
    spw_text_init(&text, spw_world_system());
    spw_spec_print(spec, "/cwd", NULL, &text);
    SPW_ASSERT(!text.failed);
    return text.data;
}

static void check_good(const struct spw_spec *spec)
{
    struct spw_error error = {0};
    struct spw_spec *again = NULL;
    struct spw_trials *trials = NULL;
    char *first = print(spec);
    SPW_ASSERT(parse(first, strlen(first), NULL, &error, &again) == SPW_OK);
    char *second = print(again);
    SPW_ASSERT(strcmp(first, second) == 0);
    if (spw_trials_create(spw_world_system(), spec, &error, &trials) == SPW_OK) {
        SPW_ASSERT(trials->count >= spec->model_count);
        spw_trials_destroy(trials);
    } else {
        SPW_ASSERT(error.status == SPW_ERR_USAGE);
    }
    spw_release(spw_world_system(), first);
    spw_release(spw_world_system(), second);
    spw_spec_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    /* Exactly as long as the text, so that the sanitizer sees one byte more. */
    char *text = malloc(bytes + 1);
    SPW_ASSERT(text != NULL);
    if (bytes > 0) {
        memcpy(text, data, bytes);
    }
    text[bytes] = '\0';

    const char *override = NULL;
    char *rest = text;
    char *line_end = text[0] == '=' ? strchr(text, '\n') : NULL;
    if (line_end != NULL) {
        *line_end = '\0';
        override = text + 1;
        rest = line_end + 1;
    }
    struct spw_error error = {0};
    struct spw_spec *spec = NULL;
    const enum spw_status status =
        parse(rest, bytes - (size_t)(rest - text), override, &error, &spec);
    if (status == SPW_OK) {
        check_good(spec);
    } else {
        SPW_ASSERT(status == SPW_ERR_USAGE && error.status == SPW_ERR_USAGE);
        SPW_ASSERT(strncmp(error.what, "fuzz.yaml:", 10) == 0 ||
                   strncmp(error.what, "override 1: ", 12) == 0);
    }
    spw_spec_destroy(spec);
    free(text);
    return 0;
}
