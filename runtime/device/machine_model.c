/* machine_model.c — see machine_model.h. */
#include "runtime/device/machine_model.h"

#include "base/status.h"

#include <inttypes.h>

/* 2^50: a petabyte, a million TFLOP/s, or thirteen days. Products with small counts stay below
 * 2^63. */
#define NUMBER_MAX (UINT64_C(1) << 50)

struct number {
    const char *name;
    uint64_t value;
    bool may_be_zero;
};

static enum spw_status check(const struct number *numbers, size_t count, struct spw_error *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct number *number = &numbers[i];
        if ((number->value == 0 && !number->may_be_zero) || number->value > NUMBER_MAX) {
            return SPW_FAIL(error, SPW_ERR_ARGUMENT,
                            "a machine to simulate: %s is %" PRIu64 "; it must be %s and at most "
                            "%" PRIu64,
                            number->name, number->value,
                            number->may_be_zero ? "0 or more" : "above 0", NUMBER_MAX);
        }
    }
    return SPW_OK;
}

static enum spw_status check_device(const struct spw_device_model *device, struct spw_error *error)
{
    const struct number numbers[] = {
        {"the device's memory", device->mem_bytes, false},
        {"the device's FLOP rate", device->flops_per_s, false},
        {"the rate of the device's memory", device->memory_bytes_per_s, false},
        {"the time of a launch", device->launch_ns, true},
        {"the link's rate", device->link.bytes_per_s, false},
        {"the link's latency", device->link_latency_ns, true},
        {"the busy device's power", device->busy_mw, true},
        {"the idle device's power", device->idle_mw, true},
        {"the device's price", device->microdollars_per_h, true},
    };
    return check(numbers, sizeof(numbers) / sizeof(numbers[0]), error);
}

static enum spw_status check_host(const struct spw_host_model *host, struct spw_error *error)
{
    const struct number numbers[] = {
        {"the host's memory", host->mem_bytes, false},
        {"the rate of the host's memory", host->memory_bytes_per_s, true},
        {"the rate of the host cores", host->cores_bytes_per_s, false},
        {"the host cores' time of a launch", host->cores_launch_ns, true},
        {"the rate of the shared link", host->link.bytes_per_s, true},
        {"the number of devices that share a link", host->link_devices, true},
        {"the host's power", host->mw, true},
    };
    return check(numbers, sizeof(numbers) / sizeof(numbers[0]), error);
}

enum spw_status spw_machine_model_check(const struct spw_machine_model *model, uint32_t part_count,
                                        struct spw_error *error)
{
    const uint32_t count = part_count > 0 ? part_count : 1;
    for (uint32_t part = 0; part < count; part++) {
        SPW_TRY(check_device(&model->devices[part], error));
    }
    return check_host(&model->host, error);
}

void spw_machine_model_override(struct spw_machine_model *model, const struct spw_machine *machine)
{
    for (int part = 0; part < SPW_MACHINE_PARTS_MAX; part++) {
        struct spw_device_model *device = &model->devices[part];
        if (machine->mem_bytes != 0) {
            device->mem_bytes = machine->mem_bytes;
        }
        if (machine->link_bytes_per_s != 0) {
            device->link.bytes_per_s = machine->link_bytes_per_s;
        }
    }
}
