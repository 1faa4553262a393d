/* Tests of runtime/device/host_queue.c and host.c: order, waits, bounds, opening and closing. */
#include "host_fixture.h"
#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define CAPACITY 1024

static const struct spw_wait no_wait = {SPW_QUEUE_COMPUTE, 0};

static float *take_floats(struct host_fixture *fixture, uint64_t count)
{
    void *home = NULL;
    cr_assert(spw_home_take(fixture->home, count * sizeof(float), NULL, &home) == SPW_OK);
    return home;
}

Test(host_queue, tells_what_it_is)
{
    struct host_fixture f = {0};
    host_fixture_open(&f, (struct spw_device_config){.index = 3, .region_bytes = 8192}, false);
    cr_assert(strcmp(f.device->name, "host:3") == 0);
    cr_assert(f.device->backend == &spw_backend_host);
    cr_assert(f.device->caps.region_bytes == 8192 && f.device->caps.threads == 1);
    cr_assert(f.device->caps.holds_data && f.device->caps.shared_clock);
    cr_assert(!f.device->caps.virtual_time && f.device->caps.link_bytes_per_s == 0);
    host_fixture_close(&f);
    spw_backend_host.close(NULL);
}

Test(host_queue, runs_in_order_with_rising_tickets_and_times)
{
    struct host_fixture f = {0};
    host_fixture_open(&f, (struct spw_device_config){0}, false);
    const struct spw_work work = host_fixture_empty_work(0);
    for (uint64_t i = 1; i <= 500; i++) {
        cr_assert(host_fixture_submit(&f, &work, no_wait) == i);
    }
    uint64_t last_end = 0;
    for (uint64_t i = 1; i <= 500; i++) {
        const struct spw_record record = host_fixture_next(&f, SPW_QUEUE_COMPUTE);
        cr_assert(record.ticket == i && record.status == SPW_OK && record.native == 0);
        cr_assert(record.ready_ns <= record.start_ns && record.start_ns <= record.end_ns);
        cr_assert(record.start_ns >= last_end);
        last_end = record.end_ns;
    }
    cr_assert(last_end <= spw_now_ns(f.world));
    struct spw_record none;
    cr_assert(!f.device->backend->poll(f.device, SPW_QUEUE_COMPUTE, &none));
    host_fixture_close(&f);
}

/* A chain through all three queues, many times over: each command sees what those before it did. */
Test(host_queue, waits_order_the_queues)
{
    struct host_fixture f = {0};
    host_fixture_open(&f, (struct spw_device_config){0}, true);
    const uint64_t bytes = 4096;
    float *a = take_floats(&f, bytes / 4);
    float *b = take_floats(&f, bytes / 4);
    float *open_a = spw_home_open(f.home, a);
    const float *open_b = spw_home_open(f.home, b);
    for (int i = 0; i < 1024; i++) {
        open_a[i] = (float)i;
    }
    /* a -> region -> b -> region (elsewhere) -> a, each waiting for the one before, on the other
     * queue: all enqueued before the first has run. */
    uint64_t ticket = 0;
    const int rounds = 100;
    for (int i = 0; i < rounds; i++) {
        const struct spw_wait out = {SPW_QUEUE_OUT, ticket};
        ticket = host_fixture_copy(&f, SPW_QUEUE_IN, a, 0, bytes, out);
        ticket = host_fixture_copy(&f, SPW_QUEUE_OUT, b, 0, bytes,
                                   (struct spw_wait){SPW_QUEUE_IN, ticket});
        ticket = host_fixture_copy(&f, SPW_QUEUE_IN, b, 65536, bytes,
                                   (struct spw_wait){SPW_QUEUE_OUT, ticket});
        ticket = host_fixture_copy(&f, SPW_QUEUE_OUT, a, 65536, bytes,
                                   (struct spw_wait){SPW_QUEUE_IN, ticket});
    }
    uint64_t in_end = 0;
    uint64_t out_end = 0;
    for (int i = 0; i < 2 * rounds; i++) {
        const struct spw_record in = host_fixture_next(&f, SPW_QUEUE_IN);
        const struct spw_record out = host_fixture_next(&f, SPW_QUEUE_OUT);
        cr_assert(in.start_ns >= out_end && in.start_ns >= in_end, "round %d", i);
        cr_assert(out.ready_ns >= in.end_ns && out.start_ns >= out.ready_ns, "round %d", i);
        in_end = in.end_ns;
        out_end = out.end_ns;
    }
    for (int i = 0; i < 1024; i++) {
        cr_assert(open_a[i] == (float)i && open_b[i] == (float)i);
    }
    host_fixture_close(&f);
}

