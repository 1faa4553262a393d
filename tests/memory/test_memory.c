/* test_memory.c — a run holds the memory that was planned, and between two steps nobody allocates.
 *
 * Two models train on two devices that hold an eighth of a model's state, with evaluation. From the
 * third step of both to the seventh of the first to get there, every call of the allocator on every
 * thread is counted; there, too, the process's resident set is compared with what was planned:
 * device regions, homes, data. A program of its own, as memory of other tests would count. */
#include "counted_malloc.h"

#include "models/arch.h"
#include "runtime/run.h"
#include "tests/support/temporary.h"
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOBS = 2, DEVICES = 2, FIRST = 3, LAST = 7, STEPS = 9, ITEMS = 256, SIDE = 28 };
#define ALLOWANCE (UINT64_C(64) << 20)

struct watch {
    uint64_t steps[JOBS];
    bool started, stopped;
    struct counted_malloc prepared, counted;
    uint64_t resident_bytes;
};

static int passed, failed;

static void check(bool right, const char *what)
{
    passed += right;
    failed += !right;
    if (!right) {
        printf("FAIL %s\n", what);
    }
}

static void must(enum spw_status status, const struct spw_error *error)
{
    if (status != SPW_OK) {
        (void)fprintf(stderr, "%s\n", error->what);
        abort();
    }
}

/* ---- the process's memory ---- */

/* In bytes; no stdio, which would allocate. 0 if the kernel does not say. */
static uint64_t resident_bytes(void)
{
    char text[128] = {0};
    struct spw_file *file;
    const struct spw_world *world = spw_world_system();
    uint64_t got = 0, pages = 0;
    if (world->open(world->self, "/proc/self/statm", SPW_OPEN_READ, &file) != 0) {
        return 0;
    }
    (void)world->read(world->self, file, text, sizeof text - 1, &got);
    (void)world->close(world->self, file);
    return sscanf(text, "%*u %" SCNu64, &pages) == 1 ? pages * 4096 : 0;
}

static void on_step(void *self, struct spw_job *job, const struct spw_step_result *result)
{
    struct watch *watch = self;
    uint64_t least = UINT64_MAX;
    if (watch->steps[0] + watch->steps[1] == 0) {
        watch->prepared = counted_malloc_stop();
    }
    watch->steps[spw_job_index(job)] = result->step;
    for (int i = 0; i < JOBS; i++) {
        least = watch->steps[i] < least ? watch->steps[i] : least;
    }
    if (!watch->started && least >= FIRST) {
        watch->started = true;
        counted_malloc_start();
    } else if (watch->started && !watch->stopped && result->step >= LAST) {
        watch->stopped = true;
        watch->counted = counted_malloc_stop();
        watch->resident_bytes = resident_bytes();
    }
}

/* ---- what is trained ---- */

static void put_big_endian(unsigned char *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        out[i] = (unsigned char)(value >> (24 - 8 * i));
    }
}

static struct spw_dataset *make_images(void)
{
    static unsigned char images[16 + ITEMS * SIDE * SIDE], labels[8 + ITEMS];
    struct spw_temporary folder;
    struct spw_error error = {0};
    struct spw_dataset *set = NULL;
    char x[512], y[512];
    put_big_endian(images, 0x00000803);
    put_big_endian(images + 4, ITEMS);
    put_big_endian(images + 8, SIDE);
    put_big_endian(images + 12, SIDE);
    put_big_endian(labels, 0x00000801);
    put_big_endian(labels + 4, ITEMS);
    for (uint32_t i = 0; i < ITEMS; i++) {
        labels[8 + i] = (unsigned char)(i % 10);
        images[16 + i * SIDE * SIDE + i % 10] = 255;
    }
    spw_temporary_init(&folder);
    spw_temporary_write(&folder, "x", images, sizeof images);
    spw_temporary_write(&folder, "y", labels, sizeof labels);
    must(spw_dataset_open(spw_world_system(), SPW_DATA_IDX, spw_temporary_path(&folder, "x", x),
                          spw_temporary_path(&folder, "y", y), 0, &error, &set),
         &error);
    spw_temporary_deinit(&folder);
    return set;
}

static struct spw_graph *make_model(void)
{
    const struct spw_cnn_config config = {
        .channels = {8, 32},
        .channels_count = 2,
        .hidden = {512, 640, 640, 640, 640, 640, 640, 640, 640, 640, 640, 640, 640},
        .hidden_count = 13,
        .activation = SPW_ACT_GELU,
        .dropout = 0.1};
    const struct spw_shape image = {.rank = 3, .dim = {1, SIDE, SIDE}};
    struct spw_error error = {0};
    struct spw_graph *graph = NULL;
    must(spw_arch_cnn(spw_world_system(), "cnn", &config, image, 10, 1, &error, &graph), &error);
    return graph;
}

