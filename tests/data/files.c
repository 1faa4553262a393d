/* files.c — data files built in memory. */
#include "files.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void file_add(struct file *file, const void *data, uint64_t bytes)
{
    cr_assert(bytes <= FILE_BYTES_MAX - file->bytes, "a test file is too long");
    memcpy(file->data + file->bytes, data, bytes);
    file->bytes += bytes;
}

void file_add_text(struct file *file, const char *text)
{
    file_add(file, text, strlen(text));
}

static void add_little(struct file *file, uint64_t value, int bytes)
{
    for (int index = 0; index < bytes; index++) {
        const uint8_t byte = (uint8_t)(value >> (8 * index));
        file_add(file, &byte, 1);
    }
}

void file_idx(struct file *file, uint32_t rank, const uint32_t *dims)
{
    file->bytes = 0;
    const uint8_t magic[4] = {0, 0, 8, (uint8_t)rank};
    file_add(file, magic, 4);
    uint64_t count = 1;
    for (uint32_t axis = 0; axis < rank; axis++) {
        const uint32_t dim = dims[axis];
        const uint8_t bytes[4] = {(uint8_t)(dim >> 24), (uint8_t)(dim >> 16), (uint8_t)(dim >> 8),
                                  (uint8_t)dim};
        file_add(file, bytes, 4);
        count *= dim;
    }
    for (uint64_t index = 0; index < count; index++) {
        add_little(file, index % 251, 1);
    }
}

void file_npy(struct file *file, int major, const char *dictionary, const void *values,
              uint64_t bytes)
{
    file->bytes = 0;
    const int length_bytes = major == 1 ? 2 : 4;
    const uint64_t used = 8 + (uint64_t)length_bytes + strlen(dictionary) + 1;
    const uint64_t padding = (64 - used % 64) % 64;
    file_add(file, "\x93NUMPY", 6);
    add_little(file, (uint64_t)major, 2);
    add_little(file, strlen(dictionary) + padding + 1, length_bytes);
    file_add_text(file, dictionary);
    for (uint64_t index = 0; index < padding; index++) {
        file_add(file, " ", 1);
    }
    file_add(file, "\n", 1);
    file_add(file, values, bytes);
}

void file_tokens(struct file *file, bool wide, uint32_t count, uint32_t first)
{
    file->bytes = 0;
    add_little(file, wide ? 20240801 : 20240520, 4);
    add_little(file, wide ? 7 : 1, 4);
    add_little(file, count, 4);
    while (file->bytes < 1024) {
        add_little(file, 0, 4);
    }
    for (uint32_t index = 0; index < count; index++) {
        add_little(file, first + index, wide ? 4 : 2);
    }
}

static uint32_t crc32_of(const uint8_t *data, uint64_t bytes)
{
    uint32_t crc = UINT32_MAX;
    for (uint64_t index = 0; index < bytes; index++) {
        crc ^= data[index];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
        }
    }
    return ~crc;
}

void file_add_gzip(struct file *file, const struct file *content)
{
    file_add(file, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
    file_add(file, "\1", 1); /* the last block, stored; up to 65535 bytes */
    add_little(file, content->bytes, 2);
    add_little(file, ~content->bytes, 2);
    file_add(file, content->data, content->bytes);
    add_little(file, crc32_of(content->data, content->bytes), 4);
    add_little(file, content->bytes, 4);
}

enum spw_status request_open(const struct request *request, struct spw_memory_world *memory,
                             struct spw_memory_file files[2], struct spw_error *error,
                             struct spw_dataset **out)
{
    const char *path = request->compressed ? "path.gz" : "path";
    const char *labels = request->compressed ? "labels.gz" : "labels";
    uint64_t count = 0;
    files[count++] = (struct spw_memory_file){path, request->path->data, request->path->bytes};
    if (request->labels != NULL) {
        files[count++] =
            (struct spw_memory_file){labels, request->labels->data, request->labels->bytes};
    }
    spw_memory_world_init(memory, files, count);
    return spw_dataset_open(&memory->world, request->format, path,
                            request->labels != NULL ? labels : NULL, request->seq_len, error, out);
}

/* All items, one by one. */
static void gather_all(const struct spw_world *world, const struct spw_dataset *set)
{
    static union {
        float values[FILE_BYTES_MAX];
        int32_t tokens[FILE_BYTES_MAX];
    } x;
    static int32_t targets[FILE_BYTES_MAX];
    struct spw_error error = {0};
    struct spw_cursor *cursor;
    const struct spw_cursor_config config = {.batch = 1};
    cr_assert(spw_cursor_create(world, set, &config, &error, &cursor) == SPW_OK, "%s", error.what);
    const struct spw_data_info *info = spw_dataset_info(set);
    for (int64_t item = 0; item < info->items; item++) {
        spw_cursor_gather(cursor, (uint64_t)item + 1, 0, 1, &x, targets);
        for (int64_t index = 0; index < info->targets_per_item; index++) {
            cr_assert(targets[index] >= 0 && targets[index] < info->classes,
                      "target %" PRId32 " of %" PRId64, targets[index], info->classes);
        }
    }
    spw_cursor_destroy(cursor);
}

enum spw_status request_try(const struct request *request, struct spw_error *error)
{
    struct spw_memory_world memory;
    struct spw_memory_file files[2];
    struct spw_dataset *set;
    const enum spw_status status = request_open(request, &memory, files, error, &set);
    if (status == SPW_OK) {
        gather_all(&memory.world, set);
        spw_dataset_close(set);
    } else {
        cr_assert(status == SPW_ERR_USAGE, "%s: %s", spw_status_name(status), error->what);
        cr_assert(error->status == SPW_ERR_USAGE && strlen(error->what) > 20);
    }
    cr_assert(spw_memory_world_clean(&memory), "memory or a file is left over");
    /* The decompressor's window takes 32 KiB and its buffers more, whatever the file. */
    cr_assert(memory.largest_allocation <= (128 << 10) + UINT64_C(1032) * request->path->bytes,
              "%" PRIu64 " bytes allocated at once for a file of %" PRIu64,
              memory.largest_allocation, request->path->bytes);
    return status;
}

void request_refused(const struct request *request, const char *words)
{
    struct spw_error error = {0};
    const enum spw_status status = request_try(request, &error);
    cr_assert(status == SPW_ERR_USAGE, "not refused; expected: %s", words);
    cr_assert(strstr(error.what, words) != NULL, "expected \"%s\" in: %s", words, error.what);
}
