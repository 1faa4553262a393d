/* machine_file.h — what the device called h200 in "sim:h200*8" is: machine files.
 *
 * A machine file is YAML with a table of keys of its own (docs/machines.md). Those of machines/ are
 * part of the program; others are named by their path. Reading files belongs to this box, as the
 * YAML reader does; the runtime takes numbers (runtime/device/machine_model.h).
 * Tested by tests/selection/test_machine_file.c and the files in tests/bad/machine/. */
#ifndef SPW_SELECTION_MACHINE_FILE_H
#define SPW_SELECTION_MACHINE_FILE_H

#include "runtime/device/machine_model.h"

/* A file's numbers, as its keys have them. */
struct spw_machine_file {
    const char *name;
    struct spw_device_file {
        uint64_t mem, memory, launch, link, link_latency;
        double fp32_tflops, busy_watts, idle_watts, dollars_per_hour;
        int32_t link_duplex;
    } device;
    struct spw_host_file {
        uint64_t mem, memory, cores, cores_launch, link, link_devices;
        double watts;
        int32_t link_duplex;
    } host;
};

/* Reads one file's text; `path` is for messages. SPW_ERR_USAGE with place, reason and cure. */
enum spw_status spw_machine_file_parse(const struct spw_world *world, const char *path,
                                       const char *bytes, uint64_t count, struct spw_error *error,
                                       struct spw_device_model *device,
                                       struct spw_host_model *host);
/* The model of a simulated machine: its parts' devices, and the host of the first part.
 * `where` ("fashion.yaml:4:10") begins the refusal of an unknown name; paths are relative to
 * `folder` ("" for the current one). */
enum spw_status spw_machine_file_find(const struct spw_world *world,
                                      const struct spw_machine *machine, const char *where,
                                      const char *folder, struct spw_error *error,
                                      struct spw_machine_model *out);
/* Makes a paced host machine (pace=model) into a simulated one with the same modelled times. Its
 * host cores, which are not paced, are taken for those of the machine file `host`. */
enum spw_status spw_machine_file_of_paced(const struct spw_world *world,
                                          struct spw_machine *machine, struct spw_error *error,
                                          struct spw_machine_model *out);
/* Names of the machines that are part of the program, ends in NULL. */
const char *const *spw_machine_file_names(void);

#endif
