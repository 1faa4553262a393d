/* test_proto.c — bytes as the protobuf encoding specification has them, and bounds that hold. */
#include "runtime/record/proto.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#define EXPECT(proto, ...)                                                                         \
    do {                                                                                           \
        const uint8_t wanted_[] = {__VA_ARGS__};                                                   \
        cr_assert((proto).bytes == sizeof wanted_, "%d bytes", (int)(proto).bytes);                \
        cr_assert(memcmp((proto).data, wanted_, sizeof wanted_) == 0);                             \
    } while (0)

/* 150 in field 1 is the specification's own example. */
Test(proto, numbers_are_varints)
{
    uint8_t data[64];
    struct spw_proto proto = {.data = data, .capacity = sizeof data};
    spw_proto_uint(&proto, 1, 150);
    EXPECT(proto, 0x08, 0x96, 0x01);
    spw_proto_uint(&proto, 60, 0);
    EXPECT(proto, 0x08, 0x96, 0x01, 0xE0, 0x03, 0x00);
    proto.bytes = 0;
    spw_proto_uint(&proto, 2, 127);
    spw_proto_uint(&proto, 2, 128);
    EXPECT(proto, 0x10, 0x7F, 0x10, 0x80, 0x01);
    proto.bytes = 0;
    spw_proto_uint(&proto, 2, UINT64_MAX);
    EXPECT(proto, 0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01);
}

Test(proto, texts_carry_their_length)
{
    uint8_t data[256];
    struct spw_proto proto = {.data = data, .capacity = sizeof data};
    spw_proto_text(&proto, 2, "testing");
    EXPECT(proto, 0x12, 0x07, 't', 'e', 's', 't', 'i', 'n', 'g');
    proto.bytes = 0;
    spw_proto_text(&proto, 23, "");
    EXPECT(proto, 0xBA, 0x01, 0x00);
    char longer[201];
    memset(longer, 'x', 200);
    longer[200] = '\0';
    proto.bytes = 0;
    spw_proto_text(&proto, 2, longer);
    cr_assert(proto.bytes == 3 + 200 && data[1] == 0xC8 && data[2] == 0x01);
    cr_assert(memcmp(&data[3], longer, 200) == 0);
}

/* A length of two bytes, though one would do: a decoder must take it. */
Test(proto, messages_nest)
{
    uint8_t data[64];
    struct spw_proto proto = {.data = data, .capacity = sizeof data};
    const uint64_t outer = spw_proto_open(&proto, 3);
    const uint64_t inner = spw_proto_open(&proto, 1);
    spw_proto_uint(&proto, 1, 150);
    spw_proto_close(&proto, inner);
    spw_proto_close(&proto, spw_proto_open(&proto, 2));
    spw_proto_close(&proto, outer);
    EXPECT(proto, 0x1A, 0x89, 0x00, 0x0A, 0x83, 0x00, 0x08, 0x96, 0x01, 0x12, 0x80, 0x00);
}

Test(proto, the_longest_message_has_16383_bytes)
{
    static uint8_t data[1 << 15];
    struct spw_proto proto = {.data = data, .capacity = sizeof data};
    const uint64_t mark = spw_proto_open(&proto, 1);
    while (proto.bytes < mark + 16383 - 3) {
        spw_proto_uint(&proto, 1, 1);
    }
    spw_proto_uint(&proto, 1, proto.bytes - mark == 16380 ? 128 : 1);
    cr_assert(proto.bytes - mark == 16383, "%d", (int)(proto.bytes - mark));
    spw_proto_close(&proto, mark);
    cr_assert(data[1] == 0xFF && data[2] == 0x7F);
}

Test(proto, a_longer_message_is_an_error_of_the_programmer, .signal = SIGABRT)
{
    static uint8_t data[1 << 15];
    struct spw_proto proto = {.data = data, .capacity = sizeof data};
    const uint64_t mark = spw_proto_open(&proto, 1);
    while (proto.bytes - mark <= 16383) {
        spw_proto_uint(&proto, 1, 1);
    }
    spw_proto_close(&proto, mark);
}

Test(proto, nothing_is_written_past_the_capacity, .signal = SIGABRT)
{
    uint8_t data[8];
    struct spw_proto proto = {.data = data, .capacity = 4};
    memset(data, 0xAA, sizeof data);
    spw_proto_uint(&proto, 1, 1);
    spw_proto_uint(&proto, 1, 1);
    cr_expect(proto.bytes == 4 && data[4] == 0xAA); /* exactly full is fine */
    if (data[4] == 0xAA) {
        spw_proto_uint(&proto, 1, 1);
    }
}
