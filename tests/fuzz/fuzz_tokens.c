/* fuzz_tokens.c — libFuzzer target of token files and texts, plain and gzip. */
#include "fuzz_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct fuzz_file input = {data, size};
    const struct fuzz_file none = {NULL, 0};
    fuzz_open(SPW_DATA_TOKENS, input, none, 4);
    fuzz_open(SPW_DATA_TEXT, input, none, 1 + (int64_t)(size % 7));
    return 0;
}
