/* machine.h — machines as strings: "host*2 mem=8MiB link=1GB/s threads=1 pace=model".
 *
 * Parses, checks and prints back in canonical form. Tested by tests/runtime/test_machine.c. */
#ifndef SPW_RUNTIME_DEVICE_MACHINE_H
#define SPW_RUNTIME_DEVICE_MACHINE_H

#include "base/world.h"

#define SPW_DEVICES_MAX 64

enum spw_machine_kind { SPW_MACHINE_HOST, SPW_MACHINE_CUDA, SPW_MACHINE_SIM };

struct spw_machine {
    enum spw_machine_kind kind;
    uint32_t device_count;
    uint64_t mem_bytes;        /* per device; 0: the kind's default */
    uint64_t link_bytes_per_s; /* per device and direction; 0: unthrottled */
    uint32_t threads;          /* host: compute threads per device */
    bool pace_model;
};

/* `where` ("fashion.yaml:4:10" or "--machine") begins the message of a refusal (SPW_ERR_USAGE). Kinds
 * that this build does not serve are refused as such. */
enum spw_status spw_machine_parse(const char *text, const char *where, struct spw_error *error,
                                  struct spw_machine *out);
/* The canonical form; out has room for 160 characters. Parsing it gives the same machine. */
void spw_machine_print(const struct spw_machine *machine, char out[160]);

#endif
