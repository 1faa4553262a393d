/* Tests of data/npy.c and data/npy_header.c: arrays of items and labels. */
#include "files.h"

#include "data/npy_header.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct file items, labels, changed;

static const float item_values[12] = {0.0f, -1.5f, 2.25f,   1e-30f, 3.4e38f, 5.0f,
                                      6.0f, 7.0f,  -0.125f, 9.0f,   10.0f,   11.0f};

static void make_files(void)
{
    file_npy(&items, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 2), }",
             item_values, sizeof(item_values));
    file_npy(&labels, 1, "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }",
             (const int64_t[]){2, 0, 7}, 24);
}

static bool is_item_values(const float x[12])
{
    for (int index = 0; index < 12; index++) {
        if (x[index] != item_values[index]) {
            return false;
        }
    }
    return true;
}

static struct request request_of(const struct file *path)
{
    return (struct request){.format = SPW_DATA_NPY, .path = path, .labels = &labels};
}

/* Opens the files and gathers all 3 items of 4 elements. */
static void gather(float x[12], int32_t targets[3], struct spw_data_info *info)
{
    struct spw_memory_world memory;
    struct spw_memory_file files[2];
    struct spw_error error = {0};
    struct spw_dataset *set;
    struct spw_cursor *cursor;
    const struct request request = request_of(&items);
    cr_assert(request_open(&request, &memory, files, &error, &set) == SPW_OK, "%s", error.what);
    cr_assert(spw_cursor_create(&memory.world, set, &(struct spw_cursor_config){.batch = 3}, &error,
                                &cursor) == SPW_OK);
    spw_cursor_gather(cursor, 1, 0, 3, x, targets);
    *info = *spw_dataset_info(set);
    spw_cursor_destroy(cursor);
    spw_dataset_close(set);
    cr_assert(spw_memory_world_clean(&memory));
}

Test(npy, floats_come_out_as_they_went_in)
{
    make_files();
    float x[12];
    int32_t targets[3];
    struct spw_data_info info;
    gather(x, targets, &info);
    cr_assert(is_item_values(x));
    cr_assert(targets[0] == 2 && targets[1] == 0 && targets[2] == 7);
    cr_assert(info.rank == 3 && info.dim[0] == 1 && info.dim[1] == 2 && info.dim[2] == 2);
    cr_assert(info.items == 3 && info.classes == 8 && info.resident_bytes == 12 * 4 + 3 * 4);
}

Test(npy, doubles_are_rounded_to_floats)
{
    make_files();
    double wide[12];
    for (int index = 0; index < 12; index++) {
        wide[index] = 1.0 / (index + 3);
    }
    wide[5] =
        0x1.fffffeffffffp127; /* just below the midpoint between the largest float and 2^128 */
    wide[6] = 5e-324;
    file_npy(&items, 2, "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }", wide,
             sizeof(wide));
    float x[12];
    int32_t targets[3];
    struct spw_data_info info;
    gather(x, targets, &info);
    for (int index = 0; index < 12; index++) {
        cr_assert(x[index] == (float)wide[index] && isfinite(x[index]), "element %d", index);
    }
    cr_assert(info.rank == 1 && info.dim[0] == 4);
}

/* More values than one chunk of the conversion holds. */
Test(npy, converts_across_chunks)
{
    static double wide[1500];
    static int64_t wide_labels[1500];
    for (int index = 0; index < 1500; index++) {
        wide[index] = index * 0.7;
        wide_labels[index] = index;
    }
    file_npy(&items, 1, "{'descr': '<f8', 'fortran_order': False, 'shape': (1500, 1)}", wide,
             sizeof(wide));
    file_npy(&labels, 1, "{'descr': '<i8', 'fortran_order': False, 'shape': (1500,)}", wide_labels,
             sizeof(wide_labels));
    struct spw_memory_world memory;
    struct spw_memory_file files[2];
    struct spw_error error = {0};
    struct spw_dataset *set;
    struct spw_cursor *cursor;
    const struct request request = request_of(&items);
    cr_assert(request_open(&request, &memory, files, &error, &set) == SPW_OK, "%s", error.what);
    cr_assert(spw_cursor_create(&memory.world, set, &(struct spw_cursor_config){.batch = 1500},
                                &error, &cursor) == SPW_OK);
    static float x[1500];
    static int32_t targets[1500];
    spw_cursor_gather(cursor, 1, 0, 1500, x, targets);
    for (int index = 0; index < 1500; index++) {
        cr_assert(x[index] == (float)wide[index] && targets[index] == index);
    }
    spw_cursor_destroy(cursor);
    spw_dataset_close(set);
}

