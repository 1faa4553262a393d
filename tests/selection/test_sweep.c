/* test_sweep.c — opening what a spec names, and what its trials cost. */
#include "fixture.h"

#include "tests/support/temporary.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct spw_run *run_of(const struct spw_sweep *sweep)
{
    struct spw_error error = {0};
    struct spw_run *run = NULL;
    struct spw_run_config config = spw_sweep_config(sweep);
    config.pilot = false;
    cr_assert(spw_run_create(spw_world_system(), &config, &error, &run) == SPW_OK, "%s",
              error.what);
    cr_assert(spw_sweep_add(sweep, run, &error) == SPW_OK, "%s", error.what);
    return run;
}

Test(sweep, trial_i_is_job_i)
{
    struct spw_spec *spec =
        spec_of(SPEC_TEXT "search: {parameters: {train.lr: [1e-3, 2e-3, 3e-3]}}\n");
    struct spw_sweep *sweep = sweep_of(spec);
    struct spw_run *run = run_of(sweep);
    cr_assert(spw_run_job_count(run) == 3, "%u", spw_run_job_count(run));
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert(spw_job_config(spw_run_job(run, i))->lr == sweep->jobs[i].lr, "%u", i);
    }
    spw_run_destroy(run);
    spw_sweep_close(sweep);
    spw_spec_destroy(spec);
}

Test(sweep, costs_count_steps_evaluations_and_short_batches)
{
    struct spw_spec *spec = spec_of(HEAD_TEXT MODELS_TEXT
                                    "data:\n"
                                    "  train: {path: " BAD_DATA "ok_images.idx, labels: " BAD_DATA
                                    "ok_labels.idx, format: idx}\n"
                                    "  valid: {path: " BAD_DATA "ok_images.idx, labels: " BAD_DATA
                                    "ok_labels.idx, format: idx}\n"
                                    "train: {batch: 2, epochs: 5}\neval: {every: 4}\n");
    struct spw_sweep *sweep = sweep_of(spec);
    struct spw_run *run = run_of(sweep);
    const struct spw_plan *plan = spw_job_plan(spw_run_job(run, 0));
    const struct spw_sweep_cost cost = spw_sweep_cost(sweep, 0, plan);
    cr_assert(cost.steps == 10, "%llu steps", (unsigned long long)cost.steps);
    cr_assert(cost.items == 15, "%llu items", (unsigned long long)cost.items);
    /* After steps 4, 8 and the last, three items each. */
    cr_assert(cost.eval_items == 9, "%llu items", (unsigned long long)cost.eval_items);
    const double train = 7.5 * (double)plan->totals.step_flops;
    const double eval = 9.0 * (double)spw_graph_cost(sweep->graphs[0], 1).forward_flops;
    cr_assert(fabs(cost.flops - train - eval) < 1e-6 * cost.flops, "%g FLOP", cost.flops);
    spw_run_destroy(run);
    spw_sweep_close(sweep);
    spw_spec_destroy(spec);
}

Test(sweep, what_does_not_fit_names_trial_and_bytes)
{
    struct spw_spec *spec =
        spec_of("version: 1\nmachine: host*1 mem=4KiB\n"
                "models: [{id: big, arch: mlp, hidden: [512]}]\n" DATA_TEXT TRAIN_TEXT);
    struct spw_sweep *sweep = sweep_of(spec);
    struct spw_error error = {0};
    struct spw_run *run = NULL;
    const struct spw_run_config config = spw_sweep_config(sweep);
    cr_assert(spw_run_create(spw_world_system(), &config, &error, &run) == SPW_OK, "%s",
              error.what);
    cr_assert(spw_sweep_add(sweep, run, &error) == SPW_ERR_DOES_NOT_FIT, "%s", error.what);
    cr_assert(strstr(error.what, "trial big") != NULL, "%s", error.what);
    cr_assert(strstr(error.what, "bytes are missing") != NULL, "%s", error.what);
    spw_run_destroy(run);
    spw_sweep_close(sweep);
    spw_spec_destroy(spec);
}

Test(sweep, a_bad_file_is_named_with_its_place)
{
    struct spw_spec *spec = spec_of(
        HEAD_TEXT MODELS_TEXT "data:\n  train: {path: " BAD_DATA "idx_empty.idx, labels: " BAD_DATA
                              "ok_labels.idx, format: idx}\n" TRAIN_TEXT);
    struct spw_error error = {0};
    struct spw_sweep *sweep = NULL;
    cr_assert(spw_sweep_open(spw_world_system(), spec, &error, &sweep) == SPW_ERR_USAGE, "refused");
    cr_assert(strstr(error.what, "dir/spec.yaml:6:10: data.train: ") == error.what, "%s",
              error.what);
    cr_assert(strstr(error.what, "idx_empty.idx") != NULL, "%s", error.what);
    spw_spec_destroy(spec);
}

Test(sweep, validation_items_must_have_the_same_shape)
{
    struct spw_temporary temporary;
    char path[512], labels[512], text[3000];
    static const unsigned char images[] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7};
    static const unsigned char one[] = {0, 0, 8, 1, 0, 0, 0, 1, 0};
    spw_temporary_init(&temporary);
    spw_temporary_write(&temporary, "x.idx", images, sizeof(images));
    spw_temporary_write(&temporary, "y.idx", one, sizeof(one));
    (void)snprintf(text, sizeof(text), "%s  valid: {path: %s, labels: %s, format: idx}\n%s",
                   HEAD_TEXT MODELS_TEXT DATA_TEXT, spw_temporary_path(&temporary, "x.idx", path),
                   spw_temporary_path(&temporary, "y.idx", labels), TRAIN_TEXT);
    struct spw_spec *spec = spec_of(text);
    struct spw_error error = {0};
    struct spw_sweep *sweep = NULL;
    cr_assert(spw_sweep_open(spw_world_system(), spec, &error, &sweep) == SPW_ERR_USAGE, "refused");
    cr_assert(strstr(error.what, "another shape") != NULL, "%s", error.what);
    spw_spec_destroy(spec);
    spw_temporary_deinit(&temporary);
}
