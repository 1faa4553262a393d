/* piece.c — see piece.h. */
#include "runtime/device/piece.h"

#include "base/checked.h"

bool spw_piece_next_part(const struct spw_weight_block *block, struct spw_piece piece,
                         int32_t *index, struct spw_part *out)
{
    const uint64_t piece_end = piece.offset_bytes + piece.bytes;
    for (; *index < block->segment_count; (*index)++) {
        const struct spw_segment *segment = &block->segments[*index];
        const uint64_t segment_end = segment->offset_bytes + segment->elements * sizeof(float);
        const uint64_t begin = segment->offset_bytes > piece.offset_bytes ? segment->offset_bytes
                                                                          : piece.offset_bytes;
        const uint64_t end = segment_end < piece_end ? segment_end : piece_end;
        if (begin < end) {
            *out =
                (struct spw_part){.segment = segment,
                                  .place = begin - piece.offset_bytes,
                                  .first_element = (begin - segment->offset_bytes) / sizeof(float),
                                  .count = (end - begin) / sizeof(float)};
            (*index)++;
            return true;
        }
    }
    return false;
}

uint64_t spw_piece_padding(const struct spw_piece *piece, const struct spw_part *part)
{
    if (part->first_element + part->count != part->segment->elements) {
        return 0;
    }
    const uint64_t end = part->place + part->count * sizeof(float);
    uint64_t padded =
        spw_round_up(piece->offset_bytes + end, SPW_DEVICE_ALIGNMENT) - piece->offset_bytes;
    padded = padded < piece->bytes ? padded : piece->bytes;
    return padded - end;
}
