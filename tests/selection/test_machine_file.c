/* Tests of selection/machine_file.c: the machines of the program, files of one's own, and what is
 * refused. */
#include "selection/machine_file.h"

#include "selection/machine_texts.h"
#include "selection/schema.h"
#include "tests/support/fault_world.h"
#include "tests/support/memory_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char small[] = "name: small\n"
                            "device:\n"
                            "  mem: 1GiB\n"
                            "  fp32_tflops: 0.5\n"
                            "  memory: 100GB/s\n"
                            "  link: 10GB/s\n"
                            "host:\n"
                            "  mem: 2GiB\n"
                            "  cores: 20GB/s\n";

static struct spw_machine machine_of(const char *text)
{
    struct spw_machine machine;
    cr_assert(spw_machine_parse(text, "--machine", NULL, &machine) == SPW_OK, "%s", text);
    return machine;
}

/* Every machine of the program can be simulated, and is found by its name. */
Test(machine_file, the_programs_machines_are_sound)
{
    const char *const *names = spw_machine_file_names();
    uint32_t count = 0;
    for (; names[count] != NULL; count++) {
        char text[80];
        struct spw_machine_model model;
        struct spw_error error = {0};
        (void)snprintf(text, sizeof(text), "sim:%s*2", names[count]);
        const struct spw_machine machine = machine_of(text);
        cr_assert(spw_machine_file_find(spw_world_system(), &machine, "--machine", "", &error,
                                        &model) == SPW_OK,
                  "%s", error.what);
        cr_assert(spw_machine_model_check(&model, 1, &error) == SPW_OK, "%s: %s", names[count],
                  error.what);
        cr_assert(model.devices[0].memory_bytes_per_s > model.devices[0].link.bytes_per_s);
        cr_assert(model.host.mem_bytes > model.devices[0].mem_bytes);
    }
    cr_assert(count == 7);
}

/* Every number of the files has its source beside it. */
Test(machine_file, numbers_have_sources)
{
    for (uint32_t i = 0; spw_machine_text_names[i] != NULL; i++) {
        char text[4096];
        cr_assert(spw_machine_texts[i].count < sizeof(text));
        memcpy(text, spw_machine_texts[i].bytes, spw_machine_texts[i].count);
        text[spw_machine_texts[i].count] = '\0';
        char *rest = text;
        for (char *line; (line = strtok_r(rest, "\n", &rest)) != NULL;) {
            const bool is_number = strncmp(line, "  ", 2) == 0 &&
                                   strncmp(line, "  link_devices", 14) != 0;
            cr_assert(!is_number || strchr(line, '#') != NULL, "%s: %s", spw_machine_text_names[i],
                      line);
        }
    }
}

Test(machine_file, numbers_and_units_are_read)
{
    static const char text[] = "name: all\n"
                               "device:\n"
                               "  mem: 11GiB\n"
                               "  fp32_tflops: 10.5\n"
                               "  memory: 550GB/s\n"
                               "  launch: 4us\n"
                               "  link: 12GB/s\n"
                               "  link_latency: 8us\n"
                               "  link_duplex: half\n"
                               "  busy_watts: 250.5\n"
                               "  idle_watts: 15\n"
                               "  dollars_per_hour: 0.69\n"
                               "host:\n"
                               "  mem: 480GB\n"
                               "  memory: 190GB/s\n"
                               "  cores: 120GB/s\n"
                               "  cores_launch: 10us\n"
                               "  link: 24GB/s\n"
                               "  link_duplex: half\n"
                               "  link_devices: 4\n"
                               "  watts: 500\n";
    struct spw_device_model device;
    struct spw_host_model host;
    struct spw_error error = {0};
    cr_assert(spw_machine_file_parse(spw_world_system(), "a.yaml", text, sizeof(text) - 1, &error,
                                     &device, &host) == SPW_OK,
              "%s", error.what);
    cr_assert(device.mem_bytes == UINT64_C(11) << 30);
    cr_assert(device.flops_per_s == UINT64_C(10500000000000));
    cr_assert(device.memory_bytes_per_s == UINT64_C(550000000000));
    cr_assert(device.launch_ns == 4000 && device.link_latency_ns == 8000);
    cr_assert(device.link.bytes_per_s == UINT64_C(12000000000) && device.link.half_duplex);
    cr_assert(device.busy_mw == 250500 && device.idle_mw == 15000);
    cr_assert(device.microdollars_per_h == 690000);
    cr_assert(host.mem_bytes == UINT64_C(480000000000));
    cr_assert(host.memory_bytes_per_s == UINT64_C(190000000000));
    cr_assert(host.cores_bytes_per_s == UINT64_C(120000000000) && host.cores_launch_ns == 10000);
    cr_assert(host.link.bytes_per_s == UINT64_C(24000000000) && host.link.half_duplex);
    cr_assert(host.link_devices == 4 && host.mw == 500000);
}

