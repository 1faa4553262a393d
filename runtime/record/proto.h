/* proto.h — the three wire types of protobuf that traces need, written into a fixed buffer.
 *
 * Nested messages are written with their length last: the caller marks the place, writes the
 * content and closes the mark; lengths take two bytes, so a message holds at most 16,383. See the
 * protobuf encoding specification. Tested by tests/runtime/test_trace.c. */
#ifndef SPW_RUNTIME_RECORD_PROTO_H
#define SPW_RUNTIME_RECORD_PROTO_H

#include <stdint.h>

struct spw_proto {
    uint8_t *data;
    uint64_t bytes, capacity;
};

void spw_proto_uint(struct spw_proto *proto, uint32_t field, uint64_t value);
void spw_proto_double(struct spw_proto *proto, uint32_t field, double value);
void spw_proto_text(struct spw_proto *proto, uint32_t field, const char *text);
/* Begins a nested message and returns its mark. */
uint64_t spw_proto_open(struct spw_proto *proto, uint32_t field);
void spw_proto_close(struct spw_proto *proto, uint64_t mark);

#endif
