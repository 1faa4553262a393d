/* safetensors.h — a strict reader and a writer of the safetensors format.
 *
 * The reader trusts nothing: every size is checked before it is used, tensors must tile the data
 * exactly, duplicate keys, holes, overlaps and unknown types are refused with file and place.
 * Tested by tests/models/test_safetensors.c, the files in tests/bad/ and a fuzz target. */
#ifndef SPW_MODELS_SAFETENSORS_H
#define SPW_MODELS_SAFETENSORS_H

#include "base/arena.h"
#include "kernels/op.h"

struct spw_tensor_entry {
    const char *name;
    const char *dtype;    /* "F32", ... */
    uint64_t rank;
    uint64_t dim[8];
    uint64_t offset_bytes; /* in the file */
    uint64_t bytes;
};

struct spw_safetensors {
    const struct spw_world *world;
    struct spw_arena arena;
    const char *path;
    struct spw_file *file;
    struct spw_tensor_entry *entries; /* by offset */
    uint64_t count;
};

enum spw_status spw_safetensors_open(const struct spw_world *world, const char *path,
                                     struct spw_error *error, struct spw_safetensors *out);
void spw_safetensors_close(struct spw_safetensors *file);
const struct spw_tensor_entry *spw_safetensors_find(const struct spw_safetensors *file,
                                                    const char *name);
/* Reads an F32 (or F16/BF16, widened exactly) tensor's elements. */
enum spw_status spw_safetensors_read(struct spw_safetensors *file,
                                     const struct spw_tensor_entry *entry, float *out,
                                     struct spw_error *error);
/* Parses a header held in memory; the part that the fuzz target drives. */
enum spw_status spw_safetensors_parse(const char *path, const char *bytes, uint64_t header_bytes,
                                      uint64_t file_bytes, struct spw_safetensors *out,
                                      struct spw_error *error);

/* Writes F32 tensors in the order given: temporary name, sync, rename. `fill(context, i, out)` delivers
 * tensor i's elements into a buffer of its size. Equal input gives equal files. */
enum spw_status spw_safetensors_write(const struct spw_world *world, const char *path,
                                      uint64_t count, const char *const *names,
                                      const struct spw_shape *shapes,
                                      enum spw_status (*fill)(void *context, uint64_t index,
                                                              float *out, struct spw_error *error),
                                      void *context, struct spw_error *error);

#endif
