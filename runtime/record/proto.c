/* proto.c — see proto.h. */
#include "runtime/record/proto.h"

#include "base/assert.h"
#include <string.h>

enum { WIRE_VARINT = 0, WIRE_BYTES = 2 };
enum { NESTED_MAX = (1 << 14) - 1 };

static void put(struct spw_proto *proto, uint8_t byte)
{
    SPW_ASSERT(proto->bytes < proto->capacity);
    proto->data[proto->bytes++] = byte;
}

static void put_varint(struct spw_proto *proto, uint64_t value)
{
    while (value >= 0x80) {
        put(proto, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    put(proto, (uint8_t)value);
}

static void put_key(struct spw_proto *proto, uint32_t field, uint32_t wire)
{
    put_varint(proto, (uint64_t)field << 3 | wire);
}

void spw_proto_uint(struct spw_proto *proto, uint32_t field, uint64_t value)
{
    put_key(proto, field, WIRE_VARINT);
    put_varint(proto, value);
}

void spw_proto_text(struct spw_proto *proto, uint32_t field, const char *text)
{
    const uint64_t bytes = strlen(text);
    put_key(proto, field, WIRE_BYTES);
    put_varint(proto, bytes);
    for (uint64_t i = 0; i < bytes; i++) {
        put(proto, (uint8_t)text[i]);
    }
}

uint64_t spw_proto_open(struct spw_proto *proto, uint32_t field)
{
    put_key(proto, field, WIRE_BYTES);
    put(proto, 0);
    put(proto, 0);
    return proto->bytes;
}

void spw_proto_close(struct spw_proto *proto, uint64_t mark)
{
    const uint64_t bytes = proto->bytes - mark;
    SPW_ASSERT(bytes <= NESTED_MAX);
    /* A varint of two bytes, padded if need be: decoders take it. */
    proto->data[mark - 2] = (uint8_t)((bytes & 0x7F) | 0x80);
    proto->data[mark - 1] = (uint8_t)(bytes >> 7);
}