/* Records that nobody polled count against the capacity: nothing is ever overwritten. */
Test(host_queue, is_busy_when_full)
{
    struct host_fixture f = {0};
    host_fixture_open(&f, (struct spw_device_config){0}, false);
    float *home = take_floats(&f, 16);
    const struct spw_copy copy = {.home = home, .region_offset = 0, .bytes = 64};
    const struct spw_work work = host_fixture_empty_work(0);
    uint64_t ticket = 0;
    for (uint64_t i = 1; i <= CAPACITY; i++) {
        cr_assert(f.device->backend->copy(f.device, SPW_QUEUE_IN, &copy, 1, NULL, 0, &ticket) ==
                  SPW_OK);
        cr_assert(ticket == i);
        cr_assert(host_fixture_submit(&f, &work, no_wait) == i);
    }
    for (int i = 0; i < 3; i++) {
        cr_assert(f.device->backend->copy(f.device, SPW_QUEUE_IN, &copy, 1, NULL, 0, &ticket) ==
                  SPW_ERR_BUSY);
        cr_assert(f.device->backend->submit(f.device, &work, NULL, 0, &ticket) == SPW_ERR_BUSY);
        cr_assert(ticket == CAPACITY, "left alone");
        /* Done or not makes no difference. */
        f.world->sleep_until(f.world->self, spw_now_ns(f.world) + 5000000);
    }
    cr_assert(host_fixture_next(&f, SPW_QUEUE_IN).ticket == 1);
    cr_assert(f.device->backend->copy(f.device, SPW_QUEUE_IN, &copy, 1, NULL, 0, &ticket) ==
              SPW_OK);
    cr_assert(ticket == CAPACITY + 1);
    cr_assert(f.device->backend->copy(f.device, SPW_QUEUE_IN, &copy, 1, NULL, 0, &ticket) ==
              SPW_ERR_BUSY);
    for (uint64_t i = 2; i <= CAPACITY + 1; i++) {
        cr_assert(host_fixture_next(&f, SPW_QUEUE_IN).ticket == i);
    }
    host_fixture_close(&f); /* with 1024 records of works that nobody asked for */
}

Test(host_queue, finishes_what_is_enqueued_before_it_closes)
{
    struct host_fixture f = {0};
    host_fixture_open(&f, (struct spw_device_config){0}, false);
    const uint64_t count = 250000;
    float *a = take_floats(&f, count);
    float *b = take_floats(&f, count);
    for (uint64_t i = 0; i < count; i++) {
        a[i] = (float)i;
    }
    for (int i = 0; i < 20; i++) {
        const uint64_t in = host_fixture_copy(&f, SPW_QUEUE_IN, a, 0, count * 4, no_wait);
        (void)host_fixture_copy(&f, SPW_QUEUE_OUT, b, 0, count * 4,
                                (struct spw_wait){SPW_QUEUE_IN, in});
    }
    spw_backend_host.close(f.device);
    cr_assert(memcmp(a, b, count * 4) == 0);
    spw_home_destroy(f.home);
    spw_gate_destroy(f.gate);
}

