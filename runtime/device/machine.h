/* machine.h — machines as strings: "host*2 mem=8MiB link=1GB/s threads=1 pace=model".
 *
 * Parses, checks and prints back in canonical form. Tested by tests/runtime/test_machine.c and
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

struct spw_machine {
    enum spw_machine_kind kind;
    uint32_t device_count;     /* host: 1 to 64; sim: 1 to SPW_DEVICES_MAX */
    uint64_t mem_bytes;        /* per device, at least 4 KiB; 0: the kind's default */
    uint64_t link_bytes_per_s; /* per device and direction; 0: unthrottled */
    uint32_t threads;          /* host: compute threads per device, 1 to 256 */
    bool pace_model;
};

/* `where` ("fashion.yaml:4:10" or "--machine") begins the message of a refusal (SPW_ERR_USAGE).
 * Kinds that this build does not serve are refused as such. Words may be separated by several
 * blanks and come in any order after the first. */
enum spw_status spw_machine_parse(const char *text, const char *where, struct spw_error *error,
                                  struct spw_machine *out);
/* The canonical form: mem, link, threads, pace, without what is default; out has room for 160
 * characters. Parsing it gives the same machine. */
void spw_machine_print(const struct spw_machine *machine, char out[160]);

#endif
