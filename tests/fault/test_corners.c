/* test_corners.c — schedules at their edges, each against the oracle's bits: one step, one node,
 * more micro-batches than a queue holds, groups without work, jobs that leave at any moment,
 * devices of unlike speeds. What can't be trained must end, with a reason. */
#include "cases.h"
#include "fault_backend.h"
#include "watch.h"

#include "tests/support/temporary.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct spw_run_config config_of(uint32_t devices, uint64_t mem_bytes)
{
    return (struct spw_run_config){
        .machine = {.kind = SPW_MACHINE_HOST,
                    .device_count = devices,
                    .threads = 1,
                    .mem_bytes = mem_bytes},
        .host_bytes = UINT64_C(64) << 20,
        .prefetch = -1,
        .update_place = -1,
        .keep = -1,
        .guarded_homes = true,
        .poison = true,
    };
}

static const uint64_t FITS = UINT64_C(4) << 20;

static void open_run(struct watch *watch, struct spw_run_config *config)
{
    struct spw_error error = {0};
    config->events = watch_events(watch);
    cr_assert(spw_run_create(spw_world_system(), config, &error, &watch->run) == SPW_OK, "%s",
              error.what);
}

static void add(struct watch *watch, const struct spw_job_config *job,
                const struct oracle_result *want)
{
    struct spw_error error = {0};
    cr_assert(watch_add(watch, job, want, &error) == SPW_OK, "%s", error.what);
}

static void expect_right(const struct watch *watch, uint32_t index, const char *where)
{
    char why[WATCH_FAULT_BYTES];
    cr_assert(watch_fault(watch, index, why) == NULL, "%s: %s", where, why);
}

static uint64_t least_memory(const struct spw_job_config *job)
{
    struct watch watch = {0};
    struct spw_run_config config = config_of(1, FITS);
    struct spw_error error = {0};
    uint64_t least = 0;
    config.update_place = SPW_UPDATE_ON_DEVICE;
    open_run(&watch, &config);
    cr_assert(spw_run_least_memory(watch.run, job, &error, &least) == SPW_OK, "%s", error.what);
    spw_run_destroy(watch.run);
    return least;
}

/* Trains two of the job at once, with and without room, on one device and several. */
static void check_everywhere(const struct spw_job_config *job)
{
    struct oracle_result want = oracle_train(job, 1, false);
    const uint64_t memory[] = {least_memory(job), FITS};
    for (int i = 0; i < 32; i++) {
        struct watch watch = {0};
        struct spw_run_config config = config_of(i & 1 ? 3 : 1, memory[i >> 1 & 1]);
        config.prefetch = i >> 2 & 1;
        config.update_place = i >> 3 & 1;
        config.policy = i >> 4 & 1 ? SPW_POLICY_RANDOM : SPW_POLICY_LRTF;
        config.policy_seed = (uint64_t)i;
        open_run(&watch, &config);
        add(&watch, job, &want);
        add(&watch, job, &want);
        cr_assert(spw_run_execute(watch.run, NULL) == SPW_OK);
        char where[128];
        (void)snprintf(where, sizeof where, "%s, setting %d", job->id, i);
        expect_right(&watch, 0, where);
        expect_right(&watch, 1, where);
        spw_run_destroy(watch.run);
    }
    oracle_free(&want);
}

/* ---- sizes ---- */

Test(corners, one_step)
{
    for (int c = 0; c < CASE_COUNT; c++) {
        struct bits_case it;
        bits_case_init(&it, c);
        it.config.max_steps = 1;
        it.config.epochs = 0;
        check_everywhere(&it.config);
        bits_case_deinit(&it);
    }
}

Test(corners, a_batch_smaller_than_a_micro_batch)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    it.config.batch = 3;
    it.config.micro_batch = 8;
    it.config.max_steps = 2;
    check_everywhere(&it.config);
    bits_case_deinit(&it);
}

