/* Tests of runtime/device/host_work.c and host_check.c. */
#include "host_fixture.h"

#include "base/philox.h"
#include "kernels/lane.h"
#include "runtime/device/host.h"

#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct spw_wait no_wait = {SPW_QUEUE_COMPUTE, 0};

/* A device, a small program, and its whole memory in a home: copied in, run, copied out. */
struct bench {
    struct host_fixture f;
    struct small_program small;
    uint64_t bytes;
    void *home;
    char *open;
};

static void bench_open(struct bench *b, uint32_t threads, bool reference)
{
    memset(b, 0, sizeof(*b));
    small_program_init(&b->small, 33, 17, 8, threads);
    b->bytes = small_program_bytes(&b->small);
    host_fixture_open(&b->f,
                      (struct spw_device_config){.region_bytes = b->bytes + 4096,
                                                 .threads = threads,
                                                 .reference_kernels = reference},
                      true);
    cr_assert(spw_home_take(b->f.home, b->bytes, NULL, &b->home) == SPW_OK);
    b->open = spw_home_open(b->f.home, b->home);
    float *values = (float *)(void *)b->open;
    for (uint64_t i = 0; i < b->bytes / 4; i++) {
        values[i] = (float)spw_random_normal(7, 0, i);
    }
}

/* Where binding `index` lies in the home, for a program at offset 4096 of the region. */
static float *binding(const struct bench *b, const struct spw_work *work, int index)
{
    return (float *)(void *)(b->open + work->program.binding_offset[index] - 4096);
}

static struct spw_record run(struct bench *b, const struct spw_work *work)
{
    const struct spw_backend *backend = b->f.device->backend;
    cr_assert(backend->prepare(b->f.device, work->program.program, work->program.items, NULL) ==
              SPW_OK);
    uint64_t ticket = host_fixture_copy(&b->f, SPW_QUEUE_IN, b->home, 4096, b->bytes, no_wait);
    ticket = host_fixture_submit(&b->f, work, (struct spw_wait){SPW_QUEUE_IN, ticket});
    (void)host_fixture_copy(&b->f, SPW_QUEUE_OUT, b->home, 4096, b->bytes,
                            (struct spw_wait){SPW_QUEUE_COMPUTE, ticket});
    cr_assert(host_fixture_next(&b->f, SPW_QUEUE_IN).status == SPW_OK);
    cr_assert(host_fixture_next(&b->f, SPW_QUEUE_OUT).status == SPW_OK);
    const struct spw_record record = host_fixture_next(&b->f, SPW_QUEUE_COMPUTE);
    cr_assert(record.ticket == ticket);
    return record;
}

/* Runs the same instructions one by one on a lane of our own, over a copy of the same memory. */
static void run_directly(const struct spw_work *work, uint32_t threads, bool reference,
                         char *memory)
{
    const struct spw_world *world = spw_world_system();
    const struct spw_program *program = work->program.program;
    struct spw_pool *pool = NULL;
    struct spw_lane *lane;
    cr_assert(spw_pool_create(world, threads, NULL, NULL, &pool) == SPW_OK);
    cr_assert(spw_lane_create(world, pool, reference, NULL, &lane) == SPW_OK);
    for (int32_t i = 0; i < program->instruction_count; i++) {
        const struct spw_instruction *at = &program->instructions[i];
#define PLACE(operand)                                                                             \
    ((operand).binding == SPW_NO_OPERAND                                                           \
         ? NULL                                                                                    \
         : (void *)(memory + work->program.binding_offset[(operand).binding] - 4096 +              \
                    (operand).offset_bytes))
        const struct spw_call call = {
            .desc = at->desc,
            .items = work->program.items,
            .flags = work->program.accumulate_dw ? SPW_CALL_ACCUMULATE_DW : 0,
            .x = {PLACE(at->x[0])},
            .w = {PLACE(at->w[0]), PLACE(at->w[1])},
            .y = PLACE(at->y),
            .dy = PLACE(at->dy),
            .dx = {PLACE(at->dx[0])},
            .dw = {PLACE(at->dw[0]), PLACE(at->dw[1])},
            .workspace = PLACE(at->workspace),
        };
        cr_assert(spw_lane_prepare(lane, at->desc, call.items, at->pass, NULL) == SPW_OK);
        cr_assert(spw_lane_run(lane, &call, at->pass, NULL) == SPW_OK);
    }
    for (int32_t i = 0; work->program.epilogue && i < program->epilogue_count; i++) {
        const struct spw_instruction *at = &program->epilogue[i];
        spw_norm_partials(PLACE(at->dw[0]), at->elements, PLACE(at->y), pool);
    }
#undef PLACE
    spw_lane_destroy(lane);
    spw_pool_destroy(pool);
}

