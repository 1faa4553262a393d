/* test_sizes.c — jobs of the least and the oddest sizes, on one device and several, with and
 * without room, each against the oracle's bits: one step, one node, a micro-batch larger than the
 * batch, more micro-batches than a queue holds, groups without work. Sizes of zero are refused. */
#include "cases.h"
#include "setting.h"

#include "tests/support/temporary.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Trains two of the job at once, with and without room, on one device and several. */
static void check_everywhere(const struct spw_job_config *job)
{
    struct oracle_result want = oracle_train(job, 1, false);
    const uint64_t memory[] = {setting_least_memory(job), SETTING_FITS};
    for (int i = 0; i < 32; i++) {
        struct watch watch = {0};
        struct spw_run_config config = setting_config(i & 1 ? 3 : 1, memory[i >> 1 & 1]);
        config.prefetch = i >> 2 & 1;
        config.update_place = i >> 3 & 1;
        config.policy = i >> 4 & 1 ? SPW_POLICY_RANDOM : SPW_POLICY_LRTF;
        config.policy_seed = (uint64_t)i;
        setting_open(&watch, &config);
        setting_add(&watch, job, &want);
        setting_add(&watch, job, &want);
        cr_assert(spw_run_execute(watch.run, NULL) == SPW_OK);
        char where[128];
        (void)snprintf(where, sizeof where, "%s, setting %d", job->id, i);
        setting_expect_right(&watch, 0, where);
        setting_expect_right(&watch, 1, where);
        spw_run_destroy(watch.run);
    }
    oracle_free(&want);
}

Test(sizes, one_step)
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

Test(sizes, a_batch_smaller_than_a_micro_batch)
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
Test(sizes, a_short_evaluation)
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
Test(sizes, groups_that_lose_their_work)
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

Test(sizes, groups_of_one_micro_batch)
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
Test(sizes, more_micro_batches_than_a_queue_holds, .timeout = 120)
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
        struct spw_run_config config = setting_config(
            1 + (uint32_t)i % 2, i < 2 ? setting_least_memory(&it.config) : SETTING_FITS);
        config.update_place = i % 2;
        setting_open(&watch, &config);
        setting_add(&watch, &it.config, &want);
        cr_assert(spw_run_execute(watch.run, NULL) == SPW_OK);
        setting_expect_right(&watch, 0, "many micro-batches");
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
Test(sizes, a_graph_of_one_node)
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

Test(sizes, sizes_of_zero_are_refused)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    struct watch watch = {0};
    struct spw_run_config config = setting_config(1, SETTING_FITS);
    setting_open(&watch, &config);
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
