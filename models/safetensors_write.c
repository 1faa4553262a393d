/* safetensors_write.c — writes a safetensors file, so that it is complete or absent.
 *
 * Tensors are asked for in pieces: no tensor is ever held whole, and the memory needed does not
 * depend on the model. Tested by tests/models/test_safetensors_write.c. */
#include "base/assert.h"
#include "base/checked.h"
#include "base/status.h"
#include "models/json.h"
#include "models/safetensors.h"

#include <errno.h>
#include <inttypes.h>

#define HEADER_BYTES_MAX UINT64_C(100000000)
#define PIECE_ELEMENTS 65536

struct writer {
    const struct spw_world *world;
    struct spw_file *file;
    const char *path; /* as the caller knows it */
    struct spw_error *error;
};

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

static enum spw_status put(const struct writer *writer, const void *from, uint64_t bytes)
{
    const int native = writer->world->write(writer->world->self, writer->file, from, bytes);
    if (native != 0) {
        return SPW_FAIL_FILE(writer->error, native, "write", writer->path);
    }
    return SPW_OK;
}

static enum spw_status put_data(const struct writer *writer, uint64_t count,
                                const struct spw_shape *shapes,
                                const struct spw_tensor_source *source, float *piece)
{
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t elements = (uint64_t)spw_shape_elements(&shapes[i]);
        for (uint64_t first = 0; first < elements; first += PIECE_ELEMENTS) {
            const uint64_t left = elements - first;
            const uint64_t taken = left < PIECE_ELEMENTS ? left : PIECE_ELEMENTS;
            SPW_TRY(source->read(source->self, i, first, taken, piece, writer->error));
            SPW_TRY(put(writer, piece, taken * sizeof(float)));
        }
    }
    return SPW_OK;
}

/* Fills the open temporary file and brings it to the disk. */
static enum spw_status put_all(const struct writer *writer, const struct spw_text *header,
                               uint64_t count, const struct spw_shape *shapes,
                               const struct spw_tensor_source *source)
{
    float *piece;
    SPW_TRY(spw_allocate(writer->world, PIECE_ELEMENTS, sizeof(float), "a piece of a tensor",
                         writer->error, &piece));
    enum spw_status status;
    SPW_TRY_GOTO(put(writer, &header->bytes, sizeof(header->bytes)), out);
    SPW_TRY_GOTO(put(writer, header->data, header->bytes), out);
    SPW_TRY_GOTO(put_data(writer, count, shapes, source, piece), out);
    const int native = writer->world->sync(writer->world->self, writer->file);
    if (native != 0) {
        status = SPW_FAIL_FILE(writer->error, native, "sync", writer->path);
    }

out:
    spw_release(writer->world, piece);
    return status;
}

/* A temporary that an earlier, killed run left behind is in nobody's use. */
static int create_temporary(const struct spw_world *world, const char *path, struct spw_file **file)
{
    int native = world->open(world->self, path, SPW_OPEN_CREATE, file);
    if (native == EEXIST) {
        native = world->remove(world->self, path);
        if (native == 0) {
            native = world->open(world->self, path, SPW_OPEN_CREATE, file);
        }
    }
    return native;
}

/* Creates, fills, closes and renames; removes the temporary if anything fails. */
static enum spw_status write_through(struct writer *writer, const char *temporary,
                                     const struct spw_text *header, uint64_t count,
                                     const struct spw_shape *shapes,
                                     const struct spw_tensor_source *source)
{
    const struct spw_world *world = writer->world;
    int native = create_temporary(world, temporary, &writer->file);
    if (native != 0) {
        return SPW_FAIL_FILE(writer->error, native, "create", writer->path);
    }
    enum spw_status status = put_all(writer, header, count, shapes, source);
    /* Closed in every case; some file systems report a failed write only here. */
    native = world->close(world->self, writer->file);
    if (native != 0 && status == SPW_OK) {
        status = SPW_FAIL_FILE(writer->error, native, "close", writer->path);
    }
    if (status == SPW_OK) {
        native = world->rename(world->self, temporary, writer->path);
        if (native != 0) {
            status = SPW_FAIL_FILE(writer->error, native, "rename the finished", writer->path);
        }
    }
    if (status != SPW_OK) {
        (void)world->remove(world->self, temporary);
    }
    return status;
}

enum spw_status spw_safetensors_write(const struct spw_world *world, const char *path,
                                      uint64_t count, const char *const *names,
                                      const struct spw_shape *shapes,
                                      const struct spw_tensor_source *source,
                                      struct spw_error *error)
{
    struct writer writer = {.world = world, .path = path, .error = error};
    struct spw_text header;
    struct spw_arena arena;
    spw_text_init(&header, world);
    spw_arena_init(&arena, world);
    enum spw_status status;
    const char *temporary;
    SPW_TRY_GOTO(make_header(path, count, names, shapes, &header, error), out);
    SPW_TRY_GOTO(spw_arena_text(&arena, error, &temporary, "%s.tmp", path), out);
    SPW_ASSERT(header.bytes % 8 == 0);
    status = write_through(&writer, temporary, &header, count, shapes, source);

out:
    spw_text_deinit(&header);
    spw_arena_deinit(&arena);
    return status;
}
