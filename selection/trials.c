/* trials.c — expands searches; what a complete trial must satisfy is in trial_check.c.
 * Tested by tests/selection/test_trials.c. */
#include "selection/trials.h"

#include "base/assert.h"
#include "base/status.h"
#include "base/text.h"
#include "selection/spec_read.h"
#include "selection/trial_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define AXES_MAX 64 /* two blocks of at most 32 parameters */

/* The grid of one model. */
struct grid {
    const struct spw_search_parameter *axes[AXES_MAX];
    uint32_t axis_count;
    uint64_t points;
};

static void add_axis(struct grid *grid, const struct spw_search_parameter *parameter)
{
    /* The model's own values stand in place of the common ones. */
    for (uint32_t i = 0; i < grid->axis_count; i++) {
        if (strcmp(grid->axes[i]->path, parameter->path) == 0) {
            grid->axes[i] = parameter;
            return;
        }
    }
    SPW_ASSERT(grid->axis_count < AXES_MAX);
    grid->axes[grid->axis_count++] = parameter;
}

static const struct spw_search_parameter *find_axis(const struct grid *grid, const char *path)
{
    for (uint32_t i = 0; i < grid->axis_count; i++) {
        if (strcmp(grid->axes[i]->path, path) == 0) {
            return grid->axes[i];
        }
    }
    return NULL;
}

/* Each takes the place of the other, so that a grid over both would train some points twice. */
static enum spw_status check_lengths(const struct spw_key_context *context, const struct grid *grid)
{
    const struct spw_search_parameter *epochs = find_axis(grid, "train.epochs");
    if (epochs != NULL && find_axis(grid, "train.max_steps") != NULL) {
        return SPW_KEY_REFUSE(context, epochs->place, "search",
                              "both train.max_steps and train.epochs are searched; keep one");
    }
    return SPW_OK;
}

static enum spw_status make_grid(const struct spw_key_context *context, const struct spw_spec *spec,
                                 const struct spw_model_spec *model, struct grid *grid)
{
    *grid = (struct grid){.points = 1};
    for (uint32_t i = 0; i < spec->search.count; i++) {
        add_axis(grid, &spec->search.parameters[i]);
    }
    for (uint32_t i = 0; i < model->search.count; i++) {
        add_axis(grid, &model->search.parameters[i]);
    }
    SPW_TRY(check_lengths(context, grid));
    for (uint32_t i = 0; i < grid->axis_count; i++) {
        grid->points *= grid->axes[i]->values->count;
        if (grid->points > SPW_TRIALS_MAX) {
            return SPW_KEY_REFUSE(context, grid->axes[i]->place, "search",
                                  "more than %d trials; list fewer values", SPW_TRIALS_MAX);
        }
    }
    return SPW_OK;
}

/* ---- expansion ---- */

static enum spw_status assign_point(const struct spw_key_context *context, const struct grid *grid,
                                    uint64_t point, struct spw_trial_spec *trial)
{
    struct spw_assign_target target = {&trial->train, &trial->model, &trial->seed};
    struct spw_assignment *assignments = NULL;
    SPW_TRY(spw_arena_take(context->arena, grid->axis_count + 1u, sizeof(*assignments),
                           context->error, &assignments));
    /* The last axis counts fastest, but values are given in the order of the axes. */
    for (uint32_t i = grid->axis_count; i-- > 0;) {
        const uint32_t count = grid->axes[i]->values->count;
        assignments[i] = (struct spw_assignment){
            .path = grid->axes[i]->path,
            .value = spw_yaml_item(grid->axes[i]->values, (uint32_t)(point % count))};
        point /= count;
    }
    for (uint32_t i = 0; i < grid->axis_count; i++) {
        SPW_TRY(spw_assign(context, assignments[i].path, grid->axes[i]->place, assignments[i].value,
                           &target));
    }
    trial->assignments = assignments;
    trial->assignment_count = grid->axis_count;
    return SPW_OK;
}

static enum spw_status make_trial(const struct spw_key_context *context,
                                  const struct spw_spec *spec, const struct spw_model_spec *model,
                                  const struct grid *grid, uint64_t point,
                                  struct spw_trial_spec *trial)
{
    *trial = (struct spw_trial_spec){.model = *model, .train = spec->train, .seed = spec->seed};
    const struct spw_assign_target target = {&trial->train, &trial->model, &trial->seed};
    if (grid->points == 1) {
        trial->id = model->id;
    } else {
        SPW_TRY(spw_arena_text(context->arena, context->error, &trial->id, "%s-%" PRIu64, model->id,
                               point + 1));
    }
    for (uint32_t i = 0; i < model->override_count; i++) {
        SPW_TRY(spw_assign(context, model->overrides[i].path, model->overrides[i].value,
                           model->overrides[i].value, &target));
    }
    SPW_TRY(assign_point(context, grid, point, trial));
    if (trial->train.micro_batch == 0) {
        trial->train.micro_batch = trial->train.batch;
    }
    return spw_trial_check(context, spec, trial);
}

