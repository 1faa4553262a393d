/* fixture.c — specs for the tests of selection/. */
#include "fixture.h"

#include "base/text.h"
#include "selection/sweep.h"

#include <criterion/criterion.h>
#include <string.h>

static struct spw_error refused; /* one test per process */

struct spw_spec *spec_with(const char *text, const char *const *overrides, uint32_t count)
{
    struct spw_error error = {0};
    struct spw_spec *spec = NULL;
    const struct spw_spec_changes changes = {.overrides = overrides, .override_count = count};
    const enum spw_status status = spw_spec_parse(spw_world_system(), "dir/spec.yaml", text,
                                                  strlen(text), &changes, &error, &spec);
    cr_assert(status == SPW_OK, "%s", error.what);
    return spec;
}

struct spw_spec *spec_of(const char *text)
{
    return spec_with(text, NULL, 0);
}

const char *refusal_with(const char *text, const char *override)
{
    struct spw_spec *spec = NULL;
    const struct spw_spec_changes changes = {.overrides = &override,
                                             .override_count = override != NULL ? 1 : 0};
    refused = (struct spw_error){0};
    const enum spw_status status = spw_spec_parse(spw_world_system(), "dir/spec.yaml", text,
                                                  strlen(text), &changes, &refused, &spec);
    cr_assert(status == SPW_ERR_USAGE, "status %s: %s", spw_status_name(status), refused.what);
    cr_assert(spec == NULL, "a refused spec was handed out");
    return refused.what;
}

const char *refusal_of(const char *text)
{
    return refusal_with(text, NULL);
}

struct spw_sweep *sweep_of(const struct spw_spec *spec)
{
    struct spw_error error = {0};
    struct spw_sweep *sweep = NULL;
    const enum spw_status status = spw_sweep_open(spw_world_system(), spec, &error, &sweep);
    cr_assert(status == SPW_OK, "%s", error.what);
    return sweep;
}

char *printed(const struct spw_spec *spec, const char *directory)
{
    struct spw_text text;
    spw_text_init(&text, spw_world_system());
    spw_spec_print(spec, directory, NULL, &text);
    cr_assert(!text.failed, "no memory");
    return text.data;
}