/* Evaluation over fewer items than a micro-batch, after every step. */
Test(corners, a_short_evaluation)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    it.config.batch = 64;
    it.config.micro_batch = 40;
    it.config.eval_every = 1;
    check_everywhere(&it.config);
    it.config.batch = 22; /* its second batch is one item */
    it.config.micro_batch = 7;
    check_everywhere(&it.config);
    bits_case_deinit(&it);
}

/* By epochs, a full batch fills the groups and the epoch's last one does not: what the groups held
 * before must not be added. With a tied weight, too. */
Test(corners, groups_that_lose_their_work)
{
    for (int tied = 0; tied < 2; tied++) {
        struct bits_case it;
        bits_case_init(&it, tied ? 5 : 0);
        it.config.grad_groups = 3;
        it.config.batch = tied ? 24 : 30; /* of 74 and 64 items: 3, 3, 3 and then 1 micro-batch, */
        it.config.micro_batch = tied ? 8 : 5; /* or 6, 6 and then 1 */
        it.config.max_steps = 0;
        it.config.epochs = 2;
        check_everywhere(&it.config);
        it.config.unit_micro_batches = 1;
        check_everywhere(&it.config);
        bits_case_deinit(&it);
    }
}

Test(corners, groups_of_one_micro_batch)
{
    struct bits_case it;
    bits_case_init(&it, 5);
    it.config.batch = 5;
    it.config.micro_batch = 1;
    it.config.grad_groups = 5;
    check_everywhere(&it.config);
    bits_case_deinit(&it);
}

/* A queue holds 1024 commands: units are issued in parts. */
Test(corners, more_micro_batches_than_a_queue_holds, .timeout = 120)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    it.config.batch = 1300;
    it.config.micro_batch = 1;
    it.config.max_steps = 2;
    it.config.valid = NULL;
    struct oracle_result want = oracle_train(&it.config, 1, false);
    for (int i = 0; i < 4; i++) {
        struct watch watch = {0};
        struct spw_run_config config =
            config_of(1 + (uint32_t)i % 2, i < 2 ? least_memory(&it.config) : FITS);
        config.update_place = i % 2;
        open_run(&watch, &config);
        add(&watch, &it.config, &want);
        cr_assert(spw_run_execute(watch.run, NULL) == SPW_OK);
        expect_right(&watch, 0, "many micro-batches");
        spw_run_destroy(watch.run);
    }
    oracle_free(&want);
    bits_case_deinit(&it);
}

