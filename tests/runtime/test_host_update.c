/* Tests of runtime/device/host_update.c: the optimizer over pieces, folding accumulators,
 * gathering. */
#include "host_fixture.h"

#include "base/checked.h"
#include "base/philox.h"
#include "data/data.h"
#include "tests/support/temporary.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct spw_wait no_wait = {SPW_QUEUE_COMPUTE, 0};

/* Three parameters: one of several norm chunks, one of a few elements, one that ends the block. */
static struct spw_segment segments[] = {
    {.param = 2, .offset_bytes = 0, .elements = 10001, .norm_offset = 0},
    {.param = 0, .offset_bytes = 40064, .elements = 5, .norm_offset = 3},
    {.param = 1, .offset_bytes = 40128, .elements = 4097, .norm_offset = 4},
};
static const struct spw_weight_block block = {
    .segments = segments, .segment_count = 3, .bytes = 56576, .uses = 2, .norm_partials = 6};
static const bool decays[] = {false, true, true};

static void run_work(struct host_fixture *f, const struct spw_work *work)
{
    (void)host_fixture_submit(f, work, no_wait);
    cr_assert(host_fixture_next(f, SPW_QUEUE_COMPUTE).status == SPW_OK);
}

/* A device of cores: its region is the homes, so that tests see it. */
static char *cores_open(struct host_fixture *f, uint32_t threads, uint64_t bytes, uint64_t *offset)
{
    void *home = NULL;
    *f = (struct host_fixture){0};
    host_fixture_open(f, (struct spw_device_config){.is_cores = true, .threads = threads}, true);
    cr_assert(spw_home_take(f->home, bytes, NULL, &home) == SPW_OK);
    *offset = spw_home_offset(f->home, home);
    return spw_home_open(f->home, home);
}

static void fill(char *array, uint64_t bytes, uint64_t key)
{
    for (uint64_t i = 0; i < bytes / 4; i++) {
        const float value = (float)spw_random_normal(key, 0, i);
        memcpy(array + 4 * i, &value, 4);
    }
}

static struct spw_update_scalars scalars_of(enum spw_optimizer name, double momentum, bool decayed)
{
    const struct spw_optimizer_config config = {.name = name,
                                                .beta1 = 0.9,
                                                .beta2 = 0.999,
                                                .eps = 1e-8,
                                                .momentum = momentum,
                                                .weight_decay = 0.1};
    return spw_update_scalars(&config, 1e-2, 3, 1.0, decayed);
}

/* The whole block by the plain loop, parameter by parameter; padding zero. Arrays: weights, grads,
 * two moments. */
static void update_plainly(char *arrays[4], char *results[3], enum spw_optimizer name,
                           double momentum)
{
    for (int i = 0; i < 3; i++) {
        memset(results[i], 0, block.bytes);
    }
    for (int32_t i = 0; i < block.segment_count; i++) {
        const uint64_t at = segments[i].offset_bytes;
        const struct spw_update_call call = {
            .scalars = scalars_of(name, momentum, decays[segments[i].param]),
            .count = segments[i].elements,
            .w = (float *)(void *)(arrays[0] + at),
            .g = (float *)(void *)(arrays[1] + at),
            .moments = {(float *)(void *)(arrays[2] + at), (float *)(void *)(arrays[3] + at)},
            .w_out = (float *)(void *)(results[0] + at),
            .moments_out = {(float *)(void *)(results[1] + at), (float *)(void *)(results[2] + at)},
        };
        spw_update_reference(&call);
    }
}

