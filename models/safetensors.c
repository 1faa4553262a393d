/* safetensors.c — opens safetensors files and reads tensors.
 *
 * Data is read with ordinary reads, never mapped: a mapped file that another process cuts short
 * kills the reader. Tested by tests/models/test_safetensors.c. */
#include "models/safetensors.h"

#include "base/assert.h"
#include "base/checked.h"
#include "base/status.h"

#include <inttypes.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the format's numbers are read as they lie");

#define LENGTH_BYTES 8
#define HEADER_BYTES_MAX UINT64_C(100000000) /* as the format's own reader has it */

/* Reads exactly `bytes`; an earlier end is the file's fault. */
static enum spw_status read_exactly(const struct spw_world *world, struct spw_file *file,
                                    const char *path, void *into, uint64_t bytes,
                                    struct spw_error *error)
{
    uint64_t done = 0;
    while (done < bytes) {
        uint64_t got = 0;
        const int native = world->read(world->self, file, (char *)into + done, bytes - done, &got);
        if (native != 0) {
            return SPW_FAIL_FILE(error, native, "read", path);
        }
        if (got == 0) {
            return SPW_FAIL(error, SPW_ERR_USAGE,
                            "%s: the file ended %" PRIu64 " bytes early; it shrank while it was "
                            "being read",
                            path, bytes - done);
        }
        done += got;
    }
    return SPW_OK;
}

/* The length field, held against the limit and the file's real size before anything trusts it. */
static enum spw_status read_length(const struct spw_world *world, struct spw_file *file,
                                   const char *path, struct spw_error *error,
                                   uint64_t *header_bytes, uint64_t *file_bytes)
{
    const int native = world->size(world->self, file, file_bytes);
    if (native != 0) {
        return SPW_FAIL_FILE(error, native, "find the size of", path);
    }
    if (*file_bytes < LENGTH_BYTES) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte 0: a file of %" PRIu64 " bytes is too short to be safetensors; "
                        "get it again from its source",
                        path, *file_bytes);
    }
    SPW_TRY(read_exactly(world, file, path, header_bytes, LENGTH_BYTES, error));
    if (*header_bytes > HEADER_BYTES_MAX || *header_bytes > *file_bytes - LENGTH_BYTES) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte 0: a header of %" PRIu64 " bytes is announced, but the file has "
                        "%" PRIu64 " and a header at most %" PRIu64 "; is this a safetensors file, "
                        "and complete? get it again from its source",
                        path, *header_bytes, *file_bytes, HEADER_BYTES_MAX);
    }
    return SPW_OK;
}

enum spw_status spw_safetensors_open(const struct spw_world *world, const char *path,
                                     struct spw_error *error, struct spw_safetensors *out)
{
    struct spw_file *file;
    const int native = world->open(world->self, path, SPW_OPEN_READ, &file);
    if (native != 0) {
        return SPW_FAIL_FILE(error, native, "open", path);
    }
    enum spw_status status;
    char *header = NULL;
    uint64_t header_bytes = 0;
    uint64_t file_bytes = 0;
    SPW_TRY_GOTO(read_length(world, file, path, error, &header_bytes, &file_bytes), out);
    SPW_TRY_GOTO(spw_allocate(world, header_bytes, 1, path, error, &header), out);
    SPW_TRY_GOTO(read_exactly(world, file, path, header, header_bytes, error), out);
    status = spw_safetensors_parse(world, path, header, header_bytes, file_bytes, error, out);

out:
    spw_release(world, header);
    if (status != SPW_OK) {
        (void)world->close(world->self, file);
        return status;
    }
    out->file = file;
    return SPW_OK;
}

void spw_safetensors_close(struct spw_safetensors *file)
{
    if (file == NULL || file->world == NULL) {
        return;
    }
    if (file->file != NULL) {
        (void)file->world->close(file->world->self, file->file);
    }
    spw_arena_deinit(&file->arena);
    *file = (struct spw_safetensors){0};
}

const struct spw_tensor_entry *spw_safetensors_find(const struct spw_safetensors *file,
                                                    const char *name)
{
    for (uint64_t i = 0; i < file->count; i++) {
        if (strcmp(file->entries[i].name, name) == 0) {
            return &file->entries[i];
        }
    }
    return NULL;
}

uint64_t spw_tensor_elements(const struct spw_tensor_entry *entry)
{
    uint64_t elements = 1;
    for (uint64_t i = 0; i < entry->rank; i++) {
        /* The header's checks bound the product, unless a zero made them skip it. */
        if (entry->dim[i] == 0) {
            return 0;
        }
        elements *= entry->dim[i];
    }
    return elements;
}

/* IEEE 754 binary16 to binary32; every value has an exact one. */
static float widen_f16(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half >> 15) << 31;
    const uint32_t exponent = (half >> 10) & 0x1fu;
    const uint32_t fraction = half & 0x3ffu;
    float value;
    if (exponent == 0) {
        /* Zero or subnormal: fraction * 2^-24. */
        value = (float)fraction * 0x1p-24f;
        uint32_t bits;
        memcpy(&bits, &value, sizeof(bits));
        bits |= sign;
        memcpy(&value, &bits, sizeof(value));
        return value;
    }
    const uint32_t wide = exponent == 0x1f ? 0xffu : exponent + (127 - 15);
    const uint32_t bits = sign | (wide << 23) | (fraction << 13);
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float widen_bf16(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* The halves lie in the upper half of `out`. Going forward, element i's four bytes end before the
 * halves that are still to be read: 4 i + 4 <= 2 count + 2 (i + 1) while i < count. */
static void widen(bool bf16, uint64_t count, float *out)
{
    const char *halves = (const char *)out + 2 * count;
    for (uint64_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, halves + 2 * i, sizeof(half));
        out[i] = bf16 ? widen_bf16(half) : widen_f16(half);
    }
}

enum spw_status spw_safetensors_read(struct spw_safetensors *file,
                                     const struct spw_tensor_entry *entry, uint64_t first,
                                     uint64_t count, float *out, struct spw_error *error)
{
    SPW_ASSERT(file->file != NULL);
    const uint64_t elements = spw_tensor_elements(entry);
    SPW_ASSERT(first <= elements);
    SPW_ASSERT(count <= elements - first);
    const bool full = strcmp(entry->dtype, "F32") == 0;
    const bool bf16 = strcmp(entry->dtype, "BF16") == 0;
    if (!full && !bf16 && strcmp(entry->dtype, "F16") != 0) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: tensor \"%s\": weights of type %s can't be read; convert them to F32, "
                        "F16 or BF16",
                        file->path, entry->name, entry->dtype);
    }
    const uint64_t size = full ? 4 : 2;
    const struct spw_world *world = file->world;
    const int native = world->seek(world->self, file->file, entry->offset_bytes + first * size);
    if (native != 0) {
        return SPW_FAIL_FILE(error, native, "seek in", file->path);
    }
    char *into = (char *)out + (full ? 0 : 2 * count);
    SPW_TRY(read_exactly(world, file->file, file->path, into, count * size, error));
    if (!full) {
        widen(bf16, count, out);
    }
    return SPW_OK;
}
