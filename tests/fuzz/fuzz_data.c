/* fuzz_data.c — what the fuzz targets of the data formats share. */
#include "fuzz_data.h"

#include "base/assert.h"
#include "tests/support/memory_world.h"

#include <stdlib.h>
#include <string.h>

/* More than the decompressor needs, less than slows the fuzzer down. */
#define ALLOCATION_BYTES_MAX (UINT64_C(16) << 20)
#define DECOMPRESSOR_BYTES (UINT64_C(128) << 10)
#define GATHERED_BYTES_MAX (UINT64_C(1) << 20)

bool fuzz_is_compressed(struct fuzz_file file)
{
    return file.bytes >= 2 && file.data[0] == 0x1f && file.data[1] == 0x8b;
}

static void gather(const struct spw_world *world, const struct spw_dataset *set)
{
    const struct spw_data_info *info = spw_dataset_info(set);
    SPW_ASSERT(info->items > 0 && info->classes > 0 && info->targets_per_item > 0);
    uint64_t elements = 1;
    for (int64_t axis = 0; axis < info->rank; axis++) {
        SPW_ASSERT(info->dim[axis] > 0);
        elements *= (uint64_t)info->dim[axis];
    }
    const int64_t batch = info->items < 3 ? info->items : 3;
    if (elements > GATHERED_BYTES_MAX / 12) {
        return;
    }
    /* Exactly as long as what is gathered, so that the sanitizer sees one element more. */
    float *x = malloc((size_t)batch * elements * sizeof(*x));
    int32_t *targets = malloc((size_t)(batch * info->targets_per_item) * sizeof(*targets));
    struct spw_cursor *cursor;
    struct spw_error error = {0};
    const struct spw_cursor_config config = {.seed = 1, .shuffle = true, .batch = batch};
    SPW_ASSERT(x != NULL && targets != NULL);
    SPW_ASSERT(spw_cursor_create(world, set, &config, &error, &cursor) == SPW_OK);
    for (uint64_t step = 1; step <= 5; step++) {
        spw_cursor_gather(cursor, step, 0, batch, x, targets);
        for (int64_t index = 0; index < batch * info->targets_per_item; index++) {
            SPW_ASSERT(targets[index] >= 0 && targets[index] < info->classes);
        }
    }
    spw_cursor_destroy(cursor);
    free(targets);
    free(x);
}

static void check_refusal(enum spw_status status, const struct spw_error *error,
                          const struct spw_memory_world *memory)
{
    SPW_ASSERT(error->status == status);
    if (status == SPW_ERR_NO_MEMORY) {
        SPW_ASSERT(memory->largest_allocation > memory->allocation_bytes_max);
        return;
    }
    SPW_ASSERT(status == SPW_ERR_USAGE);
    SPW_ASSERT(strncmp(error->what, "path", 4) == 0 || strncmp(error->what, "labels", 6) == 0);
    SPW_ASSERT(strchr(error->what, ';') != NULL);
}

void fuzz_open(enum spw_data_format format, struct fuzz_file path, struct fuzz_file labels,
               int64_t seq_len)
{
    const char *path_name = fuzz_is_compressed(path) ? "path.gz" : "path";
    const char *labels_name = fuzz_is_compressed(labels) ? "labels.gz" : "labels";
    const struct spw_memory_file files[2] = {
        {path_name, path.data, path.bytes},
        {labels_name, labels.data, labels.bytes},
    };
    struct spw_memory_world memory;
    spw_memory_world_init(&memory, files, 2);
    memory.allocation_bytes_max = ALLOCATION_BYTES_MAX;

    struct spw_error error = {0};
    struct spw_dataset *set;
    const enum spw_status status = spw_dataset_open(&memory.world, format, path_name,
                                                    labels.data != NULL ? labels_name : NULL,
                                                    seq_len, &error, &set);
    if (status == SPW_OK) {
        SPW_ASSERT(memory.largest_allocation <=
                   DECOMPRESSOR_BYTES + UINT64_C(1032) * (path.bytes + labels.bytes));
        gather(&memory.world, set);
        spw_dataset_close(set);
    } else {
        check_refusal(status, &error, &memory);
    }
    SPW_ASSERT(spw_memory_world_clean(&memory));
}
