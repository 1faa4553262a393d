/* test_safetensors.c — the reader: what it accepts, that halves widen exactly, and that neither a
 * cut nor a flipped bit gets past it unnoticed or crashes it. */
#include "model_check.h"

#include "models/safetensors.h"
#include "tests/support/temporary.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file in memory: length, header, data. */
struct image {
    unsigned char bytes[4096];
    size_t count;
    size_t header_bytes;
};

static struct image image_of(const char *header, const void *data, size_t data_bytes)
{
    struct image image = {.header_bytes = strlen(header)};
    const uint64_t length = image.header_bytes;
    memcpy(image.bytes, &length, 8);
    memcpy(image.bytes + 8, header, image.header_bytes);
    memcpy(image.bytes + 8 + image.header_bytes, data, data_bytes);
    image.count = 8 + image.header_bytes + data_bytes;
    return image;
}

static struct image small_image(void)
{
    static const float data[10] = {0.5f, -1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f, 8.0f, 9.0f};
    return image_of("{\"b\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[24,40]},"
                    "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                    "\"__metadata__\":{\"format\":\"pt\"}} ",
                    data, sizeof(data));
}

/* Opens the image as a file. */
static enum spw_status open_image(const struct spw_temporary *temporary, const struct image *image,
                                  struct spw_error *error, struct spw_safetensors *out)
{
    char path[512];
    spw_temporary_write(temporary, "file", image->bytes, image->count);
    return spw_safetensors_open(spw_world_system(), spw_temporary_path(temporary, "file", path),
                                error, out);
}

Test(safetensors, reads_tensors)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    const struct image image = small_image();
    struct spw_safetensors file;
    struct spw_error error = {0};
    check_ok(open_image(&temporary, &image, &error, &file), &error);
    cr_assert(file.count == 2);
    /* By place, not in the order of the header. */
    cr_assert_str_eq(file.entries[0].name, "a");
    cr_assert_str_eq(file.entries[0].dtype, "F32");
    cr_assert(file.entries[0].rank == 2 && file.entries[0].dim[1] == 3);
    const struct spw_tensor_entry *b = spw_safetensors_find(&file, "b");
    cr_assert(b == &file.entries[1] && spw_tensor_elements(b) == 4);
    cr_assert(spw_safetensors_find(&file, "c") == NULL);
    cr_assert(spw_safetensors_find(&file, "__metadata__") == NULL);

    float values[6];
    check_ok(spw_safetensors_read(&file, b, 0, 4, values, &error), &error);
    cr_assert(values[0] == 6.0f && values[3] == 9.0f);
    check_ok(spw_safetensors_read(&file, &file.entries[0], 1, 2, values, &error), &error);
    cr_assert(values[0] == -1.0f && values[1] == 2.0f);
    check_ok(spw_safetensors_read(&file, b, 4, 0, values, &error), &error);
    spw_safetensors_close(&file);
    spw_safetensors_close(&file);
    spw_temporary_deinit(&temporary);
}

/* What the format allows and a hasty reader trips over. */
Test(safetensors, accepts_unusual_files)
{
    static const struct {
        const char *header;
        size_t data_bytes;
        uint64_t count;
    } files[] = {
        {"{}", 0, 0},
        {"{}        ", 0, 0},
        {"{\"__metadata__\":{}}", 0, 0},
        {"{\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, 1},
        {"{\"z\":{\"dtype\":\"F32\",\"shape\":[3,0,2],\"data_offsets\":[0,0]}}", 0, 1},
        {"{\"z\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,0,4611686018427387904],"
         "\"data_offsets\":[0,0]}}",
         0, 1},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
         "\"z\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[3,3]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[3,4]}}",
         4, 3},
        {"{\"p\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[0,1]}}", 1, 1},
        {"{\"p\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[0,3]}}", 3, 1},
        {"{\"h.0.\xc3\xa9/..\":{\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,8],"
         "\"dtype\":\"C64\"}}",
         8, 1},
        {"{\"\\u0061\":{\"dtype\":\"BOOL\",\"shape\":[-0],\"data_offsets\":[0,0]}}", 0, 1},
    };
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        const unsigned char data[8] = {0};
        const struct image image = image_of(files[i].header, data, files[i].data_bytes);
        struct spw_safetensors file;
        struct spw_error error = {0};
        check_ok(open_image(&temporary, &image, &error, &file), &error);
        cr_assert(file.count == files[i].count, "%s", files[i].header);
        spw_safetensors_close(&file);
    }
    spw_temporary_deinit(&temporary);
}

