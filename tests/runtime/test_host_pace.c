/* Tests of runtime/device/host_pace.c: throttled links, and modelled time against closed forms. */
#include "host_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

#define MS UINT64_C(1000000)

static const struct spw_wait no_wait = {SPW_QUEUE_COMPUTE, 0};

static void *take(struct host_fixture *f, uint64_t bytes)
{
    void *home = NULL;
    cr_assert(spw_home_take(f->home, bytes, NULL, &home) == SPW_OK);
    return home;
}

/* A work so long that everything behind it is enqueued before it ends: then the modelled times are
 * pure arithmetic, whatever else the machine does. Waiting for it is how to start. */
static struct spw_wait block_queues(struct host_fixture *f)
{
    const struct spw_work work = host_fixture_empty_work(100 * MS);
    return (struct spw_wait){SPW_QUEUE_COMPUTE, host_fixture_submit(f, &work, no_wait)};
}

/* The pipeline of a spilling run: copy in, work, copy out, through a ring of two slots. Returns the
 * modelled time from the first start to the last end. */
static uint64_t pipeline(uint64_t link, uint64_t bytes, uint64_t work_ns, int count)
{
    struct host_fixture f = {0};
    host_fixture_open(&f,
                      (struct spw_device_config){.region_bytes = UINT64_C(1) << 20,
                                                 .pace_model = true,
                                                 .link_bytes_per_s = link},
                      true);
    void *home = take(&f, bytes);
    const struct spw_work work = host_fixture_empty_work(work_ns);
    uint64_t worked[2] = {block_queues(&f).ticket, 1};
    uint64_t out[2] = {0, 0};
    for (int i = 0; i < count; i++) {
        const uint64_t offset = (uint64_t)(i % 2) * bytes;
        const struct spw_copy copy = {home, offset, bytes};
        const struct spw_wait free_slot[] = {{SPW_QUEUE_COMPUTE, worked[i % 2]},
                                             {SPW_QUEUE_OUT, out[i % 2]}};
        uint64_t in;
        cr_assert(f.device->backend->copy(f.device, SPW_QUEUE_IN, &copy, 1, free_slot, 2, &in) ==
                  SPW_OK);
        worked[i % 2] = host_fixture_submit(&f, &work, (struct spw_wait){SPW_QUEUE_IN, in});
        out[i % 2] = host_fixture_copy(&f, SPW_QUEUE_OUT, home, offset, bytes,
                                       (struct spw_wait){SPW_QUEUE_COMPUTE, worked[i % 2]});
    }
    const uint64_t begin = host_fixture_next(&f, SPW_QUEUE_COMPUTE).end_ns;
    uint64_t end = 0;
    for (int i = 0; i < count; i++) {
        for (int queue = 0; queue < SPW_QUEUE_COUNT; queue++) {
            const struct spw_record record = host_fixture_next(&f, (enum spw_queue)queue);
            cr_assert(record.end_ns - record.start_ns ==
                      (queue == SPW_QUEUE_COMPUTE ? work_ns : bytes * 1000000000 / link));
            cr_assert(record.start_ns >= record.ready_ns && record.ready_ns >= begin);
            end = record.end_ns > end ? record.end_ns : end;
        }
    }
    cr_assert(spw_now_ns(f.world) >= end, "modelled time never runs ahead");
    host_fixture_close(&f);
    return end - begin;
}

static void check_pipeline(uint64_t link, uint64_t work_ns, uint64_t expected_ns)
{
    const uint64_t seen = pipeline(link, 100000, work_ns, 20);
    cr_assert(seen == expected_ns, "%.3f ms instead of %.3f", (double)seen / 1e6,
              (double)expected_ns / 1e6);
}

/* With two slots a slot's round is copy + work + copy, and two rounds overlap; a queue that is busy
 * all the time is the other bound. */
Test(host_pace, overlaps_copies_and_work_as_the_closed_form_says)
{
    /* Work binds: in, then 20 works without a gap, then out. */
    check_pipeline(100000000, 4 * MS, (1 + 20 * 4 + 1) * MS);
    /* Copies of 4 ms, work of 1 ms: a round of 9 ms per two items; the last ends 4 ms later. */
    check_pipeline(25000000, 1 * MS, (10 * 9 + 4) * MS);
    /* All alike, 2 ms: a round of 6 ms per two items; the last ends 2 ms later. */
    check_pipeline(50000000, 2 * MS, (10 * 6 + 2) * MS);
}

