/* machine_model.h — a machine as numbers: what the simulator, and plans for machines that are not
 * at hand, know of it.
 *
 * Numbers only: where they come from is said in the machine file (selection/machine_file.h), as
 * reading files is not the runtime's business. Rates are what programs sustain, not what brochures
 * promise. Tested by tests/runtime/test_machine_model.c. */
#ifndef SPW_RUNTIME_DEVICE_MACHINE_MODEL_H
#define SPW_RUNTIME_DEVICE_MACHINE_MODEL_H

#include "runtime/device/machine.h"

/* A way for bytes. */
struct spw_link_model {
    uint64_t bytes_per_s; /* each direction by itself, or both together; 0: no limit */
    bool half_duplex;     /* both together */
};

/* One device. */
struct spw_device_model {
    uint64_t mem_bytes;          /* that regions may take */
    uint64_t flops_per_s;        /* fp32 matrix products */
    uint64_t memory_bytes_per_s; /* of its own memory */
    uint64_t launch_ns;          /* of each kernel call */
    struct spw_link_model link;  /* to and from the homes; has a limit */
    uint64_t link_latency_ns;    /* of each contiguous copy */
    uint64_t busy_mw, idle_mw;   /* milliwatts while it computes, and while it does not */
    uint64_t microdollars_per_h; /* of renting it, its part of the host included; 0: unknown */
};

/* A host, of which all are alike. */
struct spw_host_model {
    uint64_t mem_bytes;          /* for homes */
    uint64_t memory_bytes_per_s; /* read and written by copies and cores together; 0: no limit */
    uint64_t cores_bytes_per_s;  /* that UPDATE, REDUCE and gathering read and write at most */
    uint64_t cores_launch_ns;    /* of each of their works */
    struct spw_link_model link; /* shared by the devices of the host, or by each so many of them, */
    uint32_t link_devices;      /* neighbours; 0: all */
    uint64_t mw;                /* milliwatts of the host itself */
};

struct spw_machine_model {
    struct spw_device_model devices[SPW_MACHINE_PARTS_MAX]; /* of the machine's parts */
    struct spw_host_model host;
};

/* Refuses what can't be simulated: a rate or a memory of 0, or numbers so large that sums of times
 * could wrap. Of a machine with no parts, one sort of device. SPW_ERR_ARGUMENT names the number. */
enum spw_status spw_machine_model_check(const struct spw_machine_model *model, uint32_t part_count,
                                        struct spw_error *error);
/* What the machine string says otherwise (mem, link) wins. */
void spw_machine_model_override(struct spw_machine_model *model, const struct spw_machine *machine);

#endif
