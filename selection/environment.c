/* environment.c — asks the machine who it is. Tested by tests/selection/test_rundir.c. */
#include "selection/environment.h"

#include "base/status.h"
#include "models/json.h"
#include "selection/yaml.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

static void add_feature(char out[256], const char *name)
{
    const size_t used = strlen(out);
    (void)snprintf(out + used, 256 - used, "%s%s", used == 0 ? "" : " ", name);
}

/* Those that the kernels' loops and their library choose by. */
static void read_features(char out[256])
{
    out[0] = '\0';
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) {
        add_feature(out, "avx2");
    }
    if (__builtin_cpu_supports("fma")) {
        add_feature(out, "fma");
    }
    if (__builtin_cpu_supports("avx512f")) {
        add_feature(out, "avx512f");
    }
    if (__builtin_cpu_supports("avx512bw")) {
        add_feature(out, "avx512bw");
    }
    if (__builtin_cpu_supports("avx512vnni")) {
        add_feature(out, "avx512vnni");
    }
#else
    add_feature(out, "portable");
#endif
}

enum spw_status spw_environment_read(const struct spw_world *world, struct spw_environment *out,
                                     struct spw_error *error)
{
    struct spw_environment found = {.memlock_bytes = UINT64_MAX};
    SPW_TRY(spw_topology_read(&found.topology, error));
    struct utsname name;
    if (uname(&name) == 0) {
        (void)snprintf(found.kernel, sizeof(found.kernel), "%.40s %.60s %.40s", name.sysname,
                       name.release, name.machine);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        found.memlock_bytes = limit.rlim_cur;
    }
    const time_t now = (time_t)(world->wall_ns(world->self) / 1000000000u);
    struct tm parts;
    if (gmtime_r(&now, &parts) != NULL) {
        (void)strftime(found.started, sizeof(found.started), "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    (void)snprintf(found.compiler, sizeof(found.compiler), "%s", COMPILER);
    read_features(found.features);
    *out = found;
    return SPW_OK;
}

static void add_member(struct spw_text *out, const char *name, const char *value)
{
    spw_text_add(out, "  \"%s\": ", name);
    spw_json_add_string(out, value);
    spw_text_add(out, ",\n");
}

void spw_environment_print(const struct spw_environment *environment, struct spw_text *out)
{
    const struct spw_topology *topology = &environment->topology;
    spw_text_add(out, "{\n  \"schema\": 1,\n");
    add_member(out, "spillway", SPW_VERSION);
    add_member(out, "started", environment->started);
    add_member(out, "kernel", environment->kernel);
    add_member(out, "compiler", environment->compiler);
    add_member(out, "yaml", spw_yaml_library());
    add_member(out, "cpu_model", topology->cpu_model);
    add_member(out, "cpu_features", environment->features);
    spw_text_add(out, "  \"cores\": %u,\n  \"cpus\": %u,\n  \"numa_nodes\": %u,\n", topology->cores,
                 topology->cpus, topology->numa_nodes);
    spw_text_add(out, "  \"memory_bytes\": %" PRIu64 ",\n  \"free_bytes\": %" PRIu64 ",\n",
                 topology->memory_bytes, topology->free_bytes);
    if (environment->memlock_bytes == UINT64_MAX) {
        spw_text_add(out, "  \"memlock_bytes\": null\n}\n");
    } else {
        spw_text_add(out, "  \"memlock_bytes\": %" PRIu64 "\n}\n", environment->memlock_bytes);
    }
}
