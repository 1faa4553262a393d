/* fuzz_safetensors.c — libFuzzer target of the safetensors header parser.
 *
 * The input is a whole file: length, header, data. What is accepted must keep the reader's
 * promises, since later code relies on them: tensors tile the data and sizes match shapes. */
#include "base/assert.h"
#include "models/safetensors.h"

#include <string.h>

#define LENGTH_BYTES 8

static void check_accepted(const struct spw_safetensors *file, uint64_t header_bytes,
                           uint64_t file_bytes)
{
    uint64_t next = LENGTH_BYTES + header_bytes;
    for (uint64_t i = 0; i < file->count; i++) {
        const struct spw_tensor_entry *entry = &file->entries[i];
        SPW_ASSERT(entry->name[0] != '\0');
        SPW_ASSERT(entry->offset_bytes == next);
        SPW_ASSERT(entry->rank <= SPW_TENSOR_RANK_MAX);
        if (strcmp(entry->dtype, "F32") == 0) {
            SPW_ASSERT(entry->bytes == spw_tensor_elements(entry) * 4);
        }
        SPW_ASSERT(spw_safetensors_find(file, entry->name) == entry);
        next += entry->bytes;
    }
    SPW_ASSERT(next == file_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t header_bytes;
    if (size < LENGTH_BYTES) {
        return 0;
    }
    memcpy(&header_bytes, data, LENGTH_BYTES);
    /* The caller, spw_safetensors_open(), never asks for more than the file has. */
    if (header_bytes > size - LENGTH_BYTES) {
        return 0;
    }
    struct spw_safetensors file;
    struct spw_error error = {0};
    const enum spw_status status = spw_safetensors_parse(spw_world_system(), "fuzz",
                                                         (const char *)data + LENGTH_BYTES,
                                                         header_bytes, size, &error, &file);
    if (status == SPW_OK) {
        check_accepted(&file, header_bytes, size);
        spw_safetensors_close(&file);
    } else {
        SPW_ASSERT(error.status == status && strncmp(error.what, "fuzz: ", 6) == 0);
    }
    return 0;
}
