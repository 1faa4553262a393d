/* doctor.c — `spillway doctor`: what this machine offers and what is missing. */
#include "base/text.h"
#include "cli/command.h"
#include "cli/versions.h"
#include "models/json.h"
#include "runtime/device/memory_limits.h"
#include "runtime/run.h"
#include "selection/environment.h"

#include <inttypes.h>

struct findings {
    struct spw_environment environment;
    struct spw_memory_limits limits;
    bool host_works; /* a device can be opened */
    struct spw_error host_error;
};

/* Opens the smallest run there is: a device of 1 MiB. */
static void try_host(const struct cli *cli, struct findings *out)
{
    const struct spw_run_config config = {
        .machine = {.kind = SPW_MACHINE_HOST,
                    .device_count = 1,
                    .mem_bytes = 1u << 20,
                    .threads = 1},
        .host_bytes = 1u << 20,
        .prefetch = -1,
        .update_place = -1,
        .keep = -1,
    };
    struct spw_run *run = NULL;
    out->host_works = spw_run_create(cli->world, &config, &out->host_error, &run) == SPW_OK;
    spw_run_destroy(run);
}

static void print_people(const struct findings *findings, struct spw_text *out)
{
    const struct spw_environment *environment = &findings->environment;
    const struct spw_topology *topology = &environment->topology;
    char bytes[32], more[32];
    spw_text_add(out, "spillway    %s, built by %s\n", SPW_VERSION, environment->compiler);
    spw_text_add(out, "system      %s\n", environment->kernel);
    spw_text_add(out, "processor   %s\n", topology->cpu_model);
    spw_text_add(out, "            %u cores, %u threads, %u NUMA node%s\n", topology->cores,
                 topology->cpus, topology->numa_nodes, topology->numa_nodes == 1 ? "" : "s");
    spw_text_add(out, "            %s\n", environment->features);
    spw_text_add(out, "memory      %s, of which %s are free for this process",
                 spw_format_bytes(findings->limits.total_bytes, bytes),
                 spw_format_bytes(findings->limits.free_bytes, more));
    if (findings->limits.total_bytes < topology->memory_bytes) {
        spw_text_add(out, "; a control group limits it, the machine has %s",
                     spw_format_bytes(topology->memory_bytes, bytes));
    }
    spw_text_add(out, "\n            locked memory: ");
    if (environment->memlock_bytes == UINT64_MAX) {
        spw_text_add(out, "no limit\n");
    } else {
        spw_text_add(out, "at most %s; the host device needs none\n",
                     spw_format_bytes(environment->memlock_bytes, bytes));
    }
    spw_text_add(out, "devices     host: %s%s\n",
                 findings->host_works ? "works, with regions of up to " : "does not work: ",
                 findings->host_works ? spw_format_bytes(findings->limits.free_bytes, bytes)
                                      : findings->host_error.what);
    spw_text_add(out, "            cuda: this build serves host only\n");
    spw_text_add(out, "libraries  ");
    for (uint32_t i = 0; i < cli_library_count; i++) {
        spw_text_add(out, "%s%s %s", i == 0 ? " " : ", ", cli_libraries[i].name,
                     cli_libraries[i].version);
    }
    spw_text_add(out, "\n");
}

static void print_json(const struct findings *findings, struct spw_text *out)
{
    spw_text_add(out, "{\"schema\": 1, \"environment\": ");
    spw_environment_print(&findings->environment, out);
    spw_text_add(out, ", \"memory_limit_bytes\": %" PRIu64 ", \"memory_free_bytes\": %" PRIu64,
                 findings->limits.total_bytes, findings->limits.free_bytes);
    spw_text_add(out, ", \"devices\": {\"host\": %s, \"cuda\": false}, \"libraries\": {",
                 findings->host_works ? "true" : "false");
    for (uint32_t i = 0; i < cli_library_count; i++) {
        spw_text_add(out, "%s\"%s\": ", i == 0 ? "" : ", ", cli_libraries[i].name);
        spw_json_add_string(out, cli_libraries[i].version);
    }
    spw_text_add(out, "}}\n");
}

int cli_doctor(const struct cli *cli)
{
    struct spw_error error = {0};
    struct findings *findings = NULL;
    if (spw_allocate(cli->world, 1, sizeof(*findings), "the findings", &error, &findings) !=
        SPW_OK) {
        return cli_fail(cli, &error);
    }
    int code = CLI_DONE;
    if (spw_environment_read(cli->world, &findings->environment, &error) != SPW_OK ||
        spw_memory_limits_read(cli->world, "", &error, &findings->limits) != SPW_OK) {
        code = cli_fail(cli, &error);
    } else {
        struct spw_text text;
        try_host(cli, findings);
        spw_text_init(&text, cli->world);
        if (cli->arguments.json) {
            print_json(findings, &text);
        } else {
            print_people(findings, &text);
        }
        code = cli_print_text(cli, &text, stdout) && findings->host_works ? CLI_DONE : CLI_FAULT;
        spw_text_deinit(&text);
    }
    spw_release(cli->world, findings);
    return code;
}
