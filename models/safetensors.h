/* safetensors.h — a strict reader and a writer of the safetensors format.
 *
 * The reader trusts nothing: every size is checked before it is used, tensors must tile the data
 * exactly, duplicate keys, holes, overlaps and unknown types are refused with file and place.
 * Tested by tests/models/test_safetensors.c, the files in tests/bad/ and a fuzz target. */
#ifndef SPW_MODELS_SAFETENSORS_H
#define SPW_MODELS_SAFETENSORS_H

#include "base/arena.h"
#include "kernels/op.h"

#define SPW_TENSOR_RANK_MAX 8

struct spw_tensor_entry {
    const char *name;
    const char *dtype; /* "F32", ...; a constant */
    uint64_t rank;
    uint64_t dim[SPW_TENSOR_RANK_MAX];
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

/* Opens and checks a file; its data is read later. SPW_ERR_USAGE with path, place and cure if it is
 * not in order, SPW_ERR_IO and its kin if it can't be read. The caller closes *out. */
enum spw_status spw_safetensors_open(const struct spw_world *world, const char *path,
                                     struct spw_error *error, struct spw_safetensors *out);
/* A zeroed struct is allowed. */
void spw_safetensors_close(struct spw_safetensors *file);
/* NULL if there is no such tensor. */
const struct spw_tensor_entry *spw_safetensors_find(const struct spw_safetensors *file,
                                                    const char *name);
/* Number of elements. */
uint64_t spw_tensor_elements(const struct spw_tensor_entry *entry);
/* Reads elements [first, first + count) of an F32, F16 or BF16 tensor, the latter two widened
 * exactly; other types are SPW_ERR_USAGE. NaN and infinity are delivered as they are. */
enum spw_status spw_safetensors_read(struct spw_safetensors *file,
                                     const struct spw_tensor_entry *entry, uint64_t first,
                                     uint64_t count, float *out, struct spw_error *error);
/* Parses a header held in memory, the part that the fuzz target drives: `bytes` are the
 * `header_bytes` after the length field of a file of `file_bytes`. *out has no open file; the
 * caller closes it. */
enum spw_status spw_safetensors_parse(const struct spw_world *world, const char *path,
                                      const char *bytes, uint64_t header_bytes, uint64_t file_bytes,
                                      struct spw_error *error, struct spw_safetensors *out);

/* Where the writer gets its numbers: `read` delivers elements [first, first + count) of tensor
 * `index` into `out`. */
struct spw_tensor_source {
    void *self;
    enum spw_status (*read)(void *self, uint64_t index, uint64_t first, uint64_t count, float *out,
                            struct spw_error *error);
};

/* Writes F32 tensors in the order given, in pieces of at most 256 KiB, so that no tensor is held
 * whole: temporary name, sync, rename. On failure nothing is left behind. Equal input gives equal
 * files; the only metadata is {"format": "pt"}, which Hugging Face's loader asks for. */
enum spw_status spw_safetensors_write(const struct spw_world *world, const char *path,
                                      uint64_t count, const char *const *names,
                                      const struct spw_shape *shapes,
                                      const struct spw_tensor_source *source,
                                      struct spw_error *error);

#endif