/* Rows of `width` numbers as an .npy file. */
static void write_npy(const struct spw_temporary *folder, const char *name, const char *type,
                      uint32_t rows, uint32_t width, const void *data, size_t bytes)
{
    char header[128], shape[48];
    (void)snprintf(shape, sizeof shape, width > 0 ? "(%u, %u)" : "(%u,)", rows, width);
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
    char text[118];
    const int length = snprintf(
        text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
    memcpy(header + 10, text, (size_t)length);
    header[127] = '\n';
    char *file = malloc(sizeof header + bytes);
    memcpy(file, header, sizeof header);
    memcpy(file + sizeof header, data, bytes);
    spw_temporary_write(folder, name, file, sizeof header + bytes);
    free(file);
}

static struct spw_dataset *open_rows(uint32_t rows, uint32_t width, int64_t classes)
{
    struct spw_temporary folder;
    struct spw_dataset *set = NULL;
    struct spw_error error = {0};
    char x_path[512], y_path[512];
    float *x = malloc((size_t)rows * width * sizeof *x);
    int32_t *y = malloc(rows * sizeof *y);
    for (uint32_t i = 0; i < rows * width; i++) {
        x[i] = (float)(i * 2654435761u % 1000) / 500.0F - 1.0F;
    }
    for (uint32_t i = 0; i < rows; i++) {
        y[i] = (int32_t)(i * 31 % (uint32_t)classes);
    }
    spw_temporary_init(&folder);
    write_npy(&folder, "x.npy", "<f4", rows, width, x, (size_t)rows * width * sizeof *x);
    write_npy(&folder, "y.npy", "<i4", rows, 0, y, rows * sizeof *y);
    cr_assert(spw_dataset_open(
                  spw_world_system(), SPW_DATA_NPY, spw_temporary_path(&folder, "x.npy", x_path),
                  spw_temporary_path(&folder, "y.npy", y_path), 0, &error, &set) == SPW_OK,
              "%s", error.what);
    spw_temporary_deinit(&folder);
    free(x);
    free(y);
    return set;
}

/* A linear without bias over many classes is one node with the loss; there is no smaller graph. */
Test(corners, a_graph_of_one_node)
{
    const int64_t classes = 4100;
    struct spw_dataset *set = open_rows(40, 10, classes);
    struct spw_builder *builder = NULL;
    struct spw_graph *graph = NULL;
    const struct spw_shape input = {.rank = 1, .dim = {10}};
    const struct spw_op_desc head = {.op = SPW_OP_LINEAR,
                                     .attr.linear = {.out = classes, .bias = false}};
    cr_assert(spw_builder_create(spw_world_system(), "one", SPW_F32, input, 1, NULL, &builder) ==
              SPW_OK);
    struct spw_built logits = spw_builder_input(builder);
    cr_assert(spw_builder_add(builder, "head", &head, logits, NULL, NULL, &logits) == SPW_OK);
    cr_assert(spw_builder_finish(builder, logits, classes, NULL, &graph) == SPW_OK);
    spw_builder_destroy(builder);
    cr_assert(graph->node_count == 1);
    struct spw_job_config job = {
        .id = "head",
        .graph = graph,
        .train = set,
        .valid = set,
        .optimizer = {.name = SPW_SGD, .momentum = 0.9},
        .lr = 0.1,
        .batch = 7,
        .micro_batch = 3,
        .max_steps = 3,
    };
    for (job.grad_groups = 1; job.grad_groups <= 3; job.grad_groups++) {
        check_everywhere(&job);
    }
    spw_graph_destroy(graph);
    spw_dataset_close(set);
}

Test(corners, sizes_of_zero_are_refused)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    struct watch watch = {0};
    struct spw_run_config config = config_of(1, FITS);
    open_run(&watch, &config);
    for (int which = 0; which < 3; which++) {
        struct spw_job_config job = it.config;
        *(which == 0 ? &job.batch : which == 1 ? &job.micro_batch : &job.grad_groups) = 0;
        struct spw_error error = {0};
        struct spw_plan *plan;
        uint64_t bytes;
        cr_assert(watch_add(&watch, &job, NULL, &error) == SPW_ERR_ARGUMENT);
        cr_assert(strstr(error.what, "at least 1") != NULL, "%s", error.what);
        cr_assert(spw_run_plan(watch.run, &job, NULL, &plan) == SPW_ERR_ARGUMENT);
        cr_assert(spw_run_least_memory(watch.run, &job, NULL, &bytes) == SPW_ERR_ARGUMENT);
    }
    spw_run_destroy(watch.run);
    config.machine.device_count = 0;
    struct spw_error error = {0};
    cr_assert(spw_run_create(spw_world_system(), &config, &error, &watch.run) == SPW_ERR_ARGUMENT);
    bits_case_deinit(&it);
}

/* ---- jobs that leave ---- */

struct leaver {
    struct watch watch;
    uint64_t decisions, leave_at; /* the decision at which job 1 is cancelled */
};

static void leave_at_decision(void *self, const struct spw_decision *decision)
{
    struct leaver *leaver = self;
    (void)decision;
    if (++leaver->decisions == leaver->leave_at) {
        spw_run_cancel(leaver->watch.run, leaver->watch.jobs[1].job);
    }
}