static void compare_bits(uint32_t threads, bool reference, int64_t items, bool accumulate)
{
    struct bench b;
    bench_open(&b, threads, reference);
    struct spw_work work = small_program_work(&b.small, &b.small.backward, 4096);
    work.program.items = items;
    work.program.epilogue = true;
    work.program.accumulate_dw = accumulate;
    char *expected = aligned_alloc(64, b.bytes);
    memcpy(expected, b.open, b.bytes);
    cr_assert(run(&b, &work).status == SPW_OK);
    run_directly(&work, threads, reference, expected);
    /* Scratch memory ends in workspace, which is nobody's result. */
    const uint64_t results = work.program.binding_offset[SMALL_SCRATCH] - 4096;
    cr_assert(memcmp(expected, b.open, results) == 0, "%u threads, reference %d, %d items",
              (unsigned)threads, (int)reference, (int)items);
    free(expected);
    host_fixture_close(&b.f);
}

Test(host_work, gives_the_bits_of_a_plain_lane)
{
    compare_bits(1, false, 8, false);
    compare_bits(1, false, 8, true);
    compare_bits(1, false, 3, true);
    compare_bits(2, false, 8, true);
    compare_bits(1, true, 8, false);
    compare_bits(1, true, 5, true);
}

/* Against a loop written here, so that both sides can't be wrong in the same way. */
Test(host_work, computes_what_it_should)
{
    struct bench b;
    bench_open(&b, 1, false);
    const struct spw_work work = small_program_work(&b.small, &b.small.forward, 4096);
    cr_assert(run(&b, &work).status == SPW_OK);
    const float *w = binding(&b, &work, SMALL_WEIGHTS);
    const float *bias = (const float *)(const void *)((const char *)w + b.small.w_bytes) - 17;
    const float *x = binding(&b, &work, SMALL_IN);
    const float *y = binding(&b, &work, SMALL_OUT);
    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < 17; j++) {
            double sum = bias[j];
            for (int k = 0; k < 33; k++) {
                sum += (double)w[j * 33 + k] * (double)x[i * 33 + k];
            }
            sum = sum > 0 ? sum : 0;
            cr_assert(fabs(sum - (double)y[i * 17 + j]) < 1e-4, "row %d, column %d", i, j);
        }
    }
    host_fixture_close(&b.f);
}

/* Without the epilogue the norms stay as they were; with it they are there. */
Test(host_work, runs_the_epilogue_when_asked)
{
    struct bench b;
    bench_open(&b, 1, true);
    struct spw_work work = small_program_work(&b.small, &b.small.backward, 4096);
    double before;
    double after;
    memcpy(&before, binding(&b, &work, SMALL_NORM), sizeof(before));
    cr_assert(run(&b, &work).status == SPW_OK);
    memcpy(&after, binding(&b, &work, SMALL_NORM), sizeof(after));
    cr_assert(memcmp(&before, &after, sizeof(before)) == 0);
    work.program.epilogue = true;
    cr_assert(run(&b, &work).status == SPW_OK);
    memcpy(&after, binding(&b, &work, SMALL_NORM), sizeof(after));
    const float *dw = binding(&b, &work, SMALL_GRADS);
    double sum = 0;
    for (int i = 0; i < 17 * 33; i++) {
        sum += (double)dw[i] * (double)dw[i];
    }
    cr_assert(fabs(after - sum) < 1e-9 * sum, "%g instead of %g", after, sum);
    host_fixture_close(&b.f);
}

