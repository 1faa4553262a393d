/* tokens.c — llm.c's .bin files: a stream of token numbers behind a header of 256 32-bit integers.
 *
 * Header: magic, version, number of tokens; the rest is not looked at. Magic 20240520 version 1 has
 * 16-bit tokens (GPT-2), magic 20240801 version 7 has 32-bit tokens (Llama 3); all little-endian.
 * Tested by tests/data/test_tokens.c and tests/fuzz/fuzz_tokens.c. */
#include "data/tokens.h"

#include "base/status.h"
#include "data/source.h"

#include <inttypes.h>
#include <string.h>

_Static_assert(SPW_TOKENS_HEADER_BYTES <= SPW_SOURCE_PEEK_MAX, "the header can be peeked at");

static uint32_t read_word(const uint8_t *bytes, uint64_t index)
{
    uint32_t word;
    memcpy(&word, bytes + 4 * index, sizeof(word));
    return word;
}

enum spw_status spw_tokens_parse_header(const char *path, const uint8_t *bytes, uint64_t count,
                                        struct spw_error *error, struct spw_tokens_header *out)
{
    static const struct {
        uint32_t magic, version;
        enum spw_element element;
    } kinds[] = {{20240520, 1, SPW_ELEMENT_U16}, {20240801, 7, SPW_ELEMENT_U32}};

    if (count < SPW_TOKENS_HEADER_BYTES) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": the file ends inside the %d-byte header of a token "
                        "file; get the file again, or check `format:`",
                        path, count, SPW_TOKENS_HEADER_BYTES);
    }
    const uint32_t magic = read_word(bytes, 0);
    const uint32_t version = read_word(bytes, 1);
    const size_t kind = magic == kinds[1].magic ? 1 : 0;
    if (magic != kinds[kind].magic) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte 0: not a token file: magic %" PRIu32
                        " instead of 20240520 or 20240801; make it with scripts/make_tokens.py or "
                        "llm.c, or check `format:`",
                        path, magic);
    }
    if (version != kinds[kind].version) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte 4: version %" PRIu32 " of token files with magic %" PRIu32
                        ", but only %" PRIu32 " is served; make the file again",
                        path, version, magic, kinds[kind].version);
    }
    const uint32_t tokens = read_word(bytes, 2);
    if (tokens == 0 || tokens > INT32_MAX) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte 8: %" PRId32
                        " tokens declared, but there must be 1 to 2147483647; "
                        "make the file again",
                        path, (int32_t)tokens);
    }
    *out = (struct spw_tokens_header){
        .element = kinds[kind].element,
        .tokens = tokens,
        .total_bytes =
            SPW_TOKENS_HEADER_BYTES + (uint64_t)tokens * spw_element_bytes(kinds[kind].element),
    };
    return SPW_OK;
}

/* Tokens become int32 when they are gathered. */
static enum spw_status check_tokens(const char *path, const struct spw_array *array,
                                    struct spw_error *error)
{
    if (array->element != SPW_ELEMENT_U32) {
        return SPW_OK;
    }
    const uint32_t *tokens = array->values;
    for (uint64_t index = 0; index < array->count; index++) {
        if (tokens[index] > INT32_MAX) {
            return SPW_FAIL(error, SPW_ERR_USAGE,
                            "%s: byte %" PRIu64 " (token %" PRIu64 "): token number %" PRIu32
                            " is over 2147483647; make the file again",
                            path, array->file_offset + 4 * index, index, tokens[index]);
        }
    }
    return SPW_OK;
}

static enum spw_status load_from(struct spw_source *source, enum spw_array_role role,
                                 struct spw_error *error, struct spw_array *array)
{
    (void)role; /* token files hold one thing only */
    const uint8_t *head;
    uint64_t head_bytes;
    struct spw_tokens_header header = {0};
    SPW_TRY(spw_source_peek(source, SPW_TOKENS_HEADER_BYTES, error, &head, &head_bytes));
    SPW_TRY(spw_tokens_parse_header(source->path, head, head_bytes, error, &header));
    SPW_TRY(spw_source_declare(source, header.total_bytes, error));

    const uint64_t element_bytes = spw_element_bytes(header.element);
    *array = (struct spw_array){
        .world = source->world,
        .element = header.element,
        .count = header.tokens,
        .rank = 1,
        .dim = {header.tokens},
        .file_offset = SPW_TOKENS_HEADER_BYTES,
        .file_element_bytes = element_bytes,
    };
    SPW_TRY(spw_source_allocate(source, array->count, element_bytes, error, &array->values));
    SPW_TRY(spw_source_skip(source, SPW_TOKENS_HEADER_BYTES, error));
    SPW_TRY(spw_source_read_all(source, array->values, array->count * element_bytes, error));
    SPW_TRY(spw_source_finish(source, error));
    return check_tokens(source->path, array, error);
}

enum spw_status spw_tokens_load(const struct spw_world *world, const char *path,
                                struct spw_error *error, struct spw_array *array)
{
    return spw_array_load(world, path, SPW_ROLE_ITEMS, load_from, error, array);
}
