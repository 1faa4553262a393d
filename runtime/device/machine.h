/* machine.h — machines as strings: "host*2 mem=8MiB link=1GB/s threads=1 pace=model", or simulated
 * ones, "sim:h200*6+a100*2 hosts=2".
 *
 * Parses, checks and prints back in canonical form. What a simulated device called h200 is, a file
 * says (selection/machine_file.h). Tested by tests/runtime/test_machine.c and
 * tests/fuzz/fuzz_machine.c. */
#ifndef SPW_RUNTIME_DEVICE_MACHINE_H
#define SPW_RUNTIME_DEVICE_MACHINE_H

#include "base/world.h"

#define SPW_DEVICES_MAX 1024

/* Memory of a host device if the string says nothing: 256 MiB. */
#define SPW_MACHINE_HOST_MEM_BYTES (UINT64_C(256) << 20)

/* Speeds of a host device with pace=model: of its kernels, and of its link if the string gives
 * none. Slow enough that two busy cores keep up with several devices, so that the modelled time,
 * not the machine, decides: a copy of 1 MB takes 1 ms, and so do kernels of 2 MFLOP. */
#define SPW_MACHINE_PACE_FLOPS_PER_S UINT64_C(2000000000)
#define SPW_MACHINE_PACE_LINK_BYTES_PER_S UINT64_C(1000000000)

enum spw_machine_kind { SPW_MACHINE_HOST, SPW_MACHINE_CUDA, SPW_MACHINE_SIM };

/* Sorts of devices in one simulated machine. */
#define SPW_MACHINE_PARTS_MAX 4
#define SPW_MACHINE_NAME_MAX 64

/* Devices of one sort, in a row. */
struct spw_machine_part {
    char name[SPW_MACHINE_NAME_MAX]; /* of a machine file, or its path */
    uint32_t count;
};

struct spw_machine {
    enum spw_machine_kind kind;
    uint32_t device_count;     /* host: 1 to 64; sim: 1 to SPW_DEVICES_MAX */
    uint64_t mem_bytes;        /* per device, at least 4 KiB; 0: the kind's default */
    uint64_t link_bytes_per_s; /* per device and direction; 0: unthrottled */
    uint32_t threads;          /* host: compute threads per device, 1 to 256 */
    bool pace_model;
    uint32_t hosts; /* sim: the devices are dealt out to them evenly, in order; else 1 */
    uint32_t part_count;
    struct spw_machine_part parts[SPW_MACHINE_PARTS_MAX]; /* sim: together device_count devices */
};

/* `where` ("fashion.yaml:4:10" or "--machine") begins the message of a refusal (SPW_ERR_USAGE).
 * Kinds that this build does not serve are refused as such. Words may be separated by several
 * blanks and come in any order after the first. */
enum spw_status spw_machine_parse(const char *text, const char *where, struct spw_error *error,
                                  struct spw_machine *out);
/* The canonical form: mem, link, threads, pace, hosts, without what is default. Parsing it gives
 * the same machine. */
#define SPW_MACHINE_TEXT_MAX 512
void spw_machine_print(const struct spw_machine *machine, char out[SPW_MACHINE_TEXT_MAX]);
/* The part that device `index` (below device_count) belongs to, and the host. */
uint32_t spw_machine_part_of(const struct spw_machine *machine, uint32_t index);
uint32_t spw_machine_host_of(const struct spw_machine *machine, uint32_t index);

#endif
