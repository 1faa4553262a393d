/* proto.h — the two wire types of protobuf that traces need, written into a fixed buffer.
 *
 * Nested messages are written with their length last: the caller marks the place, writes the
 * content and closes the mark; lengths take two bytes, so a message holds at most 16,383. See the
 * protobuf encoding specification. What doesn't fit is a programmer's error: callers know their
 * bounds. Tested by tests/runtime/test_proto.c. */
#ifndef SPW_RUNTIME_RECORD_PROTO_H
#define SPW_RUNTIME_RECORD_PROTO_H

#include <stdint.h>

struct spw_proto {
    uint8_t *data;
    uint64_t bytes, capacity;
};

/* A number, and a text that ends with NUL, as field `field` of the message that is open. */
void spw_proto_uint(struct spw_proto *proto, uint32_t field, uint64_t value);
void spw_proto_text(struct spw_proto *proto, uint32_t field, const char *text);
/* Begins a nested message and returns its mark. */
uint64_t spw_proto_open(struct spw_proto *proto, uint32_t field);
void spw_proto_close(struct spw_proto *proto, uint64_t mark);

#endif