Test(host_queue, a_wait_for_what_is_not_enqueued_is_an_error, .signal = SIGABRT)
{
    struct host_fixture f = {0};
    host_fixture_open(&f, (struct spw_device_config){0}, false);
    const struct spw_work work = host_fixture_empty_work(0);
    (void)host_fixture_submit(&f, &work, (struct spw_wait){SPW_QUEUE_IN, 1});
}

Test(host_queue, a_copy_past_the_region_is_an_error, .signal = SIGABRT)
{
    struct host_fixture f = {0};
    host_fixture_open(&f, (struct spw_device_config){.region_bytes = 8192}, false);
    (void)host_fixture_copy(&f, SPW_QUEUE_IN, take_floats(&f, 1024), 4097, 4096, no_wait);
}

Test(host_queue, poison_is_not_a_number)
{
    struct host_fixture f = {0};
    host_fixture_open(&f, (struct spw_device_config){0}, false);
    uint32_t *home = (uint32_t *)(void *)take_floats(&f, 64);
    f.device->backend->poison(f.device, 128, 128);
    (void)host_fixture_copy(&f, SPW_QUEUE_OUT, home, 64, 256, no_wait);
    cr_assert(host_fixture_next(&f, SPW_QUEUE_OUT).status == SPW_OK);
    for (int i = 0; i < 64; i++) {
        cr_assert(home[i] == (i >= 16 && i < 48 ? UINT32_C(0x7fc00000) : 0), "word %d", i);
    }
    host_fixture_close(&f);
}

static int64_t allocations(const struct spw_fault_world *fault)
{
    return (int64_t)fault->calls[SPW_FAULT_ALLOCATION];
}

Test(host_queue, allocates_nothing_after_it_is_prepared)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    struct host_fixture f = {.world = &fault.world};
    struct small_program small;
    small_program_init(&small, 16, 8, 4, 1);
    host_fixture_open(&f, (struct spw_device_config){.reference_kernels = true}, false);
    float *home = take_floats(&f, 64);
    cr_assert(f.device->backend->prepare(f.device, &small.backward, 4, NULL) == SPW_OK);
    const int64_t before = allocations(&fault);
    struct spw_work work = small_program_work(&small, &small.backward, 4096);
    work.program.epilogue = true;
    for (int i = 0; i < 2000; i++) {
        const uint64_t in = host_fixture_copy(&f, SPW_QUEUE_IN, home, 0, 256, no_wait);
        (void)host_fixture_submit(&f, &work, (struct spw_wait){SPW_QUEUE_IN, in});
        cr_assert(host_fixture_next(&f, SPW_QUEUE_COMPUTE).status == SPW_OK);
        cr_assert(host_fixture_next(&f, SPW_QUEUE_IN).status == SPW_OK);
    }
    cr_assert(allocations(&fault) == before);
    host_fixture_close(&f);
    cr_assert(spw_fault_world_clean(&fault));
}

/* Every allocation of opening fails once. */
Test(host_queue, survives_a_lack_of_memory)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    struct host_fixture f = {.world = &fault.world};
    host_fixture_open(&f, (struct spw_device_config){0}, false);
    spw_backend_host.close(f.device);
    const int64_t live = fault.live_allocations;
    const struct spw_device_config config = {
        .region_bytes = 4096, .threads = 2, .home = f.home, .reference_kernels = true};
    for (uint64_t at = 1;; at++) {
        spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = at});
        struct spw_error error = {0};
        f.device = NULL;
        const enum spw_status status =
            spw_backend_host.open(&fault.world, &config, f.gate, &error, &f.device);
        cr_assert(status == (spw_fault_world_struck(&fault) ? SPW_ERR_NO_MEMORY : SPW_OK));
        spw_backend_host.close(f.device);
        cr_assert(fault.live_allocations == live, "allocation %d", (int)at);
        if (status == SPW_OK) {
            cr_assert(at > 10);
            break;
        }
    }
    spw_home_destroy(f.home);
    spw_gate_destroy(f.gate);
}

