/* Tests of data/ on real data: Fashion-MNIST as the Debian package dataset-fashion-mnist installs
 * it. Without the package they say so and check nothing. */
#include "data/data.h"

#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER "/usr/share/datasets/fashion-mnist/"
#define IMAGE 784

static bool available(void)
{
    if (access(FOLDER "train-images-idx3-ubyte.gz", R_OK) == 0) {
        return true;
    }
    cr_log_warn("not run: the Debian package dataset-fashion-mnist is not installed");
    return false;
}

static void check_set(const char *images, const char *labels, int64_t items,
                      const int32_t first_labels[10], double mean, double deviation)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    struct spw_error error = {0};
    struct spw_dataset *set;
    cr_assert(spw_dataset_open(&fault.world, SPW_DATA_IDX, images, labels, 0, &error, &set) ==
                  SPW_OK,
              "%s", error.what);
    const struct spw_data_info *info = spw_dataset_info(set);
    cr_assert(info->items == items && info->classes == 10 && info->rank == 3);
    cr_assert(info->dim[0] == 1 && info->dim[1] == 28 && info->dim[2] == 28);
    cr_assert(info->resident_bytes == (uint64_t)items * (IMAGE + 1));
    cr_assert(spw_dataset_check_classes(set, 10, &error) == SPW_OK);
    cr_assert(spw_dataset_check_classes(set, 9, &error) == SPW_ERR_USAGE);
    cr_assert(strstr(error.what, labels) == error.what, "%s", error.what);

    enum { BATCH = 1000 };
    struct spw_cursor *cursor;
    error = (struct spw_error){0};
    const struct spw_cursor_config config = {.batch = BATCH};
    cr_assert(spw_cursor_create(&fault.world, set, &config, &error, &cursor) == SPW_OK);
    float *x = malloc(sizeof(float) * BATCH * IMAGE);
    int32_t targets[BATCH];
    int64_t per_class[10] = {0};
    double sum = 0.0, squares = 0.0;
    for (uint64_t step = 1; step <= spw_cursor_steps_per_epoch(cursor); step++) {
        spw_cursor_gather(cursor, step, 0, BATCH, x, targets);
        for (int index = 0; step == 1 && index < 10; index++) {
            cr_assert(targets[index] == first_labels[index], "label %d", index);
        }
        for (int index = 0; index < BATCH; index++) {
            per_class[targets[index]]++;
        }
        for (int index = 0; index < BATCH * IMAGE; index++) {
            sum += x[index];
            squares += (double)x[index] * x[index];
        }
    }
    /* The classes are equally frequent; mean and deviation are those that are published. */
    for (int class = 0; class < 10; class ++) {
        cr_assert(per_class[class] == items / 10, "class %d", class);
    }
    const double pixels = (double)items * IMAGE;
    cr_assert(fabs(sum / pixels - mean) < 1e-4, "mean %f", sum / pixels);
    const double got = sqrt(squares / pixels - sum / pixels * (sum / pixels));
    cr_assert(fabs(got - deviation) < 1e-4, "deviation %f", got);
    free(x);
    spw_cursor_destroy(cursor);
    spw_dataset_close(set);
    cr_assert(spw_fault_world_clean(&fault));
}

Test(fashion, the_training_set)
{
    if (available()) {
        check_set(FOLDER "train-images-idx3-ubyte.gz", FOLDER "train-labels-idx1-ubyte.gz", 60000,
                  (const int32_t[]){9, 0, 0, 3, 0, 2, 7, 2, 5, 5}, 0.2860, 0.3530);
    }
}

Test(fashion, the_test_set)
{
    if (available()) {
        check_set(FOLDER "t10k-images-idx3-ubyte.gz", FOLDER "t10k-labels-idx1-ubyte.gz", 10000,
                  (const int32_t[]){9, 2, 1, 1, 6, 1, 4, 6, 5, 7}, 0.2868, 0.3524);
    }
}

Test(fashion, labels_of_the_other_set_are_refused)
{
    if (!available()) {
        return;
    }
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    struct spw_error error = {0};
    struct spw_dataset *set;
    cr_assert(spw_dataset_open(&fault.world, SPW_DATA_IDX, FOLDER "t10k-images-idx3-ubyte.gz",
                               FOLDER "train-labels-idx1-ubyte.gz", 0, &error,
                               &set) == SPW_ERR_USAGE);
    cr_assert(strstr(error.what, "60000 labels for the 10000 items") != NULL, "%s", error.what);
    cr_assert(spw_fault_world_clean(&fault));
}
