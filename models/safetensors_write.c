/* safetensors_write.c — writes a safetensors file, so that it is complete or absent.
 *
 * Tensors are asked for in pieces: no tensor is ever held whole, and the memory needed does not
 * depend on the model. Tested by tests/models/test_safetensors_write.c. */
#include "base/assert.h"
#include "base/checked.h"
#include "base/new_file.h"
#include "base/status.h"
#include "models/json.h"
#include "models/safetensors.h"

#include <inttypes.h>

#define HEADER_BYTES_MAX UINT64_C(100000000)
#define PIECE_ELEMENTS 65536

/* The JSON header, padded with spaces so that the data begins at a multiple of 8. */
static enum spw_status make_header(const char *path, uint64_t count, const char *const *names,
                                   const struct spw_shape *shapes, struct spw_text *text,
                                   struct spw_error *error)
{
    uint64_t offset = 0;
    spw_text_add(text, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (uint64_t i = 0; i < count; i++) {
        uint64_t bytes;
        uint64_t end;
        if (!spw_checked_multiply((uint64_t)spw_shape_elements(&shapes[i]), sizeof(float),
                                  &bytes) ||
            !spw_checked_add(offset, bytes, &end)) {
            return SPW_FAIL(error, SPW_ERR_USAGE, "%s: the tensors are too large for one file",
                            path);
        }
        spw_text_add(text, ",");
        spw_json_add_string(text, names[i]);
        spw_text_add(text, ":{\"dtype\":\"F32\",\"shape\":[");
        for (int64_t d = 0; d < shapes[i].rank; d++) {
            spw_text_add(text, d == 0 ? "%" PRId64 : ",%" PRId64, shapes[i].dim[d]);
        }
        spw_text_add(text, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", offset, end);
        offset = end;
    }
    spw_text_add(text, "}");
    while (!text->failed && text->bytes % 8 != 0) {
        spw_text_add(text, " ");
    }
    if (text->failed) {
        return SPW_FAIL(error, SPW_ERR_NO_MEMORY, "%s: no memory for its header", path);
    }
    if (text->bytes > HEADER_BYTES_MAX) {
        return SPW_FAIL(error, SPW_ERR_USAGE, "%s: %" PRIu64 " tensors are too many for one file",
                        path, count);
    }
    return SPW_OK;
}

static enum spw_status put_data(struct spw_new_file *file, uint64_t count,
                                const struct spw_shape *shapes,
                                const struct spw_tensor_source *source, float *piece,
                                struct spw_error *error)
{
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t elements = (uint64_t)spw_shape_elements(&shapes[i]);
        for (uint64_t first = 0; first < elements; first += PIECE_ELEMENTS) {
            const uint64_t left = elements - first;
            const uint64_t taken = left < PIECE_ELEMENTS ? left : PIECE_ELEMENTS;
            SPW_TRY(source->read(source->self, i, first, taken, piece, error));
            SPW_TRY(spw_new_file_write(file, piece, taken * sizeof(float), error));
        }
    }
    return SPW_OK;
}

static enum spw_status put_all(struct spw_new_file *file, const struct spw_text *header,
                               uint64_t count, const struct spw_shape *shapes,
                               const struct spw_tensor_source *source, struct spw_error *error)
{
    float *piece;
    SPW_TRY(spw_allocate(file->world, PIECE_ELEMENTS, sizeof(float), "a piece of a tensor", error,
                         &piece));
    enum spw_status status;
    SPW_TRY_GOTO(spw_new_file_write(file, &header->bytes, sizeof(header->bytes), error), out);
    SPW_TRY_GOTO(spw_new_file_write(file, header->data, header->bytes, error), out);
    SPW_TRY_GOTO(put_data(file, count, shapes, source, piece, error), out);

out:
    spw_release(file->world, piece);
    return status;
}

enum spw_status spw_safetensors_write(const struct spw_world *world, const char *path,
                                      uint64_t count, const char *const *names,
                                      const struct spw_shape *shapes,
                                      const struct spw_tensor_source *source,
                                      struct spw_error *error)
{
    struct spw_new_file file;
    struct spw_text header;
    spw_text_init(&header, world);
    enum spw_status status;
    SPW_TRY_GOTO(make_header(path, count, names, shapes, &header, error), out);
    SPW_ASSERT(header.bytes % 8 == 0);
    SPW_TRY_GOTO(spw_new_file_open(&file, world, path, error), out);
    status =
        spw_new_file_close(&file, put_all(&file, &header, count, shapes, source, error), error);

out:
    spw_text_deinit(&header);
    return status;
}
