/* machine_model.c — see machine_model.h. */
#include "runtime/device/machine_model.h"

#include "base/status.h"

#include <inttypes.h>

/* 2^50: a petabyte, a million TFLOP/s, or thirteen days. Products with small counts stay below
 * 2^63. */
#define NUMBER_MAX (UINT64_C(1) << 50)

struct field {
    const char *name;
    uint64_t value;
    bool may_be_zero;
};

enum spw_status spw_machine_model_check(const struct spw_machine_model *model,
                                        struct spw_error *error)
{
    const struct spw_device_model *device = &model->device;
    const struct spw_host_model *host = &model->host;
    const struct field fields[] = {
        {"the device's memory", device->mem_bytes, false},
        {"the device's FLOP rate", device->flops_per_s, false},
        {"the rate of the device's memory", device->memory_bytes_per_s, false},
        {"the time of a launch", device->launch_ns, true},
        {"the link's rate", device->link_bytes_per_s, false},
        {"the link's latency", device->link_latency_ns, true},
        {"the host's memory", host->mem_bytes, false},
        {"the rate of the host cores", host->cores_bytes_per_s, false},
        {"the host cores' time of a launch", host->cores_launch_ns, true},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if ((fields[i].value == 0 && !fields[i].may_be_zero) || fields[i].value > NUMBER_MAX) {
            return SPW_FAIL(error, SPW_ERR_ARGUMENT,
                            "a machine to simulate: %s is %" PRIu64 "; it must be %s and at most "
                            "%" PRIu64,
                            fields[i].name, fields[i].value,
                            fields[i].may_be_zero ? "0 or more" : "above 0", NUMBER_MAX);
        }
    }
    return SPW_OK;
}

void spw_machine_model_override(struct spw_machine_model *model, const struct spw_machine *machine)
{
    if (machine->mem_bytes != 0) {
        model->device.mem_bytes = machine->mem_bytes;
    }
    if (machine->link_bytes_per_s != 0) {
        model->device.link_bytes_per_s = machine->link_bytes_per_s;
    }
}
