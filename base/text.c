/* text.c — growing texts, lists of names, and the name nearest to a mistyped one. Tested by
 * tests/base/test_text.c.
 */
#include "base/text.h"

#include "base/assert.h"
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Longer names are never offered: nobody mistypes one that long by accident. */
#define NAME_BYTES_MAX 64

void spw_text_init(struct spw_text *text, const struct spw_world *world)
{
    SPW_ASSERT(world != NULL);
    *text = (struct spw_text){.world = world};
}

void spw_text_deinit(struct spw_text *text)
{
    if (text == NULL || text->world == NULL) {
        return;
    }
    spw_release(text->world, text->data);
    *text = (struct spw_text){0};
}

/* Room for `count` more bytes and the NUL. */
static bool make_room(struct spw_text *text, uint64_t count)
{
    if (count > UINT64_MAX / 4 - text->bytes) {
        text->failed = true;
        return false;
    }
    const uint64_t needed = text->bytes + count + 1;
    if (spw_grow(text->world, &text->data, &text->capacity, needed, 1, "a text", NULL) != SPW_OK) {
        text->failed = true;
        return false;
    }
    return true;
}

void spw_text_add_bytes(struct spw_text *text, const void *bytes, uint64_t count)
{
    if (!make_room(text, count)) {
        return;
    }
    if (count > 0) {
        memcpy(text->data + text->bytes, bytes, (size_t)count);
    }
    text->bytes += count;
    text->data[text->bytes] = '\0';
}

void spw_text_add(struct spw_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    SPW_ASSERT(length >= 0);

    if (!make_room(text, (uint64_t)length)) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(text->data + text->bytes, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->bytes += (uint64_t)length;
}

enum spw_status spw_format_text(const struct spw_world *world, struct spw_error *error, char **out,
                                const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    SPW_ASSERT(length >= 0);
    char *text = NULL;
    SPW_TRY(spw_allocate(world, (uint64_t)length + 1, 1, "a text", error, &text));
    va_start(arguments, format);
    (void)vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    *out = text;
    return SPW_OK;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Edit distance with insertions, deletions, replacements and swaps of neighbours, by rows. Both
 * lengths are at most NAME_BYTES_MAX. */
static uint32_t edit_distance(const char *a, uint32_t a_length, const char *b, uint32_t b_length)
{
    uint32_t rows[3][NAME_BYTES_MAX + 1];
    for (uint32_t j = 0; j <= b_length; j++) {
        rows[0][j] = j;
    }
    for (uint32_t i = 1; i <= a_length; i++) {
        uint32_t *row = rows[i % 3];
        const uint32_t *last = rows[(i + 2) % 3];
        const uint32_t *before_last = rows[(i + 1) % 3];
        row[0] = i;
        for (uint32_t j = 1; j <= b_length; j++) {
            const uint32_t change = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = smaller(smaller(last[j], row[j - 1]) + 1, last[j - 1] + change);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = smaller(row[j], before_last[j - 2] + 1);
            }
        }
    }
    return rows[a_length % 3][b_length];
}

const char *spw_nearest_name(const char *name, const char *const *names)
{
    const size_t length = strlen(name);
    if (length > NAME_BYTES_MAX) {
        return NULL;
    }
    const char *nearest = NULL;
    uint32_t nearest_distance = UINT32_MAX;
    for (; *names != NULL; names++) {
        const size_t other_length = strlen(*names);
        if (other_length > NAME_BYTES_MAX) {
            continue;
        }
        const uint32_t distance =
            edit_distance(name, (uint32_t)length, *names, (uint32_t)other_length);
        const size_t longer = length > other_length ? length : other_length;
        if ((size_t)distance * 3 <= longer && distance < nearest_distance) {
            nearest = *names;
            nearest_distance = distance;
        }
    }
    return nearest;
}

const char *spw_join_names(const char *const *names, uint32_t count, const char *word, char *out,
                           size_t room)
{
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < count && names[i] != NULL && used < room; i++) {
        const bool last = i + 1 == count || names[i + 1] == NULL;
        const int added = snprintf(out + used, room - used, "%s%s%s%s%s", i > 0 && !last ? "," : "",
                                   i > 0 ? " " : "", i > 0 && last ? word : "",
                                   i > 0 && last ? " " : "", names[i]);
        used += added > 0 ? (size_t)added : 0;
    }
    return out;
}