/* A bad weight shows at the op that reads it, a product too large at the op that makes it. */
Test(host_work, finds_where_numbers_go_wrong)
{
    struct bench b;
    bench_open(&b, 1, true);
    struct spw_work work = small_program_work(&b.small, &b.small.forward, 4096);
    work.program.check = true;
    struct spw_record record = run(&b, &work);
    cr_assert(record.status == SPW_OK && record.native == 0);

    float *w = binding(&b, &work, SMALL_WEIGHTS);
    const float good = w[40];
    w[40] = NAN;
    record = run(&b, &work);
    cr_assert(record.status == SPW_ERR_NUMERIC && record.native == 7);
    work.program.check = false;
    cr_assert(run(&b, &work).status == SPW_OK, "nobody asked");

    w = binding(&b, &work, SMALL_WEIGHTS);
    w[40] = good;
    /* Products of 3e38 overflow. */
    float *x = binding(&b, &work, SMALL_IN);
    for (int i = 0; i < 33 * 8; i++) {
        x[i] = 3e38f;
    }
    work.program.check = true;
    record = run(&b, &work);
    cr_assert(record.status == SPW_ERR_NUMERIC && record.native == 7);
    host_fixture_close(&b.f);
}

/* A failure is reported, and what comes after it runs all the same. */
Test(host_work, goes_on_after_a_failure)
{
    struct bench b;
    bench_open(&b, 1, true);
    struct spw_work bad = small_program_work(&b.small, &b.small.forward, 4096);
    struct spw_work good = bad;
    bad.program.check = true;
    binding(&b, &bad, SMALL_WEIGHTS)[0] = INFINITY;
    (void)host_fixture_copy(&b.f, SPW_QUEUE_IN, b.home, 4096, b.bytes, no_wait);
    cr_assert(host_fixture_next(&b.f, SPW_QUEUE_IN).status == SPW_OK);
    (void)host_fixture_submit(&b.f, &bad, no_wait);
    (void)host_fixture_submit(&b.f, &good, no_wait);
    cr_assert(host_fixture_next(&b.f, SPW_QUEUE_COMPUTE).status == SPW_ERR_NUMERIC);
    cr_assert(host_fixture_next(&b.f, SPW_QUEUE_COMPUTE).status == SPW_OK);
    host_fixture_close(&b.f);
}

/* An operand that escapes its binding and points to a home: the address is a key, not memory. */
Test(host_work, cannot_reach_a_guarded_home, .signal = SIGSEGV)
{
    struct bench b;
    bench_open(&b, 1, true);
    struct spw_work work = small_program_work(&b.small, &b.small.forward, 4096);
    const struct spw_host_device *host = (const struct spw_host_device *)(void *)b.f.device;
    const uintptr_t region = (uintptr_t)host->region;
    b.small.instructions[0].x[0].offset_bytes =
        (uintptr_t)b.home - region - work.program.binding_offset[SMALL_IN];
    (void)run(&b, &work);
}

/* The first byte past the region traps too. */
Test(host_work, cannot_leave_its_region, .signal = SIGSEGV)
{
    struct bench b;
    bench_open(&b, 1, true);
    struct spw_work work = small_program_work(&b.small, &b.small.forward, 4096);
    const uint64_t end = (b.f.device->caps.region_bytes + 4095) / 4096 * 4096;
    b.small.instructions[0].x[0].offset_bytes = end - work.program.binding_offset[SMALL_IN];
    (void)run(&b, &work);
}

Test(host_work, a_binding_outside_the_region_is_an_error, .signal = SIGABRT)
{
    struct bench b;
    bench_open(&b, 1, true);
    struct spw_work work = small_program_work(&b.small, &b.small.forward, 4096);
    work.program.binding_offset[SMALL_SCRATCH] += 4096;
    (void)host_fixture_submit(&b.f, &work, no_wait);
}

/* Preparing while the worker is busy, and while it waits for another queue. */
Test(host_work, prepares_between_commands)
{
    struct bench b;
    bench_open(&b, 1, false);
    const struct spw_work work = small_program_work(&b.small, &b.small.backward, 4096);
    cr_assert(run(&b, &work).status == SPW_OK);
    for (int64_t items = 1; items <= 8; items++) {
        const uint64_t in = host_fixture_copy(&b.f, SPW_QUEUE_IN, b.home, 4096, b.bytes, no_wait);
        for (int i = 0; i < 20; i++) {
            (void)host_fixture_submit(&b.f, &work, (struct spw_wait){SPW_QUEUE_IN, in});
        }
        cr_assert(b.f.device->backend->prepare(b.f.device, &b.small.backward, items, NULL) ==
                  SPW_OK);
        for (int i = 0; i < 20; i++) {
            cr_assert(host_fixture_next(&b.f, SPW_QUEUE_COMPUTE).status == SPW_OK);
        }
        cr_assert(host_fixture_next(&b.f, SPW_QUEUE_IN).status == SPW_OK);
    }
    host_fixture_close(&b.f);
}
