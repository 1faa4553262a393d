/* test_faults.c — a whole training through the public interface, with the N-th allocation or file
 * call failing for every N: no crash, nothing left over, a reason, and no half-written file. */
#include "fixture.h"

#include <string.h>
#include <unistd.h>

/* From data to saved weights. SPW_OK if all went well. */
static enum spw_status train_all(const struct api_fixture *fixture, struct spw_context *context,
                                 const char *save, bool *told)
{
    struct spw_data *data = NULL;
    struct spw_model *model = NULL;
    struct spw_session *session = NULL;
    struct spw_trial *trial = NULL;
    struct spw_train train = api_short_train();
    train.steps = 2;
    train.save = save;
    enum spw_status status = api_open_images(fixture, context, &data);
    if (status == SPW_OK) {
        status = spw_model_begin(context, "net", data, 1, &model);
    }
    if (status == SPW_OK) {
        spw_model_flatten(model);
        const int32_t here = spw_model_here(model);
        spw_model_linear(model, 64, true);
        spw_model_add(model, here, 1.0);
        spw_model_dropout(model, 0.1);
        spw_model_linear(model, API_CLASSES, true);
        status = spw_model_end(model, API_CLASSES);
    }
    if (status == SPW_OK) {
        status = spw_session_create(context, "host*2 mem=48KiB", NULL, &session);
    }
    if (status == SPW_OK) {
        status = spw_session_add(session, "t", model, data, data, &train, &trial);
    }
    if (status == SPW_OK) {
        status = spw_session_run(session);
    }
    *told = spw_context_error(context)->status != SPW_OK;
    if (status == SPW_OK) {
        struct spw_result result;
        spw_trial_result(trial, &result);
        if (!result.finished) {
            status = SPW_ERR_IO;
            *told = result.why[0] != '\0';
        }
    }
    spw_session_destroy(session);
    spw_model_destroy(model);
    spw_data_close(data);
    return status;
}

/* Returns the number of calls that were made to fail. */
static uint64_t fail_each(struct api_fixture *fixture, enum spw_fault_kind kind, uint64_t stride)
{
    char path[512];
    (void)spw_temporary_path(&fixture->folder, "w.safetensors", path);
    for (uint64_t at = 1;; at += stride) {
        (void)unlink(path);
        spw_fault_world_arm(&fixture->fault, kind, (struct spw_fault_rule){.at = at});
        struct spw_context *context = NULL;
        bool told = false;
        enum spw_status status = spw_context_create_in(&fixture->fault.world, &context);
        if (status == SPW_OK) {
            status = train_all(fixture, context, path, &told);
            cr_assert(status == SPW_OK || told, "call %llu failed without a reason",
                      (unsigned long long)at);
        }
        const bool struck = spw_fault_world_struck(&fixture->fault);
        cr_assert(!struck || status != SPW_OK || kind == SPW_FAULT_FILE,
                  "call %llu failed unnoticed", (unsigned long long)at);
        spw_context_destroy(context);
        cr_assert(spw_fault_world_clean(&fixture->fault), "call %llu left something over",
                  (unsigned long long)at);
        cr_assert((access(path, F_OK) == 0) == (status == SPW_OK), "call %llu: the weights",
                  (unsigned long long)at);
        cr_assert(spw_temporary_count(&fixture->folder) == (status == SPW_OK ? 4 : 3),
                  "call %llu left a file", (unsigned long long)at);
        if (!struck) {
            return at - 1;
        }
    }
}

Test(faults, every_allocation)
{
    struct api_fixture fixture;
    api_fixture_init_files(&fixture);
    const uint64_t calls = fail_each(&fixture, SPW_FAULT_ALLOCATION, 1);
    cr_assert(calls > 60, "only %llu allocations", (unsigned long long)calls);
    api_fixture_deinit(&fixture);
}

Test(faults, every_file_call)
{
    struct api_fixture fixture;
    api_fixture_init_files(&fixture);
    const uint64_t calls = fail_each(&fixture, SPW_FAULT_FILE, 1);
    cr_assert(calls > 15, "only %llu file calls", (unsigned long long)calls);
    api_fixture_deinit(&fixture);
}
