/* tokens.h — the header of a token file. Internal to the data box. */
#ifndef SPW_DATA_TOKENS_H
#define SPW_DATA_TOKENS_H

#include "data/array.h"

/* 256 integers of 32 bits. */
#define SPW_TOKENS_HEADER_BYTES 1024

struct spw_tokens_header {
    enum spw_element element; /* SPW_ELEMENT_U16 or SPW_ELEMENT_U32 */
    uint64_t tokens;
    uint64_t total_bytes; /* header and tokens */
};

/* Parses the header at the start of `bytes`; `count` may be less than it takes only if the file
 * ends there. `path` is for messages. The size of the file is not looked at. */
enum spw_status spw_tokens_parse_header(const char *path, const uint8_t *bytes, uint64_t count,
                                        struct spw_error *error, struct spw_tokens_header *out);

#endif
