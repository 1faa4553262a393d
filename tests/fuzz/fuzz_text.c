/* fuzz_text.c — sizes, rates, times and numbers from any text: no crash, and a size that was read
 * and printed reads back as the same. */
#include "base/assert.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"linear", "conv2d", "maxpool2d", "layernorm", NULL};
    char *text = malloc(size + 1);
    SPW_ASSERT(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';

    uint64_t value = 0;
    uint64_t again = 0;
    char printed[32];
    if (spw_parse_bytes(text, &value)) {
        SPW_ASSERT(spw_parse_bytes(spw_print_bytes(value, printed), &again));
        SPW_ASSERT(again == value);
    }
    (void)spw_parse_rate(text, &value);
    (void)spw_parse_time(text, &value);
    if (spw_parse_unsigned(text, 1000, &value)) {
        SPW_ASSERT(value <= 1000);
    }
    double number = 0;
    if (spw_parse_number(text, &number)) {
        SPW_ASSERT(isfinite(number));
    }
    (void)spw_nearest_name(text, names);
    free(text);
    return 0;
}