static struct spw_run_config run_config(const struct spw_graph *graph, struct watch *watch,
                                        enum spw_update_place place)
{
    return (struct spw_run_config){
        .machine = {.kind = SPW_MACHINE_HOST,
                    .device_count = DEVICES,
                    .threads = 2,
                    .mem_bytes = (uint64_t)graph->parameter_count * 16 / 8 / 4096 * 4096},
        .host_bytes = UINT64_C(2) << 30,
        .prefetch = -1,
        .update_place = (int32_t)place,
        .keep = -1,
        .events = {.self = watch, .step = on_step},
    };
}

static void report(const struct watch *watch, uint64_t planned, const char *place)
{
    const double mib = 1048576.0;
    Dl_info info = {0};
    if (watch->counted.first != NULL) {
        (void)dladdr(watch->counted.first, &info);
    }
    printf("updates on %s: resident %.1f MiB = planned %.1f + %.1f; steps %d to %d: %" PRIu64
           " calls of the allocator by us, %" PRIu64 " by vendor libraries%s%s\n",
           place, (double)watch->resident_bytes / mib, (double)planned / mib,
           ((double)watch->resident_bytes - (double)planned) / mib, FIRST, LAST,
           watch->counted.calls[COUNTED_OURS], watch->counted.calls[COUNTED_VENDOR],
           info.dli_fname != NULL ? ", first of ours in " : "",
           info.dli_sname != NULL   ? info.dli_sname
           : info.dli_fname != NULL ? info.dli_fname
                                    : "");
}

static void train(const struct spw_graph *graph, const struct spw_dataset *set,
                  enum spw_update_place place)
{
    struct watch watch = {0};
    struct spw_error error = {0};
    struct spw_run *run = NULL;
    const struct spw_run_config config = run_config(graph, &watch, place);
    uint64_t planned = config.machine.mem_bytes * DEVICES + spw_dataset_info(set)->resident_bytes;
    uint64_t evictions = 0;
    must(spw_run_create(spw_world_system(), &config, &error, &run), &error);
    for (int i = 0; i < JOBS; i++) {
        const struct spw_job_config job = {
            .id = i == 0 ? "a" : "b",
            .graph = graph,
            .train = set,
            .valid = set,
            .optimizer = {.name = SPW_ADAMW,
                          .beta1 = 0.9,
                          .beta2 = 0.999,
                          .eps = 1e-8,
                          .weight_decay = 0.01,
                          .grad_clip = 1.0},
            .lr = 1e-3 / (1 + i),
            .seed = 1,
            .shuffle = true,
            .batch = 20, /* micro-batches of 8, 8 and 4 */
            .micro_batch = 8,
            .grad_groups = 1,
            .max_steps = STEPS,
            .eval_every = 2,
            .eval_batches = 2,
        };
        struct spw_job *added;
        must(spw_run_add(run, &job, &error, &added), &error);
        planned += spw_job_plan(added)->totals.home_bytes;
    }
    counted_malloc_start();
    must(spw_run_execute(run, &error), &error);
    for (uint32_t i = 0; i < DEVICES; i++) {
        struct spw_device_stats stats;
        spw_run_device_stats(run, i, &stats);
        evictions += stats.evictions;
    }
    spw_run_destroy(run);
    report(&watch, planned, place == SPW_UPDATE_ON_CORES ? "the host cores" : "the devices");
    check(watch.stopped, "both jobs trained to the end of the count");
    check(evictions > 0, "blocks were evicted");
    check(watch.prepared.calls[COUNTED_OURS] > 0 && watch.prepared.calls[COUNTED_VENDOR] > 0,
          "allocations of both kinds are seen while jobs are admitted");
    check(watch.counted.calls[COUNTED_OURS] == 0, "nothing of ours allocates between steps");
    check(watch.resident_bytes < planned + ALLOWANCE, "resident memory is what was planned");
    check(watch.resident_bytes > planned - planned / 16, "and what was planned is resident");
}

/* The counters count: else zero would mean nothing. */
static void check_counters(void)
{
    counted_malloc_start();
    void *volatile memory = malloc(100);
    free(memory);
    memory = spw_world_system()->allocate(spw_world_system()->self, 100);
    spw_release(spw_world_system(), memory);
    check(counted_malloc_stop().calls[COUNTED_OURS] == 4, "allocations are counted");
}

int main(void)
{
    counted_malloc_init();
    check_counters();
    struct spw_dataset *set = make_images();
    struct spw_graph *graph = make_model();
    train(graph, set, SPW_UPDATE_ON_CORES);
    train(graph, set, SPW_UPDATE_ON_DEVICE);
    spw_graph_destroy(graph);
    spw_dataset_close(set);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