static enum spw_status check_ids(const struct spw_key_context *context,
                                 const struct spw_trials *trials)
{
    for (uint32_t i = 0; i < trials->count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(trials->items[i].id, trials->items[j].id) == 0) {
                return SPW_KEY_REFUSE(context, trials->items[i].model.node, "models",
                                      "trials of models %s and %s would both be called %s; "
                                      "change one id",
                                      trials->items[j].model.id, trials->items[i].model.id,
                                      trials->items[i].id);
            }
        }
    }
    return SPW_OK;
}

static enum spw_status expand(struct spw_trials *trials, const struct spw_spec *spec,
                              struct spw_error *error)
{
    const struct spw_key_context context = {.arena = &trials->arena, .error = error, .folder = ""};
    struct grid grid;
    uint64_t count = 0;
    for (uint32_t i = 0; i < spec->model_count; i++) {
        SPW_TRY(make_grid(&context, spec, &spec->models[i], &grid));
        count += grid.points;
        if (count > SPW_TRIALS_MAX) {
            return SPW_KEY_REFUSE(&context, spec->models[i].node, "models",
                                  "more than %d trials; split the file", SPW_TRIALS_MAX);
        }
    }
    SPW_TRY(spw_arena_take(&trials->arena, count, sizeof(*trials->items), error, &trials->items));
    for (uint32_t i = 0; i < spec->model_count; i++) {
        SPW_TRY(make_grid(&context, spec, &spec->models[i], &grid));
        for (uint64_t point = 0; point < grid.points; point++) {
            SPW_TRY(make_trial(&context, spec, &spec->models[i], &grid, point,
                               &trials->items[trials->count]));
            trials->count++;
        }
    }
    return check_ids(&context, trials);
}

enum spw_status spw_trials_create(const struct spw_world *world, const struct spw_spec *spec,
                                  struct spw_error *error, struct spw_trials **out)
{
    struct spw_trials *trials = NULL;
    SPW_TRY(spw_allocate(world, 1, sizeof(*trials), "the trials", error, &trials));
    spw_arena_init(&trials->arena, world);
    const enum spw_status status = expand(trials, spec, error);
    if (status != SPW_OK) {
        spw_trials_destroy(trials);
        return status;
    }
    *out = trials;
    return SPW_OK;
}

void spw_trials_destroy(struct spw_trials *trials)
{
    if (trials == NULL) {
        return;
    }
    const struct spw_world *world = trials->arena.world;
    spw_arena_deinit(&trials->arena);
    spw_release(world, trials);
}

static void describe_value(const struct spw_yaml_node *node, struct spw_text *out)
{
    if (node->kind == SPW_YAML_SCALAR) {
        spw_text_add(out, "%s", node->text);
        return;
    }
    /* Values are typed by now: lists of scalars at most. */
    spw_text_add(out, "[");
    for (const struct spw_yaml_entry *entry = node->entries; entry != NULL; entry = entry->next) {
        spw_text_add(out, "%s%s", entry->value->text, entry->next != NULL ? "," : "");
    }
    spw_text_add(out, "]");
}

void spw_trial_describe(const struct spw_trial_spec *trial, struct spw_text *out)
{
    for (uint32_t i = 0; i < trial->assignment_count; i++) {
        const char *path = trial->assignments[i].path;
        const char *dot = strrchr(path, '.');
        const bool is_name = dot != NULL && strcmp(dot, ".name") == 0;
        /* train.optimizer.name is best known as optimizer. */
        char step[64];
        if (is_name && dot > path) {
            const char *start = dot;
            while (start > path && start[-1] != '.') {
                start--;
            }
            (void)snprintf(step, sizeof(step), "%.*s", (int)(dot - start), start);
        } else {
            (void)snprintf(step, sizeof(step), "%s", dot != NULL ? dot + 1 : path);
        }
        spw_text_add(out, "%s%s=", i == 0 ? "" : " ", step);
        describe_value(trial->assignments[i].value, out);
    }
}