Test(machine_file, what_is_left_out_has_no_limit_and_costs_nothing)
{
    struct spw_device_model device;
    struct spw_host_model host;
    cr_assert(spw_machine_file_parse(spw_world_system(), "a.yaml", small, sizeof(small) - 1, NULL,
                                     &device, &host) == SPW_OK);
    cr_assert(device.launch_ns == 0 && device.link_latency_ns == 0 && !device.link.half_duplex);
    cr_assert(device.busy_mw == 0 && device.microdollars_per_h == 0);
    cr_assert(host.memory_bytes_per_s == 0 && host.link.bytes_per_s == 0 && host.mw == 0);
}

/* `from` in the small file becomes `to`; the message has place, reason and cure. */
static const struct {
    const char *from, *to;
    const char *message;
} bad[] = {
    {"  mem: 1GiB\n", "  mem: lots\n",
     "a.yaml:3:8: machine.device.mem: \"lots\" is not what belongs here; give a size"},
    {"  mem: 1GiB\n", "  mem: 0\n", "a.yaml:3:8: machine.device.mem: 0 is out of range"},
    {"  mem: 1GiB\n", "  mem: 4096TiB\n", "a.yaml:3:8: machine.device.mem: 4096TiB is out of"},
    {"  mem: 1GiB\n", "", "a.yaml:3:3: machine.device.mem is missing; give a size such as 4GiB"},
    {"  fp32_tflops: 0.5\n", "  fp32_tflops: -1\n", "a.yaml:4:16: machine.device.fp32_tflops: -1 "},
    {"  fp32_tflops: 0.5\n", "  fp32_flops: 1\n",
     "a.yaml:4:3: machine.device has no key \"fp32_flops\"; did you mean fp32_tflops?"},
    {"  memory: 100GB/s\n", "  memory: 100GB\n",
     "a.yaml:5:11: machine.device.memory: \"100GB\" is not what belongs here; give a "
     "rate"},
    {"  link: 10GB/s\n", "  link: 0B/s\n", "a.yaml:6:9: machine.device.link: 0B/s is out of range"},
    {"  link: 10GB/s\n", "  link: 10GB/s\n  launch: 5\n",
     "a.yaml:7:11: machine.device.launch: \"5\" is not what belongs here; give a time"},
    {"  link: 10GB/s\n", "  link: 10GB/s\n  link_duplex: both\n",
     "a.yaml:7:16: machine.device.link_duplex: \"both\" is not"},
    {"  cores: 20GB/s\n", "  cores: 20GB/s\n  link_devices: 1025\n",
     "a.yaml:10:17: machine.host.link_devices: 1025 is out of range"},
    {"host:\n  mem: 2GiB\n  cores: 20GB/s\n", "", "a.yaml:1:1: machine.host is missing"},
    {"host:\n", "hosts:\n", "a.yaml:7:1: machine has no key \"hosts\"; did you mean host?"},
    {"name: small\n", "", "a.yaml:1:1: machine.name is missing; give a text"},
    {"name: small\n", "name: small\nname: small\n", "a.yaml:2:1: "},
    {"name: small\n", "name: [small\n", "a.yaml:"},
};

Test(machine_file, bad_files_are_refused_with_their_place)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[1024];
        const char *at = strstr(small, bad[i].from);
        cr_assert(at != NULL, "%d", (int)i);
        (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - small), small, bad[i].to,
                       at + strlen(bad[i].from));
        struct spw_device_model device = {.mem_bytes = 7};
        struct spw_host_model host = {.mem_bytes = 7};
        struct spw_error error = {0};
        cr_assert(spw_machine_file_parse(spw_world_system(), "a.yaml", text, strlen(text), &error,
                                         &device, &host) == SPW_ERR_USAGE,
                  "%d", (int)i);
        cr_assert(strncmp(error.what, bad[i].message, strlen(bad[i].message)) == 0, "%s",
                  error.what);
        cr_assert(device.mem_bytes == 7 && host.mem_bytes == 7);
    }
}

Test(machine_file, unknown_names_are_refused_with_a_near_one)
{
    const struct spw_machine machine = machine_of("sim:h2000*8");
    struct spw_machine_model model;
    struct spw_error error = {0};
    cr_assert(spw_machine_file_find(spw_world_system(), &machine, "f.yaml:4:10", "", &error,
                                    &model) == SPW_ERR_USAGE);
    cr_assert(strncmp(error.what, "f.yaml:4:10: no machine is called 'h2000'; did you mean h200?",
                      60) == 0,
              "%s", error.what);
    cr_assert(strstr(error.what, "sim:./mine.yaml*2") != NULL, "%s", error.what);
}

