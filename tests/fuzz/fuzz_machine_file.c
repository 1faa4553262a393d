/* fuzz_machine_file.c — machine files: what is taken can be simulated, the rest is refused with a
 * place. */
#include "base/assert.h"
#include "selection/machine_file.h"

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

    struct spw_machine_model model = {0};
    struct spw_error error = {0};
    const enum spw_status status = spw_machine_file_parse(
        spw_world_system(), "mine.yaml", text, bytes, &error, &model.devices[0], &model.host);
    if (status == SPW_OK) {
        SPW_ASSERT(spw_machine_model_check(&model, 1, &error) == SPW_OK);
    } else {
        SPW_ASSERT(status == SPW_ERR_USAGE && error.status == SPW_ERR_USAGE);
        SPW_ASSERT(strncmp(error.what, "mine.yaml:", 10) == 0);
    }
    free(text);
    return 0;
}
