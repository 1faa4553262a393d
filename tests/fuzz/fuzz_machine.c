/* fuzz_machine.c — machine strings: what is taken prints back to the same machine. */
#include "base/assert.h"
#include "runtime/device/machine.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    /* Exactly as long as the text, so that the sanitizer sees one byte more. */
    char *text = malloc(bytes + 1);
    SPW_ASSERT(text != NULL);
    if (bytes > 0) {
        memcpy(text, data, bytes);
    }
    text[bytes] = '\0';

    struct spw_machine machine;
    struct spw_error error = {0};
    const enum spw_status status = spw_machine_parse(text, "--machine", &error, &machine);
    if (status == SPW_OK) {
        struct spw_machine again;
        char printed[SPW_MACHINE_TEXT_MAX];
        spw_machine_print(&machine, printed);
        SPW_ASSERT(spw_machine_parse(printed, "--machine", &error, &again) == SPW_OK);
        SPW_ASSERT(again.device_count == machine.device_count);
        SPW_ASSERT(again.mem_bytes == machine.mem_bytes);
        SPW_ASSERT(again.link_bytes_per_s == machine.link_bytes_per_s);
        SPW_ASSERT(again.hosts == machine.hosts && again.part_count == machine.part_count);
        SPW_ASSERT(memcmp(again.parts, machine.parts, sizeof(machine.parts)) == 0);
        SPW_ASSERT(again.threads == machine.threads && again.pace_model == machine.pace_model);
    } else {
        SPW_ASSERT(status == SPW_ERR_USAGE && error.status == SPW_ERR_USAGE);
        SPW_ASSERT(strncmp(error.what, "--machine: machine '", 20) == 0);
    }
    free(text);
    return 0;
}
