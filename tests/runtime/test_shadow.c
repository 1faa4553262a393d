/* Tests of runtime/memory/shadow.c: against an array with one value per byte. */
#include "runtime/memory/shadow.h"

#include "base/philox.h"
#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <string.h>

enum { BYTES = 200 };

struct byte {
    bool known;
    uint64_t value, first;
};

static struct spw_shadow *make(struct spw_shadow_faults *faults)
{
    struct spw_shadow *shadow;
    cr_assert(spw_shadow_create(spw_world_system(), faults, NULL, &shadow) == SPW_OK);
    return shadow;
}

static void write_bytes(struct byte *bytes, uint64_t offset, uint64_t count, uint64_t value,
                        uint64_t first)
{
    for (uint64_t i = 0; i < count; i++) {
        bytes[offset + i] = (struct byte){true, value, first + i};
    }
}

static bool same_value(const struct byte *a, const struct byte *b, uint64_t apart)
{
    return a->known == b->known &&
           (!a->known || (a->value == b->value && a->first + apart == b->first));
}

static void compare(const struct spw_shadow *shadow, const struct byte *bytes, uint64_t step)
{
    for (uint64_t at = 0; at < BYTES; at++) {
        const uint64_t most = 1 + at * 7 % (BYTES - at);
        const struct spw_shadow_run run = spw_shadow_run(shadow, at, most);
        uint64_t want = 1;
        while (want < most && same_value(&bytes[at], &bytes[at + want], want)) {
            want++;
        }
        cr_assert(run.bytes == want, "step %u at %u: %u, not %u", (unsigned)step, (unsigned)at,
                  (unsigned)run.bytes, (unsigned)want);
        cr_assert(run.known == bytes[at].known);
        cr_assert(!run.known || (run.value == bytes[at].value && run.first == bytes[at].first));
    }
}

/* Random writes, clearings and copies between two maps. Few values, so that neighbours meet. */
Test(shadow, says_what_an_array_would)
{
    static struct byte arrays[2][BYTES];
    struct spw_shadow_faults faults = {0};
    struct spw_shadow *shadows[2] = {make(&faults), make(&faults)};
    for (uint64_t step = 0; step < 3000; step++) {
        const uint32_t draw = spw_random_word(3, 0, step);
        const uint32_t more = spw_random_word(3, 1, step);
        const uint32_t side = draw & 1;
        const uint64_t offset = (draw >> 2) % BYTES;
        const uint64_t bytes = (draw >> 12) % (BYTES - offset + 1);
        const uint64_t value = 1 + (more >> 4) % 3;
        const uint64_t other = more % (BYTES - bytes + 1);
        switch ((draw >> 1) % 4) {
        case 0:
        case 1: /* positions that continue each other when values are equal */
            spw_shadow_write(shadows[side], offset, bytes, value, offset);
            write_bytes(arrays[side], offset, bytes, value, offset);
            break;
        case 2:
            spw_shadow_clear(shadows[side], offset, bytes);
            memset(&arrays[side][offset], 0, bytes * sizeof(struct byte));
            break;
        default:
            spw_shadow_copy(shadows[side], offset, shadows[1 - side], other, bytes);
            memcpy(&arrays[1 - side][other], &arrays[side][offset], bytes * sizeof(struct byte));
            break;
        }
        compare(shadows[0], arrays[0], step);
        compare(shadows[1], arrays[1], step);
    }
    cr_assert(faults.count == 0);
    spw_shadow_destroy(shadows[0]);
    spw_shadow_destroy(shadows[1]);
}

/* In whatever pieces something was copied, the hash is that of the whole. */
Test(shadow, pieces_make_the_whole)
{
    struct spw_shadow_faults faults = {0};
    struct spw_shadow *from = make(&faults);
    struct spw_shadow *to = make(&faults);
    spw_shadow_write(from, 100, 50, 7, 0);
    spw_shadow_write(from, 150, 50, 8, 0);
    bool whole;
    const uint64_t want = spw_shadow_hash(from, 100, 100, &whole);
    cr_assert(whole);
    for (uint64_t piece = 1; piece <= 100; piece++) {
        spw_shadow_clear(to, 0, 1000);
        for (uint64_t done = 0; done < 100; done += piece) {
            const uint64_t left = 100 - done;
            spw_shadow_copy(from, 100 + done, to, 300 + done, left < piece ? left : piece);
        }
        cr_assert(spw_shadow_hash(to, 300, 100, &whole) == want && whole, "piece %u",
                  (unsigned)piece);
    }
    cr_assert(spw_shadow_hash(to, 300, 99, NULL) != want);
    spw_shadow_clear(to, 340, 1);
    cr_assert(spw_shadow_hash(to, 300, 100, &whole) != want && !whole);
    spw_shadow_destroy(from);
    spw_shadow_destroy(to);
}

Test(shadow, order_and_place_count)
{
    cr_assert(spw_shadow_mix(spw_shadow_mix(0, 1), 2) != spw_shadow_mix(spw_shadow_mix(0, 2), 1));
    struct spw_shadow_faults faults = {0};
    struct spw_shadow *a = make(&faults);
    spw_shadow_write(a, 0, 10, 5, 0);
    spw_shadow_write(a, 10, 10, 5, 20);
    cr_assert(spw_shadow_hash(a, 0, 10, NULL) != spw_shadow_hash(a, 10, 10, NULL));
    spw_shadow_destroy(a);
}

Test(shadow, the_first_fault_is_kept)
{
    struct spw_shadow_faults faults = {0};
    spw_shadow_report(&faults, "one of %d", 7);
    spw_shadow_report(&faults, "another");
    cr_assert(faults.count == 2 && strcmp(faults.first, "one of 7") == 0);
}

Test(shadow, no_memory_is_a_fault)
{
    struct spw_fault_world fault;
    struct spw_shadow_faults faults = {0};
    struct spw_shadow *shadow = NULL;
    spw_fault_world_init(&fault, spw_world_system());
    spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = 1});
    cr_assert(spw_shadow_create(&fault.world, &faults, NULL, &shadow) == SPW_ERR_NO_MEMORY);
    spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = 2});
    cr_assert(spw_shadow_create(&fault.world, &faults, NULL, &shadow) == SPW_OK);
    spw_shadow_write(shadow, 0, 8, 1, 0);
    cr_assert(faults.count == 1 && strstr(faults.first, "no memory") != NULL);
    spw_shadow_destroy(shadow);
    cr_assert(spw_fault_world_clean(&fault));
}
