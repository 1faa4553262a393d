/* machine_file.c — see machine_file.h. */
#include "selection/machine_file.h"

#include "base/assert.h"
#include "base/status.h"
#include "partitioner/rates.h"
#include "selection/machine_texts.h"
#include "selection/schema.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FILE_BYTES_MAX (UINT64_C(1) << 16)
#define NAMES_MAX 32
/* As spw_machine_model_check() has it. */
#define NUMBER_MAX 1125899906842624.0

static const char *const duplex_names[] = {"full", "half", NULL};

/* Tables are set by hand: a row stays readable in two or three lines. */
/* clang-format off */
#define AT(type, member) .offset = offsetof(struct type, member)
#define POSITIVE .min = 0, .max = NUMBER_MAX, .flags = SPW_KEY_REQUIRED | SPW_KEY_ABOVE_MIN
#define OPTIONAL .min = 0, .max = NUMBER_MAX
#define END {.name = NULL}

static const struct spw_key device_keys[] = {
    {.name = "mem", .type = SPW_KEY_BYTES, AT(spw_device_file, mem), POSITIVE,
     .doc = "memory that a device's region may take"},
    {.name = "fp32_tflops", .type = SPW_KEY_NUMBER, AT(spw_device_file, fp32_tflops),
     .min = 0, .max = 1e6, .flags = SPW_KEY_REQUIRED | SPW_KEY_ABOVE_MIN,
     .doc = "10^12 fp32 operations a second that large matrix products sustain"},
    {.name = "memory", .type = SPW_KEY_RATE, AT(spw_device_file, memory), POSITIVE,
     .doc = "rate at which kernels read and write the device's memory"},
    {.name = "launch", .type = SPW_KEY_TIME, AT(spw_device_file, launch), OPTIONAL,
     .default_text = "0s", .doc = "time of each kernel before it does anything"},
    {.name = "link", .type = SPW_KEY_RATE, AT(spw_device_file, link), POSITIVE,
     .doc = "rate of copies between host and device, one way"},
    {.name = "link_latency", .type = SPW_KEY_TIME, AT(spw_device_file, link_latency), OPTIONAL,
     .default_text = "0s", .doc = "time of each contiguous copy before its bytes"},
    {.name = "link_duplex", .type = SPW_KEY_CHOICE, AT(spw_device_file, link_duplex),
     .default_text = "full", .choices = duplex_names,
     .doc = "half: both ways together have the link's rate"},
    {.name = "busy_watts", .type = SPW_KEY_NUMBER, AT(spw_device_file, busy_watts),
     .default_text = "0", .min = 0, .max = 1e6, .doc = "power while a device computes"},
    {.name = "idle_watts", .type = SPW_KEY_NUMBER, AT(spw_device_file, idle_watts),
     .default_text = "0", .min = 0, .max = 1e6, .doc = "power while it does not"},
    {.name = "dollars_per_hour", .type = SPW_KEY_NUMBER, AT(spw_device_file, dollars_per_hour),
     .default_text = "0", .min = 0, .max = 1e6,
     .doc = "price of one device with its part of the host; 0: unknown"},
    END,
};

static const struct spw_key host_keys[] = {
    {.name = "mem", .type = SPW_KEY_BYTES, AT(spw_host_file, mem), POSITIVE,
     .doc = "memory for homes"},
    {.name = "memory", .type = SPW_KEY_RATE, AT(spw_host_file, memory), OPTIONAL,
     .default_text = "0B/s",
     .doc = "rate of the host's memory, which all copies and the cores share; 0B/s: no limit"},
    {.name = "cores", .type = SPW_KEY_RATE, AT(spw_host_file, cores), POSITIVE,
     .doc = "rate at which updates on the host cores read and write"},
    {.name = "cores_launch", .type = SPW_KEY_TIME, AT(spw_host_file, cores_launch), OPTIONAL,
     .default_text = "0s", .doc = "time of each such work before it does anything"},
    {.name = "link", .type = SPW_KEY_RATE, AT(spw_host_file, link), OPTIONAL,
     .default_text = "0B/s",
     .doc = "rate of a link that several devices share, one way; 0B/s: there is none"},
    {.name = "link_duplex", .type = SPW_KEY_CHOICE, AT(spw_host_file, link_duplex),
     .default_text = "full", .choices = duplex_names,
     .doc = "half: both ways together have the shared link's rate"},
    {.name = "link_devices", .type = SPW_KEY_WHOLE, AT(spw_host_file, link_devices),
     .default_text = "0", .min = 0, .max = SPW_DEVICES_MAX,
     .doc = "neighbours that share one such link; 0: all of the host"},
    {.name = "watts", .type = SPW_KEY_NUMBER, AT(spw_host_file, watts),
     .default_text = "0", .min = 0, .max = 1e6, .doc = "power of the host without its devices"},
    END,
};

