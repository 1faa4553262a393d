/* setting.c — see setting.h and, for results, interpreter.h. */
#include "setting.h"

#include "base/philox.h"

#include <stdlib.h>
#include <string.h>

enum { STEP = 3 };

void *setting_take(uint64_t bytes)
{
    void *memory = NULL;
    cr_assert(posix_memalign(&memory, 64, bytes > 0 ? bytes : 1) == 0);
    memset(memory, 0xFF, bytes); /* NaN */
    return memory;
}

void setting_open(struct setting *setting, const struct spw_graph *graph,
                  const struct spw_plan_options *options, bool fast)
{
    *setting = (struct setting){.graph = graph, .options = options};
    if (fast) {
        struct spw_error error = {0};
        check_ok(spw_lane_create(spw_world_system(), NULL, false, &error, &setting->lane), &error);
    }
    setting->weights = calloc((size_t)graph->param_count, sizeof(float *));
    for (int32_t p = 0; p < graph->param_count; p++) {
        const int64_t elements = graph->params[p].elements;
        setting->weights[p] = setting_take((uint64_t)elements * sizeof(float));
        for (int64_t i = 0; i < elements; i++) {
            setting->weights[p][i] =
                0.3F * (float)spw_random_normal(100 + (uint64_t)p, 0, (uint64_t)i);
        }
    }
    setting->x_elements = spw_shape_elements(&graph->input);
    const int64_t total = options->batch * setting->x_elements;
    setting->x = setting_take((uint64_t)total * 4);
    for (int64_t i = 0; i < total; i++) {
        if (graph->input_dtype == SPW_I32) {
            ((int32_t *)setting->x)[i] =
                (int32_t)(spw_random_word(7, 0, (uint64_t)i) % (uint32_t)graph->classes);
        } else {
            ((float *)setting->x)[i] = (float)spw_random_normal(7, 0, (uint64_t)i);
        }
    }
    const int64_t targets = options->batch * graph->targets_per_item;
    setting->targets = setting_take((uint64_t)targets * sizeof(int32_t));
    for (int64_t i = 0; i < targets; i++) {
        setting->targets[i] =
            (int32_t)(spw_random_word(8, 0, (uint64_t)i) % (uint32_t)graph->classes);
    }
}

void setting_close(struct setting *setting)
{
    for (int32_t p = 0; p < setting->graph->param_count; p++) {
        free(setting->weights[p]);
    }
    free(setting->weights);
    free(setting->x);
    free(setting->targets);
    spw_lane_destroy(setting->lane);
}

int64_t setting_items(const struct setting *setting, int64_t micro_batch)
{
    const int64_t left = setting->options->batch - micro_batch * setting->options->micro_batch;
    return left < setting->options->micro_batch ? left : setting->options->micro_batch;
}

void setting_run(const struct setting *setting, struct spw_call *call, enum spw_pass pass,
                 int64_t micro_batch, bool training)
{
    call->items = setting_items(setting, micro_batch);
    call->step = STEP;
    call->item_offset = (uint64_t)(micro_batch * setting->options->micro_batch);
    call->loss_scale = 1.0F / (float)(setting->options->batch * setting->graph->targets_per_item);
    call->flags |= training ? SPW_CALL_TRAINING : 0;
    if (setting->lane == NULL) {
        spw_op_reference(call, pass);
        return;
    }
    struct spw_error error = {0};
    check_ok(spw_lane_prepare(setting->lane, call->desc, call->items, pass, &error), &error);
    check_ok(spw_lane_run(setting->lane, call, pass, &error), &error);
}

struct results results_new(const struct setting *setting)
{
    const struct spw_graph *graph = setting->graph;
    struct results results = {.micro_batches = setting->options->micro_batches,
                              .param_count = graph->param_count};
    results.losses = calloc((size_t)results.micro_batches, sizeof(struct spw_loss));
    results.eval_losses = calloc((size_t)results.micro_batches, sizeof(struct spw_loss));
    results.grads = calloc((size_t)graph->param_count, sizeof(float *));
    results.norms = calloc((size_t)graph->param_count, sizeof(double *));
    results.elements = calloc((size_t)graph->param_count, sizeof(int64_t));
    for (int32_t p = 0; p < graph->param_count; p++) {
        results.elements[p] = graph->params[p].elements;
        results.grads[p] = setting_take((uint64_t)results.elements[p] * sizeof(float));
        results.norms[p] =
            setting_take(spw_norm_chunks((uint64_t)results.elements[p]) * sizeof(double));
    }
    return results;
}

void results_free(struct results *results)
{
    for (int32_t p = 0; p < results->param_count; p++) {
        free(results->grads[p]);
        free(results->norms[p]);
    }
    free(results->grads);
    free(results->norms);
    free(results->elements);
    free(results->losses);
    free(results->eval_losses);
}

static void compare_losses(const struct spw_loss *a, const struct spw_loss *b, int64_t count,
                           const char *what, const char *which)
{
    for (int64_t i = 0; i < count; i++) {
        cr_assert(memcmp(&a[i], &b[i], sizeof(*a)) == 0,
                  "%s: %s loss of micro-batch %d is %.17g, %g right; expected %.17g, %g", what,
                  which, (int)i, a[i].sum, a[i].correct, b[i].sum, b[i].correct);
    }
}

void results_compare(const struct results *results, const struct results *expected,
                     const char *what)
{
    compare_losses(results->losses, expected->losses, expected->micro_batches, what, "training");
    compare_losses(results->eval_losses, expected->eval_losses, expected->micro_batches, what,
                   "evaluation");
    for (int32_t p = 0; p < expected->param_count; p++) {
        for (int64_t i = 0; i < expected->elements[p]; i++) {
            const float *found = &results->grads[p][i];
            const float *wanted = &expected->grads[p][i];
            cr_assert(memcmp(found, wanted, sizeof(float)) == 0,
                      "%s: gradient %d of parameter %d is %.9g, expected %.9g", what, (int)i,
                      (int)p, (double)*found, (double)*wanted);
        }
        const uint64_t chunks = spw_norm_chunks((uint64_t)expected->elements[p]);
        cr_assert(memcmp(results->norms[p], expected->norms[p], chunks * sizeof(double)) == 0,
                  "%s: norm of parameter %d", what, (int)p);
    }
}

int64_t setting_group_first(const struct spw_plan_options *options, int64_t group)
{
    return group * options->micro_batches / options->grad_groups;
}

void results_fold(float *const *accumulators, int64_t uses, int64_t groups, int64_t elements,
                  float *total)
{
    for (int64_t use = uses - 1; use >= 0; use--) {
        for (int64_t group = 0; group < groups; group++) {
            const float *from = accumulators[use * groups + group];
            if (use == uses - 1 && group == 0) {
                memcpy(total, from, (uint64_t)elements * sizeof(float));
            } else {
                spw_accumulate(total, from, (uint64_t)elements, NULL);
            }
        }
    }
}
