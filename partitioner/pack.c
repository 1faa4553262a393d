/* pack.c — layouts of packs. Tested by tests/partitioner/test_pack.c. */
#include "partitioner/pack.h"

#include "base/assert.h"
#include "base/checked.h"

/* Where the next `bytes` go; *end is the end of the pack so far. */
static uint64_t append(uint64_t bytes, uint64_t *end)
{
    const uint64_t offset = spw_round_up(*end, SPW_DEVICE_ALIGNMENT);
    *end = offset + bytes;
    return offset;
}

uint64_t spw_pack_cut_offsets(const struct spw_flow *flow, int32_t border, uint64_t *offsets)
{
    uint64_t end = 0;
    for (int32_t tensor = SPW_GRAPH_DATA; tensor < border; tensor++) {
        offsets[tensor + 1] = spw_flow_crosses(flow, tensor, border)
                                  ? append(spw_flow_tensor(flow, tensor)->bytes, &end)
                                  : SPW_NOT_PACKED;
    }
    return end;
}

/* Backward ops of nodes below `end` read it, and those include its maker or follow it. */
static bool is_needed(const struct spw_flow *flow, int32_t tensor, int32_t end)
{
    return spw_flow_tensor(flow, tensor)->first_need < end;
}

uint64_t spw_pack_kept_offsets(const struct spw_flow *flow, int32_t first, int32_t end,
                               uint64_t *tensor_offsets, uint64_t *saved_offsets)
{
    uint64_t bytes = 0;
    for (int32_t node = first; node < end; node++) {
        const struct spw_node_flow *at = &flow->nodes[node];
        tensor_offsets[node + 1] = is_needed(flow, node, end)
                                       ? append(spw_flow_tensor(flow, node)->bytes, &bytes)
                                       : SPW_NOT_PACKED;
        saved_offsets[node] = at->needs & SPW_NEEDS_SAVED && at->saved_bytes > 0
                                  ? append(at->saved_bytes, &bytes)
                                  : SPW_NOT_PACKED;
    }
    return bytes;
}

static void add_tensor(struct spw_pack *pack, int32_t tensor, bool saved, uint64_t offset,
                       uint64_t bytes)
{
    pack->tensors[pack->tensor_count++] = (struct spw_packed){
        .tensor = tensor, .saved = saved, .offset_bytes = offset, .bytes = bytes};
}

enum spw_status spw_pack_cut(struct spw_arena *arena, const struct spw_flow *flow, int32_t border,
                             struct spw_error *error, struct spw_pack *out)
{
    uint64_t *offsets;
    SPW_TRY(spw_arena_take(arena, (uint64_t)border + 1, sizeof(*offsets), error, &offsets));
    struct spw_pack pack = {.bytes = spw_pack_cut_offsets(flow, border, offsets),
                            .has_gradients = flow->border_gradients[border]};
    uint64_t count = 0;
    for (int32_t i = 0; i <= border; i++) {
        count += offsets[i] != SPW_NOT_PACKED;
    }
    SPW_TRY(spw_arena_take(arena, count, sizeof(*pack.tensors), error, &pack.tensors));
    for (int32_t tensor = SPW_GRAPH_DATA; tensor < border; tensor++) {
        if (offsets[tensor + 1] != SPW_NOT_PACKED) {
            add_tensor(&pack, tensor, false, offsets[tensor + 1],
                       spw_flow_tensor(flow, tensor)->bytes);
        }
    }
    *out = pack;
    return SPW_OK;
}

enum spw_status spw_pack_kept(struct spw_arena *arena, const struct spw_flow *flow, int32_t first,
                              int32_t end, struct spw_error *error, struct spw_pack *out)
{
    SPW_ASSERT(first < end);
    const uint64_t nodes = (uint64_t)flow->node_count;
    uint64_t *tensors, *saved;
    SPW_TRY(spw_arena_take(arena, nodes + 1, sizeof(*tensors), error, &tensors));
    SPW_TRY(spw_arena_take(arena, nodes, sizeof(*saved), error, &saved));
    struct spw_pack pack = {.bytes = spw_pack_kept_offsets(flow, first, end, tensors, saved)};
    uint64_t count = 0;
    for (int32_t node = first; node < end; node++) {
        count += tensors[node + 1] != SPW_NOT_PACKED;
        count += saved[node] != SPW_NOT_PACKED;
    }
    SPW_TRY(spw_arena_take(arena, count, sizeof(*pack.tensors), error, &pack.tensors));
    for (int32_t node = first; node < end; node++) {
        if (tensors[node + 1] != SPW_NOT_PACKED) {
            add_tensor(&pack, node, false, tensors[node + 1], spw_flow_tensor(flow, node)->bytes);
        }
        if (saved[node] != SPW_NOT_PACKED) {
            add_tensor(&pack, node, true, saved[node], flow->nodes[node].saved_bytes);
        }
    }
    *out = pack;
    return SPW_OK;
}
