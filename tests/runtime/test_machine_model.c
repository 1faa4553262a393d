/* Tests of runtime/device/machine_model.c: each field is checked, and the machine string wins. */
#include "runtime/device/machine_model.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct spw_machine_model good = {
    .devices = {{.mem_bytes = 1 << 20,
                 .flops_per_s = 1000,
                 .memory_bytes_per_s = 1000,
                 .link = {.bytes_per_s = 1000}}},
    .host = {.mem_bytes = 1 << 20, .cores_bytes_per_s = 1000},
};

Test(machine_model, every_number_is_checked)
{
    const struct {
        size_t offset;
        const char *name;
        bool may_be_zero;
    } fields[] = {
        {offsetof(struct spw_machine_model, devices[0].mem_bytes), "the device's memory", false},
        {offsetof(struct spw_machine_model, devices[0].flops_per_s), "FLOP rate", false},
        {offsetof(struct spw_machine_model, devices[0].memory_bytes_per_s), "device's memory",
         false},
        {offsetof(struct spw_machine_model, devices[0].launch_ns), "a launch", true},
        {offsetof(struct spw_machine_model, devices[0].link.bytes_per_s), "link's rate", false},
        {offsetof(struct spw_machine_model, devices[0].link_latency_ns), "link's latency", true},
        {offsetof(struct spw_machine_model, devices[0].busy_mw), "busy device's power", true},
        {offsetof(struct spw_machine_model, devices[0].idle_mw), "idle device's power", true},
        {offsetof(struct spw_machine_model, devices[0].microdollars_per_h), "price", true},
        {offsetof(struct spw_machine_model, host.mem_bytes), "host's memory", false},
        {offsetof(struct spw_machine_model, host.memory_bytes_per_s), "the host's memory", true},
        {offsetof(struct spw_machine_model, host.cores_bytes_per_s), "host cores", false},
        {offsetof(struct spw_machine_model, host.cores_launch_ns), "host cores' time", true},
        {offsetof(struct spw_machine_model, host.link.bytes_per_s), "shared link", true},
        {offsetof(struct spw_machine_model, host.mw), "the host's power", true},
    };
    cr_assert(spw_machine_model_check(&good, 0, NULL) == SPW_OK);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const uint64_t values[] = {0, (UINT64_C(1) << 50) + 1, UINT64_MAX};
        for (size_t k = 0; k < 3; k++) {
            struct spw_machine_model model = good;
            struct spw_error error = {0};
            memcpy((char *)&model + fields[i].offset, &values[k], sizeof(values[k]));
            const bool fine = k == 0 && fields[i].may_be_zero;
            const enum spw_status want = fine ? SPW_OK : SPW_ERR_ARGUMENT;
            cr_assert(spw_machine_model_check(&model, 1, &error) == want, "%s", fields[i].name);
            cr_assert(fine || strstr(error.what, fields[i].name) != NULL, "%s", error.what);
        }
    }
}

/* Only the parts that there are. */
Test(machine_model, every_part_is_checked)
{
    struct spw_machine_model model = good;
    cr_assert(spw_machine_model_check(&model, 2, NULL) == SPW_ERR_ARGUMENT);
    model.devices[1] = model.devices[0];
    cr_assert(spw_machine_model_check(&model, 2, NULL) == SPW_OK);
    cr_assert(spw_machine_model_check(&model, 3, NULL) == SPW_ERR_ARGUMENT);
}

Test(machine_model, the_machine_string_wins)
{
    struct spw_machine_model model = good;
    spw_machine_model_override(&model, &(struct spw_machine){.kind = SPW_MACHINE_SIM});
    cr_assert(memcmp(&model, &good, sizeof(model)) == 0);
    const struct spw_machine machine = {.mem_bytes = 5, .link_bytes_per_s = 6};
    spw_machine_model_override(&model, &machine);
    for (int part = 0; part < SPW_MACHINE_PARTS_MAX; part++) {
        cr_assert(model.devices[part].mem_bytes == 5);
        cr_assert(model.devices[part].link.bytes_per_s == 6);
    }
    cr_assert(model.devices[0].flops_per_s == good.devices[0].flops_per_s);
}