/* Pieces of `piece_bytes`, from separate arrays into separate arrays or in place. */
static void check_update(enum spw_optimizer name, double momentum, uint32_t moments,
                         uint64_t piece_bytes, uint32_t threads, bool in_place)
{
    struct host_fixture f;
    uint64_t base;
    char *memory = cores_open(&f, threads, 7 * block.bytes, &base);
    char *expected = calloc(3, block.bytes);
    char *arrays[4];
    char *results[3];
    fill(memory, 7 * block.bytes, 5);
    for (uint64_t i = 0; i < 4; i++) {
        arrays[i] = memory + i * block.bytes;
    }
    /* exp_avg_sq is never negative. */
    for (uint64_t i = 0; i < block.bytes / 4; i++) {
        float *square = (float *)(void *)arrays[3] + i;
        *square *= *square;
    }
    for (uint64_t i = 0; i < 3; i++) {
        results[i] = expected + i * block.bytes;
    }
    update_plainly(arrays, results, name, momentum);

    const uint64_t input[] = {base, base + 2 * block.bytes, base + 3 * block.bytes};
    const uint64_t output[] = {base + 4 * block.bytes, base + 5 * block.bytes,
                               base + 6 * block.bytes};
    const uint64_t *to = in_place ? input : output;
    for (uint64_t at = 0; at < block.bytes; at += piece_bytes) {
        const uint64_t left = block.bytes - at;
        struct spw_work work = {
            .kind = SPW_WORK_UPDATE,
            .update = {
                .scalars = {scalars_of(name, momentum, true), scalars_of(name, momentum, false)},
                .block = &block,
                .param_decays = decays,
                .piece = {.offset_bytes = at, .bytes = left < piece_bytes ? left : piece_bytes},
                .weights = input[0] + at,
                .grads = base + block.bytes + at,
                .weights_out = to[0] + at}};
        for (uint32_t i = 0; i < moments; i++) {
            work.update.moments[i] = input[1 + i] + at;
            work.update.moments_out[i] = to[1 + i] + at;
        }
        run_work(&f, &work);
    }
    for (uint32_t i = 0; i <= moments; i++) {
        cr_assert(memcmp(results[i], memory + (to[i] - base), block.bytes) == 0,
                  "array %u, pieces of %d", (unsigned)i, (int)piece_bytes);
    }
    free(expected);
    host_fixture_close(&f);
}

Test(host_update, gives_the_bits_of_the_plain_loop_for_any_pieces)
{
    const uint64_t pieces[] = {64, 4096, 16384, 40064, 56576};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        check_update(SPW_ADAMW, 0, 2, pieces[i], 1, false);
        check_update(SPW_ADAMW, 0, 2, pieces[i], 2, true);
        check_update(SPW_SGD, 0.9, 1, pieces[i], 1, true);
        check_update(SPW_SGD, 0, 0, pieces[i], 1, false);
    }
}

/* ---- REDUCE ---- */

static void reduce_plainly(const char *accumulators, uint32_t uses, uint32_t groups, char *total,
                           double *norms)
{
    const float *g = (const float *)(const void *)accumulators;
    const uint64_t stride = block.bytes / 4;
    uint64_t norm = 0;
    for (int32_t i = 0; i < block.segment_count; i++) {
        float *out = (float *)(void *)(total + segments[i].offset_bytes);
        for (uint64_t j = 0; j < segments[i].elements; j++) {
            const uint64_t at = segments[i].offset_bytes / 4 + j;
            for (uint32_t use = 0; use < uses; use++) {
                float sum = g[use * groups * stride + at];
                for (uint32_t group = 1; group < groups; group++) {
                    sum = sum + g[(use * groups + group) * stride + at];
                }
                out[j] = use == 0 ? sum : out[j] + sum;
            }
        }
        spw_norm_partials(out, segments[i].elements, norms + norm, NULL);
        norm += spw_norm_chunks(segments[i].elements);
    }
    cr_assert(norm == block.norm_partials);
}

/* Pieces that cut between norm chunks, as the planner makes them. */
static const struct spw_piece whole[] = {{0, 56576, 0, 6}};
static const struct spw_piece parts[] = {
    {0, 16384, 0, 1}, {16384, 23680, 1, 2}, {40064, 16448, 3, 2}, {56512, 64, 5, 1}};