/* Whatever is under way when a job is cancelled, gathers included, its neighbour keeps its bits. */
Test(corners, a_job_may_leave_at_any_decision, .timeout = 120)
{
    struct bits_case it;
    bits_case_init(&it, 3);
    it.config.eval_every = 1;
    struct oracle_result want = oracle_train(&it.config, 1, false);
    const uint64_t memory = least_memory(&it.config) * 5 / 4;
    int left = 0;
    for (uint64_t at = 1; at <= 151; at += 3) {
        struct leaver leaver = {.leave_at = at};
        struct spw_run_config config = config_of(1 + (uint32_t)at % 2, memory);
        config.update_place = (int32_t)(at / 2 % 2);
        leaver.watch.self = &leaver;
        leaver.watch.on_decision = leave_at_decision;
        open_run(&leaver.watch, &config);
        add(&leaver.watch, &it.config, &want);
        add(&leaver.watch, &it.config, NULL);
        cr_assert(spw_run_execute(leaver.watch.run, NULL) == SPW_OK);
        expect_right(&leaver.watch, 0, "the one that stays");
        left += watch_status(&leaver.watch, 1).state == SPW_JOB_CANCELLED;
        spw_run_destroy(leaver.watch.run);
    }
    cr_assert(left > 25, "only %d left", left);
    oracle_free(&want);
    bits_case_deinit(&it);
}

static enum spw_status leave_at_start(void *self, struct spw_job *job, enum spw_job_state state,
                                      struct spw_error *error)
{
    struct watch *watch = self;
    (void)error;
    if (state == SPW_JOB_RUNNING && spw_job_index(job) == 1) {
        spw_run_cancel(watch->run, job);
        spw_run_cancel(watch->run, watch->jobs[2].job); /* which still waits */
    }
    return SPW_OK;
}

Test(corners, jobs_may_leave_before_they_work)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    struct oracle_result want = oracle_train(&it.config, 1, false);
    struct watch watch = {.self = &watch, .on_state = leave_at_start};
    struct spw_run_config config = config_of(2, FITS);
    open_run(&watch, &config);
    for (int i = 0; i < 3; i++) {
        add(&watch, &it.config, &want);
    }
    cr_assert(spw_run_execute(watch.run, NULL) == SPW_OK);
    expect_right(&watch, 0, "the one that stays");
    for (uint32_t i = 1; i < 3; i++) {
        const struct spw_job_status status = watch_status(&watch, i);
        cr_assert(status.state == SPW_JOB_CANCELLED && status.step == 0);
        cr_assert(status.error.status == SPW_OK, "%s", status.error.what);
    }
    struct spw_run_stats stats;
    spw_run_stats(watch.run, &stats);
    cr_assert(stats.home_bytes == 0);
    spw_run_destroy(watch.run);
    oracle_free(&want);
    bits_case_deinit(&it);
}

static enum spw_job_state refused_state; /* each test is a process of its own */

static enum spw_status refuse_second(void *self, struct spw_job *job, enum spw_job_state state,
                                     struct spw_error *error)
{
    (void)self;
    (void)error;
    return spw_job_index(job) == 1 && state == refused_state ? SPW_ERR_IO : SPW_OK;
}

/* A report that fails, even without a word, fails its job and no other. */
Test(corners, a_failing_reporter_fails_its_job)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    struct oracle_result want = oracle_train(&it.config, 1, false);
    const enum spw_job_state states[] = {SPW_JOB_RUNNING, SPW_JOB_DONE};
    for (int i = 0; i < 2; i++) {
        struct watch watch = {.on_state = refuse_second};
        struct spw_run_config config = config_of(2, FITS);
        refused_state = states[i];
        open_run(&watch, &config);
        for (int k = 0; k < 3; k++) {
            add(&watch, &it.config, &want);
        }
        cr_assert(spw_run_execute(watch.run, NULL) == SPW_OK);
        expect_right(&watch, 0, "before it");
        expect_right(&watch, 2, "after it");
        const struct spw_job_status status = watch_status(&watch, 1);
        cr_assert(status.state == SPW_JOB_FAILED);
        cr_assert(status.error.status == SPW_ERR_IO && status.error.what[0] != '\0',
                  "state %d: \"%s\"", (int)states[i], status.error.what);
        spw_run_destroy(watch.run);
    }
    oracle_free(&want);
    bits_case_deinit(&it);
}

