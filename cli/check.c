/* check.c — `spillway check`: everything that can be known without training. */
#include "base/text.h"
#include "cli/command.h"
#include "cli/table.h"
#include "models/json.h"
#include "selection/build.h"
#include "selection/sweep.h"

#include <inttypes.h>

#define ROWS_MAX 40

static void describe_data(const struct spw_dataset *set, const char *what, struct spw_text *out)
{
    const struct spw_data_info *info = spw_dataset_info(set);
    spw_text_add(out, "%s: %" PRId64 " %s of [", what, info->items,
                 info->is_tokens ? "sequences" : "items");
    for (int64_t i = 0; i < info->rank; i++) {
        spw_text_add(out, "%s%" PRId64, i == 0 ? "" : ", ", info->dim[i]);
    }
    spw_text_add(out, "], %" PRId64 " %s\n", info->classes, info->is_tokens ? "tokens" : "classes");
}

static void print_people(const struct spw_sweep *sweep, struct spw_text *out)
{
    static const struct cli_column columns[] = {
        {"trial", false, true},      {"model", false, false}, {"settings", false, false},
        {"parameters", true, false}, {"steps", true, false},  {"batch", true, false}};
    struct cli_table table;
    cli_table_init(&table, sweep->world, columns, sizeof(columns) / sizeof(columns[0]));
    for (uint32_t i = 0; i < sweep->trials->count; i++) {
        const struct spw_trial_spec *trial = &sweep->trials->items[i];
        struct spw_text settings;
        char count[32];
        spw_text_init(&settings, sweep->world);
        spw_trial_describe(trial, &settings);
        cli_table_add(&table, "%s", trial->id);
        cli_table_add(&table, "%s", trial->model.id);
        cli_table_add(&table, "%s", settings.data != NULL ? settings.data : "");
        cli_table_add(&table, "%s",
                      spw_format_count((uint64_t)sweep->graphs[i]->parameter_count, count));
        cli_table_add(&table, "%" PRIu64, spw_build_steps(&sweep->jobs[i]));
        cli_table_add(&table, "%" PRIu64, trial->train.batch);
        spw_text_deinit(&settings);
    }
    describe_data(sweep->train, "training data", out);
    if (sweep->valid != NULL) {
        describe_data(sweep->valid, "validation data", out);
    }
    cli_table_print(&table, ROWS_MAX, cli_output_columns(), out);
    cli_table_deinit(&table);
    spw_text_add(out, "%s is in order: %u trial%s of %u model%s\n", sweep->spec->path,
                 sweep->trials->count, sweep->trials->count == 1 ? "" : "s",
                 sweep->spec->model_count, sweep->spec->model_count == 1 ? "" : "s");
}

static void print_json(const struct spw_sweep *sweep, struct spw_text *out)
{
    spw_text_add(out,
                 "{\"schema\": 1, \"ok\": true, \"name\": \"%s\", \"items\": %" PRId64
                 ", \"trials\": [",
                 sweep->spec->name, spw_dataset_info(sweep->train)->items);
    for (uint32_t i = 0; i < sweep->trials->count; i++) {
        const struct spw_trial_spec *trial = &sweep->trials->items[i];
        struct spw_text settings;
        spw_text_init(&settings, sweep->world);
        spw_trial_describe(trial, &settings);
        spw_text_add(out,
                     "%s\n  {\"id\": \"%s\", \"model\": \"%s\", \"parameters\": %" PRId64
                     ", \"steps\": %" PRIu64 ", \"settings\": ",
                     i == 0 ? "" : ",", trial->id, trial->model.id,
                     sweep->graphs[i]->parameter_count, spw_build_steps(&sweep->jobs[i]));
        spw_json_add_string(out, settings.data != NULL ? settings.data : "");
        spw_text_add(out, "}");
        spw_text_deinit(&settings);
    }
    spw_text_add(out, "\n]}\n");
}

int cli_check(const struct cli *cli)
{
    struct spw_error error = {0};
    struct spw_spec *spec = NULL;
    struct spw_sweep *sweep = NULL;
    int code = CLI_DONE;
    if (cli_load_spec(cli, &error, &spec) != SPW_OK ||
        spw_sweep_open(cli->world, spec, &error, &sweep) != SPW_OK) {
        code = cli_fail(cli, &error);
    } else {
        struct spw_text text;
        spw_text_init(&text, cli->world);
        if (cli->arguments.json) {
            print_json(sweep, &text);
        } else {
            print_people(sweep, &text);
        }
        code = cli_print_text(cli, &text, stdout) ? CLI_DONE : CLI_FAULT;
        spw_text_deinit(&text);
    }
    spw_sweep_close(sweep);
    spw_spec_destroy(spec);
    return code;
}
