/* machine_model.h — a machine as numbers: what the simulator, and plans for machines that are not
 * at hand, know of it.
 *
 * Numbers only: where they come from is said in the machine file (selection/machine_file.h), as
 * reading files is not the runtime's business. Rates are what programs sustain, not what brochures
 * promise. Tested by tests/runtime/test_machine_model.c. */
#ifndef SPW_RUNTIME_DEVICE_MACHINE_MODEL_H
#define SPW_RUNTIME_DEVICE_MACHINE_MODEL_H

#include "runtime/device/machine.h"

/* One device. */
struct spw_device_model {
    uint64_t mem_bytes;          /* that regions may take */
    uint64_t flops_per_s;        /* fp32 matrix products */
    uint64_t memory_bytes_per_s; /* of its own memory */
    uint64_t launch_ns;          /* of each kernel call */
    uint64_t link_bytes_per_s;   /* to and from the homes, each direction by itself */
    uint64_t link_latency_ns;    /* of each contiguous copy */
};

/* The host that some devices share. */
struct spw_host_model {
    uint64_t mem_bytes;         /* for homes */
    uint64_t cores_bytes_per_s; /* that UPDATE, REDUCE and gathering read and write */
    uint64_t cores_launch_ns;   /* of each of their works */
};

struct spw_machine_model {
    struct spw_device_model device;
    struct spw_host_model host;
};

/* Refuses what can't be simulated: a rate or a memory of 0, or numbers so large that sums of times
 * could wrap. SPW_ERR_ARGUMENT names the field. */
enum spw_status spw_machine_model_check(const struct spw_machine_model *model,
                                        struct spw_error *error);
/* What the machine string says otherwise (mem, link) wins. */
void spw_machine_model_override(struct spw_machine_model *model, const struct spw_machine *machine);

#endif