/* Diagnosis runs evaluation programs, which a job without a validation set uses for nothing else.
 */
Test(corners, a_nan_is_found_without_a_validation_set)
{
    for (int c = 0; c < CASE_COUNT; c++) {
        struct bits_case it;
        bits_case_init(&it, c);
        it.config.valid = NULL;
        it.config.optimizer = (struct spw_optimizer_config){.name = SPW_SGD};
        it.config.lr = 1e32;
        it.config.schedule = (struct spw_schedule_config){.name = SPW_LR_CONSTANT};
        it.config.max_steps = 8;
        it.config.epochs = 0;
        struct watch watch = {0};
        struct spw_run_config config = config_of(2, least_memory(&it.config));
        open_run(&watch, &config);
        add(&watch, &it.config, NULL);
        cr_assert(spw_run_execute(watch.run, NULL) == SPW_OK);
        const struct spw_job_status status = watch_status(&watch, 0);
        cr_assert(status.state == SPW_JOB_FAILED, "%s", it.name);
        cr_assert(status.error.status == SPW_ERR_NUMERIC, "%s: %s", it.name, status.error.what);
        spw_run_destroy(watch.run);
        bits_case_deinit(&it);
    }
}

static void *interrupt_soon(void *argument)
{
    struct watch *watch = argument;
    (void)usleep((useconds_t)watch->count * 300); /* the count is how many rounds there were */
    spw_run_interrupt(watch->run);
    return NULL;
}

Test(corners, another_thread_may_interrupt)
{
    struct bits_case it;
    bits_case_init(&it, 3);
    it.config.max_steps = 100000; /* it would take minutes */
    for (uint32_t round = 0; round < 30; round++) {
        struct watch watch = {0};
        struct watch timer = {.count = round};
        struct spw_run_config config = config_of(2, least_memory(&it.config));
        pthread_t thread;
        open_run(&watch, &config);
        add(&watch, &it.config, NULL);
        add(&watch, &it.config, NULL);
        timer.run = watch.run;
        cr_assert(pthread_create(&thread, NULL, interrupt_soon, &timer) == 0);
        cr_assert(spw_run_execute(watch.run, NULL) == SPW_ERR_CANCELLED);
        cr_assert(pthread_join(thread, NULL) == 0);
        for (uint32_t i = 0; i < 2; i++) {
            cr_assert(watch_status(&watch, i).state == SPW_JOB_CANCELLED);
        }
        struct spw_run_stats stats;
        spw_run_stats(watch.run, &stats);
        cr_assert(stats.home_bytes == 0);
        spw_run_destroy(watch.run);
    }
    bits_case_deinit(&it);
}

/* ---- jobs that come ---- */

struct adder {
    struct watch watch;
    const struct spw_job_config *job;
    const struct oracle_result *want;
};

static enum spw_status add_another(void *self, struct spw_job *job, enum spw_job_state state,
                                   struct spw_error *error)
{
    struct adder *adder = self;
    (void)job;
    if (state == SPW_JOB_DONE && adder->watch.count < 6) {
        return watch_add(&adder->watch, adder->job, adder->want, error);
    }
    return SPW_OK;
}

/* From a callback, and after a first execution. */
Test(corners, jobs_may_come_late)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    struct oracle_result want = oracle_train(&it.config, 1, false);
    struct adder adder = {.job = &it.config, .want = &want};
    struct spw_run_config config = config_of(2, FITS);
    adder.watch.self = &adder;
    adder.watch.on_state = add_another;
    open_run(&adder.watch, &config);
    add(&adder.watch, &it.config, &want);
    cr_assert(spw_run_execute(adder.watch.run, NULL) == SPW_OK);
    cr_assert(adder.watch.count == 6);
    add(&adder.watch, &it.config, &want);
    cr_assert(spw_run_execute(adder.watch.run, NULL) == SPW_OK);
    cr_assert(spw_run_execute(adder.watch.run, NULL) == SPW_OK);
    for (uint32_t i = 0; i < 7; i++) {
        expect_right(&adder.watch, i, "late jobs");
    }
    spw_run_destroy(adder.watch.run);
    oracle_free(&want);
    bits_case_deinit(&it);
}