/* All 65,536 halves against ldexp, which is exact. */
Test(safetensors, widens_halves_exactly)
{
    static uint16_t halves[65536];
    for (uint32_t i = 0; i < 65536; i++) {
        halves[i] = (uint16_t)i;
    }
    static unsigned char content[8 + 256 + sizeof(halves)];
    static float values[65536];
    static const char *const types[] = {"F16", "BF16"};
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    for (int type = 0; type < 2; type++) {
        char header[257];
        (void)snprintf(header, sizeof(header), "%-256s", "");
        const int used = snprintf(header, sizeof(header),
                                  "{\"h\":{\"dtype\":\"%s\",\"shape\":[65536],"
                                  "\"data_offsets\":[0,131072]}}",
                                  types[type]);
        header[used] = ' ';
        const uint64_t length = 256;
        memcpy(content, &length, 8);
        memcpy(content + 8, header, 256);
        memcpy(content + 8 + 256, halves, sizeof(halves));
        spw_temporary_write(&temporary, "halves", content, sizeof(content));
        char path[512];
        struct spw_safetensors file;
        struct spw_error error = {0};
        check_ok(spw_safetensors_open(spw_world_system(),
                                      spw_temporary_path(&temporary, "halves", path), &error,
                                      &file),
                 &error);
        check_ok(spw_safetensors_read(&file, file.entries, 0, 65536, values, &error), &error);
        spw_safetensors_close(&file);
        const int fraction_bits = type == 0 ? 10 : 7;
        const int exponent_bits = 15 - fraction_bits;
        const int bias = (1 << (exponent_bits - 1)) - 1;
        for (uint32_t i = 0; i < 65536; i++) {
            const int exponent = (int)(i >> fraction_bits) & ((1 << exponent_bits) - 1);
            const int fraction = (int)i & ((1 << fraction_bits) - 1);
            double wanted;
            if (exponent == (1 << exponent_bits) - 1) {
                wanted = fraction == 0 ? (double)INFINITY : (double)NAN;
            } else if (exponent == 0) {
                wanted = ldexp(fraction, 1 - bias - fraction_bits);
            } else {
                wanted = ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
            }
            cr_assert((isnan(wanted) && isnan(values[i])) || fabsf(values[i]) == (float)wanted,
                      "%s 0x%04x: %g", types[type], i, (double)values[i]);
            cr_assert((signbit(values[i]) != 0) == (i >= 32768), "%s 0x%04x", types[type], i);
        }
    }
    spw_temporary_deinit(&temporary);
}

Test(safetensors, refuses_to_read_other_types)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    const double one = 1.0;
    const struct image image = image_of(
        "{\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}", &one, sizeof(one));
    struct spw_safetensors file;
    struct spw_error error = {0};
    check_ok(open_image(&temporary, &image, &error, &file), &error);
    float value;
    check_refused(spw_safetensors_read(&file, file.entries, 0, 1, &value, &error), &error,
                  "tensor \"d\": weights of type F64");
    spw_safetensors_close(&file);
    spw_temporary_deinit(&temporary);
}

Test(safetensors, tells_what_it_cannot_open)
{
    struct spw_safetensors file = {0};
    struct spw_error error = {0};
    const struct spw_world *world = spw_world_system();
    enum spw_status status = spw_safetensors_open(world, "/nonexistent/w", &error, &file);
    cr_assert(status == SPW_ERR_NOT_FOUND && strstr(error.what, "/nonexistent/w") != NULL, "%s",
              error.what);
    error = (struct spw_error){0};
    status = spw_safetensors_open(world, "/", &error, &file);
    cr_assert(status == SPW_ERR_IO && error.native == EISDIR, "%s", error.what);
    error = (struct spw_error){0};
    check_refused(spw_safetensors_open(world, "/dev/null", &error, &file), &error, "too short");
    cr_assert(file.world == NULL);
}