const struct spw_key spw_machine_keys[] = {
    {.name = "name", .type = SPW_KEY_TEXT, AT(spw_machine_file, name), .flags = SPW_KEY_REQUIRED,
     .doc = "what the device is, for people"},
    {.name = "device", .type = SPW_KEY_MAP, AT(spw_machine_file, device),
     .flags = SPW_KEY_REQUIRED, .children = device_keys, .doc = "one device"},
    {.name = "host", .type = SPW_KEY_MAP, AT(spw_machine_file, host),
     .flags = SPW_KEY_REQUIRED, .children = host_keys, .doc = "the host that such devices share"},
    END,
};
/* clang-format on */

static uint64_t scaled(double value, double factor)
{
    return (uint64_t)floor(value * factor + 0.5);
}

static struct spw_device_model device_of(const struct spw_device_file *file)
{
    const uint64_t flops_per_s = scaled(file->fp32_tflops, 1e12);
    return (struct spw_device_model){
        .mem_bytes = file->mem,
        .flops_per_s = flops_per_s > 0 ? flops_per_s : 1,
        .memory_bytes_per_s = file->memory,
        .launch_ns = file->launch,
        .link = {.bytes_per_s = file->link, .half_duplex = file->link_duplex == 1},
        .link_latency_ns = file->link_latency,
        .busy_mw = scaled(file->busy_watts, 1e3),
        .idle_mw = scaled(file->idle_watts, 1e3),
        .microdollars_per_h = scaled(file->dollars_per_hour, 1e6),
    };
}

static struct spw_host_model host_of(const struct spw_host_file *file)
{
    return (struct spw_host_model){
        .mem_bytes = file->mem,
        .memory_bytes_per_s = file->memory,
        .cores_bytes_per_s = file->cores,
        .cores_launch_ns = file->cores_launch,
        .link = {.bytes_per_s = file->link, .half_duplex = file->link_duplex == 1},
        .link_devices = (uint32_t)file->link_devices,
        .mw = scaled(file->watts, 1e3),
    };
}

static enum spw_status read_tree(struct spw_arena *arena, const char *path, const char *bytes,
                                 uint64_t count, struct spw_error *error,
                                 struct spw_machine_file *file)
{
    const struct spw_key_context context = {.arena = arena, .error = error, .folder = ""};
    const struct spw_yaml_source source = {.path = path};
    struct spw_yaml_node *root = NULL;
    SPW_TRY(spw_yaml_parse(arena, &source, bytes, count, error, &root));
    SPW_TRY(spw_table_defaults(&context, spw_machine_keys, file));
    return spw_table_read(&context, spw_machine_keys, "machine", root, 0, file);
}

enum spw_status spw_machine_file_parse(const struct spw_world *world, const char *path,
                                       const char *bytes, uint64_t count, struct spw_error *error,
                                       struct spw_device_model *device, struct spw_host_model *host)
{
    struct spw_arena arena;
    struct spw_machine_file file = {0};
    spw_arena_init(&arena, world);
    const enum spw_status status = read_tree(&arena, path, bytes, count, error, &file);
    if (status == SPW_OK) {
        *device = device_of(&file.device);
        *host = host_of(&file.host);
    }
    spw_arena_deinit(&arena);
    return status;
}

/* ---- finding them ---- */

const char *const *spw_machine_file_names(void)
{
    return spw_machine_text_names;
}

static bool is_path(const char *name)
{
    const size_t length = strlen(name);
    return strchr(name, '/') != NULL || (length > 5 && strcmp(name + length - 5, ".yaml") == 0);
}