/* Without waits three queues work at the same time. */
Test(host_pace, queues_do_not_disturb_each_other)
{
    struct host_fixture f = {0};
    host_fixture_open(&f, (struct spw_device_config){.pace_model = true}, false);
    cr_assert(f.device->caps.link_bytes_per_s == 1000000000);
    cr_assert(f.device->caps.flops_per_s == 2000000000);
    void *home = take(&f, 1000000);
    const struct spw_work work = host_fixture_empty_work(MS);
    const struct spw_wait begin = block_queues(&f);
    for (int i = 0; i < 50; i++) {
        (void)host_fixture_submit(&f, &work, no_wait);
        (void)host_fixture_copy(&f, SPW_QUEUE_IN, home, 0, 1000000, begin);
        (void)host_fixture_copy(&f, SPW_QUEUE_OUT, home, 0, 1000000, begin);
    }
    const uint64_t begin_ns = host_fixture_next(&f, SPW_QUEUE_COMPUTE).end_ns;
    for (int queue = 0; queue < SPW_QUEUE_COUNT; queue++) {
        uint64_t last_ns = begin_ns;
        for (int i = 0; i < 50; i++) {
            const struct spw_record record = host_fixture_next(&f, (enum spw_queue)queue);
            cr_assert(record.start_ns == last_ns, "queue %d, command %d: a gap", queue, i);
            last_ns = record.end_ns;
        }
        cr_assert(last_ns - begin_ns == 50 * MS);
    }
    host_fixture_close(&f);
}

/* Without an estimate the model counts operations: 2 GFLOP/s by default. */
Test(host_pace, works_without_an_estimate_take_the_time_of_their_operations)
{
    struct host_fixture f = {0};
    struct small_program small;
    small_program_init(&small, 32, 16, 64, 1);
    host_fixture_open(&f, (struct spw_device_config){.pace_model = true, .flops_per_s = 10000000},
                      false);
    for (int64_t items = 64; items >= 1; items /= 8) {
        struct spw_work work = small_program_work(&small, &small.forward, 0);
        work.program.items = items;
        uint64_t flops = spw_op_cost(&small.linear, items, SPW_FORWARD).flops;
        flops += spw_op_cost(&small.relu, items, SPW_FORWARD).flops;
        cr_assert(flops > 0);
        cr_assert(f.device->backend->prepare(f.device, &small.forward, items, NULL) == SPW_OK);
        (void)host_fixture_submit(&f, &work, no_wait);
        const struct spw_record record = host_fixture_next(&f, SPW_QUEUE_COMPUTE);
        cr_assert(record.end_ns - record.start_ns == flops * 100);
    }
    host_fixture_close(&f);
}

/* A work that really takes longer than its model does not shift what is behind it. */
Test(host_pace, a_late_command_is_not_passed_on)
{
    struct host_fixture f = {0};
    struct small_program small;
    small_program_init(&small, 512, 512, 256, 1);
    host_fixture_open(&f,
                      (struct spw_device_config){.region_bytes = small_program_bytes(&small),
                                                 .pace_model = true,
                                                 .reference_kernels = true},
                      false);
    cr_assert(f.device->backend->prepare(f.device, &small.forward, 256, NULL) == SPW_OK);
    struct spw_work work = small_program_work(&small, &small.forward, 0);
    work.model_ns = 1; /* really some milliseconds */
    const struct spw_work next = host_fixture_empty_work(100 * MS);
    (void)block_queues(&f);
    (void)host_fixture_submit(&f, &work, no_wait);
    (void)host_fixture_submit(&f, &next, no_wait);
    (void)host_fixture_next(&f, SPW_QUEUE_COMPUTE);
    const struct spw_record first = host_fixture_next(&f, SPW_QUEUE_COMPUTE);
    const struct spw_record second = host_fixture_next(&f, SPW_QUEUE_COMPUTE);
    cr_assert(first.end_ns - first.start_ns == 1);
    cr_assert(second.start_ns == first.end_ns);
    cr_assert(second.end_ns - second.start_ns == 100 * MS);
    cr_assert(spw_now_ns(f.world) >= second.end_ns);
    host_fixture_close(&f);
}

/* A link rate alone: copies are held back, works are not. */
Test(host_pace, a_link_holds_back_copies_only)
{
    struct host_fixture f = {0};
    host_fixture_open(&f, (struct spw_device_config){.link_bytes_per_s = 100000000}, false);
    cr_assert(f.device->caps.link_bytes_per_s == 100000000);
    void *home = take(&f, 1000000);
    const struct spw_work work = host_fixture_empty_work(1000 * MS);
    const uint64_t begin = spw_now_ns(f.world);
    for (int i = 0; i < 10; i++) {
        (void)host_fixture_copy(&f, SPW_QUEUE_IN, home, 0, 1000000, no_wait);
    }
    (void)host_fixture_submit(&f, &work, no_wait);
    const struct spw_record worked = host_fixture_next(&f, SPW_QUEUE_COMPUTE);
    cr_assert(worked.end_ns - worked.start_ns < 100 * MS);
    uint64_t last = 0;
    for (int i = 0; i < 10; i++) {
        const struct spw_record record = host_fixture_next(&f, SPW_QUEUE_IN);
        cr_assert(record.end_ns - record.start_ns >= 10 * MS);
        cr_assert(record.start_ns >= last);
        last = record.end_ns;
    }
    cr_assert(last - begin >= 100 * MS && last - begin < 150 * MS, "%.3f ms",
              (double)(last - begin) / 1e6);
    host_fixture_close(&f);
}