/* Paths are relative to the given folder; unlike devices have their own numbers, and the host of
 * the first. */
Test(machine_file, files_of_ones_own_are_named_by_their_path)
{
    const struct spw_memory_file files[] = {{"specs/./mine.yaml", small, sizeof(small) - 1},
                                            {"mine.yaml", small, sizeof(small) - 1},
                                            {"/abs/mine.yaml", small, sizeof(small) - 1},
                                            {"bad.yaml", "name: x\n", 8}};
    static const struct {
        const char *machine, *folder;
        enum spw_status status;
        const char *message;
    } cases[] = {
        {"sim:./mine.yaml", "specs", SPW_OK, ""},
        {"sim:mine.yaml", "", SPW_OK, ""},
        {"sim:/abs/mine.yaml", "specs", SPW_OK, ""},
        {"sim:mine.yaml*3+k80*2", "", SPW_OK, ""},
        {"sim:mine.yaml", "specs", SPW_ERR_USAGE, "f.yaml:4:10: specs/mine.yaml: cannot open"},
        {"sim:bad.yaml", "", SPW_ERR_USAGE, "bad.yaml:1:1: machine.device is missing"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct spw_memory_world memory;
        struct spw_machine_model model = {0};
        struct spw_error error = {0};
        spw_memory_world_init(&memory, files, 4);
        const struct spw_machine machine = machine_of(cases[i].machine);
        const enum spw_status status = spw_machine_file_find(&memory.world, &machine, "f.yaml:4:10",
                                                             cases[i].folder, &error, &model);
        cr_assert(status == cases[i].status, "%s: %s", cases[i].machine, error.what);
        cr_assert(strncmp(error.what, cases[i].message, strlen(cases[i].message)) == 0, "%s",
                  error.what);
        cr_assert(status != SPW_OK || model.devices[0].mem_bytes == UINT64_C(1) << 30);
        cr_assert(status != SPW_OK || model.host.mem_bytes == UINT64_C(2) << 30);
        cr_assert(machine.part_count < 2 || model.devices[1].mem_bytes == UINT64_C(11) << 30);
        cr_assert(spw_memory_world_clean(&memory));
    }
}

/* Each allocation and each file call fails once. */
Test(machine_file, failures_of_the_world_are_statuses)
{
    const struct spw_machine machine = machine_of("sim:" SPW_SOURCE_DIR "/machines/k80.yaml*2");
    for (int kind = 0; kind < SPW_FAULT_KINDS; kind++) {
        for (uint64_t at = 1;; at++) {
            struct spw_fault_world fault;
            struct spw_machine_model model;
            struct spw_error error = {0};
            spw_fault_world_init(&fault, spw_world_system());
            spw_fault_world_arm(&fault, (enum spw_fault_kind)kind,
                                (struct spw_fault_rule){.at = at});
            const enum spw_status status =
                spw_machine_file_find(&fault.world, &machine, "m", "", &error, &model);
            const bool struck = spw_fault_world_struck(&fault);
            cr_assert(struck || status == SPW_OK, "%s", error.what);
            cr_assert(spw_fault_world_clean(&fault));
            if (!struck) {
                cr_assert(at > 2);
                break;
            }
        }
    }
}

static void check_rows(const struct spw_key *table, const char *path, const char *text)
{
    for (const struct spw_key *key = table; key->name != NULL; key++) {
        char name[128], type[256], row[600], quoted[40] = "";
        (void)snprintf(name, sizeof(name), "%s%s", path, key->name);
        if (key->type == SPW_KEY_MAP) {
            (void)strcat(name, ".");
            check_rows(key->children, name, text);
            continue;
        }
        if (key->default_text != NULL) {
            (void)snprintf(quoted, sizeof(quoted), "`%s` ", key->default_text);
        }
        (void)snprintf(row, sizeof(row), "| `%s` | %s | %s| %s |\n", name,
                       spw_key_type_text(key, type), quoted, key->doc);
        cr_assert(strstr(text, row) != NULL, "docs/machines.md lacks the row\n%s", row);
    }
}

/* The reference has the table's rows. */
Test(machine_file, the_reference_is_that_of_the_table)
{
    char *text = NULL;
    uint64_t bytes = 0;
    cr_assert(spw_read_file(spw_world_system(), SPW_SOURCE_DIR "/docs/machines.md", 1 << 20, NULL,
                            &text, &bytes) == SPW_OK);
    check_rows(spw_machine_keys, "", text);
    spw_release(spw_world_system(), text);
}
