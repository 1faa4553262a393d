/* text.c — any file as a stream of bytes, each a token from 0 to 255.
 *
 * Nothing in such a file can be malformed. A compressed text doesn't say how long it is, so it is
 * decompressed twice: once to count, once into memory of that size. Tested by
 * tests/data/test_text.c. */
#include "data/array.h"

#include "base/status.h"
#include "data/source.h"

#define COUNT_BYTES 32768

/* The decompressed size; the source is then at its start again. */
static enum spw_status count_bytes(struct spw_source *source, struct spw_error *error,
                                   uint64_t *bytes)
{
    if (!spw_source_is_compressed(source)) {
        *bytes = source->file_bytes;
        return SPW_OK;
    }
    uint8_t scratch[COUNT_BYTES];
    uint64_t got;
    do {
        SPW_TRY(spw_source_read(source, scratch, sizeof(scratch), error, &got));
    } while (got == sizeof(scratch));
    const uint64_t end = source->position;
    SPW_TRY(spw_source_rewind(source, error));
    *bytes = end;
    return SPW_OK;
}

static enum spw_status load_from(struct spw_source *source, enum spw_array_role role,
                                 struct spw_error *error, struct spw_array *array)
{
    (void)role; /* a text holds one thing only */
    uint64_t bytes;
    SPW_TRY(count_bytes(source, error, &bytes));
    if (bytes == 0) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte 0: the text is empty; give one of seq_len + 1 bytes or more",
                        source->path);
    }
    SPW_TRY(spw_source_declare(source, bytes, error));
    *array = (struct spw_array){
        .world = source->world,
        .element = SPW_ELEMENT_U8,
        .count = bytes,
        .rank = 1,
        .dim = {bytes},
        .file_element_bytes = 1,
    };
    SPW_TRY(spw_source_allocate(source, bytes, 1, error, &array->values));
    SPW_TRY(spw_source_read_all(source, array->values, bytes, error));
    return spw_source_finish(source, error);
}

enum spw_status spw_text_load(const struct spw_world *world, const char *path,
                              struct spw_error *error, struct spw_array *array)
{
    return spw_array_load(world, path, SPW_ROLE_ITEMS, load_from, error, array);
}