Test(npy, bytes_are_pixels_and_small_labels)
{
    file_npy(&items, 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 1, 2, 2), }",
             "\0\1\2\3\4\5\6\7\x8\x9\xfe\xff", 12);
    file_npy(&labels, 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", "\1\2\xff",
             3);
    float x[12];
    int32_t targets[3];
    struct spw_data_info info;
    gather(x, targets, &info);
    cr_assert(x[1] == 1.0f / 255.0f && x[10] == 254.0f / 255.0f && x[11] == 1.0f);
    cr_assert(targets[2] == 255 && info.classes == 256 && info.resident_bytes == 15);
    file_npy(&labels, 1, "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }",
             (const int32_t[]){0, 2147483647, 5}, 12);
    gather(x, targets, &info);
    cr_assert(targets[1] == 2147483647 && info.classes == INT64_C(2147483648));
}

/* All spellings that mean the same. */
Test(npy, reads_any_spelling_of_the_header)
{
    static const char *const spellings[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 2), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 2)}",
        "{'descr':'<f4','fortran_order':False,'shape':(3,2,2)}",
        "{\"shape\": (3,2,2,), \"descr\": \"<f4\", \"fortran_order\": False}",
        "  { 'fortran_order' : False , 'shape' : ( 3 , 2 , 2 ) , 'descr' : '<f4' , }  ",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0003, 2, 2), }",
    };
    make_files();
    for (size_t index = 0; index < sizeof(spellings) / sizeof(spellings[0]); index++) {
        for (int major = 1; major <= 3; major++) {
            float x[12];
            int32_t targets[3];
            struct spw_data_info info;
            file_npy(&items, major, spellings[index], item_values, sizeof(item_values));
            gather(x, targets, &info);
            cr_assert(is_item_values(x), "%s", spellings[index]);
        }
    }
}

/* The dictionary in every way wrong that one removed, doubled or replaced character can make. */
Test(npy, any_changed_character_is_refused_or_means_the_same)
{
    static const char good[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 2), }";
    static const char alphabet[] = " ,:'\"(){}[]0123456789<>|=LxOTrueFals\\\n\t#-+.";
    make_files();
    int accepted = 0;
    int tried = 0;
    for (size_t at = 0; at + 1 < sizeof(good); at++) {
        for (size_t letter = 0; letter + 1 < sizeof(alphabet); letter++) {
            for (int way = 0; way < 3; way++) { /* replace, insert, remove */
                char text[128];
                (void)snprintf(text, sizeof(text), "%.*s%.*s%s", (int)at, good, way < 2 ? 1 : 0,
                               alphabet + letter, good + at + (way != 1));
                file_npy(&changed, 1, text, item_values, sizeof(item_values));
                struct spw_error error = {0};
                const struct request request = request_of(&changed);
                const bool ok = request_try(&request, &error) == SPW_OK;
                struct spw_npy_header header;
                error = (struct spw_error){0};
                cr_assert(!ok || (spw_npy_parse_header("file", changed.data, changed.bytes, &error,
                                                       &header) == SPW_OK &&
                                  header.count == 12 && header.dims[0] == 3 &&
                                  header.type == SPW_NPY_F32),
                          "%s", text);
                accepted += ok;
                tried++;
            }
        }
    }
    cr_assert(tried > 5000 && accepted > 0 && accepted < tried / 10, "%d of %d", accepted, tried);
}

Test(npy, refuses_every_truncation)
{
    make_files();
    for (uint64_t bytes = 0; bytes < items.bytes; bytes++) {
        struct spw_error error = {0};
        changed = items;
        changed.bytes = bytes;
        const struct request request = request_of(&changed);
        cr_assert(request_try(&request, &error) == SPW_ERR_USAGE, "%d bytes", (int)bytes);
    }
    for (uint64_t bytes = 0; bytes < labels.bytes; bytes++) {
        struct spw_error error = {0};
        changed = labels;
        changed.bytes = bytes;
        const struct request request = {.format = SPW_DATA_NPY, .path = &items, .labels = &changed};
        cr_assert(request_try(&request, &error) == SPW_ERR_USAGE, "%d bytes", (int)bytes);
    }
}

/* A flipped bit is refused, or leaves finite numbers of the same count. */
Test(npy, survives_every_flipped_bit)
{
    make_files();
    int accepted = 0;
    for (uint64_t bit = 0; bit < items.bytes * 8; bit++) {
        struct spw_error error = {0};
        changed = items;
        changed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        const struct request request = request_of(&changed);
        const bool ok = request_try(&request, &error) == SPW_OK;
        cr_assert(!ok || bit >= 48);
        accepted += ok;
    }
    cr_assert(accepted > 0 && accepted <= 12 * 32 + 64, "%d", accepted);
    for (uint64_t bit = 0; bit < labels.bytes * 8; bit++) {
        struct spw_error error = {0};
        changed = labels;
        changed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        const struct request request = {.format = SPW_DATA_NPY, .path = &items, .labels = &changed};
        (void)request_try(&request, &error);
    }
}
