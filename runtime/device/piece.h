/* piece.h — the parts of parameters that lie in a piece of a weight block.
 *
 * A piece is a byte range of a block; what lies in it is segments of parameters with up to 60 bytes
 * of padding between them. Tested by tests/runtime/test_host_update.c. */
#ifndef SPW_RUNTIME_DEVICE_PIECE_H
#define SPW_RUNTIME_DEVICE_PIECE_H

#include "partitioner/plan.h"

/* The part of one parameter that lies in a piece. */
struct spw_part {
    const struct spw_segment *segment;
    uint64_t place;         /* bytes from the piece's first */
    uint64_t first_element; /* of the parameter */
    uint64_t count;         /* elements, > 0 */
};

/* The next part of `piece` from segment *index on; false if there is none. Moves *index on. */
bool spw_piece_next_part(const struct spw_weight_block *block, struct spw_piece piece,
                         int32_t *index, struct spw_part *out);
/* Bytes of padding behind a part that reaches its parameter's end, as far as they are in the
 * piece; they follow the part's elements. */
uint64_t spw_piece_padding(const struct spw_piece *piece, const struct spw_part *part);

#endif
