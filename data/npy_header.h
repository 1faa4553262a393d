/* npy_header.h — the header of an npy file. Internal to the data box. */
#ifndef SPW_DATA_NPY_HEADER_H
#define SPW_DATA_NPY_HEADER_H

#include "data/array.h"

/* The longest dictionary that is read; NumPy itself reads no longer ones unless told to. */
#define SPW_NPY_DICTIONARY_MAX 10000
/* Magic, version, 32-bit length, dictionary. */
#define SPW_NPY_HEADER_MAX (12 + SPW_NPY_DICTIONARY_MAX)

enum spw_npy_type { SPW_NPY_U8, SPW_NPY_I32, SPW_NPY_I64, SPW_NPY_F32, SPW_NPY_F64 };

struct spw_npy_header {
    enum spw_npy_type type;
    uint64_t element_bytes;
    uint64_t rank;
    uint64_t dims[SPW_ARRAY_RANK_MAX];
    uint64_t count; /* of values */
    uint64_t data_offset;
    uint64_t total_bytes; /* header and values */
    uint64_t type_place;  /* the bytes that say the type and the shape, for messages */
    uint64_t shape_place;
};

/* Parses the header at the start of `bytes`; `count` may be less than the header takes only if the
 * file ends there. `path` is for messages. The size of the file is not looked at. */
enum spw_status spw_npy_parse_header(const char *path, const uint8_t *bytes, uint64_t count,
                                     struct spw_error *error, struct spw_npy_header *out);

#endif