/* ---- logs that do not fit ---- */

enum { LOG_MAX = 4000 };
struct log {
    uint64_t count;
    struct spw_decision decisions[LOG_MAX];
};

static void write_log(void *self, const struct spw_decision *decision)
{
    struct log *log = self;
    cr_assert(log->count < LOG_MAX);
    log->decisions[log->count++] = *decision;
}

/* The log of another run, or the first part of the right one, is refused and not waited for. */
Test(corners, a_log_that_does_not_fit_ends_the_run)
{
    struct bits_case it;
    bits_case_init(&it, 3);
    struct oracle_result want = oracle_train(&it.config, 1, false);
    static struct log log;
    struct watch watch = {.self = &log, .on_decision = write_log};
    struct spw_run_config config = config_of(2, least_memory(&it.config));
    open_run(&watch, &config);
    add(&watch, &it.config, &want);
    add(&watch, &it.config, &want);
    cr_assert(spw_run_execute(watch.run, NULL) == SPW_OK);
    spw_run_destroy(watch.run);

    config.policy = SPW_POLICY_REPLAY;
    config.replay = log.decisions;
    for (int part = 0; part <= 4; part++) {
        struct watch again = {0};
        config.replay_count = log.count * (uint64_t)part / 4;
        open_run(&again, &config);
        add(&again, &it.config, &want);
        add(&again, &it.config, &want);
        cr_assert(spw_run_execute(again.run, NULL) == SPW_OK);
        for (uint32_t i = 0; i < 2; i++) {
            const struct spw_job_status status = watch_status(&again, i);
            if (part == 4) {
                expect_right(&again, i, "the whole log");
            } else {
                cr_assert(status.state != SPW_JOB_DONE || part == 3, "part %d", part);
                cr_assert(status.state == SPW_JOB_DONE ||
                              strstr(status.error.what, "decisions") != NULL,
                          "%s", status.error.what);
            }
        }
        spw_run_destroy(again.run);
    }
    oracle_free(&want);
    bits_case_deinit(&it);
}

/* ---- unlike devices ---- */

/* The second device takes a hundred times longer for everything. */
Test(corners, devices_of_unlike_speeds, .timeout = 120)
{
    struct bits_case it;
    bits_case_init(&it, 5);
    struct oracle_result want = oracle_train(&it.config, 1, false);
    for (int i = 0; i < 8; i++) {
        struct backend_faults faults;
        struct watch watch = {0};
        struct spw_run_config config = config_of(3, least_memory(&it.config) * 5 / 4);
        backend_faults_init(&faults);
        faults.slow_flops_per_s = 200000000;
        faults.slow_link_bytes_per_s = 50000000;
        config.backend = &fault_backend;
        config.policy = i & 1 ? SPW_POLICY_FIFO : SPW_POLICY_RANDOM;
        config.policy_seed = (uint64_t)i;
        config.update_place = i >> 1 & 1;
        config.prefetch = i >> 2 & 1;
        config.events = watch_events(&watch);
        cr_assert(spw_run_create(&faults.world, &config, NULL, &watch.run) == SPW_OK);
        add(&watch, &it.config, &want);
        add(&watch, &it.config, &want);
        cr_assert(spw_run_execute(watch.run, NULL) == SPW_OK);
        expect_right(&watch, 0, "unlike speeds");
        expect_right(&watch, 1, "unlike speeds");
        uint64_t units[3];
        for (uint32_t device = 0; device < 3; device++) {
            struct spw_device_stats stats;
            spw_run_device_stats(watch.run, device, &stats);
            units[device] = stats.units;
        }
        cr_assert(units[1] > 0 && units[1] < units[0] + units[2], "units: %d %d %d", (int)units[0],
                  (int)units[1], (int)units[2]);
        spw_run_destroy(watch.run);
    }
    oracle_free(&want);
    bits_case_deinit(&it);
}