static enum spw_status refuse_name(const char *name, const char *where, struct spw_error *error)
{
    char names[256];
    const char *near = spw_nearest_name(name, spw_machine_text_names);
    (void)spw_join_names(spw_machine_text_names, NAMES_MAX, "and", names, sizeof(names));
    return SPW_FAIL(error, SPW_ERR_USAGE,
                    "%s: no machine is called '%s'%s%s%s; there are %s, or give the path of a "
                    "machine file, such as sim:./mine.yaml*2",
                    where, name, near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                    near != NULL ? "?" : "", names);
}

static enum spw_status find_built_in(const struct spw_world *world, const char *name,
                                     const char *where, struct spw_error *error,
                                     struct spw_device_model *device, struct spw_host_model *host)
{
    char path[SPW_MACHINE_NAME_MAX + 20];
    for (uint32_t i = 0; spw_machine_text_names[i] != NULL; i++) {
        if (strcmp(spw_machine_text_names[i], name) == 0) {
            (void)snprintf(path, sizeof(path), "machines/%s.yaml", name);
            return spw_machine_file_parse(world, path, spw_machine_texts[i].bytes,
                                          spw_machine_texts[i].count, error, device, host);
        }
    }
    return refuse_name(name, where, error);
}

static enum spw_status read_own(const struct spw_world *world, const char *name, const char *where,
                                const char *folder, struct spw_error *error,
                                struct spw_device_model *device, struct spw_host_model *host)
{
    struct spw_arena arena;
    const char *path = NULL;
    char *bytes = NULL;
    uint64_t count = 0;
    const bool joined = name[0] != '/' && folder[0] != '\0';
    spw_arena_init(&arena, world);
    enum spw_status status = spw_arena_text(&arena, error, &path, "%s%s%s", joined ? folder : "",
                                            joined ? "/" : "", name);
    if (status == SPW_OK) {
        struct spw_error inner = {0};
        status = spw_read_file(world, path, FILE_BYTES_MAX, &inner, &bytes, &count);
        if (status != SPW_OK) {
            status = SPW_FAIL_NATIVE(error, status == SPW_ERR_NOT_FOUND ? SPW_ERR_USAGE : status,
                                     inner.native, "%s: %s", where, inner.what);
        }
    }
    if (status == SPW_OK) {
        status = spw_machine_file_parse(world, path, bytes, count, error, device, host);
    }
    spw_release(world, bytes);
    spw_arena_deinit(&arena);
    return status;
}

enum spw_status spw_machine_file_find(const struct spw_world *world,
                                      const struct spw_machine *machine, const char *where,
                                      const char *folder, struct spw_error *error,
                                      struct spw_machine_model *out)
{
    struct spw_machine_model model = {0};
    for (uint32_t part = 0; part < machine->part_count; part++) {
        const char *name = machine->parts[part].name;
        struct spw_host_model host;
        SPW_TRY(is_path(name)
                    ? read_own(world, name, where, folder, error, &model.devices[part], &host)
                    : find_built_in(world, name, where, error, &model.devices[part], &host));
        model.host = part == 0 ? host : model.host;
    }
    *out = model;
    return SPW_OK;
}

enum spw_status spw_machine_file_of_paced(const struct spw_world *world,
                                          struct spw_machine *machine, struct spw_error *error,
                                          struct spw_machine_model *out)
{
    static const char name[] = "host";
    struct spw_machine_model model = {0};
    struct spw_device_model *device = &model.devices[0];
    SPW_ASSERT(machine->kind == SPW_MACHINE_HOST && machine->pace_model);
    SPW_TRY(find_built_in(world, name, name, error, device, &model.host));
    const struct spw_plan_options paced = {.flops_per_s = SPW_MACHINE_PACE_FLOPS_PER_S};
    const struct spw_rates rates = spw_rates_of(&paced);
    device->mem_bytes = SPW_MACHINE_HOST_MEM_BYTES;
    device->flops_per_s = rates.flops_per_s;
    device->memory_bytes_per_s = rates.memory_bytes_per_s;
    device->launch_ns = rates.launch_ns;
    device->link = (struct spw_link_model){.bytes_per_s = SPW_MACHINE_PACE_LINK_BYTES_PER_S};
    device->link_latency_ns = 0;
    machine->kind = SPW_MACHINE_SIM;
    machine->pace_model = false;
    machine->threads = 1;
    machine->part_count = 1;
    machine->parts[0].count = machine->device_count;
    memcpy(machine->parts[0].name, name, sizeof(name));
    *out = model;
    return SPW_OK;
}
