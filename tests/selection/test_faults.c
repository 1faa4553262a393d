/* test_faults.c — reading a spec with every allocation and every file call failing once: no crash,
 * no leak, always a reason. */
#include "fixture.h"

#include "selection/trials.h"
#include "tests/support/fault_world.h"
#include "tests/support/temporary.h"

#include <criterion/criterion.h>
#include <string.h>

static const char text[] = HEAD_TEXT
    "models:\n"
    "  - {id: a, arch: mlp, hidden: [8, 9], train: {lr: 1e-2, optimizer: {name: sgd}}}\n"
    "  - id: b\n"
    "    layers: [flatten, {linear: {out: 10}}, dropout: {p: 0.5}]\n"
    "    search: {parameters: {train.batch: [1, 2]}}\n" DATA_TEXT TRAIN_TEXT
    "search: {parameters: {train.lr: [1e-3, 3e-4]}}\n";

static enum spw_status attempt(const struct spw_world *world, const char *path,
                               struct spw_error *error)
{
    static const char *const words[] = {"train.lr=3e-5", "models.a.hidden=[7]"};
    const struct spw_spec_changes changes = {
        .overrides = words, .override_count = 2, .machine = "host*2 mem=1MiB"};
    struct spw_spec *spec = NULL;
    struct spw_sweep *sweep = NULL;
    enum spw_status status = spw_spec_load(world, path, &changes, error, &spec);
    if (status == SPW_OK) {
        status = spw_sweep_open(world, spec, error, &sweep);
    }
    spw_sweep_close(sweep);
    spw_spec_destroy(spec);
    return status;
}

static void walk(enum spw_fault_kind kind)
{
    struct spw_temporary temporary;
    struct spw_fault_world fault;
    char path[512];
    spw_temporary_init(&temporary);
    spw_temporary_write(&temporary, "spec.yaml", text, strlen(text));
    spw_temporary_path(&temporary, "spec.yaml", path);
    spw_fault_world_init(&fault, spw_world_system());
    uint64_t at = 1;
    for (; at < 100000; at++) {
        struct spw_error error = {0};
        spw_fault_world_arm(&fault, kind, (struct spw_fault_rule){.at = at});
        const enum spw_status status = attempt(&fault.world, path, &error);
        cr_assert(spw_fault_world_clean(&fault), "call %d leaks", (int)at);
        if (!spw_fault_world_struck(&fault)) {
            cr_assert(status == SPW_OK, "%s", error.what);
            break;
        }
        /* Closing a file that was only read may fail without harm. */
        cr_assert(status == SPW_OK || error.status != SPW_OK, "call %d was not told", (int)at);
        cr_assert(status != SPW_OK || kind == SPW_FAULT_FILE, "call %d was not noticed", (int)at);
    }
    cr_assert(at > 5 && at < 100000, "%d calls", (int)at);
    spw_temporary_deinit(&temporary);
}

Test(selection_faults, every_allocation)
{
    walk(SPW_FAULT_ALLOCATION);
}

Test(selection_faults, every_file_call)
{
    walk(SPW_FAULT_FILE);
}