/* A pipe must not hang the reader, and a huge file with holes must not be allocated for. */
Test(safetensors, reads_nothing_but_what_it_needs)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    char path[512];
    spw_temporary_path(&temporary, "pipe", path);
    cr_assert(mkfifo(path, 0600) == 0);
    struct spw_safetensors file = {0};
    struct spw_error error = {0};
    check_refused(spw_safetensors_open(spw_world_system(), path, &error, &file), &error,
                  "too short");

    static const char header[] =
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[274877906944],\"data_offsets\":[0,1099511627776]}}";
    const struct image image = image_of(header, "", 0);
    spw_temporary_write(&temporary, "sparse", image.bytes, image.count);
    spw_temporary_path(&temporary, "sparse", path);
    if (truncate(path, (off_t)image.count + (INT64_C(1) << 40)) == 0) {
        error = (struct spw_error){0};
        check_ok(spw_safetensors_open(spw_world_system(), path, &error, &file), &error);
        float last = 1.0f;
        check_ok(
            spw_safetensors_read(&file, file.entries, (UINT64_C(1) << 38) - 1, 1, &last, &error),
            &error);
        cr_assert(last == 0.0f);
        spw_safetensors_close(&file);
    } else {
        cr_assert(errno == EFBIG || errno == ENOSPC, "truncate: %d", errno);
    }
    spw_temporary_deinit(&temporary);
}

/* A file that shrinks after it was opened. */
Test(safetensors, notices_a_file_cut_while_open)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    const struct image image = small_image();
    struct spw_safetensors file;
    struct spw_error error = {0};
    check_ok(open_image(&temporary, &image, &error, &file), &error);
    struct image cut = image;
    cut.count -= 5;
    spw_temporary_write(&temporary, "file", cut.bytes, cut.count);
    float values[4];
    check_refused(
        spw_safetensors_read(&file, spw_safetensors_find(&file, "b"), 0, 4, values, &error), &error,
        "ended 5 bytes early");
    spw_safetensors_close(&file);
    spw_temporary_deinit(&temporary);
}

Test(safetensors, refuses_every_truncation)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    const struct image whole = small_image();
    for (size_t count = 0; count < whole.count; count++) {
        struct image cut = whole;
        cut.count = count;
        struct spw_safetensors file;
        struct spw_error error = {0};
        check_refused(open_image(&temporary, &cut, &error, &file), &error, "/file: ");
    }
    spw_temporary_deinit(&temporary);
}

/* A flipped bit in a name can't be seen. Whatever is accepted still tiles the same data. */
Test(safetensors, survives_every_flipped_bit_of_the_header)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    const struct image whole = small_image();
    int accepted = 0;
    int refused = 0;
    for (size_t bit = 0; bit < 8 * (8 + whole.header_bytes); bit++) {
        struct image flipped = whole;
        flipped.bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        struct spw_safetensors file;
        struct spw_error error = {0};
        const enum spw_status status = open_image(&temporary, &flipped, &error, &file);
        if (status != SPW_OK) {
            check_refused(status, &error, "/file: ");
            refused++;
            continue;
        }
        accepted++;
        uint64_t next = 8 + whole.header_bytes;
        for (uint64_t i = 0; i < file.count; i++) {
            cr_assert(file.entries[i].offset_bytes == next, "bit %zu", bit);
            next += file.entries[i].bytes;
        }
        cr_assert(next == whole.count, "bit %zu", bit);
        cr_assert(file.count == 2 && file.entries[0].bytes == 24, "bit %zu", bit);
        spw_safetensors_close(&file);
    }
    /* Names and metadata have few bits beside all the others. */
    cr_assert(refused > 10 * accepted && accepted > 0, "%d accepted, %d refused", accepted,
              refused);
    spw_temporary_deinit(&temporary);
}

/* A header that claims much allocates little: the limit is on what the file really has. */
Test(safetensors, allocates_only_for_what_is_there)
{
    struct spw_temporary temporary;
    spw_temporary_init(&temporary);
    char *bomb = malloc(8 + 200000);
    const uint64_t length = 200000;
    memcpy(bomb, &length, 8);
    memset(bomb + 8, '[', 200000);
    memcpy(bomb + 8, "{\"a\":", 5);
    spw_temporary_write(&temporary, "bomb", bomb, 8 + 200000);
    free(bomb);
    char path[512];
    struct spw_safetensors file;
    struct spw_error error = {0};
    check_refused(spw_safetensors_open(spw_world_system(),
                                       spw_temporary_path(&temporary, "bomb", path), &error, &file),
                  &error, "must end with '}'");
    spw_temporary_deinit(&temporary);
}