static void check_reduce(uint32_t uses, uint32_t groups, const struct spw_piece *pieces,
                         uint64_t piece_count, uint32_t threads)
{
    struct host_fixture f;
    uint64_t base;
    const uint64_t accumulators = uses * groups;
    char *memory = cores_open(&f, threads, accumulators * block.bytes + 64, &base);
    char *expected = calloc(1, block.bytes);
    double norms[6];
    fill(memory, accumulators * block.bytes, 9);
    reduce_plainly(memory, uses, groups, expected, norms);
    for (uint64_t i = 0; i < piece_count; i++) {
        uint64_t offsets[8];
        for (uint64_t j = 0; j < accumulators; j++) {
            offsets[j] = base + j * block.bytes + pieces[i].offset_bytes;
        }
        const struct spw_work work = {
            .kind = SPW_WORK_REDUCE,
            .reduce = {.block = &block,
                       .piece = pieces[i],
                       .accumulators = (uint32_t)accumulators,
                       .grads = offsets,
                       .uses = uses,
                       .groups = groups,
                       .grads_out = offsets[0],
                       .norm_out = base + accumulators * block.bytes + 8 * pieces[i].norm_first}};
        run_work(&f, &work);
    }
    for (int32_t i = 0; i < block.segment_count; i++) {
        cr_assert(memcmp(expected + segments[i].offset_bytes, memory + segments[i].offset_bytes,
                         segments[i].elements * 4) == 0,
                  "segment %d of %u x %u", (int)i, (unsigned)uses, (unsigned)groups);
    }
    cr_assert(memcmp(norms, memory + accumulators * block.bytes, sizeof(norms)) == 0);
    free(expected);
    host_fixture_close(&f);
}

Test(host_update, folds_accumulators_in_their_order)
{
    for (uint32_t threads = 1; threads <= 2; threads++) {
        check_reduce(1, 2, whole, 1, threads);
        check_reduce(2, 1, whole, 1, threads);
        check_reduce(2, 3, whole, 1, threads);
        check_reduce(2, 3, parts, 4, threads);
        check_reduce(1, 1, parts, 4, threads);
    }
}

/* ---- GATHER ---- */

Test(host_update, gathers_micro_batches_into_their_packs)
{
    struct spw_temporary folder;
    spw_temporary_init(&folder);
    char text[1000];
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (char)('a' + i * 7 % 26);
    }
    char path[512];
    spw_temporary_write(&folder, "text", text, sizeof(text));
    struct spw_dataset *set;
    struct spw_cursor *cursor;
    struct spw_error error = {0};
    cr_assert(spw_dataset_open(spw_world_system(), SPW_DATA_TEXT,
                               spw_temporary_path(&folder, "text", path), NULL, 8, &error,
                               &set) == SPW_OK,
              "%s", error.what);
    const struct spw_cursor_config config = {.seed = 3, .shuffle = true, .batch = 10};
    cr_assert(spw_cursor_create(spw_world_system(), set, &config, &error, &cursor) == SPW_OK);

    struct host_fixture f;
    uint64_t base;
    char *memory = cores_open(&f, 1, 8192, &base);
    memset(memory, 0x55, 8192);
    const struct spw_work work = {.kind = SPW_WORK_GATHER,
                                  .gather = {.cursor = cursor,
                                             .step = 4,
                                             .count = 10,
                                             .micro_batch = 4,
                                             .x = base,
                                             .x_stride_bytes = 1024,
                                             .targets = base + 4096,
                                             .targets_stride_bytes = 512}};
    run_work(&f, &work);
    int32_t x[4 * 8];
    int32_t targets[4 * 8];
    for (int64_t i = 0; i < 3; i++) {
        const int64_t count = i < 2 ? 4 : 2;
        const size_t bytes = (size_t)count * 8 * 4;
        spw_cursor_gather(cursor, 4, 4 * i, count, x, targets);
        cr_assert(memcmp(memory + 1024 * i, x, bytes) == 0, "pack %d", (int)i);
        cr_assert(memcmp(memory + 4096 + 512 * i, targets, bytes) == 0, "pack %d", (int)i);
        cr_assert(memory[1024 * i + (int64_t)bytes] == 0x55, "written past pack %d", (int)i);
    }
    host_fixture_close(&f);
    spw_cursor_destroy(cursor);
    spw_dataset_close(set);
    spw_temporary_deinit(&folder);
}

Test(host_update, devices_do_not_gather, .signal = SIGABRT)
{
    struct host_fixture f = {0};
    host_fixture_open(&f, (struct spw_device_config){0}, false);
    const struct spw_work work = {.kind = SPW_WORK_GATHER, .gather = {.micro_batch = 1}};
    (void)host_fixture_submit(&f, &work, no_wait);
}
