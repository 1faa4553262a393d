/* test_safetensors_write.c — the writer: what it writes is read back bit for bit, equal input gives
 * equal files, and a failure leaves nothing behind. */
#include "model_check.h"

#include "models/json.h"
#include "models/safetensors.h"
#include "tests/support/fault_world.h"
#include "tests/support/temporary.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char *const names[] = {"wte.weight", "awkward \"name\"\\", "scalar", "big"};
static const struct spw_shape shapes[] = {
    {.rank = 2, .dim = {3, 5}},
    {.rank = 1, .dim = {7}},
    {.rank = 0},
    {.rank = 2, .dim = {300, 500}},
};

static float element(uint64_t tensor, uint64_t index)
{
    if (tensor == 1 && index == 2) {
        return NAN;
    }
    return (float)(tensor + 1) * 0.1f + (float)index * -0.37f;
}

/* `self` counts the calls; a negative count fails the call that reaches zero. */
static enum spw_status read_elements(void *self, uint64_t index, uint64_t first, uint64_t count,
                                     float *out, struct spw_error *error)
{
    int *calls = self;
    (*calls)++;
    if (*calls == 0) {
        return spw_error_set(error, SPW_ERR_DEVICE, 0, __FILE__, __LINE__, "the device went away");
    }
    for (uint64_t i = 0; i < count; i++) {
        out[i] = element(index, first + i);
    }
    return SPW_OK;
}

static enum spw_status write_file(const struct spw_world *world, const char *path, int calls,
                                  struct spw_error *error)
{
    const struct spw_tensor_source source = {.self = &calls, .read = read_elements};
    return spw_safetensors_write(world, path, 4, names, shapes, &source, error);
}

Test(safetensors_write, is_read_back_bit_for_bit)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    char path[512];
    spw_temporary_path(&temporary, "out", path);
    struct spw_error error = {0};
    check_ok(write_file(spw_world_system(), path, 0, &error), &error);
    struct spw_safetensors file;
    check_ok(spw_safetensors_open(spw_world_system(), path, &error, &file), &error);
    cr_assert(file.count == 4);
    cr_assert(file.entries[0].offset_bytes % 8 == 0);
    static float values[150000];
    for (uint64_t t = 0; t < 4; t++) {
        const struct spw_tensor_entry *entry = &file.entries[t];
        cr_assert_str_eq(entry->name, names[t]);
        cr_assert_str_eq(entry->dtype, "F32");
        cr_assert(entry->rank == (uint64_t)shapes[t].rank);
        const uint64_t count = spw_tensor_elements(entry);
        cr_assert(count == (uint64_t)spw_shape_elements(&shapes[t]));
        check_ok(spw_safetensors_read(&file, entry, 0, count, values, &error), &error);
        for (uint64_t i = 0; i < count; i++) {
            const float wanted = element(t, i);
            cr_assert(memcmp(&values[i], &wanted, sizeof(wanted)) == 0, "tensor %d, element %d",
                      (int)t, (int)i);
        }
    }
    spw_safetensors_close(&file);
    cr_assert(spw_temporary_count(&temporary) == 1);
    spw_temporary_deinit(&temporary);
}

static char *content_of(const char *path, uint64_t *bytes)
{
    struct spw_error error = {0};
    char *content = NULL;
    check_ok(spw_read_file(spw_world_system(), path, 10000000, &error, &content, bytes), &error);
    return content;
}

Test(safetensors_write, gives_equal_files_for_equal_input)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    char paths[2][512];
    char *contents[2];
    uint64_t bytes[2];
    for (int i = 0; i < 2; i++) {
        struct spw_error error = {0};
        spw_temporary_path(&temporary, i == 0 ? "one" : "two", paths[i]);
        check_ok(write_file(spw_world_system(), paths[i], 0, &error), &error);
        contents[i] = content_of(paths[i], &bytes[i]);
    }
    cr_assert(bytes[0] == bytes[1] && memcmp(contents[0], contents[1], bytes[0]) == 0);
    /* The very header: others depend on it. */
    static const char expected[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"wte.weight\":{\"dtype\":\"F32\",\"shape\":[3,5],\"data_offsets\":[0,60]},"
        "\"awkward \\\"name\\\"\\\\\":{\"dtype\":\"F32\",\"shape\":[7],\"data_offsets\":[60,88]},"
        "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[88,92]},"
        "\"big\":{\"dtype\":\"F32\",\"shape\":[300,500],\"data_offsets\":[92,600092]}}";
    cr_assert(memcmp(contents[0] + 8, expected, strlen(expected)) == 0);
    for (int i = 0; i < 2; i++) {
        spw_release(spw_world_system(), contents[i]);
    }
    spw_temporary_deinit(&temporary);
}

/* An older file stays as it was until the new one is complete; a dead run's temporary is in no way.
 */
Test(safetensors_write, replaces_files)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    char path[512];
    spw_temporary_path(&temporary, "out", path);
    spw_temporary_write(&temporary, "out", "old", 3);
    spw_temporary_write(&temporary, "out.tmp", "left over", 9);
    struct spw_error error = {0};
    cr_assert(write_file(spw_world_system(), path, -3, &error) == SPW_ERR_DEVICE);
    cr_assert_str_eq(error.what, "the device went away");
    uint64_t bytes;
    char *content = content_of(path, &bytes);
    cr_assert(bytes == 3 && memcmp(content, "old", 3) == 0);
    spw_release(spw_world_system(), content);
    cr_assert(spw_temporary_count(&temporary) == 1);

    error = (struct spw_error){0};
    check_ok(write_file(spw_world_system(), path, 0, &error), &error);
    cr_assert(spw_temporary_count(&temporary) == 1);
    content = content_of(path, &bytes);
    cr_assert(bytes > 600000);
    spw_release(spw_world_system(), content);
    spw_temporary_deinit(&temporary);
}

static enum spw_status fault_status(enum spw_fault_kind kind)
{
    return kind == SPW_FAULT_ALLOCATION ? SPW_ERR_NO_MEMORY : SPW_ERR_IO;
}

/* Every allocation and every file call of the writer, failing in turn. */
Test(safetensors_write, leaves_nothing_behind_when_a_call_fails)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    char path[512];
    spw_temporary_path(&temporary, "out", path);
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    for (enum spw_fault_kind kind = 0; kind < SPW_FAULT_KINDS; kind++) {
        uint64_t at = 1;
        for (;; at++) {
            spw_fault_world_arm(&fault, kind, (struct spw_fault_rule){.at = at});
            struct spw_error error = {0};
            const enum spw_status status = write_file(&fault.world, path, 0, &error);
            cr_assert(spw_fault_world_clean(&fault), "kind %d, call %d", (int)kind, (int)at);
            if (!spw_fault_world_struck(&fault)) {
                check_ok(status, &error);
                break;
            }
            cr_assert(status == fault_status(kind), "kind %d, call %d: %s", (int)kind, (int)at,
                      error.what);
            cr_assert(spw_temporary_count(&temporary) == 0, "kind %d, call %d", (int)kind, (int)at);
        }
        cr_assert(at > 3, "only %d calls of kind %d", (int)at, (int)kind);
        cr_assert(remove(path) == 0);
    }
    spw_temporary_deinit(&temporary);
}

Test(safetensors_write, tells_where_it_could_not_write)
{
    struct spw_error error = {0};
    cr_assert(write_file(spw_world_system(), "/nonexistent/out", 0, &error) == SPW_ERR_NOT_FOUND);
    cr_assert(strstr(error.what, "/nonexistent/out") != NULL, "%s", error.what);
}