Test(host_queue, refuses_regions_that_cannot_be)
{
    struct host_fixture f = {0};
    host_fixture_open(&f, (struct spw_device_config){0}, false);
    const uint64_t sizes[] = {0, UINT64_MAX, UINT64_C(1) << 62};
    for (int i = 0; i < 3; i++) {
        const struct spw_device_config config = {.region_bytes = sizes[i], .home = f.home};
        struct spw_device *none = NULL;
        struct spw_error error = {0};
        const enum spw_status status =
            spw_backend_host.open(f.world, &config, f.gate, &error, &none);
        cr_assert(status == (i == 2 ? SPW_ERR_NO_MEMORY : SPW_ERR_ARGUMENT));
        cr_assert(none == NULL && error.status == status && error.what[0] != '\0');
    }
    host_fixture_close(&f);
}

static uint64_t cpu_ns(void)
{
    struct rusage usage;
    cr_assert(getrusage(RUSAGE_SELF, &usage) == 0);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

/* Also while a worker waits for another queue's command that takes long. */
Test(host_queue, idle_workers_use_no_processor)
{
    struct host_fixture f = {0};
    host_fixture_open(&f, (struct spw_device_config){.pace_model = true}, false);
    const struct spw_work work = host_fixture_empty_work(300000000);
    float *home = take_floats(&f, 16);
    const uint64_t before = cpu_ns();
    const uint64_t ticket = host_fixture_submit(&f, &work, no_wait);
    (void)host_fixture_copy(&f, SPW_QUEUE_OUT, home, 0, 64,
                            (struct spw_wait){SPW_QUEUE_COMPUTE, ticket});
    cr_assert(host_fixture_next(&f, SPW_QUEUE_OUT).status == SPW_OK);
    const uint64_t used = cpu_ns() - before;
    cr_assert(used < 15000000, "%lu ns in 300 ms", (unsigned long)used);
    host_fixture_close(&f);
}

/* The host cores: no region of their own, no copy queues. */
Test(host_queue, cores_work_in_the_homes)
{
    struct host_fixture f = {0};
    host_fixture_open(&f, (struct spw_device_config){.is_cores = true}, true);
    cr_assert(strcmp(f.device->name, "cores") == 0);
    cr_assert(f.device->caps.region_bytes == spw_home_region_bytes(f.home));
    float *home = take_floats(&f, 16);
    const struct spw_copy copy = {.home = home, .bytes = 64};
    uint64_t ticket = 0;
    cr_assert(f.device->backend->copy(f.device, SPW_QUEUE_IN, &copy, 1, NULL, 0, &ticket) ==
              SPW_ERR_UNSUPPORTED);
    struct spw_record none;
    cr_assert(!f.device->backend->poll(f.device, SPW_QUEUE_IN, &none));

    struct small_program small;
    small_program_init(&small, 4, 4, 1, 1);
    float *memory = take_floats(&f, small_program_bytes(&small) / 4);
    float *open = spw_home_open(f.home, memory);
    const uint64_t base = spw_home_offset(f.home, memory);
    const struct spw_work work = small_program_work(&small, &small.forward, base);
    float *x = open + (work.program.binding_offset[SMALL_IN] - base) / 4;
    const float *y = open + (work.program.binding_offset[SMALL_OUT] - base) / 4;
    for (int i = 0; i < 4; i++) {
        open[5 * i] = 2.0f; /* the diagonal of the weight */
        x[i] = (float)(i + 1);
    }
    cr_assert(f.device->backend->prepare(f.device, &small.forward, 1, NULL) == SPW_OK);
    /* The executor says "no wait" by ticket 0 of any queue. */
    (void)host_fixture_submit(&f, &work, (struct spw_wait){SPW_QUEUE_IN, 0});
    cr_assert(host_fixture_next(&f, SPW_QUEUE_COMPUTE).status == SPW_OK);
    for (int i = 0; i < 4; i++) {
        cr_assert(y[i] == 2.0f * (float)(i + 1));
    }
    host_fixture_close(&f);
}
